//! Weights that make classes count alike.

/// By class: what its rows are weighted with, so that each class has the same weight in all and the sum of all weights
/// stays: `n / (classes × n of the class)` (King and Zeng: Logistic regression in rare events data, 2001; scikit-learn's
/// `class_weight="balanced"`), where rows count by their own weights if they have some. A class without rows gets 0.
///
/// # Panics
///
/// If a target is no index below `classes`, or there are fewer weights than targets.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "targets are indices of classes, and there are at most 1,000 classes"
)]
pub fn balanced(target: &[f32], classes: usize, weights: Option<&[f32]>) -> Vec<f64> {
    let mut shares = vec![0.0; classes];
    for (row, class) in target.iter().enumerate() {
        shares[*class as usize] += weights.map_or(1.0, |w| f64::from(w[row]));
    }
    let total: f64 = shares.iter().sum();
    shares
        .iter()
        .map(|share| match *share {
            0.0 => 0.0,
            share => total / (classes as f64 * share),
        })
        .collect()
}

/// By row: its own weight, 1 if it has none, times its class' weight.
///
/// # Panics
///
/// If a target is no index of `of_class`, or there are fewer weights than targets.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "targets are indices of classes; weights are of single precision"
)]
pub fn by_row(target: &[f32], of_class: &[f64], weights: Option<&[f32]>) -> Vec<f32> {
    target
        .iter()
        .enumerate()
        .map(|(row, class)| (of_class[*class as usize] * weights.map_or(1.0, |w| f64::from(w[row]))) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_the_same_weight_in_all() {
        let target = [0.0, 0.0, 0.0, 1.0, 2.0, 2.0];
        let of_class = balanced(&target, 3, None);
        assert_eq!(of_class, [6.0 / 9.0, 2.0, 1.0]);
        let rows = by_row(&target, &of_class, None);
        assert!((rows.iter().sum::<f32>() - 6.0).abs() < 1e-5);

        let own = [1.0, 1.0, 2.0, 4.0, 0.0, 1.0];
        let rows = by_row(&target, &balanced(&target, 3, Some(&own)), Some(&own));
        assert!((rows[..3].iter().sum::<f32>() - 3.0).abs() < 1e-5);
        assert!((rows[3] - 3.0).abs() < 1e-5 && rows[4] == 0.0 && (rows[5] - 3.0).abs() < 1e-5);
        assert_eq!(balanced(&[0.0, 0.0], 3, None), [1.0 / 3.0 * 1.0, 0.0, 0.0]);
    }
}
