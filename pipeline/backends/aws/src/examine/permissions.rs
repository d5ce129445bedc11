//! What these credentials may do, tried by requests that change nothing.
//!
//! A write is tried under a condition that cannot hold, an upload is begun and given up. What cannot be tried without doing it
//! is said not to have been tried.

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, DeleteRequest, KeysAndAttributes, TransactWriteItem, WriteRequest,
};
use futures::future::{BoxFuture, FutureExt as _};
use pipeline::diagnosis::Finding;
use pipeline::ports::ErrorKind;

use super::{Reached, kind, said, within};
use crate::error::Fault;
use crate::store::Store;
use crate::table::document::{Document, PK, SHARD, pair};

/// Of an item and of objects that never are.
const NOTHING: &str = "DOCTOR";
const NO_OBJECT: &str = "u/doctor";

/// One permission, what people need it for, and the request that needs it.
struct Trial<'a> {
    action: &'static str,
    reason: &'static str,
    request: BoxFuture<'a, Result<(), Fault>>,
}

/// Every permission that can be tried.
pub(super) async fn all(store: &Store, reached: Reached) -> Vec<Finding> {
    let mut trials = Vec::new();
    let mut found = Vec::new();
    let table = format!("the table {} and its indexes", store.table);
    match reached.dynamodb {
        true => trials.extend(of_table(store).into_iter().map(|trial| (trial, table.as_str()))),
        false => found.push(Finding::skipped("permission", "DynamoDB does not answer").of("dynamodb:*")),
    }
    let bucket = format!("the bucket {}", store.bucket);
    match reached.s3 {
        true => trials.extend(of_bucket(store).into_iter().map(|trial| (trial, bucket.as_str()))),
        false => found.push(Finding::skipped("permission", "the bucket cannot be asked").of("s3:*")),
    }
    let tried = trials.into_iter().map(|(trial, on)| try_it(store, trial, on));
    let (tried, upload) = futures::join!(futures::future::join_all(tried), try_upload(store, reached.s3));
    found.extend(tried);
    found.extend(upload);
    found.push(
        Finding::skipped(
            "permission",
            "cannot be tried without sending, taking or removing something",
        )
        .of("sqs:SendMessage, ReceiveMessage, DeleteMessage; s3:DeleteObject"),
    );
    found
}

async fn try_it(store: &Store, trial: Trial<'_>, on: &str) -> Finding {
    let answer = within(&store.host, trial.request).await;
    judge(trial.action, trial.reason, on, answer.as_ref())
}

fn judge(action: &'static str, reason: &str, on: &str, answer: Option<&Result<(), Fault>>) -> Finding {
    const CHECK: &str = "permission";
    let finding = match answer {
        None => Finding::warning(CHECK, "no answer in time", "try again"),
        Some(Ok(())) => Finding::ok(CHECK, "is given"),
        Some(Err(fault)) => match kind(fault) {
            Some(ErrorKind::Denied) => {
                Finding::failed(CHECK, said(fault), format!("allow {action} on {on}: {reason}"))
            }
            Some(ErrorKind::Unavailable | ErrorKind::Throttled) => {
                Finding::warning(CHECK, said(fault), "try again")
            }
            // What was named is not there, or the condition does not hold: whoever is told so may ask.
            Some(ErrorKind::NotFound) if !said(fault).contains("NoSuchKey") => {
                Finding::skipped(CHECK, format!("cannot be tried: {}", said(fault)))
            }
            _ => Finding::ok(CHECK, "is given"),
        },
    };
    finding.of(action)
}

fn of_table(store: &Store) -> Vec<Trial<'_>> {
    let (dynamodb, table) = (&store.clients.dynamodb, store.table.as_str());
    let key = || Some(pair(NOTHING, NOTHING));
    let names = |name: &str| {
        Some(std::collections::HashMap::from([(
            "#k".to_owned(),
            name.to_owned(),
        )]))
    };
    const NEVER: &str = "attribute_exists(#k)";
    let get = dynamodb.get_item().table_name(table).set_key(key()).send();
    let put = dynamodb
        .put_item()
        .table_name(table)
        .set_item(key())
        .condition_expression(NEVER)
        .set_expression_attribute_names(names(PK))
        .send();
    let update = dynamodb
        .update_item()
        .table_name(table)
        .set_key(key())
        .update_expression("REMOVE nothing")
        .condition_expression(NEVER)
        .set_expression_attribute_names(names(PK))
        .send();
    let delete = dynamodb
        .delete_item()
        .table_name(table)
        .set_key(key())
        .condition_expression(NEVER)
        .set_expression_attribute_names(names(PK))
        .send();
    let nobody = || AttributeValue::S(NOTHING.to_owned());
    let query = |index: Option<&str>, partition: &str| {
        dynamodb
            .query()
            .table_name(table)
            .set_index_name(index.map(str::to_owned))
            .key_condition_expression("#k = :k")
            .set_expression_attribute_names(names(partition))
            .expression_attribute_values(":k", nobody())
            .limit(1)
            .send()
    };
    let (of_table, of_index) = (query(None, PK), query(Some(crate::runs::LISTED_INDEX), SHARD));
    vec![
        Trial {
            action: "dynamodb:GetItem",
            reason: "runs are looked at",
            request: async { Ok(get.await.map(drop)?) }.boxed(),
        },
        Trial {
            action: "dynamodb:Query",
            reason: "runs, models and workers are listed",
            request: async {
                of_table.await?;
                of_index.await?;
                Ok(())
            }
            .boxed(),
        },
        Trial {
            action: "dynamodb:PutItem",
            reason: "runs are submitted",
            request: async { Ok(put.await.map(drop)?) }.boxed(),
        },
        Trial {
            action: "dynamodb:UpdateItem",
            reason: "runs are cancelled, extended and driven on",
            request: async { Ok(update.await.map(drop)?) }.boxed(),
        },
        Trial {
            action: "dynamodb:DeleteItem",
            reason: "pauses end, pipelines are removed",
            request: async { Ok(delete.await.map(drop)?) }.boxed(),
        },
        Trial {
            action: "dynamodb:BatchGetItem",
            reason: "`producer list` shows runs",
            request: batch_get(store, pair(NOTHING, NOTHING)).boxed(),
        },
        Trial {
            action: "dynamodb:BatchWriteItem",
            reason: "`producer gc` removes runs",
            request: batch_delete(store, pair(NOTHING, NOTHING)).boxed(),
        },
        Trial {
            action: "dynamodb:ConditionCheckItem",
            reason: "`producer models promote` looks that the version is there",
            request: check_in_transaction(store, pair(NOTHING, NOTHING)).boxed(),
        },
    ]
}

async fn batch_get(store: &Store, key: Document) -> Result<(), Fault> {
    let keys = KeysAndAttributes::builder().keys(key).build()?;
    let request = store.clients.dynamodb.batch_get_item();
    request.request_items(&store.table, keys).send().await?;
    Ok(())
}

/// Removes what is not there.
async fn batch_delete(store: &Store, key: Document) -> Result<(), Fault> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
    let write = WriteRequest::builder().delete_request(delete).build();
    let request = store.clients.dynamodb.batch_write_item();
    request.request_items(&store.table, vec![write]).send().await?;
    Ok(())
}

async fn check_in_transaction(store: &Store, key: Document) -> Result<(), Fault> {
    let check = ConditionCheck::builder()
        .table_name(&store.table)
        .set_key(Some(key))
        .condition_expression("attribute_exists(#k)")
        .expression_attribute_names("#k", PK)
        .build()?;
    let item = TransactWriteItem::builder().condition_check(check).build();
    let request = store.clients.dynamodb.transact_write_items();
    request.transact_items(item).send().await?;
    Ok(())
}

fn of_bucket(store: &Store) -> Vec<Trial<'_>> {
    let (s3, bucket, owner) = (&store.clients.s3, &store.bucket, &store.clients.account);
    let list = s3
        .list_objects_v2()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .max_keys(1)
        .send();
    let get = s3
        .get_object()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .key(NO_OBJECT)
        .send();
    vec![
        Trial {
            action: "s3:ListBucket",
            reason: "S3 tells only those who may list that something is not there",
            request: async { Ok(list.await.map(drop)?) }.boxed(),
        },
        Trial {
            action: "s3:GetObject",
            reason: "artifacts and specifications are read",
            request: async { Ok(get.await.map(drop)?) }.boxed(),
        },
    ]
}

/// Begins an upload and gives it up: no object is made.
async fn try_upload(store: &Store, is_reached: bool) -> Vec<Finding> {
    if !is_reached {
        return Vec::new();
    }
    let (s3, owner) = (&store.clients.s3, &store.clients.account);
    let on = format!("u/* and s/* of the bucket {}", store.bucket);
    let begin = s3
        .create_multipart_upload()
        .bucket(&store.bucket)
        .expected_bucket_owner(owner)
        .key(NO_OBJECT)
        .send();
    let begun = within(&store.host, begin).await.map(|a| a.map_err(Fault::from));
    let put = "s3:PutObject";
    let needed = "specifications and the files beside them are copied to the bucket";
    let upload = match begun {
        Some(Ok(answer)) => answer.upload_id,
        Some(Err(fault)) => return vec![judge(put, needed, &on, Some(&Err(fault)))],
        None => return vec![judge(put, needed, &on, None)],
    };
    let end = s3
        .abort_multipart_upload()
        .bucket(&store.bucket)
        .expected_bucket_owner(owner)
        .key(NO_OBJECT)
        .set_upload_id(upload)
        .send();
    let ended = within(&store.host, end)
        .await
        .map(|a| a.map(drop).map_err(Fault::from));
    vec![
        judge(put, needed, &on, Some(&Ok(()))),
        judge(
            "s3:AbortMultipartUpload",
            "an upload in parts that fails is given up",
            &on,
            ended.as_ref(),
        ),
    ]
}
