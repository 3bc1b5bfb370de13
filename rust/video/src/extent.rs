//! Does the file hold all the bytes that its container declares?
//!
//! A file cut short often demuxes without an error: the frames behind the cut are simply not there.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// What a container says of its own length.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    Unknown,
    /// It holds at least the bytes before this one.
    Until(u64),
    /// What follows the fragments, from this byte on, is none.
    Nonsense(u64),
}

/// Why the file is known not to be whole, if it is.
pub(crate) fn shortfall(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(match extent(&mut file, length)? {
        Extent::Until(end) if end > length => Some(format!(
            "cut short: the container declares at least {end} bytes, the file has {length}"
        )),
        Extent::Nonsense(at) => Some(format!("damaged: no fragment begins at byte {at}")),
        Extent::Unknown | Extent::Until(_) => None,
    })
}

fn extent(file: &mut (impl Read + Seek), length: u64) -> io::Result<Extent> {
    let mut head = [0; 12];
    if length < head.len() as u64 {
        return Ok(Extent::Unknown);
    }
    file.read_exact(&mut head)?;
    if head.starts_with(b"RIFF") {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        // A recorder that died leaves 0 or all ones: nothing is declared.
        let declared = size != 0 && size != u32::MAX;
        return Ok(if declared {
            Extent::Until(8 + u64::from(size))
        } else {
            Extent::Unknown
        });
    }
    if head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        return Ok(matroska_end(file)?.map_or(Extent::Unknown, Extent::Until));
    }
    iso_extent(file, length)
}

/// The end of the last top-level box.
///
/// Only names that belong there count: recorders append all sorts of bytes. But the headers of
/// fragments are among the boxes, and where one is destroyed FFmpeg just ends the film.
fn iso_extent(file: &mut (impl Read + Seek), length: u64) -> io::Result<Extent> {
    const NAMES: [&[u8; 4]; 13] = [
        b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"mfra",
        b"uuid", b"meta", b"emsg",
    ];
    let (mut at, mut fragments, mut plain) = (0, false, false);
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 16];
        let got = (length - at).min(16) as usize;
        file.read_exact(&mut head[..got])?;
        if !NAMES.iter().any(|name| head[4..8] == name[..]) {
            if at > 0 && !plain && !is_padding(file, at)? {
                return Ok(Extent::Nonsense(at));
            }
            break;
        }
        fragments |= head[4..8] == *b"moof";
        plain |= head[4..8] == *b"mdat" && !fragments;
        let short = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let size = match short {
            0 => length - at, // up to the end of the file
            1 => u64::from_be_bytes([
                head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
            ]),
            size => u64::from(size),
        };
        if size < 8 {
            break; // not a box: padding after the last one
        }
        at = at.saturating_add(size);
    }
    Ok(if at > 0 {
        Extent::Until(at)
    } else {
        Extent::Unknown
    })
}

/// May this follow the last box? A box of some other kind, or zeros up to the end.
fn is_padding(file: &mut (impl Read + Seek), at: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at + 4))?;
    let mut name = [0; 4];
    file.read_exact(&mut name)?;
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(at))?;
    for byte in io::BufReader::new(file).bytes() {
        if byte? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The end of the segment, when it has a known size.
fn matroska_end(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(4))?;
    let Some(header) = vint(file)? else {
        return Ok(None);
    };
    file.seek(SeekFrom::Current(header as i64))?;
    let mut id = [0; 4];
    if file.read_exact(&mut id).is_err() || id != [0x18, 0x53, 0x80, 0x67] {
        return Ok(None);
    }
    let size = vint(file)?;
    let start = file.stream_position()?;
    Ok(size.map(|size| start.saturating_add(size)))
}

/// A variable-length size of EBML; `None` when all its bits are set: unknown.
fn vint(file: &mut impl Read) -> io::Result<Option<u64>> {
    let mut first = [0];
    if file.read(&mut first)? == 0 || first[0] == 0 {
        return Ok(None);
    }
    let extra = first[0].leading_zeros() as usize;
    let mut rest = [0; 7];
    if file.read_exact(&mut rest[..extra]).is_err() {
        return Ok(None);
    }
    let top = u64::from(first[0]) & ((1 << (7 - extra)) - 1);
    let value = rest[..extra]
        .iter()
        .fold(top, |value, &byte| value << 8 | u64::from(byte));
    Ok((value != (1 << (7 * (extra + 1))) - 1).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn extent_of(bytes: &[u8]) -> Extent {
        extent(&mut Cursor::new(bytes), bytes.len() as u64).expect("a cursor reads")
    }

    fn end(bytes: &[u8]) -> Option<u64> {
        match extent_of(bytes) {
            Extent::Until(end) => Some(end),
            Extent::Unknown => None,
            Extent::Nonsense(at) => panic!("nonsense at {at}"),
        }
    }

    #[test]
    fn what_follows_a_fragment_is_a_box_or_padding() {
        let box_of = |name: &[u8; 4]| [b"\x00\x00\x00\x08", &name[..]].concat();
        let film = [box_of(b"ftyp"), box_of(b"moof"), box_of(b"mdat")].concat();
        let with = |tail: &[u8]| extent_of(&[&film[..], tail].concat());
        assert_eq!(with(b""), Extent::Until(24));
        assert_eq!(with(&box_of(b"gps0")), Extent::Until(24));
        assert_eq!(with(&[0; 20]), Extent::Until(24));
        let zeros_then_more = [&[0; 20], &film[..]].concat();
        assert_eq!(with(&zeros_then_more), Extent::Nonsense(24));
        assert_eq!(
            with(b"\x12\x34\x56\x78\x9A\xBC\xDE\xF0"),
            Extent::Nonsense(24)
        );
        // Recorders append all sorts of bytes to a plain file.
        let plain = [box_of(b"ftyp"), box_of(b"mdat")].concat();
        assert_eq!(
            extent_of(&[&plain[..], &[0x9A; 16]].concat()),
            Extent::Until(16)
        );
    }

    #[test]
    fn riff_declares_its_size_behind_eight_bytes() {
        assert_eq!(end(b"RIFF\x10\x00\x00\x00AVI LIST"), Some(24));
        assert_eq!(end(b"RIFF\x00\x00\x00\x00AVI LIST"), None);
    }

    #[test]
    fn boxes_of_an_iso_file_are_summed() {
        let mut file = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00".to_vec();
        assert_eq!(end(&file), Some(16));
        file.extend(b"\x00\x00\x01\x00mdat");
        assert_eq!(end(&file), Some(16 + 256));
        file.truncate(16);
        file.extend(b"\xFF\x00\x00\x10what");
        assert_eq!(end(&file), Some(16));
        file.truncate(16);
        file.extend(b"\x00\x00\x00\x01mdat\x00\x00\x00\x01\x00\x00\x00\x00");
        assert_eq!(end(&file), Some(16 + (1 << 32)));
    }

    #[test]
    fn a_matroska_segment_may_have_a_known_size() {
        let mut file = b"\x1A\x45\xDF\xA3\x81\x00\x18\x53\x80\x67\x40\x20".to_vec();
        assert_eq!(end(&file), Some(12 + 32));
        file.splice(10.., [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(end(&file), None);
    }

    #[test]
    fn other_files_declare_nothing() {
        assert_eq!(end(b"just a line of text"), None);
        assert_eq!(end(b""), None);
    }
}
