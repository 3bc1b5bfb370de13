//! How well scores rank: area under the ROC curve, average precision, precision-recall curve.
use rayon::prelude::*;

use crate::error::Error;
use crate::order::{Packed, Real, sort_by_rank};
use crate::work::{BLOCK, Interrupt, find_first};

/// Labelled scores: one column for truth 0 or 1, or one column for each class of the truth.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a, T> {
    /// (N,) classes.
    pub truth: &'a [i64],
    /// (N, columns), row by row.
    pub scores: &'a [T],
    /// Columns of the scores, at least one.
    pub columns: usize,
    /// (N,) weights; without them every sample weighs 1.
    pub weights: Option<&'a [f64]>,
}

/// The samples of one score: the weight of the positive and of the negative ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The score.
    pub score: f64,
    /// Weight of the positive samples.
    pub positives: f64,
    /// Weight of the negative samples.
    pub negatives: f64,
}

/// Area under the ROC curve of each column: the chance that a positive sample has the larger
/// score, ties counting half. `None` without positive or without negative samples.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn roc_auc<T: Real>(
    samples: &Samples<T>,
    interrupt: &Interrupt,
) -> Result<Vec<Option<f64>>, Error> {
    each_column(samples, interrupt, |walk| {
        let (mut area, mut positives, mut negatives) = (0.0, 0.0, 0.0);
        walk(&mut |step: Step| {
            area += step.negatives * (positives + step.positives / 2.0);
            positives += step.positives;
            negatives += step.negatives;
        })?;
        Ok((positives > 0.0 && negatives > 0.0).then(|| area / positives / negatives))
    })
}

/// Average precision of each column: the precision at each score, weighted by the recall that the
/// score adds. `None` without positive samples.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn average_precision<T: Real>(
    samples: &Samples<T>,
    interrupt: &Interrupt,
) -> Result<Vec<Option<f64>>, Error> {
    each_column(samples, interrupt, |walk| {
        let (mut sum, mut positives, mut both) = (0.0, 0.0, 0.0);
        walk(&mut |step: Step| {
            positives += step.positives;
            both += step.positives + step.negatives;
            sum += step.positives * (positives / both);
        })?;
        Ok((positives > 0.0).then(|| sum / positives))
    })
}

/// Precision and recall when every sample of at least a threshold is called positive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Precision of each threshold, then 1.
    pub precision: Vec<f64>,
    /// Recall of each threshold, then 0.
    pub recall: Vec<f64>,
    /// The distinct scores, rising.
    pub thresholds: Vec<f64>,
}

/// The precision-recall curve of each column; `None` without positive samples.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn pr_curve<T: Real>(
    samples: &Samples<T>,
    interrupt: &Interrupt,
) -> Result<Vec<Option<Curve>>, Error> {
    each_column(samples, interrupt, |walk| {
        let mut curve = Curve {
            precision: vec![1.0],
            recall: vec![0.0],
            thresholds: Vec::new(),
        };
        let (mut positives, mut both) = (0.0, 0.0);
        walk(&mut |step: Step| {
            positives += step.positives;
            both += step.positives + step.negatives;
            curve.precision.push(positives / both);
            curve.recall.push(positives);
            curve.thresholds.push(step.score);
        })?;
        for recall in &mut curve.recall {
            *recall /= positives;
        }
        curve.precision.reverse();
        curve.recall.reverse();
        curve.thresholds.reverse();
        Ok((positives > 0.0).then_some(curve))
    })
}

/// Calls its argument with each step of a column, from the largest score down.
type Walk<'a> = dyn Fn(&mut dyn FnMut(Step)) -> Result<(), Error> + 'a;

fn each_column<T: Real, R>(
    samples: &Samples<T>,
    interrupt: &Interrupt,
    value: impl Fn(&Walk) -> Result<R, Error>,
) -> Result<Vec<R>, Error> {
    samples.check()?;
    // A rank of 32 bits leaves room for an index of 31 in one word.
    let narrow = size_of::<T>() == 4 && samples.truth.len() < 1 << 31;
    (0..samples.columns)
        .map(|column| {
            if narrow {
                let items = samples.sorted::<u64>(column, interrupt)?;
                value(&|visit| samples.steps(&items, interrupt, visit))
            } else {
                let items = samples.sorted::<u128>(column, interrupt)?;
                value(&|visit| samples.steps(&items, interrupt, visit))
            }
        })
        .collect()
}

impl<T: Real> Samples<'_, T> {
    /// The class that a column ranks for.
    pub(crate) fn positive(&self, column: usize) -> i64 {
        if self.columns == 1 { 1 } else { column as i64 }
    }

    /// Refuses what no column could be ranked by.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (len, classes) = (self.truth.len(), self.columns.max(2));
        if self.scores.len() != len * self.columns {
            let rows = self.scores.len() / self.columns.max(1);
            return Err(Error::length("scores", rows, "truth", len));
        }
        let known = 0..classes as i64;
        if let Some(index) = find_first(self.truth, |class| !known.contains(&class)) {
            return Err(Error::class("truth", index, self.truth[index], classes));
        }
        if let Some(place) = find_first(self.scores, |score| !score.is_finite()) {
            let (score, row) = (self.scores[place].into(), place / self.columns);
            return Err(Error::not_finite("scores", score, row));
        }
        let Some(weights) = self.weights else {
            return Ok(());
        };
        if weights.len() != len {
            return Err(Error::length("weights", weights.len(), "truth", len));
        }
        let refused = |weight: f64| !(weight >= 0.0 && weight.is_finite());
        find_first(weights, refused).map_or(Ok(()), |index| {
            Err(Error::Weight {
                index,
                weight: weights[index],
            })
        })
    }

    /// The samples from the largest score down. The tag is the class, below the index where there
    /// are weights to look up.
    fn sorted<P: Packed>(&self, column: usize, interrupt: &Interrupt) -> Result<Vec<P>, Error> {
        let positive = self.positive(column);
        let item = |index: usize| {
            let place = if self.weights.is_some() { index } else { 0 };
            let tag = (place as u64) << 1 | u64::from(self.truth[index] == positive);
            P::pack(self.scores[index * self.columns + column].rank(), tag)
        };
        let len = self.truth.len();
        let mut items: Vec<P> = if len <= BLOCK {
            (0..len).map(item).collect()
        } else {
            (0..len).into_par_iter().map(item).collect()
        };
        sort_by_rank(&mut items, interrupt)?;
        Ok(items)
    }

    /// Visits the distinct scores. Samples of weight 0 are not there.
    fn steps<P: Packed>(
        &self,
        items: &[P],
        interrupt: &Interrupt,
        visit: &mut dyn FnMut(Step),
    ) -> Result<(), Error> {
        let mut step = |rank: u64, positives: f64, negatives: f64| {
            if positives + negatives > 0.0 {
                visit(Step {
                    score: T::of_rank(rank).into(),
                    positives,
                    negatives,
                });
            }
        };
        let (mut rank, mut positives, mut negatives) = (0, 0.0, 0.0);
        for block in items.chunks(BLOCK) {
            interrupt.check()?;
            for item in block {
                if item.rank() != rank {
                    step(rank, positives, negatives);
                    (rank, positives, negatives) = (item.rank(), 0.0, 0.0);
                }
                let weight = self
                    .weights
                    .map_or(1.0, |of| of[(item.tag() >> 1) as usize]);
                // Two sums in registers; an array that the class picks from would wait for itself.
                let is_positive = (item.tag() & 1) as f64;
                positives += weight * is_positive;
                negatives += weight * (1.0 - is_positive);
            }
        }
        step(rank, positives, negatives);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    fn samples<'a>(truth: &'a [i64], scores: &'a [f32]) -> Samples<'a, f32> {
        Samples {
            truth,
            scores,
            columns: 1,
            weights: None,
        }
    }

    #[test]
    fn ties_count_half() {
        let samples = samples(&[1, 0, 1, 0], &[0.9, 0.5, 0.5, 0.1]);
        assert_eq!(roc_auc(&samples, &QUIET), Ok(vec![Some(0.875)]));
        let precision = 0.5 + 0.5 * (2.0 / 3.0);
        assert_eq!(
            average_precision(&samples, &QUIET),
            Ok(vec![Some(precision)])
        );
    }

    #[test]
    fn one_class_alone_has_no_area() {
        let (positive, negative) = (samples(&[1], &[0.5]), samples(&[0], &[0.5]));
        assert_eq!(roc_auc(&positive, &QUIET), Ok(vec![None]));
        assert_eq!(average_precision(&negative, &QUIET), Ok(vec![None]));
        assert_eq!(pr_curve(&negative, &QUIET), Ok(vec![None]));
        assert_eq!(roc_auc(&samples(&[], &[]), &QUIET), Ok(vec![None]));
    }

    #[test]
    fn a_long_ranking_stops_when_interrupted() {
        let interrupt = Interrupt::new();
        interrupt.raise();
        let (truth, scores) = (vec![0; 2 * BLOCK], vec![0.0; 2 * BLOCK]);
        let stopped = roc_auc(&samples(&truth, &scores), &interrupt);
        assert_eq!(stopped, Err(Error::Interrupted));
    }
}
