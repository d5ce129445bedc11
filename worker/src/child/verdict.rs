//! From what was seen of a child to how its attempt ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use pipeline::stage::StageError;

use super::End;
use super::wire::How;
use crate::config::ByteSize;

/// Why we killed a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KilledFor {
    /// We wanted it to stop.
    Stop,
    /// Its time was over.
    Time,
    /// It took more memory than it may.
    Memory,
    /// So many bytes lay in its folders, and so many may.
    Scratch { has: u64, limit: u64 },
    /// It said something that no child says.
    Rules(String),
}

/// All that was seen of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) status: ExitStatus,
    pub(super) killed_for: Option<KilledFor>,
    /// What it said about its end itself.
    pub(super) said: Option<How>,
    /// The size of the allocation that it said had failed.
    pub(super) failed_allocation_bytes: Option<u64>,
    /// Whether the kernel killed somebody in our control group for memory meanwhile.
    pub(super) kernel_killed_for_memory: bool,
    /// The last line of its standard error.
    pub(super) last_words: Option<String>,
}

pub(super) fn judge(evidence: Evidence) -> End {
    let Evidence {
        status,
        killed_for,
        said,
        failed_allocation_bytes,
        kernel_killed_for_memory,
        last_words,
    } = evidence;
    let crashed = |how: String| {
        let how = match &last_words {
            Some(words) => format!("the child process {how}; its last words: {words}"),
            None => format!("the child process {how}"),
        };
        End::Crashed { how }
    };
    match (status.code(), status.signal(), killed_for) {
        (_, _, Some(KilledFor::Rules(what))) => crashed(what),
        // It had ended in good order before our signal reached it, or just after it said so.
        (Some(0), _, _) | (_, Some(SIGKILL), Some(_)) if said.is_some() => match said {
            Some(How::Outcome(outcome)) => End::Outcome(outcome),
            Some(How::Failed(error)) => End::Failed(error),
            Some(How::Panicked(how)) => End::Crashed { how },
            None => crashed("ended without a word about its outcome".into()),
        },
        (_, Some(SIGABRT), _) if failed_allocation_bytes.is_some() => End::Failed(StageError::OutOfMemory {
            needed_bytes: failed_allocation_bytes,
        }),
        (_, Some(SIGKILL), Some(KilledFor::Memory)) => {
            End::Failed(StageError::OutOfMemory { needed_bytes: None })
        }
        (_, Some(SIGKILL), Some(KilledFor::Scratch { has, limit })) => {
            End::Failed(StageError::Permanent(format!(
                "it took {} of scratch space, and may take {} (scratch_limit)",
                ByteSize(has),
                ByteSize(limit)
            )))
        }
        (_, Some(SIGKILL), Some(KilledFor::Time)) => End::TimeLimit,
        (_, Some(SIGKILL), Some(KilledFor::Stop)) => End::Killed,
        (_, Some(SIGKILL), None) if kernel_killed_for_memory => {
            End::Failed(StageError::OutOfMemory { needed_bytes: None })
        }
        (_, Some(SIGKILL), None) => crashed(
            "was killed by signal 9 by somebody else (perhaps the kernel's out-of-memory killer)".into(),
        ),
        (_, Some(signal), _) => crashed(format!("was killed by signal {signal}{}", signal_name(signal))),
        (Some(0), _, _) => crashed("ended without a word about its outcome".into()),
        (Some(code), _, _) => crashed(format!("ended with exit code {code}")),
        (None, None, _) => crashed(format!("ended in an unknown way ({status})")),
    }
}

const SIGKILL: i32 = libc::SIGKILL;
const SIGABRT: i32 = libc::SIGABRT;

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => " (SIGABRT: it aborted)",
        libc::SIGBUS => " (SIGBUS: bad memory access, or a file that shrank)",
        libc::SIGFPE => " (SIGFPE: bad arithmetic)",
        libc::SIGILL => " (SIGILL: bad instruction)",
        libc::SIGSEGV => " (SIGSEGV: bad memory access, or a stack overflow)",
        libc::SIGSYS => " (SIGSYS: forbidden system call)",
        libc::SIGTERM => " (SIGTERM: somebody else asked it to end)",
        libc::SIGXCPU => " (SIGXCPU: limit of processor time)",
        _ => "",
    }
}

/// The size in Rust's last words before it aborts for lack of memory: `memory allocation of 17 bytes failed`.
pub(super) fn failed_allocation_bytes(line: &str) -> Option<u64> {
    line.strip_prefix("memory allocation of ")?
        .split_once(" bytes failed")?
        .0
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::stage::Outcome;

    /// A raw status as the kernel gives it: a signal, or an exit code in the second byte.
    fn evidence(raw: i32, killed_for: Option<KilledFor>, said: Option<How>) -> Evidence {
        Evidence {
            status: ExitStatus::from_raw(raw),
            killed_for,
            said,
            failed_allocation_bytes: None,
            kernel_killed_for_memory: false,
            last_words: None,
        }
    }

    fn advance() -> Option<How> {
        Some(How::Outcome(Outcome::Advance))
    }

    fn exit(code: i32) -> i32 {
        code << 8
    }

    fn how(end: End) -> String {
        match end {
            End::Crashed { how } => how,
            other => panic!("no crash: {other:?}"),
        }
    }

    const OUT_OF_MEMORY: End = End::Failed(StageError::OutOfMemory { needed_bytes: None });

    #[test]
    fn a_last_word_counts_if_nothing_but_our_own_signal_came_after_it() {
        let done = End::Outcome(Outcome::Advance);
        assert_eq!(judge(evidence(exit(0), None, advance())), done);
        for why in [KilledFor::Stop, KilledFor::Time, KilledFor::Memory] {
            assert_eq!(judge(evidence(SIGKILL, Some(why.clone()), advance())), done);
            assert_eq!(judge(evidence(exit(0), Some(why), advance())), done);
        }
        assert!(how(judge(evidence(libc::SIGSEGV, None, advance()))).contains("SIGSEGV"));
        assert!(how(judge(evidence(exit(1), None, advance()))).contains("exit code 1"));
        assert!(how(judge(evidence(SIGKILL, None, advance()))).contains("by somebody else"));
        let broke = Some(KilledFor::Rules("wrote nonsense".into()));
        assert_eq!(
            how(judge(evidence(exit(0), broke, advance()))),
            "the child process wrote nonsense"
        );
        let failed = StageError::Permanent("no".into());
        assert_eq!(
            judge(evidence(exit(0), None, Some(How::Failed(failed.clone())))),
            End::Failed(failed)
        );
        assert_eq!(
            how(judge(evidence(
                exit(0),
                None,
                Some(How::Panicked("it panicked".into()))
            ))),
            "it panicked"
        );
    }

    #[test]
    fn a_death_by_our_signal_has_our_reason() {
        assert_eq!(judge(evidence(SIGKILL, Some(KilledFor::Stop), None)), End::Killed);
        assert_eq!(
            judge(evidence(SIGKILL, Some(KilledFor::Time), None)),
            End::TimeLimit
        );
        assert_eq!(
            judge(evidence(SIGKILL, Some(KilledFor::Memory), None)),
            OUT_OF_MEMORY
        );
        // It died of something else before our signal came.
        assert!(how(judge(evidence(libc::SIGSEGV, Some(KilledFor::Time), None))).contains("SIGSEGV"));
    }

    #[test]
    fn deaths_of_memory_are_told_from_others() {
        let kernel = Evidence {
            kernel_killed_for_memory: true,
            ..evidence(SIGKILL, None, None)
        };
        assert_eq!(judge(kernel.clone()), OUT_OF_MEMORY);
        // Somebody else in our control group was killed, not this one.
        assert!(
            how(judge(Evidence {
                status: ExitStatus::from_raw(exit(7)),
                ..kernel
            }))
            .contains("exit code 7")
        );
        let aborted = Evidence {
            failed_allocation_bytes: Some(4_096),
            ..evidence(SIGABRT, None, None)
        };
        assert_eq!(
            judge(aborted.clone()),
            End::Failed(StageError::OutOfMemory {
                needed_bytes: Some(4_096)
            })
        );
        assert!(
            how(judge(Evidence {
                failed_allocation_bytes: None,
                ..aborted
            }))
            .contains("SIGABRT")
        );
    }

    #[test]
    fn an_unexplained_death_tells_what_is_known() {
        assert!(
            how(judge(evidence(SIGKILL, None, None)))
                .contains("signal 9 by somebody else (perhaps the kernel's")
        );
        assert!(how(judge(evidence(exit(0), None, None))).contains("without a word"));
        let words = Evidence {
            last_words: Some("bye".into()),
            ..evidence(exit(3), None, None)
        };
        assert_eq!(
            how(judge(words)),
            "the child process ended with exit code 3; its last words: bye"
        );
    }

    #[test]
    fn reads_the_size_of_a_failed_allocation() {
        assert_eq!(
            failed_allocation_bytes("memory allocation of 16777216 bytes failed"),
            Some(16_777_216)
        );
        assert_eq!(
            failed_allocation_bytes("memory allocation of x bytes failed"),
            None
        );
        assert_eq!(failed_allocation_bytes("all is well"), None);
    }
}
