//! Moments of a delivery at which a test may stop a worker, to kill it there.

use std::str::FromStr;

use pipeline::protocol::Work;

use crate::output;

/// A point between two effects of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the message was received, before the claim.
    Received,
    /// After the claim.
    Claimed,
    /// After the inputs were fetched.
    Fetched,
    /// After the stage ran, before anything is published.
    Ran,
    /// After the first artifact was published.
    Put,
    /// After all artifacts were published, before the commit.
    Published,
    /// After the commit, before anything is sent.
    Committed,
    /// After a settled branch joined the others, before anything is sent.
    Joined,
    /// After the next messages were sent, before the acknowledgement.
    Sent,
    /// After the acknowledgement.
    Acknowledged,
    /// After a failure was recorded, before its message is given back.
    Recorded,
}

impl Moment {
    /// Every moment, in the order of a delivery.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Received, "received"),
        (Self::Claimed, "claimed"),
        (Self::Fetched, "fetched"),
        (Self::Ran, "ran"),
        (Self::Put, "put"),
        (Self::Published, "published"),
        (Self::Committed, "committed"),
        (Self::Joined, "joined"),
        (Self::Sent, "sent"),
        (Self::Acknowledged, "acknowledged"),
        (Self::Recorded, "recorded"),
    ];
}

/// At which moment of which step to stop; nowhere unless a test asks for it.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    stop_at: Option<(Moment, Option<String>)>,
}

impl FromStr for Moments {
    type Err = String;

    /// Reads `moment` or `moment@step`; nothing for an empty text.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (name, step) = text
            .split_once('@')
            .map_or((text, None), |(name, step)| (name, Some(step.to_owned())));
        let names = || Moment::ALL.map(|(_, name)| name).join(", ");
        let (moment, _) = Moment::ALL
            .into_iter()
            .find(|(_, known)| *known == name)
            .ok_or_else(|| format!("there is no moment {name:?}; there are {}", names()))?;
        Ok(Self {
            stop_at: Some((moment, step)),
        })
    }
}

impl Moments {
    /// Tells whoever reads standard error that the moment is reached, and never returns, if a test asked for it.
    pub async fn reach(&self, moment: Moment, work: &Work) {
        let Some((stop_at, step)) = &self.stop_at else {
            return;
        };
        if *stop_at != moment || step.as_ref().is_some_and(|step| step != work.step.as_str()) {
            return;
        }
        let branch = work
            .branch
            .map_or_else(String::new, |ordinal| format!("/{ordinal}"));
        output::tell(format_args!(
            "stopped at {moment:?} of {}{branch} of run {}",
            work.step, work.run
        ));
        std::future::pending::<()>().await;
    }
}
