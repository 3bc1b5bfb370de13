//! Random numbers: one counter-based generator, keyed by named streams, and the draws made from it.
//!
//! Every draw is a pure function of (key, position), so results do not depend on threads or order.
use std::ops::Range;

use crate::deal::{Dealt, gather};
use crate::error::Error;
use crate::work::{BLOCK, Interrupt, fill_blocks, map_items};

const ROUNDS: usize = 10;
const MULTIPLIERS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
/// The golden ratio and sqrt(3) - 1 as 64-bit fractions: what the key grows by in each round.
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
/// 64-bit words made from one counter value.
const WORDS: usize = 4;
const _: () = assert!(BLOCK % WORDS == 0, "a block must begin at a counter value");

/// Key of the stream `name` under `seed`: BLAKE2b with a 16-byte digest over the seed's 8
/// little-endian bytes followed by the name in UTF-8, read as two little-endian words.
///
/// Names are paths by habit, from the general to the particular: `sampler/epoch=3`.
pub fn stream_key(seed: u64, name: &str) -> [u64; 2] {
    let digest = blake2b_simd::Params::new()
        .hash_length(16)
        .to_state()
        .update(&seed.to_le_bytes())
        .update(name.as_bytes())
        .finalize();
    let mut key = [0; 2];
    for (word, bytes) in key.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
    }
    key
}

/// Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), bit for
/// bit `numpy.random.Philox`: the counter is incremented *before* each block of four words.
#[derive(Clone, Debug)]
pub struct Philox {
    key: [u64; 2],
    counter: [u64; 4],
    words: [u64; WORDS],
    used: usize,
}

impl Philox {
    /// A generator at the beginning of the stream of `key`, counting from `counter` (least
    /// significant word first, wrapping at 2^256).
    pub fn new(key: [u64; 2], counter: [u64; 4]) -> Self {
        Self {
            key,
            counter,
            words: [0; WORDS],
            used: WORDS,
        }
    }

    /// A generator whose next word is word `4 * blocks` of this key's stream.
    fn at_block(key: [u64; 2], counter: [u64; 4], blocks: u64) -> Self {
        Self::new(key, advance(counter, blocks))
    }

    /// The next four words; words left over from an earlier block are not part of them.
    fn next_block(&mut self) -> [u64; WORDS] {
        self.counter = advance(self.counter, 1);
        let (mut x, mut key) = (self.counter, self.key);
        for _ in 0..ROUNDS {
            let [first, second] = [
                u128::from(MULTIPLIERS[0]) * u128::from(x[0]),
                u128::from(MULTIPLIERS[1]) * u128::from(x[2]),
            ];
            x = [
                (second >> 64) as u64 ^ x[1] ^ key[0],
                second as u64,
                (first >> 64) as u64 ^ x[3] ^ key[1],
                first as u64,
            ];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        x
    }

    /// The next 64 bits of the stream.
    pub fn next_word(&mut self) -> u64 {
        if self.used == WORDS {
            self.words = self.next_block();
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// The next number in `[0, 1)`, a multiple of 2^-53: numpy's `Generator.random`.
    pub fn next_double(&mut self) -> f64 {
        unit(self.next_word())
    }

    /// A number in `0..bound` without bias; 0 for the bound 0.
    ///
    /// Lemire, "Fast random integer generation in an interval", 2019: the high half of
    /// word * bound, drawn again for the few words that would favour some results.
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.next_word()) * u128::from(bound);
        if (product as u64) < bound {
            let favoured = bound.wrapping_neg() % bound;
            while (product as u64) < favoured {
                product = u128::from(self.next_word()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }
}

fn advance(counter: [u64; 4], by: u64) -> [u64; 4] {
    let mut carry = by;
    counter.map(|word| {
        let (word, overflow) = word.overflowing_add(carry);
        carry = u64::from(overflow);
        word
    })
}

fn unit(word: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (word >> 11) as f64 * STEP
}

/// Fills `out` with the raw stream of `key`: `numpy.random.Philox(key, counter).random_raw`.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn philox(
    key: [u64; 2],
    counter: [u64; 4],
    out: &mut [u64],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    fill_blocks(out, interrupt, |start, block| {
        let mut stream = Philox::at_block(key, counter, (start / WORDS) as u64);
        for words in block.chunks_mut(WORDS) {
            words.copy_from_slice(&stream.next_block()[..words.len()]);
        }
    })
}

/// Indices that a bucket holds in the mean: they fit the cache of a core.
const BUCKET: usize = 1 << 14;
/// More buckets than this would not fit the cache while they are filled.
const MOST_BUCKETS: usize = 1 << 11;
/// Indices that are dealt out to the buckets at a time.
const PIECE: usize = 1 << 19;

/// Writes a uniformly drawn permutation of `0..out.len()`.
///
/// Few indices are shuffled where they lie (Fisher and Yates, from the end down). Many are first
/// dealt out, each to a bucket drawn for it, so that the shuffling within a bucket stays in the
/// cache (Rao, "Generation of random permutation of given number of elements using random sampling
/// numbers", 1961).
///
/// # Errors
/// [`Error::Interrupted`].
pub fn shuffle(key: [u64; 2], out: &mut [i64], interrupt: &Interrupt) -> Result<(), Error> {
    let len = out.len();
    if len <= BLOCK {
        for (slot, index) in out.iter_mut().zip(0..) {
            *slot = index;
        }
        return shuffle_in_place(Philox::new(key, [0; 4]), out, interrupt);
    }
    let buckets = (len / BUCKET).next_power_of_two().min(MOST_BUCKETS);
    let dealt = map_items(len.div_ceil(PIECE), len, interrupt, |piece| {
        let start = piece * PIECE;
        let indices = start..len.min(start + PIECE);
        let chosen = choose_buckets(key, &indices, buckets);
        let indices = indices.map(|index| index as i64);
        Ok(Dealt::new(
            chosen.iter().map(|&bucket| bucket.into()).zip(indices),
            buckets,
        ))
    })?;
    gather(&dealt, buckets, out, |bucket, part| {
        // The second word of the counter keeps the streams apart: 0 is the dealing's.
        let stream = Philox::new(key, [0, 1 + bucket as u64, 0, 0]);
        shuffle_in_place(stream, part, interrupt)
    })
}

fn shuffle_in_place(
    mut stream: Philox,
    items: &mut [i64],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let mut left = items.len();
    while left > 1 {
        interrupt.check()?;
        let end = left.saturating_sub(BLOCK).max(1);
        while left > end {
            let chosen = stream.below(left as u64) as usize;
            left -= 1;
            items.swap(left, chosen);
        }
    }
    Ok(())
}

/// A bucket for each of the indices, which begin at a multiple of [`PIECE`]; buckets are a power of two.
fn choose_buckets(key: [u64; 2], indices: &Range<usize>, buckets: usize) -> Vec<u16> {
    const LANES: usize = 4 * WORDS;
    const _: () = assert!(MOST_BUCKETS <= 1 << 16 && PIECE % LANES == 0);
    let mut stream = Philox::at_block(key, [0; 4], (indices.start / LANES) as u64);
    let mut chosen = Vec::with_capacity(indices.len() + LANES);
    while chosen.len() < indices.len() {
        for word in stream.next_block() {
            let lanes = [0, 16, 32, 48].map(|shift| (word >> shift) as u16);
            chosen.extend(lanes.map(|lane| lane & (buckets - 1) as u16));
        }
    }
    chosen.truncate(indices.len());
    chosen
}

/// Draws `out.len()` indices with replacement, index i with probability `weights[i] / sum`.
///
/// Draw d takes the first index whose running sum of weights exceeds u * sum, u being double d of
/// the stream: exactly `searchsorted(cumsum(weights), u * sum, side="right")`.
///
/// # Errors
/// [`Error::Weight`], [`Error::WeightSum`], [`Error::Interrupted`].
pub fn weighted_choice(
    weights: &[f64],
    key: [u64; 2],
    out: &mut [i64],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let table = CumulativeTable::new(weights, interrupt)?;
    fill_blocks(out, interrupt, |start, block| {
        let mut stream = Philox::at_block(key, [0; 4], (start / WORDS) as u64);
        for draws in block.chunks_mut(WORDS) {
            for (draw, word) in draws.iter_mut().zip(stream.next_block()) {
                *draw = table.find(word) as i64;
            }
        }
    })
}

/// Running sums of weights with a guide: the answer for the first u of each of 2^bits equal parts
/// of `[0, 1)`. A draw then looks at the few sums of its part only (Chen and Asau, 1974).
struct CumulativeTable {
    sums: Vec<f64>,
    total: f64,
    guide: Vec<usize>,
    bits: u32,
}

impl CumulativeTable {
    fn new(weights: &[f64], interrupt: &Interrupt) -> Result<Self, Error> {
        let mut sums = Vec::with_capacity(weights.len());
        let mut total = 0.0;
        let mut last = 0;
        for (number, block) in weights.chunks(BLOCK).enumerate() {
            interrupt.check()?;
            for (index, &weight) in (number * BLOCK..).zip(block) {
                if !(weight >= 0.0 && weight.is_finite()) {
                    return Err(Error::Weight { index, weight });
                }
                let sum = total + weight;
                if sum > total {
                    last = index;
                }
                total = sum;
                sums.push(sum);
            }
        }
        if !(total > 0.0 && total.is_finite()) {
            return Err(Error::WeightSum { sum: total });
        }
        let bits = weights.len().ilog2();
        let mut guide = Vec::with_capacity((1 << bits) + 1);
        let mut index = 0;
        for part in 0..1_u64 << bits {
            if part % BLOCK as u64 == 0 {
                interrupt.check()?;
            }
            let threshold = unit(part << (63 - bits) << 1) * total;
            while index < last && sums[index] <= threshold {
                index += 1;
            }
            guide.push(index);
        }
        guide.push(last);
        Ok(Self {
            sums,
            total,
            guide,
            bits,
        })
    }

    /// Rounding is monotone, so the answer lies between the guides of u's part and of the next.
    fn find(&self, word: u64) -> usize {
        let part = (word >> 1 >> (63 - self.bits)) as usize;
        let threshold = unit(word) * self.total;
        let (first, last) = (self.guide[part], self.guide[part + 1]);
        first + self.sums[first..last].partition_point(|&sum| sum <= threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    #[test]
    fn philox_gives_the_known_answer_of_its_authors() {
        // Random123's known-answer file, philox4x64-10: pi as counter and key. The counter is
        // incremented before use, so counting begins one below.
        let counter = [
            0x243f_6a88_85a3_08d2,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
        ];
        let key = [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c];
        let mut out = [0; 4];
        philox(key, counter, &mut out, &QUIET).expect("nobody interrupts");
        assert_eq!(
            out,
            [
                0xa528_f454_03e6_1d95,
                0x38c7_2dbd_566e_9788,
                0xa5a1_610e_72fd_18b5,
                0x57bd_43b5_e52b_7fe6
            ],
        );
    }

    #[test]
    fn the_counter_carries_through_all_its_words_and_wraps() {
        assert_eq!(advance([u64::MAX, u64::MAX, 7, 0], 1), [0, 0, 8, 0]);
        assert_eq!(advance([u64::MAX; 4], 3), [2, 0, 0, 0]);
    }

    #[test]
    fn a_long_raw_stream_is_the_word_by_word_stream() {
        let key = stream_key(1, "test");
        let mut out = vec![0; 2 * BLOCK + 3];
        philox(key, [u64::MAX - 5, 0, 0, 0], &mut out, &QUIET).expect("nobody interrupts");
        let mut stream = Philox::new(key, [u64::MAX - 5, 0, 0, 0]);
        assert!(out.into_iter().all(|word| word == stream.next_word()));
    }

    #[test]
    fn streams_differ_by_seed_and_by_name() {
        let key = stream_key(0, "sampler/epoch=3");
        assert_ne!(key, stream_key(1, "sampler/epoch=3"));
        assert_ne!(key, stream_key(0, "sampler/epoch=4"));
    }

    #[test]
    fn bounded_numbers_reach_every_value_and_stay_below() {
        let mut stream = Philox::new([1, 2], [0; 4]);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[stream.below(6) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (850..1150).contains(&count)),
            "{seen:?}"
        );
        // Three quarters of all words: plain multiplication would favour every third value.
        let bound = 3 << 62;
        assert!((0..100).all(|_| stream.below(bound) < bound));
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn a_shuffle_is_a_permutation_also_across_blocks() {
        for len in [0, 1, 2, BLOCK, 2 * BLOCK + 5, PIECE + 1] {
            let mut out = vec![0; len];
            shuffle([3, 4], &mut out, &QUIET).expect("nobody interrupts");
            out.sort_unstable();
            assert!(out.into_iter().eq(0..len as i64));
        }
    }

    #[test]
    fn items_of_weight_zero_are_never_drawn() {
        let mut out = [0; 1_000];
        weighted_choice(&[0.0, 2.0, 0.0, 1.0, 0.0], [5, 6], &mut out, &QUIET).expect("valid");
        assert!(out.iter().all(|index| [1, 3].contains(index)));
        assert!(out.contains(&1) && out.contains(&3));
    }

    #[test]
    fn weights_at_the_ends_of_the_number_range_are_drawn() {
        for weights in [[5e-324, 0.0, 0.0], [f64::MAX, 0.0, 1.0]] {
            let mut out = [9; 100];
            weighted_choice(&weights, [7, 8], &mut out, &QUIET).expect("valid");
            assert!(out.iter().all(|&index| index == 0));
        }
    }

    #[test]
    fn bad_weights_are_named() {
        let draw = |weights: &[f64]| weighted_choice(weights, [0; 2], &mut [0; 3], &QUIET);
        assert_eq!(
            draw(&[1.0, -0.5]),
            Err(Error::Weight {
                index: 1,
                weight: -0.5
            })
        );
        assert!(matches!(
            draw(&[f64::NAN]),
            Err(Error::Weight { index: 0, .. })
        ));
        assert_eq!(draw(&[]), Err(Error::WeightSum { sum: 0.0 }));
        assert_eq!(
            draw(&[f64::MAX; 2]),
            Err(Error::WeightSum { sum: f64::INFINITY })
        );
    }

    #[test]
    fn long_draws_stop_when_interrupted() {
        let interrupt = Interrupt::new();
        interrupt.raise();
        let long = &mut vec![0; 2 * BLOCK];
        assert_eq!(shuffle([0; 2], long, &interrupt), Err(Error::Interrupted));
        assert_eq!(
            weighted_choice(&[1.0], [0; 2], long, &interrupt),
            Err(Error::Interrupted)
        );
    }
}
