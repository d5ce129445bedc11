//! The suites that every implementation of a port passes.
//!
//! A suite is a module of cases, one for each promise of the port: plain async functions over a [`World`], which
//! know no backend and no runtime. [`conformance_tests!`](crate::conformance_tests) makes a test of each:
//!
//! ```text
//! fn with_world(case: impl AsyncFnOnce(&World)) { /* make a world, and run the case in it to its end */ }
//! pipeline::conformance_tests!(crate::with_world);
//! ```
//!
//! Cases that need time to pass let seconds pass, not less: that is the finest some services know. Identifiers are
//! drawn at random, so that cases may share a store; queues they share with nobody.

pub mod artifacts;
pub mod dead_letters;
pub mod fleet;
pub mod pipelines;
pub mod queue;
pub mod races;
pub mod registry;
pub mod runs;
pub mod sources;
pub mod strategies;
pub mod updates;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::digest::Sha256Digest;
use crate::id::{ModelName, PipelineName, RunId, StageName, StepName};
use crate::item::{Budget, MemoryClass, QueueName, RunItem};
use crate::plan::{Birth, Branches, Plan, PlanStep};
use crate::ports::{Backend, Host};

/// What a case works on.
pub struct World {
    /// The backend that is tested.
    pub backend: Backend,
    /// Time and randomness.
    pub host: Host,
    /// Two queues that are there, are empty, and are used by nobody else.
    pub queues: [QueueName; 2],
    /// An empty folder for files.
    pub scratch: PathBuf,
    /// True if a receipt whose message was delivered again since has no power. False only where an emulator stands
    /// in for a service that has this property, and lacks it.
    pub refuses_stale_receipts: bool,
    /// Stores bytes under a name where sources may be read, over what is there, and says their URI.
    pub put_source: PutSource,
}

/// See [`World::put_source`].
pub type PutSource = Box<dyn for<'a> Fn(&'a World, &'a str, &'a [u8]) -> BoxFuture<'a, String> + Send + Sync>;

impl World {
    /// A text that nobody else uses.
    pub fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.host.random.hex(8))
    }

    /// A run's id that nobody else uses.
    pub fn run_id(&self) -> RunId {
        RunId::new(self.unique("run")).expect("made of valid parts")
    }

    /// A model's name that nobody else uses.
    pub fn model(&self) -> ModelName {
        ModelName::new(self.unique("model")).expect("made of valid parts")
    }

    /// Steps `first`, `fan` (fanned out as its predecessor says) and `last`, just born.
    pub fn run_item(&self) -> RunItem {
        self.run_item_of(PipelineName::new(self.unique("pipeline")).expect("made of valid parts"))
    }

    /// The same, of that pipeline.
    pub fn run_item_of(&self, pipeline: PipelineName) -> RunItem {
        let step = |name: &str, branches| PlanStep {
            step: step(name),
            stage: StageName::new("noop").expect("valid"),
            largest: MemoryClass::Large,
            branches,
            min_succeeded: 1,
        };
        let plan = Plan::new(vec![
            step("first", None),
            step("fan", Some(Branches::FromPredecessor)),
            step("last", None),
        ])
        .expect("a plan of three steps");
        Birth {
            id: self.run_id(),
            pipeline,
            spec: Sha256Digest::of(b"spec"),
            max: Budget::DEFAULT_MAX,
            now: self.host.clock.now(),
            deadline: Duration::from_secs(3600),
        }
        .item(&plan)
    }

    /// Lets time pass.
    pub async fn pass(&self, seconds: u64) {
        self.host.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// What `work` answers, and how long that took.
    pub async fn timed<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let start = self.host.clock.monotonic();
        let answer = work.await;
        (answer, self.host.clock.monotonic().saturating_sub(start))
    }

    /// Waits until `look` answers `want`: an index may lag.
    pub async fn eventually<T: PartialEq + std::fmt::Debug>(&self, want: T, look: impl AsyncFn() -> T) {
        let mut seen = look().await;
        for _ in 0..40 {
            if seen == want {
                return;
            }
            self.host.clock.sleep(Duration::from_millis(250)).await;
            seen = look().await;
        }
        assert_eq!(seen, want, "the index did not catch up within ten seconds");
    }
}

/// A step's name that is known to be valid.
pub(crate) fn step(name: &str) -> StepName {
    StepName::new(name).expect("a valid name")
}

/// One test for each case of the suites `queue`, `dead_letters`, `artifacts`, `runs`, `updates`, `races`, `registry`, `fleet`, `pipelines` and `sources`, or of those
/// that are named after a semicolon. The path names a function that takes `impl AsyncFnOnce(&World)`, makes a world
/// and runs the case in it; it is written as seen from the crate's root.
#[macro_export]
macro_rules! conformance_tests {
    ($with_world:path) => {
        $crate::conformance_tests!($with_world; queue, dead_letters, artifacts, runs, updates, races, registry, fleet, pipelines, sources);
    };
    ($with_world:path; $($suite:ident),+) => {
        $(mod $suite {
            $crate::conformance_tests!(@$suite $with_world);
        })+
    };
    (@queue $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, queue:
            messages_are_received_and_acknowledged
            bodies_come_back_as_they_were
            a_delivery_hides_its_message_until_its_visibility_ends
            extending_keeps_a_message_hidden
            a_released_message_comes_back_after_its_delay
            a_message_sent_with_a_delay_waits_for_it
            a_stale_receipt_has_no_power
            every_message_of_a_large_batch_arrives_once
            concurrent_receivers_share_the_messages
            depth_counts_each_message_once
            a_long_poll_is_woken_by_a_send
            a_long_poll_is_woken_by_a_release
            an_empty_queue_answers_after_the_wait
            ready_says_true_once_there_is_a_message
            queues_are_separate
            an_unknown_queue_is_empty
        );
    };
    (@dead_letters $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, dead_letters:
            a_dead_letter_keeps_its_body_and_reason
            a_redriven_letter_is_a_new_message
            purged_letters_are_gone
        );
    };
    (@artifacts $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, artifacts:
            small_bytes_make_the_round_trip
            no_bytes_make_the_round_trip
            many_bytes_make_the_round_trip
            equal_bytes_may_be_published_again
            other_bytes_are_a_conflict
            of_racing_publishers_one_wins
            a_wrong_digest_is_refused_and_leaves_no_file
            a_wrong_size_is_refused_and_leaves_no_file
            what_is_not_there_is_not_found
            a_destination_that_exists_is_left_alone
            a_source_that_is_missing_publishes_nothing
            listing_and_removing_by_run
            specifications_are_shared_by_runs
        );
    };
    (@runs $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, runs:
            an_item_is_created_once
            an_unknown_run_is_none
            branches_are_loaded_by_step_and_ordinal
            removing_a_run_removes_its_branches
            runs_are_listed_newest_first
            lists_come_in_pages
            a_page_that_is_none_is_refused
            open_runs_come_earliest_check_first
            waiting_for_an_end_ends
            the_cache_keeps_the_last_entry
            the_server_has_a_time
        );
    };
    (@updates $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, updates:
            an_update_of_nothing_is_refused
            every_guard_holds_and_refuses
            a_branch_is_born_by_its_first_claim
            any_update_of_any_item_has_the_verdict_of_evaluate
        );
    };
    (@races $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, races:
            one_of_a_thousand_claims_wins
            one_of_a_hundred_births_wins
            racing_joins_lose_nothing
            racing_sweepers_move_the_next_check_once
        );
    };
    (@registry $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, registry:
            an_unknown_model_is_empty
            a_commit_registers_and_promotes
            a_commit_may_register_only
            a_refused_commit_registers_nothing
            a_promotion_over_another_champion_changes_nothing
            of_racing_promotions_one_wins
            versions_are_listed_newest_first
            rolling_back_twice_goes_two_back
            what_was_rolled_back_stays_so_after_a_promotion
            a_roll_back_of_another_revision_changes_nothing
            a_version_is_promoted_by_hand
            a_promotion_by_hand_of_what_is_not_there_changes_nothing
            of_racing_promotions_by_hand_one_wins
        );
    };
    (@fleet $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, fleet:
            a_worker_is_there_until_it_expires
            a_worker_that_left_is_gone
            a_pause_lasts_until_it_is_ended
            stored_logs_are_read_by_run_and_step
            no_logs_are_no_error
        );
    };
    (@pipelines $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, pipelines:
            a_pipeline_is_kept_under_its_name
            places_are_taken_once
            of_racing_runs_no_more_enter_than_there_are_places
        );
    };
    (@sources $with_world:path) => {
        $crate::conformance_tests!(@cases $with_world, sources:
            a_file_is_found_with_its_digest
            files_of_this_machine_are_offered
            a_glob_names_files_in_the_order_of_their_names
            a_source_that_is_missing_is_not_found
            web_addresses_are_refused
            a_source_that_was_changed_is_not_fetched
        );
    };
    (@cases $with_world:path, $suite:ident: $($case:ident)+) => {
        $(#[test]
        fn $case() {
            $with_world(async |world: &$crate::conformance::World| $crate::conformance::$suite::$case(world).await);
        })+
    };
}

#[cfg(test)]
mod tests {
    /// A case that no list names would never run.
    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("mod.rs");
        for suite in [
            include_str!("artifacts.rs"),
            include_str!("dead_letters.rs"),
            include_str!("fleet.rs"),
            include_str!("pipelines.rs"),
            include_str!("queue.rs"),
            include_str!("races.rs"),
            include_str!("registry.rs"),
            include_str!("runs.rs"),
            include_str!("sources.rs"),
            include_str!("updates.rs"),
        ] {
            let cases = suite
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "));
            for case in cases.filter_map(|rest| rest.split('(').next()) {
                assert!(
                    list.lines().any(|line| line.trim() == case),
                    "{case} is in no list"
                );
            }
        }
    }
}
