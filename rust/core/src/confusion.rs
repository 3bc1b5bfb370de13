//! The confusion matrix and what is read off it.
use rayon::prelude::*;

use crate::error::Error;
use crate::work::{BLOCK, Interrupt, find_first, map_items};

/// A matrix of more classes would not fit the caches it is counted in.
pub const MAX_CLASSES: usize = 1 << 10;

/// Refuses classes that cannot be paired.
///
/// # Errors
/// [`Error::Argument`].
pub fn check(
    truth: &[i64],
    (name, predicted): (&'static str, &[i64]),
    num_classes: usize,
) -> Result<(), Error> {
    if !(1..=MAX_CLASSES).contains(&num_classes) {
        let rule = format!("in 1..={MAX_CLASSES}");
        let remedy = "merge rare classes";
        return Err(Error::range("num_classes", &rule, num_classes, remedy));
    }
    if truth.len() != predicted.len() {
        let (len, expected) = (predicted.len(), truth.len());
        return Err(Error::length(name, len, "truth", expected));
    }
    for (name, classes) in [("truth", truth), (name, predicted)] {
        // A negative class turns into a huge one.
        let bad = |class: i64| class as u64 >= num_classes as u64;
        if let Some(index) = find_first(classes, bad) {
            return Err(Error::class(name, index, classes[index], num_classes));
        }
    }
    Ok(())
}

/// Sums weights by true class (row) and predicted class (column), row by row.
///
/// # Errors
/// [`Error::Argument`], [`Error::Weight`], [`Error::Interrupted`].
pub fn weighted_confusion(
    truth: &[i64],
    predicted: &[i64],
    weights: &[f64],
    num_classes: usize,
    interrupt: &Interrupt,
) -> Result<Vec<f64>, Error> {
    check(truth, ("predicted", predicted), num_classes)?;
    if weights.len() != truth.len() {
        return Err(Error::length(
            "weights",
            weights.len(),
            "truth",
            truth.len(),
        ));
    }
    let refused = |weight: f64| !(weight >= 0.0 && weight.is_finite());
    if let Some(index) = find_first(weights, refused) {
        let weight = weights[index];
        return Err(Error::Weight { index, weight });
    }
    // Pieces and their order are fixed: rounding must not depend on the threads.
    let pieces = map_items(
        truth.len().div_ceil(PIECE),
        truth.len(),
        interrupt,
        |piece| {
            let mut sums = vec![0.0; num_classes * num_classes];
            for index in piece * PIECE..truth.len().min((piece + 1) * PIECE) {
                sums[truth[index] as usize * num_classes + predicted[index] as usize] +=
                    weights[index];
            }
            Ok(sums)
        },
    )?;
    let mut matrix = vec![0.0; num_classes * num_classes];
    for piece in pieces {
        for (sum, more) in matrix.iter_mut().zip(piece) {
            *sum += more;
        }
    }
    Ok(matrix)
}

/// Weights summed by one thread at a time; more than the cells of most matrices.
const PIECE: usize = 1 << 18;

/// Counts samples by true class (row) and predicted class (column), row by row.
///
/// # Errors
/// [`Error::NumClasses`], [`Error::Argument`], [`Error::Interrupted`].
pub fn confusion(
    truth: &[i64],
    predicted: &[i64],
    num_classes: usize,
    interrupt: &Interrupt,
) -> Result<Vec<i64>, Error> {
    check(truth, ("predicted", predicted), num_classes)?;
    let count = |truth: &[i64], predicted: &[i64]| {
        // Neighbours go to two tables: an increment need not wait for an equal one before it.
        let cells = num_classes * num_classes;
        let mut tables = vec![0; 2 * cells];
        let pairs = truth.chunks(BLOCK).zip(predicted.chunks(BLOCK));
        for (truth, predicted) in pairs {
            interrupt.check()?;
            for (place, (&row, &column)) in truth.iter().zip(predicted).enumerate() {
                let cell = row as usize * num_classes + column as usize;
                tables[place % 2 * cells + cell] += 1;
            }
        }
        let (first, second) = tables.split_at(cells);
        Ok(first.iter().zip(second).map(|(a, b)| a + b).collect())
    };
    if truth.len() <= BLOCK {
        return count(truth, predicted);
    }
    let piece = truth.len().div_ceil(rayon::current_num_threads());
    truth
        .par_chunks(piece)
        .zip(predicted.par_chunks(piece))
        .map(|(truth, predicted)| count(truth, predicted))
        .try_reduce_with(|left, right| Ok(left.iter().zip(&right).map(|(a, b)| a + b).collect()))
        .unwrap_or_else(|| Ok(vec![0; num_classes * num_classes]))
}

/// Scores of each class; NaN where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// Share of the samples called a class that are of it; NaN for a class never predicted.
    pub precision: Vec<f64>,
    /// Share of the samples of a class that are called so; NaN for a class without samples.
    pub recall: Vec<f64>,
    /// Their harmonic mean, 2 TP / (2 TP + FP + FN); NaN for a class neither there nor predicted.
    pub f1: Vec<f64>,
    /// Mean F1 of the classes that have one.
    pub macro_f1: Option<f64>,
}

/// Reads the scores of each class off a confusion matrix.
pub fn class_scores(matrix: &[f64], num_classes: usize) -> ClassScores {
    let mut scores = ClassScores {
        precision: Vec::with_capacity(num_classes),
        recall: Vec::with_capacity(num_classes),
        f1: Vec::with_capacity(num_classes),
        macro_f1: None,
    };
    let (mut sum, mut classes) = (0.0, 0.0);
    for class in 0..num_classes {
        let hits = matrix[class * num_classes + class];
        let row = matrix[class * num_classes..][..num_classes].iter();
        let column = matrix[class..].iter().step_by(num_classes);
        let (of_class, called) = (row.sum::<f64>(), column.sum::<f64>());
        scores.precision.push(hits / called);
        scores.recall.push(hits / of_class);
        let f1 = 2.0 * hits / (of_class + called);
        scores.f1.push(f1);
        if of_class + called > 0.0 {
            sum += f1;
            classes += 1.0;
        }
    }
    scores.macro_f1 = (classes > 0.0).then(|| sum / classes);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_samples_are_counted_as_few_are() {
        let truth: Vec<i64> = (0..2 * BLOCK as i64 + 5).map(|i| i % 3).collect();
        let predicted: Vec<i64> = truth.iter().map(|class| (class + 1) % 3).collect();
        let counted = confusion(&truth, &predicted, 3, &Interrupt::new()).expect("valid");
        let third = truth.len() as i64 / 3;
        assert_eq!(counted, [0, third, 0, 0, 0, third, third, 0, 0]);
    }

    #[test]
    fn a_class_neither_there_nor_predicted_is_left_out_of_the_mean() {
        let scores = class_scores(&[1.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0], 3);
        assert_eq!(scores.macro_f1, Some(f64::midpoint(2.0 / 3.0, 0.8)));
        assert!(scores.f1[2].is_nan() && scores.precision[2].is_nan());
        assert_eq!(class_scores(&[0.0], 1).macro_f1, None);
    }
}
