//! Dealing items out to numbered parts, as sorting by digits and long shuffles do.
use rayon::prelude::*;

use crate::error::Error;

/// Moves items to the run of their part, in the order in which they come.
///
/// Items come with the number of their part, which is below `places.len()`. All `places` are 0 at
/// first and become the ends of the runs; `to` is as long as there are items.
#[inline]
pub fn deal<T>(
    items: impl Iterator<Item = (usize, T)> + Clone,
    to: &mut [T],
    places: &mut [usize],
) {
    for (part, _) in items.clone() {
        places[part] += 1;
    }
    let mut before = 0;
    for place in &mut *places {
        before += std::mem::replace(place, before);
    }
    for (part, item) in items {
        let place = &mut places[part];
        to[*place] = item;
        *place += 1;
    }
}

/// A copy of items, those of the first part before those of the second, and so on.
pub struct Dealt<T> {
    items: Vec<T>,
    /// Where each part ends.
    ends: Vec<usize>,
}

impl<T> Dealt<T> {
    /// Deals out items that come with the number of their part, which is below `parts`.
    pub fn new(items: impl Iterator<Item = (usize, T)> + Clone, parts: usize) -> Self {
        let mut dealt = Self {
            items: items.clone().map(|(_, item)| item).collect(),
            ends: vec![0; parts],
        };
        deal(items, &mut dealt.items, &mut dealt.ends);
        dealt
    }

    /// What was dealt to a part.
    pub fn run(&self, part: usize) -> &[T] {
        let start = if part == 0 { 0 } else { self.ends[part - 1] };
        &self.items[start..self.ends[part]]
    }
}

/// Lays all that was dealt to a part, piece after piece, behind the part before, and finishes each
/// part, by its number; in parallel, without memory that two threads write.
///
/// # Errors
/// One of the errors of `finish`.
pub fn gather<T: Copy + Send + Sync>(
    pieces: &[Dealt<T>],
    parts: usize,
    out: &mut [T],
    finish: impl Fn(usize, &mut [T]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let mut rest = out;
    let mut targets = Vec::with_capacity(parts);
    for number in 0..parts {
        let len = pieces.iter().map(|piece| piece.run(number).len()).sum();
        let (target, after) = rest.split_at_mut(len);
        targets.push(target);
        rest = after;
    }
    let fill = |(number, target): (usize, &mut [T])| {
        let mut rest = &mut *target;
        for piece in pieces {
            let run = piece.run(number);
            let (place, after) = rest.split_at_mut(run.len());
            place.copy_from_slice(run);
            rest = after;
        }
        finish(number, target)
    };
    targets.into_par_iter().enumerate().try_for_each(fill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_their_runs_in_order_and_are_finished_by_number() {
        let first = Dealt::new([(0, 1), (2, 4), (0, 2)].into_iter(), 3);
        let second = Dealt::new([(2, 5), (0, 3), (2, 6)].into_iter(), 3);
        let mut out = [0; 6];
        let finish = |number, part: &mut [usize]| {
            for slot in part {
                *slot += 10 * number;
            }
            Ok(())
        };
        assert_eq!(gather(&[first, second], 3, &mut out, finish), Ok(()));
        assert_eq!(out, [1, 2, 3, 24, 25, 26]);
    }
}
