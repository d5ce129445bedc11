//! Which rows come out of a query, and into which part they come.

use std::collections::BTreeSet;

use super::*;

/// Which ids are in which part.
fn parts(case: &Case) -> [BTreeSet<i64>; 3] {
    Split::ALL.map(|split| {
        let part = case.part(split);
        let ids = part.column("id").expect("there").i64().expect("whole").clone();
        ids.iter().flatten().collect()
    })
}

#[test]
fn a_row_keeps_its_part_when_others_come_at_random() {
    let text = |rows: Vec<i32>| {
        let rows: String = rows
            .iter()
            .map(|i| format!("{i},{},{}\n", i % 7, i % 2))
            .collect();
        format!("id,x,late\n{rows}")
    };
    let split = |rows: Vec<i32>| {
        let case = Case::new(&[("data", "\"data/a.csv\"")], "label = \"late\"").file(
            "data",
            "a.csv",
            text(rows).as_bytes(),
        );
        case.advances();
        parts(&case)
    };
    let before = split((0..1_000).collect());
    let [_, validation, test] = &before;
    assert_eq!((validation.len(), test.len()), (150, 150));
    assert_eq!(before, split((0..1_000).rev().collect()), "in another order");
    let after = split((0..1_010).collect());
    let crossed: usize = (0..3).map(|i| before[i].difference(&after[i]).count()).sum();
    assert!(crossed <= 20, "{crossed}");
}

/// As many rows as make a query run in several pieces.
fn many() -> String {
    let rows: String = (0..60_000_u64)
        .map(|i| {
            let word = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            format!("{i},{},0.{word:08},{}\n", word % 40, i % 2)
        })
        .collect();
    format!("id,k,x,late\n{rows}")
}

#[test]
fn a_query_that_adds_up_gives_equal_bytes_each_time() {
    let sql = "SELECT b.id, b.x, a.m, a.s, b.late FROM data AS b JOIN (SELECT k, AVG(x) AS m, SUM(x) AS s FROM data GROUP BY k) AS a ON a.k = b.k";
    let run = || {
        let case = Case::new(
            &[("data", "\"data/a.csv\"")],
            &format!("label = \"late\"\nexclude = [\"id\"]\nsql = \"{sql}\""),
        )
        .file("data", "a.csv", many().as_bytes());
        case.advances();
        Split::ALL.map(|split| case.bench.output(split.rows()))
    };
    let first = run();
    for _ in 0..4 {
        assert!(run() == first, "other bytes");
    }
}

#[test]
fn rows_cannot_be_cut_off_without_an_order() {
    for sql in [
        "SELECT * FROM data LIMIT 10",
        "SELECT * FROM data OFFSET 10",
        "SELECT * FROM (SELECT * FROM data LIMIT 10) AS t ORDER BY id",
        "WITH t AS (SELECT * FROM data FETCH FIRST 10 ROWS ONLY) SELECT * FROM t",
    ] {
        let refused = Case::new(&[("data", NULLS)], &format!("label = \"late\"\nsql = \"{sql}\""))
            .file("data", "a.csv", csv().as_bytes())
            .refused();
        assert!(refused.contains("ORDER BY"), "{sql}: {refused}");
    }
}
