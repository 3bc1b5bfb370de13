//! The tables of plain MP4 and MOV files, read without FFmpeg: one movie box, one video track.
//!
//! Whatever is out of the ordinary (fragments, several edits, encryption, tables that contradict
//! one another) gives `None`: FFmpeg's own demuxer then decides what the file means.
use crate::av::{Codec, Colours, Described, Stream, signs};
use crate::index::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A movie box larger than this is not worth reading at once.
const LARGEST_MOVIE: u64 = 1 << 28;

/// What the tables say about the video.
#[derive(Debug)]
pub(crate) struct Movie {
    pub stream: Stream,
    pub described: Described,
    pub timescale: u32,
    /// Packets in decode order, with their places in the file.
    pub entries: Vec<Entry>,
}

/// The tables of the file, if it is a plain one.
pub(crate) fn read(file: &File) -> Option<Movie> {
    let length = file.metadata().ok()?.len();
    let (mut at, mut brand, mut movie) = (0, None, None);
    while at < length {
        let mut head = [0; 16];
        let available = (length - at).min(16) as usize;
        file.read_exact_at(&mut head[..available], at).ok()?;
        let (name, header, size) = box_head(&head[..available], length - at)?;
        let body = |most: u64| {
            let wanted = size - header;
            let mut bytes = vec![0; usize::try_from((wanted <= most).then_some(wanted)?).ok()?];
            file.read_exact_at(&mut bytes, at + header).ok()?;
            Some(bytes)
        };
        match &name {
            b"ftyp" if brand.is_none() && at == 0 => brand = Some(body(4096)?),
            b"moov" if movie.is_none() => movie = Some(body(LARGEST_MOVIE)?),
            b"mdat" | b"free" | b"skip" | b"wide" | b"uuid" | b"udta" => {}
            _ => return None,
        }
        at += size;
    }
    let brand = brand?;
    let brand = String::from_utf8_lossy(brand.get(..4)?).trim().to_owned();
    parse(&movie?, brand, length)
}

/// Name, size of the header and size of the whole box; it must lie within the `room`.
fn box_head(bytes: &[u8], room: u64) -> Option<([u8; 4], u64, u64)> {
    let short = u64::from(u32_at(bytes, 0)?);
    let name = *bytes.get(4..8)?.first_chunk()?;
    let (header, size) = match short {
        0 => (8, room),
        1 => (16, u64_at(bytes, 8)?),
        size => (8, size),
    };
    (size >= header && size <= room).then_some((name, header, size))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at.checked_add(2)?)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?.first_chunk()?;
    Some(u64::from_be_bytes(*word))
}

/// The boxes within a box; `None` when they do not fill it exactly.
fn boxes(mut bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() == 4 && bytes == [0; 4] {
            break; // QuickTime ends a list so
        }
        let (name, header, size) = box_head(bytes, bytes.len() as u64)?;
        let (this, rest) = bytes.split_at(size as usize);
        found.push((name, &this[header as usize..]));
        bytes = rest;
    }
    Some(found)
}

/// The only box of that name.
fn only<'b>(boxes: &[([u8; 4], &'b [u8])], name: [u8; 4]) -> Option<&'b [u8]> {
    optional(boxes, name).ok()?
}

/// There are several boxes where one is expected.
struct Several;

/// The only box of that name, if there is any.
fn optional<'b>(boxes: &[([u8; 4], &'b [u8])], name: [u8; 4]) -> Result<Option<&'b [u8]>, Several> {
    let mut named = boxes.iter().filter(|found| found.0 == name);
    let first = named.next().map(|found| found.1);
    if named.next().is_some() {
        Err(Several)
    } else {
        Ok(first)
    }
}

/// A table of `N` words for each row behind version, flags and count.
fn table<const N: usize>(body: &[u8]) -> Option<impl Iterator<Item = [u32; N]> + use<'_, N>> {
    let rows = u32_at(body, 4)? as usize;
    let bytes = body.get(8..)?;
    (bytes.len() / (4 * N) >= rows).then(|| {
        bytes.chunks_exact(4 * N).take(rows).map(|row| {
            std::array::from_fn(|i| {
                u32::from_be_bytes([row[4 * i], row[4 * i + 1], row[4 * i + 2], row[4 * i + 3]])
            })
        })
    })
}

fn parse(movie: &[u8], brand: String, length: u64) -> Option<Movie> {
    let movie = boxes(movie)?;
    if movie
        .iter()
        .any(|(name, _)| [b"mvex", b"cmov"].contains(&name))
    {
        return None;
    }
    let header = only(&movie, *b"mvhd")?;
    let (movie_scale, matrix) = match header.first()? {
        0 => (u32_at(header, 12)?, header.get(36..72)?),
        1 => (u32_at(header, 20)?, header.get(48..84)?),
        _ => return None,
    };
    if matrix_of(matrix)? != [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30] {
        return None;
    }
    let mut videos = Vec::new();
    for (_, body) in movie.iter().filter(|(name, _)| name == b"trak") {
        let track = boxes(body)?;
        let media = boxes(only(&track, *b"mdia")?)?;
        if only(&media, *b"hdlr")?.get(8..12)? == b"vide" {
            videos.push((track, media));
        }
    }
    let [(track, media)] = <[_; 1]>::try_from(videos).ok()?;
    let header = only(&media, *b"mdhd")?;
    let timescale = match header.first()? {
        0 => u32_at(header, 12)?,
        1 => u32_at(header, 20)?,
        _ => return None,
    };
    let header = only(&track, *b"tkhd")?;
    let matrix = match header.first()? {
        0 => header.get(40..76)?,
        1 => header.get(52..88)?,
        _ => return None,
    };
    let information = boxes(only(&media, *b"minf")?)?;
    let data = boxes(only(&information, *b"dinf")?)?;
    let data = only(&data, *b"dref")?;
    // One reference, to this very file.
    if u32_at(data, 4)? != 1 || u32_at(data, 16)? & 1 == 0 {
        return None;
    }
    let tables = boxes(only(&information, *b"stbl")?)?;
    if timescale == 0 || movie_scale == 0 || !tables.iter().all(understood) {
        return None;
    }
    let mut described = describe(only(&tables, *b"stsd")?)?;
    let mut entries = samples(&tables, length)?;
    if !uncut(&track, &entries, timescale, movie_scale)? {
        return None;
    }
    if entries.iter().all(|entry| entry.dts == Some(entry.pts)) && !in_order(&described) {
        return None;
    }
    described.delay = delay(&entries)?;
    entries.shrink_to_fit();
    let (count, ticks) = (
        entries.len(),
        entries.iter().map(|e| e.duration).sum::<i64>(),
    );
    Some(Movie {
        stream: Stream {
            tick_s: 1.0 / f64::from(timescale),
            header_frames: count,
            fps: f64::from(timescale) * count as f64 / ticks.max(1) as f64,
            width: described.width.into(),
            height: described.height.into(),
            matrix: signs(matrix_of(matrix)?),
            codec: match described.codec {
                Codec::H264 => "h264",
                Codec::Hevc => "hevc",
                Codec::Mpeg4 => "mpeg4",
                Codec::Mpeg2 => return None,
            }
            .to_owned(),
            format: "mov,mp4".to_owned(),
            brand,
            reorders: described.delay > 0,
            interlaced: false,
            untimed: false,
        },
        described,
        timescale,
        entries,
    })
}

/// No other table changes what the samples are. A sample group may name more keyframes, though.
fn understood((name, body): &([u8; 4], &[u8])) -> bool {
    match name {
        b"sgpd" | b"sbgp" => body.get(4..8).is_some_and(|kind| kind != b"rap "),
        _ => [
            b"stsd", b"stts", b"ctts", b"stss", b"stsz", b"stsc", b"stco", b"co64", b"sdtp",
            b"cslg",
        ]
        .contains(&name),
    }
}

fn matrix_of(bytes: &[u8]) -> Option<[i32; 9]> {
    let mut matrix = [0; 9];
    for (i, value) in matrix.iter_mut().enumerate() {
        *value = u32_at(bytes, 4 * i)? as i32;
    }
    Some(matrix)
}

/// The one kind of sample that the track has.
fn describe(body: &[u8]) -> Option<Described> {
    if u32_at(body, 4)? != 1 {
        return None;
    }
    let [(name, entry)] = <[_; 1]>::try_from(boxes(body.get(8..)?)?).ok()?;
    let inner = boxes(entry.get(78..)?)?;
    let (codec, extradata) = match &name {
        b"avc1" => (Codec::H264, only(&inner, *b"avcC")?.to_vec()),
        b"hvc1" | b"hev1" => (Codec::Hevc, only(&inner, *b"hvcC")?.to_vec()),
        b"mp4v" => (Codec::Mpeg4, mpeg4_headers(only(&inner, *b"esds")?)?),
        _ => return None,
    };
    let colours = match optional(&inner, *b"colr").ok()? {
        Some(body) if matches!(body.get(..4)?, b"nclx" | b"nclc") => Colours {
            primaries: u16_at(body, 4),
            transfer: u16_at(body, 6),
            matrix: u16_at(body, 8),
            full_range: if body.starts_with(b"nclx") {
                Some(body.get(10)? >> 7 != 0)
            } else {
                None
            },
        },
        Some(_) => return None,
        None => Colours::default(),
    };
    Some(Described {
        codec,
        extradata,
        width: u16_at(entry, 24)?,
        height: u16_at(entry, 26)?,
        colours,
        delay: 0,
    })
}

/// The decoder's headers out of an elementary stream descriptor of MPEG-4 Part 2.
fn mpeg4_headers(body: &[u8]) -> Option<Vec<u8>> {
    /// Splits off the body of a descriptor with this tag.
    fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
        let (&first, mut rest) = bytes.split_first()?;
        let mut size = 0;
        for _ in 0..4 {
            let (&byte, behind) = rest.split_first()?;
            size = size << 7 | usize::from(byte & 0x7F);
            rest = behind;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (first == tag).then(|| rest.get(..size))?
    }
    let stream = descriptor(body.get(4..)?, 3)?;
    if *stream.get(2)? != 0 {
        return None;
    }
    let decoder = descriptor(stream.get(3..)?, 4)?;
    if *decoder.first()? != 0x20 {
        return None;
    }
    Some(descriptor(decoder.get(13..)?, 5)?.to_vec())
}

/// Is the order of decoding that of showing, for sure? Asked when the tables do not say otherwise.
fn in_order(described: &Described) -> bool {
    described.codec == Codec::Mpeg4 && low_delay(&described.extradata) == Some(true)
}

/// The flag of a video object layer that promises a stream without B-pictures.
fn low_delay(headers: &[u8]) -> Option<bool> {
    let start = headers
        .windows(4)
        .position(|code| code.starts_with(&[0, 0, 1]) && code[3] >> 4 == 2)?;
    let layer = headers.get(start + 4..)?;
    let bit = |at: usize| Some(layer.get(at / 8)? >> (7 - at % 8) & 1 == 1);
    let bits = |at: usize, count: usize| {
        (at..at + count).try_fold(0, |value, i| Some(value << 1 | u32::from(bit(i)?)))
    };
    // Random access, type; then version and priority, if there; then aspect, 15 for a free one.
    let mut at = 9;
    at += if bit(at)? { 8 } else { 1 };
    at += if bits(at, 4)? == 15 { 20 } else { 4 };
    // Control parameters: there at all? Behind the chroma format stands the flag.
    bit(at)?.then(|| bit(at + 3))?
}

/// All samples in decode order.
fn samples(tables: &[([u8; 4], &[u8])], length: u64) -> Option<Vec<Entry>> {
    let sizes = only(tables, *b"stsz")?;
    // A size for all of them is for sound.
    if u32_at(sizes, 4)? != 0 {
        return None;
    }
    let count = u32_at(sizes, 8)? as usize;
    let sizes = sizes.get(12..)?.get(..count.checked_mul(4)?)?;
    let mut entries = Vec::with_capacity(count);
    for size in sizes.chunks_exact(4) {
        let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]);
        if size == 0 || size > i32::MAX as u32 {
            return None;
        }
        entries.push(Entry {
            pts: 0,
            dts: Some(0),
            duration: 0,
            offset: 0,
            size,
            key: false,
            shown: true,
            empty: false,
            corrupt: false,
        });
    }
    place(&mut entries, tables, length)?;
    time(&mut entries, tables)?;
    match optional(tables, *b"stss").ok()? {
        None => entries.iter_mut().for_each(|entry| entry.key = true),
        Some(body) => {
            for [number] in table(body)? {
                let position = (number as usize).checked_sub(1)?;
                entries.get_mut(position)?.key = true;
            }
        }
    }
    entries.first()?.key.then_some(entries)
}

/// Sets the offsets; every sample must lie within the file.
fn place(entries: &mut [Entry], tables: &[([u8; 4], &[u8])], length: u64) -> Option<()> {
    let chunks: Vec<u64> = match (
        optional(tables, *b"stco").ok()?,
        optional(tables, *b"co64").ok()?,
    ) {
        (Some(body), None) => table(body)?.map(|[at]| u64::from(at)).collect(),
        (None, Some(body)) => table(body)?
            .map(|[high, low]| u64::from(high) << 32 | u64::from(low))
            .collect(),
        _ => return None,
    };
    let runs: Vec<[u32; 3]> = table(only(tables, *b"stsc")?)?.collect();
    let mut left = entries.iter_mut();
    for (i, &[first, per_chunk, description]) in runs.iter().enumerate() {
        let start = (first as usize).checked_sub(1)?;
        let end = match runs.get(i + 1) {
            Some(next) => (next[0] as usize).checked_sub(1)?,
            None => chunks.len(),
        };
        if (i == 0 && start != 0) || end <= start || description != 1 {
            return None;
        }
        for &chunk in chunks.get(start..end)? {
            let mut at = chunk;
            for _ in 0..per_chunk {
                let entry = left.next()?;
                entry.offset = i64::try_from(at).ok()?;
                at = at
                    .checked_add(entry.size.into())
                    .filter(|&end| end <= length)?;
            }
        }
    }
    left.next().is_none().then_some(())
}

/// Sets the times.
fn time(entries: &mut [Entry], tables: &[([u8; 4], &[u8])]) -> Option<()> {
    let (mut left, mut dts) = (entries.iter_mut(), 0_i64);
    for [count, duration] in table(only(tables, *b"stts")?)? {
        for _ in 0..count {
            let entry = left.next()?;
            (entry.dts, entry.pts) = (Some(dts), dts);
            entry.duration = i64::from((duration != 0 && duration < 1 << 28).then_some(duration)?);
            dts += entry.duration;
        }
    }
    if left.next().is_some() {
        return None;
    }
    if let Some(body) = optional(tables, *b"ctts").ok()? {
        let mut left = entries.iter_mut();
        for [count, offset] in table(body)? {
            for _ in 0..count {
                left.next()?.pts += i64::from((offset < 1 << 28).then_some(offset)?);
            }
        }
        left.next().is_none().then_some(())?;
    }
    Some(())
}

/// Does the edit list show every sample, from the first to the last?
fn uncut(track: &[([u8; 4], &[u8])], entries: &[Entry], ours: u32, movie: u32) -> Option<bool> {
    let Some(body) = optional(track, *b"edts").ok()? else {
        return Some(true);
    };
    let inner = boxes(body)?;
    let list = only(&inner, *b"elst")?;
    // Duration and start of each edit; one that starts at -1 only delays the others.
    let (size, count) = (
        if *list.first()? == 0 { 12 } else { 20 },
        u32_at(list, 4)? as usize,
    );
    let table = list.get(8..)?.chunks_exact(size).take(count);
    let mut edits = table.map(|row| {
        Some(if size == 12 {
            (
                u64::from(u32_at(row, 0)?),
                i64::from(u32_at(row, 4)? as i32),
                u32_at(row, 8)?,
            )
        } else {
            (u64_at(row, 0)?, u64_at(row, 8)? as i64, u32_at(row, 16)?)
        })
    });
    let mut shown = edits.next()??;
    if shown.1 == -1 {
        shown = edits.next()??;
    }
    let (duration, start, rate) = shown;
    let end = u128::from(duration) * u128::from(ours) / u128::from(movie);
    let earliest = entries.iter().map(|entry| entry.pts).min()?;
    let latest = entries.iter().map(|entry| entry.pts).max()?;
    let whole = start >= 0 && start <= earliest && (latest - start) < i64::try_from(end).ok()?;
    Some(edits.next().is_none() && rate == 1 << 16 && whole)
}

/// How many pictures wait for their turn at most; `None` when two are shown at the same time.
fn delay(entries: &[Entry]) -> Option<u16> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&i| entries[i].pts);
    if order
        .windows(2)
        .any(|pair| entries[pair[0]].pts == entries[pair[1]].pts)
    {
        return None;
    }
    // A picture decoded `late` places after its turn has that many shown after it before it.
    let late = order
        .iter()
        .enumerate()
        .map(|(turn, &i)| i.saturating_sub(turn));
    u16::try_from(late.max()?).ok().filter(|&delay| delay <= 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn container(name: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = (8 + body.len()) as u32;
        [&size.to_be_bytes()[..], &name, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A table with its version and flags, and the number of its rows.
    fn listing(name: [u8; 4], rows: u32, values: &[u32]) -> Vec<u8> {
        container(name, &[words(&[0, rows]), words(values)].concat())
    }

    const ONE: u32 = 1 << 16;
    const SIZES: [u32; 5] = [10, 20, 30, 40, 50];

    /// Five pictures in two chunks, I P B | P B in decode order, 100 ticks each; the edit hides the
    /// first 100 ticks, in which nothing is shown.
    fn movie() -> Vec<u8> {
        let matrix = [ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30];
        let extradata = container(*b"avcC", &[1, 100, 0, 30, 0xFF, 0xE0, 0]);
        let mut entry = vec![0; 78];
        entry[24..28].copy_from_slice(&[0, 160, 0, 120]);
        entry.extend(extradata);
        let entry = container(*b"avc1", &entry);
        let tables = [
            container(*b"stsd", &[words(&[0, 1]), entry].concat()),
            listing(*b"stts", 1, &[5, 100]),
            listing(*b"ctts", 5, &[1, 100, 1, 200, 1, 0, 1, 200, 1, 0]),
            listing(*b"stss", 1, &[1]),
            container(*b"stsz", &[words(&[0, 0, 5]), words(&SIZES)].concat()),
            listing(*b"stsc", 2, &[1, 3, 1, 2, 2, 1]),
            listing(*b"stco", 2, &[1000, 2000]),
        ];
        let reference = container(
            *b"dref",
            &words(&[0, 1, 12, u32::from_be_bytes(*b"url "), 1]),
        );
        let information = [
            container(*b"dinf", &reference),
            container(*b"stbl", &tables.concat()),
        ];
        let mut handler = vec![0; 24];
        handler[8..12].copy_from_slice(b"vide");
        let media = [
            container(*b"mdhd", &words(&[0, 0, 0, 3000, 500, 0])),
            container(*b"hdlr", &handler),
            container(*b"minf", &information.concat()),
        ];
        let edit = listing(*b"elst", 1, &[500, 100, ONE]);
        let header = [words(&[0; 10]), words(&matrix), words(&[0; 2])].concat();
        let track = [
            container(*b"tkhd", &header),
            container(*b"edts", &edit),
            container(*b"mdia", &media.concat()),
        ];
        let header = [words(&[0, 0, 0, 3000, 500, 0, 0, 0, 0]), words(&matrix)].concat();
        [
            container(*b"mvhd", &header),
            container(*b"trak", &track.concat()),
        ]
        .concat()
    }

    const LENGTH: u64 = 3000;

    fn parsed(bytes: &[u8]) -> Option<Movie> {
        parse(bytes, "isom".into(), LENGTH)
    }

    #[test]
    fn the_tables_give_places_and_times() {
        let movie = parsed(&movie()).expect("a plain movie");
        let entry = |i: usize| movie.entries[i];
        let all =
            |what: &dyn Fn(Entry) -> i64| -> Vec<i64> { (0..5).map(|i| what(entry(i))).collect() };
        assert_eq!(all(&|e| e.offset), [1000, 1010, 1030, 2000, 2040]);
        assert_eq!(all(&|e| e.pts), [100, 300, 200, 500, 400]);
        assert_eq!(all(&|e| i64::from(e.size)), SIZES.map(i64::from));
        assert_eq!(all(&|e| i64::from(e.key)), [1, 0, 0, 0, 0]);
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_ffmpeg() {
        let plain = movie();
        let swapped = |from: &[u8], to: &[u8]| {
            let at = plain
                .windows(from.len())
                .position(|w| w == from)
                .expect("is there");
            let mut bytes = plain.clone();
            bytes[at..at + to.len()].copy_from_slice(to);
            parsed(&bytes).is_none()
        };
        assert!(swapped(b"avc1", b"encv"));
        assert!(swapped(b"mvhd", b"mvex"));
        assert!(swapped(b"stts", b"what"));
        // The last chunk ends behind the file.
        assert!(swapped(&words(&[1000, 2000]), &words(&[1000, 2999])));
        // The edit starts behind the first picture, or is too short for the last.
        assert!(swapped(&words(&[500, 100]), &words(&[500, 101])));
        assert!(swapped(&words(&[500, 100]), &words(&[300, 100])));
        // Fewer and more samples than sizes.
        assert!(swapped(&words(&[5, 100]), &words(&[4, 100])));
        assert!(swapped(&words(&[5, 100]), &words(&[6, 100])));
        assert!(swapped(&words(&[1, 3, 1]), &words(&[1, 4, 1])));
    }

    proptest! {
        #[test]
        fn damaged_tables_never_reach_beyond_the_file(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = movie();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Some(movie) = parsed(&bytes) {
                prop_assert!(movie.entries.len() <= bytes.len() / 4);
                for entry in movie.entries {
                    prop_assert!(entry.size > 0);
                    prop_assert!(entry.offset as u64 + u64::from(entry.size) <= LENGTH);
                }
            }
        }
    }
}
