//! One reason for waiting, and its words.

use pipeline::item::{MemoryClass, QueueName};
use pipeline::ports::Depth;
use pipeline::{StageName, StepName, Timestamp};
use serde::Serialize;

use crate::render::{ago, count, until};

/// One thing that a run waits for, or that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A worker holds the lease of this much work.
    Working {
        /// Which work.
        what: What,
        /// Until when the (first) lease is held.
        lease_until: Timestamp,
    },
    /// Its worker went silent.
    WorkerLost {
        /// Which work.
        what: What,
        /// When the (first) lease ended.
        since: Timestamp,
    },
    /// It failed in a passing way and is tried again later.
    BackingOff {
        /// Which work.
        what: What,
        /// Until when (the first of it).
        until: Timestamp,
        /// What went wrong.
        fault: Option<String>,
    },
    /// All branches are settled, and nobody has closed the fan-out yet.
    Joining {
        /// Which step.
        step: StepName,
        /// When the sweeper does it at the latest.
        next_check: Option<Timestamp>,
    },
    /// Its stage's pools receive nothing.
    Paused {
        /// Which stage.
        stage: StageName,
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: String,
    },
    /// Nobody consumes the queue.
    NoWorker {
        /// Which queue.
        queue: QueueName,
        /// How many workers there are for other queues.
        others: usize,
    },
    /// Its message waits its turn.
    Queued {
        /// Which work.
        what: What,
        /// In which queue.
        queue: QueueName,
        /// How full that is.
        depth: Depth,
    },
    /// The queue is empty although there is work for it.
    MessageLost {
        /// Which work.
        what: What,
        /// Which queue.
        queue: QueueName,
        /// When the sweeper looks next.
        next_check: Option<Timestamp>,
    },
    /// It moved to workers with more memory.
    LargerClass {
        /// Which work.
        what: What,
        /// To which class.
        class: MemoryClass,
    },
    /// The deadline is over; the next sweep fails the run.
    Overdue {
        /// When it was.
        deadline: Timestamp,
    },
    /// When the run fails if it is still open.
    Deadline {
        /// When it is.
        deadline: Timestamp,
    },
}

/// Some work of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// Which step.
    pub step: StepName,
    /// How many of its branches; none for a step that is not fanned out.
    pub branches: Option<usize>,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.branches {
            None => write!(f, "step {}", self.step),
            Some(n) => write!(f, "{} of step {}", count(n, "branch"), self.step),
        }
    }
}

impl Reason {
    /// Its name for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Working { .. } => "working",
            Self::WorkerLost { .. } => "worker_lost",
            Self::BackingOff { .. } => "backing_off",
            Self::Joining { .. } => "joining",
            Self::Paused { .. } => "paused",
            Self::NoWorker { .. } => "no_worker",
            Self::Queued { .. } => "queued",
            Self::MessageLost { .. } => "message_lost",
            Self::LargerClass { .. } => "larger_class",
            Self::Overdue { .. } => "overdue",
            Self::Deadline { .. } => "deadline",
        }
    }

    /// In words, as of `now`.
    pub fn text(&self, now: Timestamp) -> String {
        let swept = |at: &Option<Timestamp>| match at {
            Some(at) => format!("the sweeper looks {}", until(now, (*at).max(now.plus(SOON)))),
            None => "the sweeper covers it".to_owned(),
        };
        match self {
            Self::Working { what, lease_until } => {
                format!(
                    "{what} is being worked on; the lease is held until {lease_until} ({})",
                    until(now, *lease_until)
                )
            }
            Self::WorkerLost { what, since } => format!(
                "{what} lost its worker: the lease ended {}; another worker takes over when the message comes back",
                ago(now, *since)
            ),
            Self::BackingOff {
                what,
                until: at,
                fault,
            } => {
                let fault = fault
                    .as_ref()
                    .map_or_else(String::new, |f| format!("; it failed: {f}"));
                format!("{what} is tried again at {at} ({}){fault}", until(now, *at))
            }
            Self::Joining { step, next_check } => {
                format!(
                    "all branches of step {step} are settled and are about to be joined; {}",
                    swept(next_check)
                )
            }
            Self::Paused { stage, since, reason } => {
                let why = if reason.is_empty() {
                    String::new()
                } else {
                    format!(": {reason}")
                };
                format!(
                    "stage {stage} is paused since {since} ({}){why}; `producer unpause {stage}` ends that",
                    ago(now, *since)
                )
            }
            Self::NoWorker { queue, others: 0 } => {
                format!(
                    "no worker is there: nobody consumes queue {queue}; {}",
                    starts_one(queue)
                )
            }
            Self::NoWorker { queue, others } => {
                format!(
                    "no worker consumes queue {queue}, only other queues ({}); {}",
                    count(*others, "worker"),
                    starts_one(queue)
                )
            }
            Self::Queued { what, queue, depth } => {
                let mut text = format!(
                    "{what} waits in queue {queue}: about {} there, its own included",
                    are(depth.visible, "message")
                );
                if depth.in_flight > 0 {
                    text.push_str(&format!(", {} being worked on", depth.in_flight));
                }
                if depth.delayed > 0 {
                    text.push_str(&format!(", {} delayed", depth.delayed));
                }
                if let Some(oldest) = depth.oldest.filter(|_| depth.visible > 0) {
                    text.push_str(&format!(
                        "; the oldest waits for {}",
                        crate::render::duration(oldest)
                    ));
                }
                text
            }
            Self::MessageLost {
                what,
                queue,
                next_check,
            } => {
                format!(
                    "{what} has no message in queue {queue}; {} and sends it again when that is due",
                    swept(next_check)
                )
            }
            Self::LargerClass { what, class } => {
                format!("{what} needs memory class {class}, because it died in a smaller one")
            }
            Self::Overdue { deadline } => {
                format!(
                    "its deadline {deadline} passed {}; the next sweep fails it",
                    ago(now, *deadline)
                )
            }
            Self::Deadline { deadline } => {
                format!(
                    "it fails at {deadline} ({}) if it is still open; `producer extend` moves that",
                    until(now, *deadline)
                )
            }
        }
    }

    /// True if somebody should do something, or know that nothing moves.
    pub fn is_stuck(&self) -> bool {
        match self {
            Self::Paused { .. }
            | Self::NoWorker { .. }
            | Self::MessageLost { .. }
            | Self::WorkerLost { .. }
            | Self::Overdue { .. } => true,
            Self::Working { .. }
            | Self::BackingOff { .. }
            | Self::Joining { .. }
            | Self::Queued { .. }
            | Self::LargerClass { .. }
            | Self::Deadline { .. } => false,
        }
    }
}

fn starts_one(queue: &QueueName) -> String {
    format!("`worker pool --stages {}` starts one", queue.stage)
}

/// A look that is due is about to happen.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

fn are(n: u64, noun: &str) -> String {
    let verb = if n == 1 { "is" } else { "are" };
    format!(
        "{} {verb} ready",
        count(usize::try_from(n).unwrap_or(usize::MAX), noun)
    )
}

/// A reason as scripts read it.
#[derive(Debug, Serialize)]
pub struct ReasonView {
    /// Its kind: see [`Reason::kind`].
    pub kind: &'static str,
    /// In words.
    pub text: String,
}
