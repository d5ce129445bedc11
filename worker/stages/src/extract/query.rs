//! What a query does to the order of rows, and to sums: told from its text, before anything is read.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, GroupByExpr, ObjectName, Query, Select, SetExpr, TableFactor, Visit, Visitor};

use super::sql::parsed;

/// Functions whose result has other last digits when they see the rows in another order, or that pick a row by it.
const BY_ORDER: &[&str] = &[
    "avg",
    "mean",
    "sum",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "stdev",
    "stdev_samp",
    "stdev_pop",
    "var",
    "var_samp",
    "var_pop",
    "variance",
    "corr",
    "covar",
    "covar_samp",
    "covar_pop",
    "first",
    "last",
    "array_agg",
    "string_agg",
];

/// What a query is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nature {
    /// True if a result depends on the order in which the rows are worked on.
    pub(crate) adds_up: bool,
    /// True if its rows come in the order of its only source, or in one that it names.
    pub(crate) has_order: bool,
}

/// What `sql`, which was checked, is like.
pub(crate) fn nature(sql: &str) -> Result<Nature, String> {
    let query = parsed(sql)?;
    let mut look = Look::default();
    let _: ControlFlow<()> = query.visit(&mut look);
    // Each table that the query names for itself is one more name for its only source.
    let has_one_source = look.names <= look.own + 1 && !look.mixes;
    Ok(Nature {
        adds_up: look.adds_up,
        has_order: query.order_by.is_some() || has_one_source,
    })
}

#[derive(Default)]
struct Look {
    /// How often a table is named.
    names: usize,
    /// How many tables the query names for itself, by WITH.
    own: usize,
    /// True if rows are joined, grouped or stacked.
    mixes: bool,
    adds_up: bool,
}

impl Visitor for Look {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.own += query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        self.mixes |= matches!(*query.body, SetExpr::SetOperation { .. });
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let groups = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(by, _) => !by.is_empty(),
        };
        let joins = select.from.len() > 1 || select.from.iter().any(|table| !table.joins.is_empty());
        self.mixes |= groups || joins || select.distinct.is_some();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.mixes |= matches!(factor, TableFactor::NestedJoin { .. });
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, _: &ObjectName) -> ControlFlow<()> {
        self.names += 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_ascii_lowercase();
            self.adds_up |= BY_ORDER.contains(&name.as_str());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_one_source_stays_and_others_do_not() {
        for (sql, adds_up, has_order) in [
            ("SELECT * FROM a WHERE x > 1", false, true),
            ("WITH t AS (SELECT * FROM a) SELECT * FROM t", false, true),
            ("SELECT * FROM (SELECT x FROM a) AS t", false, true),
            ("SELECT * FROM a JOIN b ON a.x = b.x", false, false),
            ("SELECT * FROM a JOIN b ON a.x = b.x ORDER BY a.x", false, true),
            (
                "SELECT * FROM (SELECT * FROM a ORDER BY x) AS t JOIN b ON t.x = b.x",
                false,
                false,
            ),
            ("SELECT * FROM a, b", false, false),
            ("SELECT * FROM (a JOIN b ON a.x = b.x)", false, false),
            (
                "WITH t AS (SELECT * FROM a) SELECT * FROM t AS p JOIN t AS q ON p.x = q.x",
                false,
                false,
            ),
            ("SELECT * FROM a WHERE x IN (SELECT x FROM b)", false, false),
            ("SELECT * FROM a UNION ALL SELECT * FROM a", false, false),
            ("SELECT DISTINCT x FROM a", false, false),
            ("SELECT x, count(*) FROM a GROUP BY x", false, false),
            ("SELECT x, Avg(y) AS m FROM a GROUP BY x ORDER BY x", true, true),
            ("SELECT x - (SELECT sum(x) FROM a) FROM a", true, false),
        ] {
            assert_eq!(nature(sql), Ok(Nature { adds_up, has_order }), "{sql}");
        }
    }
}
