//! A clip: opened, indexed, sampled.
use crate::av::{Code, Demuxer, Manner, Parameters, Stream};
use crate::cache::{self, Stamp};
use crate::decode::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::extent;
use crate::index::{Index, Order};
use crate::iso;
use crate::picture::Orientation;
use crate::plan::{self, Pick};
use crate::sample::{Care, Findings, OnDamage, Options, Passes, Report, Sampled, Stop};
use std::collections::HashSet;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Times closer than this are the same.
const ROUNDING_S: f64 = 1e-6;

/// What a clip is, without its pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Frames shown, after the edit list; of a file cut short: as many as its header promises.
    pub frames: usize,
    /// Columns after the rotation.
    pub width: usize,
    /// Rows after the rotation.
    pub height: usize,
    /// Clockwise degrees by which the stored pictures are turned: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Average frames per second.
    pub fps: f64,
    /// From the start of the first frame to the end of the last.
    pub duration_s: f64,
    /// FFmpeg's name of the codec, such as `h264`.
    pub codec: String,
    /// `mp4`, `mov`, `matroska`, `webm`, `avi`, `mpegts` or another of FFmpeg's names.
    pub container: String,
    /// Groups of pictures: keyframes.
    pub gops: usize,
    /// What is odd about the file, in sentences.
    pub warnings: Vec<String>,
}

/// An indexed clip. It holds no open file and no decoder, so it may cross threads and forks.
#[derive(Debug)]
pub struct Clip {
    path: PathBuf,
    stamp: Stamp,
    known: Arc<Known>,
}

/// What an index pass found out about a file.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    stream: Stream,
    parameters: Arc<Parameters>,
    index: Index,
    /// Read from the tables of the file without FFmpeg: at the first contradiction it is asked.
    of_tables: bool,
    /// Frames of the clip, including those a cut took away.
    frames: usize,
    /// In decoder order: when each frame is shown, in ticks, if the packets tell.
    clock: Option<Vec<i64>>,
    /// Indices below this are answered, if only by a report; more than `frames` once a decode has
    /// shown that there are fewer.
    promised: usize,
    /// The header says how many frames there are, or nothing is missing.
    counted: bool,
    warnings: Vec<String>,
}

impl Clip {
    /// Opens a file and reads its index. Pictures are only decoded when the timestamps lie.
    ///
    /// # Errors
    /// The file is not there, cannot be read, or holds no video.
    pub fn open(path: &Path, abort: &AtomicBool) -> Result<Self> {
        let file = readable(path)?;
        let stamp = Stamp::of(&file.metadata().map_err(|error| refused(path, &error))?);
        let known = if let Some(known) = cache::get(&stamp) {
            known
        } else {
            let known = Arc::new(match Known::of_tables(path, &file, abort) {
                Some(known) => known,
                None => Known::read(path, &file, abort)?,
            });
            cache::put(stamp, &known);
            known
        };
        Ok(Self {
            path: path.to_owned(),
            stamp,
            known,
        })
    }

    /// What the clip is.
    pub fn probe(&self) -> Probe {
        let orientation = Orientation::of(self.known.stream.matrix);
        let (height, width) = self.size();
        Probe {
            frames: self.known.frames,
            width,
            height,
            rotation: orientation.degrees(),
            fps: self.fps(),
            duration_s: self.duration_s(),
            codec: self.known.stream.codec.clone(),
            container: self.container(),
            gops: self.known.index.keyframes(),
            warnings: self.known.warnings.clone(),
        }
    }

    /// What is odd about the file, in sentences; a sampling pass may add to it.
    pub fn warnings(&self) -> &[String] {
        &self.known.warnings
    }

    /// Rows and columns after the rotation.
    pub fn size(&self) -> (usize, usize) {
        let (height, width) = (self.known.stream.height, self.known.stream.width);
        if Orientation::of(self.known.stream.matrix).swap {
            (width, height)
        } else {
            (height, width)
        }
    }

    fn container(&self) -> String {
        let first = self
            .known
            .stream
            .format
            .split(',')
            .next()
            .unwrap_or_default();
        let webm = self
            .path
            .extension()
            .is_some_and(|ext| ext.eq_ignore_ascii_case("webm"));
        match first {
            "mov" if self.known.stream.brand != "qt" => "mp4".into(),
            "matroska" if webm => "webm".into(),
            name => name.into(),
        }
    }

    fn fps(&self) -> f64 {
        if let Some(&[first, .., last]) = self.known.clock.as_deref()
            && last > first
        {
            let span = (last - first) as f64 * self.known.stream.tick_s;
            return (self.known.frames - 1) as f64 / span;
        }
        // Formats without any timing play at FFmpeg's default.
        if self.known.stream.fps > 0.0 {
            self.known.stream.fps
        } else {
            25.0
        }
    }

    fn duration_s(&self) -> f64 {
        let readable = self.known.index.len();
        if self.known.index.order == Order::Decoder || self.known.frames > readable {
            return self.known.frames as f64 / self.fps();
        }
        let last = self.known.index.entries[self.known.index.position(readable - 1)];
        let shown = last.duration as f64 * self.known.stream.tick_s;
        self.time_s(readable - 1) + if shown > 0.0 { shown } else { 1.0 / self.fps() }
    }

    /// Seconds from the first frame to the one with this rank.
    fn time_s(&self, rank: usize) -> f64 {
        if let Some(clock) = &self.known.clock
            && let Some(at) = clock.get(rank)
        {
            return (at - clock[0]) as f64 * self.known.stream.tick_s;
        }
        if self.known.index.order == Order::Decoder || rank >= self.known.index.len() {
            return rank as f64 / self.fps();
        }
        let pts = |rank| self.known.index.entries[self.known.index.position(rank)].pts;
        (pts(rank) - pts(0)) as f64 * self.known.stream.tick_s
    }

    /// Decodes the wanted frames into `out`: `pick.len() * height * width * 3` bytes, RGB.
    ///
    /// # Errors
    /// An index outside the clip; damage, when the options say so; a clip without any picture.
    pub fn sample(
        &mut self,
        pick: &Pick<'_>,
        options: &Options,
        abort: &AtomicBool,
        out: &mut [u8],
    ) -> Result<Sampled> {
        let (height, width) = options.size.unwrap_or(self.size());
        let bytes = height * width * 3;
        if bytes == 0 || pick.is_empty() || out.len() != bytes * pick.len() {
            return Err(Error::argument(
                format!(
                    "out must hold {} pictures of {height} x {width}, got {} bytes",
                    pick.len(),
                    out.len()
                ),
                "ask for at least one frame of at least one pixel",
            ));
        }
        if pick.depends_on_total() && !self.known.counted && options.on_damage == OnDamage::Raise {
            return Err(self.damage("how many frames it had is unknown"));
        }
        // First the fast way; at the first oddity all over again, with care.
        let mut care = Care::Fast;
        loop {
            let indices = self.resolve(pick)?;
            let passes = Passes {
                path: &self.path,
                index: &self.known.index,
                parameters: &self.known.parameters,
                orientation: Orientation::of(self.known.stream.matrix),
                size: (height, width),
                options,
                care,
                abort,
            };
            match passes.run(&indices, out) {
                Ok(findings) => return self.conclude(indices, findings, options.on_damage),
                Err(Stop::Odd) => {
                    care = Care::Full;
                    if self.known.of_tables {
                        let file = readable(&self.path)?;
                        self.learn(Known::read(&self.path, &file, abort)?);
                    }
                }
                Err(Stop::Renumber(frames)) => {
                    let mut known = Known::clone(&self.known);
                    known.index.order = Order::Decoder;
                    known.frames = frames;
                    known.clock = known.index.decoding_times(frames);
                    known
                        .warnings
                        .push("the pictures do not carry the timestamps of their packets".into());
                    self.learn(known);
                }
                Err(Stop::FalseKeys(places)) => {
                    let mut known = Known::clone(&self.known);
                    for &place in &places {
                        known.index.entries[place].key = false;
                    }
                    known.warnings.push(format!(
                        "{} pictures are marked as keyframes and are none",
                        places.len()
                    ));
                    self.learn(known);
                }
                Err(Stop::NoPicture) => return Err(self.known.pictureless(&self.path)),
                Err(Stop::Code(code)) => return Err(failure(&self.path, code)),
            }
        }
    }

    /// Replaces what was known.
    fn learn(&mut self, known: Known) {
        self.known = Arc::new(known);
        cache::put(self.stamp, &self.known);
    }

    fn resolve(&self, pick: &Pick<'_>) -> Result<Vec<usize>> {
        let total = self.known.frames;
        let indices = match *pick {
            Pick::Uniform(count) => plan::uniform(total, count),
            Pick::Middle { count, step } => {
                plan::stride(total, count, plan::middle(total, count, step), step)
            }
            Pick::Stride { count, step } => plan::stride(total, count, 0, step),
            Pick::Segments(count) => plan::segments(total, count),
            Pick::RandomSegments(words) => plan::random_segments(total, words),
            Pick::Random(words) => plan::random(total, words),
            Pick::Indices(indices) => indices.to_vec(),
            Pick::Times(seconds) => self.shown_at(seconds)?,
        };
        match indices.iter().find(|&&index| index >= self.known.promised) {
            None => Ok(indices),
            Some(bad) => Err(Error::new(
                ErrorKind::Index,
                &self.path,
                format!(
                    "indices must be below the number of frames, {}, got {bad}",
                    self.known.promised
                ),
                "probe the clip first",
            )),
        }
    }

    /// The frames on the screen at these seconds from the first.
    fn shown_at(&self, seconds: &[f64]) -> Result<Vec<usize>> {
        let starts: Vec<f64> = (0..self.known.frames)
            .map(|rank| self.time_s(rank))
            .collect();
        let end = self.duration_s();
        let shown = |&at: &f64| {
            if !(0.0..end).contains(&at) {
                return Err(Error::new(
                    ErrorKind::Index,
                    &self.path,
                    format!("times_s must be in 0..{end} (the duration), got {at}"),
                    "probe the clip first",
                ));
            }
            // A time computed as k / fps must not fall just before frame k.
            let begun = starts.partition_point(|&start| start <= at + ROUNDING_S);
            Ok(begun.saturating_sub(1))
        };
        seconds.iter().map(shown).collect()
    }

    fn conclude(
        &self,
        indices: Vec<usize>,
        found: Findings,
        on_damage: OnDamage,
    ) -> Result<Sampled> {
        let report = Report {
            missing: found.missing.into_iter().collect(),
            concealed: found.concealed.into_iter().collect(),
        };
        if on_damage == OnDamage::Raise {
            if !report.missing.is_empty() {
                return Err(
                    self.damage(&format!("frames cannot be read: {}", list(&report.missing)))
                );
            }
            if !report.concealed.is_empty() {
                let what = format!(
                    "frames are damaged, parts were guessed: {}",
                    list(&report.concealed)
                );
                return Err(self.damage(&what));
            }
        }
        let pts_s = indices.iter().map(|&rank| self.time_s(rank)).collect();
        Ok(Sampled {
            indices,
            pts_s,
            report,
        })
    }

    fn damage(&self, what: &str) -> Error {
        let why = match self.known.warnings.join("; ") {
            none if none.is_empty() => none,
            some => format!(" ({some})"),
        };
        Error::new(
            ErrorKind::Damaged,
            &self.path,
            format!("{what}{why}"),
            "copy the file again, or pass on_error=\"nearest\" or \"black\" to take what can be read",
        )
    }
}

impl Known {
    /// From the tables of the file alone, when they are plain and the clip needs no second look.
    fn of_tables(path: &Path, file: &File, abort: &AtomicBool) -> Option<Self> {
        let movie = iso::read(file)?;
        let parameters = Parameters::new(&movie.described, movie.timescale).ok()?;
        let index = Index::of_tables(movie.entries, &movie.stream)?;
        let first = index.entries.first()?;
        let mut packet = vec![0; first.size as usize];
        file.read_exact_at(&mut packet, first.offset as u64).ok()?;
        // The header may name another size than the pictures have.
        let announced = parameters.announced(&packet)?;
        if announced != (movie.stream.width, movie.stream.height) {
            return None;
        }
        let mut known = Self::new(movie.stream, parameters, index, true);
        known.settle(path, None, abort).ok()?;
        (known.frames > 0).then_some(known)
    }

    /// From all packets, as FFmpeg reads them.
    fn read(path: &Path, file: &File, abort: &AtomicBool) -> Result<Self> {
        let shortfall = extent::shortfall(path).map_err(|error| refused(path, &error))?;
        let fail = |code| failure(path, code);
        let (stream, parameters, index) = {
            let mut demuxer = Demuxer::open(path, abort).map_err(fail)?;
            let stream = demuxer.describe();
            let index = Index::read(&mut demuxer, &stream, file).map_err(fail)?;
            (stream, demuxer.parameters().map_err(fail)?, index)
        };
        if index.len() == 0 || stream.width == 0 || stream.height == 0 {
            let what = shortfall.map_or("holds no picture".into(), |cut| {
                format!("holds no picture: {cut}")
            });
            return Err(Error::new(
                ErrorKind::NotVideo,
                path,
                what,
                "check the file or copy it again",
            ));
        }
        let mut known = Self::new(stream, parameters, index, false);
        known.settle(path, shortfall, abort).map_err(fail)?;
        if known.frames == 0 {
            return Err(known.pictureless(path));
        }
        Ok(known)
    }

    fn new(stream: Stream, parameters: Parameters, index: Index, of_tables: bool) -> Self {
        Self {
            stream,
            parameters: Arc::new(parameters),
            index,
            of_tables,
            frames: 0,
            clock: None,
            promised: 0,
            counted: true,
            warnings: Vec::new(),
        }
    }

    /// How many packets there are: most of what it costs to remember it.
    pub(crate) fn packets(&self) -> usize {
        self.index.entries.len()
    }

    /// Decides how many frames there are and what numbers them.
    fn settle(
        &mut self,
        path: &Path,
        shortfall: Option<String>,
        abort: &AtomicBool,
    ) -> std::result::Result<(), Code> {
        if self.stream.matrix.is_none() {
            self.warnings.push(
                "the header turns the picture by no multiple of 90 degrees: it stays as it is stored"
                    .into(),
            );
        }
        let (announced, read) = (self.stream.header_frames, self.index.entries.len());
        if self.index.order == Order::Presentation {
            self.look_at_head(path, abort)?;
        }
        if self.index.order == Order::Decoder {
            self.warnings.push(
                "timestamps do not order the pictures: decoded in full to number them".into(),
            );
        }
        if self.stream.format == "avi" && (announced > read || shortfall.is_some()) {
            // Without its index every packet counts as a keyframe, and lost packets move the others
            // away from what the index says of them.
            self.index.order = Order::Decoder;
            if announced > read && shortfall.is_none() {
                self.warnings.push(format!(
                    "the header announces {announced} frames, the file holds {read}"
                ));
            }
        }
        if self.index.order == Order::Presentation && announced < read {
            let gaps = self.index.gaps();
            if gaps > 0 {
                self.warnings.push(format!(
                    "the timestamps leave room for {gaps} more frames: the container may have lost them"
                ));
            }
        }
        self.frames = match self.index.order {
            Order::Presentation => self.index.len(),
            Order::Decoder => {
                let frames = self.count(path, abort)?;
                self.clock = self.index.decoding_times(frames);
                frames
            }
        };
        if self.index.broken || shortfall.is_some() {
            // Headers of ISO and AVI files say how many pictures there were; those of other files
            // and of fragmented ones do not, or only for the first part.
            let (promised, read) = (self.stream.header_frames, self.index.entries.len());
            let lost = promised.saturating_sub(read);
            self.frames += lost;
            self.counted = promised >= read;
            let cut = shortfall.unwrap_or_else(|| "the container breaks off with an error".into());
            self.warnings.push(if self.counted {
                format!("{cut}; {lost} frames are lost")
            } else {
                cut
            });
        }
        self.promised = self.frames;
        Ok(())
    }

    /// Decodes the first group if its packets do not tell which pictures come out of them.
    fn look_at_head(&mut self, path: &Path, abort: &AtomicBool) -> std::result::Result<(), Code> {
        let Some(head) = self.index.doubtful_head(self.stream.interlaced) else {
            return Ok(());
        };
        let mut came_out = HashSet::new();
        // Up to the keyframe behind them: draining ends at the first picture that FFmpeg holds back,
        // with others still waiting.
        let behind = self.index.entries.get(head.end).map(|key| key.pts);
        let everything = 0..=self.index.entries.len() - 1;
        let damaged = self
            .session(path, abort)?
            .run(everything, None, &mut |frame| {
                came_out.extend(frame.pts());
                let done = frame.pts().zip(behind).is_some_and(|(at, key)| at >= key);
                Ok(if done {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
        if self.stream.interlaced && damaged.is_empty() && !self.index.follows(&head, &came_out) {
            // Each of the two fields of a picture is a packet, with a time of its own.
            self.index.order = Order::Decoder;
            return Ok(());
        }
        let before = self.index.len();
        self.index.hide(head, &came_out);
        let gone = before - self.index.len();
        if gone > 0 {
            self.warnings.push(format!(
                "{gone} frames at the start need pictures that are not in the file"
            ));
        }
        Ok(())
    }

    /// How many pictures a full decode gives.
    fn count(&self, path: &Path, abort: &AtomicBool) -> std::result::Result<usize, Code> {
        let mut count = 0;
        let everything = 0..=self.index.entries.len() - 1;
        self.session(path, abort)?.run(everything, None, &mut |_| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    fn session<'a>(
        &'a self,
        path: &'a Path,
        abort: &'a AtomicBool,
    ) -> std::result::Result<Session<'a>, Code> {
        let manner = Manner {
            suspicious: false,
            cleared: false,
        };
        Session::open(path, &self.index, &self.parameters, 1, manner, abort)
    }

    fn pictureless(&self, path: &Path) -> Error {
        let what = format!(
            "no picture can be decoded from its {} packets",
            self.index.entries.len()
        );
        Error::new(
            ErrorKind::NotVideo,
            path,
            what,
            "copy the file again or leave it out",
        )
    }
}

/// Opens the path, which must be a file with content.
fn readable(path: &Path) -> Result<File> {
    let problem = match std::fs::metadata(path) {
        Err(error) => return Err(refused(path, &error)),
        Ok(metadata) if !metadata.is_file() => "is not a regular file",
        Ok(metadata) if metadata.len() == 0 => "is empty",
        Ok(_) => return File::open(path).map_err(|error| refused(path, &error)),
    };
    Err(Error::new(
        ErrorKind::NotVideo,
        path,
        problem,
        "pass the path of a video file",
    ))
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    let what = format!("cannot be read ({error})");
    Error::new(kind, path, what, "check the path")
}

/// A sentence for one of FFmpeg's codes.
fn failure(path: &Path, code: Code) -> Error {
    let (kind, what, remedy) = match code {
        Code::INTERRUPTED => (ErrorKind::Aborted, "interrupted".into(), "call again"),
        Code::NO_MEMORY => (
            ErrorKind::Memory,
            "out of memory".into(),
            "ask for fewer frames",
        ),
        Code::NO_STREAM => (
            ErrorKind::NotVideo,
            "holds no video stream".into(),
            "pass a file with pictures that move",
        ),
        Code::NO_DECODER => (
            ErrorKind::Unsupported,
            "this FFmpeg has no decoder for its codec".into(),
            "convert it, or install an FFmpeg with that decoder",
        ),
        code => (
            ErrorKind::NotVideo,
            format!("is not a readable video ({})", code.words()),
            "check the file or copy it again",
        ),
    };
    Error::new(kind, path, what, remedy)
}

/// Ascending numbers with runs joined: `3, 7-9 (4 in all)`.
fn list(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.iter().take(8).map(|&(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    let dots = if runs.len() > 8 { ", .." } else { "" };
    format!(
        "{}{dots} ({} in all)",
        shown.collect::<Vec<_>>().join(", "),
        numbers.len()
    )
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn long_lists_are_shortened() {
        assert_eq!(list(&[3, 7, 8, 9]), "3, 7-9 (4 in all)");
        let odd: Vec<usize> = (0..40).step_by(2).collect();
        assert_eq!(list(&odd), "0, 2, 4, 6, 8, 10, 12, 14, .. (20 in all)");
    }
}
