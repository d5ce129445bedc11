//! The queues of the fleet: one for each stage and memory class.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{InvalidId, StageName};

/// How much memory a pool's workers have. A stage has one queue for each class it is deployed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryClass {
    /// The class that work starts in.
    #[default]
    Standard,
    /// For what died of memory in `Standard`.
    Large,
    /// For what died of memory in `Large`.
    Xlarge,
}

impl MemoryClass {
    /// Every class, smallest first.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Large, Self::Xlarge];

    /// The next larger class, if it is not larger than `largest`.
    pub fn next_up_to(self, largest: Self) -> Option<Self> {
        let next = match self {
            Self::Standard => Self::Large,
            Self::Large => Self::Xlarge,
            Self::Xlarge => return None,
        };
        (next <= largest).then_some(next)
    }

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Large => "large",
            Self::Xlarge => "xlarge",
        }
    }
}

impl fmt::Display for MemoryClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The queue of one stage in one memory class: `train`, `train-large`, `train-xlarge`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// Whose pool consumes it.
    pub stage: StageName,
    /// Which of the stage's pools.
    pub class: MemoryClass,
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            MemoryClass::Standard => f.pad(self.stage.as_str()),
            class => f.pad(&format!("{}-{class}", self.stage)),
        }
    }
}

impl FromStr for QueueName {
    type Err = InvalidId;
    /// Reads what [`fmt::Display`] writes. A stage cannot be named like another stage's class: see
    /// [`crate::spec::StageParams`], whose names end in no class.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for class in [MemoryClass::Xlarge, MemoryClass::Large] {
            if let Some(stage) = text
                .strip_suffix(class.as_str())
                .and_then(|t| t.strip_suffix('-'))
            {
                return Ok(Self {
                    stage: StageName::new(stage)?,
                    class,
                });
            }
        }
        Ok(Self {
            stage: StageName::new(text)?,
            class: MemoryClass::Standard,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_read_back() {
        for class in MemoryClass::ALL {
            let name = QueueName {
                stage: StageName::new("fan-out").expect("valid"),
                class,
            };
            assert_eq!(name.to_string().parse::<QueueName>().as_ref(), Ok(&name));
        }
    }

    #[test]
    fn classes_grow_up_to_the_largest() {
        assert_eq!(
            MemoryClass::Standard.next_up_to(MemoryClass::Xlarge),
            Some(MemoryClass::Large)
        );
        assert_eq!(MemoryClass::Standard.next_up_to(MemoryClass::Standard), None);
        assert_eq!(MemoryClass::Xlarge.next_up_to(MemoryClass::Xlarge), None);
    }
}
