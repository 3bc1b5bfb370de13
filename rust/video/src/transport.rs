//! Pictures out of an MPEG transport stream, put together without FFmpeg.
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

/// Bytes of a packet of the stream.
const PACKET: usize = 188;

/// Fills `to` from the unit whose first packet is at this place of the file.
///
/// # Errors
/// There is no such unit, or it is shorter.
pub(crate) fn read(file: &File, mut at: u64, to: &mut [u8]) -> Result<()> {
    let mut packets = [0; PACKET * 32];
    let mut unit = Unit {
        stream: None,
        room: to,
    };
    loop {
        let whole = file.read_at(&mut packets, at)? / PACKET * PACKET;
        if whole == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for packet in packets[..whole].chunks_exact(PACKET) {
            unit.add(packet)
                .ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
            if unit.room.is_empty() {
                return Ok(());
            }
        }
        at += whole as u64;
    }
}

/// A unit that is being put together.
struct Unit<'t> {
    /// The stream it belongs to, once its first packet was seen.
    stream: Option<u16>,
    /// What is not filled yet.
    room: &'t mut [u8],
}

impl Unit<'_> {
    fn add(&mut self, packet: &[u8]) -> Option<()> {
        let [0x47, high, low, flags, ..] = *packet else {
            return None;
        };
        let stream = u16::from(high & 0x1F) << 8 | u16::from(low);
        let starts = high & 0x40 != 0;
        if self.stream.is_some_and(|ours| ours != stream) {
            return Some(());
        }
        // Bits: an adaptation field, its length first, and a payload.
        let mut payload = packet.get(4..)?;
        if flags & 0x20 != 0 {
            payload = payload.get(1 + usize::from(*payload.first()?)..)?;
        }
        if flags & 0x10 == 0 {
            return Some(());
        }
        match (self.stream, starts) {
            (None, true) => {
                // The header of the unit says in its ninth byte how much longer it is.
                let header = 9 + usize::from(*payload.get(8)?);
                payload = payload
                    .get(header..)
                    .filter(|_| payload.starts_with(&[0, 0, 1]))?;
                self.stream = Some(stream);
            }
            (Some(_), false) => {}
            (None, false) | (Some(_), true) => return None,
        }
        let count = payload.len().min(self.room.len());
        let (filled, rest) = std::mem::take(&mut self.room).split_at_mut(count);
        filled.copy_from_slice(&payload[..count]);
        self.room = rest;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with stuffing in front of its payload.
    fn packet(stream: u8, starts: bool, payload: &[u8]) -> Vec<u8> {
        let stuffing = PACKET - 5 - payload.len();
        let mut packet = vec![0x47, u8::from(starts) << 6, stream, 0x30, stuffing as u8];
        packet.resize(5 + stuffing, 0xFF);
        packet.extend(payload);
        packet
    }

    #[test]
    fn a_unit_is_put_together_from_its_own_packets() {
        let head = [0, 0, 1, 0xE0, 0, 0, 0x80, 0, 1, 0xEE];
        let mut room = [0; 5];
        let mut unit = Unit {
            stream: None,
            room: &mut room,
        };
        let first = [&head[..], &[1, 2]].concat();
        assert!(unit.add(&packet(7, true, &first)).is_some());
        assert!(unit.add(&packet(8, true, &[9, 9])).is_some());
        assert!(unit.add(&packet(7, false, &[3, 4, 5, 6])).is_some());
        assert!(unit.room.is_empty());
        assert_eq!(room, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_next_unit_is_another_one() {
        let head = [0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0, 1];
        let mut room = [0; 5];
        let mut unit = Unit {
            stream: None,
            room: &mut room,
        };
        assert!(unit.add(&packet(7, false, &head)).is_none());
        assert!(unit.add(&packet(7, true, &head)).is_some());
        assert!(unit.add(&packet(7, true, &head)).is_none());
        assert!(unit.add(&[0; PACKET]).is_none());
    }
}
