//! What runs cost on AWS: tasks by their size and the time of each step, requests as they were counted, storage by the
//! bytes of artifacts. All of it is an estimate by the table of [`crate::prices`].

use std::collections::BTreeMap;

use pipeline::components::Architecture;
use pipeline::item::RunItem;
use pipeline::{MemoryClass, StageName};
use serde::Serialize;

use crate::prices::Prices;
use crate::sizing::Sizing;
use crate::timings::Timing;

/// How long an idle worker's receive waits for a message: so often it asks.
pub const IDLE_POLL_SECONDS: f64 = 20.0;

/// What a task asks for besides, each hour, as counted over 80 s of a pool of one queue: pauses and the index of open
/// runs, its presence, and its queue's depth.
pub const BACKGROUND_OF_AN_HOUR: StepRequests = StepRequests {
    sqs: 90.0,
    writes: 45.0,
    units_per_write: 1.0,
    read_units: 585.0,
    puts: 0.0,
    gets: 0.0,
};

/// The size of items for which DynamoDB asks one write unit.
const WRITE_UNIT_BYTES: f64 = 1_024.0;

/// The mean size of a run's item while its steps are claimed and committed: a run of seven steps that learns is born
/// with under 1 KB and ends with 6 KB.
pub const TYPICAL_ITEM_BYTES: f64 = 3_500.0;

/// The requests of one step or branch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct StepRequests {
    /// Of SQS.
    pub sqs: f64,
    /// Conditional writes to DynamoDB.
    pub writes: f64,
    /// Write units of each of them.
    pub units_per_write: f64,
    /// Read units of DynamoDB.
    pub read_units: f64,
    /// Objects written to S3.
    pub puts: f64,
    /// Objects read from S3.
    pub gets: f64,
}

/// How many requests of SQS a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Traffic {
    /// One run in flight: a receive, a send and a delete for each step; with the claim and the commit 5.00 requests.
    #[default]
    Single,
    /// A hundred in flight: ten messages a request; with the claim and the commit 2.37 requests.
    Batched,
}

/// Claim and commit.
const WRITES: f64 = 2.0;

/// What is written of a result that may serve again: under its key, and as the latest of its step. Each is of 1.1 to
/// 1.6 KB, so two units.
const CACHE_WRITE_UNITS: f64 = 4.0;
/// And what is read before: both of them.
const CACHE_READ_UNITS: f64 = 2.0;

impl Traffic {
    /// Control requests of a linear step, as `tests/tests/aws_requests.rs` counts them.
    fn control(self) -> f64 {
        match self {
            Self::Single => 5.00,
            Self::Batched => 2.37,
        }
    }
}

impl StepRequests {
    /// A linear step that reads and writes as many objects, with run items of that size.
    pub fn linear(traffic: Traffic, item_bytes: f64, puts: f64, gets: f64) -> Self {
        Self {
            sqs: traffic.control() - WRITES,
            writes: WRITES,
            units_per_write: write_units(item_bytes),
            read_units: 0.0,
            puts,
            gets,
        }
    }

    /// What they cost.
    pub fn dollars(&self, prices: &Prices) -> f64 {
        let million = self.sqs * prices.sqs.million_requests
            + self.writes * self.units_per_write * prices.dynamodb.million_write_units
            + self.read_units * prices.dynamodb.million_read_units
            + self.puts * prices.s3.million_puts
            + self.gets * prices.s3.million_gets;
        million / 1e6
    }
}

/// What is written of a run besides its steps: its item and both indexes when it is made, both indexes when it ends.
const RUN_WRITE_UNITS: f64 = 5.0;
/// What registering a model writes, beside the run: a version and an alias, in a transaction, which costs twice.
const REGISTER_WRITE_UNITS: f64 = 8.0;

/// How costs are reckoned.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The table of prices.
    pub prices: Prices,
    /// How many requests of SQS a step needs.
    pub traffic: Traffic,
    /// The part of paid task time that is worked: idle tasks are paid for too.
    pub utilisation: f64,
    /// The part of the tasks on Fargate Spot; none for what the component says.
    pub spot_share: Option<f64>,
    /// The tasks' processors; none for what the component says.
    pub architecture: Option<Architecture>,
    /// For how many months artifacts are kept.
    pub months_kept: f64,
}

/// What one component's steps cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Part {
    /// Executions of stages.
    pub executions: usize,
    /// Time of permits, in seconds.
    pub held_seconds: f64,
    /// For the tasks of that time.
    pub dollars_tasks: f64,
    /// For requests of SQS.
    pub dollars_queues: f64,
    /// For requests of DynamoDB.
    pub dollars_table: f64,
    /// For requests of S3.
    pub dollars_objects: f64,
    /// For keeping artifacts.
    pub dollars_storage: f64,
    /// All of it.
    pub dollars: f64,
    /// Artifacts written.
    pub artifacts: usize,
    /// Their bytes.
    pub artifact_bytes: u64,
}

impl Part {
    fn add(&mut self, more: &Self) {
        self.executions += more.executions;
        self.held_seconds += more.held_seconds;
        self.dollars_tasks += more.dollars_tasks;
        self.dollars_queues += more.dollars_queues;
        self.dollars_table += more.dollars_table;
        self.dollars_objects += more.dollars_objects;
        self.dollars_storage += more.dollars_storage;
        self.dollars += more.dollars;
        self.artifacts += more.artifacts;
        self.artifact_bytes += more.artifact_bytes;
    }
}

/// What runs cost, by component and all together.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Costs {
    /// How many runs.
    pub runs: usize,
    /// By component.
    pub components: BTreeMap<StageName, Part>,
    /// Of all of them.
    pub total: Part,
}

impl Costs {
    /// The mean of a run.
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    pub fn dollars_per_run(&self) -> f64 {
        self.total.dollars / (self.runs.max(1)) as f64
    }

    /// The mean of a million executions of stages.
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    pub fn dollars_per_million(&self) -> f64 {
        self.total.dollars / (self.total.executions.max(1)) as f64 * 1e6
    }

    /// Adds a run and its steps.
    pub fn add(&mut self, run: &RunItem, timings: &[Timing], basis: &Basis) -> Result<(), String> {
        self.runs += 1;
        let item_bytes = mean_item_bytes(run);
        let mut before = 0;
        for (nth, timing) in timings.iter().enumerate() {
            let mut part = part(timing, before, item_bytes, basis)?;
            let is_last_of_step = timings.get(nth + 1).is_none_or(|next| next.step != timing.step);
            let mut units = if nth == 0 { RUN_WRITE_UNITS } else { 0.0 };
            if is_last_of_step {
                // Branches read what was there before their step, not each other's artifacts.
                let of_step = timings.iter().filter(|other| other.step == timing.step);
                before += of_step.map(|other| other.artifacts).sum::<usize>();
                // One more update closes a fanned-out step.
                let closing = if timing.ordinal.is_some() {
                    write_units(item_bytes)
                } else {
                    0.0
                };
                units += closing;
            }
            if nth + 1 == timings.len() && run.registered.is_some() {
                units += write_units(item_bytes) + REGISTER_WRITE_UNITS;
            }
            let dollars = units * basis.prices.dynamodb.million_write_units / 1e6;
            part.dollars_table += dollars;
            part.dollars += dollars;
            self.components
                .entry(timing.stage.clone())
                .or_default()
                .add(&part);
            self.total.add(&part);
        }
        Ok(())
    }
}

/// Of one write of an item.
pub(crate) fn write_units(item_bytes: f64) -> f64 {
    (item_bytes / WRITE_UNIT_BYTES).ceil().max(1.0)
}

/// Of one consistent read of an item.
pub(crate) fn read_units(item_bytes: f64) -> f64 {
    (item_bytes / (4.0 * WRITE_UNIT_BYTES)).ceil().max(1.0)
}

/// Half way from the item's size at birth to its size at its end; as JSON, which is about what DynamoDB counts.
#[expect(clippy::cast_precision_loss, reason = "an item is below 400 KB")]
pub(crate) fn mean_item_bytes(run: &RunItem) -> f64 {
    let size = |run: &RunItem| serde_json::to_vec(run).map_or(0, |text| text.len());
    let mut at_birth = run.clone();
    for step in at_birth.steps.values_mut() {
        let new = pipeline::item::StepItem::new(step.stage.clone(), step.after.clone(), step.largest);
        *step = pipeline::item::StepItem {
            branches: step.branches,
            min_succeeded: step.min_succeeded,
            ..new
        };
    }
    (size(&at_birth) + size(run)) as f64 / 2.0
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn part(timing: &Timing, readable: usize, item_bytes: f64, basis: &Basis) -> Result<Part, String> {
    let Basis { prices, .. } = basis;
    let mut part = Part {
        executions: 1,
        held_seconds: timing.held_seconds(),
        artifacts: timing.artifacts,
        artifact_bytes: timing.artifact_bytes,
        ..Part::default()
    };
    part.dollars_tasks =
        task_dollars(&timing.stage, timing.class, part.held_seconds, basis)? / basis.utilisation;
    // Nobody counts what a step reads: at most each artifact of the steps before it, once.
    let gets = if timing.cached { 0 } else { readable };
    let attempts = f64::from(timing.attempts.max(1));
    let requests = StepRequests::linear(basis.traffic, item_bytes, timing.artifacts as f64, gets as f64);
    part.dollars_queues = attempts * requests.sqs * prices.sqs.million_requests / 1e6;
    let mut units = attempts * requests.writes * requests.units_per_write;
    // Whoever drives on reads the run once.
    let mut reads = (item_bytes / 4_096.0).ceil();
    if timing.ordinal.is_some() {
        // A branch's own item is small; joining its step is one more update of the run's, which its claim also reads.
        units = attempts * requests.writes + requests.units_per_write;
        reads += attempts * (item_bytes / 4_096.0).ceil();
    }
    if timing.cache.is_some() {
        reads += CACHE_READ_UNITS;
        units += if timing.cached { 0.0 } else { CACHE_WRITE_UNITS };
    }
    part.dollars_table =
        (units * prices.dynamodb.million_write_units + reads * prices.dynamodb.million_read_units) / 1e6;
    part.dollars_objects =
        (requests.puts * prices.s3.million_puts + requests.gets * prices.s3.million_gets) / 1e6;
    part.dollars_storage = timing.artifact_bytes as f64 / 1e9 * prices.s3.gb_month * basis.months_kept;
    part.dollars = part.dollars_tasks
        + part.dollars_queues
        + part.dollars_table
        + part.dollars_objects
        + part.dollars_storage;
    Ok(part)
}

/// Of a task of the component for so long.
fn task_dollars(
    stage: &StageName,
    class: MemoryClass,
    held_seconds: f64,
    basis: &Basis,
) -> Result<f64, String> {
    // Stages that only tests use are deployed nowhere.
    let sizing = match Sizing::of(stage.as_str(), class) {
        Ok(sizing) => sizing,
        Err(_) if is_for_tests(stage) => return Ok(0.0),
        Err(error) => return Err(error),
    };
    let architecture = basis.architecture.unwrap_or(sizing.architecture);
    let spot = basis.spot_share.unwrap_or(sizing.spot_share);
    let of_price = 1.0 - spot * (1.0 - basis.prices.fargate_spot.part_of_on_demand);
    let hour = basis
        .prices
        .task_hour(architecture, sizing.vcpu, sizing.memory_gb);
    Ok(hour * of_price * held_seconds / 3_600.0)
}

fn is_for_tests(stage: &StageName) -> bool {
    let known = pipeline::spec::CATALOGUE
        .iter()
        .find(|kind| kind.name == stage.as_str());
    known.is_some_and(|kind| kind.for_tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_costs_the_requests_that_were_counted() {
        let prices = Prices::built_in();
        for (traffic, sqs) in [(Traffic::Single, 3.0), (Traffic::Batched, 0.37)] {
            let step = StepRequests::linear(traffic, 1_000.0, 0.0, 0.0);
            assert!((step.sqs - sqs).abs() < 1e-9 && step.writes.to_bits() == 2.0_f64.to_bits());
            // By hand: requests of SQS at 0.40 a million, two units at 0.625 a million.
            assert!((step.dollars(&prices) - (sqs * 0.40 + 2.0 * 0.625) / 1e6).abs() < 1e-15);
        }
        let large = StepRequests::linear(Traffic::Single, 3_500.0, 2.0, 10.0);
        let wanted = (3.0 * 0.40 + 2.0 * 4.0 * 0.625 + 2.0 * 5.0 + 10.0 * 0.40) / 1e6;
        assert!(
            (large.dollars(&prices) - wanted).abs() < 1e-15,
            "an item of 3.5 KB is four units a write"
        );
    }

    #[test]
    fn tasks_cost_their_size_and_time() {
        let mut basis = Basis {
            prices: Prices::built_in(),
            traffic: Traffic::Single,
            utilisation: 1.0,
            spot_share: Some(0.0),
            architecture: Some(Architecture::X86),
            months_kept: 1.0,
        };
        let train = StageName::new("train").expect("an id");
        let hour = |basis: &Basis| {
            task_dollars(&train, MemoryClass::Standard, 3_600.0, basis).expect("it is deployed")
        };
        let sizing = Sizing::of("train", MemoryClass::Standard).expect("it is deployed");
        let wanted = sizing.vcpu * 0.04048 + sizing.memory_gb * 0.004445;
        assert!((hour(&basis) - wanted).abs() < 1e-12);
        basis.spot_share = Some(0.5);
        assert!(
            (hour(&basis) - wanted * 0.7).abs() < 1e-12,
            "half of it at four tenths"
        );
        let noop = StageName::new("noop").expect("an id");
        assert_eq!(task_dollars(&noop, MemoryClass::Standard, 1.0, &basis), Ok(0.0));
        let unknown = StageName::new("unknown").expect("an id");
        assert!(task_dollars(&unknown, MemoryClass::Standard, 1.0, &basis).is_err());
    }
}
