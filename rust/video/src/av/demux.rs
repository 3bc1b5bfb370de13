//! Reading packets out of a container.
use super::{Code, Complaints, Parameters, ratio, silence, sys, url};
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a container says about its video stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Seconds of one tick of a timestamp.
    pub tick_s: f64,
    /// Number of frames in the header, 0 when it does not say.
    pub header_frames: usize,
    /// Average frame rate, 0 when unknown.
    pub fps: f64,
    pub width: usize,
    pub height: usize,
    /// The matrix that turns the stored picture: the signs of a, b, c, d in x' = ax + cy, y' = bx + dy.
    /// None where that is by no multiple of 90 degrees.
    pub matrix: Option<[i8; 4]>,
    pub codec: String,
    /// FFmpeg's name of the container, and the brand of an ISO file.
    pub format: String,
    pub brand: String,
    /// Pictures come out of the decoder later than they go in: there may be B-frames.
    pub reorders: bool,
    /// Or it may be.
    pub interlaced: bool,
    /// The format stores no timestamps at all.
    pub untimed: bool,
}

/// One compressed picture.
pub(crate) struct Packet(NonNull<sys::AVPacket>);

/// An open file, positioned somewhere in its packets.
pub(crate) struct Demuxer<'a> {
    context: NonNull<sys::AVFormatContext>,
    stream: NonNull<sys::AVStream>,
    complaints: Complaints,
    /// Packets before this byte were read when the file was opened, and not without a complaint.
    doubtful_until: i64,
    /// FFmpeg polls the flag through a raw pointer for as long as the context lives.
    abort: PhantomData<&'a AtomicBool>,
}

extern "C" fn aborted(flag: *mut c_void) -> c_int {
    // SAFETY: `flag` is the `&AtomicBool` given in Demuxer::open, which outlives the context.
    let flag = unsafe { &*flag.cast::<AtomicBool>().cast_const() };
    c_int::from(flag.load(Ordering::Relaxed))
}

impl Packet {
    pub(crate) fn new() -> Result<Self, Code> {
        // SAFETY: allocates and fills in defaults; null means no memory.
        NonNull::new(unsafe { sys::av_packet_alloc() })
            .map(Self)
            .ok_or(Code::NO_MEMORY)
    }

    /// Makes it a packet of this size, whose bytes `read` fills in; `false` if that fails.
    pub(crate) fn fill(
        &mut self,
        size: u32,
        pts: i64,
        (key, shown): (bool, bool),
        read: impl FnOnce(&mut [u8]) -> std::io::Result<()>,
    ) -> Result<bool, Code> {
        let length = i32::try_from(size).map_err(|_| Code::INVALID)?;
        // SAFETY: drops the old content and allocates a zero-padded block of the new size.
        unsafe {
            sys::av_packet_unref(self.as_ptr());
            Code::check(sys::av_new_packet(self.as_ptr(), length))?;
        }
        // SAFETY: valid and exclusively borrowed.
        let packet = unsafe { self.0.as_mut() };
        packet.pts = pts;
        packet.flags = if key { sys::AV_PKT_FLAG_KEY } else { 0 }
            | if shown { 0 } else { sys::AV_PKT_FLAG_DISCARD };
        // SAFETY: the new block holds `size` bytes that nobody else refers to; they are set first.
        let bytes = unsafe {
            ptr::write_bytes(packet.data, 0, size as usize);
            std::slice::from_raw_parts_mut(packet.data, size as usize)
        };
        Ok(read(bytes).is_ok())
    }

    pub(super) fn as_ptr(&self) -> *mut sys::AVPacket {
        self.0.as_ptr()
    }

    fn get(&self) -> &sys::AVPacket {
        // SAFETY: the pointer is owned by self and valid until drop.
        unsafe { self.0.as_ref() }
    }

    /// Presentation time in ticks.
    pub(crate) fn pts(&self) -> Option<i64> {
        known(self.get().pts)
    }

    /// Replaces the presentation time, which the picture takes over.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: the pointer is owned by self and exclusively borrowed.
        unsafe { self.0.as_mut() }.pts = pts;
    }

    /// Decoding time in ticks.
    pub(crate) fn dts(&self) -> Option<i64> {
        known(self.get().dts)
    }

    /// Ticks the picture is shown; 0 when unknown.
    pub(crate) fn duration(&self) -> i64 {
        self.get().duration
    }

    /// Byte position in the file; negative when unknown.
    pub(crate) fn position(&self) -> i64 {
        self.get().pos
    }

    pub(crate) fn is_key(&self) -> bool {
        self.get().flags & sys::AV_PKT_FLAG_KEY != 0
    }

    /// Decoded but not shown: outside the edit list.
    pub(crate) fn is_discarded(&self) -> bool {
        self.get().flags & sys::AV_PKT_FLAG_DISCARD != 0
    }

    /// The container found bytes missing.
    pub(crate) fn is_corrupt(&self) -> bool {
        self.get().flags & sys::AV_PKT_FLAG_CORRUPT != 0
    }

    /// All that a decoder is told are its bytes.
    pub(crate) fn is_plain(&self) -> bool {
        let packet = self.get();
        let count = usize::try_from(packet.side_data_elems).unwrap_or(0);
        // SAFETY: the packet holds that many blocks of side data, and lives as long as self.
        let kind = |i: usize| unsafe { (*packet.side_data.add(i)).type_ };
        (0..count).all(|i| kind(i) == sys::AVPacketSideDataType::MPEGTS_STREAM_ID)
    }

    /// It tells the decoder what holds for the packets behind it, too: colours, or other headers than
    /// those of the stream.
    pub(crate) fn has_lasting_news(&self, extradata: &[u8]) -> bool {
        use sys::AVPacketSideDataType as Kind;
        let data = |kind| {
            let mut size = 0;
            // SAFETY: the packet is valid; null when it holds no such data.
            let start = unsafe { sys::av_packet_get_side_data(self.get(), kind, &raw mut size) };
            // SAFETY: the block holds `size` bytes and lives as long as self.
            (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, size) })
        };
        data(Kind::PALETTE).is_some()
            || data(Kind::NEW_EXTRADATA).is_some_and(|news| news != extradata)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let packet = self.get();
        if packet.data.is_null() {
            return &[];
        }
        // SAFETY: a packet with data holds `size` readable bytes, borrowed for as long as self.
        unsafe { std::slice::from_raw_parts(packet.data, packet.size.max(0) as usize) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut packet = self.as_ptr();
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::av_packet_free(&raw mut packet) };
    }
}

impl<'a> Demuxer<'a> {
    /// Opens the file and chooses its video stream.
    pub(crate) fn open(path: &Path, abort: &'a AtomicBool) -> Result<Self, Code> {
        silence();
        let url = url(path)?;
        let complaints = Complaints::new()?;
        // SAFETY: allocates a context with defaults; null means no memory.
        let mut raw = unsafe { sys::avformat_alloc_context() };
        let context = NonNull::new(raw).ok_or(Code::NO_MEMORY)?;
        // SAFETY: the context was just made and nobody else holds it.
        unsafe {
            (*context.as_ptr()).opaque = complaints.opaque();
            (*context.as_ptr()).interrupt_callback = sys::AVIOInterruptCB {
                callback: Some(aborted),
                opaque: ptr::from_ref(abort).cast_mut().cast(),
            };
        }
        let mut options = ptr::null_mut();
        // SAFETY: both strings are NUL-terminated; the dictionary is made on first use.
        unsafe {
            sys::av_dict_set(
                &raw mut options,
                c"protocol_whitelist".as_ptr(),
                c"file".as_ptr(),
                0,
            );
        }
        // SAFETY: all pointers are valid; on failure FFmpeg frees the context itself.
        let opened = unsafe {
            sys::avformat_open_input(
                &raw mut raw,
                url.as_ptr(),
                ptr::null_mut(),
                &raw mut options,
            )
        };
        // SAFETY: frees what is left of the dictionary; null is allowed.
        unsafe { sys::av_dict_free(&raw mut options) };
        Code::check(opened).map_err(Code::blame_file)?;
        // From here on the context is freed by drop, whatever fails.
        let mut demuxer = Self {
            context,
            stream: NonNull::dangling(),
            complaints,
            doubtful_until: 0,
            abort: PhantomData,
        };
        demuxer.ignore_all_but(None);
        // What it says of the headers tells nothing about a packet.
        demuxer.complaints.any();
        // SAFETY: the context is open; no per-stream options are given.
        Code::check(unsafe { sys::avformat_find_stream_info(context.as_ptr(), ptr::null_mut()) })?;
        demuxer.stream = demuxer.choose()?;
        demuxer.ignore_all_but(Some(demuxer.stream));
        if demuxer.complaints.any() {
            // SAFETY: the context is open; seeking by nothing tells the position.
            demuxer.doubtful_until =
                unsafe { sys::avio_seek((*context.as_ptr()).pb, 0, libc::SEEK_CUR) };
        }
        Ok(demuxer)
    }

    fn streams(&self) -> impl Iterator<Item = NonNull<sys::AVStream>> + use<> {
        // SAFETY: the context is valid while self lives.
        let context = unsafe { self.context.as_ref() };
        let (first, count) = (context.streams, context.nb_streams as usize);
        // SAFETY: `streams` holds `nb_streams` valid pointers; the iterator is used up at once.
        (0..count).filter_map(move |i| NonNull::new(unsafe { *first.add(i) }))
    }

    /// Makes the container skip the packets of other streams; before the choice: of all but video.
    fn ignore_all_but(&mut self, kept: Option<NonNull<sys::AVStream>>) {
        for mut stream in self.streams() {
            // SAFETY: a stream of the open context, whose codec parameters always exist.
            unsafe {
                let video = (*stream.as_ref().codecpar).codec_type == sys::AVMediaType::VIDEO;
                if kept.map_or(!video, |kept| kept != stream) {
                    stream.as_mut().discard = sys::AVDiscard::ALL;
                }
            }
        }
    }

    fn choose(&self) -> Result<NonNull<sys::AVStream>, Code> {
        // SAFETY: the context is open; the decoder is not asked for.
        let best = unsafe {
            sys::av_find_best_stream(
                self.context.as_ptr(),
                sys::AVMediaType::VIDEO,
                -1,
                -1,
                ptr::null_mut(),
                0,
            )
        };
        let usable = |stream: &NonNull<sys::AVStream>| {
            // SAFETY: a stream of the open context, whose codec parameters always exist.
            let (cover, parameters) = unsafe {
                let stream = stream.as_ref();
                (
                    stream.disposition & sys::AV_DISPOSITION_ATTACHED_PIC != 0,
                    &*stream.codecpar,
                )
            };
            // Text files pass for the screen of a terminal.
            let text = [
                sys::AVCodecID::ANSI,
                sys::AVCodecID::BINTEXT,
                sys::AVCodecID::XBIN,
            ];
            parameters.codec_type == sys::AVMediaType::VIDEO
                && !cover
                && !text.contains(&parameters.codec_id)
        };
        let best = usize::try_from(best)
            .ok()
            .and_then(|i| self.streams().nth(i));
        best.filter(usable)
            .or_else(|| self.streams().find(usable))
            .ok_or(Code::NO_STREAM)
    }

    /// What a decoder of the stream must know.
    pub(crate) fn parameters(&self) -> Result<Parameters, Code> {
        // SAFETY: the chosen stream lives as long as the context, and always has parameters.
        let stream = unsafe { self.stream.as_ref() };
        Parameters::copy(stream.codecpar, stream.time_base)
    }

    /// What the header and the first packets say about the video.
    pub(crate) fn describe(&self) -> Stream {
        // SAFETY: stream, parameters and input format live as long as the context.
        let (stream, parameters, format) = unsafe {
            let context = self.context.as_ref();
            (
                self.stream.as_ref(),
                &*self.stream.as_ref().codecpar,
                &*context.iformat,
            )
        };
        let rates = [ratio(stream.avg_frame_rate), ratio(stream.r_frame_rate)];
        Stream {
            tick_s: ratio(stream.time_base),
            header_frames: usize::try_from(stream.nb_frames).unwrap_or(0),
            fps: rates.into_iter().find(|&rate| rate > 0.0).unwrap_or(0.0),
            width: usize::try_from(parameters.width).unwrap_or(0),
            height: usize::try_from(parameters.height).unwrap_or(0),
            matrix: self.matrix(),
            // SAFETY: returns a static string for every id.
            codec: text(unsafe { sys::avcodec_get_name(parameters.codec_id) }),
            format: text(format.name),
            brand: self.brand(),
            reorders: parameters.video_delay > 0,
            interlaced: match parameters.field_order {
                sys::AVFieldOrder::PROGRESSIVE => false,
                // Of progressive H.264 FFmpeg says so.
                sys::AVFieldOrder::UNKNOWN => parameters.codec_id == sys::AVCodecID::H264,
                _ => true,
            },
            untimed: format.flags & sys::AVFMT_NOTIMESTAMPS != 0,
        }
    }

    fn brand(&self) -> String {
        // SAFETY: looks a key up in the container's metadata; null when it is absent.
        let entry = unsafe {
            let context = self.context.as_ref();
            sys::av_dict_get(context.metadata, c"major_brand".as_ptr(), ptr::null(), 0)
        };
        if entry.is_null() {
            return String::new();
        }
        // SAFETY: a found entry is valid, and its value is a NUL-terminated string.
        text(unsafe { (*entry).value })
    }

    fn matrix(&self) -> Option<[i8; 4]> {
        let mut bytes = 0;
        // SAFETY: asks for a side data block of the stream; null when it is absent.
        #[cfg(not(ffmpeg_6_1))]
        let data = unsafe {
            sys::av_stream_get_side_data(
                self.stream.as_ptr(),
                sys::AVPacketSideDataType::DISPLAYMATRIX,
                &raw mut bytes,
            )
        };
        // SAFETY: asks for a side data block of the parameters; null when it is absent.
        #[cfg(ffmpeg_6_1)]
        let data = unsafe {
            let parameters = &*self.stream.as_ref().codecpar;
            let found = sys::av_packet_side_data_get(
                parameters.coded_side_data,
                parameters.nb_coded_side_data,
                sys::AVPacketSideDataType::DISPLAYMATRIX,
            );
            if found.is_null() {
                ptr::null_mut()
            } else {
                bytes = (*found).size;
                (*found).data
            }
        };
        if data.is_null() || bytes < 36 {
            return Some([1, 0, 0, 1]);
        }
        // SAFETY: a display matrix is nine i32; the block was checked to be that long.
        signs(unsafe { data.cast::<[i32; 9]>().read_unaligned() })
    }

    /// Reads the next packet of the video; `false` at the end of the file.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, Code> {
        loop {
            // SAFETY: unreferences the old content; the packet stays valid.
            unsafe { sys::av_packet_unref(packet.as_ptr()) };
            // SAFETY: context and packet are valid and exclusively borrowed.
            let code = unsafe { sys::av_read_frame(self.context.as_ptr(), packet.as_ptr()) };
            match Code::check(code) {
                Err(Code::EOF) => return Ok(false),
                Err(code) => return Err(code),
                // SAFETY: the stream lives as long as the context.
                Ok(_) if packet.get().stream_index == unsafe { self.stream.as_ref() }.index => {
                    return Ok(true);
                }
                // Streams that turn up late in the file are not marked to be skipped.
                Ok(_) => {}
            }
        }
    }

    /// Was an error logged while the packet was read? To be asked after each.
    pub(crate) fn doubts(&mut self, packet: &Packet) -> bool {
        let complained = self.complaints.any();
        complained || (0..self.doubtful_until).contains(&packet.position())
    }

    /// Goes to a keyframe at or before the decoding time, as far as the container can.
    pub(crate) fn seek(&mut self, dts: i64) -> Result<(), Code> {
        // SAFETY: the context is open and exclusively borrowed.
        Code::check(unsafe {
            sys::av_seek_frame(
                self.context.as_ptr(),
                self.stream.as_ref().index,
                dts,
                sys::AVSEEK_FLAG_BACKWARD,
            )
        })
        .map(|_| ())
    }
}

impl Drop for Demuxer<'_> {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned by self, opened by avformat_open_input, not used afterwards.
        unsafe { sys::avformat_close_input(&raw mut context) };
    }
}

/// The signs that [`Stream::matrix`] holds, of a display matrix; up to a degree is taken as none.
pub(crate) fn signs(m: [i32; 9]) -> Option<[i8; 4]> {
    const DEGREES_OF_RADIAN: i64 = 57;
    let size = |place: usize| i64::from(m[place]).abs();
    let oblique = |x: i64, y: i64| x.min(y) * DEGREES_OF_RADIAN > x.max(y);
    let sign = |v: i32| if v < 0 { -1 } else { 1 };
    if oblique(size(0), size(1)) || oblique(size(3), size(4)) {
        return None;
    }
    match (size(1) > size(0), size(3) > size(4)) {
        (false, false) => Some([sign(m[0]), 0, 0, sign(m[4])]),
        (true, true) => Some([0, sign(m[1]), sign(m[3]), 0]),
        // Both sides of the picture would lie in one direction.
        _ => None,
    }
}

fn known(timestamp: i64) -> Option<i64> {
    (timestamp != i64::MIN).then_some(timestamp)
}

fn text(string: *const std::ffi::c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: FFmpeg's names and metadata values are NUL-terminated.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::signs;

    #[test]
    fn only_quarter_turns_have_signs() {
        let one = 1 << 16;
        let of = |[a, b, c, d]: [i32; 4]| signs([a, b, 0, c, d, 0, 0, 0, 1 << 30]);
        assert_eq!(of([one, 0, 0, one]), Some([1, 0, 0, 1]));
        assert_eq!(of([0, one, -one, 0]), Some([0, 1, -1, 0]));
        assert_eq!(of([-one, 900, -900, -one]), Some([-1, 0, 0, -1]));
        assert_eq!(of([one, one, -one, one]), None);
        // Both sides along one direction.
        assert_eq!(of([one, 0, 500 * one, one]), None);
    }
}
