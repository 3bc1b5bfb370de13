//! Packets of a clip by their place in its index.
use crate::av::{Code, Demuxer, Packet};
use crate::index::{Index, Layout, Order};
use crate::transport;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Reading this many packets forward costs less than a seek.
const NEAR: usize = 64;

/// Reads packets in decode order from any place on.
pub(crate) struct Packets<'a> {
    path: &'a Path,
    index: &'a Index,
    abort: &'a AtomicBool,
    source: Source<'a>,
    packet: Packet,
    /// The place of the next packet.
    next: usize,
}

enum Source<'a> {
    /// The index says where each packet is.
    File { file: File, layout: Layout },
    /// Only the demuxer can put them together.
    Demuxer {
        demuxer: Demuxer<'a>,
        /// The next packet was read already.
        held: bool,
    },
}

impl<'a> Packets<'a> {
    pub(crate) fn open(
        path: &'a Path,
        index: &'a Index,
        abort: &'a AtomicBool,
    ) -> Result<Self, Code> {
        let source = match index.layout {
            Layout::Demuxed => Source::start(path, abort)?,
            layout => {
                let file = File::open(path).map_err(|_| Code::GONE)?;
                Source::File { file, layout }
            }
        };
        Ok(Self {
            path,
            index,
            abort,
            source,
            packet: Packet::new()?,
            next: 0,
        })
    }

    /// Goes to a place.
    pub(crate) fn seek(&mut self, to: usize) -> Result<(), Code> {
        if let Source::File { .. } = self.source {
            self.next = to;
            return Ok(());
        }
        let forward = to.checked_sub(self.next);
        if forward.is_none_or(|distance| distance > NEAR) && !self.jump(to)? {
            self.source = Source::start(self.path, self.abort)?;
            self.next = 0;
        }
        while self.next < to && self.read()?.is_some() {}
        Ok(())
    }

    /// The container's own seek is only a hint: the packet itself is recognised.
    fn jump(&mut self, to: usize) -> Result<bool, Code> {
        let Some(goal) = self.index.entries.get(to) else {
            return Ok(false);
        };
        let (Some(dts), Source::Demuxer { demuxer, held }) = (goal.dts, &mut self.source) else {
            return Ok(false);
        };
        if demuxer.seek(dts).is_err() {
            return Ok(false);
        }
        for _ in 0..self.index.entries.len() {
            check(self.abort)?;
            match demuxer.read(&mut self.packet) {
                Ok(true) => {}
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Ok(false) | Err(_) => return Ok(false),
            }
            if self.packet.pts() == Some(goal.pts) && self.packet.position() == goal.offset {
                (self.next, *held) = (to, true);
                return Ok(true);
            }
            if self.packet.dts().is_some_and(|at| at > dts) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The next packet, or `None` at the end of what can be read.
    pub(crate) fn read(&mut self) -> Result<Option<&Packet>, Code> {
        check(self.abort)?;
        let good =
            match &mut self.source {
                Source::File { file, layout } => match self.index.entries.get(self.next) {
                    Some(entry) => self.packet.fill(
                        entry.size,
                        entry.pts,
                        (entry.key, entry.shown),
                        |bytes| match layout {
                            Layout::Transport => transport::read(file, entry.offset as u64, bytes),
                            _ => file.read_exact_at(bytes, entry.offset as u64),
                        },
                    )?,
                    None => false,
                },
                Source::Demuxer { demuxer, held } => {
                    std::mem::take(held)
                        || match demuxer.read(&mut self.packet) {
                            Ok(good) => good,
                            Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                            Err(_) => false,
                        }
                }
            };
        if good && self.index.order == Order::Decoder {
            // So the pictures say which packets they come from.
            self.packet.set_pts(self.next as i64);
        }
        self.next += 1;
        Ok(good.then_some(&self.packet))
    }
}

impl<'a> Source<'a> {
    fn start(path: &Path, abort: &'a AtomicBool) -> Result<Self, Code> {
        Demuxer::open(path, abort).map(|demuxer| Self::Demuxer {
            demuxer,
            held: false,
        })
    }
}

fn check(abort: &AtomicBool) -> Result<(), Code> {
    if abort.load(Relaxed) {
        Err(Code::INTERRUPTED)
    } else {
        Ok(())
    }
}
