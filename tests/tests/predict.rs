//! What was deployed is used: `worker predict`, and moving aliases by `producer models`.

use std::path::{Path, PathBuf};

use e2e::harness::{Fleet, Said};
use e2e::repository;

struct Penguins {
    fleet: Fleet,
    folder: tempfile::TempDir,
}

impl Penguins {
    fn new() -> Self {
        Self {
            fleet: Fleet::new(),
            folder: tempfile::tempdir().expect("makes a folder"),
        }
    }

    /// Makes a version of the model.
    fn train(&self, key: &str) {
        let path = repository().join("examples/penguins/pipeline.toml");
        let path = path.to_string_lossy();
        self.fleet
            .worker(&["run", &path, "--json", "--key", key])
            .expect_code(0);
    }

    fn predict(&self, model: &str, output: &str) -> (Said, PathBuf) {
        let input = repository().join("examples/penguins/data/penguins.csv");
        let output = self.folder.path().join(output);
        let said = self.fleet.worker(&[
            "predict",
            "--model",
            model,
            "--input",
            &input.to_string_lossy(),
            "--output",
            &output.to_string_lossy(),
            "--keep",
            "species",
            "--json",
        ]);
        (said, output)
    }

    fn models(&self, arguments: &[&str]) -> serde_json::Value {
        self.fleet
            .producer(&[&["--json", "models"], arguments].concat())
            .expect_code(0)
            .json()
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// The model's own file, and one that is written otherwise.
#[test]
fn a_file_is_read_as_the_one_that_the_model_was_trained_on() {
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let rows: String = (0..200)
        .map(|row| {
            format!(
                "{};{}\n",
                if row % 9 == 0 {
                    "?".into()
                } else {
                    (row % 50).to_string()
                },
                row % 50 / 25
            )
        })
        .collect();
    std::fs::write(path("semi.csv"), format!("size;big\n{rows}")).expect("writes");
    let commas = format!("size,big\n{rows}").replace(';', ",");
    std::fs::write(path("comma.csv"), commas).expect("writes");
    let spec = "pipeline = \"semi\"\n[data]\nlabel = \"big\"\nsource = { path = \"semi.csv\", separator = \";\", nulls = [\"?\"] }\n[[candidates]]\nmodel = \"linear\"\n";
    std::fs::write(path("semi.toml"), spec).expect("writes");
    fleet.worker(&["run", &path("semi.toml")]).expect_code(0);
    let predict = |input: &str, output: &str, more: &[&str]| {
        let (input, output) = (path(input), path(output));
        let fixed = [
            "predict", "--model", "semi", "--input", &input, "--output", &output,
        ];
        fleet.worker(&[&fixed, more].concat())
    };
    predict("semi.csv", "one.csv", &[]).expect_code(0);
    predict("comma.csv", "two.csv", &["--separator", ","]).expect_code(0);
    let (one, two) = (
        lines(Path::new(&path("one.csv"))),
        lines(Path::new(&path("two.csv"))),
    );
    assert_eq!((one.len(), &one), (201, &two));
    let said = predict("semi.csv", "three.csv", &["--nulls", "-"]).expect_code(1);
    assert!(said.stderr.contains("size"), "{said:?}");
}

#[test]
fn a_model_predicts_as_it_did_and_aliases_move_there_and_back() {
    let penguins = Penguins::new();
    penguins.train("first");
    let (said, one) = penguins.predict("penguins", "one.csv");
    said.expect_code(0);
    let rows = lines(&one);
    assert_eq!(rows.len(), 345, "a header and as many rows as there are penguins");
    assert!(
        rows[0].contains("prediction") && rows[0].contains("species"),
        "{}",
        rows[0]
    );
    let right = rows[1..].iter().filter(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        cells.iter().filter(|cell| **cell == cells[0]).count() >= 2
    });
    assert!(
        right.count() > 330,
        "the species beside the prediction is nearly always the same"
    );

    penguins.train("second");
    penguins.models(&["promote", "penguins", "first", "--reason", "a test"]);
    let champion = |penguins: &Penguins| penguins.models(&["list"])[0]["version"].clone();
    assert_eq!(champion(&penguins), "first");
    penguins.models(&["promote", "penguins", "second", "--reason", "a test"]);
    assert_eq!(champion(&penguins), "second");
    penguins.models(&["rollback", "penguins"]);
    assert_eq!(champion(&penguins), "first");
    let history = penguins.models(&["history", "penguins"]);
    assert!(history.as_array().is_some_and(|h| h.len() >= 4), "{history}");

    let (said, by_version) = penguins.predict("penguins@first", "version.csv");
    said.expect_code(0);
    assert_eq!(lines(&by_version), rows, "the same package predicts the same");

    let (said, _) = penguins.predict("pinguins", "none.csv");
    assert!(said.expect_code(3).stderr.contains("pinguins"));
}

#[test]
fn t06_a_package_with_one_flipped_bit_is_refused() {
    let penguins = Penguins::new();
    penguins.train("one");
    let package = penguins.fleet.folder().join("artifacts/r/one/deploy/0/a1");
    for name in ["model.bin", "features.bin", "signature.json", "package.json"] {
        let path = package.join(name);
        let good = std::fs::read(&path).expect("reads");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::remove_file(&path).expect("removes");
        std::fs::write(&path, &bad).expect("writes");
        let (said, output) = penguins.predict("penguins", &format!("{name}.csv"));
        println!("{name}: {}", said.stderr.trim());
        assert!(said.code != 0 && !output.exists(), "{name}: {said:?}");
        assert!(
            !said.stderr.contains("panicked") && said.stderr.contains("package")
                || said.stderr.contains(name),
            "{said:?}"
        );
        std::fs::remove_file(&path).expect("removes");
        std::fs::write(&path, &good).expect("writes");
    }
    let (said, _) = penguins.predict("penguins", "whole.csv");
    said.expect_code(0);
}
