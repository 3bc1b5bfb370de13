//! The packets of a clip: what each shows, and when.
use crate::av::{Code, Demuxer, Packet, Stream};
use crate::transport;
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// One packet, in decode order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a packet that have nothing to do with each other"
)]
pub(crate) struct Entry {
    /// Presentation time in ticks; only meaningful in [`Order::Presentation`].
    pub pts: i64,
    pub dts: Option<i64>,
    /// Ticks the picture is shown; 0 when unknown.
    pub duration: i64,
    /// Byte position in the file; negative when unknown.
    pub offset: i64,
    /// Bytes of the packet.
    pub size: u32,
    pub key: bool,
    /// A picture of the edited clip comes out of this packet.
    pub shown: bool,
    /// It stands for a dropped frame, or in MPEG-4 for one that came with the packet before.
    pub empty: bool,
    /// The container lost a part of it, or something before it.
    pub corrupt: bool,
}

/// What numbers the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Timestamps: a frame is found without decoding the ones before its keyframe.
    Presentation,
    /// The order in which a full decode gives the pictures, since the timestamps lie or lack.
    Decoder,
}

/// How the packets lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each is `size` bytes from `offset` on, word for word.
    Plain,
    /// Each is a unit of a transport stream that begins at `offset`.
    Transport,
    /// In some way that only the demuxer understands.
    Demuxed,
}

/// All packets of a clip and the order of its frames.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub entries: Vec<Entry>,
    pub order: Order,
    /// The container stopped with an error before its end.
    pub broken: bool,
    pub layout: Layout,
    /// Decode positions of the shown packets in presentation order.
    shown: Vec<usize>,
}

impl Index {
    /// Takes the packets from the tables of the file; `None` when they cannot be relied on.
    pub(crate) fn of_tables(entries: Vec<Entry>, stream: &Stream) -> Option<Self> {
        tells_the_truth(&entries, stream)
            .then(|| Self::new(entries, Order::Presentation, false, Layout::Plain))
    }

    /// Reads every packet once.
    pub(crate) fn read(
        demuxer: &mut Demuxer<'_>,
        stream: &Stream,
        file: &File,
    ) -> Result<Self, Code> {
        let mut packet = Packet::new()?;
        let mut entries = Vec::new();
        let mut locator = Locator::new(file);
        let parameters = demuxer.parameters()?;
        let (mut timed, mut inherits) = (true, false);
        let broken = loop {
            match demuxer.read(&mut packet) {
                Ok(true) => {}
                // A container that finds nothing readable any more only says so in the log.
                Ok(false) => break demuxer.doubts(&packet),
                Err(Code::INTERRUPTED) => return Err(Code::INTERRUPTED),
                Err(_) => break true,
            }
            let empty = packet.bytes().is_empty();
            let shown = !packet.is_discarded() && !hidden(&stream.codec, packet.bytes());
            locator.locate(&packet);
            timed &= packet.pts().is_some() || !shown;
            entries.push(Entry {
                pts: packet.pts().unwrap_or(i64::MIN),
                dts: packet.dts(),
                duration: packet.duration(),
                offset: packet.position(),
                size: packet.bytes().len() as u32,
                key: packet.is_key() && !inherits && stands_alone(&stream.codec, packet.bytes()),
                shown,
                empty,
                corrupt: demuxer.doubts(&packet) || packet.is_corrupt(),
            });
            inherits |= packet.has_lasting_news(parameters.extradata());
        };
        let order = if timed && tells_the_truth(&entries, stream) {
            Order::Presentation
        } else {
            Order::Decoder
        };
        if locator.layout != Layout::Demuxed {
            for (entry, offset) in entries.iter_mut().zip(locator.found) {
                entry.offset = offset;
            }
        }
        entries.shrink_to_fit();
        Ok(Self::new(entries, order, broken, locator.layout))
    }

    fn new(entries: Vec<Entry>, order: Order, broken: bool, layout: Layout) -> Self {
        let mut index = Self {
            entries,
            order,
            broken,
            layout,
            shown: Vec::new(),
        };
        index.sort();
        index
    }

    fn sort(&mut self) {
        self.shown = (0..self.entries.len())
            .filter(|&i| self.entries[i].shown)
            .collect();
        self.shown.sort_by_key(|&i| self.entries[i].pts);
    }

    /// How many frames are shown.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }

    /// The packet of the frame with this rank.
    pub(crate) fn position(&self, rank: usize) -> usize {
        self.shown[rank]
    }

    /// The frame with this presentation time.
    pub(crate) fn rank(&self, pts: i64) -> Option<usize> {
        self.shown
            .binary_search_by_key(&pts, |&i| self.entries[i].pts)
            .ok()
    }

    /// When the frames are shown although no packet tells which it holds: the decoding times, if
    /// there is one for each frame.
    pub(crate) fn decoding_times(&self, frames: usize) -> Option<Vec<i64>> {
        let of = |all: bool| {
            let held = self.entries.iter().filter(|entry| all || !entry.empty);
            held.map(|entry| entry.dts).collect::<Option<Vec<_>>>()
        };
        [of(true), of(false)]
            .into_iter()
            .flatten()
            .find(|times| times.len() == frames && times.is_sorted())
    }

    /// How many more frames the timestamps leave room for, if they are else as regular as a clock.
    ///
    /// A frame that declares to be shown for longer than the others takes up its room.
    pub(crate) fn gaps(&self) -> i64 {
        let times = self.shown.iter().map(|&i| self.entries[i].pts);
        let steps: Vec<i64> = times
            .clone()
            .zip(times.skip(1))
            .map(|(this, next)| next.saturating_sub(this))
            .collect();
        let mut sorted = steps.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        // Coarse ticks make the steps differ by one.
        let even = |&&step: &&i64| (step - usual).abs() <= 1 + usual / 50;
        if usual == 0 || steps.iter().filter(even).count() * 8 < steps.len() * 7 {
            return 0;
        }
        let frames = |ticks: i64| ticks.saturating_add(usual / 2) / usual;
        let room: i64 = steps.iter().map(|&step| (frames(step) - 1).max(0)).sum();
        // Which frame it is that lasts longer cannot be told: they stand there in decode order.
        let longer = |&i: &usize| (frames(self.entries[i].duration) - 1).max(0);
        let taken: i64 = self.shown.iter().map(longer).sum();
        (room - taken).max(0)
    }

    /// How many keyframes there are.
    pub(crate) fn keyframes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.key).count()
    }

    /// The keyframe from which the packet can be decoded: the last one, or for a picture that is
    /// shown before that (open GOP) the one before.
    pub(crate) fn start_of(&self, position: usize) -> usize {
        let key_at_or_before = |i: usize| self.entries[..=i].iter().rposition(|entry| entry.key);
        let Some(key) = key_at_or_before(position) else {
            return 0;
        };
        if self.entries[position].pts >= self.entries[key].pts || key == 0 {
            return key;
        }
        key_at_or_before(key - 1).unwrap_or(0)
    }

    /// May damage of one packet be seen in the picture of another?
    ///
    /// Everything decoded later may depend on it, up to the next keyframe and the pictures that
    /// follow that in the file but are shown before it.
    pub(crate) fn spreads(&self, damaged: usize, position: usize) -> bool {
        if position <= damaged {
            return position == damaged;
        }
        let mut keys = (damaged + 1..=position).filter(|&i| self.entries[i].key);
        match (keys.next(), keys.next()) {
            (None, _) => true,
            (Some(key), None) => self.entries[position].pts < self.entries[key].pts,
            (Some(_), Some(_)) => false,
        }
    }

    /// May the frame with this rank show damage of any of these packets? What was decoded before the
    /// first keyframe lacks something in any case.
    pub(crate) fn reached(&self, damaged: &[usize], rank: usize) -> bool {
        let position = self.position(rank);
        // H.261 has no keyframes at all.
        let first_key = self.entries.iter().position(|entry| entry.key);
        first_key.is_some_and(|key| position < key)
            || damaged.iter().any(|&packet| self.spreads(packet, position))
    }

    /// Pictures at the very start that are shown before the first keyframe, or decoded before it,
    /// may never come out; and of interlaced ones each field may be a packet: those to decode in
    /// order to know.
    pub(crate) fn doubtful_head(&self, interlaced: bool) -> Option<std::ops::Range<usize>> {
        let mut keys = (0..self.entries.len()).filter(|&i| self.entries[i].key);
        let first = keys.next()?;
        let end = keys.next().unwrap_or(self.entries.len());
        let leading = |entry: &Entry| entry.shown && entry.pts < self.entries[first].pts;
        let doubtful = interlaced || first > 0 || self.entries[..end].iter().any(leading);
        doubtful.then_some(0..end)
    }

    /// Did every packet give a picture, from the first keyframe on?
    pub(crate) fn follows(&self, head: &std::ops::Range<usize>, came_out: &HashSet<i64>) -> bool {
        let mut head = self.entries[head.clone()].iter();
        let start = head.clone().find(|entry| entry.key).map(|key| key.pts);
        head.all(|entry| !entry.shown || Some(entry.pts) < start || came_out.contains(&entry.pts))
    }

    /// Takes packets out of the numbering that gave no picture.
    pub(crate) fn hide(&mut self, packets: std::ops::Range<usize>, came_out: &HashSet<i64>) {
        for entry in &mut self.entries[packets] {
            entry.shown &= came_out.contains(&entry.pts);
        }
        self.sort();
    }
}

/// Finds packets word for word in the file, at or shortly behind the place that the container names.
struct Locator<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    /// Header bytes in front of the last packet.
    before: usize,
    /// The places of the packets.
    found: Vec<i64>,
    layout: Layout,
}

impl<'f> Locator<'f> {
    /// Longest header of a packet that is looked behind.
    const REACH: usize = 64;

    fn new(file: &'f File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            before: 0,
            found: Vec::new(),
            layout: Layout::Plain,
        }
    }

    fn locate(&mut self, packet: &Packet) {
        let (named, bytes) = (packet.position(), packet.bytes());
        let mut place = None;
        if packet.is_plain() && self.layout == Layout::Plain {
            place = self.search(named, bytes);
        }
        if place.is_none() && packet.is_plain() && self.may_be_transport() {
            place = self.assemble(named, bytes);
        }
        match place {
            Some(place) => self.found.push(place),
            None => self.layout = Layout::Demuxed,
        }
    }

    /// What was found so far does not speak against it.
    fn may_be_transport(&mut self) -> bool {
        if self.found.is_empty() && self.layout == Layout::Plain {
            self.layout = Layout::Transport;
        }
        self.layout == Layout::Transport
    }

    fn assemble(&mut self, named: i64, bytes: &[u8]) -> Option<i64> {
        let start = u64::try_from(named).ok()?;
        self.buffer.clear();
        self.buffer.resize(bytes.len(), 0);
        transport::read(self.file, start, &mut self.buffer).ok()?;
        (!bytes.is_empty() && self.buffer == bytes).then_some(named)
    }

    fn search(&mut self, named: i64, bytes: &[u8]) -> Option<i64> {
        if bytes.is_empty() {
            return None;
        }
        let start = u64::try_from(named).ok()?;
        self.buffer.resize(bytes.len() + Self::REACH, 0);
        let mut filled = 0;
        while filled < self.buffer.len() {
            let at = start.checked_add(filled as u64)?;
            match self.file.read_at(&mut self.buffer[filled..], at).ok()? {
                0 => break,
                count => filled += count,
            }
        }
        let read = &self.buffer[..filled];
        let here = |&before: &usize| read.get(before..).is_some_and(|r| r.starts_with(bytes));
        let before = std::iter::once(self.before)
            .chain(0..=Self::REACH)
            .find(here)?;
        self.before = before;
        Some(named + before as i64)
    }
}

/// Are the timestamps those of the pictures that the packets hold?
fn tells_the_truth(entries: &[Entry], stream: &Stream) -> bool {
    let iso = stream.format.contains("mp4");
    let matroska = stream.format.contains("matroska");
    let times: HashSet<i64> = entries.iter().filter(|e| e.shown).map(|e| e.pts).collect();
    let unique = times.len() == entries.iter().filter(|entry| entry.shown).count();
    let ordered = entries.iter().filter_map(|entry| entry.dts).is_sorted();
    // A container without reordering information gives both times alike.
    let unordered = entries.iter().all(|entry| entry.dts == Some(entry.pts));
    let guessed = stream.reorders && (unordered || stream.format == "avi");
    // Elsewhere the two fields of a picture may come as two packets; here they seldom do.
    let fields = stream.interlaced && !iso && !matroska;
    let grouped = keyframes_come_last(entries.iter().filter(|entry| entry.shown));
    unique
        && ordered
        && grouped
        && !guessed
        && !fields
        && !stream.untimed
        && entries.iter().any(|e| e.key)
}

/// Is each keyframe shown later than all pictures that are decoded before it?
fn keyframes_come_last<'e>(shown: impl Iterator<Item = &'e Entry>) -> bool {
    let mut latest = i64::MIN;
    for entry in shown {
        if entry.key && entry.pts < latest {
            return false;
        }
        latest = latest.max(entry.pts);
    }
    true
}

/// Can a packet that the container calls a keyframe be decoded without those before it? A picture of
/// Motion JPEG that has lost its tables is decoded with the last ones, without a word.
fn stands_alone(codec: &str, bytes: &[u8]) -> bool {
    const QUANTIZATION: u8 = 0xDB;
    const SCAN: u8 = 0xDA;
    if codec != "mjpeg" {
        return true;
    }
    let Some(mut rest) = bytes.strip_prefix(&[0xFF, 0xD8]) else {
        return false;
    };
    let mut quantized = false;
    loop {
        // Segments follow each other without a gap, but any number of FF may fill in.
        while let [0xFF, 0xFF, ..] = rest {
            rest = &rest[1..];
        }
        let &[0xFF, kind, high, low, ..] = rest else {
            return false;
        };
        if kind == SCAN {
            return quantized;
        }
        quantized |= kind == QUANTIZATION;
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        let Some(behind) = rest.get(length..) else {
            return false;
        };
        rest = behind;
    }
}

/// Packets of VP8 and VP9 may hold a picture that only later ones refer to.
fn hidden(codec: &str, bytes: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    match codec {
        "vp8" => first & 0x10 == 0,
        "vp9" => {
            // Bits from the top: marker 10, profile (2, and 1 reserved in profile 3),
            // show_existing_frame, frame_type, show_frame.
            let shift = u8::from(first & 0x30 == 0x30);
            let superframe = last & 0xE0 == 0xC0;
            let bit = |from_top: u8| first & (0x80 >> (from_top + shift)) != 0;
            !superframe && !bit(4) && !bit(6)
        }
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Packets in decode order from (pts, key).
    pub(crate) fn index_of(packets: &[(i64, bool)]) -> Index {
        let entry = |(i, &(pts, key)): (usize, &(i64, bool))| Entry {
            pts,
            dts: Some(i as i64 - 2),
            duration: 1,
            offset: i as i64,
            key,
            size: 1,
            shown: true,
            empty: false,
            corrupt: false,
        };
        Index::new(
            packets.iter().enumerate().map(entry).collect(),
            Order::Presentation,
            false,
            Layout::Plain,
        )
    }

    #[test]
    fn damage_reaches_up_to_the_next_keyframe_and_its_leading_pictures() {
        // I(0) P(2) B(1) | I(5) B(3) B(4) P(6) | I(7)
        let index = index_of(&[
            (0, true),
            (2, false),
            (1, false),
            (5, true),
            (3, false),
            (4, false),
            (6, false),
            (7, true),
        ]);
        let reached: Vec<usize> = (0..8).filter(|&i| index.spreads(1, i)).collect();
        assert_eq!(reached, [1, 2, 4, 5]);
    }

    #[test]
    fn what_comes_before_the_first_keyframe_lacks_something() {
        let index = index_of(&[(0, false), (1, false), (2, true), (3, false)]);
        let reached: Vec<usize> = (0..4).filter(|&rank| index.reached(&[], rank)).collect();
        assert_eq!(reached, [0, 1]);
        assert!(!index_of(&[(0, false), (1, false)]).reached(&[], 1));
    }

    #[test]
    fn a_keyframe_is_shown_after_all_that_is_decoded_before_it() {
        let come_last =
            |packets: &[(i64, bool)]| keyframes_come_last(index_of(packets).entries.iter());
        let open = [(0, true), (2, false), (1, false), (5, true), (3, false)];
        assert!(come_last(&open));
        assert!(!come_last(&[(9, true), (1, false), (4, true), (5, false)]));
        assert!(!come_last(&[(0, true), (9, false), (4, true), (5, false)]));
    }

    #[test]
    fn a_jpeg_brings_its_tables_or_needs_those_before() {
        let jpeg = |segments: &[&[u8]]| [&[0xFF, 0xD8][..], &segments.concat()].concat();
        let table: &[u8] = &[0xFF, 0xDB, 0, 4, 1, 1];
        let scan: &[u8] = &[0xFF, 0xDA, 0, 2, 7, 7];
        assert!(stands_alone("mjpeg", &jpeg(&[table, scan])));
        assert!(stands_alone("mjpeg", &jpeg(&[&[0xFF, 0xFF], table, scan])));
        assert!(!stands_alone("mjpeg", &jpeg(&[scan])));
        assert!(!stands_alone("mjpeg", &jpeg(&[table, &[0], scan])));
        assert!(!stands_alone("mjpeg", &jpeg(&[table])));
        assert!(!stands_alone("mjpeg", &[table, scan].concat()));
        assert!(!stands_alone("mjpeg", &jpeg(&[&[0xFF, 0xDB, 0xFF, 0xFF]])));
        assert!(stands_alone("h264", &[]));
    }

    #[test]
    fn decoding_times_are_those_of_frames_or_there_are_none() {
        let mut index = index_of(&[(9, true), (9, false), (9, false)]);
        assert_eq!(index.decoding_times(3), Some(vec![-2, -1, 0]));
        assert_eq!(index.decoding_times(2), None);
        index.entries[1].empty = true;
        assert_eq!(index.decoding_times(3), Some(vec![-2, -1, 0]));
        assert_eq!(index.decoding_times(2), Some(vec![-2, 0]));
        index.entries[2].dts = None;
        assert_eq!(index.decoding_times(2), None);
    }

    #[test]
    fn a_gap_in_a_regular_clip_is_room_for_frames() {
        let times = |skip: &[i64]| -> Vec<(i64, bool)> {
            let kept = (0..30).filter(|k| !skip.contains(k));
            kept.map(|k| (k * 100 / 3, k == 0)).collect()
        };
        assert_eq!(index_of(&times(&[])).gaps(), 0);
        assert_eq!(index_of(&times(&[7, 8, 20])).gaps(), 3);
        // Frames of a clip that varies are where they should be.
        assert_eq!(index_of(&times(&[3, 7, 11, 15, 19])).gaps(), 0);
        let mut paused = index_of(&times(&[7, 8]));
        paused.entries[3].duration = 100;
        assert_eq!(paused.gaps(), 0);
        assert_eq!(index_of(&[(0, true)]).gaps(), 0);
    }

    #[test]
    fn ranks_follow_the_presentation_times() {
        let index = index_of(&[(0, true), (30, false), (10, false), (20, false)]);
        assert_eq!(
            (0..4).map(|rank| index.position(rank)).collect::<Vec<_>>(),
            [0, 2, 3, 1]
        );
        assert_eq!(index.rank(20), Some(2));
        assert_eq!(index.rank(21), None);
    }

    #[test]
    fn only_a_head_with_leading_pictures_is_in_doubt() {
        assert_eq!(
            index_of(&[(0, true), (2, false), (1, false)]).doubtful_head(false),
            None
        );
        let open = index_of(&[(2, true), (0, false), (1, false), (3, true), (4, false)]);
        assert_eq!(open.doubtful_head(false), Some(0..3));
        assert_eq!(
            index_of(&[(0, false), (1, true)]).doubtful_head(false),
            Some(0..2)
        );
    }

    #[test]
    fn a_head_whose_packets_give_fewer_pictures_holds_fields() {
        let fields = index_of(&[(1, true), (0, false), (2, false), (3, false), (4, true)]);
        let head = fields.doubtful_head(true).expect("interlaced");
        assert_eq!(head, 0..4);
        assert!(fields.follows(&head, &HashSet::from([1, 2, 3])));
        assert!(!fields.follows(&head, &HashSet::from([1, 3])));
    }

    #[test]
    fn altref_packets_of_vpx_are_hidden() {
        assert!(hidden("vp8", &[0x00, 0]));
        assert!(!hidden("vp8", &[0x10, 0]));
        assert!(hidden("vp9", &[0b1000_0100, 0]));
        assert!(!hidden("vp9", &[0b1000_0110, 0]));
        assert!(!hidden("vp9", &[0b1000_1000, 0]));
        assert!(!hidden("vp9", &[0b1000_0100, 0xC1]));
        assert!(!hidden("h264", &[0]));
    }
}
