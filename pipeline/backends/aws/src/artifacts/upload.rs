//! Uploads: small files at once, large ones in parts.

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures::stream::{FuturesOrdered, StreamExt};
use pipeline::digest::Sha256Digest;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::{PART_BYTES, PARTS_AT_A_TIME};
use crate::client::{joining, uploading};
use crate::error::Fault;
use crate::store::Store;

/// The metadata in which our digest is kept.
pub(super) const SHA256: &str = "sha256";
/// S3 takes no more parts than these.
const MOST_PARTS: u64 = 10_000;

/// What was uploaded.
pub(crate) struct Uploaded {
    pub(super) sha256: Sha256Digest,
    pub(super) size_bytes: u64,
    /// False if something else may be there: what is stored has to be looked at.
    pub(super) is_new: bool,
}

/// Stores the file's bytes under a key that is not taken.
pub(crate) async fn upload(store: &Store, key: &str, path: &Path) -> Result<Uploaded, Fault> {
    let mut file = File::open(path).await?;
    let size_bytes = file.metadata().await?.len();
    if size_bytes <= PART_BYTES {
        let bytes = read_part(&mut file, size_bytes + 1).await?;
        return put(store, key, bytes).await;
    }
    Parts {
        store,
        key,
        part_bytes: PART_BYTES.max(size_bytes.div_ceil(MOST_PARTS)),
    }
    .upload(file)
    .await
}

/// The next bytes of the file, at most so many.
async fn read_part(file: &mut File, at_most: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    file.take(at_most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// True if the answer says that the key is taken.
fn is_taken(fault: &Fault) -> bool {
    fault.failure().is_some_and(|failure| failure.status == Some(412))
}

/// True if the answer says that there is no such upload.
fn is_forgotten(fault: &Fault) -> bool {
    fault
        .failure()
        .is_some_and(|failure| failure.code == "NoSuchUpload")
}

async fn put(store: &Store, key: &str, bytes: Vec<u8>) -> Result<Uploaded, Fault> {
    let (sha256, size_bytes) = (Sha256Digest::of(&bytes), bytes.len() as u64);
    let request = store.clients.s3.put_object();
    let answer = request
        .bucket(&store.bucket)
        .key(key)
        .expected_bucket_owner(&store.clients.account)
        .if_none_match("*")
        .metadata(SHA256, sha256.to_string())
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(ByteStream::from(bytes))
        .customize()
        .config_override(uploading(size_bytes))
        .send()
        .await;
    let is_new = match answer.map_err(Fault::from) {
        Ok(_) => true,
        Err(fault) if is_taken(&fault) => false,
        Err(fault) => return Err(fault),
    };
    Ok(Uploaded {
        sha256,
        size_bytes,
        is_new,
    })
}

/// An upload in parts.
struct Parts<'a> {
    store: &'a Store,
    key: &'a str,
    part_bytes: u64,
}

impl Parts<'_> {
    async fn upload(&self, mut file: File) -> Result<Uploaded, Fault> {
        // The digest stands beside the object from its beginning, so it is computed before; it is compared with what was
        // sent in the end.
        let before = digest(&mut file).await?;
        let request = self.store.clients.s3.create_multipart_upload();
        let begun = request
            .bucket(&self.store.bucket)
            .key(self.key)
            .expected_bucket_owner(&self.store.clients.account)
            .metadata(SHA256, before.0.to_string())
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await?;
        let id = begun
            .upload_id
            .ok_or_else(|| Fault::Stored("an upload has no id".into()))?;
        let done = self.finish(&id, file, before).await;
        if !matches!(done, Ok(Uploaded { is_new: true, .. })) {
            // Best effort: the bucket's rule removes what is left of uploads that were given up.
            let request = self.store.clients.s3.abort_multipart_upload();
            let _ = request
                .bucket(&self.store.bucket)
                .key(self.key)
                .expected_bucket_owner(&self.store.clients.account)
                .upload_id(&id)
                .send()
                .await;
        }
        done
    }

    async fn finish(&self, id: &str, mut file: File, before: (Sha256Digest, u64)) -> Result<Uploaded, Fault> {
        let mut pieces = Sha256Digest::of_pieces();
        let (mut size_bytes, mut number) = (0, 0);
        let (mut under_way, mut parts) = (FuturesOrdered::new(), Vec::new());
        loop {
            let bytes = read_part(&mut file, self.part_bytes).await?;
            if bytes.is_empty() {
                break;
            }
            pieces.update(&bytes);
            size_bytes += bytes.len() as u64;
            number += 1;
            under_way.push_back(self.part(id, number, bytes));
            if under_way.len() >= PARTS_AT_A_TIME
                && let Some(part) = under_way.next().await
            {
                parts.push(part?);
            }
        }
        while let Some(part) = under_way.next().await {
            parts.push(part?);
        }
        let sha256 = pieces.finish();
        if (sha256, size_bytes) != before {
            return Err(Fault::Io(std::io::Error::other(
                "the file was changed while it was being published",
            )));
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.store.clients.s3.complete_multipart_upload();
        let answer = request
            .bucket(&self.store.bucket)
            .key(self.key)
            .expected_bucket_owner(&self.store.clients.account)
            .upload_id(id)
            .if_none_match("*")
            .multipart_upload(parts)
            .customize()
            .config_override(joining(size_bytes))
            .send()
            .await;
        let is_new = match answer.map_err(Fault::from) {
            Ok(_) => true,
            // An upload is forgotten once it is finished: this may be the second try of a request whose answer was lost.
            Err(fault) if is_taken(&fault) || is_forgotten(&fault) => false,
            Err(fault) => return Err(fault),
        };
        Ok(Uploaded {
            sha256,
            size_bytes,
            is_new,
        })
    }

    async fn part(&self, id: &str, number: i32, bytes: Vec<u8>) -> Result<CompletedPart, Fault> {
        let request = self.store.clients.s3.upload_part();
        let patience = uploading(bytes.len() as u64);
        let sent = request
            .bucket(&self.store.bucket)
            .key(self.key)
            .expected_bucket_owner(&self.store.clients.account)
            .upload_id(id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(patience)
            .send()
            .await?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build())
    }
}

/// Reads a file to its end and returns to its beginning.
async fn digest(file: &mut File) -> Result<(Sha256Digest, u64), Fault> {
    use tokio::io::AsyncSeekExt;
    let mut pieces = Sha256Digest::of_pieces();
    let mut size_bytes = 0;
    loop {
        let bytes = read_part(file, PART_BYTES).await?;
        if bytes.is_empty() {
            file.rewind().await?;
            return Ok((pieces.finish(), size_bytes));
        }
        pieces.update(&bytes);
        size_bytes += bytes.len() as u64;
    }
}
