//! How long one message holds a permit.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rand_distr::uniform::Uniform;
use rand_distr::{Distribution as _, Exp, LogNormal};
use rand_pcg::Pcg64;

use super::observed::{self, Observed};
use super::{Micros, from_seconds, micros, seconds};

/// A law of durations: a distribution, or what was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations(Law);

#[derive(Debug, Clone, PartialEq)]
enum Law {
    Constant(Micros),
    Exponential(Exp<f64>, f64),
    LogNormal(LogNormal<f64>, f64),
    Uniform(Uniform<f64>, f64),
    Empirical(Vec<Micros>),
}

/// Durations on the command line: a law, or a file of what was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// `const:2s`, `exp:2s`, `lognormal:2s,cv=1.5`, `uniform:1s,3s`.
    Law(Durations),
    /// The path of a file.
    File(std::path::PathBuf),
}

const FORMS: &str = "write const:2s, exp:2s, lognormal:2s,cv=1.5 (mean, and standard deviation ÷ mean), uniform:1s,3s, or \
                     the path of a file that export-timings wrote";

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("const" | "exp" | "lognormal" | "uniform", _)) => text.parse().map(Self::Law),
            Some((kind, _)) if !kind.contains(['/', '.']) && !Path::new(text).exists() => {
                Err(format!("there is no distribution {kind:?}; {FORMS}"))
            }
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl FromStr for Durations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no distribution of durations; {FORMS}");
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let span = |text: &str| -> Result<f64, String> {
            let span: Duration =
                humantime::parse_duration(text).map_err(|e| format!("{text:?} is no duration ({e})"))?;
            if span.is_zero() || span > MOST {
                return Err(format!(
                    "{text:?} is not between 1us and {}",
                    humantime::format_duration(MOST)
                ));
            }
            Ok(span.as_secs_f64())
        };
        let law = match kind {
            "const" => Law::Constant(from_seconds(span(rest)?)),
            "exp" => {
                let mean = span(rest)?;
                Law::Exponential(Exp::new(1.0 / mean).map_err(|_| wrong())?, mean)
            }
            "lognormal" => {
                let (mean, cv) = rest.split_once(",cv=").ok_or_else(wrong)?;
                let (mean, cv) = (span(mean)?, cv.parse::<f64>().map_err(|_| wrong())?);
                if !(0.0..=100.0).contains(&cv) {
                    return Err(wrong());
                }
                Law::LogNormal(LogNormal::from_mean_cv(mean, cv).map_err(|_| wrong())?, mean)
            }
            "uniform" => {
                let (low, high) = rest.split_once(',').ok_or_else(wrong)?;
                let (low, high) = (span(low)?, span(high)?);
                let law = Uniform::new_inclusive(low, high).map_err(|_| wrong())?;
                Law::Uniform(law, f64::midpoint(low, high))
            }
            _ => return Err(wrong()),
        };
        Ok(Self(law))
    }
}

/// The longest that a stage may be said to take: a run's own longest deadline is about as long.
const MOST: Duration = Duration::from_secs(30 * 86_400);

impl Durations {
    /// Always as long.
    pub fn constant(span: Micros) -> Self {
        Self(Law::Constant(span))
    }

    /// Each of these as likely as the others; none if there is none.
    pub fn empirical(seen: Vec<Micros>) -> Option<Self> {
        (!seen.is_empty()).then_some(Self(Law::Empirical(seen)))
    }

    /// What the source says. Of a file with the column `stage`, that of `component` only.
    pub fn load(source: &Source, component: &str) -> Result<Self, String> {
        match source {
            Source::Law(law) => Ok(law.clone()),
            Source::File(path) => {
                let rows = observed::read(path, Observed::Duration, component)?;
                Ok(Self(Law::Empirical(rows.into_iter().map(micros_of).collect())))
            }
        }
    }

    /// One of them.
    pub fn draw(&self, random: &mut Pcg64) -> Micros {
        match &self.0 {
            Law::Constant(span) => *span,
            Law::Exponential(law, _) => from_seconds(law.sample(random)),
            Law::LogNormal(law, _) => from_seconds(law.sample(random)),
            Law::Uniform(law, _) => from_seconds(law.sample(random)),
            Law::Empirical(seen) => {
                let at = Uniform::new(0, seen.len()).map_or(0, |law| law.sample(random));
                seen[at]
            }
        }
    }

    /// Their mean, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "numbers of observations")]
    pub fn mean_seconds(&self) -> f64 {
        match &self.0 {
            Law::Constant(span) => seconds(*span),
            Law::Exponential(_, mean) | Law::LogNormal(_, mean) | Law::Uniform(_, mean) => *mean,
            Law::Empirical(seen) => seen.iter().map(|s| seconds(*s)).sum::<f64>() / seen.len() as f64,
        }
    }
}

fn micros_of(seconds: f64) -> Micros {
    micros(Duration::try_from_secs_f64(seconds).unwrap_or(MOST).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::trace::{Stream, random};

    #[test]
    fn laws_have_the_mean_and_spread_that_they_say() {
        for (text, mean, cv) in [
            ("const:350ms", 0.35, 0.0),
            ("exp:2s", 2.0, 1.0),
            ("lognormal:10s,cv=0.5", 10.0, 0.5),
            ("uniform:1s,3s", 2.0, (4.0_f64 / 12.0).sqrt() / 2.0),
        ] {
            let law: Durations = text.parse().expect(text);
            assert!((law.mean_seconds() - mean).abs() < 1e-9, "{text}");
            let mut random = random(7, 0, Stream::Durations);
            let n = 200_000;
            let drawn: Vec<f64> = (0..n).map(|_| seconds(law.draw(&mut random))).collect();
            let seen = drawn.iter().sum::<f64>() / f64::from(n);
            let variance = drawn.iter().map(|x| (x - seen).powi(2)).sum::<f64>() / f64::from(n);
            assert!((seen / mean - 1.0).abs() < 0.01, "{text}: mean {seen}");
            assert!(
                (variance.sqrt() / seen - cv).abs() < 0.02,
                "{text}: cv {}",
                variance.sqrt() / seen
            );
        }
    }

    #[test]
    fn what_is_no_law_is_explained() {
        for text in [
            "exp",
            "exp:",
            "exp:0s",
            "exp:-1s",
            "lognormal:2s",
            "lognormal:2s,cv=-1",
            "lognormal:2s,cv=x",
            "uniform:3s,1s",
            "gamma:2s",
            "const:90d",
        ] {
            assert!(text.parse::<Durations>().is_err(), "{text}");
        }
        let error = "gauss:2s".parse::<Source>().expect_err("no such law");
        assert!(error.contains("lognormal"), "{error}");
        assert!(matches!("times.csv".parse(), Ok(Source::File(_))));
    }
}
