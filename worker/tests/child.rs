//! Real attempts in real child processes of the real binary.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Outcome, StageError};
use pipeline::{RunId, StepName};
use tempfile::TempDir;
use tokio::sync::watch;
use worker::child::{ChildRequest, End, Ended, Stop, Told, run_in_child};
use worker::host::real_host;

const MIB: u64 = 1024 * 1024;

/// A request to do one step, and the folder that it lies in.
fn request(stage: &str, params: &str, attempt: u32) -> (ChildRequest, TempDir) {
    let folder = tempfile::tempdir().expect("makes a folder");
    let text =
        format!("pipeline = \"test\"\n[[steps]]\nstep = \"only\"\nstage = \"{stage}\"\nparams = {params}\n");
    let assignment = Assignment {
        run: RunId::new("r").expect("valid"),
        step: StepName::new("only").expect("valid"),
        branch: None,
        attempt,
        spec: load(&text, &Overrides::new()).expect("a good specification"),
        committed: BTreeMap::new(),
        found: pipeline::stage::Found::default(),
    };
    let place = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("makes a folder");
        path
    };
    let request = ChildRequest {
        program: env!("CARGO_BIN_EXE_worker").into(),
        assignment,
        inputs: place("inputs"),
        outputs: place("outputs"),
        scratch: place("tmp"),
        memory_limit_bytes: None,
        scratch_limit_bytes: None,
        time_limit: None,
        grace: Duration::from_secs(60),
    };
    (request, folder)
}

async fn run(request: ChildRequest) -> Ended {
    let (_sender, stop) = watch::channel(Stop::Not);
    run_in_child(request, &real_host(0), stop, &mut |_| {}).await
}

/// Runs it, and wants it to stop in this way as soon as the stage is at work.
async fn run_and_stop(request: ChildRequest, how: Stop) -> Ended {
    let (sender, stop) = watch::channel(Stop::Not);
    run_in_child(request, &real_host(0), stop, &mut |told| {
        if matches!(told, Told::Progress(_)) {
            sender.send_replace(how);
        }
    })
    .await
}

fn crash(ended: &Ended) -> &str {
    match &ended.end {
        End::Crashed { how } => how,
        other => panic!("no crash: {other:?}"),
    }
}

#[tokio::test]
async fn the_stage_writes_its_outputs_and_tells_its_outcome() {
    let (request, _folder) = request("noop", "{ write_bytes = 100000 }", 1);
    let output = request.outputs.join("data.bin");
    let ended = run(request).await;
    assert_eq!(ended.end, End::Outcome(Outcome::Advance));
    assert_eq!(std::fs::metadata(output).expect("was written").len(), 100_000);
}

#[tokio::test]
async fn memory_and_progress_are_told() {
    let (small, _folder) = request("allocate", "{ mib = 1 }", 1);
    let (large, _folder) = request("allocate", "{ mib = 97 }", 1);
    let small = run(small).await;
    let (_sender, stop) = watch::channel(Stop::Not);
    let mut progress = Vec::new();
    let large = run_in_child(large, &real_host(0), stop, &mut |told| match told {
        Told::Progress(fraction) => progress.push(fraction),
        Told::Stderr(line) => panic!("nothing to complain of: {line}"),
    })
    .await;
    assert_eq!(
        (&small.end, &large.end),
        (&End::Outcome(Outcome::Advance), &End::Outcome(Outcome::Advance))
    );
    assert_eq!(progress.len(), 7, "16 MiB at a time: {progress:?}");
    assert!(
        progress.is_sorted() && progress.last() == Some(&1.0),
        "{progress:?}"
    );
    let (small_bytes, large_bytes) = (
        small.peak_memory_bytes.expect("known"),
        large.peak_memory_bytes.expect("known"),
    );
    let difference = large_bytes - small_bytes;
    assert!(
        (90 * MIB..100 * MIB).contains(&difference),
        "96 MiB more, but {difference} bytes are told"
    );
    assert!(large.cpu_ms.expect("known") < 10_000);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_takes_too_much_memory_dies_of_memory() {
    let (mut request, _folder) = request("allocate", "{ mib = 2000 }", 1);
    request.memory_limit_bytes = Some(64 * MIB);
    let ended = run(request).await;
    assert!(
        matches!(ended.end, End::Failed(StageError::OutOfMemory { .. })),
        "{ended:?}"
    );
    let peak = ended.peak_memory_bytes.expect("known");
    assert!(peak < 160 * MIB, "it came to {peak} bytes");
}

#[tokio::test]
async fn what_takes_too_much_scratch_space_is_stopped_for_it() {
    let (mut request, _folder) = request("sleep", "{ ms = 60000 }", 1);
    std::fs::create_dir(request.inputs.join("step")).expect("makes a folder");
    std::fs::write(request.inputs.join("step").join("file"), vec![0; 3_000_000]).expect("writes");
    request.scratch_limit_bytes = Some(2_000_000);
    let ended = run(request).await;
    let End::Failed(StageError::Permanent(why)) = ended.end else {
        panic!("{ended:?}");
    };
    assert_eq!(
        why,
        "it took 2929KiB of scratch space, and may take 1953KiB (scratch_limit)"
    );
}

/// The limit is below what any process has, and far from what it may not allocate: only looking can find it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_pool_looks_at_resident_memory_itself() {
    let (mut request, _folder) = request("sleep", "{ ms = 600000 }", 1);
    request.memory_limit_bytes = Some(64 * 1024);
    let ended = run(request).await;
    assert_eq!(
        ended.end,
        End::Failed(StageError::OutOfMemory { needed_bytes: None })
    );
}

#[tokio::test]
async fn every_way_of_dying_is_told() {
    for (how, words) in [
        ("abort", "killed by signal 6 (SIGABRT"),
        ("kill", "killed by signal 9 by somebody else"),
        ("exit", "exit code 86"),
        ("panic", "stage crash panicked: attempt 1 was told to panic"),
    ] {
        let params = format!("{{ how = \"{how}\", attempts = 1 }}");
        let (first, _folder) = request("crash", &params, 1);
        let first = run(first).await;
        assert!(crash(&first).contains(words), "{how}: {first:?}");
        let (second, _folder) = request("crash", &params, 2);
        assert_eq!(run(second).await.end, End::Outcome(Outcome::Advance), "{how}");
    }
}

#[tokio::test]
async fn a_panic_is_one_line_of_standard_error() {
    let (request, _folder) = request("crash", "{ how = \"panic\", attempts = 1 }", 1);
    let (_sender, stop) = watch::channel(Stop::Not);
    let mut lines = Vec::new();
    run_in_child(request, &real_host(0), stop, &mut |told| match told {
        Told::Stderr(line) => lines.push(line.to_owned()),
        Told::Progress(_) => {}
    })
    .await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        line.contains("crash.rs") && line.contains("attempt 1 was told to panic"),
        "{line}"
    );
}

#[tokio::test]
async fn what_is_told_to_stop_stops_at_its_next_checkpoint() {
    let (request, _folder) = request("sleep", "{ ms = 60000 }", 1);
    assert_eq!(
        run_and_stop(request, Stop::Soon).await.end,
        End::Failed(StageError::Interrupted)
    );
}

#[tokio::test]
async fn a_wish_that_is_older_than_the_child_is_heard() {
    let (request, _folder) = request("sleep", "{ ms = 600000 }", 1);
    let (_sender, stop) = watch::channel(Stop::Soon);
    let ended = run_in_child(request, &real_host(0), stop, &mut |_| {}).await;
    assert_eq!(ended.end, End::Failed(StageError::Interrupted));
}

#[tokio::test]
async fn what_does_not_stop_is_killed_after_the_grace_period() {
    let (mut request, _folder) = request("sleep", "{ ms = 600000, stubborn = true }", 1);
    request.grace = Duration::from_millis(300);
    let (host, (_sender, stop)) = (real_host(0), watch::channel(Stop::Soon));
    let ended = run_in_child(request, &host, stop, &mut |_| {}).await;
    assert_eq!(ended.end, End::Killed);
    assert!(
        host.clock.monotonic() >= Duration::from_millis(300),
        "{:?}",
        host.clock.monotonic()
    );
}

#[tokio::test]
async fn who_must_die_at_once_has_no_grace_and_no_say() {
    let (request, _folder) = request("sleep", "{ ms = 30000 }", 1);
    assert_eq!(run_and_stop(request, Stop::Now).await.end, End::Killed);
}

#[tokio::test]
async fn time_over_is_no_crash() {
    let (mut request, _folder) = request("sleep", "{ ms = 600000 }", 1);
    request.time_limit = Some(Duration::from_millis(200));
    assert_eq!(run(request).await.end, End::TimeLimit);
}

#[tokio::test]
async fn what_cannot_be_started_may_be_tried_again() {
    let (mut request, _folder) = request("sleep", "{ ms = 1 }", 1);
    request.program = "/nowhere/worker".into();
    let ended = run(request).await;
    let End::Failed(StageError::Transient { message, .. }) = &ended.end else {
        panic!("{ended:?}")
    };
    assert!(message.starts_with("cannot start a child process: "), "{message}");
}
