//! Wide vectors, chosen at run time.
//!
//! Everything computes with integers, so the results are the same on every machine.

// Only what is inlined is compiled for the vectors of the caller.
#![allow(clippy::inline_always)]

/// Numbers that are worked on at the same time.
pub(crate) type Lanes = [u16; 16];

/// Work that gains from wide vectors. `run` and all it calls should be inlined.
pub(crate) trait Kernel {
    fn run<V: Vectors>(self, vectors: V);
}

/// What the vectors of a machine can do.
pub(crate) trait Vectors: Copy {
    /// Each byte times 256.
    fn widen(self, bytes: &[u8; 16]) -> Lanes;

    /// Adds the upper half of the products with the weight; the sums must not overflow.
    fn add_share(self, sums: Lanes, values: &Lanes, weight: u16) -> Lanes;

    /// Rows become columns.
    fn turn_words(self, rows: [&[u16; 8]; 8]) -> [[u16; 8]; 8];

    /// Rows become columns.
    fn turn_bytes(self, rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16];
}

/// Runs the kernel with the widest vectors that this machine has.
pub(crate) fn run_wide(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine was just asked for the only feature that the function needs.
        return unsafe { x86::run_avx2(kernel) };
    }
    kernel.run(Portable);
}

/// Any machine: the compiler finds vectors, or not.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Vectors for Portable {
    #[inline(always)]
    fn widen(self, bytes: &[u8; 16]) -> Lanes {
        bytes.map(|byte| u16::from(byte) << 8)
    }

    #[inline(always)]
    fn add_share(self, mut sums: Lanes, values: &Lanes, weight: u16) -> Lanes {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += ((u32::from(value) * u32::from(weight)) >> 16) as u16;
        }
        sums
    }

    #[inline(always)]
    fn turn_words(self, rows: [&[u16; 8]; 8]) -> [[u16; 8]; 8] {
        std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
    }

    #[inline(always)]
    fn turn_bytes(self, rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
        std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Lanes, Vectors};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16,
        _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm256_add_epi16, _mm256_cvtepu8_epi16,
        _mm256_loadu_si256, _mm256_mulhi_epu16, _mm256_set1_epi16, _mm256_slli_epi16,
        _mm256_storeu_si256,
    };
    use std::ptr;

    /// Made by `run_avx2` alone, which runs only where there is AVX2.
    #[derive(Clone, Copy)]
    struct Avx2(());

    #[target_feature(enable = "avx2")]
    pub(super) fn run_avx2(kernel: impl Kernel) {
        kernel.run(Avx2(()));
    }

    impl Vectors for Avx2 {
        #[inline(always)]
        fn widen(self, bytes: &[u8; 16]) -> Lanes {
            let mut lanes = [0; 16];
            // SAFETY: there is AVX2 where there is self; the arrays are as large as the vectors.
            unsafe {
                let bytes = _mm_loadu_si128(ptr::from_ref(bytes).cast());
                let wide = _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(bytes));
                _mm256_storeu_si256(ptr::from_mut(&mut lanes).cast(), wide);
            }
            lanes
        }

        #[inline(always)]
        fn add_share(self, sums: Lanes, values: &Lanes, weight: u16) -> Lanes {
            let mut added = [0; 16];
            // SAFETY: there is AVX2 where there is self; the arrays are as large as the vectors.
            unsafe {
                let load =
                    |lanes: &Lanes| -> __m256i { _mm256_loadu_si256(ptr::from_ref(lanes).cast()) };
                let weight = _mm256_set1_epi16(weight as i16);
                let shares = _mm256_mulhi_epu16(load(values), weight);
                let sums = _mm256_add_epi16(load(&sums), shares);
                _mm256_storeu_si256(ptr::from_mut(&mut added).cast(), sums);
            }
            added
        }

        #[inline(always)]
        fn turn_words(self, rows: [&[u16; 8]; 8]) -> [[u16; 8]; 8] {
            let mut turned = [[0; 8]; 8];
            // SAFETY: every x86-64 machine has SSE2; the arrays are as large as the vectors.
            unsafe {
                let v = rows.map(|row| _mm_loadu_si128(ptr::from_ref(row).cast()));
                let interleave = |v: [__m128i; 8]| {
                    let mut mixed = v;
                    for i in 0..4 {
                        mixed[2 * i] = _mm_unpacklo_epi16(v[i], v[i + 4]);
                        mixed[2 * i + 1] = _mm_unpackhi_epi16(v[i], v[i + 4]);
                    }
                    mixed
                };
                // Interleaving the halves log2 n times turns n rows over.
                let v = interleave(interleave(interleave(v)));
                for (column, v) in turned.iter_mut().zip(v) {
                    _mm_storeu_si128(ptr::from_mut(column).cast(), v);
                }
            }
            turned
        }

        #[inline(always)]
        fn turn_bytes(self, rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
            let mut turned = [[0; 16]; 16];
            // SAFETY: every x86-64 machine has SSE2; the arrays are as large as the vectors.
            unsafe {
                let v = rows.each_ref();
                let v = v.map(|row| _mm_loadu_si128(ptr::from_ref(row).cast()));
                let interleave = |v: [__m128i; 16]| {
                    let mut mixed = v;
                    for i in 0..8 {
                        mixed[2 * i] = _mm_unpacklo_epi8(v[i], v[i + 8]);
                        mixed[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + 8]);
                    }
                    mixed
                };
                let v = interleave(interleave(interleave(interleave(v))));
                for (column, v) in turned.iter_mut().zip(v) {
                    _mm_storeu_si128(ptr::from_mut(column).cast(), v);
                }
            }
            turned
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the operations against their definitions.
    struct Check;

    impl Kernel for Check {
        fn run<V: Vectors>(self, vectors: V) {
            let words: [[u16; 8]; 8] =
                std::array::from_fn(|y| std::array::from_fn(|x| (1000 * y + x) as u16));
            let bytes: [[u8; 16]; 16] =
                std::array::from_fn(|y| std::array::from_fn(|x| (16 * y + x) as u8));
            let turned = vectors.turn_words(words.each_ref());
            let over = vectors.turn_bytes(&bytes);
            for y in 0..16 {
                for x in 0..16 {
                    assert_eq!(over[x][y], bytes[y][x]);
                    if y < 8 && x < 8 {
                        assert_eq!(turned[x][y], words[y][x]);
                    }
                }
                let wide = vectors.widen(&bytes[y]);
                assert_eq!(wide, bytes[y].map(|byte| u16::from(byte) * 256));
                let sums = vectors.add_share([y as u16; 16], &wide, 40_000);
                for (sum, byte) in sums.iter().zip(bytes[y]) {
                    assert_eq!(
                        u32::from(*sum),
                        y as u32 + ((u32::from(byte) * 256 * 40_000) >> 16)
                    );
                }
            }
        }
    }

    #[test]
    fn vectors_do_what_they_promise() {
        Check.run(Portable);
        run_wide(Check);
    }
}
