//! gzip and zstd, unpacked by ourselves and counted while that is done, so that a bomb fills neither disk nor memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::Limits;

const BUFFER_BYTES: usize = 1 << 18;
/// Files of this size may be unpacked to [`Limits::ratio`] times as much at any rate: tiny ones are not judged.
const ANY_RATIO_BYTES: u64 = 1 << 20;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// By the first bytes, which no text begins with.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut first = [0; 4];
        let mut file = File::open(path)?;
        let mut read = 0;
        while read < first.len() {
            match file.read(&mut first[read..])? {
                0 => break,
                n => read += n,
            }
        }
        Ok(match first[..read] {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::Zstd),
            _ => None,
        })
    }
}

/// Why a file could not be unpacked.
#[derive(Debug)]
pub(crate) enum UnpackError {
    /// It becomes larger than is allowed.
    TooLarge(String),
    /// Its packing is damaged.
    Damaged,
    /// The work is to stop.
    Interrupted,
    /// The result cannot be written.
    Write(io::Error),
}

/// Unpacks `from` into the new file `to`. `unpacked_bytes` counts over all files of an attempt.
pub(crate) fn unpack(
    from: &Path,
    packing: Packing,
    to: PathBuf,
    limits: &Limits,
    unpacked_bytes: &mut u64,
    go_on: &dyn Fn() -> bool,
) -> Result<PathBuf, UnpackError> {
    let file = File::open(from).map_err(UnpackError::Write)?;
    let packed_bytes = file.metadata().map_err(UnpackError::Write)?.len();
    let most = (packed_bytes.saturating_mul(limits.ratio)).max(ANY_RATIO_BYTES);
    let file = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut unpacking: Box<dyn Read> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(UnpackError::Write)?)
        }
    };
    let mut target = File::create_new(&to).map_err(UnpackError::Write)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut written_bytes = 0u64;
    loop {
        if !go_on() {
            return Err(UnpackError::Interrupted);
        }
        let read = match unpacking.read(&mut buffer) {
            Ok(0) => return Ok(to),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(UnpackError::Damaged),
        };
        written_bytes += read as u64;
        *unpacked_bytes += read as u64;
        if written_bytes > most {
            return Err(UnpackError::TooLarge(format!(
                "it unpacks to more than {} times its size",
                limits.ratio
            )));
        }
        if *unpacked_bytes > limits.unpacked_bytes {
            return Err(UnpackError::TooLarge(format!(
                "the sources unpack to more than {} GiB",
                limits.unpacked_bytes >> 30
            )));
        }
        target.write_all(&buffer[..read]).map_err(UnpackError::Write)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("writes");
        path
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        to.write_all(bytes).expect("packs");
        to.finish().expect("packs")
    }

    #[test]
    fn unpacks_several_members_and_frames() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let mut two = gzip(b"a,b\n");
        two.extend(gzip(b"1,2\n"));
        let mut frames = zstd::encode_all(&b"a,b\n"[..], 3).expect("packs");
        frames.extend(zstd::encode_all(&b"1,2\n"[..], 3).expect("packs"));
        for (name, bytes, packing) in [("g", two, Packing::Gzip), ("z", frames, Packing::Zstd)] {
            let from = packed(folder.path(), name, &bytes);
            assert_eq!(Packing::of(&from).expect("reads"), Some(packing));
            let to = folder.path().join(format!("{name}.out"));
            let mut counted = 0;
            unpack(
                &from,
                packing,
                to.clone(),
                &Limits::default(),
                &mut counted,
                &|| true,
            )
            .expect("unpacks");
            assert_eq!(std::fs::read(&to).expect("reads"), b"a,b\n1,2\n");
            assert_eq!(counted, 8);
        }
    }

    #[test]
    fn t04_bombs_and_damage_are_refused() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let bomb = vec![b'0'; 64 << 20];
        for (name, bytes, packing) in [
            ("g", gzip(&bomb), Packing::Gzip),
            (
                "z",
                zstd::encode_all(&bomb[..], 19).expect("packs"),
                Packing::Zstd,
            ),
        ] {
            let from = packed(folder.path(), name, &bytes);
            let to = folder.path().join(format!("{name}.out"));
            let result = unpack(&from, packing, to.clone(), &Limits::default(), &mut 0, &|| true);
            assert!(matches!(result, Err(UnpackError::TooLarge(_))), "{result:?}");
            let on_disk = std::fs::metadata(&to).expect("was begun").len();
            assert!(on_disk <= 1000 * bytes.len() as u64, "{on_disk}");
            let cut = packed(folder.path(), &format!("{name}.cut"), &bytes[..bytes.len() - 9]);
            let limits = Limits {
                ratio: u64::MAX,
                ..Limits::default()
            };
            let to = folder.path().join(format!("{name}.cut.out"));
            let result = unpack(&cut, packing, to, &limits, &mut 0, &|| true);
            assert!(matches!(result, Err(UnpackError::Damaged)), "{result:?}");
        }
    }
}
