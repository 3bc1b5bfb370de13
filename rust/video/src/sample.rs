//! Getting the wanted pictures out of an indexed clip.
use crate::av::{Code, Codec, Frame, Manner, Parameters};
use crate::clip::Clip;
use crate::decode::{Answer, Session, Skip};
use crate::disposable::Inspector;
use crate::error::{Error, Result};
use crate::index::{Index, Order};
use crate::picture::{Orientation, Painter};
use crate::plan::{self, Pick, Stretch};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What to do about pictures that are missing or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// Fail.
    Raise,
    /// Take the nearest picture that can be read instead of a missing one, and report it.
    Nearest,
    /// Leave a missing one black, and report it.
    Black,
}

/// How to sample.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows and columns of the output; `None` keeps those of the clip.
    pub size: Option<(usize, usize)>,
    /// Decoding threads, at least 1.
    pub threads: usize,
    /// What to do about damage.
    pub on_damage: OnDamage,
}

/// What is wrong with the sampled pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames that could not be read, ascending.
    pub missing: Vec<usize>,
    /// Frames of which the decoder had to guess a part, or that depend on such, ascending.
    pub concealed: Vec<usize>,
}

/// Where the sampled pictures come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Frame of each picture.
    pub indices: Vec<usize>,
    /// Seconds from the first frame of the clip to each picture.
    pub pts_s: Vec<f64>,
    /// What is wrong.
    pub report: Report,
}

/// Rank to the room for its picture.
type Wanted<'o> = BTreeMap<usize, &'o mut [u8]>;

/// What the passes over a clip found wrong with the wanted frames.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub missing: BTreeSet<usize>,
    pub concealed: BTreeSet<usize>,
}

/// Why a pass stopped.
pub(crate) enum Stop {
    Code(Code),
    /// Something is missing, damaged or contradicts the index: to be looked into with full care.
    Odd,
    /// The pictures do not carry the timestamps of the index: there are this many.
    Renumber(usize),
    /// At these places the container marks keyframes, but the pictures depend on others.
    FalseKeys(Vec<usize>),
    NoPicture,
}

impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

/// How much is taken for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// That all is well: pictures nobody needs are left out, and oddities end the pass.
    Fast,
    /// Nothing: every packet is decoded, one after the other, and oddities are reported.
    Full,
}

/// The passes over one clip: jump to what is wanted; sweep over everything if that is not enough.
#[derive(Clone, Copy)]
pub(crate) struct Passes<'a> {
    pub path: &'a Path,
    pub index: &'a Index,
    pub parameters: &'a Parameters,
    pub orientation: Orientation,
    pub size: (usize, usize),
    pub options: &'a Options,
    pub care: Care,
    pub abort: &'a AtomicBool,
}

impl<'a> Passes<'a> {
    /// Fills `out` with the frames of these ranks.
    pub(crate) fn run(
        &self,
        ranks: &[usize],
        out: &mut [u8],
    ) -> std::result::Result<Findings, Stop> {
        let bytes = self.size.0 * self.size.1 * 3;
        // A frame asked for twice is decoded into its first slot and copied from there.
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        let mut wanted = Wanted::new();
        for (slot, (&rank, room)) in ranks.iter().zip(out.chunks_exact_mut(bytes)).enumerate() {
            first.entry(rank).or_insert_with(|| {
                wanted.insert(rank, room);
                slot
            });
        }
        let mut findings = Findings::default();
        if self.index.order == Order::Presentation {
            let behind_the_cut = wanted.split_off(&self.index.len());
            wanted = self.jump(wanted)?;
            wanted.extend(behind_the_cut);
            if self.care == Care::Fast && !wanted.is_empty() {
                return Err(Stop::Odd);
            }
        }
        if !wanted.is_empty() {
            Sweep::new(self, wanted, &mut findings)?.run()?;
        }
        for (slot, rank) in ranks.iter().enumerate() {
            let from = first[rank];
            if from != slot {
                out.copy_within(from * bytes..(from + 1) * bytes, slot * bytes);
            }
        }
        Ok(findings)
    }

    /// Does the container mark a picture as a keyframe that is none? AVI files without their index
    /// mark them all, and some decoders start anywhere without complaint.
    fn is_false_key(&self, frame: &Frame, rank: usize) -> bool {
        // Those of H.264 may consist of two fields, of which one depends on the other; and these
        // two decoders do complain.
        let complains = matches!(self.parameters.codec(), Some(Codec::H264 | Codec::Hevc));
        !complains && frame.is_predicted() && self.index.entries[self.index.position(rank)].key
    }

    fn painter(&self) -> Painter {
        Painter::new(self.orientation, self.size)
    }

    /// Decodes only the stretches that hold wanted frames, several at a time. Returns the frames
    /// that did not come out, or not in order: what a jump finds damaged may be whole after all.
    fn jump<'o>(&self, mut wanted: Wanted<'o>) -> std::result::Result<Wanted<'o>, Code> {
        let mut stretches = plan::stretches(self.index, wanted.keys().copied());
        let crew = Crew::new(self, &mut stretches);
        let rooms_of = |stretch: &Stretch| -> Wanted<'o> {
            stretch
                .ranks
                .iter()
                .filter_map(|rank| wanted.remove_entry(rank))
                .collect()
        };
        let rooms: Vec<Wanted<'o>> = stretches.iter().map(rooms_of).collect();
        let queue = Mutex::new(stretches.into_iter().zip(rooms));
        let left = Mutex::new(Wanted::new());
        let work = || {
            let mut session = self.session(crew.decoder_threads, true)?;
            let mut painter = self.painter();
            loop {
                // Released before decoding: a `while let` would hold the lock.
                let next = locked(&queue).next();
                let Some((stretch, mut rooms)) = next else {
                    return Ok(());
                };
                self.stretch(&mut session, &mut painter, &stretch, &mut rooms)?;
                if !rooms.is_empty() {
                    // Draining ends at the first picture that FFmpeg holds back, perhaps a leading
                    // one of an open GOP, with others still waiting.
                    let longer = stretch.prolonged(self.index);
                    self.stretch(&mut session, &mut painter, &longer, &mut rooms)?;
                }
                locked(&left).append(&mut rooms);
            }
        };
        in_parallel(crew.workers, work)?;
        Ok(left.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn session(&self, threads: usize, jumps: bool) -> std::result::Result<Session<'a>, Code> {
        let manner = Manner {
            suspicious: jumps,
            cleared: self.care == Care::Full,
        };
        Session::open(
            self.path,
            self.index,
            self.parameters,
            threads,
            manner,
            self.abort,
        )
    }

    /// Decodes one stretch and takes away the rooms it fills with whole pictures.
    fn stretch(
        &self,
        session: &mut Session<'a>,
        painter: &mut Painter,
        stretch: &Stretch,
        rooms: &mut Wanted<'_>,
    ) -> std::result::Result<(), Code> {
        let index = self.index;
        let start = index.entries[*stretch.packets.start()].pts;
        let (mut drawn, mut damaged) = (Vec::new(), Vec::new());
        let mut asked: Vec<usize> = stretch.ranks.iter().map(|&r| index.position(r)).collect();
        asked.sort_unstable();
        let is_wanted = |place: usize| asked.binary_search(&place).is_ok();
        let skip = Inspector::new(self.parameters)
            .filter(|_| self.care == Care::Fast)
            .map(|inspector| Skip {
                inspector,
                is_wanted: &is_wanted,
            });
        let mpeg4 = self.parameters.codec() == Some(Codec::Mpeg4);
        let (mut last, mut ordered, mut aware) = (None, true, true);
        let refused = session.run(stretch.packets.clone(), skip.as_ref(), &mut |frame| {
            let Some(rank) = frame.pts().and_then(|pts| index.rank(pts)) else {
                return Ok(ControlFlow::Continue(()));
            };
            ordered &= last.replace(rank) < Some(rank);
            // FFmpeg takes the duration of a field from the first B-picture it ever sees.
            aware &= !(mpeg4 && frame.is_b_of_fields());
            aware &= !self.is_false_key(frame, rank);
            if frame.is_damaged() {
                damaged.push(index.position(rank));
            }
            if let Some(room) = rooms.get_mut(&rank) {
                painter.draw(frame, room)?;
                drawn.push(rank);
            }
            // Not even after the last wanted frame: a picture it depends on may come out later,
            // and tell of damage.
            Ok(ControlFlow::Continue(()))
        })?;
        damaged.extend(refused);
        if session.is_shared_out() && !damaged.is_empty() {
            return Ok(()); // threads complain late: which packet it was about cannot be told
        }
        // Leading pictures of an open GOP lack their references here; nothing depends on them.
        damaged.retain(|&position| index.entries[position].pts >= start);
        if !ordered || !aware {
            return Ok(()); // the timestamps or the keyframes lie, or the decoder guessed
        }
        for rank in drawn.iter().filter(|&&rank| !index.reached(&damaged, rank)) {
            rooms.remove(rank);
        }
        Ok(())
    }
}

/// How the threads are divided: between stretches, or between the pictures of one stretch.
struct Crew {
    workers: usize,
    decoder_threads: usize,
}

impl Crew {
    /// Chooses what should end first, and puts the stretches into the order in which to take them.
    fn new(passes: &Passes<'_>, stretches: &mut [Stretch]) -> Self {
        /// What a decoder's second thread and further ones achieve, in shares of the first.
        const GAIN: f64 = 0.4;
        /// Smaller pictures are decoded before the threads have woken one another up.
        const LEAST_PIXELS: usize = 1 << 18;
        let bytes = |stretch: &Stretch| -> u64 {
            let packets = &passes.index.entries[stretch.packets.clone()];
            packets.iter().map(|packet| u64::from(packet.size)).sum()
        };
        // Biggest first: what is left at the end should be small. Pictures that need no other are
        // all alike, and a damaged one shows what its decoder had before: that stays in order.
        if !passes.index.entries.iter().all(|entry| entry.key) {
            stretches.sort_by_cached_key(|stretch| std::cmp::Reverse(bytes(stretch)));
        }
        let shared = passes.care == Care::Fast && passes.parameters.pixels() >= LEAST_PIXELS;
        let threads = if shared { passes.options.threads } else { 1 };
        let duration = |crew: &Self| {
            let mut ends = vec![0; crew.workers];
            for stretch in &*stretches {
                if let Some(first_free) = ends.iter_mut().min() {
                    *first_free += bytes(stretch);
                }
            }
            let speed = 1.0 + GAIN * (crew.decoder_threads - 1) as f64;
            ends.into_iter().max().unwrap_or(0) as f64 / speed
        };
        let crews =
            (1..=passes.options.threads.clamp(1, stretches.len().max(1))).map(|workers| Self {
                workers,
                decoder_threads: (threads / workers).max(1),
            });
        // On a tie the larger crew: its decoders are simpler.
        crews
            .rev()
            .min_by(|a, b| duration(a).total_cmp(&duration(b)))
            .unwrap_or(Self {
                workers: 1,
                decoder_threads: 1,
            })
    }
}

/// A picture that came out of a decode from the start.
struct Drawn {
    rank: usize,
    /// That of its packet.
    place: usize,
    /// In decoder order: the place of the keyframe it needs, if that came out.
    key: Option<usize>,
}

impl Drawn {
    /// In decoder order: may it show damage of any of these packets? What comes out before the first
    /// keyframe lacks something, if there are any.
    fn is_reached(&self, damaged: &[usize], keys: bool) -> bool {
        let needed = self.key.unwrap_or(0)..=self.place;
        (keys && self.key.is_none()) || damaged.iter().any(|packet| needed.contains(packet))
    }
}

/// A decode from the start to the end: always right, and needed when jumping is not possible or
/// did not give all frames.
struct Sweep<'p, 'o> {
    passes: &'p Passes<'p>,
    wanted: Wanted<'o>,
    findings: &'p mut Findings,
    painter: Painter,
    /// The last picture that came out, and its rank.
    last: Option<usize>,
    last_frame: Frame,
    drawn: Vec<Drawn>,
    /// Places of damaged pictures.
    damaged: Vec<usize>,
    /// Places of keyframes that are none.
    false_keys: Vec<usize>,
    /// In decoder order: the places of the keyframes that the edit list takes away, and of those
    /// that came out.
    keys: Vec<usize>,
    /// Places of pictures that came out twice, or behind later ones: which of them has its right
    /// place cannot be told.
    out_of_turn: Vec<usize>,
    came_out: usize,
    strangers: usize,
}

impl<'p, 'o> Sweep<'p, 'o> {
    fn new(
        passes: &'p Passes<'p>,
        wanted: Wanted<'o>,
        findings: &'p mut Findings,
    ) -> std::result::Result<Self, Code> {
        let entries = passes.index.entries.iter().enumerate();
        let cut = entries.filter(|(_, entry)| entry.key && !entry.shown);
        Ok(Self {
            passes,
            wanted,
            findings,
            painter: passes.painter(),
            last: None,
            last_frame: Frame::new()?,
            drawn: Vec::new(),
            damaged: Vec::new(),
            false_keys: Vec::new(),
            keys: cut.map(|(place, _)| place).collect(),
            out_of_turn: Vec::new(),
            came_out: 0,
            strangers: 0,
        })
    }

    fn by_time(&self) -> bool {
        self.passes.index.order == Order::Presentation
    }

    fn run(mut self) -> std::result::Result<(), Stop> {
        let index = self.passes.index;
        let fast = self.passes.care == Care::Fast;
        let threads = if fast { self.passes.options.threads } else { 1 };
        let everything = 0..=index.entries.len() - 1;
        let refused = self
            .passes
            .session(threads, false)?
            .run(everything, None, &mut |frame| self.picture(frame))?;
        self.damaged.extend(refused);
        let odd = !self.damaged.is_empty()
            || !self.wanted.is_empty()
            || !self.false_keys.is_empty()
            || *self.findings != Findings::default();
        if fast && odd {
            return Err(Stop::Odd);
        }
        if self.came_out == 0 {
            return Err(Stop::NoPicture);
        }
        let by_time = self.by_time();
        if by_time {
            let whole = self.damaged.is_empty() && !index.broken;
            let as_indexed = self.strangers == 0 && self.came_out == index.len();
            if whole && !as_indexed {
                return Err(Stop::Renumber(self.came_out));
            }
            if !self.false_keys.is_empty() {
                return Err(Stop::FalseKeys(self.false_keys));
            }
            self.damaged.append(&mut self.out_of_turn);
        }
        let reached = self.drawn.iter().filter(|drawn| {
            if by_time {
                index.reached(&self.damaged, drawn.rank)
            } else {
                drawn.is_reached(&self.damaged, !self.keys.is_empty())
            }
        });
        let reached = reached.map(|drawn| drawn.rank);
        self.findings.concealed.extend(reached);
        while let Some((rank, room)) = self.wanted.pop_first() {
            self.findings.missing.insert(rank);
            self.stand_in(None, rank, room)?;
        }
        Ok(())
    }

    fn picture(&mut self, frame: &mut Frame) -> Answer {
        let index = self.passes.index;
        let rank = if self.by_time() {
            frame.pts().and_then(|pts| index.rank(pts))
        } else {
            Some(self.came_out)
        };
        self.came_out += 1;
        let in_turn = |rank: &usize| self.last.is_none_or(|last| *rank > last);
        let Some(rank) = rank.filter(in_turn) else {
            self.out_of_turn
                .extend(rank.map(|rank| index.position(rank)));
            self.strangers += 1;
            return Ok(ControlFlow::Continue(()));
        };
        let place = if self.by_time() {
            index.position(rank)
        } else {
            // A picture that does not say where it comes from may need all packets.
            let told = frame.pts().and_then(|place| usize::try_from(place).ok());
            let last = index.entries.len() - 1;
            told.map_or(last, |place| place.min(last))
        };
        if frame.is_damaged() {
            self.damaged.push(place);
        }
        if self.by_time() && self.passes.is_false_key(frame, rank) {
            self.false_keys.push(place);
        }
        if frame.is_key() {
            self.keys.push(place);
        }
        // What lies between the last picture and this one did not come out.
        while let Some(entry) = self
            .wanted
            .first_entry()
            .filter(|entry| *entry.key() < rank)
        {
            let (missed, room) = entry.remove_entry();
            self.findings.missing.insert(missed);
            self.stand_in(Some((rank, frame)), missed, room)?;
        }
        if let Some(room) = self.wanted.remove(&rank) {
            self.painter.draw(frame, room)?;
            // Leading pictures of an open GOP come out before its keyframe.
            let key = self.keys.iter().rfind(|&&key| key <= place).copied();
            self.drawn.push(Drawn { rank, place, key });
        }
        self.last = Some(rank);
        self.last_frame.take(frame);
        // Counting on is only needed to check an index by time; and in decoder order the first
        // keyframe tells about what came before.
        let done = self.wanted.is_empty() && !self.by_time() && !self.keys.is_empty();
        Ok(if done {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Fills the room of a missing frame.
    fn stand_in(
        &mut self,
        next: Option<(usize, &Frame)>,
        missed: usize,
        room: &mut [u8],
    ) -> std::result::Result<(), Code> {
        if self.passes.options.on_damage != OnDamage::Nearest {
            room.fill(0);
            return Ok(());
        }
        match (self.last, next) {
            (Some(last), Some((rank, next))) if rank - missed < missed - last => {
                self.painter.draw(next, room)
            }
            (None, Some((_, next))) => self.painter.draw(next, room),
            _ => self.painter.draw(&self.last_frame, room),
        }
    }
}

/// Samples many clips, one thread each, `options.threads` at a time.
///
/// `picks` holds the choice for each path, all of the same length; `out` holds `paths.len()` times
/// the pictures of one clip. The size must be given.
///
/// # Errors
/// The first error of any clip; the others stop soon after.
pub fn sample_clips(
    paths: &[PathBuf],
    picks: &[Pick<'_>],
    options: &Options,
    abort: &AtomicBool,
    out: &mut [u8],
) -> Result<Vec<Sampled>> {
    let count = picks.first().map_or(1, Pick::len);
    let bytes = options.size.map_or(0, |(height, width)| height * width * 3) * count;
    if bytes == 0
        || picks.iter().any(|pick| pick.len() != count)
        || picks.len() != paths.len()
        || out.len() != bytes * paths.len()
    {
        let what = format!(
            "out must hold {} pictures of a given size for each of {} clips, got {} bytes",
            count,
            paths.len(),
            out.len()
        );
        let remedy = "pass a size, and the same number of frames, at least one, for each clip";
        return Err(Error::argument(what, remedy));
    }
    let one = Options {
        threads: 1,
        ..*options
    };
    let queue = Mutex::new(
        paths
            .iter()
            .zip(picks)
            .zip(out.chunks_exact_mut(bytes))
            .enumerate(),
    );
    let sampled = Mutex::new(vec![None; paths.len()]);
    in_parallel(options.threads.clamp(1, paths.len().max(1)), || {
        loop {
            let next = locked(&queue).next();
            let Some((i, ((path, pick), room))) = next else {
                return Ok(());
            };
            let result = Clip::open(path, abort)?.sample(pick, &one, abort, room)?;
            locked(&sampled)[i] = Some(result);
        }
    })?;
    let sampled = sampled.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(sampled.into_iter().flatten().collect())
}

/// Runs the same work on several threads; the first error wins.
fn in_parallel<E: Send>(
    workers: usize,
    work: impl Fn() -> std::result::Result<(), E> + Sync,
) -> std::result::Result<(), E> {
    if workers == 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(&work)).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .fold(Ok(()), std::result::Result::and)
    })
}

/// A worker that panics ends the call anyway; what it left behind is not looked at.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
