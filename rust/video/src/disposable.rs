//! Packets whose pictures no other picture refers to: when nobody asked for them, they need not be
//! decoded at all.
use crate::av::{Codec, Parameters};

/// How the packets of a stream are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inspector {
    codec: Codec,
    /// Bytes of the length in front of each unit; none when start codes separate them.
    length: Option<usize>,
    /// The highest temporal layer of HEVC: pictures of lower ones may serve those of higher ones.
    top: u8,
}

impl Inspector {
    /// `None` for the compressions that do not say it in a few bytes.
    pub(crate) fn new(parameters: &Parameters) -> Option<Self> {
        Self::of(parameters.codec()?, parameters.extradata())
    }

    fn of(codec: Codec, headers: &[u8]) -> Option<Self> {
        let length_at = match codec {
            Codec::H264 => 4,
            Codec::Hevc => 21,
            Codec::Mpeg4 | Codec::Mpeg2 => usize::MAX,
        };
        // With start codes the headers begin with one, too.
        let by_length = headers.first() == Some(&1);
        let length = headers.get(length_at).filter(|_| by_length);
        Some(Self {
            codec,
            length: length.map(|byte| usize::from(byte & 3) + 1),
            top: match codec {
                Codec::Hevc => top_layer(headers, by_length)?,
                _ => 0,
            },
        })
    }

    /// Does no other picture refer to what the packet holds? `false` in all doubt.
    pub(crate) fn is_disposable(self, packet: &[u8]) -> bool {
        let (mut pictures, mut leaves, mut whole) = (0, 0, true);
        let mut see = |unit: &[u8]| {
            if let Some(leaf) = self.unit(unit) {
                pictures += 1;
                leaves += u32::from(leaf);
            }
        };
        match self.length {
            Some(bytes) => whole = prefixed(packet, bytes, &mut see),
            None => separated(packet, &mut see),
        }
        whole && pictures > 0 && leaves == pictures
    }

    /// Is this part of a picture one of a leaf? `None` when it is no part of a picture.
    fn unit(self, unit: &[u8]) -> Option<bool> {
        let &first = unit.first()?;
        let second = unit.get(1).copied();
        match self.codec {
            Codec::H264 => match first & 0x1F {
                // Slices, also partitioned ones: does the picture serve as a reference?
                1..=4 => Some(first & 0x60 == 0),
                // A keyframe; a slice of another view or layer.
                5 | 14 | 20 | 21 => Some(false),
                _ => None,
            },
            Codec::Hevc => match first >> 1 {
                // The even ones serve no picture of their own temporal layer.
                kind @ 0..=15 => Some(kind % 2 == 0 && second == Some(self.top + 1)),
                16..=31 => Some(false),
                _ => None,
            },
            // The type of a picture stands in its first bits: 2 is B.
            Codec::Mpeg4 if first == 0xB6 => Some(second? >> 6 == 2),
            Codec::Mpeg2 if first == 0 => Some(unit.get(2)? >> 3 & 7 == 3),
            Codec::Mpeg4 | Codec::Mpeg2 => None,
        }
    }
}

/// The highest temporal layer that any sequence parameter set of HEVC allows.
fn top_layer(headers: &[u8], by_length: bool) -> Option<u8> {
    let mut top = None;
    let mut see = |unit: &[u8]| {
        // Behind the two bytes of its kind: four bits of an id, then the number of layers less 1.
        if let [first, _, set, ..] = *unit
            && first >> 1 == 33
        {
            top = top.max(Some(set >> 1 & 7));
        }
    };
    if by_length {
        let (&arrays, mut rest) = headers.get(22..)?.split_first()?;
        for _ in 0..arrays {
            let count = usize::from(*rest.get(1)?) << 8 | usize::from(*rest.get(2)?);
            rest = &rest[3..];
            for _ in 0..count {
                let length = usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?);
                let (unit, behind) = rest[2..].split_at_checked(length)?;
                see(unit);
                rest = behind;
            }
        }
    } else {
        separated(headers, &mut see);
    }
    top
}

/// Shows every unit behind its length; do they fill the packet exactly?
fn prefixed(mut packet: &[u8], bytes: usize, see: &mut dyn FnMut(&[u8])) -> bool {
    while let Some((length, rest)) = packet.split_at_checked(bytes) {
        let length = length
            .iter()
            .fold(0, |value, &byte| value << 8 | usize::from(byte));
        let Some((unit, behind)) = rest.split_at_checked(length) else {
            return false;
        };
        see(unit);
        packet = behind;
    }
    packet.is_empty()
}

/// Shows what follows every start code, up to the end of the packet.
fn separated(packet: &[u8], see: &mut dyn FnMut(&[u8])) {
    let mut at = 0;
    while let Some(window) = packet.get(at..at + 3) {
        // The third byte says how far the next start code is at least.
        match window {
            [0, 0, 1] => {
                see(&packet[at + 3..]);
                at += 3;
            }
            [_, _, 2..=255] => at += 3,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disposable(codec: Codec, length: Option<usize>, packet: &[u8]) -> bool {
        let top = 1;
        Inspector { codec, length, top }.is_disposable(packet)
    }

    #[test]
    fn a_slice_of_h264_says_whether_others_refer_to_it() {
        let h264 = |units: &[u8]| {
            let packet: Vec<u8> = units
                .iter()
                .flat_map(|&unit| [0, 0, 0, 2, unit, 9])
                .collect();
            disposable(Codec::H264, Some(4), &packet)
        };
        assert!(h264(&[0x06, 0x01]));
        assert!(h264(&[0x01, 0x01]));
        // One slice that is referred to is enough.
        assert!(!h264(&[0x01, 0x21]));
        assert!(!h264(&[0x65]));
        assert!(!h264(&[0x06]));
        assert!(disposable(
            Codec::H264,
            None,
            &[0, 0, 1, 9, 5, 0, 0, 1, 1, 7]
        ));
        assert!(!disposable(Codec::H264, None, &[0, 0, 0, 1, 0x41, 7]));
    }

    #[test]
    fn a_packet_with_wrong_lengths_is_kept() {
        assert!(!disposable(Codec::H264, Some(4), &[0, 0, 0, 1, 1, 0]));
        assert!(!disposable(Codec::H264, Some(4), &[0, 0, 0, 9, 1]));
        assert!(!disposable(Codec::H264, Some(4), &[]));
    }

    #[test]
    fn a_slice_of_hevc_is_disposable_in_the_highest_layer_only() {
        assert!(disposable(Codec::Hevc, None, &[0, 0, 1, 0, 2]));
        assert!(disposable(Codec::Hevc, None, &[0, 0, 1, 8 << 1, 2]));
        assert!(!disposable(Codec::Hevc, None, &[0, 0, 1, 0, 1]));
        assert!(!disposable(Codec::Hevc, None, &[0, 0, 1, 1 << 1, 2]));
        assert!(!disposable(Codec::Hevc, None, &[0, 0, 1, 21 << 1, 2]));
    }

    #[test]
    fn the_layers_of_hevc_stand_in_its_headers() {
        let mut headers = vec![1; 22];
        headers.extend([2, 32, 0, 1, 0, 1, 64, 33, 0, 1, 0, 3, 66, 1, 0x25]);
        let inspector = Inspector::of(Codec::Hevc, &headers).expect("a parameter set");
        assert_eq!((inspector.top, inspector.length), (2, Some(2)));
        let separated = [0, 0, 0, 1, 66, 1, 0x01];
        let inspector = Inspector::of(Codec::Hevc, &separated).expect("a parameter set");
        assert_eq!((inspector.top, inspector.length), (0, None));
        assert_eq!(Inspector::of(Codec::Hevc, &headers[..30]), None);
        assert_eq!(Inspector::of(Codec::Hevc, &[]), None);
    }

    #[test]
    fn only_b_pictures_of_mpeg_are_disposable() {
        let mpeg4 = |packet| disposable(Codec::Mpeg4, None, packet);
        assert!(mpeg4(&[0, 0, 1, 0xB6, 0x80]));
        assert!(!mpeg4(&[0, 0, 1, 0xB6, 0x40]));
        // Packed: a P-picture and the B-picture before it.
        assert!(!mpeg4(&[0, 0, 1, 0xB6, 0x40, 0, 0, 1, 0xB6, 0x80]));
        let mpeg2 = |kind: u8| disposable(Codec::Mpeg2, None, &[0, 0, 1, 0, 0, kind << 3]);
        assert!(mpeg2(3));
        assert!(!mpeg2(2));
    }
}
