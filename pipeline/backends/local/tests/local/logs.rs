//! What workers logged.

use std::fs;

use pipeline::id::{RunId, StepName};

use crate::host;

fn line(at: u32, text: &str) -> String {
    format!(r#"{{"timestamp":"2026-11-23T00:00:{at:02}Z","message":"{at}",{text}}}"#)
}

/// Several workers, every place where a line may name its run, broken lines and foreign ones.
#[test]
fn lines_of_a_run_come_oldest_first_from_all_workers() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let one = [
            line(3, r#""run.id":"run","step":"train""#),
            "not json, but it names run".into(),
            line(1, r#""span":{"name":"attempt","run.id":"run","step":"extract"}"#),
            line(9, r#""run.id":"another-run""#),
            format!(
                r#"{{"timestamp":"2026","run.id":"run","long":"{}"}}"#,
                "x".repeat(100_000)
            ),
            line(5, r#""run.id":"run","step":"train""#),
        ];
        let two = [
            line(2, r#""spans":[{"name":"pool"},{"run.id":"run","step":"train"}]"#),
            r#"{"timestamp":"2026-11-23T00:00:04Z","run.id":"run","step":"tra"#.into(),
            line(4, r#""fields":{"run.id":"run","step":"train"}"#),
        ];
        fs::write(local.log_folder.join("a.jsonl"), one.join("\n")).expect("written");
        fs::write(local.log_folder.join("b.jsonl"), two.join("\n") + "\n").expect("written");
        fs::write(
            local.log_folder.join("c.jsonl"),
            [0xff, 0xfe, b'r', b'u', b'n', b'\n'],
        )
        .expect("written");
        fs::write(local.log_folder.join("notes.txt"), line(0, r#""run.id":"run""#)).expect("written");
        let read = async |step: Option<&str>, max| {
            let run = RunId::new("run").expect("valid");
            let step = step.map(|s| StepName::new(s).expect("valid"));
            let lines = local
                .backend
                .fleet
                .read_logs(&run, step.as_ref(), max)
                .await
                .expect("read");
            lines
                .iter()
                .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["message"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(read(None, 10).await, ["1", "2", "3", "4", "5"]);
        assert_eq!(read(None, 2).await, ["4", "5"]);
        assert_eq!(read(Some("train"), 10).await, ["2", "3", "4", "5"]);
        assert_eq!(read(Some("extract"), 10).await, ["1"]);
        assert!(read(Some("none"), 10).await.is_empty());
        assert!(read(None, 0).await.is_empty());
    });
}
