//! Equal data, specification and seed give equal artifacts, to the byte, at one thread and at two.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::harness::{Fleet, worker};
use e2e::repository;
use pipeline::Sha256Digest;

/// Names the run that made it, and when: the only artifact that may differ, and the digests in it of those that must not.
const LINEAGE: &str = "deploy/0/package.json";

/// The digest of every artifact of a run of `spec`, by step, branch and name.
fn artifacts(spec: &str, cores: &str) -> BTreeMap<String, Sha256Digest> {
    let fleet = Fleet::new();
    let path = fleet.write_spec(spec);
    let output = Command::new("taskset")
        .args(["--cpu-list", cores])
        .arg(worker())
        .args(["run", &path.to_string_lossy(), "--json", "--key", "one"])
        .args(["--backend", &fleet.address(), "--source-folders"])
        .arg(repository().join("examples"))
        .output()
        .expect("taskset starts the worker");
    assert!(output.status.success(), "{output:?}");
    let mut found = BTreeMap::new();
    let run = fleet.folder().join("artifacts/r/one");
    let mut folders = vec![run.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("lists") {
            let path = entry.expect("lists").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&run).expect("below it").to_string_lossy();
            // An attempt's number may differ: a busy machine may take a lease away.
            let parts: Vec<&str> = name.split('/').filter(|part| !is_attempt(part)).collect();
            let bytes = std::fs::read(&path).expect("reads");
            found.insert(parts.join("/"), Sha256Digest::of(&bytes));
        }
    }
    found
}

fn is_attempt(part: &str) -> bool {
    part.strip_prefix('a')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn assert_repeatable(spec: &str) {
    let one = artifacts(spec, "0");
    for cores in ["0", "0,1"] {
        let other = artifacts(spec, cores);
        let differ: Vec<&String> = one
            .keys()
            .chain(other.keys())
            .filter(|name| one.get(*name) != other.get(*name) && *name != LINEAGE)
            .collect();
        assert!(
            differ.is_empty(),
            "on cores {cores} these are different: {differ:?}"
        );
    }
    println!("{} artifacts are equal", one.len());
    assert!(one.contains_key(LINEAGE) && one.len() > 20, "{:?}", one.keys());
}

#[test]
fn of_three_classes() {
    let data = repository().join("examples/penguins/data/penguins.csv");
    assert_repeatable(&format!(
        "pipeline = \"penguins\"\nseed = 3\n[data]\nsource = {{ path = \"{}\", nulls = [\"NA\"] }}\nlabel = \"species\"\n",
        data.display()
    ));
}

#[test]
fn of_joined_flights() {
    let data = repository().join("examples/flights/data");
    assert_repeatable(&format!(
        r#"
pipeline = "flights"
seed = 3
[data]
label = "late"
sql = """
SELECT f.month, f.day, f.carrier, f.origin, f.dest, f.distance, f.sched_dep_time, w.temp, w.wind_gust, w.pressure,
       f.arr_delay > 15 AS late
FROM flights AS f LEFT JOIN weather AS w ON f.origin = w.origin AND f.time_hour = w.time_hour
WHERE f.arr_delay IS NOT NULL AND f.month = 1
"""
[data.sources]
flights = {{ path = "{0}/flights.csv.zst", nulls = ["NA"] }}
weather = {{ path = "{0}/weather.csv.zst", nulls = ["NA"] }}
[[candidates]]
model = "linear"
[[candidates]]
model = "boosting"
rounds = 60
subsample = 0.8
folds = 2
[[candidates]]
model = "forest"
trees = 10
"#,
        data.display()
    ));
}
