//! Artifacts stay within their folder, whatever somebody put there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use backend_local::Options;
use pipeline::artifact::{ArtifactKey, ArtifactRef, Origin};
use pipeline::digest::Sha256Digest;
use pipeline::id::{ArtifactName, RunId, StepName};
use pipeline::ports::ErrorKind;

use crate::host;

fn run() -> RunId {
    RunId::new("run").expect("valid")
}

fn key(name: &str) -> ArtifactKey {
    let origin = Origin {
        run: run(),
        step: StepName::new("train").expect("valid"),
        ordinal: 0,
        attempt: 1,
    };
    ArtifactKey::Attempt(origin, ArtifactName::new(name).expect("valid"))
}

fn reference(name: &str, bytes: &[u8]) -> ArtifactRef {
    ArtifactRef {
        key: key(name),
        sha256: Sha256Digest::of(bytes),
        size_bytes: bytes.len() as u64,
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("there").next().is_none()
}

/// At every depth: nothing is written, read, listed or removed on the other side of a link.
#[test]
fn t02_a_link_to_another_folder_is_refused() {
    for link in ["r", "r/run", "r/run/train", "r/run/train/0", "r/run/train/0/a1"] {
        let (folder, outside) = (host::folder(), host::folder());
        host::block_on(async {
            let local = host::open(folder.path());
            let path = folder.path().join("artifacts").join(link);
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            symlink(outside.path(), &path).expect("linked");
            let source = folder.path().join("source");
            fs::write(&source, "bytes").expect("written");

            let store = &local.backend.artifacts;
            let error = store.publish(&key("model.bin"), &source).await.expect_err(link);
            assert_eq!(error.kind(), ErrorKind::Denied, "{link}: {error}");
            assert!(error.to_string().contains("symbolic link"), "{error}");
            assert!(is_empty(outside.path()), "{link}: something was written outside");

            // What is outside, under the very path that the key would have there.
            let key = key("model.bin").to_string();
            let rest = key
                .strip_prefix(link)
                .expect("the link is on its path")
                .trim_start_matches('/');
            let secret = outside.path().join(rest);
            fs::create_dir_all(secret.parent().expect("it has one")).expect("made");
            fs::write(&secret, "secret").expect("written");
            let copy = folder.path().join("copy");
            let error = store
                .fetch(&reference("model.bin", b"secret"), &copy)
                .await
                .expect_err(link);
            assert_eq!(error.kind(), ErrorKind::Denied, "{link}: {error}");
            assert!(!copy.exists());
            assert!(
                store.list(&run()).await.map_or(true, |keys| keys.is_empty()),
                "{link}"
            );
            assert!(
                store.remove(&crate::places::key("model.bin")).await.is_err(),
                "{link}"
            );
            assert!(secret.exists(), "{link}: something was removed outside");
        });
    }
}

/// Nor is a file that is a link, or that is none.
#[test]
fn t02_a_link_to_another_file_is_refused() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let secret = folder.path().join("secret");
        fs::write(&secret, "secret").expect("written");
        let parent = folder.path().join("artifacts/r/run/train/0/a1");
        fs::create_dir_all(parent.join("folder")).expect("made");
        symlink(&secret, parent.join("link")).expect("linked");
        let store = &local.backend.artifacts;
        for name in ["link", "folder"] {
            let copy = folder.path().join("copy");
            let error = store
                .fetch(&reference(name, b"secret"), &copy)
                .await
                .expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Denied, "{name}: {error}");
            assert!(!copy.exists());
            let error = store.publish(&key(name), &secret).await.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Denied, "{name}: {error}");
        }
        assert_eq!(fs::read(&secret).expect("there"), b"secret");
        assert!(is_empty(&folder.path().join("tmp")), "a scratch file was left");
    });
}

/// Foreign files are no artifacts, and stay.
#[test]
fn what_has_no_key_is_not_listed() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let parent = folder.path().join("artifacts/r/run/train/0/a1");
        fs::create_dir_all(&parent).expect("made");
        fs::create_dir_all(folder.path().join("artifacts/r/Not A Run")).expect("made");
        fs::write(parent.join("model.bin"), "x").expect("written");
        for foreign in ["UPPER", ".hidden", "two..dots"] {
            fs::write(parent.join(foreign), "x").expect("written");
        }
        for foreign in ["r/run/file", "r/run/train/x", "r/run/train/0/b1"] {
            fs::write(folder.path().join("artifacts").join(foreign), "x").expect("written");
        }
        let store = &local.backend.artifacts;
        assert_eq!(store.list(&run()).await.expect("listed"), [key("model.bin")]);
        assert_eq!(store.list_runs().await.expect("listed"), [run()]);
        store.remove(&key("model.bin")).await.expect("removed");
        assert!(parent.join("UPPER").exists());
    });
}

/// Bytes that changed on disk are noticed.
#[test]
fn a_flipped_bit_is_noticed() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let source = folder.path().join("source");
        fs::write(&source, "genuine").expect("written");
        let store = &local.backend.artifacts;
        let artifact = store
            .publish(&key("model.bin"), &source)
            .await
            .expect("published");
        fs::write(store.locate(&key("model.bin")), "genuinf").expect("written");
        let copy = folder.path().join("copy");
        let error = store.fetch(&artifact, &copy).await.expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!copy.exists());
    });
}

#[test]
fn a_folder_opened_for_reading_takes_no_artifacts() {
    let folder = host::folder();
    host::block_on(async {
        let source = folder.path().join("source");
        fs::write(&source, "bytes").expect("written");
        let artifact = host::open(folder.path())
            .backend
            .artifacts
            .publish(&key("a"), &source)
            .await;
        let artifact = artifact.expect("published");
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let reading = backend_local::open(folder.path(), &options, &host::host()).expect("opened");
        let store = &reading.backend.artifacts;
        store
            .fetch(&artifact, &folder.path().join("copy"))
            .await
            .expect("fetched");
        let error = store.publish(&key("b"), &source).await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::Denied);
        let error = store.remove(&key("a")).await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::Denied);
    });
}

/// A process that died left half an artifact: a day later it is cleared away, and what is being written is not.
#[test]
fn abandoned_scratch_files_are_removed() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let scratch = folder.path().join("tmp");
        for (name, hours) in [("1-0", 25), ("2-0", 23)] {
            let file = fs::File::create(scratch.join(name)).expect("made");
            let now = file.metadata().expect("there").modified().expect("known");
            let then = now - std::time::Duration::from_secs(hours * 3600);
            file.set_modified(then).expect("set");
        }
        let source = folder.path().join("source");
        fs::write(&source, "bytes").expect("written");
        let published = local.backend.artifacts.publish(&key("model.bin"), &source).await;
        published.expect("published");
        let left: Vec<_> = fs::read_dir(&scratch)
            .expect("there")
            .map(|e| e.expect("read").file_name())
            .collect();
        assert_eq!(left, ["2-0"]);
    });
}
