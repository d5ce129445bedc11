//! `producer dead-letters`: messages that no run could absorb.

mod queues;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use pipeline::Envelope;
use pipeline::StepName;
use pipeline::item::QueueName;
use pipeline::ports::{DeadLetter, DeadLetterId};
use serde::Serialize;
use std::collections::BTreeMap;

use self::queues::{KnownQueue, queues};
use crate::backend::Access;
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, ago, count, duration, printable};
use crate::session::Session;
use crate::view::time;

/// Look at messages that no run could absorb, send them again, or remove them
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List dead letters with their reasons
    #[command(after_long_help = "\
Examples:
  producer dead-letters list
  producer dead-letters list --queue train-large

JSON: an array of {id, queue, reason, dead_since, receive_count, run, step, branch, body}; run, step and \
branch are null where the message cannot be read.")]
    List {
        /// Only those of this queue; all queues otherwise
        #[arg(long, value_name = "QUEUE")]
        queue: Option<KnownQueue>,
        /// At most this many of each queue
        #[arg(long, short = 'n', default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one dead letter whole
    #[command(after_long_help = "\
Examples:
  producer dead-letters show 17

JSON: as in list, one object.")]
    Show {
        /// The dead letter
        #[arg(value_name = "ID")]
        id: String,
        /// The queue that it belongs to
        #[arg(long, value_name = "QUEUE")]
        queue: Option<KnownQueue>,
    },
    /// Send dead letters to their queues again, once what was wrong is mended
    #[command(after_long_help = "\
Examples:
  producer dead-letters redrive 17 18
  producer dead-letters redrive --all --queue train

JSON: {redriven: {QUEUE: number}}.")]
    Redrive(Selection),
    /// Remove dead letters for good
    #[command(after_long_help = "\
Examples:
  producer dead-letters purge 17 --yes
  producer dead-letters purge --all --queue train --yes

JSON: {purged: {QUEUE: number}}.")]
    Purge {
        /// Which ones
        #[command(flatten)]
        selection: Selection,
        /// Yes, remove them: there is no way back
        #[arg(long)]
        yes: bool,
    },
}

/// Which dead letters.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// These dead letters
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only those of this queue; all queues otherwise
    #[arg(long, value_name = "QUEUE")]
    queue: Option<KnownQueue>,
}

impl Command {
    /// What it does to the backend.
    pub fn access(&self) -> Access {
        match self {
            Self::List { .. } | Self::Show { .. } => Access::Look,
            Self::Redrive(_) | Self::Purge { .. } => Access::Change,
        }
    }
}

/// How many queues are listed at a time.
const AT_A_TIME: usize = 16;

/// How many dead letters of a queue are asked for at once.
const BATCH: usize = 1000;

pub(super) async fn perform(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List { queue, limit } => list(session, &queues(queue), limit as usize).await,
        Command::Show { id, queue } => show(session, &id, &queues(queue)).await,
        Command::Redrive(selection) => change(session, selection, Deed::Redrive).await,
        Command::Purge { selection, yes } => {
            if !yes {
                return Err(Failure::Usage(
                    "a purged dead letter is gone for good; add --yes if that is meant".into(),
                ));
            }
            change(session, selection, Deed::Purge).await
        }
    }
}

/// The letters of each queue, at most so many of each, several queues at a time: where listing is receiving, an empty
/// queue makes wait.
async fn letters(
    session: &Session,
    queues: &[QueueName],
    most: usize,
) -> Result<Vec<Vec<DeadLetter>>, Failure> {
    let mut asked = Vec::new();
    for queue in queues {
        asked.push(session.backend.queue.list_dead(queue, most));
    }
    Ok(stream::iter(asked).buffered(AT_A_TIME).try_collect().await?)
}

#[derive(Serialize)]
struct View {
    id: String,
    queue: String,
    reason: String,
    dead_since: Option<String>,
    receive_count: u32,
    run: Option<String>,
    step: Option<StepName>,
    branch: Option<u32>,
    body: String,
}

impl View {
    fn of(queue: &QueueName, letter: &DeadLetter) -> Self {
        let hint = Envelope::parse(&letter.body).ok();
        Self {
            id: letter.id.0.clone(),
            queue: queue.to_string(),
            reason: letter.reason.clone(),
            dead_since: time(letter.dead_since),
            receive_count: letter.receive_count,
            run: hint.as_ref().map(|h| h.run.to_string()),
            step: hint.as_ref().map(|h| h.step.clone()),
            branch: hint.as_ref().and_then(|h| h.branch),
            body: letter.body.clone(),
        }
    }
}

async fn list(session: &Session, queues: &[QueueName], most: usize) -> Result<Exit, Failure> {
    let now = session.now();
    let mut views = Vec::new();
    let mut table = Table::new(&["ID", "QUEUE", "DEAD SINCE", "RECEIVED", "RUN", "STEP", "REASON"]);
    let mut full = Vec::new();
    for (queue, letters) in queues.iter().zip(letters(session, queues, most).await?) {
        if letters.len() >= most {
            full.push(queue.to_string());
        }
        for letter in &letters {
            let view = View::of(queue, letter);
            table.row([
                Cell::new(&view.id),
                Cell::new(&view.queue),
                Cell::maybe(letter.dead_since.map(|at| ago(now, at))).right(),
                Cell::new(view.receive_count.to_string()).right(),
                Cell::maybe(view.run.as_ref()),
                Cell::maybe(view.step.as_ref().map(StepName::as_str)),
                Cell::new(&view.reason),
            ]);
            views.push(view);
        }
    }
    if session.output.is_json() {
        session.output.json(&views)?;
    } else if table.is_empty() {
        session.output.say("no dead letters");
    } else {
        session.output.table(&table)?;
    }
    if !full.is_empty() {
        session.output.say(&format!(
            "the first {most} of {} are shown; -n N shows more",
            full.join(", ")
        ));
    }
    say_hidden(session, views.len());
    Ok(Exit::Done)
}

fn say_hidden(session: &Session, listed: usize) {
    let hidden = session.backend.queue.listing_hides_for();
    if listed > 0 && !hidden.is_zero() {
        session.output.say(&format!(
            "on this backend listing is receiving: these letters are hidden from the next listing for {}",
            duration(hidden)
        ));
    }
}

/// Each of `ids` with the queues in which there is a dead letter of that name.
async fn locate(
    session: &Session,
    ids: &[String],
    queues: &[QueueName],
) -> Result<BTreeMap<String, Vec<(QueueName, DeadLetter)>>, Failure> {
    let mut found: BTreeMap<String, Vec<_>> = ids.iter().map(|id| (id.clone(), Vec::new())).collect();
    for queue in queues {
        let dead = usize::try_from(session.backend.queue.depth(queue).await?.dead).unwrap_or(usize::MAX);
        for letter in session.backend.queue.list_dead(queue, dead.max(BATCH)).await? {
            if let Some(places) = found.get_mut(&letter.id.0) {
                places.push((queue.clone(), letter));
            }
        }
    }
    for (id, places) in &found {
        match places.as_slice() {
            [_] => {}
            [] => {
                return Err(Failure::NotFound(format!(
                    "there is no dead letter {id} in {}; nothing was done",
                    match queues {
                        [queue] => format!("queue {queue}"),
                        _ => "any queue".into(),
                    }
                )));
            }
            several => {
                let queues: Vec<String> = several.iter().map(|(queue, _)| queue.to_string()).collect();
                return Err(Failure::Usage(format!(
                    "there is a dead letter {id} in each of {}; say which with --queue",
                    queues.join(", ")
                )));
            }
        }
    }
    Ok(found)
}

async fn show(session: &Session, id: &str, queues: &[QueueName]) -> Result<Exit, Failure> {
    let found = locate(session, &[id.to_owned()], queues).await?;
    for (queue, letter) in found.values().flatten() {
        let view = View::of(queue, letter);
        if session.output.is_json() {
            session.output.json(&view)?;
            continue;
        }
        let field = |name: &str, value: &str| session.output.line(&format!("{name:10}{}", printable(value)));
        field("id", &view.id)?;
        field("queue", &view.queue)?;
        field("since", view.dead_since.as_deref().unwrap_or("-"))?;
        field("received", &view.receive_count.to_string())?;
        field("run", view.run.as_deref().unwrap_or("-"))?;
        field("step", view.step.as_ref().map_or("-", StepName::as_str))?;
        field("reason", &view.reason)?;
        field("body", &view.body)?;
    }
    say_hidden(session, found.len());
    Ok(Exit::Done)
}

#[derive(Clone, Copy)]
enum Deed {
    Redrive,
    Purge,
}

impl Deed {
    fn done(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Purge => "purged",
        }
    }

    async fn perform(
        self,
        session: &Session,
        queue: &QueueName,
        ids: &[DeadLetterId],
    ) -> Result<u64, Failure> {
        let port = &session.backend.queue;
        Ok(match self {
            Self::Redrive => port.redrive(queue, ids).await?,
            Self::Purge => port.purge_dead(queue, ids).await?,
        })
    }
}

async fn change(session: &Session, selection: Selection, deed: Deed) -> Result<Exit, Failure> {
    let Selection { ids, all, queue } = selection;
    let queues = queues(queue);
    let mut changed = BTreeMap::new();
    if all {
        for queue in &queues {
            let n = change_all(session, queue, deed).await?;
            changed.insert(queue.to_string(), n);
        }
    } else {
        for (queue, letter) in locate(session, &ids, &queues).await?.into_values().flatten() {
            let n = deed.perform(session, &queue, &[letter.id]).await?;
            *changed.entry(queue.to_string()).or_insert(0) += n;
        }
    }
    changed.retain(|_, n| *n > 0);
    let total: u64 = changed.values().sum();
    let total = count(usize::try_from(total).unwrap_or(usize::MAX), "dead letter");
    session.output.say(&format!("{total} {}", deed.done()));
    if session.output.is_json() {
        session.output.json(&BTreeMap::from([(deed.done(), changed)]))?;
    }
    Ok(Exit::Done)
}

/// Those that are dead now: a letter that dies again while this goes on is not sent round and round.
async fn change_all(session: &Session, queue: &QueueName, deed: Deed) -> Result<u64, Failure> {
    let dead = session.backend.queue.depth(queue).await?.dead;
    let mut changed = 0;
    while changed < dead {
        let wanted = usize::try_from(dead - changed).unwrap_or(usize::MAX).min(BATCH);
        let letters = session.backend.queue.list_dead(queue, wanted).await?;
        let ids: Vec<DeadLetterId> = letters.into_iter().map(|letter| letter.id).collect();
        let n = if ids.is_empty() {
            0
        } else {
            deed.perform(session, queue, &ids).await?
        };
        if n == 0 {
            break;
        }
        changed += n;
    }
    Ok(changed)
}
