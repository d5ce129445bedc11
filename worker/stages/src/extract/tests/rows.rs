//! Which rows come out of a file.

use super::*;

const TIME: &str = "\n[steps.params.split]\nby = \"time\"\ncolumn = \"id\"\nvalidation = 0.2\ntest = 0.2";

/// One file, whose rows are split by their id.
fn one(name: &str, text: &str) -> Case {
    Case::new(
        &[("data", &format!("\"data/{name}\""))],
        &format!("label = \"late\"{TIME}"),
    )
    .file("data", name, text.as_bytes())
}

fn total(case: &Case) -> usize {
    let rows = case.dataset().rows;
    rows.train + rows.validation + rows.test
}

/// All rows in their order.
fn all(case: &Case) -> DataFrame {
    let mut all = case.part(Split::Train);
    for split in [Split::Validation, Split::Test] {
        all.vstack_mut(&case.part(split)).expect("equal columns");
    }
    all
}

#[test]
fn null_is_missing_in_ndjson_wherever_it_stands() {
    let values = ["null", "\"a\"", "null", "\"b\"", "\"a\"", "null"];
    let numbers = ["1", "null", "2.5", "null", "3", "4"];
    let dates = ["\"2013-01-01\"", "null", "null", "\"2013-01-02\"", "null", "null"];
    let lines: String = (0..24)
        .map(|i| {
            format!(
                "{{\"id\":{i},\"t\":{},\"n\":{},\"d\":{},\"late\":{}}}\n",
                values[i % 6],
                numbers[i % 6],
                dates[i % 6],
                i % 2
            )
        })
        .collect();
    let case = one("a.ndjson", &lines);
    case.advances();
    let frame = all(&case);
    for (column, missing) in [("t", 12), ("n", 8), ("d", 16)] {
        assert_eq!(
            frame.column(column).expect("read").null_count(),
            missing,
            "{column}"
        );
    }
}

#[test]
fn a_key_of_plain_and_nested_values_is_told_with_its_line() {
    for (before, now, words) in [
        (
            "1.5",
            "[1]",
            "\"b\" holds lists or objects here and numbers before",
        ),
        (
            "{\"c\":1}",
            "\"x\"",
            "\"b\" holds texts here and lists or objects before",
        ),
    ] {
        let line = |b: &str| format!("{{\"a\":1,\"b\":{b},\"late\":0}}\n");
        let refused = one("a.ndjson", &(line(before) + &line("null") + &line(now))).refused();
        assert!(
            refused.contains("data/a.ndjson, line 3: ") && refused.contains(words),
            "{refused}"
        );
    }
}

#[test]
fn a_key_that_is_nested_throughout_is_left_out_with_a_note() {
    let lines: String = (0..24)
        .map(|i| {
            format!(
                "{{\"id\":{i},\"tags\":{},\"late\":{}}}\n",
                if i % 3 == 0 { "null" } else { "[1]" },
                i % 2
            )
        })
        .collect();
    let case = one("a.ndjson", &lines);
    case.advances();
    assert!(case.dataset().column("tags").is_none());
    let notes: serde_json::Value =
        serde_json::from_slice(&case.bench.output("left-out.json")).expect("reads");
    assert_eq!(notes, serde_json::json!([{ "source": "data", "column": "tags" }]));
}

fn text(line_break: &str, blank_after: &[usize]) -> String {
    let mut text = format!("id,t,late{line_break}");
    for i in 0..40 {
        text += &format!("{i},t{},{}{line_break}", i % 3, i % 2);
        if blank_after.contains(&i) {
            text += line_break;
        }
    }
    text
}

#[test]
fn blank_lines_are_no_rows() {
    let without = one("a.csv", &text("\n", &[]));
    without.advances();
    for line_break in ["\n", "\r\n"] {
        for blank in [&[3, 17][..], &[39], &[0, 20, 39]] {
            let mut with = text(line_break, blank);
            if blank.len() == 1 {
                with += &line_break.repeat(3);
            }
            let case = one("a.csv", &with);
            case.advances();
            assert_eq!(total(&case), 40, "{line_break:?} {blank:?}");
            assert!(
                all(&case).equals_missing(&all(&without)),
                "{line_break:?} {blank:?}"
            );
        }
    }
    let lines: String = (0..40)
        .map(|i| {
            format!(
                "{{\"id\":{i},\"late\":{}}}\n{}",
                i % 2,
                ["", "\n", " \r\n"][i % 3]
            )
        })
        .collect();
    let case = one("a.ndjson", &lines);
    case.advances();
    assert_eq!(total(&case), 40);
}

#[test]
fn a_quoted_line_break_is_no_blank_line() {
    let rows: String = (0..20).map(|i| format!("{i},\"a\n\nb\",{}\n", i % 2)).collect();
    let case = one("a.csv", &format!("id,t,late\n{rows}\n"));
    case.advances();
    assert_eq!(total(&case), 20);
    let first = all(&case);
    assert_eq!(
        first.column("t").expect("read").str().expect("texts").get(0),
        Some("a\n\nb")
    );
}

#[test]
fn an_empty_line_of_a_single_column_is_a_missing_value() {
    for (line_break, end) in [("\n", "\n"), ("\r\n", ""), ("\r\n", "\r\n")] {
        let values = ["1", "", "3", "", "5"].map(str::to_owned);
        let column = format!("x{line_break}{}{end}", values.join(line_break));
        let case = Case::new(
            &[("d", "\"data/d.csv\""), ("data", "\"data/a.csv\"")],
            "label = \"late\"\nsql = \"SELECT data.id, data.late, d.x FROM data CROSS JOIN d\"",
        )
        .file("data", "a.csv", text("\n", &[]).as_bytes())
        .file("d", "d.csv", column.as_bytes());
        case.advances();
        let missing = all(&case).column("x").expect("joined").null_count();
        assert_eq!(
            (total(&case), missing),
            (40 * 5, 40 * 2),
            "{line_break:?} {end:?}"
        );
    }
}

#[test]
fn an_empty_text_is_missing_quoted_or_not() {
    let rows: String = (0..30)
        .map(|i| {
            format!(
                "{i},{},{},\"{}\"\n",
                ["\"\"", "", "\"x\"", "NA", "\"NA\"", "y"][i % 6],
                ["\"\"", "1.5"][i % 2],
                i % 2
            )
        })
        .collect();
    let case = Case::new(&[("data", NULLS)], &format!("label = \"late\"{TIME}")).file(
        "data",
        "a.csv",
        format!("id,t,n,late\n{rows}").as_bytes(),
    );
    case.advances();
    let frame = all(&case);
    let missing = |name: &str| frame.column(name).expect("read").null_count();
    assert_eq!((missing("t"), missing("n")), (20, 15));
}
