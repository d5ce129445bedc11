//! Items as DynamoDB documents.
//!
//! A document holds what serde writes of an item, so that both backends have one form of it, and besides:
//!
//! - what a guard or a change reads is always there, also where serde leaves a default out;
//! - the sets of a fanned-out step are attributes of their own, `done_{step}` and `won_{step}` (which branches are settled,
//!   and which of them succeeded), because only a set at the top can be added to before it is there, and because
//!   conditions can count sets and cannot subtract;
//! - the keys of the table and of its indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use pipeline::id::{RunId, StepName};
use pipeline::item::{BranchItem, Item, ItemKey, RunItem, Slot};
use pipeline::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::error::Fault;

/// A stored document.
pub(crate) type Document = HashMap<String, AttributeValue>;

/// The table's partition key.
pub(crate) const PK: &str = "pk";
/// The table's sort key.
pub(crate) const SK: &str = "sk";
/// The partition key of both indexes: runs are spread over a few, so that no single one takes every write.
pub(crate) const SHARD: &str = "shard";
/// The sort key of the index of all runs: creation time and id.
pub(crate) const LISTED: &str = "listed";
/// The sort key of the index of open runs. Only they have it.
pub(crate) const NEXT_CHECK: &str = "next_check";
/// When DynamoDB may forget a document by itself, in seconds.
pub(crate) const EXPIRES: &str = "expires";
/// Where a branch's item has its step's fields.
pub(crate) const WORK: &str = "work";
/// Where a run's item has its steps.
pub(crate) const STEPS: &str = "steps";

const DONE: &str = "done_";
const WON: &str = "won_";

/// How many partitions the indexes have.
pub(crate) const SHARDS: u8 = 4;

/// All of them.
pub(crate) fn shards() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|n| n.to_string())
}

/// The key of an item.
pub(crate) fn key(key: &ItemKey) -> Document {
    let sort = match key {
        ItemKey::Run(_) => "RUN".to_owned(),
        // Ordinals are padded, so that they come in the order of their numbers.
        ItemKey::Branch(_, step, ordinal) => format!("{}{ordinal:010}", branches_prefix(Some(step))),
    };
    pair(&partition(key.run()), &sort)
}

/// The partition of a run and its branches.
pub(crate) fn partition(run: &RunId) -> String {
    format!("R#{run}")
}

/// How the sort keys of branches begin: of one step, or of all.
pub(crate) fn branches_prefix(step: Option<&StepName>) -> String {
    match step {
        Some(step) => format!("B#{step}#"),
        None => "B#".to_owned(),
    }
}

/// A key.
pub(crate) fn pair(partition: &str, sort: &str) -> Document {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(partition.to_owned())),
        (SK.to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

/// The attribute with the settled branches of a step.
pub(crate) fn done(step: &StepName) -> String {
    format!("{DONE}{step}")
}

/// The attribute with those that succeeded.
pub(crate) fn won(step: &StepName) -> String {
    format!("{WON}{step}")
}

/// Where the fields of a slot are.
pub(crate) fn slot(slot: &Slot) -> Vec<String> {
    match slot {
        Slot::Step(step) => vec![STEPS.to_owned(), step.to_string()],
        Slot::Branch => vec![WORK.to_owned()],
    }
}

/// Its place in the list of all runs, newest last.
pub(crate) fn listed(created_at: Timestamp, run: &str) -> String {
    format!("{:020}#{run}", created_at.0)
}

/// The partition of the indexes in which a run is.
fn shard(run: &RunId) -> String {
    // FNV-1a: any spread will do, as long as it stays what it is.
    let hash = run
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    (hash % u64::from(SHARDS)).to_string()
}

/// The document of an item.
pub(crate) fn of_item(item: &Item) -> Result<Document, Fault> {
    let mut document = key(&item.key());
    match item {
        Item::Run(run) => {
            let mut fields = fields(run)?;
            fields.remove("done");
            fields.remove("lost");
            if let Some(Value::Object(steps)) = fields.get_mut(STEPS) {
                steps.values_mut().for_each(complete);
            }
            document.extend(attributes(fields));
            for (step, settled) in &run.done {
                let lost = run.lost.get(step);
                let won_by = settled
                    .iter()
                    .filter(|n| lost.is_none_or(|lost| !lost.contains(n)));
                document.extend(set(settled.iter()).map(|set| (done(step), set)));
                document.extend(set(won_by).map(|set| (won(step), set)));
            }
            document.insert(SHARD.into(), AttributeValue::S(shard(&run.id)));
            let place = listed(run.created_at, run.id.as_str());
            document.insert(LISTED.into(), AttributeValue::S(place));
        }
        Item::Branch(branch) => {
            let mut fields = fields(branch)?;
            if let Some(work) = fields.get_mut(WORK) {
                complete(work);
            }
            document.extend(attributes(fields));
        }
    }
    Ok(document)
}

/// Puts in what serde left out of a step's fields, and guards or changes read.
fn complete(step: &mut Value) {
    let Value::Object(step) = step else { return };
    let defaults = [
        ("largest", Value::from("standard")),
        ("class", Value::from("standard")),
        ("state", Value::from("PENDING")),
        ("attempt", Value::from(0)),
        ("deaths", Value::from(0)),
        ("resent", Value::from(0)),
    ];
    for (field, default) in defaults {
        step.entry(field).or_insert(default);
    }
    let spent = step.entry("spent").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(spent) = spent {
        for class in ["crash", "transient", "memory"] {
            spent.entry(class).or_insert(Value::from(0));
        }
    }
}

/// A set of ordinals; none if it is empty, which no set may be.
pub(crate) fn set<'a>(ordinals: impl Iterator<Item = &'a u32>) -> Option<AttributeValue> {
    let ordinals: Vec<String> = ordinals.map(ToString::to_string).collect();
    (!ordinals.is_empty()).then_some(AttributeValue::Ns(ordinals))
}

/// The item of a document.
pub(crate) fn to_item(mut document: Document) -> Result<Item, Fault> {
    for index in [PK, SK, SHARD, LISTED] {
        document.remove(index);
    }
    if document.contains_key(WORK) {
        return Ok(Item::Branch(Box::new(read::<BranchItem>(document)?)));
    }
    let (mut settled, mut succeeded) = (BTreeMap::new(), BTreeMap::new());
    let mut rest = Document::new();
    for (name, value) in document {
        let into = match (name.strip_prefix(DONE), name.strip_prefix(WON)) {
            (Some(step), _) => Some((&mut settled, step)),
            (None, Some(step)) => Some((&mut succeeded, step)),
            (None, None) => None,
        };
        match into {
            Some((sets, step)) => {
                let step = StepName::new(step).map_err(|e| Fault::Stored(e.to_string()))?;
                sets.insert(step, ordinals(&value)?);
            }
            None => {
                rest.insert(name, value);
            }
        }
    }
    let mut run: RunItem = read(rest)?;
    for (step, done) in settled {
        let won = succeeded.remove(&step).unwrap_or_default();
        let lost: BTreeSet<u32> = done.difference(&won).copied().collect();
        if !lost.is_empty() {
            run.lost.insert(step.clone(), lost);
        }
        run.done.insert(step, done);
    }
    Ok(Item::Run(Box::new(run)))
}

fn ordinals(value: &AttributeValue) -> Result<BTreeSet<u32>, Fault> {
    let numbers = value
        .as_ns()
        .map_err(|_| Fault::Stored("a set of branches is no set of numbers".into()))?;
    numbers
        .iter()
        .map(|n| n.parse().map_err(|_| Fault::Stored(format!("{n} is no branch"))))
        .collect()
}

/// Anything that serde writes as an object, as attributes.
pub(crate) fn of<T: Serialize>(value: &T) -> Result<Document, Fault> {
    Ok(attributes(fields(value)?))
}

/// Reads what [`of`] wrote.
pub(crate) fn read<T: DeserializeOwned>(document: Document) -> Result<T, Fault> {
    let fields: Result<Map<String, Value>, Fault> = document
        .into_iter()
        .map(|(name, value)| Ok((name, json(value)?)))
        .collect();
    serde_json::from_value(Value::Object(fields?)).map_err(|e| Fault::Stored(e.to_string()))
}

/// One value, for an expression.
pub(crate) fn value<T: Serialize>(value: &T) -> Result<AttributeValue, Fault> {
    let value = serde_json::to_value(value).map_err(|e| Fault::Stored(e.to_string()))?;
    Ok(attribute(value))
}

fn fields<T: Serialize>(value: &T) -> Result<Map<String, Value>, Fault> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Fault::Stored("what is to be stored is no object".into())),
        Err(e) => Err(Fault::Stored(e.to_string())),
    }
}

fn attributes(fields: Map<String, Value>) -> Document {
    fields
        .into_iter()
        .map(|(name, value)| (name, attribute(value)))
        .collect()
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(b) => AttributeValue::Bool(b),
        Value::Number(n) => AttributeValue::N(n.to_string()),
        Value::String(s) => AttributeValue::S(s),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(fields) => AttributeValue::M(attributes(fields)),
    }
}

fn json(value: AttributeValue) -> Result<Value, Fault> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(b) => Value::Bool(b),
        AttributeValue::N(n) => Value::Number(number(&n)?),
        AttributeValue::S(s) => Value::String(s),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?),
        AttributeValue::M(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| Ok((name, json(value)?)))
                .collect::<Result<_, Fault>>()?,
        ),
        other => {
            return Err(Fault::Stored(format!(
                "{other:?} is of a type that is never written"
            )));
        }
    })
}

/// DynamoDB's numbers have no sign of being whole or not; those that are whole are read as such.
fn number(text: &str) -> Result<Number, Fault> {
    let whole = text.parse::<u64>().map(Number::from).ok();
    whole
        .or_else(|| text.parse::<i64>().map(Number::from).ok())
        .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
        .ok_or_else(|| Fault::Stored(format!("{text} is no number")))
}
