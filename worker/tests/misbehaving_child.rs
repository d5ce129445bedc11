//! Children that break the rules, and what is left of them: nothing. One test, because it looks at all children of this
//! process, and because a script that is being written while another thread starts a process cannot be executed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::future::Either;
use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Outcome, StageError};
use pipeline::{RunId, StepName};
use tokio::sync::watch;
use worker::child::{ChildRequest, End, Ended, Stop, Told, run_in_child};
use worker::host::real_host;

const DONE: &str = r#"echo '{"ended":{"how":{"outcome":"advance"},"peak_memory_bytes":1}}'"#;

/// What a child does in shell, and what is said of it.
const CRASHES: &[(&str, &str, &str)] = &[
    ("silent", "read request", "ended without a word about its outcome"),
    ("deaf", "exit 0", "ended without a word about its outcome"),
    (
        "garbage",
        "echo hello; sleep 600",
        "wrote something that is no report",
    ),
    (
        "not-utf8",
        r"printf '\377\n'; sleep 600",
        "wrote something that is no report",
    ),
    (
        "half",
        r#"printf '{"progress":0.'"#,
        "a report that is too long, or has no end",
    ),
    (
        "endless",
        "cat /dev/zero",
        "a report that is too long, or has no end",
    ),
    (
        "chatty",
        r#"while :; do echo '{"progress":0.5}'; done"#,
        "wrote more than 1000 reports",
    ),
    (
        "unknown",
        r#"echo '{"progress":0.5,"more":1}'; sleep 600"#,
        "wrote something that is no report",
    ),
    (
        "liar",
        r#"DONE; echo '{"progress":1}'; sleep 600"#,
        "went on reporting after its last report",
    ),
    ("sour", "DONE; exit 9", "ended with exit code 9"),
    ("wounded", "DONE; kill -SEGV $$", "SIGSEGV"),
    (
        "wordy",
        "echo one >&2; echo two >&2; exit 4",
        "ended with exit code 4; its last words: two",
    ),
];

fn request(program: &Path, folder: &Path) -> ChildRequest {
    let spec = "pipeline = \"test\"\n[[steps]]\nstep = \"only\"\nstage = \"noop\"\n";
    ChildRequest {
        program: program.into(),
        assignment: Assignment {
            run: RunId::new("r").expect("valid"),
            step: StepName::new("only").expect("valid"),
            branch: None,
            attempt: 1,
            spec: load(spec, &Overrides::new()).expect("a good specification"),
            committed: BTreeMap::new(),
            found: pipeline::stage::Found::default(),
        },
        inputs: folder.into(),
        outputs: folder.into(),
        scratch: folder.into(),
        memory_limit_bytes: None,
        scratch_limit_bytes: None,
        time_limit: Some(Duration::from_secs(60)),
        grace: Duration::from_secs(60),
    }
}

async fn run(request: ChildRequest, told: &mut (dyn for<'a> FnMut(Told<'a>) + Send)) -> Ended {
    let (_sender, stop) = watch::channel(Stop::Not);
    run_in_child(request, &real_host(0), stop, told).await
}

#[tokio::test]
async fn children_that_break_the_rules_are_told_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let script = |name: &str, body: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{}\n", body.replace("DONE", DONE))).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its owner may");
        path
    };
    let crashing: Vec<_> = CRASHES.iter().map(|(name, body, _)| script(name, body)).collect();
    let good = script("good", "read request; DONE");
    let grandparent = script("grandparent", "sleep 600 & echo $! > $TMPDIR/grandchild; DONE");
    let deserter = script(
        "deserter",
        "setsid sh -c 'echo $$ > $TMPDIR/deserted; exec sleep 20' & until [ -s $TMPDIR/deserted ]; do :; done; DONE",
    );
    let noisy = script(
        "noisy",
        "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; DONE",
    );
    let long = script(
        "long",
        "head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; DONE",
    );
    let starved = script(
        "starved",
        "echo memory allocation of 17 bytes failed >&2; kill -ABRT $$",
    );
    let stuck = script("stuck", "sleep 600");

    let request = |program: &Path| request(program, folder.path());
    let done = End::Outcome(Outcome::Advance);
    assert_eq!(run(request(&good), &mut |_| {}).await.end, done);

    for (program, (name, _, words)) in crashing.iter().zip(CRASHES) {
        let ended = run(request(program), &mut |_| {}).await;
        let End::Crashed { how } = &ended.end else {
            panic!("{name}: {ended:?}")
        };
        assert!(
            how.starts_with("the child process ") && how.contains(words),
            "{name}: {how}"
        );
    }

    // What Rust says when an allocation fails.
    let ended = run(request(&starved), &mut |_| {}).await;
    assert_eq!(
        ended.end,
        End::Failed(StageError::OutOfMemory {
            needed_bytes: Some(17)
        })
    );

    // What it started goes with it.
    assert_eq!(run(request(&grandparent), &mut |_| {}).await.end, done);
    let grandchild = fs::read_to_string(folder.path().join("grandchild")).expect("was written");
    let left = processes()
        .into_iter()
        .find(|process| process.id == grandchild.trim() && !process.is_dead);
    assert_eq!(left, None);

    // What left its process group and holds its pipes does not hold us up.
    if cfg!(target_os = "linux") {
        let clock = real_host(0).clock;
        assert_eq!(run(request(&deserter), &mut |_| {}).await.end, done);
        assert!(
            clock.monotonic() < Duration::from_secs(15),
            "it sleeps for twenty: {:?}",
            clock.monotonic()
        );
        let deserted = fs::read_to_string(folder.path().join("deserted")).expect("was written");
        let killed = Command::new("kill")
            .arg(deserted.trim())
            .status()
            .expect("kill is there");
        assert!(killed.success(), "it was there all the time");
    }

    let mut lines = Vec::new();
    let mut listen = |told: Told<'_>| {
        if let Told::Stderr(line) = told {
            lines.push(line.to_owned());
        }
    };
    assert_eq!(run(request(&noisy), &mut listen).await.end, done);
    let dropped: u64 = lines
        .iter()
        .filter_map(|line| {
            line.strip_prefix('(')?
                .split_once(" more lines were dropped")?
                .0
                .parse::<u64>()
                .ok()
        })
        .sum();
    let passed_on = lines.iter().filter(|line| line.starts_with("line ")).count() as u64;
    assert_eq!(passed_on + dropped, 2_000, "none is lost without a word");
    assert!(
        dropped > 0 && passed_on >= 20,
        "{passed_on} passed on, {dropped} dropped"
    );

    let mut longest = 0;
    let mut listen = |told: Told<'_>| {
        if let Told::Stderr(line) = told {
            longest = longest.max(line.len());
        }
    };
    assert_eq!(run(request(&long), &mut listen).await.end, done);
    assert_eq!(longest, 2_048);

    // Who loses interest kills.
    let mut ignore = |_: Told<'_>| {};
    let abandoned = Box::pin(run(request(&stuck), &mut ignore));
    let is_there = Box::pin(async {
        while children().is_empty() {
            tokio::task::yield_now().await;
        }
    });
    match futures::future::select(abandoned, is_there).await {
        Either::Left((ended, _)) => panic!("it sleeps for ten minutes: {ended:?}"),
        Either::Right(((), abandoned)) => drop(abandoned),
    }
    let clock = real_host(0).clock;
    for _ in 0..600 {
        if children().is_empty() {
            return;
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
    panic!("still there after a minute: {:?}", children());
}

/// The children of this process, zombies too.
fn children() -> Vec<Process> {
    let me = std::process::id().to_string();
    processes()
        .into_iter()
        .filter(|process| process.parent == me && process.name != "ps")
        .collect()
}

#[derive(Debug, PartialEq)]
struct Process {
    id: String,
    parent: String,
    is_dead: bool,
    name: String,
}

fn processes() -> Vec<Process> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat=,comm="])
        .output()
        .expect("ps is there");
    let process = |line: &str| {
        let mut fields = line.split_whitespace().map(str::to_owned);
        Some(Process {
            id: fields.next()?,
            parent: fields.next()?,
            is_dead: fields.next()?.starts_with('Z'),
            name: fields.next()?,
        })
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(process)
        .collect()
}
