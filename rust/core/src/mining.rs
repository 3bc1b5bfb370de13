//! Hard negative mining: the negatives of the largest losses.
use rayon::prelude::*;

use crate::error::Error;
use crate::order::{Packed, Real, sort_by_rank};
use crate::work::{BLOCK, Interrupt, find_first};

/// How many negatives are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// So many.
    Number(usize),
    /// So many for each positive, at least `least`.
    Ratio {
        /// Negatives for each positive.
        ratio: f64,
        /// How many when there are no or few positives.
        least: usize,
    },
}

/// What is done with losses that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFinite {
    /// Nothing is mined.
    Refuse,
    /// NaN is harder than any number.
    First,
}

/// Finds the hardest negatives of each row: largest loss first, equal losses by index.
///
/// The result holds places in `losses`, row after row. Time is linear in the number of losses.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn hard_negatives<T: Real>(
    losses: &[T],
    negative: &[u8],
    row_len: usize,
    wanted: Wanted,
    most: usize,
    not_finite: NotFinite,
    interrupt: &Interrupt,
) -> Result<Vec<i64>, Error> {
    if negative.len() != losses.len() {
        let len = negative.len();
        return Err(Error::length("negative_mask", len, "losses", losses.len()));
    }
    match wanted {
        Wanted::Ratio { ratio, .. } if !(ratio >= 0.0 && ratio.is_finite()) => {
            let remedy = "3 negatives for each positive are usual";
            return Err(Error::range("ratio", "finite and >= 0", ratio, remedy));
        }
        Wanted::Ratio { .. } | Wanted::Number(_) => {}
    }
    if not_finite == NotFinite::Refuse {
        let bad = |index: &usize| negative[*index] != 0 && !losses[*index].is_finite();
        // Only where some loss is bad does it matter whether it is a negative's.
        if let Some(index) = find_first(losses, |loss| !loss.is_finite())
            .and_then(|first| (first..losses.len()).find(bad))
        {
            return Err(Error::not_finite("losses", losses[index].into(), index));
        }
    }
    let mine = |(number, (losses, negative)): (usize, (&[T], &[u8]))| {
        interrupt.check()?;
        let row = Row { losses, negative };
        let k = row.wanted(wanted).min(most);
        let mut places = if size_of::<T>() == 4 && (losses.len() as u64) < u64::TAGS {
            row.hardest::<u64>(k, interrupt)?
        } else {
            row.hardest::<u128>(k, interrupt)?
        };
        for place in &mut places {
            *place += (number * row_len) as i64;
        }
        Ok(places)
    };
    let row_len = row_len.max(1);
    let rows = losses.chunks(row_len).zip(negative.chunks(row_len));
    if losses.len() <= BLOCK || row_len >= losses.len() {
        let rows: Result<Vec<_>, _> = rows.enumerate().map(mine).collect();
        return rows.map(|rows| rows.concat());
    }
    let rows: Result<Vec<_>, _> = losses
        .par_chunks(row_len)
        .zip(negative.par_chunks(row_len))
        .enumerate()
        .map(mine)
        .collect();
    rows.map(|rows| rows.concat())
}

struct Row<'a, T> {
    losses: &'a [T],
    negative: &'a [u8],
}

/// Losses looked at to guess how large the hardest are: so many, of a short row one in `SPARSE`.
const SAMPLE: usize = 2048;
const SPARSE: usize = 16;
/// Losses of a row that is gathered whole: guessing would cost more than it saves.
const SHORT: usize = 2048;
/// Losses whose comparisons become the bits of one word.
const WORD: usize = 64;
/// Candidates among which the right ones are picked before these are sorted.
const PICKED: usize = 1 << 12;

impl<T: Real> Row<'_, T> {
    fn wanted(&self, wanted: Wanted) -> usize {
        match wanted {
            Wanted::Number(number) => number,
            Wanted::Ratio { ratio, least } => {
                // Sums of bytes are what the compiler makes the widest vectors of.
                let parts = self.negative.chunks(u8::MAX.into());
                let positives: usize = parts
                    .map(|marks| marks.iter().map(|&mark| u8::from(mark == 0)).sum::<u8>())
                    .map(usize::from)
                    .sum();
                ((ratio * positives as f64) as usize).max(least)
            }
        }
    }

    fn hardest<P: Packed>(&self, k: usize, interrupt: &Interrupt) -> Result<Vec<i64>, Error> {
        if k == 0 {
            return Ok(Vec::new());
        }
        let mut found: Vec<P> = self.from(self.guess(k), interrupt)?;
        if found.len() < k {
            found = self.from(None, interrupt)?;
        }
        if found.len() > PICKED {
            sort_by_rank(&mut found, interrupt)?;
        } else {
            if found.len() > k {
                found.select_nth_unstable(k);
                found.truncate(k);
            }
            found.sort_unstable();
        }
        found.truncate(k);
        Ok(found.into_iter().map(|item| item.tag() as i64).collect())
    }

    /// A loss that a few more than k negatives most likely reach; none where all may be needed.
    fn guess(&self, k: usize) -> Option<T> {
        let len = self.losses.len();
        if len <= SHORT {
            return None;
        }
        let step = (len / SAMPLE).max(SPARSE);
        let mut sample: Vec<u64> = (0..len)
            .step_by(step)
            .filter(|&index| self.negative[index] != 0)
            .map(|index| rank(self.losses[index]))
            .collect();
        // Four standard deviations of what a random sample would hold, and a little more.
        let expected = k as f64 / step as f64;
        let place = (expected + 4.0 * expected.sqrt() + 4.0) as usize;
        if place >= sample.len() {
            return None;
        }
        let (_, &mut least, _) = sample.select_nth_unstable(place);
        Some(T::of_rank(least))
    }

    /// The negatives of at least this loss, and those that are NaN, by index.
    fn from<P: Packed>(&self, least: Option<T>, interrupt: &Interrupt) -> Result<Vec<P>, Error> {
        let collect = |(block, (losses, negative)): (usize, (&[T], &[u8]))| {
            interrupt.check()?;
            let mut found = Vec::new();
            let words = losses.chunks(WORD).zip(negative.chunks(WORD));
            for (start, (losses, negative)) in (block * BLOCK..).step_by(WORD).zip(words) {
                let mut hard = match least {
                    Some(least) => bits(losses, negative, |loss| reaches(loss, least)),
                    None => bits(losses, negative, |_| true),
                };
                while hard != 0 {
                    let place = hard.trailing_zeros() as usize;
                    found.push(P::pack(rank(losses[place]), (start + place) as u64));
                    hard &= hard - 1;
                }
            }
            Ok(found)
        };
        if self.losses.len() <= BLOCK {
            return collect((0, (self.losses, self.negative)));
        }
        let blocks: Result<Vec<_>, _> = self
            .losses
            .par_chunks(BLOCK)
            .zip(self.negative.par_chunks(BLOCK))
            .enumerate()
            .map(collect)
            .collect();
        blocks.map(|blocks| blocks.concat())
    }
}

/// Whether a loss is as hard as another one; NaN is harder than any number.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is less than nothing")]
fn reaches<T: Real>(loss: T, least: T) -> bool {
    !(loss < least)
}

/// Which losses are those of hard negatives, the first one in the lowest bit.
///
/// All are compared before any is branched at: the compiler uses vectors, and bytes of 0 or 1 move
/// together by one multiplication.
fn bits<T: Real>(losses: &[T], negative: &[u8], is_hard: impl Fn(T) -> bool) -> u64 {
    let mut hard = [0; WORD];
    for (hard, (&loss, &mark)) in hard.iter_mut().zip(losses.iter().zip(negative)) {
        *hard = u8::from((mark != 0) & is_hard(loss));
    }
    let bytes = hard.chunks_exact(8).rev().map(|eight| {
        let eight = eight
            .iter()
            .rev()
            .fold(0, |word, &one| word << 8 | u64::from(one));
        eight.wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    bytes.fold(0, |word, byte| word << 8 | byte)
}

/// No number has rank 0, so that NaN can.
fn rank<T: Real>(loss: T) -> u64 {
    if loss.into().is_nan() { 0 } else { loss.rank() }
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    fn mine(losses: &[f32], k: usize) -> Result<Vec<i64>, Error> {
        let mask = vec![1; losses.len()];
        let (wanted, len) = (Wanted::Number(k), losses.len());
        hard_negatives(
            losses,
            &mask,
            len,
            wanted,
            usize::MAX,
            NotFinite::Refuse,
            &QUIET,
        )
    }

    #[test]
    fn equal_losses_are_taken_by_index() {
        assert_eq!(mine(&[1.0, 2.0, 1.0, 2.0, 1.0], 3), Ok(vec![1, 3, 0]));
    }

    #[test]
    fn a_misleading_sample_costs_time_but_no_right_answer() {
        // Every looked-at loss is large, all others are small: the guess is far too high.
        let len = 8 * SAMPLE;
        let losses: Vec<f32> = (0..len).map(|i| f32::from(u8::from(i % 8 == 0))).collect();
        let mined = mine(&losses, 6000).expect("valid");
        let expected = (0..len as i64)
            .step_by(8)
            .chain((0..len as i64).filter(|i| i % 8 > 0));
        assert!(mined.iter().copied().eq(expected.take(6000)));
    }

    #[test]
    fn nan_is_named_or_comes_first() {
        assert!(mine(&[1.0, f32::NAN], 1).is_err());
        let first = hard_negatives(
            &[f32::INFINITY, f32::NAN, 3.0],
            &[1; 3],
            3,
            Wanted::Number(2),
            9,
            NotFinite::First,
            &QUIET,
        );
        assert_eq!(first, Ok(vec![1, 0]));
    }
}
