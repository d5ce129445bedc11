//! Files of this machine as sources: `u/{digest}/{name}` in the fleet's own bucket. The digest is of the content, so that
//! the same files are the same source, whoever offers them and however often.

use std::fs::File;
use std::path::{Path, PathBuf};

use pipeline::Sha256Digest;
use pipeline::ports::{ErrorKind, PortError, PortResult};

use super::{MAX_OBJECTS, fixed_part, is_glob};
use crate::artifacts::upload;
use crate::error::Fault;
use crate::store::Store;

/// Where they are.
pub(super) const PREFIX: &str = "u/";

/// Copies what a path or a glob names, as far as it is not there.
pub(super) async fn offer(store: &Store, path: &str) -> PortResult<String> {
    // A file may be called what would be a glob.
    let (folder, pattern) = match is_glob(path) && !Path::new(path).is_file() {
        true => split(path, fixed_part(path)),
        false => split(path, path),
    };
    let files = files(path)?;
    let name = |file: &Path| {
        let below = file.strip_prefix(folder).unwrap_or(file);
        below.to_string_lossy().into_owned()
    };
    let mut pieces = Sha256Digest::of_pieces();
    for file in &files {
        let digest = File::open(file).and_then(Sha256Digest::of_reader);
        let (sha256, _) = digest.map_err(|e| unreadable(file, e))?;
        pieces.update(format!("{}\0{sha256}\n", name(file)).as_bytes());
    }
    let place = format!("{PREFIX}{}", pieces.finish());
    for file in &files {
        let key = format!("{place}/{}", name(file));
        let uploaded = upload(store, &key, file).await;
        uploaded.map_err(|fault: Fault| fault.explain(&format!("copy {} to {key}", file.display())))?;
    }
    Ok(format!("s3://{}/{place}/{pattern}", store.bucket))
}

/// The folder that is fixed, and the rest of the path.
fn split<'a>(path: &'a str, fixed: &str) -> (&'a Path, &'a str) {
    match fixed.rfind('/') {
        Some(slash) => (Path::new(&path[..=slash]), &path[slash + 1..]),
        None => (Path::new(""), path),
    }
}

/// The files, in the order of their names.
fn files(path: &str) -> PortResult<Vec<PathBuf>> {
    let refused = |kind, message: String| Err(PortError::new(kind, message));
    if Path::new(path).is_file() {
        return Ok(vec![PathBuf::from(path)]);
    }
    if !is_glob(path) {
        return refused(ErrorKind::NotFound, format!("there is no file {path}"));
    }
    let matches = glob::glob(path).map_err(|e| {
        let message = format!("{path} is no glob: {} at character {}", e.msg, e.pos + 1);
        PortError::new(ErrorKind::Invalid, message)
    })?;
    let mut files = Vec::new();
    for found in matches {
        let file = found.map_err(|e| unreadable(Path::new(path), e.into()))?;
        if file.is_file() {
            files.push(file);
        }
        if files.len() > MAX_OBJECTS {
            let message =
                format!("{path} names more than {MAX_OBJECTS} files; put them together, or name fewer");
            return refused(ErrorKind::Invalid, message);
        }
    }
    if files.is_empty() {
        return refused(ErrorKind::NotFound, format!("no file is named like {path}"));
    }
    files.sort_unstable();
    Ok(files)
}

fn unreadable(path: &Path, error: std::io::Error) -> PortError {
    PortError::new(ErrorKind::Denied, format!("cannot read {}", path.display())).with_source(error)
}
