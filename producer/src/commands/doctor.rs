//! `producer doctor`: what is broken, and what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::Address;
use pipeline::diagnosis::{Examination, Finding, Verdict};
use pipeline::ports::{Backend, Host, PortResult};
use serde::Serialize;

use crate::backend;
use crate::doctor::{self, Space};
use crate::exit::{Exit, Failure};
use crate::queues::queues_of;
use crate::render::{Colour, Output, count};

/// Look whether everything is there and right that a fleet needs, and say what to do.
///
/// On AWS: credentials, endpoints, the table, the bucket, each queue, what these credentials may do, and the clock. In a
/// folder: that it can be written to, the database's form, that it is whole, and its journal. Everywhere: disks, versions,
/// pauses. Nothing is changed: a write is tried under a condition that cannot hold, an upload is begun and given up.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Each check ends as ok, warning, FAILED or skipped. One that is not ok says what to do; one that is broken never hides the \
others. It ends within a minute, whatever does not answer.

What it sees is what these credentials may do from this machine. Workers on AWS have roles of their own: run it there, \
with theirs, to see what they see.

Examples:
  producer doctor
  producer doctor --backend aws:fleetline
  producer doctor --json | jq '.checks[] | select(.verdict == \"failed\")'

JSON: {failed, warnings, checks: [{check, of, verdict, told, advice, took_ms}]}; failed and warnings are numbers, verdict is \
ok, warning, failed or skipped.
Exit codes: 0 if nothing failed, 1 if something did.")]
pub struct Args {
    /// The lease that workers have: clocks may differ by a quarter of it
    #[arg(long, env = "FLEETLINE_LEASE", hide_env_values = true, default_value = "30s")]
    #[arg(value_name = "DURATION", value_parser = humantime::parse_duration)]
    lease: Duration,
    /// Where attempts of this machine have their folders [default: the system's folder for temporary files]
    #[arg(
        long,
        env = "FLEETLINE_SCRATCH",
        hide_env_values = true,
        value_name = "FOLDER"
    )]
    scratch: Option<PathBuf>,
    /// The components whose queues are looked at, as deploy/components.toml has them [default: those of this version]
    #[arg(long, value_name = "FILE")]
    components: Option<PathBuf>,
    /// Also look at the queues of the stages that only tests and benches use
    #[arg(long)]
    test_stages: bool,
}

/// How long the backend may take to say who is there.
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct View<'a> {
    failed: usize,
    warnings: usize,
    checks: Vec<CheckView<'a>>,
}

#[derive(Serialize)]
struct CheckView<'a> {
    check: &'a str,
    of: Option<&'a str>,
    verdict: Verdict,
    told: &'a str,
    advice: Option<&'a str>,
    took_ms: Option<u64>,
}

pub(crate) async fn perform(
    address: &Address,
    host: &Host,
    output: Output,
    args: Args,
) -> Result<Exit, Failure> {
    let queues = queues_of(args.components.as_deref(), args.test_stages)?;
    let Examination {
        mut findings,
        clock,
        backend,
    } = Box::pin(backend::examine(address, &queues, host)).await?;
    match clock {
        Some(reading) => findings.push(doctor::clock(reading, args.lease)),
        None if findings.iter().any(|finding| finding.check == "clock") => {}
        None => findings.push(Finding::skipped("clock", "the backend tells no time")),
    }
    let scratch = args.scratch.unwrap_or_else(tempfile::env::temp_dir);
    findings.push(disk(&scratch, "what is being worked on"));
    if let Address::Local(folder) = address
        && folder.exists()
    {
        findings.push(disk(folder, "the fleet's folder"));
    }
    findings.extend(fleet(backend.as_ref(), host).await);
    tell(&findings, &output)
}

fn disk(folder: &Path, what: &str) -> Finding {
    doctor::disk(folder, what, Space::of(folder))
}

/// Who is there, of which version, and which stages are paused.
async fn fleet(backend: Option<&Backend>, host: &Host) -> Vec<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let ask = async {
        let Some(backend) = backend else {
            return Ok(None);
        };
        let workers = backend.fleet.workers(host.clock.now()).await?;
        let pauses = backend.fleet.pauses().await?;
        PortResult::Ok(Some((workers, pauses)))
    };
    let asked = tokio::select! {
        biased;
        asked = ask => asked,
        () = host.clock.sleep(LONGEST) => Ok(None),
    };
    match asked {
        Ok(Some((workers, pauses))) => {
            let mut found = doctor::versions(ours, &workers);
            found.extend(doctor::pauses(&pauses));
            found
        }
        Ok(None) | Err(_) => {
            let why = match asked {
                Err(e) => e.to_string(),
                _ => "the backend cannot be asked who is there".to_owned(),
            };
            vec![
                Finding::ok("version", ours).of("producer"),
                Finding::skipped("workers", why),
            ]
        }
    }
}

fn tell(findings: &[Finding], output: &Output) -> Result<Exit, Failure> {
    let number = |verdict| findings.iter().filter(|of| of.verdict == verdict).count();
    let (failed, warnings) = (number(Verdict::Failed), number(Verdict::Warning));
    if output.is_json() {
        let view = |finding: &Finding| pipeline::time::millis(finding.took.unwrap_or_default());
        let checks = findings.iter().map(|finding| CheckView {
            check: finding.check,
            of: finding.of.as_deref(),
            verdict: finding.verdict,
            told: &finding.told,
            advice: finding.advice.as_deref(),
            took_ms: finding.took.is_some().then(|| view(finding)),
        });
        output.json(&View {
            failed,
            warnings,
            checks: checks.collect(),
        })?;
    } else {
        for group in doctor::grouped(findings) {
            let (word, colour) = match group.first.verdict {
                Verdict::Ok => ("ok     ", Colour::Green),
                Verdict::Skipped => ("skipped", Colour::Dim),
                Verdict::Warning => ("warning", Colour::Yellow),
                Verdict::Failed => ("FAILED ", Colour::Red),
            };
            let word = output.paint(word, Some(colour));
            let told = crate::render::printable(&format!("{}: {}", group.subject(), group.first.told));
            output.line(&format!("{word}  {told}"))?;
            if let Some(advice) = &group.first.advice {
                output.line(&format!("         > {}", crate::render::printable(advice)))?;
            }
        }
        output.say(&match (failed, warnings) {
            (0, 0) => "all is well".to_owned(),
            (0, _) => format!("nothing failed; {}", count(warnings, "warning")),
            (_, 0) => format!("{} FAILED", count(failed, "check")),
            (_, _) => format!(
                "{} FAILED, {}",
                count(failed, "check"),
                count(warnings, "warning")
            ),
        });
    }
    Ok(if failed > 0 { Exit::Error } else { Exit::Done })
}
