//! What holds of every file: its size, what it must not name, and that what the pages speak of is there.

use std::collections::BTreeSet;

use e2e::repository::files;

/// The most lines of a file of code.
const MAX_LINES: usize = 400;

#[test]
fn no_file_of_code_is_long() {
    let is_code = |path: &str| {
        [".rs", ".py", ".sh", ".sql"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    let long: Vec<(String, usize)> = files()
        .into_iter()
        .filter(|(path, _)| is_code(path))
        .filter_map(|(path, text)| Some((path, text?.lines().count())))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(
        long.is_empty(),
        "{long:?} have more lines than {MAX_LINES}: draw a wall where two things stand together"
    );
}

/// A backend is chosen by one file of each binary; everything else knows the ports.
#[test]
fn each_binary_names_a_backend_in_one_file() {
    for binary in ["worker", "producer"] {
        let source = format!("{binary}/src/");
        let naming: Vec<String> = files()
            .into_iter()
            .filter(|(path, text)| {
                path.starts_with(&source) && text.as_ref().is_some_and(|text| text.contains("backend_local"))
            })
            .map(|(path, _)| path)
            .collect();
        assert_eq!(naming, [format!("{source}backend.rs")]);
    }
}

/// Builds come from wherever the machine is told to get packages from; no file of ours decides that.
#[test]
fn no_file_names_a_host_of_packages() {
    // In two parts, so that this file passes itself.
    let hosts = [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("proxy.golang", "org"),
        ("deb.debian", "org"),
        ("conda", "anaconda.org"),
    ]
    .map(|(name, top)| format!("{name}.{top}"));
    for (path, text) in files() {
        // Written by cargo, which names its default source there.
        if path.ends_with("Cargo.lock") {
            continue;
        }
        let text = text.unwrap_or_default();
        for host in &hosts {
            assert!(!text.contains(host), "{path} names {host}");
        }
    }
}

/// Equal seeds make equal worlds only if nothing in them has a time, a chance or an order of its own.
#[test]
fn the_simulation_has_nothing_that_differs_from_time_to_time() {
    let differs = [
        "HashMap",
        "HashSet",
        "RandomState",
        "Instant",
        "SystemTime",
        "getrandom",
        "thread::spawn",
    ];
    let is_simulation = |path: &str| {
        path.starts_with("pipeline/sim/src/")
            && !["model/", "bin/"]
                .iter()
                .any(|part| path.starts_with(&format!("pipeline/sim/src/{part}")))
    };
    let mut looked = 0;
    for (path, text) in files().into_iter().filter(|(path, _)| is_simulation(path)) {
        let text = text.unwrap_or_default();
        for word in differs {
            assert!(!text.contains(word), "{path} uses {word}");
        }
        looked += 1;
    }
    assert!(
        looked > 15,
        "only {looked} files were looked at: this test would hold nothing"
    );
}

/// A choice that is not biased draws which branch it looks at first, by a chance of its own.
#[test]
fn every_choice_between_futures_is_biased() {
    let mut looked = 0;
    for (path, text) in files() {
        let is_ours = ["worker/src/", "pipeline/", "producer/src/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        if !is_ours || !path.ends_with(".rs") {
            continue;
        }
        let text = text.unwrap_or_default();
        for (at, _) in text.match_indices("select! {") {
            let first = text[at..].lines().nth(1).unwrap_or_default().trim();
            assert_eq!(first, "biased;", "{path}: a choice that is drawn");
            looked += 1;
        }
    }
    assert!(
        looked > 10,
        "only {looked} choices were looked at: this test would hold nothing"
    );
}

const PAGES: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

#[test]
fn pages_speak_of_paths_that_are_there() {
    let files = files();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (path, _) in &files {
        known.insert(path);
        known.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    // A page may leave out the beginning of a path where its sentence says it.
    let is_there = |path: &str| {
        let path = path.trim_end_matches('/');
        known.iter().any(|file| {
            file.strip_suffix(path)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })
    };
    let mut checked = 0;
    for page in PAGES {
        let text = files
            .iter()
            .find(|(path, _)| path == page)
            .and_then(|(_, text)| text.as_deref());
        for path in paths_in(text.unwrap_or_else(|| panic!("there is no {page}"))) {
            assert!(is_there(&path), "{page} speaks of {path}, which is not there");
            checked += 1;
        }
    }
    assert!(
        checked > 20,
        "only {checked} paths were found in the pages: this test would hold nothing"
    );
}

/// Code-formatted paths with a slash and without a gap to be filled in, and the targets of links within the repository.
fn paths_in(page: &str) -> Vec<String> {
    let is_path = |text: &str| {
        text.contains('/')
            && !text.starts_with(['/', '~', '.'])
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'))
    };
    let mut paths = Vec::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if is_block {
            continue;
        }
        let spans = line.split('`').skip(1).step_by(2).filter(|span| is_path(span));
        paths.extend(spans.map(str::to_owned));
        let links = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target);
        paths.extend(
            links
                .filter(|link| !link.contains(':') && !link.starts_with('#'))
                .map(|link| {
                    let path = link.split('#').next().unwrap_or(link);
                    path.to_owned()
                }),
        );
    }
    paths
}

#[test]
fn the_changelog_has_a_place_for_what_is_new() {
    let files = files();
    let text = files
        .iter()
        .find(|(path, _)| path == "CHANGELOG.md")
        .and_then(|(_, text)| text.as_deref());
    let first = text.and_then(|text| text.lines().find(|line| line.starts_with("## ")));
    assert_eq!(
        first,
        Some("## [Unreleased]"),
        "the first section of CHANGELOG.md"
    );
}
