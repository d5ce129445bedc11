//! What the specification says, in the words of [`ml::features`].

use ml::features::{
    CalendarPart, ColumnSettings, Encoding, FeatureKind, FeatureSettings, Imputation, Scaling,
};
use pipeline::spec::stages;

pub(super) fn of(params: &stages::Transform) -> FeatureSettings {
    let columns = params.columns.iter();
    FeatureSettings {
        only: params.only.clone(),
        impute: imputation(params.impute),
        indicators: params.indicators,
        scale: scaling(params.scale),
        encode: encoding(params.encode),
        min_rows: params.min_rows,
        max_categories: params.max_categories,
        calendar: calendar(&params.calendar),
        columns: columns.map(|(name, own)| (name.clone(), column(own))).collect(),
    }
}

fn column(own: &stages::ColumnFeatures) -> ColumnSettings {
    ColumnSettings {
        kind: own.kind.map(|kind| match kind {
            stages::FeatureKind::Numeric => FeatureKind::Numeric,
            stages::FeatureKind::Categorical => FeatureKind::Categorical,
            stages::FeatureKind::Calendar => FeatureKind::Calendar,
        }),
        impute: own.impute.map(imputation),
        scale: own.scale.map(scaling),
        encode: own.encode.map(encoding),
        order: own.order.clone(),
        min_rows: own.min_rows,
        max_categories: own.max_categories,
        calendar: own.calendar.as_deref().map(calendar),
    }
}

fn imputation(impute: stages::Imputation) -> Imputation {
    match impute {
        stages::Imputation::Median => Imputation::Median,
        stages::Imputation::Mean => Imputation::Mean,
        stages::Imputation::Zero => Imputation::Zero,
    }
}

fn scaling(scale: stages::Scaling) -> Scaling {
    match scale {
        stages::Scaling::Standard => Scaling::Standard,
        stages::Scaling::Minmax => Scaling::Minmax,
        stages::Scaling::None => Scaling::None,
    }
}

fn encoding(encode: stages::CategoryEncoding) -> Encoding {
    match encode {
        stages::CategoryEncoding::Native => Encoding::Native,
        stages::CategoryEncoding::Onehot => Encoding::Onehot,
        stages::CategoryEncoding::Ordinal => Encoding::Ordinal,
        stages::CategoryEncoding::Target => Encoding::Target,
    }
}

fn calendar(parts: &[stages::CalendarPart]) -> Vec<CalendarPart> {
    let part = |part: &stages::CalendarPart| match part {
        stages::CalendarPart::Year => CalendarPart::Year,
        stages::CalendarPart::Month => CalendarPart::Month,
        stages::CalendarPart::Day => CalendarPart::Day,
        stages::CalendarPart::Weekday => CalendarPart::Weekday,
        stages::CalendarPart::Yearday => CalendarPart::Yearday,
        stages::CalendarPart::Hour => CalendarPart::Hour,
    };
    parts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both crates say for themselves what goes without saying.
    #[test]
    fn the_defaults_are_the_same() {
        assert_eq!(of(&stages::Transform::default()), FeatureSettings::default());
    }
}
