//! Class weights from class counts.
use std::str::FromStr;

use rayon::prelude::*;

use crate::error::Error;
use crate::work::{BLOCK, Interrupt, fill_blocks};

/// The largest number of classes that are counted: what one label can make a histogram grow to.
pub const MAX_CLASSES: usize = 1 << 20;

/// Counts how often each class occurs in `labels`, in one pass.
///
/// The result has `num_classes` entries, or one more than the largest label.
///
/// # Errors
/// [`Error::Label`] with the first label outside `0..num_classes` (outside `0..MAX_CLASSES` when
/// `num_classes` is `None`), [`Error::NumClasses`], [`Error::Interrupted`].
pub fn class_counts<T>(
    labels: &[T],
    num_classes: Option<usize>,
    interrupt: &Interrupt,
) -> Result<Vec<i64>, Error>
where
    T: Copy + Sync + Into<i64>,
{
    let most = num_classes.unwrap_or(MAX_CLASSES);
    if !(1..=MAX_CLASSES).contains(&most) {
        return Err(Error::NumClasses {
            num_classes: most,
            most: MAX_CLASSES,
        });
    }
    let count = |piece| Histogram::new(most).with(piece, interrupt)?.counts();
    let counts = if labels.len() <= BLOCK {
        count(labels)
    } else {
        // A few pieces for each thread: enough to balance them, too few for merging to matter.
        let pieces = 4 * rayon::current_num_threads();
        labels
            .par_chunks(labels.len().div_ceil(pieces).clamp(BLOCK, LONGEST_PIECE))
            .map(count)
            .try_reduce(Vec::new, |left, right| Ok(sum(left, &right)))
    };
    match counts {
        Ok(mut counts) => {
            counts.resize(num_classes.unwrap_or(counts.len()), 0);
            Ok(counts)
        }
        Err(Stop::Interrupted) => Err(Error::Interrupted),
        Err(Stop::Label) => Err(first_bad_label(labels, most)),
    }
}

/// Pieces are counted in any order, so which bad label is met first is settled here.
fn first_bad_label<T: Copy + Into<i64>>(labels: &[T], num_classes: usize) -> Error {
    let (index, label) = labels
        .iter()
        .map(|&label| label.into())
        .enumerate()
        .find(|(_, label)| !(0..num_classes as i64).contains(label))
        .unwrap_or_default();
    Error::Label {
        index,
        label,
        num_classes,
    }
}

enum Stop {
    Interrupted,
    Label,
}

/// Classes that fit a part of the first-level cache in `TABLES` tables.
const NARROW: usize = 1024;
/// Consecutive labels go to different tables: an increment need not wait for the one before when
/// both meet the same class, which is what happens all the time in imbalanced data. More tables than
/// two were slower.
const TABLES: usize = 2;
/// Entries of a table, so that those of one class do not lie 4 KiB apart: a processor that compares
/// the low bits of addresses would take them for one.
const STRIDE: usize = NARROW + 16;
/// Labels that are counted before their range is looked at; a multiple of `PART` and of `TABLES`.
const RUN: usize = 2048;
/// Classes that are counted side by side in one register, four bits for each.
const TINY: usize = 16;
/// Labels that four bits can count.
const FEW: usize = 8;
/// Labels that a byte can count; a multiple of `FEW`.
const PART: usize = 128;
/// One label of each small class.
const ONE: [u64; TINY] = {
    let mut one = [1; TINY];
    let mut class = 1;
    while class < TINY {
        one[class] = one[class - 1] << 4;
        class += 1;
    }
    one
};
/// A count of one table fits 32 bits.
const LONGEST_PIECE: usize = 1 << 31;

struct Histogram {
    /// Whether all runs so far were of tiny labels: where one is not, the next most likely is not.
    only_tiny: bool,
    tiny: [i64; TINY],
    /// Made when the first full run of small labels comes: a short call does not pay for it.
    narrow: Option<Box<[[u32; STRIDE]; TABLES]>>,
    wide: Vec<i64>,
    most: usize,
}

impl Histogram {
    fn new(most: usize) -> Self {
        Self {
            only_tiny: true,
            tiny: [0; TINY],
            narrow: None,
            wide: Vec::new(),
            most,
        }
    }

    fn with<T: Copy + Into<i64>>(
        mut self,
        labels: &[T],
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        for block in labels.chunks(BLOCK) {
            if interrupt.is_raised() {
                return Err(Stop::Interrupted);
            }
            for run in block.chunks(RUN) {
                // Where one run has large labels, the next most likely has too.
                let narrow = run.len() == RUN && self.wide.is_empty();
                if !(narrow && (self.add_tiny(run) || self.add_narrow(run))) {
                    self.add_wide(run)?;
                }
            }
        }
        Ok(self)
    }

    /// Counts a run of labels below `TINY`, or says that it is none and counts nothing.
    ///
    /// Counts in a register wait for no store, and adding has half the instructions.
    fn add_tiny<T: Copy + Into<i64>>(&mut self, run: &[T]) -> bool {
        const EVEN: u64 = 0x0F0F_0F0F_0F0F_0F0F;
        if !self.only_tiny {
            return false;
        }
        let (mut bits, mut counts) = (0, [0; TINY]);
        for part in run.chunks_exact(PART) {
            let (mut even, mut odd) = (0, 0);
            for labels in part.chunks_exact(FEW) {
                let mut fours = 0;
                for &label in labels {
                    let class = label.into() as usize;
                    bits |= class;
                    fours += ONE[class % TINY];
                }
                even += fours & EVEN;
                odd += fours >> 4 & EVEN;
            }
            let pairs = even.to_le_bytes().into_iter().zip(odd.to_le_bytes());
            for (pair, (even, odd)) in counts.chunks_exact_mut(2).zip(pairs) {
                pair[0] += i64::from(even);
                pair[1] += i64::from(odd);
            }
        }
        self.only_tiny = bits < TINY;
        if self.only_tiny {
            for (count, more) in self.tiny.iter_mut().zip(counts) {
                *count += more;
            }
        }
        self.only_tiny
    }

    /// Counts a run of labels below `NARROW`, or says that it is none and counts nothing.
    fn add_narrow<T: Copy + Into<i64>>(&mut self, run: &[T]) -> bool {
        let tables = self
            .narrow
            .get_or_insert_with(|| Box::new([[0; STRIDE]; TABLES]));
        let mut bits = 0;
        for labels in run.chunks_exact(TABLES) {
            for table in 0..TABLES {
                let class = labels[table].into() as usize;
                bits |= class;
                tables[table][class % NARROW] += 1;
            }
        }
        let narrow = bits < NARROW;
        if !narrow {
            for (place, &label) in run.iter().enumerate() {
                tables[place % TABLES][label.into() as usize % NARROW] -= 1;
            }
        }
        narrow
    }

    fn add_wide<T: Copy + Into<i64>>(&mut self, run: &[T]) -> Result<(), Stop> {
        for &label in run {
            // A negative label turns into a huge class.
            let class = label.into() as usize;
            if class >= self.wide.len() {
                if class >= self.most {
                    return Err(Stop::Label);
                }
                self.wide.resize(class + 1, 0);
            }
            self.wide[class] += 1;
        }
        Ok(())
    }

    /// The counts up to the largest label.
    fn counts(self) -> Result<Vec<i64>, Stop> {
        let mut narrow = self.tiny.to_vec();
        for table in self.narrow.iter().flat_map(|tables| &**tables) {
            narrow.resize(NARROW, 0);
            for (count, &more) in narrow.iter_mut().zip(table) {
                *count += i64::from(more);
            }
        }
        narrow.truncate(
            narrow
                .iter()
                .rposition(|&count| count > 0)
                .map_or(0, |last| last + 1),
        );
        if narrow.len() > self.most {
            Err(Stop::Label)
        } else {
            Ok(sum(narrow, &self.wide))
        }
    }
}

fn sum(mut left: Vec<i64>, right: &[i64]) -> Vec<i64> {
    left.resize(left.len().max(right.len()), 0);
    for (count, more) in left.iter_mut().zip(right) {
        *count += more;
    }
    left
}

/// Writes the effective number of samples of each class, E(n) = (1 - beta^n) / (1 - beta).
///
/// E(0) = 0, beta = 0 gives 1 and beta = 1 the limit n. Cui et al., "Class-balanced loss based on
/// effective number of samples", CVPR 2019, equation 3.
///
/// # Errors
/// [`Error::Count`], [`Error::Beta`], [`Error::Interrupted`].
pub fn effective_number(
    counts: &[i64],
    beta: f64,
    out: &mut [f64],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    if !(0.0..=1.0).contains(&beta) {
        return Err(Error::Beta { beta });
    }
    if let Some((index, &count)) = counts.iter().enumerate().find(|&(_, &count)| count < 0) {
        return Err(Error::Count { index, count });
    }
    // 1 - beta^n loses all its digits where beta^n is near 1; expm1 does not. Both ln(beta) and,
    // from 1/2 on, beta - 1 are as exact as doubles can be.
    let (log_beta, minus_rest) = (beta.ln(), beta - 1.0);
    fill_blocks(out, interrupt, |start, block| {
        for (effective, &count) in block.iter_mut().zip(&counts[start..]) {
            let n = count as f64;
            *effective = if count > 0 && minus_rest < 0.0 {
                (n * log_beta).exp_m1() / minus_rest
            } else {
                n
            };
        }
    })
}

/// What the class weights 1 / E(n) are scaled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    /// The sum over the classes present is their number (the authors' choice).
    SumToC,
    /// No scaling: (1 - beta) / (1 - beta^n).
    None,
    /// The mean over the training samples is 1.
    MeanOne,
}

impl FromStr for Normalise {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "sum_to_c" => Ok(Self::SumToC),
            "none" => Ok(Self::None),
            "mean_one" => Ok(Self::MeanOne),
            _ => Err(Error::Normalise {
                normalise: word.to_owned(),
            }),
        }
    }
}

/// Writes a weight for each class, inversely proportional to its effective number of samples.
///
/// A class without samples gets 0 and is left out of the normalisation.
///
/// # Errors
/// As [`effective_number`], and [`Error::NoSamples`].
pub fn class_balanced_weights(
    counts: &[i64],
    beta: f64,
    normalise: Normalise,
    out: &mut [f64],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    effective_number(counts, beta, out, interrupt)?;
    let (mut present, mut samples, mut weight_of_classes, mut weight_of_samples) =
        (0.0, 0.0, 0.0, 0.0);
    for (weight, &count) in out.iter_mut().zip(counts).filter(|(_, count)| **count > 0) {
        *weight = weight.recip();
        present += 1.0;
        samples += count as f64;
        weight_of_classes += *weight;
        weight_of_samples += *weight * count as f64;
    }
    if present == 0.0 {
        return Err(Error::NoSamples {
            num_classes: counts.len(),
        });
    }
    let scale = match normalise {
        Normalise::SumToC => present / weight_of_classes,
        Normalise::None => 1.0,
        Normalise::MeanOne => samples / weight_of_samples,
    };
    for weight in out {
        *weight *= scale;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    fn effective(counts: &[i64], beta: f64) -> Result<Vec<f64>, Error> {
        let mut out = vec![f64::NAN; counts.len()];
        effective_number(counts, beta, &mut out, &QUIET).map(|()| out)
    }

    fn balanced(counts: &[i64], beta: f64, normalise: Normalise) -> Result<Vec<f64>, Error> {
        let mut out = vec![f64::NAN; counts.len()];
        class_balanced_weights(counts, beta, normalise, &mut out, &QUIET).map(|()| out)
    }

    #[test]
    fn counting_is_the_same_in_one_piece_and_in_many() {
        let labels: Vec<i32> = (0..3 * BLOCK as i32 + 5)
            .map(|i| i % 11 * (i % 11) % 11)
            .collect();
        let mut expected = vec![0; 11];
        for &label in &labels {
            expected[label as usize] += 1;
        }
        assert_eq!(
            class_counts(&labels, Some(11), &QUIET),
            Ok(expected.clone())
        );
        expected.pop();
        assert_eq!(
            class_counts(&labels, None, &QUIET),
            Ok(expected),
            "10 is no square modulo 11"
        );
    }

    #[test]
    fn the_largest_label_sets_the_number_of_classes() {
        assert_eq!(
            class_counts(&[0_i8, 3, 3], None, &QUIET),
            Ok(vec![1, 0, 0, 2])
        );
        assert_eq!(class_counts::<i64>(&[], None, &QUIET), Ok(vec![]));
        assert_eq!(
            class_counts(&[true, false], Some(3), &QUIET),
            Ok(vec![1, 1, 0])
        );
    }

    #[test]
    fn the_first_bad_label_is_named_wherever_it_is() {
        let mut labels = vec![0_i64; 5 * BLOCK];
        for bad in [4 * BLOCK, 2 * BLOCK + 1, 3] {
            labels[bad] = -7;
            let expected = Error::Label {
                index: bad,
                label: -7,
                num_classes: 2,
            };
            assert_eq!(class_counts(&labels, Some(2), &QUIET), Err(expected));
        }
        let expected = Error::Label {
            index: 0,
            label: i64::MAX,
            num_classes: MAX_CLASSES,
        };
        assert_eq!(class_counts(&[i64::MAX], None, &QUIET), Err(expected));
    }

    #[test]
    fn a_number_of_classes_is_at_least_one_and_bounded() {
        for num_classes in [0, MAX_CLASSES + 1] {
            let expected = Error::NumClasses {
                num_classes,
                most: MAX_CLASSES,
            };
            assert_eq!(
                class_counts::<u8>(&[], Some(num_classes), &QUIET),
                Err(expected)
            );
        }
    }

    #[test]
    fn counting_stops_when_interrupted() {
        let interrupt = Interrupt::new();
        interrupt.raise();
        let labels = vec![0_u8; 2 * BLOCK];
        assert_eq!(
            class_counts(&labels, Some(1), &interrupt),
            Err(Error::Interrupted)
        );
    }

    #[test]
    fn effective_numbers_have_their_limits() {
        assert_eq!(effective(&[0, 1, 9], 0.0), Ok(vec![0.0, 1.0, 1.0]));
        assert_eq!(effective(&[0, 1, 9], 1.0), Ok(vec![0.0, 1.0, 9.0]));
        assert_eq!(effective(&[0, 1, 2, 3], 0.5), Ok(vec![0.0, 1.0, 1.5, 1.75]));
        assert_eq!(
            effective(&[1, -2], 0.5),
            Err(Error::Count {
                index: 1,
                count: -2
            })
        );
        assert_eq!(effective(&[1], 1.5), Err(Error::Beta { beta: 1.5 }));
        assert!(effective(&[1], f64::NAN).is_err());
    }

    #[test]
    fn weights_are_normalised_over_the_classes_present() {
        let counts = [1, 3, 0];
        assert_eq!(
            balanced(&counts, 1.0, Normalise::SumToC),
            Ok(vec![1.5, 0.5, 0.0])
        );
        assert_eq!(
            balanced(&counts, 1.0, Normalise::MeanOne),
            Ok(vec![2.0, 2.0 / 3.0, 0.0])
        );
        assert_eq!(
            balanced(&counts, 1.0, Normalise::None),
            Ok(vec![1.0, 1.0 / 3.0, 0.0])
        );
        assert_eq!(
            balanced(&[0, 0], 0.5, Normalise::None),
            Err(Error::NoSamples { num_classes: 2 })
        );
    }

    #[test]
    fn normalisations_are_known_by_name() {
        assert_eq!("mean_one".parse(), Ok(Normalise::MeanOne));
        assert!("sum".parse::<Normalise>().is_err());
    }
}
