//! `worker spec check FILE`

use std::path::PathBuf;
use std::process::ExitCode;

use pipeline::Spec;
use pipeline::spec::{self, MAX_SPEC_BYTES, Problem, Setting, StageParams};
use serde_json::{Value, json};

use super::told::Told;
use crate::output;

/// What `worker spec check` is told.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The specification, a TOML file
    pub spec: PathBuf,
    /// Gives the specification's parameter NAME another value; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,
    /// Prints one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The exit code of a specification that is to be mended.
const WRONG: u8 = 2;

pub(super) fn perform(args: &CheckArgs) -> ExitCode {
    let file = args.spec.display().to_string();
    let checked = read(&args.spec).and_then(|text| checked(&text, args.set.clone()));
    match checked {
        Ok(spec) => {
            let told = Told::of(&spec);
            let text = match args.json {
                true => format!("{}\n", json!({ "file": file, "valid": true, "plan": told })),
                false => format!("{file} is right.\n\n{told}"),
            };
            output::end_with(text, ExitCode::SUCCESS)
        }
        Err(problems) if args.json => {
            let problems: Vec<Value> = problems.iter().map(as_json).collect();
            let told = json!({ "file": file, "valid": false, "problems": problems });
            output::end_with(format_args!("{told}\n"), ExitCode::from(WRONG))
        }
        Err(problems) => {
            output::tell(as_text(&file, &problems).trim_end());
            ExitCode::from(WRONG)
        }
    }
}

fn read(path: &std::path::Path) -> Result<String, Vec<Problem>> {
    use std::io::Read as _;
    // One byte more than is taken: then the loader says that it is too long.
    let most = MAX_SPEC_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|e| one(format!("cannot be read: {e}")))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        one(format!("is no text in UTF-8: byte {at} is wrong"))
    })
}

fn one(message: String) -> Vec<Problem> {
    vec![Problem {
        line: None,
        key: String::new(),
        message,
    }]
}

fn checked(text: &str, set: Vec<Setting>) -> Result<Spec, Vec<Problem>> {
    let overrides = spec::by_name(text, set).map_err(one)?;
    let spec = spec::load(text, &overrides).map_err(|problems| problems.0)?;
    let problems = queries(&spec);
    match problems.is_empty() {
        true => Ok(spec),
        false => Err(problems),
    }
}

/// What is wrong with the queries, as far as that can be told without the data.
fn queries(spec: &Spec) -> Vec<Problem> {
    let check = |step: &pipeline::spec::Step| {
        let (sql, sources) = match &step.params {
            StageParams::Extract(extract) => (extract.sql.as_ref()?, &extract.sources),
            StageParams::Predict(predict) => (predict.sql.as_ref()?, &predict.sources),
            _ => return None,
        };
        let tables: Vec<&str> = sources.keys().map(String::as_str).collect();
        let message = stages::check_sql(sql, &tables).err()?;
        Some(Problem {
            line: None,
            key: format!("{}.sql", step.step),
            message,
        })
    };
    spec.steps.iter().filter_map(check).collect()
}

fn as_json(problem: &Problem) -> Value {
    let Problem { line, key, message } = problem;
    json!({ "line": line, "key": key, "message": message })
}

/// As compilers do: `file:line: key: what`, which editors can jump to.
fn as_text(file: &str, problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "1 thing is wrong:\n".to_owned(),
        n => format!("{n} things are wrong:\n"),
    };
    for Problem { line, key, message } in problems {
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        let key = match key.as_str() {
            "" => String::new(),
            key => format!(" {key}:"),
        };
        text.push_str(&format!("{file}{line}:{key} {message}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_with_file_and_line() {
        let problems = checked(
            "pipeline = \"p\"\n[data]\nsource = \"a.csv\"\nlabl = \"y\"\n",
            Vec::new(),
        )
        .expect_err("a typing mistake");
        let text = as_text("p.toml", &problems);
        assert!(
            text.contains("p.toml:4: data.labl: unknown key; did you mean `label`?"),
            "{text}"
        );
        let typo = problems
            .iter()
            .find(|p| p.key == "data.labl")
            .expect("it was told");
        assert_eq!(as_json(typo)["line"], 4);
    }

    #[test]
    fn a_query_is_checked() {
        let text = "pipeline = \"p\"\n[data]\nsource = \"a.csv\"\nlabel = \"y\"\nsql = \"SELECT * FROM read_csv('b.csv')\"\n";
        let problems = checked(text, Vec::new()).expect_err("files are sources");
        assert_eq!(problems[0].key, "extract.sql");
        assert!(
            problems[0].message.contains("only sources can"),
            "{}",
            problems[0].message
        );
    }

    #[test]
    fn settings_count() {
        let text =
            "pipeline = \"p\"\n[parameters]\ny = \"a\"\n[data]\nsource = \"a.csv\"\nlabel = \"${y}\"\n";
        let spec = checked(text, vec!["y=b".parse().expect("a setting")]).expect("right");
        assert!(Told::of(&spec).to_string().contains("predicts b"));
        assert!(checked(text, vec!["x=b".parse().expect("a setting")]).is_err());
    }
}
