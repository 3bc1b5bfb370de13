//! What is known of the clips opened last: opening one again costs next to nothing.
use crate::clip::Known;
use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most packets remembered in all, about 64 MB.
const MOST_PACKETS: usize = 1 << 20;

/// A file and its content: writing to it changes the times, replacing it the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    device: u64,
    number: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

struct Slot {
    known: Arc<Known>,
    used: u64,
}

#[derive(Default)]
struct Cache {
    slots: HashMap<Stamp, Slot>,
    clock: u64,
    packets: usize,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

impl Stamp {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            number: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Would writing to the file right now give it another stamp? Clocks of file systems are coarse.
    fn is_settled(&self) -> bool {
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        let grain = Duration::from_millis(if nanoseconds == 0 { 2000 } else { 20 });
        let at = Duration::new(seconds.max(0) as u64, nanoseconds.max(0) as u32);
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .is_ok_and(|now| now > at + grain)
    }
}

impl Cache {
    fn get(&mut self, stamp: &Stamp) -> Option<Arc<Known>> {
        self.clock += 1;
        let slot = self.slots.get_mut(stamp)?;
        slot.used = self.clock;
        Some(Arc::clone(&slot.known))
    }

    fn put(&mut self, stamp: Stamp, known: Arc<Known>, most: usize) {
        self.clock += 1;
        let used = self.clock;
        self.packets += known.packets();
        if let Some(old) = self.slots.insert(stamp, Slot { known, used }) {
            self.packets -= old.known.packets();
        }
        if self.packets > most {
            // The older half goes at once: that spares keeping them in order.
            let mut ages: Vec<u64> = self.slots.values().map(|slot| slot.used).collect();
            ages.sort_unstable();
            let middle = ages[ages.len() / 2];
            self.slots
                .retain(|_, slot| slot.used > middle && slot.known.packets() <= most / 4);
            self.packets = self.slots.values().map(|slot| slot.known.packets()).sum();
        }
    }
}

/// What is known of this content.
///
/// The lock is only tried: a fork may have taken it along locked, and a cache is no reason to wait.
pub(crate) fn get(stamp: &Stamp) -> Option<Arc<Known>> {
    CACHE.try_lock().ok()?.get(stamp)
}

/// Remembers it, if nobody can be writing to the file any more.
pub(crate) fn put(stamp: Stamp, known: &Arc<Known>) {
    if stamp.is_settled()
        && let Ok(mut cache) = CACHE.try_lock()
    {
        cache.put(stamp, Arc::clone(known), MOST_PACKETS);
    }
}
