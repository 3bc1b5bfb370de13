//! Which pictures are wanted, and which stretches of packets give them.
use crate::index::Index;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The wanted frames, by their place in presentation order.
#[derive(Debug, Clone, Copy)]
pub enum Pick<'a> {
    /// This many frames, evenly spread from the first to the last.
    Uniform(usize),
    /// Equally distant frames around the middle.
    Middle {
        /// How many frames.
        count: usize,
        /// From one to the next.
        step: usize,
    },
    /// Equally distant frames from the first on.
    Stride {
        /// How many frames.
        count: usize,
        /// From one to the next.
        step: usize,
    },
    /// The centre of each of this many equal parts.
    Segments(usize),
    /// A frame of each of as many equal parts as there are random words.
    RandomSegments(&'a [u64]),
    /// As many different frames as there are random words, ascending.
    Random(&'a [u64]),
    /// These frames, in this order; repeats are allowed.
    Indices(&'a [usize]),
    /// The frames shown at these seconds from the first.
    Times(&'a [f64]),
}

impl Pick<'_> {
    /// How many pictures come out.
    pub fn len(&self) -> usize {
        match self {
            Self::Uniform(count)
            | Self::Middle { count, .. }
            | Self::Stride { count, .. }
            | Self::Segments(count) => *count,
            Self::RandomSegments(words) | Self::Random(words) => words.len(),
            Self::Indices(indices) => indices.len(),
            Self::Times(seconds) => seconds.len(),
        }
    }

    /// Other frames if the clip had another number of them.
    pub(crate) fn depends_on_total(&self) -> bool {
        !matches!(self, Self::Indices(_) | Self::Times(_))
    }

    /// Nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Frames `step` apart from `start` on; a clip that is too short repeats its last one.
pub(crate) fn stride(total: usize, count: usize, start: usize, step: usize) -> Vec<usize> {
    let last = total.saturating_sub(1);
    (0..count)
        .map(|i| i.saturating_mul(step).saturating_add(start).min(last))
        .collect()
}

/// Where frames `step` apart begin so that they lie around the middle.
pub(crate) fn middle(total: usize, count: usize, step: usize) -> usize {
    let span = count
        .saturating_sub(1)
        .saturating_mul(step)
        .saturating_add(1);
    (total / 2).saturating_sub(span / 2)
}

/// The centre of each of `count` equal parts.
pub(crate) fn segments(total: usize, count: usize) -> Vec<usize> {
    (0..count)
        .map(|i| (2 * i + 1) * total / (2 * count))
        .collect()
}

/// One frame of each of as many equal parts as there are words; of a part without any, the next.
pub(crate) fn random_segments(total: usize, words: &[u64]) -> Vec<usize> {
    let edge = |i| i * total / words.len();
    let one = |(i, &word): (usize, &u64)| edge(i) + below(word, (edge(i + 1) - edge(i)).max(1));
    words.iter().enumerate().map(one).collect()
}

/// Different frames, ascending, every set of them equally likely (Floyd 1987); of a clip with
/// fewer frames than words all, and some more than once.
pub(crate) fn random(total: usize, words: &[u64]) -> Vec<usize> {
    if words.len() > total {
        return random_segments(total, words);
    }
    let mut chosen = BTreeSet::new();
    for (&word, newest) in words.iter().zip(total - words.len()..total) {
        if !chosen.insert(below(word, newest + 1)) {
            chosen.insert(newest);
        }
    }
    chosen.into_iter().collect()
}

/// A random word as a number below the bound.
fn below(word: u64, bound: usize) -> usize {
    ((u128::from(word) * bound as u128) >> 64) as usize
}

/// `linspace(0, total - 1, count)` rounded to even: numpy's, operation by operation.
pub(crate) fn uniform(total: usize, count: usize) -> Vec<usize> {
    let last = total.saturating_sub(1);
    let step = last as f64 / count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| {
            if i > 0 && i + 1 == count {
                last
            } else {
                (i as f64 * step).round_ties_even() as usize
            }
        })
        .collect()
}

/// Packets to decode from a keyframe on, and the frames this gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Decode positions; the first is a keyframe (or the first packet of all).
    pub packets: RangeInclusive<usize>,
    /// Presentation ranks, ascending.
    pub ranks: Vec<usize>,
}

impl Stretch {
    /// The most pictures that wait in a decoder for their turn.
    const DELAY: usize = 32;

    /// The same with so many more packets that no wanted picture waits when they end.
    pub(crate) fn prolonged(&self, index: &Index) -> Self {
        let last = index.entries.len() - 1;
        let end = last.min(self.packets.end() + Self::DELAY);
        Self {
            packets: *self.packets.start()..=end,
            ranks: self.ranks.clone(),
        }
    }
}

/// Groups ascending ranks by the keyframe from which each can be decoded.
pub(crate) fn stretches(index: &Index, ranks: impl IntoIterator<Item = usize>) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for rank in ranks {
        let position = index.position(rank);
        let start = index.start_of(position);
        match found
            .iter_mut()
            .rev()
            .take(2)
            .find(|run| *run.packets.start() == start)
        {
            Some(run) => {
                run.packets = start..=position.max(*run.packets.end());
                run.ranks.push(rank);
            }
            None => found.push(Stretch {
                packets: start..=position,
                ranks: vec![rank],
            }),
        }
    }
    // An open GOP's leading pictures start one GOP early, which that GOP's own frames do anyway:
    // decode both at once instead of the same packets twice.
    found.sort_by_key(|run| *run.packets.start());
    let mut merged: Vec<Stretch> = Vec::new();
    for run in found {
        match merged.last_mut() {
            Some(last) if run.packets.start() <= last.packets.end() => {
                let end = *last.packets.end().max(run.packets.end());
                last.packets = *last.packets.start()..=end;
                last.ranks.extend(run.ranks);
                last.ranks.sort_unstable();
            }
            _ => merged.push(run),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::index_of;

    #[test]
    fn uniform_goes_from_the_first_to_the_last_frame() {
        assert_eq!(uniform(10, 4), [0, 3, 6, 9]);
        assert_eq!(uniform(4, 7), [0, 0, 1, 2, 2, 2, 3]);
        assert_eq!(uniform(5, 1), [0]);
        assert_eq!(uniform(1, 3), [0, 0, 0]);
    }

    #[test]
    fn the_middle_has_as_much_before_as_behind() {
        let row = |total, count, step| stride(total, count, middle(total, count, step), step);
        assert_eq!(row(10, 4, 1), [3, 4, 5, 6]);
        assert_eq!(row(10, 3, 3), [2, 5, 8]);
        assert_eq!(row(3, 5, 1), [0, 1, 2, 2, 2]);
        assert_eq!(row(9, 1, 7), [4]);
        assert_eq!(stride(10, 4, 0, 3), [0, 3, 6, 9]);
        assert_eq!(stride(10, 4, 0, usize::MAX), [0, 9, 9, 9]);
    }

    #[test]
    fn segments_are_equal_parts() {
        assert_eq!(segments(9, 3), [1, 4, 7]);
        assert_eq!(segments(2, 4), [0, 0, 1, 1]);
        assert_eq!(random_segments(9, &[0, u64::MAX, 1 << 63]), [0, 5, 7]);
        assert_eq!(random_segments(2, &[0; 4]), [0, 0, 1, 1]);
        assert_eq!(random_segments(1, &[u64::MAX; 3]), [0, 0, 0]);
    }

    #[test]
    fn random_frames_differ_and_every_set_is_reached() {
        let words = [0, 1 << 62, 1 << 63, 3 << 62];
        let sets: BTreeSet<Vec<usize>> = words
            .iter()
            .flat_map(|&a| words.map(|b| random(4, &[a, b])))
            .collect();
        let pairs = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
        assert_eq!(sets, pairs.iter().map(|pair| pair.to_vec()).collect());
        assert_eq!(random(3, &[u64::MAX; 3]), [0, 1, 2]);
        assert_eq!(random(2, &[0; 4]), [0, 0, 1, 1]);
    }

    #[test]
    fn frames_of_one_group_share_a_stretch_that_ends_at_the_last_wanted_packet() {
        // I P B B | I P B B in decode order
        let index = index_of(
            &[(0, true), (3, false), (1, false), (2, false)]
                .into_iter()
                .chain([(4, true), (7, false), (5, false), (6, false)])
                .collect::<Vec<_>>(),
        );
        let got = stretches(&index, [1, 3, 5]);
        assert_eq!(
            got,
            [
                Stretch {
                    packets: 0..=2,
                    ranks: vec![1, 3]
                },
                Stretch {
                    packets: 4..=6,
                    ranks: vec![5]
                },
            ]
        );
    }

    #[test]
    fn a_leading_picture_starts_one_group_earlier() {
        // I(0) P(2) B(1) | I(5) B(3) B(4) P(6): 3 and 4 are shown before their keyframe.
        let packets = [
            (0, true),
            (2, false),
            (1, false),
            (5, true),
            (3, false),
            (4, false),
        ];
        let index = index_of(&[&packets[..], &[(6, false)]].concat());
        assert_eq!(
            stretches(&index, [4]),
            [Stretch {
                packets: 0..=5,
                ranks: vec![4]
            }]
        );
        assert_eq!(
            stretches(&index, [6]),
            [Stretch {
                packets: 3..=6,
                ranks: vec![6]
            }]
        );
        assert_eq!(
            stretches(&index, [4, 6]),
            [Stretch {
                packets: 0..=6,
                ranks: vec![4, 6]
            }]
        );
    }
}
