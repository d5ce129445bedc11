//! `allocate`: takes memory and touches it.

use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

use crate::assigned::{own_params, stage_name};

const MIB: usize = 1024 * 1024;
/// How much it takes at a time.
const PIECE_MIB: u64 = 16;
/// The smallest page that any of our systems has: a byte in each makes all of it resident.
const PAGE_BYTES: usize = 4096;

pub(crate) struct Allocate;

impl Stage for Allocate {
    fn name(&self) -> StageName {
        stage_name("allocate")
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        let mib = own_params!(assignment, Allocate).ok()?.estimate_mib?;
        Some(Demand {
            memory_bytes: mib.saturating_mul(1 << 20),
            scratch_bytes: 0,
            reason: "what it is told".into(),
        })
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Allocate)?;
        let mut pieces = Vec::new();
        let mut taken_mib = 0;
        while taken_mib < params.mib {
            context.checkpoint()?;
            let take_mib = PIECE_MIB.min(params.mib - taken_mib);
            let mut piece = vec![0u8; usize::try_from(take_mib).expect("at most a piece") * MIB];
            for page in piece.chunks_mut(PAGE_BYTES) {
                page[0] = 1;
            }
            // The compiler must not find out that nobody reads them.
            pieces.push(std::hint::black_box(piece));
            taken_mib += take_mib;
            #[expect(clippy::cast_precision_loss, reason = "a progress bar does not mind")]
            context.progress(taken_mib as f64 / params.mib as f64);
        }
        Ok(Outcome::Advance)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::testing::Bench;

    #[test]
    fn takes_it_in_pieces_and_says_how_far_it_is() {
        let bench = Bench::new("[[steps]]\nstage = \"allocate\"\nparams = { mib = 40 }\n");
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        assert_eq!(
            *bench.notes.progress.lock().expect("not poisoned"),
            [0.4, 0.8, 1.0]
        );
    }

    #[test]
    fn stops_between_pieces() {
        let bench = Bench::new("[[steps]]\nstage = \"allocate\"\nparams = { mib = 1000000000 }\n");
        bench.notes.interrupt_at_look.store(3, Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted));
        assert_eq!(bench.notes.progress.lock().expect("not poisoned").len(), 2);
    }
}
