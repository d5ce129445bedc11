//! Models in files, and what no model is made of.

use super::*;

#[test]
fn written_models_read_back_and_predict_the_same() {
    for task in TASKS {
        let train = data(task, 1_000, 5);
        for told in ALL {
            let model = trained(&told(), &train.problem(task), train.examples());
            let bytes = model.to_bytes().expect("writes");
            let back = Model::from_bytes(&bytes).expect("reads");
            assert_eq!(
                (back.kind(), back.task(), back.classes(), back.features()),
                (model.kind(), task, model.classes(), model.features())
            );
            assert_eq!(back.to_bytes().expect("writes"), bytes);
            assert_eq!(
                back.predict(&train.table).expect("predicts"),
                model.predict(&train.table).expect("predicts")
            );
        }
    }
}

/// Version 1 had trees whose margins needed nothing added.
#[test]
fn models_of_the_first_version_are_still_read() {
    let train = data(Task::Binary, 500, 5);
    let model = trained(&boosting(), &train.problem(Task::Binary), train.examples());
    let bytes = model.to_bytes().expect("writes");
    let (_, payload) = crate::container::open(&bytes, *b"MODL", 2).expect("opens");
    let back = Model::from_bytes(&crate::container::seal(*b"MODL", 1, payload)).expect("reads");
    assert_eq!(
        back.predict(&train.table).expect("predicts"),
        model.predict(&train.table).expect("predicts")
    );
}

/// Also what no digest protects: a payload that somebody sealed again.
#[test]
fn t06_damaged_and_forged_models_are_refused_without_a_panic() {
    let train = data(Task::Binary, 300, 6);
    for told in ALL {
        let model = trained(&told(), &train.problem(Task::Binary), train.examples());
        let bytes = model.to_bytes().expect("writes");
        for cut in [0, 10, 59, 60, 64, bytes.len() - 1] {
            assert!(Model::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let (_, payload) = crate::container::open(&bytes, *b"MODL", 2).expect("opens");
        let mut uniform = Uniform(9);
        for _ in 0..400 {
            let mut forged = payload.to_vec();
            let at = (uniform.next() * forged.len() as f64) as usize;
            forged[at] ^= 1 << ((uniform.next() * 8.0) as u32);
            if uniform.next() < 0.3 {
                forged.truncate(at + 1);
            }
            let sealed = crate::container::seal(*b"MODL", 2, &forged);
            // A flipped bit of a coefficient or of a name gives another model, which is a model all the same.
            if let Ok(model) = Model::from_bytes(&sealed) {
                let _ = model.predict(&train.table);
                let _ = model.contributions(&train.table);
            }
        }
    }
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let good = data(Task::Binary, 100, 15);
    let says = |problem: &Problem<'_>, examples: Examples<'_>, told: Hyperparameters, words: &str| {
        match crate::models::train(&told, problem, examples, None, &always()) {
            Err(ModelError::Refused(reason)) => assert!(reason.contains(words), "{reason} / {words}"),
            other => panic!("{words}: {:?}", other.map(|t| t.iterations)),
        }
    };
    let problem = good.problem(Task::Binary);
    for told in ALL {
        let empty = good.table.take(&[]);
        let none = Examples {
            features: &empty,
            target: &[],
            weights: None,
        };
        says(&problem, none, told(), "train has no rows");
        let ones = vec![1.0; 100];
        let one_class = Examples {
            target: &ones,
            ..good.examples()
        };
        says(&problem, one_class, told(), "one class");
        for (bad, words) in [
            (f32::NAN, "row 3"),
            (2.0, "row 3"),
            (0.5, "row 3"),
            (-1.0, "row 3"),
        ] {
            let mut target = good.target.clone();
            target[2] = bad;
            let examples = Examples {
                target: &target,
                ..good.examples()
            };
            says(&problem, examples, told(), words);
        }
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            let mut weights = vec![1.0; 100];
            weights[4] = bad;
            says(&problem, good.weighted(&weights), told(), "weight of row 5");
        }
        says(&problem, good.weighted(&[0.0; 100]), told(), "all weights are 0");
        let many = Problem {
            task: Task::Multiclass,
            classes: 1_001,
            ..problem
        };
        says(&many, good.examples(), told(), "at most 1000");
        let regression = Problem {
            task: Task::Regression,
            classes: 0,
            ..problem
        };
        let infinite = vec![f32::INFINITY; 100];
        let examples = Examples {
            target: &infinite,
            ..good.examples()
        };
        says(&regression, examples, told(), "label of row 1");
        let same = Examples {
            target: &ones,
            ..good.examples()
        };
        says(&regression, same, told(), "the same number");
        let mut swapped = good.table.clone();
        swapped.columns.swap(0, 2);
        let examples = Examples {
            features: &swapped,
            ..good.examples()
        };
        says(&problem, examples, told(), "feature a");
    }
    let endless = Hyperparameters::Forest {
        trees: 2_000_000,
        max_depth: 3,
        subsample: 1.0,
        feature_fraction: 1.0,
    };
    says(&problem, good.examples(), endless, "trees = 2000000");
    let sampled = Hyperparameters::Forest {
        trees: 2,
        max_depth: 3,
        subsample: f64::NAN,
        feature_fraction: 1.0,
    };
    says(&problem, good.examples(), sampled, "subsample");
}

#[test]
fn exported_trees_have_right_children_behind_left_ones() {
    let train = data(Task::Binary, 2_000, 17);
    for told in [boosting, forest] {
        let model = trained(&told(), &train.problem(Task::Binary), train.examples());
        let (ending, mut bytes) = model.export().expect("exports").expect("trees have a form");
        assert_eq!(ending, "ubj");
        let before = bytes.clone();
        ubjson::order_children(&mut bytes).expect("reads");
        assert!(before == bytes, "it is in order already");
        let back = boosted::margins_of_export(&bytes, &train.table);
        let own = model.predict(&train.table).expect("predicts").margins;
        let worst = own
            .iter()
            .zip(&back)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-5, "{worst}");
    }
    let model = trained(&linear(), &train.problem(Task::Binary), train.examples());
    assert_eq!(model.export().expect("has no other form"), None);
}

/// XGBoost counts in single precision, so the export is as near as that allows.
#[test]
fn exported_trees_of_numbers_far_from_0_predict_the_same() {
    for far in [-285.0, 1e6] {
        let train = shifted(far);
        for told in [boosting, forest] {
            let model = trained(&told(), &train.problem(Task::Regression), train.examples());
            let (_, bytes) = model.export().expect("exports").expect("trees have a form");
            let back = boosted::margins_of_export(&bytes, &train.table);
            let own = model.predict(&train.table).expect("predicts").margins;
            let worst = own
                .iter()
                .zip(&back)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            assert!(
                worst < 1e-5 + 16.0 * f64::from(f32::EPSILON * far.abs()),
                "{far}: {worst:e}"
            );
        }
    }
}

/// XGBoost reads texts of 64-bit lengths only. The library reads others too, so its predictions would not tell.
#[test]
fn an_exported_base_score_is_a_text_that_xgboost_reads() {
    let train = shifted(4_200.0);
    for told in [boosting, forest] {
        let model = trained(&told(), &train.problem(Task::Regression), train.examples());
        let (_, bytes) = model.export().expect("exports").expect("trees have a form");
        let key = b"base_score";
        let at = bytes.windows(key.len()).position(|part| part == key);
        let value = &bytes[at.expect("there is one") + key.len()..];
        assert_eq!(&value[..2], b"SL");
        let (length, text) = value[2..].split_first_chunk().expect("a length");
        let length = usize::try_from(i64::from_be_bytes(*length)).expect("no negative length");
        let number = text[..length]
            .strip_prefix(b"[")
            .and_then(|text| text.strip_suffix(b"]"))
            .and_then(|text| std::str::from_utf8(text).ok()?.parse::<f32>().ok())
            .expect("a list of one number");
        assert!((number - 4_200.0).abs() < 2.0, "{number}");
    }
}
