//! From packets to pictures: one stretch of a clip at a time.
use crate::av::{Code, Decoder, Frame, Received};
use crate::index::Index;
use crate::packets::Packets;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// An open file with its decoder, for use by one thread.
pub(crate) struct Session<'a> {
    packets: Packets<'a>,
    decoder: Decoder,
    frame: Frame,
    used: bool,
}

/// What the receiver of pictures answers: go on, or that was the last one needed.
pub(crate) type Answer = Result<ControlFlow<()>, Code>;

impl<'a> Session<'a> {
    pub(crate) fn open(path: &'a Path, abort: &'a AtomicBool) -> Result<Self, Code> {
        let packets = Packets::open(path, abort)?;
        let decoder = Decoder::open(packets.demuxer())?;
        Ok(Self {
            packets,
            decoder,
            frame: Frame::new()?,
            used: false,
        })
    }

    /// Decodes the packets and gives every picture in presentation order.
    ///
    /// Returns the places of packets that the decoder refused or the container lost parts of.
    pub(crate) fn run(
        &mut self,
        index: &Index,
        places: RangeInclusive<usize>,
        on_picture: &mut dyn FnMut(&mut Frame) -> Answer,
    ) -> Result<Vec<usize>, Code> {
        if std::mem::replace(&mut self.used, true) {
            self.decoder.flush();
        }
        self.packets.seek(index, *places.start())?;
        let mut damaged = Vec::new();
        for place in places {
            let Some(packet) = self.packets.read()? else {
                break;
            };
            // An empty packet would tell the decoder to drain; it stands for a dropped frame.
            if packet.bytes().is_empty() {
                continue;
            }
            if packet.is_corrupt() {
                damaged.push(place);
            }
            match self.decoder.send(Some(packet)) {
                Ok(()) => {}
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Err(_) => damaged.push(place),
            }
            match self.receive(on_picture)? {
                Step::Continue => {}
                Step::Stop => return Ok(damaged),
                Step::Damage => damaged.push(place),
            }
        }
        // Drain: the pictures that wait for their turn come out without feeding more packets.
        if self.decoder.send(None).is_ok() {
            self.receive(on_picture)?;
        }
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

enum Step {
    Continue,
    Stop,
    Damage,
}
