//! What workers wrote to their logs about one run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use pipeline::id::{RunId, StepName};
use pipeline::log_line;

/// Of each file only that many bytes at its end are read: it bounds the time.
const MAX_READ_BYTES: u64 = 256 * 1024 * 1024;

/// A longer line is skipped: it bounds the memory.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The newest `max` lines about the run (and the step), oldest first. Lines are in the order of their `timestamp`;
/// of equal ones, and without one, in the order in which they stand. A line that is no JSON object is nobody's.
pub(crate) fn newest(
    folder: &Path,
    run: &RunId,
    step: Option<&StepName>,
    max: usize,
) -> io::Result<Vec<String>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    paths.sort();
    let mut newest = BTreeMap::new();
    for (nth, path) in paths.iter().enumerate() {
        // A file that is gone by now, or not ours to read, has nothing to say.
        let Ok(file) = File::open(path) else { continue };
        each_line(file, |at, line| {
            if let Some(timestamp) = log_line::about(line, run, step) {
                newest.insert((timestamp, nth, at), line.to_owned());
                if newest.len() > max {
                    newest.pop_first();
                }
            }
        })?;
    }
    Ok(newest.into_values().collect())
}

/// Calls `line` with every whole, short enough line of text and its place in the file.
fn each_line(mut file: File, mut line: impl FnMut(u64, &str)) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut at = length.saturating_sub(MAX_READ_BYTES);
    file.seek(SeekFrom::Start(at))?;
    let mut skipping = at > 0;
    let mut reader = BufReader::with_capacity(MAX_LINE_BYTES, file.take(MAX_READ_BYTES));
    let mut text = Vec::new();
    loop {
        text.clear();
        let limit = MAX_LINE_BYTES as u64;
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(());
        }
        let ends = text.last() == Some(&b'\n');
        // A line that is too long comes in pieces; all of them are skipped, and so is one whose start was cut off.
        if !skipping
            && (ends || read < MAX_LINE_BYTES)
            && let Ok(text) = std::str::from_utf8(&text)
        {
            line(at, text.trim_end());
        }
        skipping = !ends;
        at += read as u64;
    }
}
