//! What AWS asks: one dated table, compiled in, which another file may replace. All that is reckoned from it is an
//! estimate.

use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pipeline::components::Architecture;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The table that this producer was built with.
const BUILT_IN: &str = include_str!("prices.toml");

/// Prices in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of which AWS region.
    pub region: String,
    /// When they were read.
    pub read_on: String,
    /// Fargate on demand.
    pub fargate: Fargate,
    /// Fargate Spot.
    pub fargate_spot: FargateSpot,
    /// Queues.
    pub sqs: Sqs,
    /// The table.
    pub dynamodb: DynamoDb,
    /// The bucket.
    pub s3: S3,
}

/// Fargate on demand, by architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fargate {
    /// Intel and AMD.
    pub x86_64: TaskPrice,
    /// Graviton.
    pub arm64: TaskPrice,
}

/// What an hour of a task costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskPrice {
    /// For each virtual processor.
    pub vcpu_hour: f64,
    /// For each gigabyte of memory.
    pub gb_hour: f64,
}

/// Fargate Spot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FargateSpot {
    /// Of the price on demand.
    pub part_of_on_demand: f64,
}

/// Queues.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sqs {
    /// Requests of any kind.
    pub million_requests: f64,
}

/// The table, on demand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamoDb {
    /// Each of 1 KB.
    pub million_write_units: f64,
    /// Each of 4 KB.
    pub million_read_units: f64,
    /// Of items.
    pub gb_month: f64,
}

/// The bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// Also copies and lists.
    pub million_puts: f64,
    /// And all others that read.
    pub million_gets: f64,
    /// Of objects.
    pub gb_month: f64,
}

/// Reads `x86_64` and `arm64` on the command line.
pub fn architecture() -> impl TypedValueParser<Value = Architecture> {
    let known = [
        PossibleValue::new("x86_64").help("Intel and AMD"),
        PossibleValue::new("arm64").help("Graviton"),
    ];
    PossibleValuesParser::new(known).map(|name| match name.as_str() {
        "arm64" => Architecture::Arm,
        _ => Architecture::X86,
    })
}

impl Prices {
    /// The table in `file`, or the one that this producer was built with.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else {
            return Ok(Self::built_in());
        };
        let text =
            std::fs::read_to_string(path).map_err(Failure::file(format!("read {}", path.display())))?;
        Self::read(&text).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))
    }

    /// The table that this producer was built with.
    pub fn built_in() -> Self {
        Self::read(BUILT_IN).expect("a test reads it")
    }

    fn read(text: &str) -> Result<Self, String> {
        let prices: Self = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let all = [
            prices.fargate.x86_64.vcpu_hour,
            prices.fargate.x86_64.gb_hour,
            prices.fargate.arm64.vcpu_hour,
            prices.fargate.arm64.gb_hour,
            prices.fargate_spot.part_of_on_demand,
            prices.sqs.million_requests,
            prices.dynamodb.million_write_units,
            prices.dynamodb.million_read_units,
            prices.dynamodb.gb_month,
            prices.s3.million_puts,
            prices.s3.million_gets,
            prices.s3.gb_month,
        ];
        match all.iter().all(|price| price.is_finite() && *price >= 0.0) {
            true => Ok(prices),
            false => Err("prices are numbers of at least 0".into()),
        }
    }

    /// An hour of a task on demand, by architecture.
    pub fn task_hour(&self, architecture: Architecture, vcpu: f64, memory_gb: f64) -> f64 {
        let price = match architecture {
            Architecture::X86 => self.fargate.x86_64,
            Architecture::Arm => self.fargate.arm64,
        };
        vcpu * price.vcpu_hour + memory_gb * price.gb_hour
    }

    /// What is said wherever a figure of it is shown.
    pub fn label(&self) -> String {
        format!(
            "an estimate by list prices of {} as read on {}",
            self.region, self.read_on
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_plausible() {
        let prices = Prices::built_in();
        assert!(
            prices.read_on.parse::<jiff::civil::Date>().is_ok(),
            "{}",
            prices.read_on
        );
        let x86 = prices.task_hour(Architecture::X86, 1.0, 4.0);
        assert!((x86 - (0.04048 + 4.0 * 0.004445)).abs() < 1e-12);
        assert!(prices.task_hour(Architecture::Arm, 1.0, 4.0) < x86);
        assert!(prices.label().contains("estimate"));
    }

    #[test]
    fn other_tables_are_checked() {
        let negative = BUILT_IN.replace("0.625", "-1");
        assert!(Prices::read(&negative).is_err());
        let unknown = BUILT_IN.replace("million_puts", "million_post");
        assert!(
            Prices::read(&unknown)
                .expect_err("a field is missing")
                .contains("million_post")
        );
        let dearer = BUILT_IN.replace("us-east-1", "eu-central-1");
        assert_eq!(
            Prices::read(&dearer).expect("a good table").region,
            "eu-central-1"
        );
    }
}
