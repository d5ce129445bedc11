use super::*;
use pipeline::{StageName, Timestamp, WorkerId};

#[test]
fn a_full_disk_fails_and_one_that_is_nearly_full_warns() {
    let of = |free_bytes, free_files| {
        let space = Space {
            free_bytes,
            free_files,
        };
        disk(Path::new("/scratch"), "attempts", Ok(space)).verdict
    };
    const GIB: u64 = 1024 * 1024 * 1024;
    assert_eq!(of(64 * GIB, None), Verdict::Ok);
    assert_eq!(of(64 * GIB, Some(1_000_000)), Verdict::Ok);
    assert_eq!(of(GIB, Some(1_000_000)), Verdict::Warning);
    assert_eq!(of(GIB / 16, None), Verdict::Failed);
    assert_eq!(of(64 * GIB, Some(10)), Verdict::Failed);
    let absent = disk(Path::new("/no"), "attempts", Err(io::ErrorKind::NotFound.into()));
    assert_eq!((absent.verdict, absent.advice.is_some()), (Verdict::Failed, true));
    let here = Space::of(Path::new(".")).expect("the working folder has a disk");
    assert!(here.free_bytes > 0);
}

#[test]
fn a_clock_that_is_off_fails() {
    let lease = Duration::from_secs(30);
    let at = |server, ours| ClockReading {
        server: Timestamp(server),
        before: Timestamp(ours),
        after: Timestamp(ours + 20),
    };
    let right = clock(at(1_000_500, 1_000_000), lease);
    assert_eq!(right.verdict, Verdict::Ok, "{right:?}");
    let off = clock(at(1_000_500, 1_700_000), lease);
    assert_eq!(off.verdict, Verdict::Failed);
    assert!(off.told.contains("ahead of the backend's"), "{off:?}");
}

#[test]
fn versions_are_counted_and_others_are_told() {
    let worker = |n: u32, version: &str| Presence {
        worker: WorkerId::new(format!("w-{n}")).expect("an id"),
        queues: vec!["train".into()],
        version: version.into(),
        since: Timestamp(0),
        expires_at: Timestamp(1),
    };
    let verdicts = |workers: &[Presence]| -> Vec<Verdict> {
        versions("1.1.0", workers).iter().map(|of| of.verdict).collect()
    };
    assert_eq!(verdicts(&[]), [Verdict::Ok, Verdict::Warning]);
    assert_eq!(verdicts(&[worker(1, "1.1.0")]), [Verdict::Ok, Verdict::Ok]);
    // What is called by the tag of its image compares with no version, but with other tags.
    assert_eq!(
        verdicts(&[worker(1, "f63ee525"), worker(2, "f63ee525")]),
        [Verdict::Ok, Verdict::Ok]
    );
    assert_eq!(
        verdicts(&[worker(1, "f63ee525"), worker(2, "29469239")]),
        [Verdict::Ok, Verdict::Warning, Verdict::Warning]
    );
    let mixed = versions(
        "1.1.0",
        &[worker(1, "1.1.0"), worker(2, "1.0.0"), worker(3, "1.0.0")],
    );
    let old = &mixed[1];
    assert!(
        old.verdict == Verdict::Warning && old.told.starts_with("2 workers of version 1.0.0"),
        "{old:?}"
    );
    let pause = Pause {
        stage: StageName::new("train").expect("a name"),
        since: Timestamp(0),
        reason: "upgrade".into(),
    };
    let told = &pauses(&[pause])[0];
    assert!(
        told.told.contains("upgrade")
            && told
                .advice
                .as_deref()
                .is_some_and(|a| a.contains("unpause train"))
    );
}

#[test]
fn what_is_said_of_many_is_said_once() {
    let queue = |name: &str| Finding::ok("queue", "is right").of(name);
    let missing = |name: &str| Finding::failed("queue", "is not there", "make it").of(name);
    let mut found: Vec<Finding> = (0..40).map(|n| queue(&format!("q{n}"))).collect();
    found.insert(3, missing("train"));
    found.push(missing("predict"));
    found.push(Finding::ok("region", "here"));
    let subjects: Vec<String> = grouped(&found).iter().map(Group::subject).collect();
    assert_eq!(subjects, ["queue (40 of them)", "queue train, predict", "region"]);
    let many: Vec<Finding> = (0..40).map(|n| missing(&format!("fleetline-{n}"))).collect();
    let [group] = &grouped(&many)[..] else {
        panic!("one group")
    };
    let subject = group.subject();
    assert!(
        subject.starts_with("queue fleetline-0, ") && subject.ends_with(" more") && subject.len() < 110,
        "{subject}"
    );
}
