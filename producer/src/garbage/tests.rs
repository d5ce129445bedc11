use pipeline::artifact::Artifact;
use pipeline::id::ModelName;
use pipeline::item::StepState;
use pipeline::spec::{Overrides, load};
use pipeline::{ArtifactName, StepName};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn days_ago(days: u64) -> Timestamp {
    Timestamp(NOW.0 - days * 86_400_000)
}

fn id(text: &str) -> RunId {
    RunId::new(text).expect("an id")
}

fn manifest(run: &str, attempt: u32) -> Manifest {
    let origin = Origin {
        run: id(run),
        step: StepName::new("a").expect("an id"),
        ordinal: 0,
        attempt,
    };
    let artifact = Artifact {
        name: ArtifactName::new("out").expect("a name"),
        sha256: Sha256Digest::of(run.as_bytes()),
        size_bytes: 1,
        table: None,
    };
    Manifest {
        origin,
        artifacts: vec![artifact],
    }
}

fn key(run: &str, attempt: u32) -> ArtifactKey {
    manifest(run, attempt)
        .references()
        .next()
        .expect("it has one")
        .key
}

impl Stock {
    /// A run whose only step was committed with an artifact of `origin`, attempt 2; attempt 1 left one behind.
    fn with(mut self, run: &str, status: RunStatus, ended: Option<Timestamp>, origin: &str) -> Self {
        let text = format!("pipeline = \"{run}\"\n[[steps]]\nstep = \"a\"\nstage = \"noop\"\n");
        let spec = load(&text, &Overrides::new()).expect("a good specification");
        let mut item = pipeline::plan::Birth {
            id: id(run),
            pipeline: spec.pipeline.clone(),
            spec: spec.digest(),
            max: spec.max(),
            now: Timestamp(1),
            deadline: spec.deadline,
        }
        .item(&spec.plan().expect("a good plan"));
        item.status = status;
        item.ended_at = ended;
        for work in item.steps.values_mut() {
            work.state = StepState::Committed;
            work.manifest = Some(manifest(origin, 2));
        }
        self.stored.entry(id(run)).or_default().push(key(run, 1));
        self.stored.entry(id(origin)).or_default().push(key(origin, 2));
        self.runs.insert(id(run), (item, Vec::new()));
        self
    }
}

fn runs(garbage: &Garbage) -> Vec<&str> {
    garbage.runs.iter().map(RunId::as_str).collect()
}

#[test]
fn old_ended_runs_go_whole_and_others_stay() {
    let stock = Stock::default()
        .with("old", RunStatus::Succeeded, Some(days_ago(31)), "old")
        .with("edge", RunStatus::Failed, Some(days_ago(30)), "edge")
        .with("young", RunStatus::Cancelled, Some(Timestamp(days_ago(30).0 + 1)), "young")
        .with("open", RunStatus::Open, None, "open")
        // An item that contradicts itself is left alone.
        .with("odd", RunStatus::Open, Some(days_ago(99)), "odd");
    let garbage = find(&stock, 30 * DAY, NOW);
    assert_eq!(runs(&garbage), ["edge", "old"]);
    assert_eq!(
        garbage.artifacts,
        BTreeSet::from([key("edge", 1), key("edge", 2), key("old", 1), key("old", 2)])
    );
    assert_eq!(
        garbage.specs,
        BTreeSet::from([stock.runs[&id("edge")].0.spec, stock.runs[&id("old")].0.spec])
    );
    assert_eq!(
        garbage.orphans,
        BTreeMap::from([(key("young", 1), Orphaned::DeadAttempt)])
    );
}

#[test]
fn what_a_kept_run_uses_stays_and_draws_its_own_along() {
    // c is open, resumed b, which resumed a; d stands alone.
    let stock = Stock::default()
        .with("a", RunStatus::Failed, Some(days_ago(90)), "a")
        .with("b", RunStatus::Failed, Some(days_ago(80)), "a")
        .with("c", RunStatus::Open, None, "b")
        .with("d", RunStatus::Failed, Some(days_ago(90)), "d");
    let garbage = find(&stock, 30 * DAY, NOW);
    assert_eq!(runs(&garbage), ["d"]);
    assert_eq!(garbage.pinned[&id("b")], "run c uses its artifacts");
    assert_eq!(garbage.pinned[&id("a")], "run b uses its artifacts");
    // What dead attempts of kept, long ended runs left goes; what is used, or of the open run, does not.
    assert_eq!(
        garbage.orphans,
        BTreeMap::from([
            (key("a", 1), Orphaned::DeadAttempt),
            (key("b", 1), Orphaned::DeadAttempt)
        ])
    );
    // Two old runs that use each other's results hold nobody up.
    let circle = Stock::default()
        .with("a", RunStatus::Failed, Some(days_ago(90)), "b")
        .with("b", RunStatus::Failed, Some(days_ago(90)), "a");
    assert_eq!(runs(&find(&circle, 30 * DAY, NOW)), ["a", "b"]);
}

#[test]
fn registered_versions_stay() {
    let mut stock = Stock::default()
        .with("m", RunStatus::Succeeded, Some(days_ago(400)), "m")
        .with("n", RunStatus::Succeeded, Some(days_ago(400)), "n");
    stock.versions.push(ModelVersion {
        model: ModelName::new("churn").expect("an id"),
        run: id("m"),
        package: manifest("m", 2),
        registered_at: days_ago(400),
    });
    let garbage = find(&stock, 30 * DAY, NOW);
    assert_eq!(runs(&garbage), ["n"]);
    assert_eq!(garbage.pinned[&id("m")], "model churn has it as a version");
    assert!(!garbage.artifacts.contains(&key("m", 2)) && !garbage.orphans.contains_key(&key("m", 2)));
}

#[test]
fn artifacts_of_branches_count_and_runs_without_items_are_swept() {
    let mut stock = Stock::default().with("a", RunStatus::Open, None, "a");
    let work = stock.runs[&id("a")]
        .0
        .steps
        .values()
        .next()
        .expect("a step")
        .clone();
    let branch = BranchItem {
        run: id("a"),
        step: StepName::new("a").expect("an id"),
        ordinal: 0,
        max: pipeline::item::Budget::default(),
        work: pipeline::item::StepItem {
            manifest: Some(manifest("gone", 2)),
            ..work
        },
    };
    stock.runs.get_mut(&id("a")).expect("it is there").1.push(branch);
    stock
        .stored
        .insert(id("gone"), vec![key("gone", 1), key("gone", 2)]);
    let garbage = find(&stock, Duration::ZERO, NOW);
    assert_eq!(
        garbage.orphans,
        BTreeMap::from([(key("gone", 1), Orphaned::NoRun)])
    );
}

#[test]
fn a_shared_specification_stays_with_its_last_run() {
    let mut stock = Stock::default()
        .with("a", RunStatus::Failed, Some(days_ago(90)), "a")
        .with("b", RunStatus::Failed, Some(days_ago(1)), "b");
    let spec = stock.runs[&id("b")].0.spec;
    stock.runs.get_mut(&id("a")).expect("it is there").0.spec = spec;
    let garbage = find(&stock, 30 * DAY, NOW);
    assert_eq!((runs(&garbage), garbage.specs.len()), (vec!["a"], 0));
}
