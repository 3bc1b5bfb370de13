//! Turning packets into pictures.
use super::{Code, Complaints, Packet, Parameters, memory, silence, sys};
use std::ptr::{self, NonNull};

/// One decoded picture; its planes belong to FFmpeg.
pub(crate) struct Frame(NonNull<sys::AVFrame>);

/// What the decoder had to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Picture,
    /// It wants another packet.
    Hungry,
    /// Everything that was sent has come out.
    Drained,
}

/// Notice violations of the format instead of decoding on regardless: MPEG-4 and its kin would
/// otherwise show damage as if it were picture.
const VIGILANCE: i32 = sys::AV_EF_CRCCHECK | sys::AV_EF_BITSTREAM | sys::AV_EF_CAREFUL;

/// But MPEG-1 and MPEG-2 of constant rate fill their pictures up with zeros, which is no violation.
const FILLED_UP: [sys::AVCodecID; 2] = [sys::AVCodecID::MPEG1VIDEO, sys::AVCodecID::MPEG2VIDEO];

/// Bytes behind the picture are a violation, too. Old encoders pad their packets; FFmpeg's MPEG-4
/// finds out with the first pictures whether this one does, and believes any packet until then.
const SUSPICION: i32 = sys::AV_EF_BUFFER;

/// Most pixels of a picture, 8192 x 8192: a header that lies must not cost the machine its memory.
const MOST_PIXELS: i64 = 1 << 26;

/// How a decoder goes about damage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub suspicious: bool,
    pub cleared: bool,
}

/// An open decoder.
pub(crate) struct Decoder {
    context: Context,
    complaints: Complaints,
}

/// A decoder's state, opened or not.
pub(super) struct Context(NonNull<sys::AVCodecContext>);

// SAFETY: FFmpeg's contexts are bound to no thread; one that owns it may use it.
unsafe impl Send for Context {}

impl Context {
    pub(super) fn as_ptr(&self) -> *mut sys::AVCodecContext {
        self.0.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut context = self.as_ptr();
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::avcodec_free_context(&raw mut context) };
    }
}

/// A context with the parameters, not opened.
pub(super) fn unopened(parameters: &Parameters) -> Result<Context, Code> {
    silence();
    // SAFETY: looks the id up; returns null for an unknown codec.
    let codec = unsafe { sys::avcodec_find_decoder((*parameters.as_ptr()).codec_id) };
    if codec.is_null() {
        return Err(Code::NO_DECODER);
    }
    // SAFETY: the codec is a static object; null means no memory.
    let context = unsafe { sys::avcodec_alloc_context3(codec) };
    let context = Context(NonNull::new(context).ok_or(Code::NO_MEMORY)?);
    // SAFETY: both are valid; what the parameters own is copied.
    Code::check(unsafe {
        sys::avcodec_parameters_to_context(context.as_ptr(), parameters.as_ptr())
    })?;
    Ok(context)
}

impl Frame {
    pub(crate) fn new() -> Result<Self, Code> {
        // SAFETY: allocates and fills in defaults; null means no memory.
        NonNull::new(unsafe { sys::av_frame_alloc() })
            .map(Self)
            .ok_or(Code::NO_MEMORY)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::AVFrame {
        self.0.as_ptr()
    }

    pub(super) fn get(&self) -> &sys::AVFrame {
        // SAFETY: the pointer is owned by self and valid until drop.
        unsafe { self.0.as_ref() }
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let side = |length| usize::try_from(length).unwrap_or(0);
        (side(self.get().width), side(self.get().height))
    }

    /// Presentation time in ticks.
    pub(crate) fn pts(&self) -> Option<i64> {
        (self.get().pts != i64::MIN).then(|| self.get().pts)
    }

    /// Parts of the picture were guessed or never decoded, or its references were not there.
    pub(crate) fn is_damaged(&self) -> bool {
        self.get().decode_error_flags != 0
            || self.get().flags & sys::AV_FRAME_FLAG_CORRUPT != 0
            || memory::is_unfinished(self.get())
    }

    /// The picture depends on others. Not every decoder tells.
    pub(crate) fn is_predicted(&self) -> bool {
        use sys::AVPictureType as T;
        [T::P, T::B, T::S, T::SP].contains(&self.get().pict_type)
    }

    /// A decode may begin here: no picture that comes out later depends on one that came in before.
    pub(crate) fn is_key(&self) -> bool {
        #[cfg(not(ffmpeg_6_1))]
        return self.get().key_frame != 0;
        #[cfg(ffmpeg_6_1)]
        return self.get().flags & sys::AV_FRAME_FLAG_KEY != 0;
    }

    /// Its motion is told field by field, relative to two pictures around it.
    pub(crate) fn is_b_of_fields(&self) -> bool {
        #[cfg(not(ffmpeg_6_1))]
        let interlaced = self.get().interlaced_frame != 0;
        #[cfg(ffmpeg_6_1)]
        let interlaced = self.get().flags & sys::AV_FRAME_FLAG_INTERLACED != 0;
        interlaced && self.get().pict_type == sys::AVPictureType::B
    }

    /// Takes over the content of the other frame, which is left empty.
    pub(crate) fn take(&mut self, other: &mut Self) {
        // SAFETY: both are valid and distinct, as both are exclusively borrowed.
        unsafe {
            sys::av_frame_unref(self.as_ptr());
            sys::av_frame_move_ref(self.as_ptr(), other.as_ptr());
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut frame = self.as_ptr();
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::av_frame_free(&raw mut frame) };
    }
}

impl Decoder {
    /// Opens a decoder for a stream. Undamaged pictures do not depend on the number of threads.
    ///
    /// One that starts in the middle knows nothing of the encoder's habits: it had better be
    /// `suspicious`, though it may complain of a whole picture. `cleared`: parts of a picture that
    /// are never decoded are the same each time.
    pub(crate) fn open(
        parameters: &Parameters,
        threads: usize,
        Manner {
            suspicious,
            cleared,
        }: Manner,
    ) -> Result<Self, Code> {
        let context = unopened(parameters)?;
        let mut complaints = Complaints::new()?;
        let raw = context.as_ptr();
        // SAFETY: the context is new, and its fields may be set until it is opened; it knows its codec.
        unsafe {
            (*raw).opaque = complaints.opaque();
            (*raw).pkt_timebase = parameters.tick();
            (*raw).thread_count = i32::try_from(threads).map_err(|_| Code::INVALID)?;
            (*raw).thread_type = sys::FF_THREAD_FRAME;
            (*raw).err_recognition = VIGILANCE | if suspicious { SUSPICION } else { 0 };
            if FILLED_UP.contains(&(*raw).codec_id) {
                (*raw).err_recognition &= !sys::AV_EF_BITSTREAM;
            }
            (*raw).max_pixels = MOST_PIXELS;
            memory::provide(raw, cleared);
            Code::check(sys::avcodec_open2(raw, (*raw).codec, ptr::null_mut()))?;
        }
        // What it says of the headers tells nothing about a packet.
        complaints.any();
        Ok(Self {
            context,
            complaints,
        })
    }

    /// Gives one packet to the decoder, or tells it that there are no more.
    ///
    /// All pictures must have been received before, so it is never full.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), Code> {
        let packet = packet.map_or(ptr::null_mut(), Packet::as_ptr);
        // SAFETY: the context is open; a null packet starts draining.
        Code::check(unsafe { sys::avcodec_send_packet(self.context.as_ptr(), packet) }).map(|_| ())
    }

    /// Takes the next picture in presentation order.
    pub(crate) fn receive(&mut self, frame: &mut Frame) -> Result<Received, Code> {
        // SAFETY: the context is open; the frame is valid and overwritten.
        let code = unsafe { sys::avcodec_receive_frame(self.context.as_ptr(), frame.as_ptr()) };
        match Code::check(code) {
            Ok(_) => Ok(Received::Picture),
            Err(Code::AGAIN) => Ok(Received::Hungry),
            Err(Code::EOF) => Ok(Received::Drained),
            Err(code) => Err(code),
        }
    }

    /// Has it logged an error since the last call?
    pub(crate) fn complained(&mut self) -> bool {
        self.complaints.any()
    }

    /// Forgets everything, ready to start at a keyframe.
    pub(crate) fn flush(&mut self) {
        // SAFETY: the context is open and exclusively borrowed.
        unsafe { sys::avcodec_flush_buffers(self.context.as_ptr()) };
    }
}
