//! From packets to pictures: one stretch of a clip at a time.
use crate::av::{Code, Decoder, Frame, Manner, Parameters, Received};
use crate::disposable::Inspector;
use crate::index::{Index, Order};
use crate::packets::Packets;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// An open file with its decoder, for use by one thread.
pub(crate) struct Session<'a> {
    index: &'a Index,
    parameters: &'a Parameters,
    threads: usize,
    manner: Manner,
    packets: Packets<'a>,
    decoder: Decoder,
    frame: Frame,
    used: bool,
    /// The last stretch was damaged, perhaps its headers, or it told the decoder something beside the
    /// pictures: a flush does not forget that.
    tainted: bool,
}

/// What the receiver of pictures answers: go on, or that was the last one needed.
pub(crate) type Answer = Result<ControlFlow<()>, Code>;

/// Decides about packets to which no other refers: is the one at this place wanted?
pub(crate) struct Skip<'s> {
    pub inspector: Inspector,
    pub is_wanted: &'s dyn Fn(usize) -> bool,
}

impl<'a> Session<'a> {
    /// `suspicious` when stretches in the middle will be asked for, not only the first one.
    pub(crate) fn open(
        path: &'a Path,
        index: &'a Index,
        parameters: &'a Parameters,
        threads: usize,
        manner: Manner,
        abort: &'a AtomicBool,
    ) -> Result<Self, Code> {
        Ok(Self {
            index,
            parameters,
            threads,
            manner,
            packets: Packets::open(path, index, abort)?,
            decoder: Decoder::open(parameters, threads, manner)?,
            frame: Frame::new()?,
            used: false,
            tainted: false,
        })
    }

    /// Several threads decode, each a picture of its own.
    pub(crate) fn is_shared_out(&self) -> bool {
        self.threads > 1
    }

    /// Decodes the packets and gives every picture in presentation order.
    ///
    /// Returns the places of packets that the decoder refused or complained about, and of those
    /// that the container lost parts of.
    pub(crate) fn run(
        &mut self,
        places: RangeInclusive<usize>,
        skip: Option<&Skip<'_>>,
        on_picture: &mut dyn FnMut(&mut Frame) -> Answer,
    ) -> Result<Vec<usize>, Code> {
        if std::mem::take(&mut self.tainted) {
            self.decoder = Decoder::open(self.parameters, self.threads, self.manner)?;
        } else if std::mem::replace(&mut self.used, true) {
            self.decoder.flush();
        }
        self.packets.seek(*places.start())?;
        let (mut damaged, mut told) = (Vec::new(), false);
        let end = *places.end();
        for place in places {
            let Some(packet) = self.packets.read()? else {
                break;
            };
            // An empty packet would tell the decoder to drain; it stands for a dropped frame.
            if packet.bytes().is_empty() {
                continue;
            }
            if skip.is_some_and(|skip| {
                !self.index.entries[place].key
                    && !(skip.is_wanted)(place)
                    && skip.inspector.is_disposable(packet.bytes())
            }) {
                continue;
            }
            told |= !packet.is_plain();
            let refused = match self.decoder.send(Some(packet)) {
                Ok(()) => false,
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Err(_) => true,
            };
            let step = self.receive(on_picture)?;
            let complained = self.decoder.complained();
            // Where files were joined without care for their times, FFmpeg takes the seam for a loss.
            let lossy =
                self.index.entries[place].corrupt && self.index.order == Order::Presentation;
            if refused || complained || step == Step::Damage || lossy {
                damaged.push(place);
            }
            if step == Step::Stop {
                self.tainted = true;
                return Ok(damaged);
            }
        }
        // Drain: the pictures that wait for their turn come out without feeding more packets.
        let step = match self.decoder.send(None) {
            Ok(()) => self.receive(on_picture)?,
            Err(_) => Step::Continue,
        };
        if step == Step::Damage || self.decoder.complained() {
            damaged.push(end);
        }
        self.tainted = told || !damaged.is_empty();
        Ok(damaged)
    }

    fn receive(&mut self, on_picture: &mut dyn FnMut(&mut Frame) -> Answer) -> Result<Step, Code> {
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Picture) => {
                    if on_picture(&mut self.frame)?.is_break() {
                        return Ok(Step::Stop);
                    }
                }
                Ok(Received::Hungry | Received::Drained) => return Ok(Step::Continue),
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Err(_) => return Ok(Step::Damage),
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Step {
    Continue,
    Stop,
    Damage,
}
