//! Which pictures are wanted, and which stretches of packets give them.
use crate::index::Index;
use std::ops::RangeInclusive;

/// The wanted frames, by their place in presentation order.
#[derive(Debug, Clone, Copy)]
pub enum Pick<'a> {
    /// This many frames, evenly spread from the first to the last.
    Uniform(usize),
    /// These frames, in this order; repeats are allowed.
    Indices(&'a [usize]),
}

impl Pick<'_> {
    /// How many pictures come out.
    pub fn len(&self) -> usize {
        match self {
            Self::Uniform(count) => *count,
            Self::Indices(indices) => indices.len(),
        }
    }

    /// Nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
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
