//! What workers wrote to their logs about runs, as small objects: `l/{run}/{time}-{worker}-{number}.jsonl`, so that they are listed in the
//! order of their times.

use aws_sdk_s3::primitives::ByteStream;
use pipeline::id::{RunId, StepName, WorkerId};
use pipeline::log_line;
use pipeline::time::Timestamp;

use crate::error::Fault;
use crate::store::Store;

/// How many objects are read at most: the newest.
const MOST_OBJECTS: usize = 200;

/// Where the lines about a run are.
fn prefix(run: &RunId) -> String {
    format!("l/{run}/")
}

/// Stores lines as an object of their own.
pub(crate) async fn store(
    store: &Store,
    worker: &WorkerId,
    run: &RunId,
    lines: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    let key = format!(
        "{}{:015}-{worker}-{}.jsonl",
        prefix(run),
        now.0,
        store.host.random.hex(3)
    );
    let request = store.clients.s3.put_object();
    request
        .bucket(&store.bucket)
        .key(key)
        .expected_bucket_owner(&store.clients.account)
        .content_type("application/x-ndjson")
        .body(ByteStream::from(lines.as_bytes().to_vec()))
        .send()
        .await?;
    Ok(())
}

/// The newest lines about a run, or about one step of it, oldest first.
pub(crate) async fn read(
    store: &Store,
    run: &RunId,
    step: Option<&StepName>,
    max: usize,
) -> Result<Vec<String>, Fault> {
    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let request = store.clients.s3.list_objects_v2();
        let answer = request
            .bucket(&store.bucket)
            .prefix(prefix(run))
            .set_continuation_token(from)
            .expected_bucket_owner(&store.clients.account)
            .send()
            .await?;
        names.extend(
            answer
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|o| o.key),
        );
        from = answer.next_continuation_token;
        if from.is_none() {
            break;
        }
    }
    let mut lines = Vec::new();
    for name in names.iter().skip(names.len().saturating_sub(MOST_OBJECTS)) {
        let request = store.clients.s3.get_object();
        let answer = request
            .bucket(&store.bucket)
            .key(name)
            .expected_bucket_owner(&store.clients.account)
            .send()
            .await?;
        let bytes = answer
            .body
            .collect()
            .await
            .map_err(|e| Fault::Io(std::io::Error::other(e)))?
            .into_bytes();
        let text = String::from_utf8_lossy(&bytes);
        lines.extend(
            text.lines()
                .filter_map(|line| Some((log_line::about(line, run, step)?, line.to_owned()))),
        );
    }
    // Workers write at the same time; of equal times, the order in which they stand is kept.
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    let first = lines.len().saturating_sub(max);
    Ok(lines.split_off(first).into_iter().map(|(_, line)| line).collect())
}
