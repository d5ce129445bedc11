//! What a producer finds besides what its backend says of itself: clocks, disks, versions, and who is there.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use pipeline::diagnosis::{ClockReading, Finding, Verdict};
use pipeline::ports::{Pause, Presence};

use crate::render::{count, duration, size};

/// With less, hardly anything can be stored.
const TOO_LITTLE_BYTES: u64 = 128 * 1024 * 1024;
/// With less, the next data set may not fit.
const LITTLE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// A run makes dozens of files.
const FEW_FILES: u64 = 1_000;

/// How our clock is beside the backend's, for a lease of that length.
pub fn clock(reading: ClockReading, lease: Duration) -> Finding {
    match reading.complaint(lease) {
        None => Finding::ok(
            "clock",
            format!(
                "{} from the backend's, and {} are allowed",
                duration(reading.skew()),
                duration(ClockReading::most_skew(lease)),
            ),
        ),
        Some(told) => {
            let advice = "set the clock, and keep it set (`timedatectl set-ntp true`): a worker on this machine takes no work";
            Finding::failed("clock", told, advice)
        }
    }
}

/// What is free where a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// For this user.
    pub free_bytes: u64,
    /// How many more files there may be; none if there is no limit to them.
    pub free_files: Option<u64>,
}

impl Space {
    /// As the file system says.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let told = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free_bytes: told.f_bavail.saturating_mul(told.f_frsize),
            free_files: (told.f_files > 0).then_some(told.f_favail),
        })
    }
}

/// Whether there is room in a folder that is used for `what`.
pub fn disk(folder: &Path, what: &str, space: io::Result<Space>) -> Finding {
    let finding = match space {
        Err(e) => Finding::failed(
            "disk",
            format!("cannot look at {what}: {e}"),
            "make the folder, or let this user into it",
        ),
        Ok(Space { free_bytes, .. }) if free_bytes < TOO_LITTLE_BYTES => Finding::failed(
            "disk",
            format!("{} are free for {what}", size(free_bytes)),
            "free some space: artifacts and what is being worked on will not fit",
        ),
        Ok(Space {
            free_files: Some(files),
            ..
        }) if files < FEW_FILES => Finding::failed(
            "disk",
            format!("{files} more files are possible for {what}"),
            "remove small files: the file system has no room for more of them (`df -i`)",
        ),
        Ok(Space { free_bytes, .. }) if free_bytes < LITTLE_BYTES => Finding::warning(
            "disk",
            format!("{} are free for {what}", size(free_bytes)),
            "free some space before the next large data set; `producer gc` removes runs that ended long ago",
        ),
        Ok(Space { free_bytes, .. }) => {
            Finding::ok("disk", format!("{} are free for {what}", size(free_bytes)))
        }
    };
    finding.of(folder.display().to_string())
}

/// Which versions work, beside that of this producer.
pub fn versions(ours: &str, workers: &[Presence]) -> Vec<Finding> {
    let mut found = vec![Finding::ok("version", ours).of("producer")];
    if workers.is_empty() {
        found.push(Finding::warning(
            "workers",
            "none is there",
            "start some: `worker pool --stages all`; on AWS, messages wake those that scale from zero \
             (deploy/RUNBOOK.md, no-task)",
        ));
    }
    let mut by_version = BTreeMap::<&str, usize>::new();
    for worker in workers {
        *by_version.entry(&worker.version).or_default() += 1;
    }
    let is_mixed = by_version.len() > 1;
    for (version, number) in by_version {
        let told = format!("{} of version {version}", count(number, "worker"));
        found.push(match (version == ours || !is_version(version), is_mixed) {
            (true, false) => Finding::ok("workers", told),
            (true, true) => Finding::warning(
                "workers",
                format!("{told}, and others are of another"),
                "versions next to each other work side by side; if a deployment is not under way, deploy the rest",
            ),
            (false, _) => Finding::warning(
                "workers",
                format!("{told}, and this producer is of {ours}"),
                "versions next to each other work side by side; if a deployment is not under way, deploy or install \
                 what is older",
            ),
        });
    }
    found
}

/// True of `0.1.0` and its like. A build may have a name instead, as the tag of its image, which compares with no version.
fn is_version(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

/// Stages that people paused, which is forgotten easily.
pub fn pauses(pauses: &[Pause]) -> Vec<Finding> {
    let told = |pause: &Pause| {
        Finding::warning(
            "pause",
            format!("since {}: {}", pause.since, pause.reason),
            format!("`producer unpause {}`, if it is over", pause.stage),
        )
        .of(pause.stage.as_str())
    };
    pauses.iter().map(told).collect()
}

/// Findings that differ in nothing but what they are of, as one.
#[derive(Debug)]
pub struct Group<'a> {
    /// The first of them.
    pub first: &'a Finding,
    /// What they are of.
    pub of: Vec<&'a str>,
}

/// The findings as people read them: nobody wants to read the same sentence of fifty queues.
pub fn grouped(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in findings {
        let of = finding.of.as_deref();
        let same = groups.iter_mut().find(|group| {
            let first = group.first;
            (first.check, first.verdict, &first.told, first.of.is_some())
                == (finding.check, finding.verdict, &finding.told, of.is_some())
        });
        match same {
            Some(group) => group.of.extend(of),
            None => groups.push(Group {
                first: finding,
                of: of.into_iter().collect(),
            }),
        }
    }
    groups
}

impl Group<'_> {
    /// What was looked at: `queue f-train`, `queue f-train, f-train-large`, `23 of queue`.
    pub fn subject(&self) -> String {
        const WIDTH: usize = 72;
        let check = self.first.check;
        let names = self.of.join(", ");
        match self.of.len() {
            0 => check.to_owned(),
            n if n > 1 && self.first.verdict == Verdict::Ok => format!("{check} ({n} of them)"),
            n if names.len() > WIDTH => {
                let mut shown = String::new();
                let fit = self.of.iter().take_while(|name| {
                    shown.push_str(name);
                    shown.len() < WIDTH
                });
                let shown = fit.count().max(1);
                match n - shown {
                    0 => format!("{check} {names}"),
                    more => format!("{check} {} and {more} more", self.of[..shown].join(", ")),
                }
            }
            _ => format!("{check} {names}"),
        }
    }
}

#[cfg(test)]
mod tests;
