//! The two indexes: all runs by age, open runs by when the sweeper looks at them next. Each is spread over a few partitions,
//! which are read side by side and put together.

use futures::future::try_join_all;
use pipeline::id::RunId;
use pipeline::ports::{ErrorKind, ListFilter, PortError, PortResult};
use pipeline::time::Timestamp;

use super::text;
use crate::error::Fault;
use crate::store::Store;
use crate::table::document::{LISTED, NEXT_CHECK, PK, SHARD, shards};
use crate::table::expression::Aliases;

/// The index of open runs, by when the sweeper looks at them next.
pub(crate) const OPEN_INDEX: &str = "open";
/// The index of all runs, by creation time.
pub(crate) const LISTED_INDEX: &str = "listed";

/// Where runs are that a list wants: their places in it, and their partitions. Newest first, and at most one more than
/// `max`, which says that there is another page.
pub(super) async fn listed(
    store: &Store,
    filter: &ListFilter,
    before: Option<&str>,
    max: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let mut parts = Vec::new();
    for shard in shards() {
        parts.push(listed_in(store, shard, filter, before, max));
    }
    let mut places = try_join_all(parts).await?.concat();
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.truncate(max.saturating_add(1));
    Ok(places)
}

/// Open runs that are due, earliest first.
pub(super) async fn open(store: &Store, due: Timestamp, max: usize) -> Result<Vec<RunId>, Fault> {
    let mut parts = Vec::new();
    for shard in shards() {
        parts.push(open_in(store, shard, due, max));
    }
    let mut found = try_join_all(parts).await?.concat();
    found.sort_unstable();
    found.truncate(max);
    Ok(found.into_iter().map(|(_, run)| run).collect())
}

/// Where the newest runs of one partition are, `max` and one more: that one says whether there is another page.
async fn listed_in(
    store: &Store,
    shard: String,
    filter: &ListFilter,
    before: Option<&str>,
    max: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let mut aliases = Aliases::default();
    let mut keys = format!("{} = {}", aliases.name(SHARD), aliases.value(&shard)?);
    if let Some(before) = before {
        keys.push_str(&format!(
            " AND {} < {}",
            aliases.name(LISTED),
            aliases.value(&before)?
        ));
    }
    let mut wanted = Vec::new();
    if let Some(pipeline) = &filter.pipeline {
        wanted.push(format!(
            "{} = {}",
            aliases.name("pipeline"),
            aliases.value(pipeline)?
        ));
    }
    if let Some(status) = &filter.status {
        wanted.push(format!("{} = {}", aliases.name("status"), aliases.value(status)?));
    }
    let filter = (!wanted.is_empty()).then(|| wanted.join(" AND "));
    let enough = max.saturating_add(1);
    let mut places = Vec::new();
    let mut from = None;
    loop {
        let answer = store
            .clients
            .dynamodb
            .query()
            .table_name(&store.table)
            .index_name(LISTED_INDEX)
            .key_condition_expression(&keys)
            .set_filter_expression(filter.clone())
            .set_expression_attribute_names(aliases.names())
            .set_expression_attribute_values(aliases.values())
            .scan_index_forward(false)
            // What is filtered away counts too, so a limit is of use only without a filter.
            .set_limit(match filter {
                None => i32::try_from(enough).ok(),
                Some(_) => None,
            })
            .set_exclusive_start_key(from)
            .send()
            .await?;
        for document in answer.items.unwrap_or_default() {
            places.push((text(&document, LISTED)?, text(&document, PK)?));
        }
        from = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if from.is_none() || places.len() >= enough {
            places.truncate(enough);
            return Ok(places);
        }
    }
}

/// The open runs of one partition that are due.
async fn open_in(
    store: &Store,
    shard: String,
    due: Timestamp,
    max: usize,
) -> Result<Vec<(u64, RunId)>, Fault> {
    let mut aliases = Aliases::default();
    let keys = format!(
        "{} = {} AND {} <= {}",
        aliases.name(SHARD),
        aliases.value(&shard)?,
        aliases.name(NEXT_CHECK),
        aliases.value(&due)?
    );
    let (mut runs, mut from) = (Vec::new(), None);
    loop {
        let answer = store
            .clients
            .dynamodb
            .query()
            .table_name(&store.table)
            .index_name(OPEN_INDEX)
            .key_condition_expression(&keys)
            .set_expression_attribute_names(aliases.names())
            .set_expression_attribute_values(aliases.values())
            .set_limit(i32::try_from(max - runs.len()).ok())
            .set_exclusive_start_key(from)
            .send()
            .await?;
        for document in answer.items.unwrap_or_default() {
            let next_check = document.get(NEXT_CHECK).and_then(|at| at.as_n().ok());
            let next_check = next_check.and_then(|at| at.parse().ok()).unwrap_or_default();
            runs.push((next_check, run_of(&text(&document, PK)?)?));
        }
        from = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if from.is_none() || runs.len() >= max {
            return Ok(runs);
        }
    }
}

/// Where a page begins: after the run at that place of the index.
pub(super) fn parse_page(page: &str) -> PortResult<String> {
    let is_place = page.split_once('#').is_some_and(|(created_at, run)| {
        created_at.len() == 20 && created_at.bytes().all(|b| b.is_ascii_digit()) && RunId::new(run).is_ok()
    });
    is_place.then(|| page.to_owned()).ok_or_else(|| {
        PortError::new(
            ErrorKind::Invalid,
            format!("{page:?} is no page of this list: take it from the answer before, as it is"),
        )
    })
}

fn run_of(partition: &str) -> Result<RunId, Fault> {
    let id = partition.strip_prefix("R#").unwrap_or(partition);
    RunId::new(id).map_err(|e| Fault::Stored(e.to_string()))
}
