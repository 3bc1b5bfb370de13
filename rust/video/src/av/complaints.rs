//! What FFmpeg complains about. It tells of much damage only in its log: a decoder that goes on
//! over a bad block, a container that searches for the next readable packet.
use super::{Code, sys};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counts the errors that one decoder or demuxer logs, whichever thread it works on.
pub(super) struct Complaints {
    ear: &'static Ear,
    heard: u32,
}

struct Ear {
    taken: AtomicBool,
    errors: AtomicU32,
}

/// FFmpeg gives its log nothing but the object that speaks. The object's `opaque` pointer leads to
/// one of these; it is compared, never followed, as other libraries may use the same FFmpeg.
static EARS: [Ear; 4096] = [const {
    Ear {
        taken: AtomicBool::new(false),
        errors: AtomicU32::new(0),
    }
}; 4096];

/// Errors that are none. H.264 wants to forget a picture that is not there: always so when a decode
/// starts at an open GOP whose pictures name those before it; when such a picture is lost, other
/// messages say so. And H.261 does not tell keyframes from others; what precedes the first one of
/// another format is named in any case.
const HARMLESS: [&CStr; 2] = [
    c"mmco: unref short failure\n",
    c"warning: first frame is no keyframe\n",
];

/// What the decoders for macroblocks say, as mere information, when they guess parts of a picture.
const GUESSED: &[u8] = b"concealing ";

impl Complaints {
    pub(super) fn new() -> Result<Self, Code> {
        let free = |ear: &&Ear| !ear.taken.swap(true, Ordering::Acquire);
        let ear = EARS.iter().find(free).ok_or(Code::NO_MEMORY)?;
        Ok(Self {
            ear,
            heard: ear.errors.load(Ordering::Relaxed),
        })
    }

    /// For the `opaque` field of the object to listen to.
    pub(super) fn opaque(&self) -> *mut c_void {
        ptr::from_ref(self.ear).cast_mut().cast()
    }

    /// Was there a complaint since the last call?
    pub(super) fn any(&mut self) -> bool {
        let before = self.heard;
        self.heard = self.ear.errors.load(Ordering::Relaxed);
        self.heard != before
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        self.ear.taken.store(false, Ordering::Release);
    }
}

/// Makes FFmpeg's log count errors instead of printing: damage is reported through values.
pub(super) fn silence() {
    static ONCE: Once = Once::new();
    // SAFETY: sets one pointer inside libavutil, before any object of ours exists.
    ONCE.call_once(|| unsafe { sys::av_log_set_callback(Some(hear)) });
}

/// The arguments are a `va_list`, whose type depends on the platform; they are not looked at.
unsafe extern "C" fn hear<Arguments>(
    source: *mut c_void,
    level: c_int,
    format: *const c_char,
    _arguments: Arguments,
) {
    if source.is_null() || level & 0xFF > sys::AV_LOG_INFO {
        return;
    }
    // SAFETY: the format of a message is a NUL-terminated string.
    let format = unsafe { CStr::from_ptr(format) };
    let error = level & 0xFF <= sys::AV_LOG_ERROR && !HARMLESS.contains(&format);
    if !error && !format.to_bytes().starts_with(GUESSED) {
        return;
    }
    // SAFETY: whatever logs begins with a pointer to its class.
    let class = unsafe { *source.cast::<*const sys::AVClass>() };
    // SAFETY: both return a static class.
    let (decoder, demuxer) = unsafe { (sys::avcodec_get_class(), sys::avformat_get_class()) };
    let opaque = if class == decoder {
        // SAFETY: objects of this class are codec contexts.
        unsafe { (*source.cast::<sys::AVCodecContext>()).opaque }
    } else if class == demuxer {
        // SAFETY: objects of this class are format contexts.
        unsafe { (*source.cast::<sys::AVFormatContext>()).opaque }
    } else {
        return;
    };
    let Some(ear) = EARS.iter().find(|&ear| ptr::eq(ear, opaque.cast())) else {
        return;
    };
    ear.errors.fetch_add(1, Ordering::Relaxed);
}
