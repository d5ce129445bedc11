//! `worker spec init DATA --label COLUMN`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::output;

/// What `worker spec init` is told.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The data: a CSV, Parquet or NDJSON file, packed or not
    pub data: PathBuf,
    /// The column that is to be predicted
    #[arg(long, value_name = "COLUMN")]
    pub label: String,
    /// The pipeline's name; made from the file's name unless given
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
}

/// The exit code of data that no specification can be written for.
const WRONG: u8 = 2;

pub(super) fn perform(args: &InitArgs) -> ExitCode {
    match written(args) {
        Ok(text) => output::end_with(text, ExitCode::SUCCESS),
        Err(why) => {
            output::tell(why);
            ExitCode::from(WRONG)
        }
    }
}

fn written(args: &InitArgs) -> Result<String, String> {
    if !args.data.is_file() {
        return Err(format!("{}: there is no such file", args.data.display()));
    }
    let path = args
        .data
        .to_str()
        .ok_or("the path of the data is no text in UTF-8")?;
    let name = match &args.pipeline {
        Some(name) => name.clone(),
        None => name_of(&args.data),
    };
    pipeline::PipelineName::new(name.as_str()).map_err(|e| format!("--pipeline {name}: {e}"))?;
    let scratch = tempfile::tempdir().map_err(|e| format!("cannot make a folder for unpacked data: {e}"))?;
    stages::starter(&args.data, path, &args.label, &name, scratch.path()).map_err(|e| e.to_string())
}

/// The file's name up to its first point, as an id.
fn name_of(path: &Path) -> String {
    let file = path
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    let id: String = stem
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect();
    match id.trim_matches('-') {
        "" => "pipeline".to_owned(),
        id => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_named_after_its_data() {
        for (path, name) in [
            ("data/Flights 2013.csv.gz", "flights-2013"),
            ("ü.csv", "pipeline"),
            (".csv", "pipeline"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let args = |data: &str, pipeline: Option<&str>| InitArgs {
            data: data.into(),
            label: "y".into(),
            pipeline: pipeline.map(str::to_owned),
        };
        assert!(
            written(&args("no/such.csv", None))
                .expect_err("no file")
                .contains("no such file")
        );
        let folder = tempfile::tempdir().expect("makes a folder");
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "x,y\n1,0\n2,1\n").expect("writes");
        let file = file.to_str().expect("a text");
        assert!(
            written(&args(file, Some("No Id")))
                .expect_err("no id")
                .contains("--pipeline")
        );
        let text = written(&args(file, None)).expect("writes a specification");
        pipeline::spec::load(&text, &pipeline::spec::Overrides::new()).expect("it loads");
    }
}
