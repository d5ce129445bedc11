use std::collections::BTreeMap;

use pipeline::artifact::{Artifact, ArtifactRef, Origin};
use pipeline::item::CacheNote;
use pipeline::registry::{ModelVersion, Registration};
use pipeline::spec::{Overrides, load};
use pipeline::stage::{FoundModel, SourceFile};
use pipeline::{ArtifactKey, ArtifactName, RunId, StepName};

use super::*;

const TWO_CANDIDATES: &str = r#"
pipeline = "p"
seed = 1
[[steps]]
stage = "extract"
params = { sources = { flights = "a/flights.csv" }, label = "late" }
[[steps]]
stage = "train"
branches = 2
params = { candidates = [{ model = "linear" }, { model = "boosting", rounds = 10 }] }
[[steps]]
stage = "noop"
"#;

fn assignment(text: &str, step: &str, branch: Option<u32>) -> Assignment {
    Assignment {
        run: RunId::new("r").expect("valid"),
        step: StepName::new(step).expect("valid"),
        branch,
        attempt: 1,
        spec: load(text, &Overrides::new()).expect("a good specification"),
        committed: BTreeMap::new(),
        found: Found::default(),
    }
}

fn identity(assignment: &Assignment, reads: &[Read], code: &str) -> Identity {
    let step = assignment.spec.step(&assignment.step).expect("its own step");
    Identity::of(step, assignment, reads, code).expect("cacheable")
}

fn origin(attempt: u32) -> Origin {
    Origin {
        run: RunId::new("r").expect("valid"),
        step: StepName::new("extract").expect("valid"),
        ordinal: 0,
        attempt,
    }
}

fn manifest(names: &[&str]) -> Manifest {
    let artifact = |name: &&str| Artifact {
        name: ArtifactName::new(*name).expect("valid"),
        sha256: Sha256Digest::of(name.as_bytes()),
        size_bytes: 1,
        table: None,
    };
    Manifest {
        origin: origin(1),
        artifacts: names.iter().map(artifact).collect(),
    }
}

fn read(step: &str, name: &str, attempt: u32, bytes: &[u8]) -> Read {
    Read {
        artifact: ArtifactRef {
            key: ArtifactKey::Attempt(origin(attempt), ArtifactName::new(name).expect("valid")),
            sha256: Sha256Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        },
        path: Path::new(step).join(name),
        table: None,
    }
}

fn source(uri: &str, bytes: &[u8]) -> Found {
    let file = SourceFile {
        uri: uri.to_owned(),
        path: uri.into(),
        sha256: Sha256Digest::of(bytes),
        size_bytes: bytes.len() as u64,
    };
    Found {
        sources: [("flights".to_owned(), vec![file])].into(),
        model: None,
    }
}

#[test]
fn each_part_that_a_result_depends_on_makes_another_key_and_is_told() {
    let train = assignment(TWO_CANDIDATES, "train", Some(1));
    let reads = [read("extract", "train.parquet", 1, b"rows")];
    let base = identity(&train, &reads, "code");

    let other_seed = assignment(&TWO_CANDIDATES.replace("seed = 1", "seed = 2"), "train", Some(1));
    let other_params = assignment(&TWO_CANDIDATES.replace("10", "11"), "train", Some(1));
    let others = [
        (identity(&train, &reads, "other code"), "code"),
        (identity(&other_seed, &reads, "code"), "seed"),
        (identity(&other_params, &reads, "code"), "params"),
        (
            identity(&train, &[read("extract", "train.parquet", 1, b"others")], "code"),
            "input:extract",
        ),
        (
            identity(&train, &[read("extract", "test.parquet", 1, b"rows")], "code"),
            "input:extract",
        ),
    ];
    for (other, part) in &others {
        assert_ne!(other.key(), base.key(), "{part}");
        assert_eq!(other.differences(&base.parts), [*part]);
    }

    // Another run, another attempt, and where the bytes lie, change nothing.
    let mut again = train.clone();
    (again.run, again.attempt) = (RunId::new("r2").expect("valid"), 7);
    let moved = [read("extract", "train.parquet", 3, b"rows")];
    assert_eq!(identity(&again, &moved, "code"), base);
}

#[test]
fn what_another_step_keeps_private_counts() {
    let validate =
        "[[steps]]\nstage = \"validate\"\nparams = { private = [\"name\"] }\n[[steps]]\nstage = \"train\"";
    let kept = TWO_CANDIDATES.replacen("[[steps]]\nstage = \"train\"", validate, 1);
    let before = identity(&assignment(TWO_CANDIDATES, "extract", None), &[], "code");
    let after = identity(&assignment(&kept, "extract", None), &[], "code");
    assert_eq!(after.differences(&before.parts), ["private"]);
}

#[test]
fn how_rows_were_split_counts_where_folds_follow_it() {
    let split =
        "label = \"late\", split = { by = \"hash\", columns = [\"a\"], validation = 0.2, test = 0.2 }";
    let by_hash = |text: &str| text.replacen("label = \"late\"", split, 1);
    let of = |text: &str| identity(&assignment(text, "train", Some(1)), &[], "code");
    assert_eq!(of(&by_hash(TWO_CANDIDATES)), of(TWO_CANDIDATES));
    let folds = TWO_CANDIDATES.replacen("rounds = 10", "rounds = 10, folds = 3", 1);
    assert_eq!(of(&by_hash(&folds)).differences(&of(&folds).parts), ["split"]);
}

#[test]
fn another_candidate_beside_it_changes_nothing_for_a_branch() {
    let more = TWO_CANDIDATES
        .replace("branches = 2", "branches = 3")
        .replace("rounds = 10 }", "rounds = 10 }, { model = \"forest\" }");
    for branch in [0, 1] {
        let before = identity(&assignment(TWO_CANDIDATES, "train", Some(branch)), &[], "code");
        let after = identity(&assignment(&more, "train", Some(branch)), &[], "code");
        assert_eq!(before.key(), after.key());
    }
    let two = [0, 1].map(|branch| identity(&assignment(TWO_CANDIDATES, "train", Some(branch)), &[], "code"));
    assert_ne!(two[0].key(), two[1].key());
}

#[test]
fn sources_count_by_what_they_hold_and_how_they_are_read() {
    let with = |path: &str, found: Found| {
        let mut extract = assignment(&TWO_CANDIDATES.replace("a/flights.csv", path), "extract", None);
        extract.found = found;
        identity(&extract, &[], "code")
    };
    let base = with("a/flights.csv", source("/a/flights.csv", b"1"));
    assert_eq!(with("b/renamed.csv", source("/b/renamed.csv", b"1")), base);
    for (found, why) in [
        (source("/a/flights.csv", b"2"), "other bytes"),
        (source("/a/flights.csv.gz", b"1"), "another way to read them"),
    ] {
        let other = with("a/flights.csv", found);
        assert_eq!(other.differences(&base.parts), ["source:flights"], "{why}");
    }
    for (uri, ending) in [
        ("a.b/x", ""),
        ("a/x.csv", "csv"),
        ("x.csv.gz", "csv.gz"),
        ("x.2013.csv.gz", "csv.gz"),
    ] {
        assert_eq!(endings(uri), ending, "{uri}");
    }
}

#[test]
fn the_model_that_was_compared_with_counts() {
    let model = |revision, version: Option<&[&str]>| {
        let mut extract = assignment(TWO_CANDIDATES, "extract", None);
        let version = version.map(|names| ModelVersion {
            model: "m".parse().expect("valid"),
            run: RunId::new("v").expect("valid"),
            package: manifest(names),
            registered_at: Timestamp(0),
        });
        extract.found.model = Some(FoundModel {
            model: "m".parse().expect("valid"),
            alias: "champion".parse().expect("valid"),
            revision,
            version,
        });
        identity(&extract, &[], "code").key()
    };
    let keys = [
        model(0, None),
        model(1, Some(&["a"])),
        model(2, Some(&["a"])),
        model(1, Some(&["b"])),
    ];
    let different: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(different.len(), keys.len());
}

#[test]
fn deeds_and_what_time_cut_short_are_no_results_to_serve_again() {
    let whole = manifest(&["model.bin"]);
    assert!(may_serve(&Outcome::Advance, &whole));
    assert!(may_serve(&Outcome::Halt { reason: "no".into() }, &whole));
    assert!(!may_serve(
        &Outcome::Advance,
        &manifest(&["model.bin", TIME_LIMITED])
    ));
    let registration = Registration {
        model: "m".parse().expect("valid"),
        promote: None,
        reason: "good".into(),
    };
    assert!(!may_serve(&Outcome::Register(registration), &whole));
    let noop = assignment("pipeline = \"p\"\n[[steps]]\nstage = \"noop\"\n", "noop", None);
    assert_eq!(Identity::of(&noop.spec.steps[0], &noop, &[], "code"), None);
}

/// Whether maps of JSON keep their order or sort their keys is decided by what else a binary is built with.
#[test]
fn the_order_of_keys_in_json_does_not_count() {
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let one = read(r#"{"b": [{"y": 1, "x": 2}], "a": null}"#);
    let other = read(r#"{"a": null, "b": [{"x": 2, "y": 1}]}"#);
    assert_eq!(digest(&one), digest(&other));
    assert_eq!(
        digest(&one),
        Sha256Digest::of(br#"{"a":null,"b":[{"x":2,"y":1}]}"#)
    );
}

#[test]
fn only_a_few_differences_are_kept() {
    let base = identity(&assignment(TWO_CANDIDATES, "train", Some(1)), &[], "code");
    let differs = base.differences(&BTreeMap::new());
    assert_eq!(differs.len(), CacheNote::MAX_DIFFERS);
}
