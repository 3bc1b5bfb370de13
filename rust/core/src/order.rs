//! Real numbers as integers of the same order, and sorting them in parallel.
use rayon::prelude::*;

use crate::deal::{Dealt, deal, gather};
use crate::error::Error;
use crate::work::{BLOCK, Interrupt};

/// A floating-point number that can be ranked.
pub trait Real: Copy + PartialOrd + Send + Sync + Into<f64> {
    /// A smaller rank for a larger number; numbers that are equal, as are both zeros, share one.
    /// NaN is for the caller to keep out.
    fn rank(self) -> u64;

    /// The number of a rank.
    fn of_rank(rank: u64) -> Self;

    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($float:ty, $bits:ty) => {
        impl Real for $float {
            fn rank(self) -> u64 {
                const SIGN: $bits = <$bits>::MAX ^ (<$bits>::MAX >> 1);
                // Adding zero turns the negative zero into the positive one.
                let bits = (self + 0.0).to_bits();
                u64::from(if bits & SIGN == 0 {
                    !(bits | SIGN)
                } else {
                    bits
                })
            }

            fn of_rank(rank: u64) -> Self {
                const SIGN: $bits = <$bits>::MAX ^ (<$bits>::MAX >> 1);
                let bits = rank as $bits;
                Self::from_bits(if bits & SIGN == 0 {
                    !bits & !SIGN
                } else {
                    bits
                })
            }

            fn is_finite(self) -> bool {
                <$float>::is_finite(self)
            }
        }
    };
}
real!(f32, u32);
real!(f64, u64);

/// A rank and what belongs to it in one integer, so that sorting moves one thing only.
pub trait Packed: Copy + Ord + Send + Sync {
    /// Numbers a tag may be below.
    const TAGS: u64;

    /// Orders by rank, then by tag.
    fn pack(rank: u64, tag: u64) -> Self;
    /// The rank.
    fn rank(self) -> u64;
    /// The tag.
    fn tag(self) -> u64;
}

impl Packed for u64 {
    const TAGS: u64 = 1 << 32;

    fn pack(rank: u64, tag: u64) -> Self {
        rank << 32 | tag
    }

    fn rank(self) -> u64 {
        self >> 32
    }

    fn tag(self) -> u64 {
        self & 0xFFFF_FFFF
    }
}

impl Packed for u128 {
    const TAGS: u64 = u64::MAX;

    fn pack(rank: u64, tag: u64) -> Self {
        u128::from(rank) << 64 | u128::from(tag)
    }

    fn rank(self) -> u64 {
        (self >> 64) as u64
    }

    fn tag(self) -> u64 {
        self as u64
    }
}

/// Items for which the counters of digits would cost more than comparisons do.
const FEW: usize = 1 << 10;
/// Items that one thread sorts; more are dealt out first.
const PIECE: usize = 1 << 19;
/// Bits of a rank sorted by at a time: the counters of their values fit the first-level cache.
const DIGIT: u32 = 11;
/// Values of a digit.
const DIGITS: usize = 1 << DIGIT;

/// Sorts by rank in parallel; items of one rank keep their order.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn sort_by_rank<P: Packed>(items: &mut [P], interrupt: &Interrupt) -> Result<(), Error> {
    if items.len() <= FEW {
        items.sort_by_key(|item| item.rank());
        return Ok(());
    }
    interrupt.check()?;
    if items.len() <= PIECE {
        return sort_by_digits(items, interrupt);
    }
    let ranges = items.par_chunks(BLOCK).map(Range::of);
    let range = ranges.reduce(|| Range::of::<P>(&[]), Range::with);
    if range.bits() == 0 {
        return Ok(());
    }
    // Each piece is dealt out by its leading digit on its own, so that threads share no memory they
    // write. Then each digit has a part of the whole, which is sorted where it will stay.
    let shift = range.bits().saturating_sub(DIGIT);
    let dealt: Vec<Dealt<P>> = items
        .par_chunks(PIECE)
        .map(|piece| Dealt::new(by_digit(piece, range.least, shift), DIGITS))
        .collect();
    gather(&dealt, DIGITS, items, |_, part| {
        sort_by_rank(part, interrupt)
    })
}

/// The smallest and the largest rank.
#[derive(Clone, Copy)]
struct Range {
    least: u64,
    most: u64,
}

impl Range {
    fn of<P: Packed>(items: &[P]) -> Self {
        let (mut least, mut most) = (u64::MAX, 0);
        for item in items {
            least = least.min(item.rank());
            most = most.max(item.rank());
        }
        Self { least, most }
    }

    fn with(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// Bits in which ranks differ once the smallest is taken off: few where numbers are near.
    fn bits(self) -> u32 {
        u64::BITS - self.most.saturating_sub(self.least).leading_zeros()
    }
}

/// Items, each with one digit of its rank.
fn by_digit<P: Packed>(
    items: &[P],
    least: u64,
    shift: u32,
) -> impl Iterator<Item = (usize, P)> + Clone {
    let digit = move |item: P| ((item.rank() - least) >> shift) as usize % DIGITS;
    items.iter().map(move |&item| (digit(item), item))
}

fn sort_by_digits<P: Packed>(items: &mut [P], interrupt: &Interrupt) -> Result<(), Error> {
    let range = Range::of(items);
    let mut spare = items.to_vec();
    let (mut from, mut to) = (&mut *items, &mut spare[..]);
    let mut passes = 0;
    for shift in (0..range.bits()).step_by(DIGIT as usize) {
        interrupt.check()?;
        deal(by_digit(from, range.least, shift), to, &mut [0; DIGITS]);
        std::mem::swap(&mut from, &mut to);
        passes += 1;
    }
    if passes % 2 == 1 {
        to.copy_from_slice(from);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_fall_as_numbers_rise_and_lead_back_to_them() {
        let numbers = [
            f64::INFINITY,
            f64::MAX,
            1.0,
            5e-324,
            0.0,
            -5e-324,
            -2.5,
            f64::NEG_INFINITY,
        ];
        let ranks = numbers.map(Real::rank);
        assert!(ranks.is_sorted_by(|left, right| left < right));
        assert!(
            ranks
                .into_iter()
                .zip(numbers)
                .all(|(rank, x)| f64::of_rank(rank).total_cmp(&x).is_eq())
        );
        assert_eq!((-0.0_f64).rank(), 0.0_f64.rank());
        let narrow = [f32::MAX, 0.5, 0.0, -1.0];
        assert!(
            narrow
                .iter()
                .all(|x| f32::of_rank(x.rank()).total_cmp(x).is_eq())
        );
        assert!(narrow.map(Real::rank).is_sorted());
    }

    fn sorted<P: Packed>(len: usize, rank: impl Fn(u64) -> u64) {
        let items =
            (0..len as u64).map(|i| P::pack(rank(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)), i));
        let mut items: Vec<P> = items.collect();
        let mut expected = items.clone();
        expected.sort_unstable();
        assert_eq!(sort_by_rank(&mut items, &Interrupt::new()), Ok(()));
        assert!(items == expected, "{len} items");
    }

    #[test]
    fn items_of_one_rank_keep_their_order_however_many_there_are() {
        for len in [0, 1, 100, BLOCK + 1, PIECE + 1] {
            sorted::<u64>(len, |mixed| mixed >> 32);
            sorted::<u64>(len, |mixed| mixed % 3);
            sorted::<u128>(len, |mixed| mixed);
        }
    }

    #[test]
    fn a_long_sort_stops_when_interrupted() {
        let interrupt = Interrupt::new();
        interrupt.raise();
        let stopped = sort_by_rank(&mut vec![0_u64; BLOCK + 1], &interrupt);
        assert_eq!(stopped, Err(Error::Interrupted));
    }
}
