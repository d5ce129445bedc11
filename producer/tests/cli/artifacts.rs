//! What steps wrote: listed, fetched, checked.

use pipeline::artifact::Origin;
use pipeline::{ArtifactKey, ArtifactName, StepName};
use serde_json::json;

use crate::support::{Place, Worker, id};

#[test]
fn artifacts_are_listed_and_fetched() {
    let place = Place::new();
    place.submit("r");
    assert!(
        place
            .run(&["artifacts", "list", "r"])
            .err
            .contains("no step of run r has committed")
    );
    Worker::new(&place).step(&[("rows.txt", "1 2 3\n"), ("blob.bin", "\u{0}\u{1}")]);
    let list = place.json(&["artifacts", "list", "r"]);
    assert_eq!(
        (
            list[0]["step"].clone(),
            list[0]["attempt"].clone(),
            list[0]["size_bytes"].clone()
        ),
        (json!("extract"), json!(1), json!(6))
    );
    assert!(place.ok(&["artifacts", "list", "r"]).contains("rows.txt"));

    assert_eq!(
        place.ok(&["artifacts", "get", "r", "extract", "rows.txt"]),
        "1 2 3\n"
    );
    assert_eq!(
        place.ok(&["artifacts", "get", "r", "extract", "blob.bin"]),
        "\u{0}\u{1}"
    );
    place.write("out.txt", "old");
    let got = place.json(&["artifacts", "get", "r", "extract", "rows.txt", "-o", "out.txt"]);
    assert_eq!(got["file"], json!("out.txt"));
    assert_eq!(
        std::fs::read_to_string(place.path().join("out.txt")).expect("written"),
        "1 2 3\n"
    );

    for (args, code, part) in [
        (vec!["r", "extract", "nope"], 3, "wrote no artifact nope"),
        (
            vec!["r", "report", "rows.txt"],
            3,
            "no committed result of report",
        ),
        (
            vec!["r", "extract/1", "rows.txt"],
            3,
            "no committed result of extract/1",
        ),
        (vec!["r", "extract/x", "rows.txt"], 2, "train/3"),
        (vec!["r", "extract", "../rows.txt"], 2, "artifact name"),
        (
            vec!["r", "extract", "rows.txt", "-o", "no/such/folder"],
            1,
            "no/such",
        ),
        (vec!["r", "extract", "rows.txt", "--json"], 2, "-o FILE"),
    ] {
        let ran = place.run(&[&["artifacts", "get"], args.as_slice()].concat());
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_damaged_artifact_is_not_handed_out() {
    let place = Place::new();
    place.submit("r");
    let worker = Worker::new(&place);
    worker.step(&[("rows.txt", "1 2 3\n")]);
    let origin = Origin {
        run: id("r"),
        step: StepName::new("extract").expect("an id"),
        ordinal: 0,
        attempt: 1,
    };
    let key = ArtifactKey::Attempt(origin, ArtifactName::new("rows.txt").expect("a name"));
    let file = worker.backend.artifacts.locate(&key);
    std::fs::remove_file(&file).expect("it is there");
    std::fs::write(&file, "1 2 4\n").expect("it can be written");

    for output in [vec![], vec!["-o", "out.txt"]] {
        let ran = place.run(
            &[
                &["artifacts", "get", "r", "extract", "rows.txt"],
                output.as_slice(),
            ]
            .concat(),
        );
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains("r/r/extract/0/a1/rows.txt"), "{}", ran.err);
    }
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(
        place.run(&["artifacts", "get", "r", "extract", "rows.txt"]).code,
        3
    );
    let left: Vec<String> = std::fs::read_dir(place.path())
        .expect("the folder is there")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a text")
        })
        .filter(|name| name != "fleet" && name != "spec.toml")
        .collect();
    assert_eq!(left, [] as [&str; 0], "nothing is left lying about");
}
