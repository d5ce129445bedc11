//! What decides how many tasks a component's service has: target tracking on the backlog of a task, as Application Auto
//! Scaling and CloudWatch do it, and the alarm that wakes a service without tasks.
//!
//! Sources, read in November 2026; what AWS does not publish is said to be an assumption:
//! - Application Auto Scaling User Guide, "Target tracking scaling policies" (cooldowns; missing data; out at once, in
//!   gradually) and "Create a target tracking scaling policy using metric math" (backlog per task of an SQS queue).
//! - Application Auto Scaling User Guide, "Step scaling policies" (percentages of capacity and how they are rounded; a
//!   cooldown after scaling in).
//! - Amazon EC2 Auto Scaling User Guide, "Scaling policy based on Amazon SQS" (target = acceptable latency ÷ time per
//!   message).
//! - Amazon SQS Developer Guide, "CloudWatch metrics for Amazon SQS" (one-minute metrics of active queues; six hours
//!   until a queue is inactive, up to 15 minutes until an inactive one has metrics again).
//! - Amazon ECS Developer Guide, "Task scale-in protection" and "Service quotas" (500 tasks a minute and service).

use super::{HOUR, MINUTE, Micros, SECOND};

/// What takes tasks away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScaleIn {
    /// Two alarms of its own, as the deployment has: one takes a quarter while waiting messages and those at work are few
    /// for ten minutes, the other all that is not kept after fifteen minutes without any message.
    Steps,
    /// Target tracking itself, on waiting messages only: capacity in proportion to the metric after fifteen minutes below
    /// nine tenths of the target. A fleet that keeps up looks idle to it, as nothing waits.
    Tracking,
}

/// When the alarm that wakes sees a service without tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WakeOn {
    /// When none is wanted.
    Desired,
    /// When none runs. A trap: a protected task that still works when none is wanted any more keeps the alarm quiet, and
    /// target tracking multiplies zero, so that this task works alone until its queue is empty.
    Running,
}

/// The settings of a component's scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The fewest tasks.
    pub min: u32,
    /// The most tasks.
    pub max: u32,
    /// Waiting messages for each running task that the service is held at: the acceptable wait divided by the time
    /// that one message takes of a task.
    pub target: f64,
    /// What takes tasks away.
    pub scale_in: ScaleIn,
    /// One datapoint of the metrics: SQS and Container Insights publish one each minute.
    pub period: Micros,
    /// From a datapoint's minute to the alarm that sees it. An assumption: CloudWatch promises no time; one to three
    /// minutes are seen in practice.
    pub delay: Micros,
    /// How many datapoints in a row above the target scale out. The alarms that target tracking makes have three; no
    /// document promises it.
    pub out_datapoints: u32,
    /// In steps: messages for each running task, waiting and at work, below which there is a surplus; none for
    /// [`Policy::surplus`]'s own choice.
    pub surplus: Option<f64>,
    /// In steps: how many datapoints in a row with a surplus take something away.
    pub surplus_datapoints: u32,
    /// In steps: how much of a surplus is taken away, in percent of what is wanted; at least one task, and never the last.
    pub surplus_percent: u32,
    /// In steps: how many datapoints in a row without any message take away all that is not kept.
    pub rest_datapoints: u32,
    /// By tracking: how many datapoints in a row below the target scale in. The alarms that
    /// target tracking makes have fifteen; no document promises it.
    pub in_datapoints: u32,
    /// By tracking: the part of the target below which a datapoint counts. The alarms that target
    /// tracking makes have nine tenths, so that there is a band in which nothing happens.
    pub in_below: f64,
    /// For how long after scaling out only a still larger number is obeyed. It should last until the new tasks are seen
    /// in the metrics: their start, one period and the delay. If it is shorter, they are ordered again, as the backlog of
    /// the few that run is multiplied with the many that are wanted. (AWS has 300 s unless told otherwise.)
    pub out_cooldown: Micros,
    /// For how long after scaling in nothing more is taken away. (AWS has 300 s unless told otherwise.)
    pub in_cooldown: Micros,
    /// How many tasks the alarm asks for that sees messages where no task runs: backlog per task is undefined there,
    /// and target tracking does nothing without data.
    pub wake_to: u32,
    /// Which tasks that alarm looks at.
    pub wake_on: WakeOn,
    /// How many datapoints in a row wake.
    pub wake_datapoints: u32,
    /// After so long without messages and without anybody who asks for some, SQS stops the queue's metrics.
    pub inactive_after: Micros,
    /// So long an inactive queue has no metrics once it is used again. The longest that the documentation names.
    pub reactivation: Micros,
}

impl Policy {
    /// Below how many messages for each running task there is a surplus: where nothing else is said, one, because a fleet that
    /// is all at work is none, or half of the target where that is fewer. `deploy/bin/settings.py` has the same rule.
    pub fn surplus(&self) -> f64 {
        self.surplus.unwrap_or((self.target / 2.0).min(1.0))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min: 0,
            max: 20,
            target: 1.0,
            scale_in: ScaleIn::Steps,
            period: MINUTE,
            delay: MINUTE,
            out_datapoints: 3,
            surplus: None,
            surplus_datapoints: 10,
            surplus_percent: 25,
            rest_datapoints: 15,
            in_datapoints: 15,
            in_below: 0.9,
            out_cooldown: 180 * SECOND,
            in_cooldown: 300 * SECOND,
            wake_to: 1,
            wake_on: WakeOn::Desired,
            wake_datapoints: 1,
            inactive_after: 6 * HOUR,
            reactivation: 15 * MINUTE,
        }
    }
}

/// Why a policy cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No tasks at all.
    #[error("the most tasks (max) must be at least 1 and at least the fewest (min)")]
    Bounds,
    /// The target is nothing to track.
    #[error("the target must be a number above 0")]
    Target,
    /// Work that comes while there is no task would wait for ever.
    #[error("a service that may have no tasks must be woken to at least one")]
    Wake,
    /// Nothing would ever be seen.
    #[error("the period of the metrics must be at least a second, and numbers of datapoints at least 1")]
    Datapoints,
}

impl Policy {
    /// Exactly so many tasks, always.
    pub fn fixed(tasks: u32) -> Self {
        Self {
            min: tasks,
            max: tasks,
            ..Self::default()
        }
    }

    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.max == 0 || self.min > self.max {
            return Err(PolicyError::Bounds);
        }
        if !(self.target.is_finite() && self.target > 0.0) {
            return Err(PolicyError::Target);
        }
        if self.min == 0 && self.wake_to == 0 {
            return Err(PolicyError::Wake);
        }
        let datapoints = [
            self.out_datapoints,
            self.in_datapoints,
            self.surplus_datapoints,
            self.rest_datapoints,
            self.wake_datapoints,
        ];
        if self.period < SECOND || datapoints.contains(&0) {
            return Err(PolicyError::Datapoints);
        }
        Ok(())
    }

    /// True if it never changes the number of tasks.
    pub fn is_fixed(&self) -> bool {
        self.min == self.max
    }
}

/// One datapoint of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Datapoint {
    /// Messages that wait.
    pub visible: u32,
    /// Messages that are being worked on.
    pub in_flight: u32,
    /// Tasks that run.
    pub running: u32,
}

/// The policy at work: its alarms, its cooldowns, and the number of tasks that is wanted.
#[derive(Debug, Clone)]
pub struct Scaler<'a> {
    policy: &'a Policy,
    desired: u32,
    /// Datapoints in a row above the target; with a surplus, or below the target by tracking; without any message; with
    /// messages but no task.
    above: u32,
    below: u32,
    empty: u32,
    asleep: u32,
    out_until: Micros,
    /// How many tasks were wanted before the scale-out whose cooldown lasts: it is reckoned from there, so that tasks
    /// on their way are not ordered twice.
    before_out: u32,
    in_until: Micros,
}

impl<'a> Scaler<'a> {
    /// A service that has `desired` tasks.
    pub fn new(policy: &'a Policy, desired: u32) -> Self {
        let desired = desired.clamp(policy.min, policy.max);
        Self {
            policy,
            desired,
            above: 0,
            below: 0,
            empty: 0,
            asleep: 0,
            out_until: 0,
            before_out: desired,
            in_until: 0,
        }
    }

    /// How many tasks are wanted.
    pub fn desired(&self) -> u32 {
        self.desired
    }

    /// The alarms see one more datapoint at `now`; how many tasks are wanted then.
    pub fn see(&mut self, now: Micros, at: Datapoint) -> u32 {
        let policy = self.policy;
        self.wake(at);
        count(&mut self.empty, at.visible == 0 && at.in_flight == 0);
        if at.running == 0 {
            // A division by zero is a missing datapoint, and alarms on it wait for data.
            (self.above, self.below) = (0, 0);
        } else {
            let running = f64::from(at.running);
            let backlog = f64::from(at.visible) / running;
            let work = (f64::from(at.visible) + f64::from(at.in_flight)) / running;
            count(&mut self.above, backlog > policy.target);
            let is_below = match policy.scale_in {
                ScaleIn::Steps => work < policy.surplus(),
                ScaleIn::Tracking => backlog < policy.target * policy.in_below,
            };
            count(&mut self.below, is_below);
            if self.above >= policy.out_datapoints {
                self.scale_out(now, backlog / policy.target);
                return self.desired;
            }
            self.scale_in(now, backlog / policy.target);
        }
        if policy.scale_in == ScaleIn::Steps && self.empty >= policy.rest_datapoints {
            self.desired = self.desired.min(policy.min);
        }
        self.desired
    }

    fn wake(&mut self, at: Datapoint) {
        let is_empty = match self.policy.wake_on {
            WakeOn::Desired => self.desired == 0,
            WakeOn::Running => at.running == 0,
        };
        count(&mut self.asleep, is_empty && at.visible > 0);
        if self.asleep >= self.policy.wake_datapoints {
            let wanted = self.policy.wake_to.clamp(self.policy.min, self.policy.max);
            self.desired = self.desired.max(wanted);
        }
    }

    fn scale_out(&mut self, now: Micros, ratio: f64) {
        let is_cooling = now < self.out_until;
        let from = if is_cooling { self.before_out } else { self.desired };
        let wanted = self.times(from, ratio);
        if wanted <= self.desired {
            return;
        }
        if !is_cooling {
            self.before_out = self.desired;
        }
        self.desired = wanted;
        self.out_until = now + self.policy.out_cooldown;
        // Scaling out ends the other cooldown.
        self.in_until = 0;
    }

    fn scale_in(&mut self, now: Micros, ratio: f64) {
        if now < self.in_until || now < self.out_until {
            return;
        }
        let policy = self.policy;
        let wanted = match policy.scale_in {
            ScaleIn::Steps if self.below >= policy.surplus_datapoints => {
                // Fractions of a task are rounded towards none, but for the first.
                let step = (self.desired * policy.surplus_percent / 100).max(1);
                self.desired.saturating_sub(step).max(policy.min).max(1)
            }
            ScaleIn::Tracking if self.below >= policy.in_datapoints => self.times(self.desired, ratio),
            ScaleIn::Steps | ScaleIn::Tracking => return,
        };
        if wanted < self.desired {
            self.desired = wanted;
            self.in_until = now + policy.in_cooldown;
        }
    }

    /// Capacity in proportion to the metric, rounded up, within the bounds. An assumption: AWS publishes no formula, and says
    /// that it scales out in proportion and rounds so that there is not too little.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and `as` saturates"
    )]
    fn times(&self, tasks: u32, ratio: f64) -> u32 {
        let wanted = (f64::from(tasks) * ratio).ceil() as u32;
        wanted.clamp(self.policy.min, self.policy.max)
    }
}

/// One more in a row, or the end of the row.
fn count(row: &mut u32, is_in_it: bool) {
    *row = if is_in_it { row.saturating_add(1) } else { 0 };
}

#[cfg(test)]
mod tests;
