//! Which trace a run belongs to, as W3C trace context says it.
//!
//! A run has one span of its own, whose id follows from the run's id: nobody must remember it, and what was lost and is sent
//! again belongs to the same trace. Every message of the run names that span, and attempts are its children. The trace is that
//! of whoever asked for the run, if it said so, or one of the run's own, whose id follows from the run's id as well.

use crate::digest::Sha256Digest;
use crate::envelope::TraceParent;
use crate::id::RunId;
use crate::item::RunItem;

/// The span of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpan {
    /// It, as its children name it.
    pub context: TraceParent,
    /// The span of whoever asked for the run.
    pub parent: Option<TraceParent>,
}

impl RunSpan {
    /// Of a run.
    pub fn of(run: &RunItem) -> Self {
        let span = identifier("span", &run.id, 8);
        let asked = run.trace.as_ref().filter(|asked| asked.is_valid());
        let (trace, flags) = match asked {
            Some(parent) => (parent.trace_id().to_owned(), parent.flags().to_owned()),
            None => (identifier("trace", &run.id, 16), "01".to_owned()),
        };
        let context = TraceParent::try_from(format!("00-{trace}-{span}-{flags}"))
            .expect("hexadecimal digits of the right number make a traceparent");
        Self {
            context,
            parent: asked.cloned(),
        }
    }
}

/// So many bytes, in hexadecimal, that follow from the run's id.
fn identifier(of: &str, run: &RunId, bytes: usize) -> String {
    let mut digits = Sha256Digest::of(format!("{of}\n{run}").as_bytes()).to_string();
    digits.truncate(2 * bytes);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Budget;
    use crate::plan::{Birth, Plan, PlanStep};
    use crate::{MemoryClass, Timestamp};

    fn run(id: &str) -> RunItem {
        let step = PlanStep {
            step: "a".parse().expect("valid"),
            stage: "noop".parse().expect("valid"),
            largest: MemoryClass::Standard,
            branches: None,
            min_succeeded: 1,
        };
        Birth {
            id: RunId::new(id).expect("valid"),
            pipeline: "p".parse().expect("valid"),
            spec: Sha256Digest::of(b""),
            max: Budget::DEFAULT_MAX,
            now: Timestamp(0),
            deadline: std::time::Duration::from_secs(1),
        }
        .item(&Plan::new(vec![step]).expect("valid"))
    }

    #[test]
    fn a_run_has_a_trace_of_its_own_or_that_of_who_asked_for_it() {
        let (one, other) = (RunSpan::of(&run("one")), RunSpan::of(&run("other")));
        assert_eq!(one, RunSpan::of(&run("one")), "always the same");
        assert_ne!(one.context.trace_id(), other.context.trace_id());
        assert_ne!(one.context.span_id(), other.context.span_id());
        assert_eq!(one.parent, None);

        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let asked = TraceParent::try_from(text.to_owned()).expect("valid");
        let mut run = run("one");
        run.trace = Some(asked.clone());
        let span = RunSpan::of(&run);
        assert_eq!(span.context.trace_id(), asked.trace_id());
        assert_eq!(span.context.span_id(), one.context.span_id());
        assert!(!span.context.is_sampled(), "who asked does not want it recorded");
        assert_eq!(span.parent, Some(asked));
        let nothing = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        run.trace = Some(TraceParent::try_from(nothing).expect("of the right form"));
        assert_eq!(RunSpan::of(&run), one, "a parent that names no span is none");
    }
}
