//! `export-timings`, `cost` and `simulate-scaling`.

use serde_json::{Value, json};

use crate::support::{Place, Ran, Worker};

const SIMULATE: [&str; 7] = [
    "simulate-scaling",
    "--component",
    "train",
    "--arrivals",
    "poisson:60/h",
    "--durations",
    "exp:20s",
];

fn simulate(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&SIMULATE, more].concat())
}

/// Two runs of two steps, and one whose second step was never claimed.
fn worked() -> Place {
    let place = Place::new();
    for run in ["a", "b", "c"] {
        place.submit(run);
        let worker = Worker::new(&place);
        worker.step(&[("rows", "four"), ("more", "three")]);
        if run != "c" {
            worker.step(&[("report", "1234567")]);
        }
    }
    place
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn timings_are_rows_of_what_was_claimed() {
    let place = worked();
    let text = place.ok(&["export-timings"]);
    let rows = lines(&text);
    assert_eq!(rows[0][..5], ["run", "pipeline", "step", "ordinal", "stage"]);
    let at = |name: &str| rows[0].iter().position(|column| *column == name).expect(name);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    let steps: Vec<[&str; 2]> = rows[1..].iter().map(|row| [row[0], row[2]]).collect();
    let wanted = [
        ["c", "extract"],
        ["b", "extract"],
        ["b", "report"],
        ["a", "extract"],
        ["a", "report"],
    ];
    assert_eq!(
        steps, wanted,
        "newest first, in the plan's order, and nothing of what nobody claimed"
    );
    let first = &rows[1];
    assert_eq!((first[at("artifacts")], first[at("artifact_bytes")]), ("2", "9"));
    assert_eq!((first[at("duration_ms")], first[at("cached")]), ("12", "false"));
    for column in ["ready_at", "started_at", "ended_at"] {
        assert!(first[at(column)].ends_with('Z'), "{first:?}");
    }
    let held: u64 = first[at("held_ms")].parse().expect("a number");
    assert!(held < 60_000, "{held}");

    let json: Vec<Value> = place
        .ok(&["export-timings", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).expect("a document"))
        .collect();
    assert_eq!(json.len(), 5);
    assert_eq!(
        (&json[0]["run"], &json[0]["artifact_bytes"]),
        (&json!("c"), &json!(9))
    );
    let help = place.ok(&["export-timings", "--help"]);
    for column in json[0].as_object().expect("an object").keys() {
        assert!(
            rows[0].contains(&column.as_str()),
            "{column} is no column of the CSV"
        );
        assert!(help.contains(column), "{column} is not in the help");
    }

    assert_eq!(place.ok(&["export-timings", "a"]).lines().count(), 3);
    assert_eq!(
        place
            .ok(&["export-timings", "--pipeline", "nightly", "--stage", "noop"])
            .lines()
            .count(),
        6
    );
    for none in [
        ["--since", "2999-01-01"],
        ["--pipeline", "weekly"],
        ["--stage", "train"],
    ] {
        let ran = place.run(&[&["export-timings"], &none[..]].concat());
        assert!(
            ran.code == 0 && ran.out.is_empty() && ran.err.contains("no step"),
            "{none:?}: {}",
            ran.err
        );
    }
    assert_eq!(place.run(&["export-timings", "nobody"]).code, 3);
}

#[test]
fn what_a_resumed_run_took_over_is_its_parents() {
    let place = Place::new();
    place.submit("a");
    let worker = Worker::new(&place);
    worker.step(&[("rows", "four")]);
    worker.fail("no such column");
    place.ok(&["resume", "a"]);
    let child = place.json(&["list"])[0]["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    let worker = Worker::new(&place);
    worker.step(&[("report", "x")]);
    let text = place.ok(&["export-timings", &child]);
    let rows = lines(&text);
    assert_eq!((rows.len(), rows[1][2]), (2, "report"), "{text}");
    let worked = place.ok(&["export-timings", "a", "--worked"]);
    assert_eq!(
        (lines(&worked).len(), lines(&worked)[1][2]),
        (2, "extract"),
        "failed work is not whole: {worked}"
    );
}

#[test]
fn costs_are_requests_and_bytes_and_say_that_they_are_estimates() {
    let place = worked();
    let cost = place.json(&["cost", "a", "b"]);
    assert_eq!(
        (&cost["runs"], &cost["total"]["executions"]),
        (&json!(2), &json!(4))
    );
    let total = |name: &str| cost["total"][name].as_f64().expect(name);
    // Three requests of SQS for each step.
    assert!(
        (total("dollars_queues") - 4.0 * 3.0 * 0.40 / 1e6).abs() < 1e-12,
        "{cost}"
    );
    // Three artifacts a run, of which the second step can read two.
    assert!(
        (total("dollars_objects") - 2.0 * (3.0 * 5.0 + 2.0 * 0.40) / 1e6).abs() < 1e-12,
        "{cost}"
    );
    assert!(
        (total("dollars_storage") - 2.0 * 16.0 / 1e9 * 0.023).abs() < 1e-15,
        "{cost}"
    );
    assert_eq!(
        total("dollars_tasks").to_bits(),
        0,
        "stages for tests are deployed nowhere"
    );
    assert!((cost["dollars_per_run"].as_f64().expect("a number") * 2.0 - total("dollars")).abs() < 1e-12);
    let batched = place.json(&["cost", "a", "b", "--traffic", "batched"]);
    let queues = batched["total"]["dollars_queues"].as_f64().expect("a number");
    assert!((queues - 4.0 * 0.37 * 0.40 / 1e6).abs() < 1e-12, "{batched}");

    let text = place.ok(&["cost"]);
    assert!(
        text.contains("3 runs: $") && text.contains("an estimate by list prices of us-east-1"),
        "{text}"
    );
    place.write("prices.toml", "region = \"moon\"\n");
    let ran = place.run(&["cost", "--prices", "prices.toml"]);
    assert!(
        ran.code == 2 && ran.err.contains("prices.toml") && ran.err.contains("read_on"),
        "{}",
        ran.err
    );
}

#[test]
fn a_simulation_is_the_same_for_everybody_who_asks() {
    let place = Place::new();
    let more = ["--replications", "3", "--seed", "7"];
    let first = place.json(&[&SIMULATE[..], &more].concat());
    assert_eq!(first, place.json(&[&SIMULATE[..], &more].concat()));
    assert!(
        !place.backend_folder().exists(),
        "nothing is asked of a fleet, and nothing made"
    );
    assert_eq!(
        first["policy"]["target"],
        json!(30.0),
        "600 s of acceptable wait, as its component has, for 20 s of work"
    );
    let messages = &first["figures"]["messages"];
    let (mean, plus_minus) = (messages["mean"].as_f64(), messages["plus_minus"].as_f64());
    assert!(
        mean.is_some_and(|n| (n - 1_440.0).abs() < 150.0) && plus_minus.is_some_and(|n| n > 0.0),
        "{messages}"
    );
    assert!(
        first["timeline"]
            .as_array()
            .is_some_and(|minutes| minutes.len() > 1_400)
    );
    let other = place.json(&[&SIMULATE[..], &["--seed", "8"]].concat());
    assert_ne!(first["figures"]["wait_p95"], other["figures"]["wait_p95"]);

    let ran = simulate(&place, &["--picture", "days.svg"]);
    assert!(ran.code == 0 && ran.err.contains("days.svg"), "{}", ran.err);
    for part in [
        "wait, p95",
        "task-hours",
        "an estimate by list prices",
        "tasks that run",
        "24 h",
    ] {
        assert!(ran.out.contains(part), "{part:?} is not in:\n{}", ran.out);
    }
    let svg = std::fs::read_to_string(place.path().join("days.svg")).expect("the picture is there");
    assert!(
        svg.starts_with("<svg ") && svg.contains("tasks that run"),
        "{svg}"
    );
}

#[test]
fn real_timings_are_replayed() {
    let place = worked();
    place.write(
        "timings.csv",
        &place.ok(&["export-timings"]).replace("noop", "train"),
    );
    let args = [
        "--component",
        "train",
        "--arrivals",
        "timings.csv",
        "--durations",
        "timings.csv",
    ];
    let replayed = place.json(&[&["simulate-scaling"], &args[..]].concat());
    assert_eq!(replayed["figures"]["messages"]["mean"], json!(5.0));
    let other = [
        "--component",
        "deploy",
        "--arrivals",
        "timings.csv",
        "--durations",
        "const:1s",
    ];
    let ran = place.run(&[&["simulate-scaling"], &other[..]].concat());
    assert!(
        ran.code == 2 && ran.err.contains("no row of deploy"),
        "{}",
        ran.err
    );
}

#[test]
fn the_cheapest_settings_hold_the_latency_or_the_exit_code_says_no() {
    let place = Place::new();
    let search = ["--find-cheapest", "--latency-p95", "60s", "--replications", "3"];
    let found = place.json(&[&SIMULATE[..], &search].concat());
    assert_eq!(found["search"]["found"], json!(true));
    let p95 = &found["figures"]["wait_p95"];
    let upper = p95["mean"].as_f64().expect("a mean") + p95["plus_minus"].as_f64().expect("an interval");
    assert!(upper <= 60.0, "{p95}");
    let hopeless = ["--find-cheapest", "--latency-p95", "1s", "--max", "1"];
    let ran = simulate(&place, &hopeless);
    assert!(
        ran.code == 4 && ran.err.contains("--min") && ran.out.contains("HOLDS"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_simulated_is_explained() {
    let place = Place::new();
    for (more, part) in [
        (&["--min", "5", "--max", "2"][..], "at least the fewest"),
        (&["--target", "0"], "above 0"),
        (&["--cpu", "1", "--memory", "16GiB"], "2 to 8 GB"),
        (&["--cpu", "3"], "no task of 3 vCPU"),
        (&["--class", "xlarge"], "not deployed in the class xlarge"),
        (&["--for", "1s"], "nothing arrives"),
        (&["--find-cheapest"], "--latency-p95"),
        (&["--wake-to", "0"], "woken"),
        (&["--spot-share", "2"], "from 0 to 1"),
        (&["--picture", "no/such/folder.svg"], "no/such/folder.svg"),
    ] {
        let ran = simulate(&place, more);
        assert!(
            ran.code != 0 && ran.err.contains(part),
            "{more:?}: {} {}",
            ran.code,
            ran.err
        );
    }
    for (arrivals, durations, part) in [
        ("poisson:fast", "exp:1s", "no rate"),
        ("weekly:1/h", "exp:1s", "no pattern"),
        ("poisson:1000000000/d", "exp:1s", "--for"),
        ("none.csv", "exp:1s", "none.csv"),
        ("poisson:1/h", "gauss:1s", "no distribution"),
        ("burst:5@25:00", "exp:1s", "time of day"),
    ] {
        let args = [
            "simulate-scaling",
            "--component",
            "train",
            "--arrivals",
            arrivals,
            "--durations",
            durations,
        ];
        let ran = place.run(&args);
        assert!(
            ran.code == 2 && ran.err.contains(part),
            "{arrivals} {durations}: {} {}",
            ran.code,
            ran.err
        );
    }
    let eternal = [
        "--durations",
        "const:10h",
        "--spot-share",
        "1",
        "--interruptions-per-hour",
        "60",
        "--for",
        "1h",
    ];
    let args = [
        "simulate-scaling",
        "--component",
        "train",
        "--arrivals",
        "poisson:10/h",
    ];
    let ran = place.run(&[&args, &eternal[..]].concat());
    assert!(
        ran.code == 2 && ran.err.contains("do not live long enough"),
        "{}",
        ran.err
    );
}
