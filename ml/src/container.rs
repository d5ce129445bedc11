//! The form of our own files (models, feature programs): a magic word, what it is, which version, how long, which
//! digest, and then the payload. Everything is checked before a byte of the payload is looked at.

use sha2::{Digest, Sha256};

/// The first bytes of every container.
const MAGIC: &[u8; 8] = b"FLEETLN1";

/// Magic, kind, version, payload length, SHA-256 of all of that and the payload.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 32;

/// The largest payload that is written or read: 1 GiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 30;

/// Four letters that say what the payload is.
pub type Kind = [u8; 4];

/// Why a container cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// It does not begin like one.
    #[error("it does not begin like one of fleetline's files")]
    NotOurs,
    /// It is something else.
    #[error("it is a {found:?} and not a {wanted:?}")]
    Kind {
        /// What was wanted.
        wanted: String,
        /// What it says it is.
        found: String,
    },
    /// It is of a version that this program does not know.
    #[error("it is of format version {found}; this program reads up to {newest}: use a newer fleetline")]
    Version {
        /// What it says it is.
        found: u32,
        /// What is known.
        newest: u32,
    },
    /// It is shorter or longer than it says, or too long.
    #[error("it has {found} bytes where {said} are said: it is cut off or was added to")]
    Length {
        /// What the header says.
        said: u64,
        /// What there is.
        found: u64,
    },
    /// Its digest is another.
    #[error("its digest is not the one it names: at least one bit is wrong")]
    Digest,
}

/// Puts a payload into a container.
pub fn seal(kind: Kind, version: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&kind);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let digest = digest_of(&out, payload);
    out.extend_from_slice(&digest);
    out.extend_from_slice(payload);
    out
}

/// The version and the payload of a container of that kind, up to version `newest`.
pub fn open(bytes: &[u8], kind: Kind, newest: u32) -> Result<(u32, &[u8]), ContainerError> {
    let Some((head, rest)) = bytes.split_at_checked(HEADER_BYTES - 32) else {
        return Err(ContainerError::NotOurs);
    };
    let Some((magic, fields)) = head.split_first_chunk::<8>() else {
        return Err(ContainerError::NotOurs);
    };
    let Some((digest, payload)) = rest.split_first_chunk::<32>().filter(|_| magic == MAGIC) else {
        return Err(ContainerError::NotOurs);
    };
    // `fields` has 4 + 4 + 8 bytes: what is left of the head.
    let mut words = fields
        .chunks_exact(4)
        .map(|word| [word[0], word[1], word[2], word[3]]);
    let mut word = || words.next().unwrap_or_default();
    let (found_kind, version) = (word(), u32::from_le_bytes(word()));
    let said = u64::from(u32::from_le_bytes(word())) | u64::from(u32::from_le_bytes(word())) << 32;
    if found_kind != kind {
        let text = |kind: Kind| String::from_utf8_lossy(&kind).into_owned();
        return Err(ContainerError::Kind {
            wanted: text(kind),
            found: text(found_kind),
        });
    }
    if version == 0 || version > newest {
        return Err(ContainerError::Version {
            found: version,
            newest,
        });
    }
    let found = payload.len() as u64;
    if said != found || payload.len() > MAX_PAYLOAD_BYTES {
        return Err(ContainerError::Length { said, found });
    }
    if digest_of(head, payload) != *digest {
        return Err(ContainerError::Digest);
    }
    Ok((version, payload))
}

fn digest_of(head: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: Kind = *b"test";

    #[test]
    fn what_was_sealed_opens() {
        let sealed = seal(KIND, 3, b"payload");
        assert_eq!(open(&sealed, KIND, 3), Ok((3, b"payload".as_slice())));
        assert_eq!(open(&seal(KIND, 1, b""), KIND, 1), Ok((1, b"".as_slice())));
    }

    #[test]
    fn says_what_is_wrong() {
        let sealed = seal(KIND, 3, b"payload");
        assert!(matches!(
            open(&sealed, *b"othr", 3),
            Err(ContainerError::Kind { .. })
        ));
        assert!(matches!(
            open(&sealed, KIND, 2),
            Err(ContainerError::Version { found: 3, newest: 2 })
        ));
        assert!(matches!(open(b"{}", KIND, 3), Err(ContainerError::NotOurs)));
        let cut = &sealed[..sealed.len() - 1];
        assert!(matches!(
            open(cut, KIND, 3),
            Err(ContainerError::Length { said: 7, found: 6 })
        ));
    }

    proptest! {
        #[test]
        fn t06_every_flipped_bit_is_seen(payload in proptest::collection::vec(any::<u8>(), 0..64), at: proptest::sample::Index, bit in 0..8u8) {
            let mut sealed = seal(KIND, 1, &payload);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&sealed, KIND, 1).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(&bytes, KIND, 1);
        }
    }
}
