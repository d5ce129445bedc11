use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
}

fn machine() -> Machine {
    Machine {
        cores: 4,
        memory_bytes: Some(10 << 30),
        temp_dir: "/tmp".into(),
    }
}

fn flags(args: &[&str]) -> Result<Layer, String> {
    Cli::try_parse_from([&["worker"], args].concat())
        .map(|cli| cli.config.layer)
        .map_err(|e| e.to_string())
}

fn resolved(args: &[&str], file: &str) -> Result<Settings, ConfigError> {
    resolve(
        flags(args).expect("good flags"),
        read_file(file)?,
        Mode::Pool,
        &machine(),
    )
}

/// It is what people copy, so it must say everything, and say it right.
#[test]
fn the_documented_example_sets_everything_that_people_set() {
    let text = include_str!("example.toml");
    let file = read_file(text).expect("good");
    let settings = resolve(Layer::default(), file, Mode::Pool, &machine()).expect("good");
    assert_eq!(settings.memory_limit_bytes(MemoryClass::Standard), 3 << 30);
    let table: toml::Table = text.parse().expect("good");
    let for_people: Vec<&&str> = Layer::KEYS
        .iter()
        .filter(|key| !key.starts_with("test_") || **key == "test_stages")
        .collect();
    for key in &for_people {
        assert!(table.contains_key(**key), "{key} is not in the example");
    }
    assert_eq!(table.len(), for_people.len());
}

#[test]
fn defaults_follow_from_machine_and_mode() {
    let settings = resolved(&[], "").expect("needs nothing");
    assert_eq!(settings.backend, pipeline::Address::default());
    assert_eq!(settings.lease, Duration::from_secs(30));
    assert_eq!(settings.drain_timeout, Duration::from_secs(110));
    assert_eq!((settings.permits, settings.heavy_permits), (8, 4));
    assert_eq!(settings.memory_budget_bytes, 8 << 30);
    assert_eq!(settings.memory_limit_bytes(MemoryClass::Standard), 2 << 30);
    assert_eq!(settings.memory_limit_bytes(MemoryClass::Large), 4 << 30);
    assert_eq!(settings.memory_limit_bytes(MemoryClass::Xlarge), 8 << 30);
    assert_eq!(
        settings.metrics_addr,
        Some(SocketAddr::from(([127, 0, 0, 1], 9464)))
    );
    assert!(!settings.metrics_addr_is_given);
    let named = resolved(&["--metrics-addr", "127.0.0.1:9464"], "").expect("is an address");
    assert!(named.metrics_addr_is_given);
    assert!(!settings.test_stages);
    let run = resolve(Layer::default(), Layer::default(), Mode::Run, &machine()).expect("needs nothing");
    assert_eq!(run.metrics_addr, None);
    let unknown = Machine {
        cores: 0,
        memory_bytes: None,
        temp_dir: "/tmp".into(),
    };
    let small = resolve(Layer::default(), Layer::default(), Mode::Run, &unknown).expect("needs nothing");
    assert_eq!((small.permits, small.heavy_permits), (2, 1));
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = "lease = \"10s\"\npermits = 3\ntest_stages = true\n";
    let settings = resolved(&["--lease", "5s"], file).expect("good");
    assert_eq!(settings.lease, Duration::from_secs(5));
    assert_eq!(settings.permits, 3);
    assert!(settings.test_stages);
    assert_eq!(settings.heavy_permits, 4);
    assert!(
        !resolved(&["--test-stages=false"], file)
            .expect("good")
            .test_stages
    );
    assert!(resolved(&["--test-stages"], "").expect("good").test_stages);
}

#[test]
fn source_folders_are_the_working_directory_or_what_is_named() {
    let folders = |args: &[&str], file: &str| resolved(args, file).expect("good").source_folders;
    assert_eq!(folders(&[], ""), [Path::new(".")]);
    let both = [Path::new("/a"), Path::new("b c")];
    assert_eq!(folders(&["--source-folders", "/a,b c"], ""), both);
    assert_eq!(folders(&[], "source_folders = [\"/a\", \"b c\"]"), both);
    assert_eq!(folders(&[], "source_folders = \"/a,b c\""), both);
    assert!(folders(&["--source-folders", ""], "").is_empty(), "none at all");
}

/// That clap prefers flags to variables is clap's; that each setting has its variable, named after it, is ours.
#[test]
fn every_setting_has_a_flag_a_variable_and_a_key_of_one_name() {
    let command = <Cli as clap::CommandFactory>::command();
    for (key, variable) in Layer::KEYS.iter().zip(Layer::VARIABLES) {
        assert_eq!(*variable, format!("FLEETLINE_{}", key.to_uppercase()));
        let argument = command.get_arguments().find(|a| a.get_id() == key).expect(key);
        assert_eq!(argument.get_long(), Some(key.replace('_', "-").as_str()));
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(*variable));
    }
    assert_eq!(
        command.get_arguments().count(),
        Layer::KEYS.len() + 1,
        "and `config`"
    );
}

#[test]
fn a_higher_layer_hides_a_lower_one_setting_by_setting() {
    let [high, low] =
        ["lease = \"1s\"\n", "lease = \"2s\"\nlog = \"debug\"\n"].map(|t| read_file(t).expect("good"));
    let both = high.or(low);
    assert_eq!(
        both,
        read_file("lease = \"1s\"\nlog = \"debug\"\n").expect("good")
    );
}

#[test]
fn unknown_keys_and_variables_are_refused_with_what_was_probably_meant() {
    let error = |file: &str| read_file(file).expect_err(file).to_string();
    assert_eq!(
        error("leese = \"1s\""),
        "unknown key `leese`; did you mean lease?"
    );
    assert!(error("colour = 1").starts_with("unknown key `colour`; known keys are backend, "));
    assert!(error("[pool]\nlease = \"1s\"").starts_with("unknown key `pool`"));

    let check = |names: &[&str]| environment::refuse_unknown(names.iter().map(ToString::to_string));
    assert_eq!(
        check(&["PATH", "FLEETLINE_LEASE", "FLEETLINE_CONFIG", "FLEETLIN_LEASE"]),
        Ok(())
    );
    let error = check(&["FLEETLINE_LEASES", "HOME"])
        .expect_err("unknown")
        .to_string();
    assert_eq!(
        error,
        "environment variable FLEETLINE_LEASES is unknown; did you mean FLEETLINE_LEASE?"
    );
    let error = check(&["FLEETLINE_SOMETHING_ELSE"])
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("unset it; known are FLEETLINE_BACKEND, "),
        "{error}"
    );
}

#[test]
fn bad_values_are_told_where_they_stand_and_what_to_write() {
    for (file, parts) in [
        ("lease = \"soon\"", ["line 1", "\"soon\" is no duration"]),
        ("\nlease = 30", ["line 2", "expected a string"]),
        ("memory_budget = \"much\"", ["line 1", "for example 512MiB"]),
        ("backend = \"postgres:x\"", ["line 1", "write local:FOLDER"]),
        ("backend = \"local:\"", ["line 1", "names no folder"]),
        ("log = \"inof\"", ["line 1", "\"inof\" is no log filter"]),
        ("log_format = \"xml\"", ["line 1", "auto, text or json"]),
        ("durability = \"none\"", ["line 1", "full or normal"]),
        ("metrics_addr = \"localhost\"", ["line 1", "127.0.0.1:9464"]),
        ("worker_id = \"A B\"", ["line 1", "a-z, 0-9"]),
        ("build = \"two words\"", ["line 1", "no name of a build"]),
        ("scratch_limit = \"-1\"", ["line 1", "is no size"]),
        ("source_folders = 1", ["line 1", "list of texts"]),
        ("source_folders = [\"\"]", ["line 1", "name is empty"]),
        ("source_buckets = \"exports\"", ["line 1", "s3://exports"]),
        ("lease = \"1s\"\nlease = \"2s\"", ["line 2", "duplicate key"]),
        ("lease = ", ["line 1", ""]),
    ] {
        let error = read_file(file).expect_err(file).to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{file}: {error}");
    }
    for (args, part) in [
        (["--lease", "x"], "\"x\" is no duration"),
        (["--permits", "many"], "--permits"),
        (["--memory-limit", "99999999999TiB"], "is no size"),
    ] {
        let error = flags(&args).expect_err(part);
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (file, message) in [
        ("lease = \"1ms\"", "lease: 1ms is not possible; give 300ms to 1h"),
        ("permits = 0", "permits: 0 is not possible; give 1 to 65536"),
        (
            "heavy_permits = 9999",
            "heavy_permits: 9999 is not possible; give 1 to 1024",
        ),
        (
            "memory_budget = \"1MiB\"",
            "memory_budget: 1024KiB is too little; give at least 64MiB",
        ),
        (
            "memory_budget = \"1GiB\"\nmemory_limit = \"20GiB\"",
            "memory_limit: 20GiB is more than memory_budget, which is 1024MiB; lower it, or raise memory_budget",
        ),
    ] {
        assert_eq!(
            resolved(&[], file).map_err(|e| e.to_string()),
            Err(message.to_owned()),
            "{file}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("/nowhere/fleetline.toml"))
        .expect_err("not there")
        .to_string();
    assert!(
        error.starts_with("configuration file /nowhere/fleetline.toml: cannot be read: "),
        "{error}"
    );
}

#[test]
fn sizes_read_and_show() {
    for (text, bytes) in [
        ("0", 0),
        ("17", 17),
        ("17B", 17),
        ("2 KiB", 2_048),
        ("3GB", 3_000_000_000),
        ("1GiB", 1 << 30),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for text in [
        "",
        "B",
        "-1",
        "1.5GiB",
        "1 G",
        "1e9",
        "18446744073709551616",
        "17179869184GiB",
    ] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
    for (bytes, text) in [
        (17, "17B"),
        (10 << 10, "10KiB"),
        (9 << 30, "9216MiB"),
        (12 << 30, "12GiB"),
    ] {
        assert_eq!(ByteSize(bytes).to_string(), text);
    }
}
