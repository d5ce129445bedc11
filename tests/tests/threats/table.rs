//! The table of SECURITY.md, held to the code: each threat has a test, and each test that is named is there.

use std::collections::{BTreeMap, BTreeSet};

use e2e::repository::files;

const THREATS: u32 = 14;

/// `t07` of `t07_patterns_of_users`.
fn number(name: &str) -> Option<u32> {
    let (number, rest) = name.strip_prefix('t')?.split_at_checked(2)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (rest.starts_with('_') && rest.chars().all(is_name)).then(|| number.parse().ok())?
}

#[test]
fn every_threat_has_its_tests_and_the_page_names_them() {
    let files = files();
    let mut tests: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in &files {
        let text = text.as_deref().unwrap_or_default();
        if !path.ends_with(".rs") {
            continue;
        }
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split(['(', '<']).next())
            {
                if is_test && number(name).is_some() {
                    tests.insert(name.to_owned(), path.clone());
                }
                is_test = false;
            }
            is_test |= line.contains("#[test]");
        }
    }
    for threat in 1..=THREATS {
        let of = tests.keys().filter(|name| number(name) == Some(threat)).count();
        println!("{threat:2}: {of} tests");
        assert!(of > 0, "no test is numbered t{threat:02}_");
    }

    let page = files.iter().find(|(path, _)| path == "SECURITY.md");
    let page = page
        .and_then(|(_, text)| text.as_deref())
        .expect("there is a page");
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| number(text).is_some())
        .collect();
    for name in &named {
        assert!(
            tests.contains_key(*name),
            "SECURITY.md names {name}, which is not there"
        );
    }
    for (name, path) in &tests {
        assert!(
            named.contains(name.as_str()),
            "SECURITY.md does not name {name} of {path}"
        );
    }
    let rows = page.lines().filter(|line| {
        let first = line.trim_start_matches('|').split('|').next().unwrap_or_default();
        line.starts_with('|') && first.trim().parse::<u32>().is_ok()
    });
    assert_eq!(rows.count(), THREATS as usize, "one row for each threat");
}
