//! What the machine-learning stages can be told. In a specification these are the sections `[data]`, `[split]`,
//! `[validate]`, `[features]`, `[[candidates]]`, `[evaluate]`, `[explain]` and `[deploy]`, of which the steps are
//! made; or a step's own `params`.

mod candidates;
mod check;
mod data;
mod deploy;
mod evaluate;
mod explain;
mod features;
mod metrics;
mod validate;
mod written;

pub use candidates::{Boosting, Candidate, ClassWeights, Forest, Linear, ModelKind, Train, Training};
pub use check::Finding;
pub(super) use check::check;
pub use data::{Boundary, Extract, Format, Source, Split, TaskName};
pub(super) use deploy::champion;
pub use deploy::{Deploy, Predict};
pub use evaluate::{ChampionGate, Evaluate, Gate};
pub use explain::Explain;
pub use features::{
    CalendarPart, CategoryEncoding, ColumnFeatures, FeatureKind, Imputation, Scaling, Transform,
};
pub use metrics::{METRICS, MetricKind};
pub use validate::{ColumnRules, ColumnType, Drift, OnFailure, Rows, Validate};
