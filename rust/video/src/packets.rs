//! Packets of a clip by their place in its index.
use crate::av::{Code, Demuxer, Packet};
use crate::index::Index;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reading this many packets forward costs less than a seek.
const NEAR: usize = 64;

/// Reads packets in decode order from any place on.
pub(crate) struct Packets<'a> {
    path: &'a Path,
    abort: &'a AtomicBool,
    demuxer: Demuxer<'a>,
    packet: Packet,
    /// The place of the next packet.
    next: usize,
    /// `packet` is the next one already.
    held: bool,
}

impl<'a> Packets<'a> {
    pub(crate) fn open(path: &'a Path, abort: &'a AtomicBool) -> Result<Self, Code> {
        let demuxer = Demuxer::open(path, abort)?;
        Ok(Self {
            path,
            abort,
            demuxer,
            packet: Packet::new()?,
            next: 0,
            held: false,
        })
    }

    pub(crate) fn demuxer(&self) -> &Demuxer<'a> {
        &self.demuxer
    }

    /// Goes to a place. The container's own seek is only a hint: the packet itself is recognised.
    pub(crate) fn seek(&mut self, index: &Index, to: usize) -> Result<(), Code> {
        let forward = to.checked_sub(self.next);
        if forward.is_none_or(|distance| distance > NEAR) && !self.jump(index, to)? {
            self.demuxer = Demuxer::open(self.path, self.abort)?;
            (self.next, self.held) = (0, false);
        }
        while self.next < to && self.read()?.is_some() {}
        Ok(())
    }

    fn jump(&mut self, index: &Index, to: usize) -> Result<bool, Code> {
        let Some(goal) = index.entries.get(to) else {
            return Ok(false);
        };
        let Some(dts) = goal.dts else {
            return Ok(false);
        };
        if self.demuxer.seek(dts).is_err() {
            return Ok(false);
        }
        for _ in 0..index.entries.len() {
            self.check_abort()?;
            match self.demuxer.read(&mut self.packet) {
                Ok(true) => {}
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Ok(false) | Err(_) => return Ok(false),
            }
            if self.packet.pts() == Some(goal.pts) && self.packet.position() == goal.offset {
                (self.next, self.held) = (to, true);
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
        self.check_abort()?;
        if !std::mem::take(&mut self.held) {
            match self.demuxer.read(&mut self.packet) {
                Ok(true) => {}
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Ok(false) | Err(_) => return Ok(None),
            }
        }
        self.next += 1;
        Ok(Some(&self.packet))
    }

    fn check_abort(&self) -> Result<(), Code> {
        if self.abort.load(Ordering::Relaxed) {
            Err(Code::INTERRUPTED)
        } else {
            Ok(())
        }
    }
}
