//! Resampled metrics: what a metric would be on other samples of the same kind.
//!
//! Whole groups are drawn with replacement, so a resample is how often each group occurs. A metric
//! is prepared once, sorted and matched, and then evaluated for several resamples at a time.
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::str::FromStr;

use rayon::prelude::*;

use crate::confusion::{check, class_scores};
use crate::detection::{Class, Interpolation};
use crate::error::Error;
use crate::order::{Packed, Real, sort_by_rank};
use crate::ranking::Samples;
use crate::rng::Philox;
use crate::work::{Interrupt, find_first};

/// Resamples that are evaluated at a time: enough to fill vector units and to share one walk.
pub const LANES: usize = 16;

/// A number for each resample.
pub type Lanes<T> = [T; LANES];

/// How often each group occurs in each resample.
pub type Counts = [Lanes<u32>];

/// Groups of samples, numbered so that those of one stratum follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// Group of each sample.
    pub of: Vec<u32>,
    /// Number of groups of each stratum.
    pub strata: Vec<usize>,
}

impl Groups {
    /// Groups from the names of groups and strata; without names every sample is a group of its
    /// own, and all groups are one stratum.
    ///
    /// # Errors
    /// [`Error::Argument`] for a length or for a group in two strata.
    pub fn new(len: usize, names: Option<&[i64]>, strata: Option<&[i64]>) -> Result<Self, Error> {
        for (name, names) in [("groups", names), ("strata", strata)] {
            if let Some(names) = names.filter(|names| names.len() != len) {
                return Err(Error::length(name, names.len(), "truth", len));
            }
        }
        let Ok(most) = u32::try_from(len) else {
            let remedy = "resample by groups of samples";
            return Err(Error::range("truth", "shorter than 2**32", len, remedy));
        };
        let mut first: Vec<usize> = Vec::new();
        let mut of: Vec<u32> = match names {
            None => {
                first.extend(0..len);
                (0..most).collect()
            }
            Some(names) => {
                // Not seeded at random: the instruction gate counts the same on every run.
                let mut numbers = HashMap::<_, _, BuildHasherDefault<DefaultHasher>>::default();
                let number = |(index, name)| {
                    *numbers.entry(name).or_insert_with(|| {
                        first.push(index);
                        first.len() as u32 - 1
                    })
                };
                names.iter().enumerate().map(number).collect()
            }
        };
        let Some(strata) = strata else {
            let strata = vec![first.len()];
            return Ok(Self { of, strata });
        };
        let stratum = |group: u32| strata[first[group as usize]];
        if let Some(index) = (0..len).find(|&index| strata[index] != stratum(of[index])) {
            return Err(Error::Argument {
                name: "strata",
                rule: "the same for all samples of a group".to_owned(),
                got: format!(
                    "{} at index {index} after {} before",
                    strata[index],
                    stratum(of[index])
                ),
                remedy: "leave strata out or split the group",
            });
        }
        let mut order: Vec<u32> = (0..first.len() as u32).collect();
        order.sort_by_key(|&group| stratum(group));
        let sizes = order
            .chunk_by(|&a, &b| stratum(a) == stratum(b))
            .map(<[u32]>::len)
            .collect();
        let mut place = vec![0; order.len()];
        for (number, &group) in (0..).zip(&order) {
            place[group as usize] = number;
        }
        for group in &mut of {
            *group = place[*group as usize];
        }
        Ok(Self { of, strata: sizes })
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.strata.iter().sum()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws `LANES` resamples, each from the random stream of its number.
    fn draw(&self, key: [u64; 2], first: usize, counts: &mut Counts) {
        counts.fill([0; LANES]);
        for lane in 0..LANES {
            let mut stream = Philox::new(key, [0, (first + lane) as u64, 0, 0]);
            let mut rest = &mut *counts;
            for &size in &self.strata {
                let (stratum, after) = rest.split_at_mut(size);
                for _ in 0..size {
                    stratum[stream.below(size as u64) as usize][lane] += 1;
                }
                rest = after;
            }
        }
    }
}

/// A metric made ready to be evaluated many times; NaN where it has no value.
pub trait Prepared: Sync {
    /// The metric of each of some resamples.
    fn evaluate(&self, counts: &Counts) -> Lanes<f64>;
}

/// What a metric is in each resample, without each group in turn, and on all samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// On all samples.
    pub estimate: f64,
    /// In each resample.
    pub values: Vec<f64>,
    /// Without each group; empty unless asked for.
    pub without: Vec<f64>,
}

/// Resamples that fit the memory of any machine.
pub const MAX_RESAMPLES: usize = 1 << 24;

/// Evaluates a metric on resamples of the groups, on the calling thread up to [`LANES`] of them.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn resample(
    metric: &impl Prepared,
    groups: &Groups,
    resamples: usize,
    jackknife: bool,
    key: [u64; 2],
    interrupt: &Interrupt,
) -> Result<Resampled, Error> {
    if resamples > MAX_RESAMPLES {
        let rule = format!("at most {MAX_RESAMPLES}");
        let remedy = "10,000 settle a limit";
        return Err(Error::range("resamples", &rule, resamples, remedy));
    }
    let all = |len: usize, fill: &(dyn Fn(usize, &mut Counts) + Sync)| {
        let mut values = vec![0.0; len];
        let batches = values.len().div_ceil(LANES);
        let nothing = || vec![[0; LANES]; groups.len()];
        let one = |counts: &mut Vec<_>, (batch, values): (usize, &mut [f64])| {
            interrupt.check()?;
            fill(batch * LANES, counts);
            let evaluated = metric.evaluate(counts);
            values.copy_from_slice(&evaluated[..values.len()]);
            Ok(())
        };
        match batches {
            0 => Ok(()),
            1 => one(&mut nothing(), (0, &mut values)),
            _ => values
                .par_chunks_mut(LANES)
                .enumerate()
                .try_for_each_init(nothing, one),
        }?;
        Ok(values)
    };
    let without = |first: usize, counts: &mut Counts| {
        counts.fill([1; LANES]);
        for (lane, counts) in counts.iter_mut().skip(first).take(LANES).enumerate() {
            counts[lane] = 0;
        }
    };
    Ok(Resampled {
        estimate: metric.evaluate(&vec![[1; LANES]; groups.len()])[0],
        values: all(resamples, &|first, counts| groups.draw(key, first, counts))?,
        without: all(if jackknife { groups.len() } else { 0 }, &without)?,
    })
}

/// The mean of some metrics, of those that have a value.
pub struct MeanOf<T>(pub Vec<T>);

impl<T: Prepared> Prepared for MeanOf<T> {
    fn evaluate(&self, counts: &Counts) -> Lanes<f64> {
        let (mut sums, mut defined) = ([0.0; LANES], [0.0; LANES]);
        for metric in &self.0 {
            let values = metric.evaluate(counts);
            for lane in 0..LANES {
                if !values[lane].is_nan() {
                    sums[lane] += values[lane];
                    defined[lane] += 1.0;
                }
            }
        }
        std::array::from_fn(|lane| sums[lane] / defined[lane])
    }
}

/// What is read off a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranked {
    /// Area under the ROC curve.
    RocAuc,
    /// Average precision.
    AveragePrecision,
}

/// Samples of one column sorted by score.
pub struct Ranking {
    of: Ranked,
    /// Groups of the samples from the largest score down; of equal scores the positives first.
    groups: Vec<u32>,
    /// Where the positives and where the negatives of each step end.
    steps: Vec<[usize; 2]>,
}

impl Ranking {
    /// Sorts each column; several columns rank for one class each.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Interrupted`].
    pub fn columns<T: Real>(
        of: Ranked,
        samples: &Samples<T>,
        groups: &Groups,
        interrupt: &Interrupt,
    ) -> Result<MeanOf<Self>, Error> {
        samples.check()?;
        let column = |column: usize| {
            let positive = samples.positive(column);
            let item = |index: usize| {
                let negative = u64::from(samples.truth[index] != positive);
                let score = samples.scores[index * samples.columns + column];
                // The group, so that nothing needs to be looked up in sorted order.
                u128::pack(score.rank(), negative << 32 | u64::from(groups.of[index]))
            };
            let mut items: Vec<u128> = (0..samples.truth.len()).map(item).collect();
            sort_by_rank(&mut items, interrupt)?;
            Ok(Self::new(of, &mut items))
        };
        let columns: Result<Vec<Self>, Error> = (0..samples.columns).map(column).collect();
        columns.map(MeanOf)
    }

    fn new(of: Ranked, items: &mut [u128]) -> Self {
        let negative = |item: &u128| item.tag() >> 32 != 0;
        let mut steps: Vec<[usize; 2]> = Vec::new();
        let (mut start, mut only_negatives) = (0, false);
        for tied in items.chunk_by_mut(|a, b| a.rank() == b.rank()) {
            tied.sort_unstable();
            let positives = tied.partition_point(|item| !negative(item));
            let end = start + tied.len();
            match steps.last_mut() {
                // Between two positives the order of negatives does not matter.
                Some(step) if only_negatives && positives == 0 => step[1] = end,
                _ => steps.push([start + positives, end]),
            }
            (start, only_negatives) = (end, positives == 0);
        }
        Self {
            of,
            groups: items.iter().map(|item| item.tag() as u32).collect(),
            steps,
        }
    }
}

/// Counts that are summed in 32 bits.
const CHUNK: usize = 1 << 16;

fn total(groups: &[u32], counts: &Counts) -> Lanes<f64> {
    let mut total = [0.0; LANES];
    for groups in groups.chunks(CHUNK) {
        let mut sum = [0_u32; LANES];
        for &group in groups {
            let counts = &counts[group as usize];
            for lane in 0..LANES {
                sum[lane] += counts[lane];
            }
        }
        for lane in 0..LANES {
            total[lane] += f64::from(sum[lane]);
        }
    }
    total
}

impl Prepared for Ranking {
    fn evaluate(&self, counts: &Counts) -> Lanes<f64> {
        let (mut sum, mut positives, mut negatives) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let mut start = 0;
        for &[middle, end] in &self.steps {
            let more = total(&self.groups[start..middle], counts);
            let others = total(&self.groups[middle..end], counts);
            start = end;
            match self.of {
                Ranked::RocAuc => {
                    for lane in 0..LANES {
                        sum[lane] += others[lane] * (positives[lane] + more[lane] / 2.0);
                    }
                }
                Ranked::AveragePrecision => {
                    for lane in 0..LANES {
                        let hits = positives[lane] + more[lane];
                        let both = hits + negatives[lane] + others[lane];
                        if more[lane] > 0.0 {
                            sum[lane] += more[lane] * (hits / both);
                        }
                    }
                }
            }
            for lane in 0..LANES {
                positives[lane] += more[lane];
                negatives[lane] += others[lane];
            }
        }
        // Nothing by nothing is NaN: the metric has no value.
        std::array::from_fn(|lane| match self.of {
            Ranked::RocAuc => sum[lane] / positives[lane] / negatives[lane],
            Ranked::AveragePrecision => sum[lane] / positives[lane],
        })
    }
}

/// What is read off a confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confused {
    /// Share of the samples called right.
    Accuracy,
    /// Mean recall of the classes present.
    BalancedAccuracy,
    /// Mean F1 of the classes present or predicted.
    MacroF1,
}

/// The class of the largest score of each row, the first of equal ones.
///
/// # Errors
/// [`Error::Argument`] for a score that is not finite.
pub fn largest<T: Real>(scores: &[T], columns: usize) -> Result<Vec<i64>, Error> {
    if let Some(place) = find_first(scores, |score| !score.is_finite()) {
        let (score, row) = (scores[place].into(), place / columns);
        return Err(Error::not_finite("scores", score, row));
    }
    let largest = |row: &[T]| {
        let ranks = row.iter().map(|score| score.rank());
        (0..)
            .zip(ranks)
            .min_by_key(|&(_, rank)| rank)
            .map_or(0, |(class, _)| class)
    };
    Ok(scores.chunks(columns.max(1)).map(largest).collect())
}

/// Samples by group and cell of the confusion matrix.
pub struct Confusion {
    of: Confused,
    num_classes: usize,
    /// Cell, group, and samples of both, by cell.
    entries: Vec<(u32, u32, u32)>,
}

impl Confusion {
    /// Counts samples by group, true class and predicted class.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn new(
        of: Confused,
        truth: &[i64],
        predicted: &[i64],
        num_classes: usize,
        groups: &Groups,
    ) -> Result<Self, Error> {
        check(truth, ("scores", predicted), num_classes)?;
        let cell = |(&row, &column): (&i64, &i64)| row as u32 * num_classes as u32 + column as u32;
        let cells = truth.iter().zip(predicted).map(cell);
        let mut pairs: Vec<(u32, u32)> = cells.zip(groups.of.iter().copied()).collect();
        pairs.sort_unstable();
        let entries = pairs.chunk_by(|a, b| a == b);
        Ok(Self {
            of,
            num_classes,
            entries: entries
                .map(|of| (of[0].0, of[0].1, of.len() as u32))
                .collect(),
        })
    }
}

impl Prepared for Confusion {
    fn evaluate(&self, counts: &Counts) -> Lanes<f64> {
        let mut matrices = vec![[0_i64; LANES]; self.num_classes * self.num_classes];
        for &(cell, group, samples) in &self.entries {
            let (matrix, counts) = (&mut matrices[cell as usize], &counts[group as usize]);
            for lane in 0..LANES {
                matrix[lane] += i64::from(samples) * i64::from(counts[lane]);
            }
        }
        let mut matrix = vec![0.0; matrices.len()];
        std::array::from_fn(|lane| {
            for (cell, lanes) in matrix.iter_mut().zip(&matrices) {
                *cell = lanes[lane] as f64;
            }
            self.of.read(&matrix, self.num_classes)
        })
    }
}

impl Confused {
    fn read(self, matrix: &[f64], num_classes: usize) -> f64 {
        match self {
            Self::Accuracy => {
                let hits: f64 = matrix.iter().step_by(num_classes + 1).sum();
                hits / matrix.iter().sum::<f64>()
            }
            Self::BalancedAccuracy => {
                let recalls = class_scores(matrix, num_classes).recall;
                let defined: Vec<f64> = recalls.into_iter().filter(|of| !of.is_nan()).collect();
                defined.iter().sum::<f64>() / defined.len() as f64
            }
            Self::MacroF1 => class_scores(matrix, num_classes)
                .macro_f1
                .unwrap_or(f64::NAN),
        }
    }
}

/// Mean average precision of detections that are matched already.
pub struct Matched {
    /// What each class found.
    pub classes: Vec<Class>,
    /// Thresholds that the mean is over.
    pub thresholds: usize,
    /// How a curve becomes a number.
    pub interpolation: Interpolation,
    /// Group of each image.
    pub of: Vec<u32>,
}

impl Prepared for Matched {
    fn evaluate(&self, counts: &Counts) -> Lanes<f64> {
        let mut points = Vec::new();
        std::array::from_fn(|lane| {
            let times: Vec<u32> = self
                .of
                .iter()
                .map(|&group| counts[group as usize][lane])
                .collect();
            let (mut sum, mut defined) = (0.0, 0.0);
            for class in &self.classes {
                for case in 0..self.thresholds {
                    let value = class.score(
                        case,
                        self.thresholds,
                        self.interpolation,
                        |image| times[image],
                        &mut points,
                    );
                    if let Some(value) = value {
                        sum += value.precision;
                        defined += 1.0;
                    }
                }
            }
            sum / defined
        })
    }
}

/// How limits are read off resampled values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Their quantiles.
    Percentile,
    /// Their quantiles mirrored at the estimate.
    Basic,
    /// Quantiles corrected for bias and for a spread that changes with the value.
    Bca,
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "percentile" => Ok(Self::Percentile),
            "basic" => Ok(Self::Basic),
            "bca" => Ok(Self::Bca),
            _ => {
                let got = format!("'{word}'");
                let remedy = "'percentile' is the simplest";
                let rule = "'percentile', 'basic' or 'bca'";
                Err(Error::range("method", rule, got, remedy))
            }
        }
    }
}

impl Resampled {
    /// Limits that hold the metric with probability `level`; `None` where there are none: without
    /// an estimate, without values, or where the correction of `BCa` has no value.
    pub fn interval(&self, method: Method, level: f64) -> Option<[f64; 2]> {
        let mut values: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|of| !of.is_nan())
            .collect();
        if values.is_empty() || self.estimate.is_nan() {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tails = [f64::midpoint(1.0, -level), f64::midpoint(1.0, level)];
        let limits = match method {
            Method::Percentile => tails.map(|tail| quantile(&values, tail)),
            Method::Basic => {
                let [low, high] = tails.map(|tail| 2.0 * self.estimate - quantile(&values, tail));
                [high, low]
            }
            Method::Bca => {
                let [bias, acceleration] = self.correction(&values);
                tails.map(|tail| {
                    let normal = bias + normal_quantile(tail);
                    let tail = normal_share(bias + normal / (1.0 - acceleration * normal));
                    quantile(&values, tail)
                })
            }
        };
        (!limits[0].is_nan() && !limits[1].is_nan()).then_some(limits)
    }

    /// Efron's bias correction and acceleration.
    fn correction(&self, sorted: &[f64]) -> [f64; 2] {
        let below = sorted.partition_point(|&value| value < self.estimate);
        let up_to = sorted.partition_point(|&value| value <= self.estimate);
        let share = (below + up_to) as f64 / (2 * sorted.len()) as f64;
        let defined = || self.without.iter().copied().filter(|value| !value.is_nan());
        let mean = defined().sum::<f64>() / defined().count() as f64;
        let (mut squares, mut cubes) = (0.0, 0.0);
        for value in defined() {
            squares += (mean - value).powi(2);
            cubes += (mean - value).powi(3);
        }
        let acceleration = if squares > 0.0 {
            cubes / (6.0 * squares.powf(1.5))
        } else {
            0.0
        };
        [normal_quantile(share), acceleration]
    }
}

/// A quantile of sorted values, linear between them (numpy's default).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    if share.is_nan() {
        return share;
    }
    let place = share * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

/// Share of a standard normal distribution below x.
fn normal_share(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// The x below which this share of a standard normal distribution is.
fn normal_quantile(share: f64) -> f64 {
    if share <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if share >= 1.0 {
        return f64::INFINITY;
    }
    // Halving reaches neighbouring doubles; no share above 0 lies farther out than 39.
    let (mut low, mut high) = (-39.0, 39.0);
    for _ in 0..128 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    #[test]
    fn groups_are_numbered_stratum_by_stratum() {
        let groups = Groups::new(5, Some(&[7, 9, 7, 3, 9]), Some(&[1, 0, 1, 1, 0])).expect("valid");
        assert_eq!(groups.strata, [1, 2]);
        assert_eq!(groups.of, [1, 0, 1, 2, 0]);
        assert!(Groups::new(2, Some(&[1, 1]), Some(&[0, 1])).is_err());
    }

    #[test]
    fn every_stratum_keeps_its_size() {
        let groups = Groups::new(5, None, Some(&[0, 0, 1, 1, 1])).expect("valid");
        let mut counts = vec![[9; LANES]; 5];
        groups.draw([1, 2], 0, &mut counts);
        let total = |of: &Counts| {
            of.iter().fold([0; LANES], |sum, of| {
                std::array::from_fn(|lane| sum[lane] + of[lane])
            })
        };
        assert_eq!(
            (total(&counts[..2]), total(&counts[2..])),
            ([2; LANES], [3; LANES])
        );
    }

    #[test]
    fn quantiles_of_the_normal_distribution_are_known() {
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!((normal_quantile(1e-300) + 37.047_096_299_361_2).abs() < 1e-9);
        assert!(normal_quantile(0.5).abs() < 1e-15);
        assert!(normal_quantile(0.0) < f64::MIN && normal_quantile(1.0) > f64::MAX);
    }

    #[test]
    fn the_estimate_is_the_metric_of_all_samples() {
        let (truth, groups) = ([1, 0, 1, 0], Groups::new(4, None, None).expect("valid"));
        let samples = Samples {
            truth: &truth,
            scores: &[0.9_f32, 0.5, 0.5, 0.1],
            columns: 1,
            weights: None,
        };
        let ranking = Ranking::columns(Ranked::RocAuc, &samples, &groups, &QUIET).expect("valid");
        let found = resample(&ranking, &groups, 20, true, [3, 4], &QUIET).expect("valid");
        assert!((found.estimate - 0.875).abs() < 1e-15);
        // Without the first, the last or the middle samples.
        assert_eq!(found.without, [0.75, 1.0, 1.0, 0.75]);
        assert_eq!(found.values.len(), 20);
    }
}
