//! What [`Sources`](crate::ports::Sources) promises.

use super::World;
use crate::ports::ErrorKind;

async fn put(world: &World, name: &str, bytes: &[u8]) -> String {
    (world.put_source)(world, name, bytes).await
}

async fn refused(world: &World, uri: &str, kind: ErrorKind) {
    let error = world.backend.sources.find(uri).await.expect_err(uri);
    assert_eq!(error.kind(), kind, "{uri}: {error}");
}

/// And comes as it is. What it is named by stays the same for as long as it does, and no longer.
pub async fn a_file_is_found_with_its_digest(world: &World) {
    let uri = put(world, &format!("{}.csv", world.unique("one")), b"a,b\n1,2\n").await;
    let found = world.backend.sources.find(&uri).await.expect("found");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].uri, uri);
    assert_eq!(found[0].size_bytes, 8);
    let folder = world.scratch.join(world.unique("fetched"));
    let path = world
        .backend
        .sources
        .fetch(&found[0], &folder)
        .await
        .expect("fetched");
    assert_eq!(std::fs::read(path).expect("readable"), b"a,b\n1,2\n");
    let again = world.backend.sources.find(&uri).await.expect("found again");
    assert_eq!(again, found);
    let other = put(world, uri.rsplit('/').next().unwrap_or_default(), b"a,b\n1,3\n").await;
    let changed = world.backend.sources.find(&other).await.expect("found");
    assert_ne!(changed[0].sha256, found[0].sha256);
}

/// One or many, and however often.
pub async fn files_of_this_machine_are_offered(world: &World) {
    let folder = world.scratch.join(world.unique("offered"));
    std::fs::create_dir(&folder).expect("made");
    for part in ["a", "b"] {
        std::fs::write(folder.join(format!("{part}.csv")), part).expect("written");
    }
    std::fs::write(folder.join("c.json"), "{}").expect("written");
    let sources = &world.backend.sources;
    let read = async |uri: &str| {
        let mut texts = Vec::new();
        for object in sources.find(uri).await.expect("found") {
            let path = sources
                .fetch(&object, &world.scratch.join(world.unique("fetched")))
                .await;
            texts.push(std::fs::read_to_string(path.expect("fetched")).expect("readable"));
        }
        texts
    };
    let text = |path: std::path::PathBuf| path.to_str().expect("a text").to_owned();
    let one = text(folder.join("b.csv"));
    let offered = sources.offer(&one).await.expect("offered");
    assert_eq!(read(&offered).await, ["b"]);
    assert_eq!(sources.offer(&one).await.expect("offered again"), offered);
    let many = text(folder.join("*.csv"));
    let offered = sources.offer(&many).await.expect("offered");
    assert_eq!(read(&offered).await, ["a", "b"]);
    assert_eq!(sources.offer(&many).await.expect("offered again"), offered);
}

/// Whatever the order in which they were made.
pub async fn a_glob_names_files_in_the_order_of_their_names(world: &World) {
    let stem = world.unique("many");
    let mut uris = Vec::new();
    for part in ["c", "a", "b"] {
        uris.push(put(world, &format!("{stem}-{part}.csv"), part.as_bytes()).await);
    }
    put(world, &format!("{stem}-a.json"), b"{}").await;
    let glob = uris[0].replace(&format!("{stem}-c"), &format!("{stem}-*"));
    let found = world.backend.sources.find(&glob).await.expect("found");
    uris.sort_unstable();
    assert_eq!(found.into_iter().map(|o| o.uri).collect::<Vec<_>>(), uris);
}

/// One file or any number of them.
pub async fn a_source_that_is_missing_is_not_found(world: &World) {
    let uri = put(world, &format!("{}.csv", world.unique("there")), b"x").await;
    refused(world, &uri.replace("there", "not-there"), ErrorKind::NotFound).await;
    let glob = uri.replace(".csv", "-*.csv");
    refused(world, &glob, ErrorKind::NotFound).await;
}

/// Nothing is ever asked of the network in the name of a specification's author.
pub async fn web_addresses_are_refused(world: &World) {
    for uri in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "https://user:secret@example.org/x.csv",
        "ftp://example.org/x.csv",
        "file:///etc/passwd",
        "",
    ] {
        refused(world, uri, ErrorKind::Invalid).await;
    }
}

/// A result must not count as a result of bytes that nobody read.
pub async fn a_source_that_was_changed_is_not_fetched(world: &World) {
    let name = format!("{}.csv", world.unique("changing"));
    let uri = put(world, &name, b"before").await;
    let found = world.backend.sources.find(&uri).await.expect("found");
    put(world, &name, b"after!").await;
    let folder = world.scratch.join(world.unique("fetched"));
    let error = world
        .backend
        .sources
        .fetch(&found[0], &folder)
        .await
        .expect_err("changed");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}
