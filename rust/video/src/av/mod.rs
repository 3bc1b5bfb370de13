//! The thin safe layer over FFmpeg's C libraries: the only unsafe code of this crate.
//!
//! Each type owns one C object and frees it on drop. Failures are FFmpeg's own codes ([`Code`]);
//! the modules above turn them into sentences.
mod complaints;
mod decode;
mod demux;
mod encode;
mod lanes;
mod memory;
mod parameters;
mod scale;

use complaints::{Complaints, silence};
use ffmpeg_sys_the_third as sys;
use std::ffi::{CStr, CString};
use std::path::Path;

pub(crate) use decode::{Decoder, Frame, Manner, Received};
pub(crate) use demux::{Demuxer, Packet, Stream, signs};
pub(crate) use encode::{EncoderSettings, Muxer};
pub(crate) use lanes::{Kernel, Lanes, Vectors, run_wide};
pub(crate) use parameters::{Codec, Colours, Described, Parameters};
pub(crate) use scale::{Canvas, Planes, Scaler, planes};

/// A negative return value of FFmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(i32);

impl Code {
    pub(crate) const EOF: Self = Self(sys::AVERROR_EOF);
    pub(crate) const AGAIN: Self = Self(sys::AVERROR(libc::EAGAIN));
    pub(crate) const NO_MEMORY: Self = Self(sys::AVERROR(libc::ENOMEM));
    pub(crate) const INVALID: Self = Self(sys::AVERROR(libc::EINVAL));
    const BAD_DATA: Self = Self(sys::AVERROR_INVALIDDATA);
    pub(crate) const NO_DECODER: Self = Self(sys::AVERROR_DECODER_NOT_FOUND);
    pub(crate) const NO_ENCODER: Self = Self(sys::AVERROR_ENCODER_NOT_FOUND);
    pub(crate) const NO_STREAM: Self = Self(sys::AVERROR_STREAM_NOT_FOUND);
    /// A file that was there cannot be opened any more.
    pub(crate) const GONE: Self = Self(sys::AVERROR(libc::ENOENT));
    pub(crate) const INTERRUPTED: Self = Self(sys::AVERROR_EXIT);

    /// `Ok` with the value when it is not negative.
    fn check(value: i32) -> Result<i32, Self> {
        if value < 0 {
            Err(Self(value))
        } else {
            Ok(value)
        }
    }

    /// A demuxer runs out of memory when damaged bytes ask for absurd tables: that is the file's
    /// fault, not the machine's.
    fn blame_file(self) -> Self {
        if self == Self::NO_MEMORY {
            Self::BAD_DATA
        } else {
            self
        }
    }

    /// FFmpeg's words for the code.
    pub(crate) fn words(self) -> String {
        let mut text = [0; 128];
        // SAFETY: the buffer is writable for the length given, and av_strerror ends it with a NUL.
        unsafe { sys::av_strerror(self.0, text.as_mut_ptr(), text.len()) };
        // SAFETY: the array was zeroed and is NUL-terminated by av_strerror even when it truncates.
        unsafe { CStr::from_ptr(text.as_ptr()) }
            .to_string_lossy()
            .to_lowercase()
    }
}

/// The path as FFmpeg takes it: `file:` keeps `http:`, `concat:` and the like from being understood.
fn url(path: &Path) -> Result<CString, Code> {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let bytes = path.to_str().ok_or(Code::INVALID)?.as_bytes();
    CString::new([b"file:", bytes].concat()).map_err(|_| Code::INVALID)
}

/// A rational number as a float; 0 when it is undefined.
fn ratio(q: sys::AVRational) -> f64 {
    if q.den == 0 {
        0.0
    } else {
        f64::from(q.num) / f64::from(q.den)
    }
}

/// The linked libraries and their versions, such as `("libavcodec", "59.37.100")`.
pub fn libraries() -> [(&'static str, String); 4] {
    // SAFETY: these read constants of the libraries.
    let versions = unsafe {
        [
            ("libavcodec", sys::avcodec_version()),
            ("libavformat", sys::avformat_version()),
            ("libavutil", sys::avutil_version()),
            ("libswscale", sys::swscale_version()),
        ]
    };
    versions.map(|(name, v)| (name, format!("{}.{}.{}", v >> 16, v >> 8 & 255, v & 255)))
}
