//! How columns become features.

use super::super::{CategoryEncoding, ColumnFeatures, FeatureKind, Transform};
use super::Findings;

/// The most categories of one column.
const MAX_CATEGORIES: u32 = 65_536;

pub(super) fn transform(params: &Transform, found: &mut Findings<'_>) {
    let Transform {
        only,
        impute: _,
        indicators: _,
        scale: _,
        encode: _,
        min_rows,
        max_categories,
        calendar,
        columns,
    } = params;
    if let Some(only) = only {
        found.expect(
            !only.is_empty(),
            "only",
            "is empty, so there would be no features; name some columns or leave it out",
        );
        found.columns(only, "only");
    }
    found.whole(*min_rows, 1..=u32::MAX, "min_rows");
    found.whole(*max_categories, 2..=MAX_CATEGORIES, "max_categories");
    twice(calendar, "calendar", found);
    for (name, one) in columns {
        let path = format!("columns.{name}");
        found.column(name, &path);
        column(one, params, &path, found);
        if only.as_ref().is_some_and(|only| !only.contains(name)) {
            found.say(
                &path,
                format!("column {name:?} is no feature, as `only` does not name it"),
            );
        }
    }
}

fn column(column: &ColumnFeatures, all: &Transform, at: &str, found: &mut Findings<'_>) {
    let ColumnFeatures {
        kind,
        impute,
        scale,
        encode,
        order,
        min_rows,
        max_categories,
        calendar,
    } = column;
    let path = |key: &str| format!("{at}.{key}");
    if let Some(rows) = min_rows {
        found.whole(*rows, 1..=u32::MAX, &path("min_rows"));
    }
    if let Some(most) = max_categories {
        found.whole(*most, 2..=MAX_CATEGORIES, &path("max_categories"));
    }
    if let Some(parts) = calendar {
        twice(parts, &path("calendar"), found);
    }
    if let Some(order) = order {
        found.expect(
            encode.unwrap_or(all.encode) == CategoryEncoding::Ordinal,
            &path("order"),
            "only encode = \"ordinal\" has an order",
        );
        found.expect(!order.is_empty(), &path("order"), "is empty: name the categories");
        twice(order, &path("order"), found);
    }
    // What another kind of column would need says that one of the two is a mistake.
    let of_kinds = [
        ("impute", impute.is_some(), FeatureKind::Numeric),
        ("scale", scale.is_some(), FeatureKind::Numeric),
        ("encode", encode.is_some(), FeatureKind::Categorical),
        ("order", order.is_some(), FeatureKind::Categorical),
        ("min_rows", min_rows.is_some(), FeatureKind::Categorical),
        (
            "max_categories",
            max_categories.is_some(),
            FeatureKind::Categorical,
        ),
        ("calendar", calendar.is_some(), FeatureKind::Calendar),
    ];
    let given: Vec<(&str, FeatureKind)> = of_kinds
        .into_iter()
        .filter(|(_, is_given, _)| *is_given)
        .map(|(key, _, kind)| (key, kind))
        .collect();
    let is_of = |kind: FeatureKind, wanted: FeatureKind| match kind {
        // The parts of a date are numbers.
        FeatureKind::Calendar => wanted != FeatureKind::Categorical,
        kind => kind == wanted,
    };
    for (key, wanted) in given {
        let Some(kind) = kind.filter(|kind| !is_of(*kind, wanted)) else {
            continue;
        };
        found.say(path(key), format!("a {} column has none", word(kind)));
    }
}

fn word(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Numeric => "numeric",
        FeatureKind::Categorical => "categorical",
        FeatureKind::Calendar => "calendar",
    }
}

fn twice<T: PartialEq>(values: &[T], path: &str, found: &mut Findings<'_>) {
    for (at, value) in values.iter().enumerate() {
        if values[..at].contains(value) {
            found.say(format!("{path}[{at}]"), "is there twice; take one out");
        }
    }
}
