//! Views of features against the matrix that they stand for.

use super::*;

fn features() -> Vec<Feature> {
    let feature = |name: &str, values| Feature {
        name: name.into(),
        column: format!("raw {name}"),
        values,
    };
    vec![
        feature(
            "n",
            FeatureValues::Numeric {
                fill: 3.0,
                center: 1.0,
                scale: 2.0,
                indicator: true,
            },
        ),
        feature(
            "c",
            FeatureValues::Category {
                levels: vec!["a".into(), "b".into(), "other".into()],
                other: Some(2),
                indicator: true,
            },
        ),
        feature(
            "d",
            FeatureValues::Category {
                levels: vec!["x".into()],
                other: None,
                indicator: false,
            },
        ),
    ]
}

fn table() -> FeatureTable {
    FeatureTable {
        rows: 4,
        columns: vec![
            FeatureColumn::Numeric(vec![5.0, f32::NAN, 1.0, 0.0]),
            FeatureColumn::Category(vec![0, 2, MISSING, 1]),
            FeatureColumn::Category(vec![MISSING, 0, 0, 0]),
        ],
    }
}

#[test]
fn columns_are_named_and_know_their_feature() {
    let design = LinearDesign::new(&features());
    let names: Vec<&str> = design.columns().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["n", "n (missing)", "c=a", "c=b", "c=other", "c (missing)", "d=x"]
    );
    assert_eq!((design.columns()[4].feature, design.columns()[6].feature), (1, 2));
    assert_eq!(design.columns()[5].column, "raw c");
}

#[test]
fn the_matrix_is_filled_scaled_and_stored_by_columns() {
    let matrix = LinearDesign::new(&features()).matrix(&table());
    let wanted = ndarray::arr2(&[
        [2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0],
        [-0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0],
    ]);
    assert_eq!(matrix, wanted);
    assert_eq!(matrix.strides(), [1, 4]);
}

#[test]
fn cells_are_finite_however_far_a_row_is() {
    assert_eq!(scaled(f32::MAX, f32::MIN, 0.5), f32::MAX);
    assert_eq!(scaled(f32::MIN, 1.0, f32::MIN_POSITIVE), f32::MIN);
    assert_eq!(scaled(16_777_216.0, 16_777_215.0, 0.25), 4.0);
}

#[test]
fn margins_sums_and_contributions_are_those_of_the_matrix() {
    let (design, table) = (LinearDesign::new(&features()), table());
    let matrix = design.matrix(&table).mapv(f64::from);
    let coefficients = [0.5, -1.0, 2.0, 4.0, -8.0, 0.25, 3.0];
    let dot = matrix.dot(&ndarray::arr1(&coefficients));
    let margins = design.margin(&table, &coefficients, 10.0);
    assert_eq!(margins, (&dot + 10.0).to_vec());
    let mut some = vec![1.0; 2];
    design.add_margin(&table, 1..3, &coefficients, &mut some);
    assert_eq!(some, [margins[1] - 9.0, margins[2] - 9.0]);

    let residuals = [1.0, -2.0, 0.5, 4.0];
    let sums = matrix.t().dot(&ndarray::arr1(&residuals));
    assert_eq!(design.sums(&table, &residuals), sums.to_vec());

    let means = design.means(&table);
    let contributions = design.contributions(&table, &coefficients, &means);
    let base: f64 = 10.0
        + means
            .iter()
            .zip(&coefficients)
            .map(|(mean, coefficient)| mean * coefficient)
            .sum::<f64>();
    for (row, margin) in margins.iter().enumerate() {
        let sum: f64 = contributions[row * 3..][..3].iter().sum();
        assert!((base + sum - margin).abs() < 1e-12, "row {row}");
    }
    // Of the number alone: its coefficient times its distance from the mean, the indicator's likewise.
    assert_eq!(contributions[0], 0.5 * (2.0 - means[0]) - (0.0 - means[1]));
}
