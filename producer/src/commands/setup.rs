//! `producer setup`: what a fleet needs on AWS.

use std::path::PathBuf;

use futures::stream::{StreamExt as _, TryStreamExt as _};
use pipeline::Address;
use pipeline::ports::Host;
use serde::Serialize;

use crate::backend::open_aws;
use crate::exit::{Exit, Failure};
use crate::queues::queues_of;
use crate::render::{Cell, Output, Table};

/// Make the table, the bucket and the queues that a fleet needs on AWS.
///
/// What is there already stays, with what is in it; so it may be done again at any time, as after an upgrade.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The fleet is named by --backend or FLEETLINE_BACKEND, here and everywhere: aws:NAME; aws:NAME/BUCKET for a bucket of \
another name than NAME-ACCOUNT-REGION; aws:NAME@ACCOUNT where AWS is not to be asked for the account.
Credentials, region and endpoint are taken from where the aws CLI takes them: AWS_PROFILE, AWS_REGION, \
AWS_ENDPOINT_URL, ….

Examples:
  producer setup --backend aws:fleetline
  producer setup --backend aws:fleetline/my-bucket@123456789012 --json

JSON: an array of {kind, name, new}; kind is table, bucket or queue.")]
pub struct Args {
    /// The components whose queues are made, as deploy/components.toml has them [default: those of this version]
    #[arg(long, value_name = "FILE")]
    components: Option<PathBuf>,
    /// Also make the queues of the stages that only tests and benches use
    #[arg(long)]
    test_stages: bool,
}

/// How many queues are made at a time.
const AT_A_TIME: usize = 8;

#[derive(Serialize)]
struct MadeView {
    kind: &'static str,
    name: String,
    new: bool,
}

impl From<backend_aws::Made> for MadeView {
    fn from(made: backend_aws::Made) -> Self {
        Self {
            kind: made.kind,
            name: made.name,
            new: made.is_new,
        }
    }
}

pub(crate) async fn perform(
    address: &Address,
    host: &Host,
    output: Output,
    args: Args,
) -> Result<Exit, Failure> {
    let queues = queues_of(args.components.as_deref(), args.test_stages)?;
    let aws = open_aws(address, host).await?;
    let setup = aws.setup();
    let mut made = vec![MadeView::from(setup.table().await?), setup.bucket().await?.into()];
    let mut making = Vec::new();
    for queue in &queues {
        making.push(setup.queue(queue));
    }
    let of_queues: Vec<_> = futures::stream::iter(making)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    made.extend(of_queues.into_iter().flatten().map(MadeView::from));
    if output.is_json() {
        output.json(&made)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["KIND", "NAME", ""]);
    for one in &made {
        table.row([
            Cell::new(one.kind),
            Cell::new(&one.name),
            Cell::new(if one.new { "made" } else { "was there" }),
        ]);
    }
    output.table(&table)?;
    output.say(&format!(
        "ready: use it with --backend {address}, or FLEETLINE_BACKEND={address}"
    ));
    Ok(Exit::Done)
}
