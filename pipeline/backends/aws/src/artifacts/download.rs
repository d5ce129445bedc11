//! Downloads: small objects at once, large ones by ranges, several at a time, put together in their order.

use std::io::Write;
use std::path::Path;

use futures::stream::{self, StreamExt};
use pipeline::digest::Sha256Digest;
use pipeline::ports::{ErrorKind, PortError};

use super::{PART_BYTES, PARTS_AT_A_TIME};
use crate::error::Fault;
use crate::retry::Retries;
use crate::store::Store;

/// Which object is read.
pub(crate) struct Download<'a> {
    pub(crate) store: &'a Store,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) wanted: Wanted<'a>,
}

/// What must be found there.
pub(crate) enum Wanted<'a> {
    /// So many bytes.
    Whole(u64),
    /// So many bytes of that very version.
    Version { size_bytes: u64, e_tag: &'a str },
}

/// Why a part did not come.
enum Broken {
    /// It began to come.
    Off(Fault),
    /// It did not, however often it was asked for.
    Refused(Fault),
}

impl Download<'_> {
    fn size_bytes(&self) -> u64 {
        match self.wanted {
            Wanted::Whole(size_bytes) | Wanted::Version { size_bytes, .. } => size_bytes,
        }
    }

    /// Reads all bytes in their order. Their digest; none if they are not as many as wanted.
    pub(crate) async fn read(
        &self,
        mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<Option<Sha256Digest>, Fault> {
        let size_bytes = self.size_bytes();
        let parts = size_bytes.div_ceil(PART_BYTES).max(1);
        let mut bytes = stream::iter(0..parts)
            .map(|part| self.part(part, parts))
            .buffered(PARTS_AT_A_TIME);
        let mut pieces = Sha256Digest::of_pieces();
        let mut seen = 0;
        while let Some(part) = bytes.next().await {
            let Some(part) = part? else {
                return Ok(None);
            };
            pieces.update(&part);
            each(&part)?;
            seen += part.len() as u64;
        }
        Ok((seen == size_bytes).then(|| pieces.finish()))
    }

    /// The bytes of one part; none if the object's size is not the wanted one. What breaks off is asked for again: the SDK
    /// does that only before the first byte.
    async fn part(&self, part: u64, parts: u64) -> Result<Option<Vec<u8>>, Fault> {
        let mut retries = Retries::new(&self.store.host);
        loop {
            match self.try_part(part, parts).await {
                Err(Broken::Off(fault)) => retries.again(fault).await?,
                Err(Broken::Refused(fault)) => return Err(fault),
                Ok(bytes) => return Ok(bytes),
            }
        }
    }

    async fn try_part(&self, part: u64, parts: u64) -> Result<Option<Vec<u8>>, Broken> {
        let size_bytes = self.size_bytes();
        let range = (parts > 1).then(|| {
            let from = part * PART_BYTES;
            let to = (from + PART_BYTES).min(size_bytes);
            format!("bytes={from}-{}", to - 1)
        });
        let e_tag = match self.wanted {
            Wanted::Whole(_) => None,
            Wanted::Version { e_tag, .. } => Some(e_tag.to_owned()),
        };
        let request = self.store.clients.s3.get_object();
        let answer = request
            .bucket(self.bucket)
            .key(self.key)
            .expected_bucket_owner(&self.store.clients.account)
            .set_range(range)
            .set_if_match(e_tag)
            .send()
            .await;
        let answer = match answer.map_err(Fault::from) {
            // It is shorter than wanted.
            Err(fault) if fault.failure().is_some_and(|failure| failure.status == Some(416)) => {
                return Ok(None);
            }
            answer => answer.map_err(Broken::Refused)?,
        };
        let length = answer.content_length.and_then(|n| u64::try_from(n).ok());
        let whole = match &answer.content_range {
            Some(range) => range.rsplit('/').next().and_then(|n| n.parse().ok()),
            None => length,
        };
        // Before its bytes are read: what is larger than wanted must not fill the memory.
        if whole != Some(size_bytes) || length.is_none_or(|n| n > PART_BYTES) {
            return Ok(None);
        }
        let bytes = answer.body.collect().await.map_err(|e| {
            let message = format!("{} broke off", self.key);
            Broken::Off(Fault::Port(
                PortError::new(ErrorKind::Unavailable, message).with_source(e),
            ))
        })?;
        Ok(Some(bytes.to_vec()))
    }

    /// The same into a new file, which is there only once all of it is and `is_right` says so of its digest.
    pub(crate) async fn save(
        &self,
        destination: &Path,
        is_right: impl Fn(Sha256Digest) -> bool,
    ) -> Result<Option<Sha256Digest>, Fault> {
        let folder = destination
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        // Short writes to the page's cache: a task of their own would cost more than they do.
        let sha256 = self.read(|bytes| Ok(file.write_all(bytes)?)).await?;
        if sha256.is_some_and(is_right) {
            file.persist_noclobber(destination)
                .map_err(|e| match e.error.kind() {
                    std::io::ErrorKind::AlreadyExists => Fault::Port(PortError::new(
                        ErrorKind::Conflict,
                        format!("something is there already: {}", destination.display()),
                    )),
                    _ => Fault::Io(e.error),
                })?;
        }
        Ok(sha256)
    }
}
