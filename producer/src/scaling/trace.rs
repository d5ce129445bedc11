//! What arrives, and how long each of it takes: drawn once, so that different settings are compared on the same work.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng as _;

use super::Micros;
use super::arrivals::Arrivals;
use super::durations::Durations;

/// One message and its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// When it can be received.
    pub arrival: Micros,
    /// How long it holds a permit.
    pub work: Micros,
}

/// All jobs, in the order of their arrival.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The simulation lasts at least so long.
    pub horizon: Micros,
}

/// Which numbers are drawn from a seed: one stream for each, so that one does not shift the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// When jobs arrive.
    Arrivals,
    /// How long they take.
    Durations,
    /// What happens to tasks.
    Tasks,
}

/// The generator of a stream, in one replication of a seed.
pub fn random(seed: u64, replication: u32, stream: Stream) -> Pcg64 {
    let nth = u64::from(replication) * 4 + stream as u64;
    // An odd factor spreads neighbouring streams over all bits before the generator does so once more.
    Pcg64::seed_from_u64(seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Trace {
    /// Draws the jobs of one replication that arrive before `horizon`.
    pub fn draw(
        arrivals: &Arrivals,
        durations: &Durations,
        horizon: Micros,
        seed: u64,
        replication: u32,
    ) -> Self {
        let mut times = arrivals.draw(horizon, &mut random(seed, replication, Stream::Arrivals));
        times.sort_unstable();
        let mut of_work = random(seed, replication, Stream::Durations);
        let job = |arrival| Job {
            arrival,
            work: durations.draw(&mut of_work),
        };
        Self {
            jobs: times.into_iter().map(job).collect(),
            horizon,
        }
    }

    /// The work of all jobs.
    pub fn work(&self) -> u128 {
        self.jobs.iter().map(|job| u128::from(job.work)).sum()
    }
}
