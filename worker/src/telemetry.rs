//! Logs: text for people on a terminal, JSON elsewhere, and JSON lines to a file besides.
//!
//! A JSON line is one flat object: `timestamp`, `level`, `target`, `message`, then the event's own fields and those of
//! the spans around it. Fields that say what a line is about have fixed names: `run.id`, `step`, `stage`, `branch`,
//! `attempt`, `duration_ms`. No line holds a cell's value.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use pipeline::ports::Fleet;
use pipeline::{RunId, Timestamp, WorkerId};
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::backend::LogPlace;
use crate::config::{LogFilter, LogFormat};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The file cannot be written to.
    #[error("cannot write logs to {}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody set up logs in this process already.
    #[error("logs are set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up the logs of this process, once: to standard error as `format` says (not at all if there is none, because
/// progress is shown there), and as JSON lines where people find them by run. Panics become log lines too.
///
/// What is to be stored gathers in the answer, for its owner to send.
pub fn init(
    format: Option<LogFormat>,
    filter: &LogFilter,
    place: &LogPlace,
) -> Result<Option<Gathered>, TelemetryError> {
    let (file, gathered) = match place {
        LogPlace::File(path) => (Some(path), None),
        LogPlace::Stored => (None, Some(Gathered::default())),
    };
    let is_terminal = io::stderr().is_terminal();
    let is_text = match format {
        Some(LogFormat::Auto) => is_terminal,
        Some(LogFormat::Text) => true,
        Some(LogFormat::Json) | None => false,
    };
    let text = is_text.then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(is_terminal)
            .with_target(false)
    });
    let json = (!is_text && format.is_some()).then(|| JsonLines::new(io::stderr()));
    let file = file.map(|path| open(path)).transpose()?.map(JsonLines::new);
    let stored = gathered.clone().map(JsonLines::new);
    // The innermost layer's filter would hold for all of them; this one is global on purpose.
    tracing_subscriber::registry()
        .with(filter.targets())
        .with(text)
        .with(json)
        .with(file)
        .with(stored)
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let at = panic
            .location()
            .map_or_else(|| "somewhere".to_owned(), ToString::to_string);
        tracing::error!(at, "panicked: {}", panic.payload_as_str().unwrap_or("no message"));
    }));
    Ok(gathered)
}

/// Lines by the run that they are about, until they are stored. Lines about no run are for standard error only.
#[derive(Debug, Clone, Default)]
pub struct Gathered(Arc<Mutex<BTreeMap<RunId, String>>>);

impl Gathered {
    /// More than this of one run are not kept between two sendings: what floods a log is not worth the memory.
    const MOST_BYTES: usize = 4 * 1024 * 1024;

    /// Sends what has gathered. What cannot be sent is kept for the next time.
    pub async fn store(&self, fleet: &dyn Fleet, worker: &WorkerId, now: Timestamp) {
        let gathered = std::mem::take(&mut *self.lock());
        for (run, lines) in gathered {
            if let Err(e) = fleet.store_logs(worker, &run, &lines, now).await {
                tracing::debug!("cannot store logs: {e}");
                let mut gathered = self.lock();
                let later = gathered.entry(run).or_default();
                *later = lines + later;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Gathered {
    /// One line a call, as `JsonLines` writes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        #[derive(serde::Deserialize)]
        struct About {
            #[serde(rename = "run.id")]
            run: RunId,
        }
        if let (Ok(About { run }), Ok(text)) = (serde_json::from_slice(line), std::str::from_utf8(line)) {
            let mut gathered = self.lock();
            let lines = gathered.entry(run).or_default();
            if lines.len() + text.len() <= Self::MOST_BYTES {
                lines.push_str(text);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, TelemetryError> {
    let failed = |error| TelemetryError::File {
        path: path.to_owned(),
        error,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)
}

/// Writes every event as one line of JSON, in one write: lines of several processes that append to one file do not mix.
struct JsonLines<W>(Mutex<W>);

impl<W: Write + Send + 'static> JsonLines<W> {
    fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        // Another layer of this kind was here before.
        if extensions.get_mut::<Fields>().is_none() {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            extensions.insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.add_missing(around);
            }
        }
        let line = fields.line(now(), event.metadata());
        // Nobody is left to be told that the log cannot be written.
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line);
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "when a line was written, for people; nothing is decided by it"
)]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(pipeline::time::millis(since_epoch.unwrap_or(Duration::ZERO)))
}

/// Fields in the order in which they came, each name once.
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        let (name, value) = (field.name(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// What is nearer to the event wins.
    fn add_missing(&mut self, around: &Self) {
        for (name, value) in &around.0 {
            if self.0.iter().all(|(known, _)| known != name) {
                self.0.push((name, value.clone()));
            }
        }
    }

    fn line(&self, at: Timestamp, metadata: &tracing::Metadata<'_>) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        let written = self.write(&mut serde_json::Serializer::new(&mut line), at, metadata);
        debug_assert!(written.is_ok(), "texts and numbers serialise: {written:?}");
        line.push(b'\n');
        line
    }

    fn write<S: Serializer>(
        &self,
        serializer: S,
        at: Timestamp,
        metadata: &tracing::Metadata<'_>,
    ) -> Result<S::Ok, S::Error> {
        const MESSAGE: &str = "message";
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &format_args!("{at}"))?;
        map.serialize_entry("level", metadata.level().as_str())?;
        map.serialize_entry("target", metadata.target())?;
        if let Some((_, message)) = self.0.iter().find(|(name, _)| *name == MESSAGE) {
            map.serialize_entry(MESSAGE, message)?;
        }
        for (name, value) in self.0.iter().filter(|(name, _)| *name != MESSAGE) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("not poisoned")
                .push(String::from_utf8(bytes.to_vec()).expect("text"));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_write_of_one_flat_object() {
        let (writes, twice) = (Writes::default(), Writes::default());
        let subscriber = tracing_subscriber::registry()
            .with("info".parse::<LogFilter>().expect("a level").targets())
            .with(JsonLines::new(writes.clone()))
            .with(JsonLines::new(twice.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "attempt",
                run.id = "r-1",
                step = "train",
                attempt = 1,
                stage = tracing::field::Empty
            );
            span.record("stage", "noop");
            let _entered = span.enter();
            let inner = tracing::info_span!("inner", branch = 3).entered();
            tracing::info!(
                attempt = 2,
                duration_ms = 15u64,
                ok = true,
                "done: {}",
                "a \"quoted\"\nword"
            );
            drop(inner);
            tracing::debug!("too fine");
            tracing::warn!(error = %io::Error::other("no"), ratio = f64::NAN);
        });
        let lines = writes.0.lock().expect("not poisoned").clone();
        assert_eq!(lines, *twice.0.lock().expect("not poisoned"));
        let [first, second] = &lines[..] else {
            panic!("two lines, one write each: {lines:?}")
        };
        assert!(first.ends_with('\n') && first.matches('\n').count() == 1);
        let mut value: Value = serde_json::from_str(first).expect("is JSON");
        let timestamp = value
            .as_object_mut()
            .expect("an object")
            .remove("timestamp")
            .expect("is there");
        assert_eq!(
            timestamp.as_str().map(str::len),
            Some("2026-11-23T00:00:00.000Z".len())
        );
        let expected = serde_json::json!({
            "level": "INFO", "target": "worker::telemetry::tests", "message": "done: a \"quoted\"\nword",
            "attempt": 2, "duration_ms": 15, "ok": true, "branch": 3, "run.id": "r-1", "step": "train", "stage": "noop",
        });
        assert_eq!(value, expected);
        assert!(
            second.contains("\"error\":\"no\"") && second.contains("\"ratio\":null"),
            "{second}"
        );
        assert!(
            second.contains("\"attempt\":1") && !second.contains("branch"),
            "{second}"
        );
    }

    #[test]
    fn a_file_is_appended_to_and_its_folder_made() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("logs").join("worker.jsonl");
        for _ in 0..2 {
            let layer = JsonLines::new(open(&path).expect("opens"));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::info!("line")
            });
        }
        assert_eq!(std::fs::read_to_string(&path).expect("reads").lines().count(), 2);
        let error = open(&path.join("below-a-file"))
            .expect_err("a file is no folder")
            .to_string();
        assert!(error.starts_with("cannot write logs to "), "{error}");
    }
}
