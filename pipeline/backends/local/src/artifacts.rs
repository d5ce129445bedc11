//! Artifacts as files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};

use async_trait::async_trait;
use pipeline::artifact::{ArtifactKey, ArtifactRef, Origin};
use pipeline::digest::Sha256Digest;
use pipeline::id::{ArtifactName, RunId, StepName};
use pipeline::ports::{ArtifactStore, ErrorKind, Host, PortError, PortResult};

use crate::beneath::{Folder, none_if_absent};
use crate::error::Fault;
use crate::scratch::Scratch;

/// The artifacts.
pub(crate) struct Artifacts {
    places: Arc<Places>,
    host: Host,
}

impl Artifacts {
    pub(crate) fn new(folder: &Path, read_only: bool, host: &Host) -> Self {
        Self {
            places: Arc::new(Places {
                root: folder.join("artifacts"),
                scratch: folder.join("tmp"),
                read_only,
                tidied: Once::new(),
            }),
            host: host.clone(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        action: String,
        work: impl FnOnce(&Places) -> Result<T, Fault> + Send + 'static,
    ) -> PortResult<T> {
        let places = Arc::clone(&self.places);
        blocking(&self.host, &action, move || work(&places)).await
    }
}

/// Does blocking work where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    host: &Host,
    action: &str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> PortResult<T> {
    let answer = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&answer);
    let done = host.spawn.blocking(Box::new(move || {
        let result = work();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }));
    let failed = |why: String| PortError::new(ErrorKind::Unavailable, format!("cannot {action}: {why}"));
    done.await.map_err(failed)?;
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    answer
        .ok_or_else(|| failed("the work ended without an answer".into()))?
        .map_err(|fault| fault.explain(action))
}

#[async_trait]
impl ArtifactStore for Artifacts {
    async fn publish(&self, key: &ArtifactKey, file: &Path) -> PortResult<ArtifactRef> {
        let (key, file) = (key.clone(), file.to_owned());
        self.run(format!("publish {} as {key}", file.display()), move |places| {
            places.publish(&key, &file)
        })
        .await
    }

    async fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> PortResult<()> {
        let (artifact, destination) = (artifact.clone(), destination.to_owned());
        let action = format!("fetch {} to {}", artifact.key, destination.display());
        self.run(action, move |places| places.fetch(&artifact, &destination))
            .await
    }

    async fn verify(&self, artifact: &ArtifactRef) -> PortResult<()> {
        let artifact = artifact.clone();
        self.run(format!("check {}", artifact.key), move |places| {
            let source = places.open_whole(&artifact)?;
            let (sha256, size_bytes) = Sha256Digest::of_reader(source)?;
            check(&artifact, sha256, size_bytes)
        })
        .await
    }

    async fn size_bytes(&self, key: &ArtifactKey) -> PortResult<Option<u64>> {
        let key = key.clone();
        self.run(format!("look at {key}"), move |places| {
            Ok(match places.open(&key)? {
                Some(file) => Some(file.metadata()?.len()),
                None => None,
            })
        })
        .await
    }

    async fn remove(&self, key: &ArtifactKey) -> PortResult<()> {
        let key = key.clone();
        self.run(format!("remove {key}"), move |places| places.remove(&key))
            .await
    }

    async fn list(&self, run: &RunId) -> PortResult<Vec<ArtifactKey>> {
        let run = run.clone();
        self.run(format!("list the artifacts of run {run}"), move |places| {
            places.list(&run)
        })
        .await
    }

    async fn list_runs(&self) -> PortResult<Vec<RunId>> {
        self.run("list the runs that have artifacts".into(), |places| {
            let runs = none_if_absent(Folder::root(&places.root).and_then(|root| root.enter("r")))?;
            let names = runs.map(|runs| runs.names()).transpose()?.unwrap_or_default();
            // What is no run was put there by somebody else, and is left alone.
            Ok(names
                .into_iter()
                .filter_map(|name| RunId::new(name).ok())
                .collect())
        })
        .await
    }

    fn locate(&self, key: &ArtifactKey) -> String {
        self.places.root.join(key.to_string()).display().to_string()
    }
}

/// Where artifacts are, and where they are written before they are there. One file system holds both.
#[derive(Debug)]
struct Places {
    root: PathBuf,
    scratch: PathBuf,
    read_only: bool,
    /// Done once a process: removing what others left when they died.
    tidied: Once,
}

impl Places {
    /// Writes the bytes to a scratch file, and only when they are on disk gives it the key's name, unless that is
    /// taken: readers see all of it or nothing, and nothing is ever replaced.
    fn publish(&self, key: &ArtifactKey, file: &Path) -> Result<ArtifactRef, Fault> {
        self.may_write()?;
        let source = File::open(file)?;
        let scratch = Scratch::create(&self.scratch)?;
        self.tidied.call_once(|| {
            // What cannot be removed is in nobody's way but the disk's; publishing goes on.
            let _ = scratch.remove_abandoned();
        });
        let (sha256, size_bytes) = copy(source, &scratch.file)?;
        scratch.file.sync_all()?;
        let artifact = ArtifactRef {
            key: key.clone(),
            sha256,
            size_bytes,
        };
        let path = key.to_string();
        let (folders, name) = split(&path);
        // Garbage collection may remove a folder that is empty for a moment; then it is made again.
        for _ in 0..10 {
            let folder = self.make(&folders)?;
            match scratch.folder.link(&scratch.name, &folder, name) {
                Ok(()) => {
                    folder.sync()?;
                    return Ok(artifact);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let (stored, _) = Sha256Digest::of_reader(folder.open(name)?)?;
                    if stored == sha256 {
                        // Whoever put it there may have died before its name was on disk.
                        folder.sync()?;
                        return Ok(artifact);
                    }
                    return Err(Fault::Port(PortError::new(
                        ErrorKind::Conflict,
                        format!("cannot publish {key}: other bytes are stored there, of digest {stored}"),
                    )));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(Fault::Port(PortError::new(
            ErrorKind::Unavailable,
            format!("cannot publish {key}: its folder is removed as often as it is made"),
        )))
    }

    fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> Result<(), Fault> {
        // Its length is looked at before any byte is copied: a file that is far too large must not fill the disk.
        let source = self.open_whole(artifact)?;
        let file = File::options().write(true).create_new(true).open(destination)?;
        let checked = copy(source, &file)
            .map_err(Fault::from)
            .and_then(|(sha256, size_bytes)| check(artifact, sha256, size_bytes));
        if checked.is_err() {
            std::fs::remove_file(destination)?;
        }
        checked
    }

    /// The artifact's bytes, if there are as many as there should be.
    fn open_whole(&self, artifact: &ArtifactRef) -> Result<impl Read + use<>, Fault> {
        let key = &artifact.key;
        let Some(source) = self.open(key)? else {
            return Err(Fault::Port(PortError::new(
                ErrorKind::NotFound,
                format!("there is no artifact {key}"),
            )));
        };
        let size_bytes = source.metadata()?.len();
        if size_bytes != artifact.size_bytes {
            return Err(damaged(
                key,
                &format!("it has {size_bytes} bytes, and had {}", artifact.size_bytes),
            ));
        }
        // It may grow while it is read.
        Ok(source.take(artifact.size_bytes.saturating_add(1)))
    }

    fn remove(&self, key: &ArtifactKey) -> Result<(), Fault> {
        self.may_write()?;
        let path = key.to_string();
        let (folders, name) = split(&path);
        let Some(mut entered) = self.enter(&folders)? else {
            return Ok(());
        };
        let Some(last) = entered.last() else { return Ok(()) };
        last.remove(name)?;
        last.sync()?;
        // Its folders too, as far as they are empty now, but not the outermost.
        for name in folders.iter().skip(1).rev() {
            entered.pop();
            match entered.last() {
                Some(parent) if parent.remove_empty(name)? => {}
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    fn list(&self, run: &RunId) -> Result<Vec<ArtifactKey>, Fault> {
        let mut keys = Vec::new();
        let Some(entered) = self.enter(&["r", run.as_str()])? else {
            return Ok(keys);
        };
        let Some(folder) = entered.last() else {
            return Ok(keys);
        };
        // What has no key was put there by somebody else, and is left alone.
        for (step, steps) in folders(folder)? {
            let Ok(step) = StepName::new(&step) else { continue };
            for (ordinal, ordinals) in folders(&steps)? {
                let Ok(ordinal) = ordinal.parse::<u32>() else {
                    continue;
                };
                for (attempt, attempts) in folders(&ordinals)? {
                    let Some(Ok(attempt)) = attempt.strip_prefix('a').map(str::parse) else {
                        continue;
                    };
                    let origin = Origin {
                        run: run.clone(),
                        step: step.clone(),
                        ordinal,
                        attempt,
                    };
                    let names = attempts
                        .names()?
                        .into_iter()
                        .filter_map(|n| ArtifactName::new(n).ok());
                    keys.extend(names.map(|name| ArtifactKey::Attempt(origin.clone(), name)));
                }
            }
        }
        Ok(keys)
    }

    fn may_write(&self) -> Result<(), Fault> {
        if self.read_only {
            return Err(Fault::Port(PortError::new(
                ErrorKind::Denied,
                "cannot change artifacts: the folder was opened for reading only",
            )));
        }
        Ok(())
    }

    /// The artifact's file, none if there is none.
    fn open(&self, key: &ArtifactKey) -> Result<Option<File>, Fault> {
        let path = key.to_string();
        let (folders, name) = split(&path);
        let Some(entered) = self.enter(&folders)? else {
            return Ok(None);
        };
        match entered.last() {
            Some(folder) => Ok(none_if_absent(folder.open(name))?),
            None => Ok(None),
        }
    }

    /// The root and each of the folders below it, none if one of them is absent.
    fn enter(&self, names: &[&str]) -> io::Result<Option<Vec<Folder>>> {
        let Some(root) = none_if_absent(Folder::root(&self.root))? else {
            return Ok(None);
        };
        let mut entered = vec![root];
        for name in names {
            let last = entered.last().expect("the root is there");
            match none_if_absent(last.enter(name))? {
                Some(next) => entered.push(next),
                None => return Ok(None),
            }
        }
        Ok(Some(entered))
    }

    fn make(&self, names: &[&str]) -> io::Result<Folder> {
        names.iter().try_fold(Folder::root(&self.root)?, |folder, name| {
            folder.enter_or_make(name)
        })
    }
}

/// Whether what was read is what the reference says.
fn check(artifact: &ArtifactRef, sha256: Sha256Digest, size_bytes: u64) -> Result<(), Fault> {
    if sha256 == artifact.sha256 && size_bytes == artifact.size_bytes {
        return Ok(());
    }
    Err(damaged(
        &artifact.key,
        &format!("its digest is {sha256}, and was {}", artifact.sha256),
    ))
}

fn damaged(key: &ArtifactKey, what: &str) -> Fault {
    Fault::Port(PortError::new(
        ErrorKind::Corrupt,
        format!("artifact {key} is damaged: {what}; run the step that made it again"),
    ))
}

/// The folders of a key's path, and the file's name.
fn split(path: &str) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

/// The folders in a folder, by name.
fn folders(folder: &Folder) -> io::Result<Vec<(String, Folder)>> {
    let mut found = Vec::new();
    for name in folder.names()? {
        match folder.enter(&name) {
            Ok(entered) => found.push((name, entered)),
            // A file or a link that somebody put there, or removed just now.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Copies all bytes, and says what they were.
fn copy(source: impl Read, destination: &File) -> io::Result<(Sha256Digest, u64)> {
    struct Tee<'a, R>(R, &'a File);
    impl<R: Read> Read for Tee<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buffer)?;
            self.1.write_all(&buffer[..n])?;
            Ok(n)
        }
    }
    Sha256Digest::of_reader(Tee(source, destination))
}
