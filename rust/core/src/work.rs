//! How long work is cut into blocks, so that it can run on many threads and stop early.
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::error::Error;

/// Elements between two looks at the interrupt: well under 10 ms of work in any kernel.
///
/// Work of at most one block runs on the calling thread and never touches the thread pool.
/// Results do not depend on this number or on the number of threads.
pub const BLOCK: usize = 1 << 15;

/// A flag that one thread raises to stop a kernel running on others.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// An interrupt that nobody has raised yet.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks every kernel that was given this interrupt to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Passes while nobody asked.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the interrupt is raised.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_raised() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Fills `out` block by block, in parallel; `fill` gets each block with the index of its first element.
///
/// # Errors
/// [`Error::Interrupted`] when the interrupt is raised on the way.
pub fn fill_blocks<T: Send>(
    out: &mut [T],
    interrupt: &Interrupt,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<(), Error> {
    if out.len() <= BLOCK {
        fill(0, out);
        return Ok(());
    }
    out.par_chunks_mut(BLOCK)
        .enumerate()
        .try_for_each(|(number, block)| {
            interrupt.check()?;
            fill(number * BLOCK, block);
            Ok(())
        })
}

/// The results of `0..count`, in parallel when together they touch more than a block of elements.
///
/// # Errors
/// One of the errors of `one`, or [`Error::Interrupted`].
pub fn map_items<R: Send>(
    count: usize,
    elements: usize,
    interrupt: &Interrupt,
    one: impl Fn(usize) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let one = |number| {
        interrupt.check()?;
        one(number)
    };
    if elements <= BLOCK {
        return (0..count).map(one).collect();
    }
    (0..count).into_par_iter().map(one).collect()
}

/// The place of the first item that is bad, looked for in parallel.
pub fn find_first<T: Copy + Sync>(items: &[T], is_bad: impl Fn(T) -> bool + Sync) -> Option<usize> {
    // Looking at a run without leaving early is what lets the compiler use vectors.
    const RUN: usize = 512;
    let search = |(block, items): (usize, &[T])| {
        (block * BLOCK..)
            .step_by(RUN)
            .zip(items.chunks(RUN))
            .filter(|(_, run)| run.iter().fold(false, |found, &item| found | is_bad(item)))
            .find_map(|(start, run)| Some(start + run.iter().position(|&item| is_bad(item))?))
    };
    if items.len() <= BLOCK {
        return search((0, items));
    }
    items.par_chunks(BLOCK).enumerate().find_map_first(search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_filled_once_with_its_own_index() {
        for len in [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let mut out = vec![0; len];
            let add = |start: usize, block: &mut [usize]| {
                for (offset, slot) in block.iter_mut().enumerate() {
                    *slot += start + offset;
                }
            };
            assert_eq!(fill_blocks(&mut out, &Interrupt::new(), add), Ok(()));
            assert!(out.into_iter().eq(0..len));
        }
    }

    #[test]
    fn the_first_bad_place_is_found_wherever_it_is() {
        for bad in [0, 511, 512, BLOCK - 1, BLOCK, 3 * BLOCK + 1] {
            let mut items = vec![false; 3 * BLOCK + 2];
            items[3 * BLOCK + 1] = true;
            items[bad] = true;
            assert_eq!(find_first(&items, |item| item), Some(bad));
        }
        assert_eq!(find_first(&[(); 2 * BLOCK], |()| false), None);
    }

    #[test]
    fn a_raised_interrupt_stops_long_work() {
        let interrupt = Interrupt::new();
        interrupt.raise();
        let mut out = vec![0_u8; 2 * BLOCK];
        assert_eq!(
            fill_blocks(&mut out, &interrupt, |_, _| ()),
            Err(Error::Interrupted)
        );
    }
}
