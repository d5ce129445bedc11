//! A model in a file: a small header of JSON, and behind it what was learned, in the boosting library's own binary form
//! or as plain numbers. The container around it names the kind, the version and the digest.

use serde::{Deserialize, Serialize};

use super::boosted::Trees;
use super::linear::Coefficients;
use super::{Body, Model, ModelError, checks, outputs};
use crate::container::{self, Kind};
use crate::dataset::Task;
use crate::features::Feature;

const KIND: Kind = *b"MODL";
/// 2: what is added to the margins of a regression's trees.
const VERSION: u32 = 2;
/// The longest header: levels are texts of users, and there may be many.
const MAX_HEADER_BYTES: usize = 256 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    body: BodyKind,
    task: Task,
    classes: usize,
    features: Vec<Feature>,
    /// What is added to every margin of trees besides them.
    #[serde(default, skip_serializing_if = "is_zero")]
    offset: f32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(offset: &f32) -> bool {
    *offset == 0.0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BodyKind {
    Linear,
    Boosting,
    Forest,
}

fn corrupt(what: impl std::fmt::Display) -> ModelError {
    ModelError::Corrupt(what.to_string())
}

pub(super) fn write(model: &Model) -> Result<Vec<u8>, ModelError> {
    let (body, learned) = match &model.body {
        Body::Linear(linear) => (BodyKind::Linear, linear.to_bytes()),
        Body::Trees(trees) if trees.is_forest() => (BodyKind::Forest, trees.to_bytes()?),
        Body::Trees(trees) => (BodyKind::Boosting, trees.to_bytes()?),
    };
    let header = serde_json::to_vec(&Header {
        body,
        task: model.task,
        classes: model.classes,
        features: model.features.clone(),
        offset: match &model.body {
            Body::Linear(_) => 0.0,
            Body::Trees(trees) => trees.offset(),
        },
    })
    .map_err(|e| ModelError::Refused(format!("cannot write the model: {e}")))?;
    let too_long = || ModelError::Refused("the model is too large for a file".into());
    if header.len() > MAX_HEADER_BYTES
        || header.len().saturating_add(learned.len()) > container::MAX_PAYLOAD_BYTES - 4
    {
        return Err(too_long());
    }
    let length = u32::try_from(header.len()).map_err(|_| too_long())?;
    let mut payload = Vec::with_capacity(4 + header.len() + learned.len());
    payload.extend_from_slice(&length.to_le_bytes());
    payload.extend_from_slice(&header);
    payload.extend_from_slice(&learned);
    Ok(container::seal(KIND, VERSION, &payload))
}

pub(super) fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    let (_, payload) = container::open(bytes, KIND, VERSION).map_err(corrupt)?;
    let (length, rest) = payload
        .split_first_chunk::<4>()
        .ok_or_else(|| corrupt("it has no header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (header, learned) = rest
        .split_at_checked(length)
        .filter(|_| length <= MAX_HEADER_BYTES)
        .ok_or_else(|| corrupt("its header is longer than it may be"))?;
    let Header {
        body,
        task,
        classes,
        features,
        offset,
    } = serde_json::from_slice(header).map_err(|e| corrupt(format_args!("its header: {e}")))?;
    checks::shape(task, classes, &features).map_err(|e| corrupt(format_args!("its header: {e}")))?;
    let trees = |forest| Trees::from_bytes(learned, (forest, offset), task, classes, &features).map(Box::new);
    let body = match body {
        BodyKind::Linear => Body::Linear(Coefficients::from_bytes(
            learned,
            outputs(task, classes),
            &features,
        )?),
        BodyKind::Boosting => Body::Trees(trees(false)?),
        BodyKind::Forest => Body::Trees(trees(true)?),
    };
    Ok(Model {
        task,
        classes,
        features,
        body,
    })
}
