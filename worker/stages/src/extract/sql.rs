//! The query over the sources: one SELECT, which sees the named sources and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pipeline::stage::StageError;
use polars::prelude::*;
use polars::sql::SQLContext;
use sqlparser::ast::{ObjectName, Query, SetExpr, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};

use super::query::nature;
use super::read::{Table, did_you_mean, first_line};
use crate::flow::permanent;

/// The longest query: 64 KiB.
const MAX_SQL_BYTES: usize = 64 << 10;

/// Checks that `sql` is one SELECT over these tables and nothing else: Polars would also open files by functions such
/// as `read_csv`, which the allow-list of sources must not be passed by. Columns are checked when the data is there.
pub fn check_sql(sql: &str, tables: &[&str]) -> Result<(), String> {
    let query = parsed(sql)?;
    let mut names = Names::default();
    let _: ControlFlow<()> = query.visit(&mut names);
    let mut check = Check { tables, own: names.0 };
    match query.visit(&mut check) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(why) => Err(why),
    }
}

/// The only statement of a text.
pub(super) fn parsed(sql: &str) -> Result<Box<Query>, String> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(format!("the query is longer than {} KiB", MAX_SQL_BYTES >> 10));
    }
    // Polars parses with this dialect and these options: what is checked is what will run.
    let mut statements = Parser::new(&GenericDialect)
        .with_options(ParserOptions {
            trailing_commas: true,
            ..ParserOptions::default()
        })
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|e| readable(&e.to_string()))?;
    match (statements.pop(), statements.pop()) {
        (Some(Statement::Query(query)), None) => Ok(query),
        _ => Err("there must be one statement, and it must be a SELECT".into()),
    }
}

/// The names that the query gives to tables of its own, by WITH.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(with.map(|cte| cte.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

struct Check<'a> {
    tables: &'a [&'a str],
    own: BTreeSet<String>,
}

impl Visitor for Check<'_> {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break("only SELECT is allowed".into()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if !is_select(&query.body) {
            return ControlFlow::Break("only SELECT is allowed".into());
        }
        let cuts = query.limit_clause.is_some() || query.fetch.is_some();
        match cuts && query.order_by.is_none() {
            true => ControlFlow::Break(
                "LIMIT and OFFSET need an ORDER BY beside them: without one, other rows may be left each time".into(),
            ),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            TableFactor::Table { name, .. } => ControlFlow::Break(format!(
                "{name}(…) cannot be used as a table: only sources can, and files are named in `sources`"
            )),
            _ => ControlFlow::Break("only sources and subqueries can stand behind FROM and JOIN".into()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let [part] = relation.0.as_slice() else {
            return ControlFlow::Break(format!("{relation}: a table's name is one word"));
        };
        let Some(name) = part.as_ident().map(|ident| ident.value.as_str()) else {
            return ControlFlow::Break(format!("{relation} cannot be used as a table"));
        };
        if self.tables.contains(&name) || self.own.contains(name) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(format!(
            "there is no source {name:?}{}",
            did_you_mean(name, self.tables)
        ))
    }
}

fn is_select(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => true,
        SetExpr::SetOperation { left, right, .. } => is_select(left) && is_select(right),
        SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => false,
    }
}

/// A parser's message without the parser's name.
fn readable(message: &str) -> String {
    message.trim_start_matches("sql parser error: ").trim().to_owned()
}

/// The rows of the query, or of the only source if there is none.
pub(crate) fn run(sql: Option<&str>, tables: BTreeMap<String, Table>) -> Result<DataFrame, StageError> {
    let Some(sql) = sql else {
        let names: Vec<&str> = tables.keys().map(String::as_str).collect();
        let said = format!(
            "there are {} sources ({}): say in `sql` how they are joined",
            names.len(),
            names.join(", ")
        );
        let mut tables = tables.into_values();
        return match (tables.next(), tables.next()) {
            (Some(only), None) => collect(only.frame, &[], Engine::Streaming),
            _ => Err(permanent(said)),
        };
    };
    let names: Vec<&str> = tables.keys().map(String::as_str).collect();
    check_sql(sql, &names).map_err(|e| permanent(format!("sql: {e}")))?;
    let mut columns: Vec<String> = tables.values().flat_map(|t| t.columns.iter().cloned()).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut context = SQLContext::new();
    for (name, table) in tables {
        context.register(&name, table.frame);
    }
    let frame = caught(|| context.execute(sql), &columns)?;
    collect(frame, &columns, engine(sql)?)
}

/// Who works on a query. The streaming engine adds up in whatever order its pieces come, so that the last digits of a
/// sum or a mean are others each time; the other one needs more memory.
pub(crate) fn engine(sql: &str) -> Result<Engine, StageError> {
    let nature = nature(sql).map_err(|e| permanent(format!("sql: {e}")))?;
    Ok(match nature.adds_up {
        true => Engine::InMemory,
        false => Engine::Streaming,
    })
}

/// The rows of a query that names `columns`.
pub(crate) fn collect(frame: LazyFrame, columns: &[String], engine: Engine) -> Result<DataFrame, StageError> {
    caught(
        || {
            let result = frame.collect_with_engine(engine)?;
            Ok(result.unwrap_single())
        },
        columns,
    )
}

/// Polars' errors as ours. What it does not support may also end in a panic, which must not look like a crash that is
/// worth another attempt.
pub(crate) fn caught<T>(work: impl FnOnce() -> PolarsResult<T>, columns: &[String]) -> Result<T, StageError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(&error, columns)),
        Err(_) => Err(permanent(
            "sql: the query uses something that is not supported: write it in another way",
        )),
    }
}

fn failed(error: &PolarsError, columns: &[String]) -> StageError {
    let text = first_line(error);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    match error {
        PolarsError::ColumnNotFound(_) => {
            let wrong = quoted(&text).unwrap_or(&text);
            permanent(format!(
                "sql: there is no column {wrong:?}{}",
                did_you_mean(wrong, &names)
            ))
        }
        PolarsError::Context { error, .. } => failed(error, columns),
        PolarsError::SQLInterface(_) | PolarsError::SQLSyntax(_) => permanent(format!("sql: {text}")),
        PolarsError::IO { .. } => crate::flow::transient(format!("cannot read the sources: {text}")),
        _ => permanent(format!("the sources cannot be read as the query asks: {text}")),
    }
}

/// The first text between quotes.
fn quoted(text: &str) -> Option<&str> {
    let begin = text.find(['"', '\'', '`'])?;
    let quote = text[begin..].chars().next()?;
    let rest = &text[begin + 1..];
    rest.find(quote).map(|end| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_over_the_sources_is_good() {
        for sql in [
            "SELECT * FROM flights",
            "SELECT a, CASE WHEN b > 1 THEN 1 ELSE 0 END AS c, CAST(d AS DATE) FROM flights f LEFT JOIN planes p ON f.x = p.x WHERE a IN (SELECT a FROM planes)",
            "WITH late AS (SELECT * FROM flights) SELECT * FROM late, (SELECT 1 AS one) AS t",
            "SELECT a FROM flights UNION ALL SELECT a FROM planes",
            "SELECT count(*) FROM flights GROUP BY a HAVING count(*) > 1 ORDER BY a LIMIT 3",
            "SELECT a, b, FROM flights",
        ] {
            assert_eq!(check_sql(sql, &["flights", "planes"]), Ok(()), "{sql}");
        }
    }

    #[test]
    fn t03_files_cannot_be_opened_by_the_query() {
        for sql in [
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM READ_CSV('/etc/passwd') AS t",
            "SELECT * FROM flights JOIN read_parquet('x') USING (a)",
            "SELECT * FROM flights WHERE a IN (SELECT a FROM read_json('x'))",
            "WITH t AS (SELECT * FROM read_csv('x')) SELECT * FROM t",
            "SELECT (SELECT max(a) FROM read_csv('x')) FROM flights",
            "SELECT * FROM flights UNION SELECT * FROM read_csv('x')",
            "SELECT * FROM TABLE(read_csv('x'))",
            "SELECT * FROM LATERAL read_csv('x')",
            "SELECT * FROM (flights JOIN read_csv('x') ON true)",
            "SELECT CASE WHEN EXISTS (SELECT * FROM read_csv('x')) THEN 1 END FROM flights",
        ] {
            let refused = check_sql(sql, &["flights"]);
            assert!(refused.is_err(), "{sql}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (sql, words) in [
            ("SELECT * FORM flights", "Expected"),
            ("", "one statement"),
            ("SELECT 1; SELECT 2", "one statement"),
            ("DROP TABLE flights", "must be a SELECT"),
            ("CREATE TABLE t AS SELECT * FROM flights", "must be a SELECT"),
            ("SELECT * FROM fligths", "did you mean \"flights\""),
            ("SELECT * FROM other.flights", "one word"),
            ("SELECT * FROM '/etc/passwd'", "there is no source"),
            ("SELECT * FROM (TABLE flights)", ""),
        ] {
            let refused = check_sql(sql, &["flights"]).expect_err(sql);
            assert!(refused.contains(words), "{sql}: {refused}");
        }
    }

    #[test]
    fn t05_deep_and_long_queries_are_refused_and_not_followed() {
        let deep = format!("SELECT {}1{} FROM t", "(".repeat(20_000), ")".repeat(20_000));
        assert!(check_sql(&deep, &["t"]).is_err());
        let long = format!("SELECT {} FROM t", "a, ".repeat(40_000));
        assert!(check_sql(&long, &["t"]).expect_err("long").contains("64 KiB"));
    }

    fn table(frame: DataFrame) -> Table {
        Table {
            columns: frame.get_column_names().iter().map(|n| n.to_string()).collect(),
            frame: frame.lazy(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn joins_and_names_columns_that_are_not_there() {
        let tables = || {
            let flights = df!("id" => [1i64, 2, 3], "plane" => ["a", "b", "c"]).expect("a frame");
            let planes = df!("plane" => ["a", "b"], "seats" => [100i64, 200]).expect("a frame");
            BTreeMap::from([
                ("flights".to_owned(), table(flights)),
                ("planes".to_owned(), table(planes)),
            ])
        };
        let joined = run(
            Some(
                "SELECT f.id, p.seats FROM flights f LEFT JOIN planes p ON f.plane = p.plane WHERE f.id > 1",
            ),
            tables(),
        )
        .expect("joins");
        assert_eq!(joined.shape(), (2, 2));
        let Err(StageError::Permanent(refused)) = run(Some("SELECT seets FROM planes"), tables()) else {
            panic!("refused")
        };
        assert!(
            refused.contains("no column \"seets\"; did you mean \"seats\"?"),
            "{refused}"
        );
        let Err(StageError::Permanent(refused)) = run(None, tables()) else {
            panic!("refused")
        };
        assert!(
            refused.contains("there are 2 sources (flights, planes)"),
            "{refused}"
        );
        let Err(StageError::Permanent(refused)) =
            run(Some("SELECT no_such_function(id) FROM flights"), tables())
        else {
            panic!("refused")
        };
        assert!(refused.starts_with("sql: "), "{refused}");
    }
}
