//! Writing pictures into a file.
use super::scale::{Scaler, default_matrix};
use super::{Code, Frame, Packet, silence, sys, url};
use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr::{self, NonNull};

const FLAG_QSCALE: c_int = 1 << 1;
const FLAG_GLOBAL_HEADER: c_int = 1 << 22;
const FLAG_BITEXACT: c_int = 1 << 23;

/// How to compress.
#[derive(Debug, Clone)]
pub(crate) struct EncoderSettings {
    /// FFmpeg's name of the encoder.
    pub encoder: &'static CStr,
    /// The encoder takes full-range 4:2:0 (Motion JPEG).
    pub full_range: bool,
    /// The encoder takes its quality as `crf` instead of a quantiser.
    pub crf: bool,
    pub width: usize,
    pub height: usize,
    /// Frames per second as a fraction.
    pub rate: (i32, i32),
    pub gop: i32,
    pub b_frames: i32,
    pub quality: i32,
}

struct Encoder(NonNull<sys::AVCodecContext>);

/// A file being written: encoder and container with one video stream.
pub(crate) struct Muxer {
    output: Output,
    encoder: Encoder,
    scaler: Scaler,
    rgb: Frame,
    yuv: Frame,
    packet: Packet,
    matrix: c_int,
    written: i64,
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::avcodec_free_context(&raw mut context) };
    }
}

struct Output(NonNull<sys::AVFormatContext>);

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: closes the file if it is open and frees the context, which nobody uses afterwards.
        unsafe {
            sys::avio_closep(&raw mut (*self.0.as_ptr()).pb);
            sys::avformat_free_context(self.0.as_ptr());
        }
    }
}

fn allocate(width: c_int, height: c_int, format: sys::AVPixelFormat) -> Result<Frame, Code> {
    let frame = Frame::new()?;
    // SAFETY: the frame is new; size and format are set before its buffers are made.
    unsafe {
        let raw = &mut *frame.as_ptr();
        (raw.width, raw.height) = (width, height);
        raw.format = format.0 as c_int;
        Code::check(sys::av_frame_get_buffer(frame.as_ptr(), 0))?;
    }
    Ok(frame)
}

impl Encoder {
    fn open(settings: &EncoderSettings, matrix: c_int, global_header: bool) -> Result<Self, Code> {
        // SAFETY: the name is NUL-terminated; null when that encoder was not built in.
        let codec = unsafe { sys::avcodec_find_encoder_by_name(settings.encoder.as_ptr()) };
        if codec.is_null() {
            return Err(Code::NO_ENCODER);
        }
        // SAFETY: the codec is a static object; null means no memory.
        let context = unsafe { sys::avcodec_alloc_context3(codec) };
        let encoder = Self(NonNull::new(context).ok_or(Code::NO_MEMORY)?);
        let side = |v: usize| c_int::try_from(v).map_err(|_| Code::INVALID);
        let (width, height) = (side(settings.width)?, side(settings.height)?);
        let crf = CString::new(settings.quality.to_string()).map_err(|_| Code::INVALID)?;
        // SAFETY: the context is new, and its fields may be set until it is opened.
        unsafe {
            let c = &mut *context;
            (c.width, c.height) = (width, height);
            c.pix_fmt = if settings.full_range {
                sys::AVPixelFormat::YUVJ420P
            } else {
                sys::AVPixelFormat::YUV420P
            };
            c.colorspace = if matrix == sys::SWS_CS_ITU709 {
                sys::AVColorSpace::BT709
            } else {
                sys::AVColorSpace::SMPTE170M
            };
            c.color_range = if settings.full_range {
                sys::AVColorRange::JPEG
            } else {
                sys::AVColorRange::MPEG
            };
            c.time_base = sys::AVRational {
                num: settings.rate.1,
                den: settings.rate.0,
            };
            c.framerate = sys::AVRational {
                num: settings.rate.0,
                den: settings.rate.1,
            };
            c.gop_size = settings.gop;
            c.max_b_frames = settings.b_frames;
            // One thread and no version strings: the same bytes every time.
            c.thread_count = 1;
            c.flags |= FLAG_BITEXACT;
            if global_header {
                c.flags |= FLAG_GLOBAL_HEADER;
            }
            if settings.crf {
                // libx264's macroblock tree reads memory nobody wrote when a side is no multiple of
                // 16: without it the same frames give the same bytes.
                for (name, value) in [(c"crf", crf.as_c_str()), (c"mbtree", c"0")] {
                    let set = sys::av_opt_set(c.priv_data, name.as_ptr(), value.as_ptr(), 0);
                    Code::check(set)?;
                }
            } else {
                c.flags |= FLAG_QSCALE;
                c.global_quality = settings.quality * sys::FF_QP2LAMBDA;
            }
            Code::check(sys::avcodec_open2(context, codec, ptr::null_mut()))?;
        }
        Ok(encoder)
    }
}

impl Muxer {
    /// Creates the file; its container follows from the extension.
    pub(crate) fn create(path: &Path, settings: &EncoderSettings) -> Result<Self, Code> {
        silence();
        let url = url(path)?;
        let mut raw = ptr::null_mut();
        // SAFETY: the format is guessed from the NUL-terminated name; on failure nothing is made.
        Code::check(unsafe {
            sys::avformat_alloc_output_context2(
                &raw mut raw,
                ptr::null_mut(),
                ptr::null(),
                url.as_ptr(),
            )
        })?;
        // JPEG knows one matrix only.
        let matrix = if settings.full_range {
            sys::SWS_CS_ITU601
        } else {
            default_matrix(c_int::try_from(settings.height).map_err(|_| Code::INVALID)?)
        };
        let output = Output(NonNull::new(raw).ok_or(Code::NO_MEMORY)?);
        // SAFETY: an output context has a format.
        let global = unsafe { (*(*raw).oformat).flags & sys::AVFMT_GLOBALHEADER != 0 };
        let encoder = Encoder::open(settings, matrix, global)?;
        // SAFETY: encoder and output context are open and exclusively owned; the stream belongs to
        // the context, whose header is written once.
        unsafe {
            (*raw).flags |= sys::AVFMT_FLAG_BITEXACT;
            let stream = sys::avformat_new_stream(raw, ptr::null());
            if stream.is_null() {
                return Err(Code::NO_MEMORY);
            }
            let context = encoder.0.as_ref();
            Code::check(sys::avcodec_parameters_from_context(
                (*stream).codecpar,
                context,
            ))?;
            (*stream).time_base = context.time_base;
            (*stream).avg_frame_rate = context.framerate;
            Code::check(sys::avio_open(
                &raw mut (*raw).pb,
                url.as_ptr(),
                sys::AVIO_FLAG_WRITE,
            ))?;
            Code::check(sys::avformat_write_header(raw, ptr::null_mut()))?;
        }
        // SAFETY: the encoder is open.
        let (width, height, format) = unsafe {
            let context = encoder.0.as_ref();
            (context.width, context.height, context.pix_fmt)
        };
        let (rgb, yuv, packet) = (
            allocate(width, height, sys::AVPixelFormat::RGB24)?,
            allocate(width, height, format)?,
            Packet::new()?,
        );
        Ok(Self {
            output,
            encoder,
            scaler: Scaler::default(),
            rgb,
            yuv,
            packet,
            matrix,
            written: 0,
        })
    }

    /// Appends one packed RGB picture.
    pub(crate) fn write(&mut self, picture: &[u8]) -> Result<(), Code> {
        let (width, height) = (
            self.rgb.get().width as usize,
            self.rgb.get().height as usize,
        );
        if picture.len() != width * height * 3 {
            return Err(Code::INVALID);
        }
        for (y, row) in picture.chunks_exact(width * 3).enumerate() {
            let (start, stride) = {
                let frame = self.rgb.get();
                (frame.data[0], frame.linesize[0] as usize)
            };
            // SAFETY: the frame owns `height` rows of `stride` bytes, at least width * 3.
            let to = unsafe { std::slice::from_raw_parts_mut(start.add(y * stride), stride) };
            let (inside, beyond) = to.split_at_mut(row.len());
            inside.copy_from_slice(row);
            // libswscale reads past an odd width when it halves the chroma.
            let last = &row[row.len() - 3..];
            for (byte, &value) in beyond.iter_mut().zip(last.iter().cycle()) {
                *byte = value;
            }
        }
        // SAFETY: the encoder may still hold the buffers of the last picture; this gives us our own.
        Code::check(unsafe { sys::av_frame_make_writable(self.yuv.as_ptr()) })?;
        self.scaler.convert(&self.rgb, &mut self.yuv, self.matrix)?;
        // SAFETY: the frame is ours; constant quality is read from each frame.
        unsafe {
            (*self.yuv.as_ptr()).pts = self.written;
            (*self.yuv.as_ptr()).quality = self.encoder.0.as_ref().global_quality;
        }
        self.written += 1;
        let frame = self.yuv.as_ptr();
        self.encode(frame)
    }

    /// Writes what the encoder still holds, and the index.
    pub(crate) fn finish(mut self) -> Result<(), Code> {
        self.encode(ptr::null_mut())?;
        // SAFETY: the header was written; this is the last call on the open container.
        Code::check(unsafe { sys::av_write_trailer(self.output.0.as_ptr()) })?;
        // SAFETY: closes the file; a second close in drop finds a null pointer.
        Code::check(unsafe { sys::avio_closep(&raw mut (*self.output.0.as_ptr()).pb) }).map(|_| ())
    }

    fn encode(&mut self, frame: *const sys::AVFrame) -> Result<(), Code> {
        let encoder = self.encoder.0.as_ptr();
        // SAFETY: the encoder is open; a null frame starts draining.
        Code::check(unsafe { sys::avcodec_send_frame(encoder, frame) })?;
        loop {
            // SAFETY: the encoder is open; the packet is ours and overwritten.
            let code = unsafe { sys::avcodec_receive_packet(encoder, self.packet.as_ptr()) };
            match Code::check(code) {
                Err(Code::AGAIN | Code::EOF) => return Ok(()),
                Err(code) => return Err(code),
                Ok(_) => {}
            }
            // SAFETY: the container has exactly one stream; it takes the content of the packet.
            unsafe {
                let context = self.output.0.as_ptr();
                let stream = *(*context).streams;
                let packet = self.packet.as_ptr();
                (*packet).stream_index = 0;
                if (*packet).duration == 0 {
                    (*packet).duration = 1;
                }
                sys::av_packet_rescale_ts(packet, (*encoder).time_base, (*stream).time_base);
                Code::check(sys::av_interleaved_write_frame(context, packet))?;
            }
        }
    }
}
