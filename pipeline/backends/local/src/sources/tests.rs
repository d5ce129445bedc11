use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A folder `data` that is allowed, beside a file `secret.csv` that is not.
struct Place {
    folder: tempfile::TempDir,
    shelf: Shelf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("makes a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("makes a folder");
        fs::write(folder.path().join("secret.csv"), "s").expect("writes");
        for (name, text) in [
            ("b.csv", "2"),
            ("a.csv", "1"),
            ("c.parquet", "3"),
            (".d.csv", "4"),
        ] {
            fs::write(data.join(name), text).expect("writes");
        }
        let shelf = Shelf {
            allowed: vec![data],
            digests: Mutex::default(),
        };
        Self { folder, shelf }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a text").to_owned()
    }

    fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        let found = self.shelf.paths(uri).and_then(|paths| {
            let late = Timestamp(u64::MAX / 2);
            paths.iter().map(|path| self.shelf.look(path, late)).collect()
        });
        found.map_err(|fault| fault.explain("look for a source"))
    }

    fn names(&self, uri: &str) -> Vec<String> {
        let found = self.find(uri).expect("finds");
        let name = |o: SourceObject| Some(Path::new(&o.uri).file_name()?.to_str()?.to_owned());
        found.into_iter().filter_map(name).collect()
    }

    fn refused(&self, uri: &str) -> (ErrorKind, String) {
        let error = self.find(uri).expect_err(uri);
        (error.kind(), error.to_string())
    }
}

#[test]
fn a_file_has_its_digest_and_a_glob_its_order() {
    let place = Place::new();
    let found = place.find(&place.path("data/a.csv")).expect("finds");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].sha256, found[0].size_bytes),
        (Sha256Digest::of(b"1"), 1)
    );
    assert_eq!(place.names(&place.path("data/*.csv")), ["a.csv", "b.csv"]);
    assert_eq!(place.names(&place.path("data/[ac].*")), ["a.csv", "c.parquet"]);
    fs::write(place.path("data/x[1].csv"), "").expect("writes");
    assert_eq!(place.names(&place.path("data/x[1].csv")), ["x[1].csv"]);
}

#[test]
fn a_folder_that_is_allowed_twice_is_told_once() {
    let mut place = Place::new();
    let data = place.shelf.allowed[0].clone();
    place.shelf.allowed.push(data.clone());
    let (_, message) = place.refused(&place.path("secret.csv"));
    assert_eq!(
        message.matches(&data.display().to_string()).count(),
        1,
        "{message}"
    );
}

#[test]
fn what_is_not_there_is_told_with_the_folder() {
    let place = Place::new();
    for name in [
        "data/none.csv",
        "data/*.json",
        "data/none/x.csv",
        "data/none/*.csv",
    ] {
        let (kind, message) = place.refused(&place.path(name));
        assert_eq!(kind, ErrorKind::NotFound, "{message}");
        assert!(message.contains(&place.path("data")), "{message}");
    }
}

#[test]
fn t03_nothing_outside_of_the_allowed_folders_is_read_or_told_of() {
    let place = Place::new();
    symlink(place.path("secret.csv"), place.path("data/link.csv")).expect("links");
    symlink(place.folder.path(), place.path("data/up")).expect("links");
    for name in [
        "secret.csv",
        "nothing.csv",
        "*.csv",
        "data/../secret.csv",
        "data/link.csv",
        "data/l*.csv",
        "data/up/secret.csv",
        "data/u*/secret.csv",
        "data/up/nothing",
    ] {
        let (kind, message) = place.refused(&place.path(name));
        assert_eq!(kind, ErrorKind::Denied, "{name}: {message}");
        assert!(message.contains("--source-folders"), "{message}");
    }
    // A link to what is allowed is one more name for it, and the allowed folder may be reached by a link.
    symlink(place.path("data/a.csv"), place.path("data/alias.csv")).expect("links");
    assert_eq!(place.names(&place.path("data/alias.csv")), ["alias.csv"]);
}

#[test]
fn t03_other_schemes_and_odd_paths_are_refused_without_their_secrets() {
    let place = Place::new();
    for uri in [
        "http://169.254.169.254/latest",
        "https://user:hunter2@example.org/x.csv",
        "ftp://[::1]/x.csv",
        "file:///etc/passwd",
        "s3://bucket/key",
        "S3://bucket/key",
        "",
        "a\0b",
        &place.path("data/**/*.csv"),
        &place.path("data/*/../../secret.csv"),
        &place.path("data"),
        "/dev/null",
    ] {
        let (kind, message) = place.refused(uri);
        let is_refused = kind == ErrorKind::Invalid || uri == "/dev/null" && kind == ErrorKind::Denied;
        assert!(is_refused, "{uri}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let pipe = place.path("data/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("makes a pipe");
    assert_eq!(place.refused(&pipe).0, ErrorKind::Invalid);
}

#[test]
fn a_digest_is_remembered_until_the_file_changes() {
    let place = Place::new();
    let path = place.path("data/a.csv");
    let before = place.find(&path).expect("finds");
    assert_eq!(place.shelf.lock().len(), 1);
    assert_eq!(place.find(&path).expect("finds"), before);
    // As long as before, so only the file system's stamps tell.
    fs::rename(place.path("data/b.csv"), &path).expect("renames");
    let after = place.find(&path).expect("finds");
    assert_eq!(after[0].sha256, Sha256Digest::of(b"2"));

    let young = place
        .shelf
        .look(Path::new(&place.path("data/c.parquet")), Timestamp(0));
    young.map_err(|f| f.explain("look")).expect("finds");
    assert_eq!(
        place.shelf.lock().len(),
        1,
        "what was just written is read anew each time"
    );
}
