//! What a run's own requests to AWS cost: the counts that its steps recorded, by the table of [`crate::prices`].

use pipeline::item::{BranchItem, Requests, RunItem};
use serde::Serialize;

use crate::cost::{StepRequests, mean_item_bytes, read_units, write_units};
use crate::prices::Prices;

/// A run's requests, as scripts read them. The price is an estimate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestsView {
    /// To SQS.
    pub sqs: u32,
    /// To DynamoDB, that read.
    pub dynamodb_reads: u32,
    /// To DynamoDB, that write.
    pub dynamodb_writes: u32,
    /// To S3, that read an object or ask about one.
    pub s3_reads: u32,
    /// To S3, that write or list.
    pub s3_writes: u32,
    /// What they cost.
    pub estimated_dollars: f64,
    /// In which region.
    pub region: String,
    /// When its prices were read.
    pub prices_of: String,
}

impl RequestsView {
    /// Of a run; none if none of its steps recorded any.
    pub fn of(run: &RunItem, branches: &[BranchItem], prices: &Prices) -> Option<Self> {
        let counted = Requests::of_run(run, branches)?;
        // What is read and written are mostly items of the run's size.
        let item_bytes = mean_item_bytes(run);
        let paid = StepRequests {
            sqs: f64::from(counted.queue),
            writes: f64::from(counted.table_writes),
            units_per_write: write_units(item_bytes),
            read_units: f64::from(counted.table_reads) * read_units(item_bytes),
            puts: f64::from(counted.store_writes),
            gets: f64::from(counted.store_reads),
        };
        Some(Self {
            sqs: counted.queue,
            dynamodb_reads: counted.table_reads,
            dynamodb_writes: counted.table_writes,
            s3_reads: counted.store_reads,
            s3_writes: counted.store_writes,
            estimated_dollars: paid.dollars(prices),
            region: prices.region.clone(),
            prices_of: prices.read_on.clone(),
        })
    }

    /// In words.
    pub fn text(&self) -> String {
        format!(
            "{} to SQS, {} reads and {} writes of DynamoDB, {} reads and {} writes of S3: about ${:.6} (estimate, by \
             prices of {}, {})",
            self.sqs,
            self.dynamodb_reads,
            self.dynamodb_writes,
            self.s3_reads,
            self.s3_writes,
            self.estimated_dollars,
            self.prices_of,
            self.region,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::item::{Budget, Measured};
    use pipeline::plan::Birth;
    use pipeline::spec::{Overrides, load};
    use pipeline::{StepState, Timestamp};

    fn run() -> RunItem {
        let text = "pipeline = \"p\"\n[[steps]]\nstep = \"a\"\nstage = \"noop\"\n[[steps]]\nstep = \"b\"\nstage = \"noop\"\n";
        let spec = load(text, &Overrides::new()).expect("is valid");
        Birth {
            id: "r-1".parse().expect("an id"),
            pipeline: spec.pipeline.clone(),
            spec: spec.digest(),
            max: Budget::DEFAULT_MAX,
            now: Timestamp(0),
            deadline: spec.deadline,
        }
        .item(&spec.plan().expect("a plan"))
    }

    #[test]
    fn requests_of_all_steps_are_summed_up_and_priced() {
        let mut run = run();
        let prices = Prices::built_in();
        assert_eq!(RequestsView::of(&run, &[], &prices), None, "nothing was counted");
        for step in run.steps.values_mut() {
            step.state = StepState::Committed;
            step.measured = Some(Measured {
                requests: Some(Requests {
                    queue: 3,
                    table_reads: 1,
                    table_writes: 2,
                    store_reads: 4,
                    store_writes: 5,
                }),
                ..Measured::default()
            });
        }
        let view = RequestsView::of(&run, &[], &prices).expect("something was counted");
        assert_eq!((view.sqs, view.dynamodb_writes, view.s3_writes), (6, 4, 10));
        // 10 puts alone are $0.00005.
        assert!((0.00005..0.0001).contains(&view.estimated_dollars), "{view:?}");
        let text = view.text();
        assert!(
            text.contains("estimate") && text.contains(&prices.read_on),
            "{text}"
        );
    }
}
