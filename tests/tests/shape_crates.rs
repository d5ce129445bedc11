//! Who may use whom, and what every crate's manifest says. The compiler holds a crate to its manifest; this holds the
//! manifests to ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use toml::{Table, Value};

/// One crate's place in the house.
struct Place {
    name: &'static str,
    folder: &'static str,
    /// Crates of the workspace that it may use.
    may_use: &'static [&'static str],
    /// Crates of the workspace that its own tests may use besides.
    tests_may_use: &'static [&'static str],
    /// Crates that must not be linked into it by any way.
    never: &'static [&'static str],
}

const RUNTIME: &str = "tokio";
const STORES: [&str; 2] = ["rusqlite", "libsqlite3-sys"];

const HOUSE: &[Place] = &[
    // The contract: no I/O, no clock, no randomness, no environment.
    Place {
        name: "pipeline",
        folder: "pipeline",
        may_use: &[],
        tests_may_use: &[],
        never: &[
            RUNTIME,
            STORES[0],
            STORES[1],
            "rustix",
            "libc",
            "getrandom",
            "rand",
            "jiff",
            "clap",
            "tracing",
            "axum",
        ],
    },
    // Machine learning knows no pipeline. (Polars brings a runtime of its own, for its streaming engine.)
    Place {
        name: "ml",
        folder: "ml",
        may_use: &[],
        tests_may_use: &[],
        never: &[STORES[0], STORES[1], "axum", "clap", "tracing-subscriber"],
    },
    // A stage is synchronous and offline, and knows neither queue nor store.
    Place {
        name: "stages",
        folder: "worker/stages",
        may_use: &["ml", "pipeline"],
        tests_may_use: &[],
        never: &[STORES[0], STORES[1], "axum", "clap", "tracing-subscriber"],
    },
    Place {
        name: "backend-local",
        folder: "pipeline/backends/local",
        may_use: &["pipeline"],
        tests_may_use: &[],
        never: &["axum", "hyper", "clap", "prometheus"],
    },
    Place {
        name: "backend-aws",
        folder: "pipeline/backends/aws",
        may_use: &["pipeline"],
        tests_may_use: &[],
        never: &[STORES[0], STORES[1], "axum", "clap", "prometheus"],
    },
    // The model moves runs by the contract alone.
    Place {
        name: "sim",
        folder: "pipeline/sim",
        may_use: &["pipeline"],
        tests_may_use: &[],
        never: &[STORES[0], STORES[1], "axum"],
    },
    Place {
        name: "worker",
        folder: "worker",
        may_use: &["backend-aws", "backend-local", "ml", "pipeline", "stages"],
        tests_may_use: &["sim"],
        never: &["stateright", "schemars"],
    },
    // It starts in milliseconds and fits anywhere, so it links nothing that only workers need.
    Place {
        name: "producer",
        folder: "producer",
        may_use: &["backend-aws", "backend-local", "pipeline"],
        tests_may_use: &[],
        never: &[
            "axum",
            "prometheus",
            "polars",
            "linfa",
            "ndarray",
            "stateright",
            "schemars",
            "tracing-subscriber",
        ],
    },
    Place {
        name: "e2e",
        folder: "tests",
        may_use: &[
            "backend-aws",
            "backend-local",
            "fuzzed",
            "ml",
            "pipeline",
            "producer",
            "sim",
            "stages",
            "worker",
        ],
        tests_may_use: &[],
        never: &[],
    },
    // What it links is built a second time for the fuzzer, so it links the readers and nothing else.
    Place {
        name: "fuzzed",
        folder: "tests/fuzzed",
        may_use: &["ml", "pipeline", "stages"],
        tests_may_use: &[],
        never: &[STORES[0], STORES[1], "axum", "clap", "aws-config"],
    },
];

fn manifest(folder: &str) -> Table {
    let path = e2e::repository().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn table<'a>(manifest: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter()
        .try_fold(manifest, |table, key| table.get(*key).and_then(Value::as_table))
}

/// All tables of dependencies: their names, and what is in them. `[target.….dependencies]` are among them.
fn dependencies(manifest: &Table) -> Vec<(&'static str, &Table)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = table(manifest, &["target"])
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|part| {
            KINDS
                .into_iter()
                .filter_map(|kind| Some((kind, table(part, &[kind])?)))
        })
        .collect()
}

#[test]
fn every_crate_has_its_place_in_the_house() {
    let root = manifest("");
    let members: BTreeSet<&str> = table(&root, &["workspace"])
        .and_then(|workspace| workspace["members"].as_array())
        .expect("the root manifest lists its members")
        .iter()
        .map(|member| member.as_str().expect("a member is a path"))
        .collect();
    let places: BTreeSet<&str> = HOUSE.iter().map(|place| place.folder).collect();
    assert_eq!(
        members, places,
        "the workspace's members, and the table in this test"
    );
    for place in HOUSE {
        let manifest = manifest(place.folder);
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(place.name),
            "{}",
            place.folder
        );
    }
}

#[test]
fn crates_use_only_whom_they_may() {
    let ours: BTreeSet<&str> = HOUSE.iter().map(|place| place.name).collect();
    for place in HOUSE {
        for (kind, used) in dependencies(&manifest(place.folder)) {
            for name in used.keys().map(String::as_str).filter(|name| ours.contains(name)) {
                let is_test = kind == "dev-dependencies";
                // A crate's own tests may use the crate with another feature on.
                let may = place.may_use.contains(&name) || is_test && place.tests_may_use.contains(&name);
                assert!(
                    may,
                    "{} must not use {name} ({kind}): see ARCHITECTURE.md",
                    place.name
                );
            }
        }
    }
}

/// What `cargo tree` says is linked into a crate, with the features that it has by itself.
fn linked_into(name: &str) -> BTreeMap<String, String> {
    linked(name, &[])
}

fn linked(name: &str, features: &[&str]) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(e2e::repository())
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--package", name])
        .args(features)
        .output()
        .expect("cargo runs these tests, so it is here");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let crates: BTreeMap<String, String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        .collect();
    assert!(crates.contains_key(name), "cargo tree says nothing of {name}");
    crates
}

#[test]
fn nothing_is_linked_in_where_it_must_not_be() {
    for place in HOUSE {
        let crates = linked_into(place.name);
        for name in place.never {
            // `schemars` is behind the contract's feature `schema`, which only the tests switch on.
            assert!(
                !crates.contains_key(*name),
                "{} links {name}; see why: cargo tree -p {} -i {name}",
                place.name,
                place.name
            );
        }
    }
    // The list above holds something: what a crate does link is found.
    assert!(linked_into("backend-local").contains_key("libsqlite3-sys"));
}

/// Who has no use for AWS need not carry it about.
#[test]
fn a_producer_without_aws_links_nothing_of_it() {
    let crates = linked("producer", &["--no-default-features"]);
    for name in ["backend-aws", "aws-config", "hyper", "rustls"] {
        assert!(!crates.contains_key(name), "{name} is linked");
    }
    assert!(linked_into("producer").contains_key("backend-aws"));
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    for place in HOUSE {
        let manifest = manifest(place.folder);
        for (kind, used) in dependencies(&manifest) {
            for (name, entry) in used {
                let is_inherited = entry.get("workspace").and_then(Value::as_bool) == Some(true);
                assert!(
                    is_inherited,
                    "{}, {kind}: write `{name}.workspace = true`",
                    place.folder
                );
                assert!(
                    ["version", "path", "git"]
                        .into_iter()
                        .all(|key| entry.get(key).is_none()),
                    "{}, {kind}: {name} says where it comes from; that stands in the root",
                    place.folder
                );
            }
        }
    }
}

#[test]
fn every_manifest_inherits_what_is_the_same_for_all() {
    let root = manifest("");
    let shared = table(&root, &["workspace", "package"]).expect("the root says what all share");
    assert_eq!(
        shared["publish"].as_bool(),
        Some(false),
        "nothing here is published"
    );
    assert_eq!(shared["license"].as_str(), Some("Apache-2.0"));
    for place in HOUSE {
        let manifest = manifest(place.folder);
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = table(&manifest, &["package", key]).and_then(|entry| entry.get("workspace"));
            assert_eq!(
                inherited.and_then(Value::as_bool),
                Some(true),
                "{}: write `{key}.workspace = true`",
                place.folder
            );
        }
        let lints = table(&manifest, &["lints"]).and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(Value::as_bool),
            Some(true),
            "{}: [lints] workspace = true",
            place.folder
        );
        let description = manifest["package"].get("description").and_then(Value::as_str);
        assert!(
            description.is_some_and(|text| text.len() > 20),
            "{}: say what it is",
            place.folder
        );
    }
}
