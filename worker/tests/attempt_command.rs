//! The hidden command `attempt` without a pool that looks after it: the pool is killed, or is none. A program of its
//! own, not a list of tests: it starts itself a second time to stand in for a pool.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeline::spec::{Overrides, load};
use pipeline::stage::Assignment;
use pipeline::{RunId, StepName};
use tokio::sync::watch;
use worker::child::{ChildRequest, Stop, Told, run_in_child};
use worker::host::real_host;

const AS_POOL: &str = "as-pool";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(AS_POOL) => pool(Path::new(arguments.get(2).expect("a folder"))),
        // What test runners ask of every test program.
        Some("--list") => {}
        _ => {
            a_killed_pool_takes_its_child_with_it();
            a_child_whose_standard_input_ends_dies();
            only_a_pool_starts_the_command();
            #[cfg(target_os = "linux")]
            a_child_limits_its_own_memory();
            println!("attempt_command: all passed");
        }
    }
}

const SLEEP: &str = "stage = \"sleep\"\nparams = { ms = 600000, stubborn = true }";

fn assignment(stage: &str) -> Assignment {
    let spec = format!("pipeline = \"test\"\n[[steps]]\nstep = \"only\"\n{stage}\n");
    Assignment {
        run: RunId::new("r").expect("valid"),
        step: StepName::new("only").expect("valid"),
        branch: None,
        attempt: 1,
        spec: load(&spec, &Overrides::new()).expect("a good specification"),
        committed: BTreeMap::new(),
        found: pipeline::stage::Found::default(),
    }
}

/// Runs a child that sleeps for ten minutes, whatever it is told.
fn pool(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("builds");
    runtime.block_on(async {
        let request = ChildRequest {
            program: env!("CARGO_BIN_EXE_worker").into(),
            assignment: assignment(SLEEP),
            inputs: folder.into(),
            outputs: folder.into(),
            scratch: folder.into(),
            memory_limit_bytes: None,
            scratch_limit_bytes: None,
            time_limit: None,
            grace: Duration::from_secs(600),
        };
        let (_sender, stop) = watch::channel(Stop::Not);
        let ended = run_in_child(request, &real_host(0), stop, &mut |_: Told<'_>| {}).await;
        panic!("the pool is killed long before: {ended:?}");
    });
}

fn a_killed_pool_takes_its_child_with_it() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let mut pool = Command::new(std::env::current_exe().expect("is running"))
        .arg(AS_POOL)
        .arg(folder.path())
        .spawn()
        .expect("starts");
    let child = wait_for("the pool has a child", || child_of(pool.id()));
    pool.kill().expect("it is ours");
    pool.wait().expect("it is ours");
    wait_for("the child is gone", || (!is_alive(child)).then_some(()));
}

/// A worker that is told as much as a pool tells it, by hand.
fn attempt(request: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
        .arg("attempt")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child
        .stdin
        .as_mut()
        .expect("piped")
        .write_all(request.as_bytes())
        .expect("is read");
    child
}

fn request(parent: u32, stage: &str, memory_limit_bytes: Option<u64>, folder: &Path) -> String {
    let request = serde_json::json!({
        "parent": parent, "assignment": assignment(stage), "inputs": folder, "outputs": folder,
        "memory_limit_bytes": memory_limit_bytes,
    });
    format!("{request}\n")
}

/// The portable way, which must hold where the kernel has no signal for a parent's death.
fn a_child_whose_standard_input_ends_dies() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let mut child = attempt(&request(std::process::id(), SLEEP, None, folder.path()));
    drop(child.stdin.take());
    let status = child.wait().expect("it is ours");
    assert_eq!(status.code(), Some(3), "{status}");
}

/// Between two looks of its pool, which here is none at all.
#[cfg(target_os = "linux")]
fn a_child_limits_its_own_memory() {
    use std::os::unix::process::ExitStatusExt;

    let folder = tempfile::tempdir().expect("makes a folder");
    let stage = "stage = \"allocate\"\nparams = { mib = 100000 }";
    let mut child = attempt(&request(
        std::process::id(),
        stage,
        Some(1024 * 1024),
        folder.path(),
    ));
    let open = child.stdin.take(); // Its end would be the child's.
    let output = child.wait_with_output().expect("it is ours");
    drop(open);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("memory allocation of 16777216 bytes failed"),
        "{errors}"
    );
    assert_eq!(output.status.signal(), Some(6), "{}", output.status);
    assert!(!output.status.core_dumped());
}

fn only_a_pool_starts_the_command() {
    let folder = tempfile::tempdir().expect("makes a folder");
    for (text, words) in [
        ("hello\n".to_owned(), "standard input is no request"),
        ("{}".to_owned(), "no whole request"),
        (
            request(1, SLEEP, None, folder.path()),
            "the pool that started this process is gone",
        ),
    ] {
        let mut child = attempt(&text);
        drop(child.stdin.take());
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("piped"))
            .read_line(&mut line)
            .expect("is text");
        assert!(
            line.contains(words) && line.contains("only a pool starts this command"),
            "{text}: {line}"
        );
        assert_eq!(child.wait().expect("it is ours").code(), Some(2), "{text}");
    }
}

fn child_of(parent: u32) -> Option<u32> {
    processes()
        .into_iter()
        .find(|(_, ppid, _)| *ppid == parent)
        .map(|(pid, ..)| pid)
}

/// Zombies are dead: whoever adopted them may be slow to take them off the table.
fn is_alive(pid: u32) -> bool {
    processes()
        .into_iter()
        .any(|(id, _, state)| id == pid && !state.starts_with('Z'))
}

fn processes() -> Vec<(u32, u32, String)> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat="])
        .output()
        .expect("ps is there");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((
                fields.next()?.parse().ok()?,
                fields.next()?.parse().ok()?,
                fields.next()?.to_owned(),
            ))
        })
        .collect()
}

#[allow(clippy::disallowed_methods, reason = "a test of processes waits in real time")]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited a minute, and not: {what}");
}
