//! From the command line and the component's entry to what is simulated.

use std::time::Duration;

use super::Args;
use crate::cost::{StepRequests, TYPICAL_ITEM_BYTES};
use crate::exit::Failure;
use crate::prices::Prices;
use crate::scaling::arrivals::{Arrivals, MOST_JOBS};
use crate::scaling::durations::Durations;
use crate::scaling::engine::Setting;
use crate::scaling::fleet::TaskKind;
use crate::scaling::policy::Policy;
use crate::scaling::search::Fixed;
use crate::scaling::summary::Bill;
use crate::scaling::trace::Trace;
use crate::scaling::{DAY, Micros, micros};
use crate::sizing::{Sizing, check_task};

/// The longest simulation.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// Requests of S3 that write and read in one execution, in the mean: the eight of a run of the flights example were
/// counted to need 33 and 56.
const OBJECTS: (f64, f64) = (4.1, 7.0);

/// What is simulated.
pub(super) struct Plan {
    pub(super) arrivals: Arrivals,
    pub(super) durations: Durations,
    pub(super) horizon: Micros,
    pub(super) setting: Setting,
    pub(super) bill: Bill,
    /// What a search leaves as it is.
    pub(super) fixed: Fixed,
}

impl Plan {
    pub(super) fn of(args: &Args) -> Result<Self, Failure> {
        let usage = Failure::Usage;
        let sizing = Sizing::of(&args.component, args.class).map_err(usage)?;
        let durations = match &args.durations {
            Some(source) => Durations::load(source, &args.component),
            None => format!("exp:{}s", sizing.stage_seconds).parse(),
        }
        .map_err(usage)?;
        let arrivals = Arrivals::load(&args.arrivals, &args.component).map_err(usage)?;
        let horizon = args.horizon.map(|horizon| horizon.min(LONGEST)).map(micros);
        let horizon = horizon.unwrap_or_else(|| arrivals.last().unwrap_or(DAY)).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a bound")]
        if arrivals.expected(horizon) > MOST_JOBS as f64 {
            return Err(usage(format!(
                "about {:.0} messages would arrive, more than the {MOST_JOBS} of one simulation: take a shorter time \
                 (--for)",
                arrivals.expected(horizon)
            )));
        }
        let setting = setting(args, &sizing, &durations);
        let bill = bill(args, &sizing)?;
        Ok(Self {
            arrivals,
            durations,
            horizon,
            setting,
            bill,
            fixed: Fixed {
                target: args.target.is_some(),
                min: args.min.is_some(),
                max: args.max.is_some(),
                out_cooldown: args.scale_out_cooldown.is_some(),
                in_cooldown: args.scale_in_cooldown.is_some(),
            },
        })
    }

    pub(super) fn draw(&self, seed: u64, replication: u32) -> Trace {
        Trace::draw(&self.arrivals, &self.durations, self.horizon, seed, replication)
    }
}

fn setting(args: &Args, sizing: &Sizing, durations: &Durations) -> Setting {
    let acceptable = args.acceptable_latency.map(|d| d.as_secs_f64());
    let acceptable = acceptable.unwrap_or(sizing.acceptable_latency_seconds);
    let natural = acceptable * f64::from(args.permits) / durations.mean_seconds().max(1e-6);
    let min = args.min.unwrap_or(sizing.min);
    let usual = Policy::default();
    Setting {
        policy: Policy {
            min,
            max: args.max.unwrap_or(sizing.max.max(min)),
            target: args.target.unwrap_or(natural),
            scale_in: args.scale_in,
            surplus: args.surplus,
            delay: micros(args.metric_delay),
            out_cooldown: args.scale_out_cooldown.map_or(usual.out_cooldown, micros),
            in_cooldown: args.scale_in_cooldown.map_or(usual.in_cooldown, micros),
            wake_to: args.wake_to,
            wake_on: args.wake_on,
            ..usual
        },
        task: TaskKind {
            permits: args.permits,
            start: args.task_start.clone(),
            is_protected: !args.unprotected,
            drain: micros(args.drain_timeout),
            spot_share: args.spot_share.unwrap_or(sizing.spot_share),
            interruptions_per_hour: args.interruptions_per_hour,
            ..TaskKind::default()
        },
    }
}

fn bill(args: &Args, sizing: &Sizing) -> Result<Bill, Failure> {
    let memory_gb = args.memory.unwrap_or(sizing.memory_gb);
    let vcpu = args.cpu.unwrap_or(sizing.vcpu);
    check_task(vcpu, memory_gb).map_err(Failure::Usage)?;
    let (puts, gets) = OBJECTS;
    Ok(Bill {
        prices: Prices::load(args.prices.as_deref())?,
        architecture: args.architecture.unwrap_or(sizing.architecture),
        vcpu,
        memory_gb,
        requests: StepRequests::linear(args.traffic, TYPICAL_ITEM_BYTES, puts, gets),
    })
}
