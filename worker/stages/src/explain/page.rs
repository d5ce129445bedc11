//! The explanation as people see it.

use ml::dataset::Task;
use ml::explain::ColumnAttribution;
use ml::report::{Axis, Bar, Cell, Figure, Page, Section, Series, Table, Tile, Tone, count, number};

use super::document::{Column, Curve, Document, Explanation};

/// The most columns of a figure; the table has all.
const MAX_COLUMNS: usize = 20;

/// The most rows whose points are drawn: a page stays below a megabyte.
const MAX_SWARM_ROWS: usize = 200;

/// The most classes that have a line of their own.
const MAX_LINES: usize = 6;

/// The file.
pub(super) fn render(explanation: &Explanation) -> String {
    let document = &explanation.document;
    let mut page = Page::new("Explanation")
        .subtitle(format!(
            "Why {} predicts {} as it does, on rows of test",
            document.candidate, explanation.label
        ))
        .tile(Tile::new("rows explained", count(document.rows)))
        .tile(
            Tile::new("largest additivity error", number(document.additivity.max_error))
                .note(format!(
                    "of margins that range over {}, on all {} rows",
                    number(document.additivity.range),
                    count(document.additivity.checked)
                ))
                .tone(Tone::Good),
        );
    if let Some(base) = &document.permutation {
        page = page.tile(Tile::new(base.metric.clone(), number(base.value)).note(format!(
            "on the {} rows that columns were permuted in",
            count(base.rows)
        )));
    }
    page = page.section(match &document.rows_left_out {
        Some(why) => attributions(explanation).note(Tone::Warning, why.as_str()),
        None => attributions(explanation),
    });
    if let Some(section) = permutation(document) {
        page = page.section(section);
    }
    if let Some(why) = &document.permutation_left_out {
        page =
            page.section(Section::new("What the model cannot do without").note(Tone::Warning, why.as_str()));
    }
    if !document.partial_dependence.is_empty() {
        page = page.section(dependence(document, &explanation.label));
    }
    page.section(columns(document)).render()
}

fn margin(task: Task) -> &'static str {
    match task {
        Task::Binary | Task::Multiclass => "log-odds",
        Task::Regression => "the predicted number",
    }
}

fn attributions(explanation: &Explanation) -> Section {
    let document = &explanation.document;
    let unit = margin(document.task);
    let bars = document
        .columns
        .iter()
        .take(MAX_COLUMNS)
        .map(|column| Bar::new(column.column.clone(), column.mean_abs_shap));
    let section = Section::new("What moves the predictions")
        .text(format!(
            "Each prediction is a base and what every column adds to it (its Shapley value), in {unit}. The sum was \
             compared with the prediction for every row."
        ))
        .figure(
            Figure::bars("Mean size of what a column adds", Axis::new(format!("mean |SHAP|, {unit}")))
                .about("averaged over the explained rows")
                .all(bars),
        );
    match swarm(&explanation.attributions.columns, unit) {
        Some(figure) => section.figure(figure),
        None => section,
    }
}

/// One point for each row and column; its colour is the column's value, where that has an order.
fn swarm(columns: &[ColumnAttribution], unit: &str) -> Option<Figure> {
    let shown: Vec<&ColumnAttribution> = columns
        .iter()
        .filter(|column| !column.values.is_empty())
        .take(MAX_COLUMNS)
        .collect();
    if shown.is_empty() {
        return None;
    }
    let mut points = Vec::new();
    for (place, column) in shown.iter().rev().enumerate() {
        let rows = column.values.len().min(MAX_SWARM_ROWS);
        for row in 0..rows {
            // Low-discrepancy jitter by the golden ratio: points of one row of the figure do not hide each other.
            #[expect(clippy::cast_precision_loss, reason = "there are few rows and columns")]
            let y = place as f64 + ((row as f64 * 0.618_033_988_749_895).fract() - 0.5) * 0.6;
            let rank = column.ranks.get(row).copied().unwrap_or(f64::NAN);
            points.push((column.values[row], y, rank));
        }
    }
    let labels: Vec<String> = shown.iter().rev().map(|column| column.column.clone()).collect();
    Some(
        Figure::scatter(
            "What a column adds, row by row",
            Axis::new(format!("SHAP, {unit}")),
            Axis::new("").labels(labels),
        )
        .about("each point is a row; grey: missing, or without an order")
        .shaded("the column's value", points)
        .mark(0.0)
        .into(),
    )
}

fn permutation(document: &Document) -> Option<Section> {
    let base = document.permutation.as_ref()?;
    let mut columns: Vec<(&Column, f64, f64)> = document
        .columns
        .iter()
        .filter_map(|column| {
            let importance = column.permutation.as_ref()?;
            Some((column, importance.mean, importance.sd))
        })
        .collect();
    columns.sort_by(|a, b| b.1.total_cmp(&a.1));
    let bars = columns
        .into_iter()
        .take(MAX_COLUMNS)
        .map(|(column, mean, sd)| Bar::new(column.column.clone(), mean).interval(mean - sd, mean + sd));
    Some(
        Section::new("What the model cannot do without")
            .text(format!(
                "By how much {} gets worse when a column's values are shuffled among {} rows of test, {} times. A \
                 column that another one can stand in for has little of it.",
                base.metric,
                count(base.rows),
                base.repeats
            ))
            .figure(
                Figure::bars("Permutation importance", Axis::new(format!("loss of {}", base.metric)))
                    .about("the whisker is one standard deviation over the repeats")
                    .all(bars),
            ),
    )
}

fn dependence(document: &Document, label: &str) -> Section {
    let mut section = Section::new("How the prediction follows a column").text(
        "The mean prediction when every row is given one value of the column and keeps the others (partial \
         dependence). Values that the other columns make impossible count as well.",
    );
    for curve in &document.partial_dependence {
        section = section.figure(drawn(curve, document, label));
    }
    section
}

fn drawn(curve: &Curve, document: &Document, label: &str) -> Figure {
    let title = curve.column.clone();
    let what = match document.task {
        Task::Binary => format!(
            "mean probability of {}",
            document
                .outputs
                .first()
                .map_or("the positive class", String::as_str)
        ),
        Task::Multiclass => "mean probability".to_owned(),
        Task::Regression => format!("mean {label}"),
    };
    if !curve.is_numeric && document.outputs.len() <= 1 {
        let bars = curve.points.iter().map(|point| {
            Bar::new(
                point.value.clone(),
                point.means.first().copied().unwrap_or(f64::NAN),
            )
        });
        return Figure::bars(title, Axis::new(what))
            .about("the most frequent values first")
            .all(bars)
            .into();
    }
    let x = if curve.is_numeric {
        Axis::new(curve.column.clone())
    } else {
        Axis::new(curve.column.clone()).labels(curve.points.iter().map(|point| point.value.clone()))
    };
    let mut chart = Figure::line(title, x, Axis::new(what));
    for output in most_moved(curve) {
        #[expect(clippy::cast_precision_loss, reason = "there are few points")]
        let points = curve.points.iter().enumerate().filter_map(|(place, point)| {
            Some((point.number.unwrap_or(place as f64), *point.means.get(output)?))
        });
        let name = document.outputs.get(output).cloned().unwrap_or_default();
        chart = chart.series(Series::new(name, points).dots());
    }
    chart.into()
}

/// The outputs that the column moves most, in their own order.
fn most_moved(curve: &Curve) -> Vec<usize> {
    let outputs = curve.points.first().map_or(0, |point| point.means.len());
    let span = |output: usize| {
        let values = curve.points.iter().filter_map(|point| point.means.get(output));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        high - low
    };
    let mut order: Vec<usize> = (0..outputs).collect();
    order.sort_by(|a, b| span(*b).total_cmp(&span(*a)).then(a.cmp(b)));
    order.truncate(MAX_LINES);
    order.sort_unstable();
    order
}

fn columns(document: &Document) -> Section {
    let mut table = Table::new(["Column", "mean |SHAP|", "Direction", "Permutation", "± sd"]);
    for column in &document.columns {
        table = table.row([
            Cell::from(column.column.as_str()),
            Cell::number(column.mean_abs_shap),
            Cell::optional(column.direction),
            Cell::optional(column.permutation.as_ref().map(|p| p.mean)),
            Cell::optional(column.permutation.as_ref().map(|p| p.sd)),
        ]);
    }
    Section::new("All columns")
        .text(
            "Direction is the rank correlation of a number with what it adds: near 1 where more of it means a higher \
             prediction, near -1 where it means a lower one.",
        )
        .table(table)
}
