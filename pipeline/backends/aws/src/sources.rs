//! Sources as objects of buckets that the configuration allows.

mod offer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pipeline::Sha256Digest;
use pipeline::ports::{ErrorKind, PortError, PortResult, SourceObject, Sources};

use crate::artifacts::{Download, Wanted};
use crate::error::Fault;
use crate::store::Store;

/// The most objects that one source may name.
const MAX_OBJECTS: usize = 10_000;

/// The sources.
pub(crate) struct Objects {
    store: Arc<Store>,
    allowed: Vec<Place>,
}

/// A bucket, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    bucket: String,
    prefix: String,
}

impl Place {
    /// `s3://bucket`, or `s3://bucket/prefix`; the prefix ends at a slash, so that `s3://b/data` allows nothing in
    /// `s3://b/data-of-others`.
    fn of(text: &str) -> PortResult<Self> {
        let (bucket, prefix) = parse(text).or_else(|_| parse(&format!("{text}/")))?;
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self { bucket, prefix })
    }

    fn holds(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && key.starts_with(&self.prefix)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Bucket and key of `s3://bucket/key`.
fn parse(uri: &str) -> PortResult<(String, String)> {
    let invalid = |why: &str| PortError::new(ErrorKind::Invalid, format!("{uri:?} is no source here: {why}"));
    let rest = uri
        .strip_prefix("s3://")
        .ok_or_else(|| invalid("write s3://BUCKET/KEY; workers on AWS read nothing else"))?;
    let (bucket, key) = rest
        .split_once('/')
        .ok_or_else(|| invalid("it names a bucket and no key; write s3://BUCKET/KEY"))?;
    // Also keeps out what would make another address of it: user names, ports, numbers of hosts.
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        && !bucket.contains("..")
        && bucket.bytes().any(|b| b.is_ascii_lowercase());
    if !is_bucket {
        return Err(invalid("that is no name of a bucket"));
    }
    Ok((bucket.to_owned(), key.to_owned()))
}

/// An object as its bucket lists it.
struct Seen {
    key: String,
    size_bytes: u64,
    e_tag: String,
}

impl Objects {
    /// `allowed` are buckets, or parts of them: `s3://bucket/prefix`.
    pub(crate) fn new(store: Arc<Store>, allowed: &[String]) -> PortResult<Self> {
        let mut places = allowed
            .iter()
            .map(|text| Place::of(text))
            .collect::<PortResult<Vec<_>>>()?;
        // What the fleet's own people offered.
        places.push(Place {
            bucket: store.bucket.clone(),
            prefix: offer::PREFIX.to_owned(),
        });
        Ok(Self {
            store,
            allowed: places,
        })
    }

    fn check(&self, uri: &str, bucket: &str, key: &str) -> PortResult<()> {
        if self.allowed.iter().any(|place| place.holds(bucket, key)) {
            return Ok(());
        }
        let allowed: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
        Err(PortError::new(
            ErrorKind::Denied,
            format!(
                "{uri} may not be read: allowed are {}; the workers of extract allow more by --source-buckets or \
                 FLEETLINE_SOURCE_BUCKETS",
                allowed.join(", ")
            ),
        ))
    }

    async fn look(&self, bucket: &str, key: &str) -> Result<Option<Seen>, Fault> {
        let request = self.store.clients.s3.head_object();
        let answer = request
            .bucket(bucket)
            .key(key)
            .expected_bucket_owner(&self.store.clients.account)
            .send()
            .await;
        match answer.map_err(Fault::from) {
            Ok(head) => Ok(Some(Seen {
                key: key.to_owned(),
                size_bytes: head
                    .content_length
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or(0),
                e_tag: head.e_tag.unwrap_or_default(),
            })),
            Err(fault) if fault.failure().is_some_and(|f| f.status == Some(404)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The objects under a prefix that a pattern matches.
    async fn matching(&self, uri: &str, bucket: &str, pattern: &str) -> Result<Vec<Seen>, Fault> {
        let invalid = |why: String| Fault::Port(PortError::new(ErrorKind::Invalid, why));
        if pattern.contains("**") {
            return Err(invalid(format!(
                "{uri}: `**` is not read; name each level of folders"
            )));
        }
        let glob = glob::Pattern::new(pattern)
            .map_err(|e| invalid(format!("{uri} is no glob: {} at character {}", e.msg, e.pos + 1)))?;
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let request = self.store.clients.s3.list_objects_v2();
            let answer = request
                .bucket(bucket)
                .prefix(fixed_part(pattern))
                .set_continuation_token(from)
                .expected_bucket_owner(&self.store.clients.account)
                .send()
                .await?;
            for object in answer.contents.unwrap_or_default() {
                let (Some(key), Some(e_tag)) = (object.key, object.e_tag) else {
                    continue;
                };
                if key.ends_with('/') || !glob.matches_with(&key, options) {
                    continue;
                }
                let size_bytes = object.size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                found.push(Seen {
                    key,
                    size_bytes,
                    e_tag,
                });
                if found.len() > MAX_OBJECTS {
                    return Err(invalid(format!(
                        "{uri} names more than {MAX_OBJECTS} objects; put them together, or name fewer"
                    )));
                }
            }
            from = answer.next_continuation_token;
            if from.is_none() {
                found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                return Ok(found);
            }
        }
    }
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The part of a pattern before anything in it is open.
fn fixed_part(pattern: &str) -> &str {
    pattern
        .find(['*', '?', '['])
        .map_or(pattern, |open| &pattern[..open])
}

/// Names one version of one object for ever. S3's own tag of an object is no digest of it that one could check, so two
/// objects of equal content have two.
fn identity(bucket: &str, seen: &Seen) -> Sha256Digest {
    let parts = [bucket, &seen.key, &seen.e_tag, &seen.size_bytes.to_string()];
    Sha256Digest::of(parts.join("\0").as_bytes())
}

#[async_trait]
impl Sources for Objects {
    async fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        let (bucket, key) = parse(uri)?;
        let explain = |fault: Fault| fault.explain(&format!("look for source {uri}"));
        // Before anything is asked: nothing is said of what is not allowed. A pattern may be a key, too.
        self.check(uri, &bucket, fixed_part(&key))?;
        let found = match self.look(&bucket, &key).await.map_err(explain)? {
            Some(seen) => vec![seen],
            None if is_glob(&key) => self.matching(uri, &bucket, &key).await.map_err(explain)?,
            None => Vec::new(),
        };
        if found.is_empty() {
            let message = match is_glob(&key) {
                true => format!(
                    "no object is named like {uri}; looked under s3://{bucket}/{}",
                    fixed_part(&key)
                ),
                false => format!("there is no object {uri}"),
            };
            return Err(PortError::new(ErrorKind::NotFound, message));
        }
        Ok(found
            .into_iter()
            .map(|seen| SourceObject {
                uri: format!("s3://{bucket}/{}", seen.key),
                sha256: identity(&bucket, &seen),
                size_bytes: seen.size_bytes,
            })
            .collect())
    }

    async fn offer(&self, path: &str) -> PortResult<String> {
        offer::offer(&self.store, path).await
    }

    async fn fetch(&self, object: &SourceObject, folder: &Path) -> PortResult<PathBuf> {
        let uri = &object.uri;
        let (bucket, key) = parse(uri)?;
        self.check(uri, &bucket, &key)?;
        let explain = |fault: Fault| fault.explain(&format!("fetch source {uri}"));
        let changed = || {
            PortError::new(
                ErrorKind::Conflict,
                format!("{uri} was changed since it was looked at"),
            )
        };
        let seen = self
            .look(&bucket, &key)
            .await
            .map_err(explain)?
            .ok_or_else(changed)?;
        if identity(&bucket, &seen) != object.sha256 {
            return Err(changed());
        }
        std::fs::create_dir_all(folder).map_err(|e| explain(e.into()))?;
        // The name tells the format; what else is in a key tells nothing, and may not lead out of the folder.
        let name = key
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty() && *name != "..");
        let path = folder.join(name.unwrap_or("object"));
        let download = Download {
            store: &self.store,
            bucket: &bucket,
            key: &key,
            wanted: Wanted::Version {
                size_bytes: seen.size_bytes,
                e_tag: &seen.e_tag,
            },
        };
        match download.save(&path, |_| true).await {
            Ok(Some(_)) => Ok(path),
            Ok(None) => Err(changed()),
            Err(fault)
                if fault
                    .failure()
                    .is_some_and(|f| matches!(f.status, Some(404 | 412))) =>
            {
                Err(changed())
            }
            Err(fault) => Err(explain(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t03_only_buckets_are_addressed() {
        assert_eq!(
            parse("s3://data-of-ours/2026/a.csv").expect("an object"),
            ("data-of-ours".to_owned(), "2026/a.csv".to_owned())
        );
        for uri in [
            "data/a.csv",
            "/etc/passwd",
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "https://bucket.s3.amazonaws.com/a",
            "S3://bucket/a",
            "s3://",
            "s3://bucket",
            "s3:///a",
            "s3://user@bucket/a",
            "s3://169.254.169.254/latest",
            "s3://[::1]/a",
            "s3://2852039166/a",
            "s3://bucket:80/a",
            "s3://Bucket/a",
            "s3://b..c/a",
        ] {
            assert_eq!(parse(uri).expect_err(uri).kind(), ErrorKind::Invalid, "{uri}");
        }
    }

    #[test]
    fn t03_an_allowed_prefix_ends_at_a_slash() {
        for text in ["s3://bucket/data", "s3://bucket/data/"] {
            let place = Place::of(text).expect("a place");
            assert!(place.holds("bucket", "data/a.csv"), "{text}");
            assert!(!place.holds("bucket", "data-of-others/a.csv"), "{text}");
            assert!(!place.holds("other", "data/a.csv"), "{text}");
        }
        for text in ["s3://bucket", "s3://bucket/"] {
            let place = Place::of(text).expect("a place");
            assert!(place.holds("bucket", "anything"), "{text}");
        }
    }
}
