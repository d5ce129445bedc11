//! When messages arrive.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rand_distr::uniform::Uniform;
use rand_distr::{Distribution as _, Exp1, StandardUniform};
use rand_pcg::Pcg64;

use super::observed::{self, Observed};
use super::{DAY, Micros, from_seconds, micros, seconds};

/// The most messages of one simulation: they are held in memory.
pub const MOST_JOBS: usize = 20_000_000;

/// Arrivals: patterns that are added up, or the times of a file. Patterns begin at midnight.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Drawn.
    Patterns(Vec<Pattern>),
    /// As they were, counted from the first.
    Recorded(Vec<Micros>),
}

/// One pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// `poisson:120/h`: independent of each other, at one rate.
    Poisson {
        /// A second.
        rate: f64,
    },
    /// `daily:100/h,09:00x6,14:00x4,width=1h`: the rate rises to so many times itself at those times of each day.
    Daily {
        /// A second, far from the peaks.
        rate: f64,
        /// The time of day of each peak, and how many times the rate it has there.
        peaks: Vec<(Micros, f64)>,
        /// How wide peaks are: the standard deviation of a bell.
        width: Micros,
    },
    /// `burst:5000@00:05,over=2m`: so many at that time of each day, spread evenly over a while.
    Burst {
        /// How many.
        count: u32,
        /// At which time of day.
        at: Micros,
        /// For how long.
        over: Micros,
    },
}

/// Arrivals on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Patterns, joined by `+`.
    Patterns(Vec<Pattern>),
    /// The path of a file.
    File(PathBuf),
}

const FORMS: &str = "write poisson:120/h, daily:100/h,09:00x6,14:00x4,width=1h, burst:5000@00:05,over=2m, several of them \
                     joined by +, or the path of a file of times";

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("poisson" | "daily" | "burst", _)) => {
                let patterns: Result<_, String> = text.split('+').map(str::parse).collect();
                patterns.map(Self::Patterns)
            }
            Some((kind, _)) if !kind.contains(['/', '.']) && !Path::new(text).exists() => {
                Err(format!("there is no pattern {kind:?}; {FORMS}"))
            }
            _ => Ok(Self::File(text.into())),
        }
    }
}

/// `2/s`, `120/h`, `10000000/d`, in seconds.
fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no rate; write for example 2/s, 90/m, 120/h or 5000/d");
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let count: f64 = count.parse().map_err(|_| wrong())?;
    let is_right = count.is_finite() && count > 0.0;
    is_right.then_some(count / seconds).ok_or_else(wrong)
}

fn time_of_day(text: &str) -> Result<Micros, String> {
    let wrong = || format!("{text:?} is no time of day; write HH:MM");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let (hour, minute): (u64, u64) = (
        hour.parse().map_err(|_| wrong())?,
        minute.parse().map_err(|_| wrong())?,
    );
    let is_right = hour < 24 && minute < 60;
    is_right
        .then_some(micros(Duration::from_secs(hour * 3_600 + minute * 60)))
        .ok_or_else(wrong)
}

fn span(text: &str) -> Result<Micros, String> {
    let span = crate::dates::parse_duration(text)?;
    let is_right = !span.is_zero() && span <= Duration::from_secs(86_400);
    is_right
        .then_some(micros(span))
        .ok_or_else(|| format!("{text:?} is not between 1us and a day"))
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no pattern of arrivals; {FORMS}");
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let mut parts = rest.split(',');
        let first = parts.next().ok_or_else(wrong)?;
        match kind {
            "poisson" if parts.next().is_none() => Ok(Self::Poisson { rate: rate(first)? }),
            "daily" => {
                let (mut peaks, mut width) = (Vec::new(), micros(Duration::from_secs(3_600)));
                for part in parts {
                    if let Some(text) = part.strip_prefix("width=") {
                        width = span(text)?;
                        continue;
                    }
                    let (at, factor) = part.split_once('x').ok_or_else(wrong)?;
                    let factor: f64 = factor.parse().map_err(|_| wrong())?;
                    if !(1.0..=10_000.0).contains(&factor) {
                        return Err(format!("{part:?}: a peak has between 1 and 10000 times the rate"));
                    }
                    peaks.push((time_of_day(at)?, factor));
                }
                let rate = rate(first)?;
                (!peaks.is_empty())
                    .then_some(Self::Daily { rate, peaks, width })
                    .ok_or_else(wrong)
            }
            "burst" => {
                let (count, at) = first.split_once('@').ok_or_else(wrong)?;
                let over = match parts.next() {
                    None => 1,
                    Some(part) => span(part.strip_prefix("over=").ok_or_else(wrong)?)?,
                };
                let count = count.parse().map_err(|_| wrong())?;
                Ok(Self::Burst {
                    count,
                    at: time_of_day(at)?,
                    over,
                })
            }
            _ => Err(wrong()),
        }
    }
}

impl Arrivals {
    /// What the source says. Of a file with the column `stage`, that of `component` only.
    pub fn load(source: &Source, component: &str) -> Result<Self, String> {
        match source {
            Source::Patterns(patterns) => Ok(Self::Patterns(patterns.clone())),
            Source::File(path) => {
                let mut times: Vec<Micros> = observed::read(path, Observed::Arrival, component)?
                    .into_iter()
                    .map(from_seconds)
                    .collect();
                times.sort_unstable();
                let first = times.first().copied().unwrap_or(0);
                Ok(Self::Recorded(times.into_iter().map(|at| at - first).collect()))
            }
        }
    }

    /// How many arrive before `horizon`, about: what it takes in memory.
    pub fn expected(&self, horizon: Micros) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        match self {
            Self::Recorded(times) => times.len() as f64,
            Self::Patterns(patterns) => patterns.iter().map(|p| p.expected(horizon)).sum(),
        }
    }

    /// The end of what was recorded; none for patterns, which have none.
    pub fn last(&self) -> Option<Micros> {
        match self {
            Self::Recorded(times) => times.last().copied(),
            Self::Patterns(_) => None,
        }
    }

    /// The times before `horizon`, in no order.
    pub fn draw(&self, horizon: Micros, random: &mut Pcg64) -> Vec<Micros> {
        match self {
            Self::Recorded(times) => times.iter().copied().filter(|at| *at <= horizon).collect(),
            Self::Patterns(patterns) => patterns.iter().flat_map(|p| p.draw(horizon, random)).collect(),
        }
    }
}

impl Pattern {
    /// The rate at a time, in seconds; none for a burst.
    fn rate_at(&self, at: Micros) -> f64 {
        match self {
            Self::Poisson { rate } => *rate,
            Self::Burst { .. } => 0.0,
            Self::Daily { rate, peaks, width } => {
                let of_day = at % DAY;
                let more = peaks.iter().map(|(peak, factor)| {
                    let apart = of_day.abs_diff(*peak);
                    // Midnight is no wall: a peak shortly before it reaches into the next day.
                    let apart = seconds(apart.min(DAY - apart)) / seconds(*width);
                    (factor - 1.0) * (-apart * apart / 2.0).exp()
                });
                rate * (1.0 + more.sum::<f64>())
            }
        }
    }

    fn expected(&self, horizon: Micros) -> f64 {
        const PARTS: u32 = 2_000;
        match self {
            Self::Burst { count, .. } => f64::from(*count) * (seconds(horizon) / seconds(DAY)).ceil(),
            _ => {
                let width = horizon / u64::from(PARTS);
                let sum: f64 = (0..PARTS)
                    .map(|n| self.rate_at(u64::from(n) * width + width / 2))
                    .sum();
                sum / f64::from(PARTS) * seconds(horizon)
            }
        }
    }

    /// By thinning: candidates come at the highest rate, and are kept in proportion to the rate at their time.
    fn draw(&self, horizon: Micros, random: &mut Pcg64) -> Vec<Micros> {
        let highest = match self {
            Self::Burst { count, at, over } => {
                let days = (0..=horizon / DAY).map(|day| day * DAY + at);
                let Ok(within) = Uniform::new(0, *over) else {
                    return Vec::new();
                };
                return days
                    .flat_map(|begin| {
                        (0..*count)
                            .map(|_| begin + within.sample(random))
                            .collect::<Vec<_>>()
                    })
                    .filter(|at| *at <= horizon)
                    .collect();
            }
            Self::Poisson { rate } => *rate,
            Self::Daily { rate, peaks, .. } => rate * (1.0 + peaks.iter().map(|(_, f)| f - 1.0).sum::<f64>()),
        };
        let (mut times, mut at) = (Vec::new(), 0.0);
        loop {
            let gap: f64 = Exp1.sample(random);
            at += gap / highest;
            let when = from_seconds(at);
            if when > horizon {
                return times;
            }
            let kept: f64 = StandardUniform.sample(random);
            if kept * highest < self.rate_at(when) {
                times.push(when);
            }
        }
    }
}
