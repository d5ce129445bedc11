//! Every input of the fuzzer that is kept is read again: what was found once stays mended.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use e2e::harness::Stopwatch;

fn seeds_of(target: &str) -> Vec<PathBuf> {
    let folder = e2e::repository().join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("lists").path()).collect();
    files.sort();
    files
}

/// A panic of ours, or a value that does not keep its promise, fails this; so does what takes long.
#[test]
fn every_seed_of_every_target_is_read() {
    for target in fuzzed::TARGETS {
        let seeds = seeds_of(target.name);
        assert!(seeds.len() > 2, "{}: only {seeds:?}", target.name);
        let watch = Stopwatch::start();
        for seed in &seeds {
            let bytes = fs::read(seed).expect("reads");
            println!("{}", seed.display());
            let one = Stopwatch::start();
            (target.read)(&bytes);
            assert!(one.elapsed().as_secs() < 20, "{}: {one}", seed.display());
            // And cut off, which is what happens to files.
            (target.read)(&bytes[..bytes.len() / 2]);
        }
        println!("{}: {} seeds in {watch}", target.name, seeds.len());
    }
}

/// The fuzzer has a binary for each target, with its seeds, and the other way round.
#[test]
fn targets_binaries_and_seeds_are_the_same() {
    let targets: BTreeSet<String> = fuzzed::TARGETS.iter().map(|t| t.name.to_owned()).collect();
    let top = e2e::repository();
    let manifest: toml::Table = fs::read_to_string(top.join("fuzz/Cargo.toml"))
        .expect("reads")
        .parse()
        .expect("TOML");
    let binaries = manifest["bin"].as_array().expect("binaries");
    let binaries: BTreeSet<String> = binaries
        .iter()
        .filter_map(|bin| bin["name"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(binaries, targets);
    for name in &targets {
        let source = fs::read_to_string(top.join(format!("fuzz/fuzz_targets/{name}.rs"))).expect("reads");
        assert!(source.contains(&format!("fuzz::target!({name});")), "{name}");
    }
    let folders: BTreeSet<String> = fs::read_dir(top.join("fuzz/seeds"))
        .expect("lists")
        .map(|entry| entry.expect("lists"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, targets);
    let told = fs::read_to_string(top.join("fuzz/seeds/README.md")).expect("reads");
    for name in &targets {
        for seed in seeds_of(name) {
            let file = seed.file_name().expect("a file").to_string_lossy().into_owned();
            let stem = file.split('.').next().unwrap_or(&file);
            assert!(
                told.contains(stem),
                "fuzz/seeds/README.md does not say where {name}/{file} is from"
            );
        }
    }
}
