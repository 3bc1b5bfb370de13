//! Wide vectors: choosing their width at run time, and turning blocks of numbers over.
//!
//! Everything computes with integers, so the results are the same on every machine.

// Only what is inlined is compiled for the vectors of the caller.
#![allow(clippy::inline_always)]

/// Work that gains from wide vectors. `run` and all it calls should be inlined.
pub(crate) trait Kernel {
    fn run(self);
}

/// Runs the kernel, compiled for the widest vectors that this machine has.
pub(crate) fn run_wide(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine was just asked for the only feature that the function needs.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2(kernel: impl Kernel) {
    kernel.run();
}

/// Rows become columns.
#[inline(always)]
pub(crate) fn turn_words(rows: [&[u16; 8]; 8]) -> [[u16; 8]; 8] {
    #[cfg(target_arch = "x86_64")]
    return x86::turn_words(rows);
    #[cfg(not(target_arch = "x86_64"))]
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

/// Rows become columns.
#[inline(always)]
pub(crate) fn turn_bytes(rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
    #[cfg(target_arch = "x86_64")]
    return x86::turn_bytes(rows);
    #[cfg(not(target_arch = "x86_64"))]
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16,
        _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    };
    use std::ptr;

    /// Interleaving the first half with the second half, log2 n times, turns n x n numbers over.
    #[inline(always)]
    fn interleave<const N: usize>(
        rows: [__m128i; N],
        low: impl Fn(__m128i, __m128i) -> __m128i,
        high: impl Fn(__m128i, __m128i) -> __m128i,
    ) -> [__m128i; N] {
        std::array::from_fn(|i| {
            let (a, b) = (rows[i / 2], rows[i / 2 + N / 2]);
            if i % 2 == 0 { low(a, b) } else { high(a, b) }
        })
    }

    #[inline(always)]
    pub(super) fn turn_words(rows: [&[u16; 8]; 8]) -> [[u16; 8]; 8] {
        // SAFETY: reads the 16 bytes of an array, in any alignment.
        let mut v = rows.map(|row| unsafe { _mm_loadu_si128(ptr::from_ref(row).cast()) });
        for _ in 0..3 {
            // SAFETY: every x86-64 machine has SSE2.
            v = interleave(
                v,
                |a, b| unsafe { _mm_unpacklo_epi16(a, b) },
                |a, b| unsafe { _mm_unpackhi_epi16(a, b) },
            );
        }
        v.map(|column| {
            let mut out = [0; 8];
            // SAFETY: writes the 16 bytes of an array, in any alignment.
            unsafe { _mm_storeu_si128(ptr::from_mut(&mut out).cast(), column) };
            out
        })
    }

    #[inline(always)]
    pub(super) fn turn_bytes(rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
        let mut v: [__m128i; 16] = std::array::from_fn(|i| {
            // SAFETY: reads the 16 bytes of an array, in any alignment.
            unsafe { _mm_loadu_si128(ptr::from_ref(&rows[i]).cast()) }
        });
        for _ in 0..4 {
            // SAFETY: every x86-64 machine has SSE2.
            v = interleave(
                v,
                |a, b| unsafe { _mm_unpacklo_epi8(a, b) },
                |a, b| unsafe { _mm_unpackhi_epi8(a, b) },
            );
        }
        v.map(|column| {
            let mut out = [0; 16];
            // SAFETY: writes the 16 bytes of an array, in any alignment.
            unsafe { _mm_storeu_si128(ptr::from_mut(&mut out).cast(), column) };
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let words: [[u16; 8]; 8] =
            std::array::from_fn(|y| std::array::from_fn(|x| (1000 * y + x) as u16));
        let turned = turn_words(words.each_ref());
        let bytes: [[u8; 16]; 16] =
            std::array::from_fn(|y| std::array::from_fn(|x| (16 * y + x) as u8));
        let over = turn_bytes(&bytes);
        for y in 0..16 {
            for x in 0..16 {
                assert_eq!(over[x][y], bytes[y][x]);
                if y < 8 && x < 8 {
                    assert_eq!(turned[x][y], words[y][x]);
                }
            }
        }
    }
}
