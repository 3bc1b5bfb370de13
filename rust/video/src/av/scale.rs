//! Converting pictures between pixel formats and sizes.
use super::{Code, Frame, silence, sys};
use crate::resample::{Colours, Plane, Yuv};
use std::ffi::c_int;
use std::ptr::{self, NonNull};

/// Triangle filter, widened when it makes smaller: antialiased. With exact rounding and with the
/// chroma interpolated, or every picture comes out one level dark.
const FLAGS: c_int = 0x2 | 0x4_0000 | 0x2000;

/// 16.16 fixed point one: contrast and saturation stay as they are.
const ONE: c_int = 1 << 16;

/// Room for one packed RGB picture, with the slack that libswscale's wide stores need.
#[derive(Default)]
pub(crate) struct Canvas {
    bytes: Vec<u8>,
    stride: usize,
    width: usize,
    height: usize,
}

/// A conversion to packed RGB, set up again whenever its source changes.
#[derive(Default)]
pub(crate) struct Scaler {
    context: Option<Context>,
    setup: Option<Setup>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Setup {
    source: (c_int, c_int, sys::AVPixelFormat),
    target: (c_int, c_int, sys::AVPixelFormat),
    matrix: c_int,
    full_range: bool,
}

struct Context(NonNull<sys::SwsContext>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::sws_freeContext(self.0.as_ptr()) };
    }
}

impl Context {
    /// The colours of the YUV side are given; the RGB side is always full range.
    fn new(setup: Setup) -> Result<Self, Code> {
        silence();
        let (sw, sh, source) = setup.source;
        let (dw, dh, target) = setup.target;
        // SAFETY: sizes are positive; the filters and parameters are optional; null on refusal.
        let context = unsafe {
            sys::sws_getContext(
                sw,
                sh,
                source,
                dw,
                dh,
                target,
                FLAGS as _,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        let context = Self(NonNull::new(context).ok_or(Code::INVALID)?);
        let (from_full, to_full) = if source == sys::AVPixelFormat::RGB24 {
            (1, c_int::from(setup.full_range))
        } else {
            (c_int::from(setup.full_range), 1)
        };
        // SAFETY: the table is static. A refusal means that no YUV is involved: nothing to set.
        unsafe {
            let table = sys::sws_getCoefficients(setup.matrix);
            sys::sws_setColorspaceDetails(
                context.0.as_ptr(),
                table,
                from_full,
                table,
                to_full,
                0,
                ONE,
                ONE,
            );
        }
        Ok(context)
    }
}

/// The matrix of a stream that does not name one: by its rows, as players do.
pub(super) fn default_matrix(height: c_int) -> c_int {
    if height < 720 {
        sys::SWS_CS_ITU601
    } else {
        sys::SWS_CS_ITU709
    }
}

fn matrix_of(frame: &sys::AVFrame) -> c_int {
    if frame.colorspace == sys::AVColorSpace::BT709 {
        sys::SWS_CS_ITU709
    } else if frame.colorspace == sys::AVColorSpace::FCC {
        sys::SWS_CS_FCC
    } else if [sys::AVColorSpace::BT470BG, sys::AVColorSpace::SMPTE170M].contains(&frame.colorspace)
    {
        sys::SWS_CS_ITU601
    } else if frame.colorspace == sys::AVColorSpace::SMPTE240M {
        sys::SWS_CS_SMPTE240M
    } else if [sys::AVColorSpace::BT2020_NCL, sys::AVColorSpace::BT2020_CL]
        .contains(&frame.colorspace)
    {
        sys::SWS_CS_BT2020
    } else {
        default_matrix(frame.height)
    }
}

/// The shares of red and blue in brightness that a matrix stands for.
fn shares(matrix: c_int) -> Option<(f64, f64)> {
    [
        (sys::SWS_CS_ITU601, (0.299, 0.114)),
        (sys::SWS_CS_ITU709, (0.2126, 0.0722)),
        (sys::SWS_CS_BT2020, (0.2627, 0.0593)),
        (sys::SWS_CS_SMPTE240M, (0.212, 0.087)),
        (sys::SWS_CS_FCC, (0.3, 0.11)),
    ]
    .into_iter()
    .find_map(|(known, shares)| (known == matrix).then_some(shares))
}

/// The names with J mean full range; libswscale wants it said apart.
fn plain_format(format: c_int) -> (sys::AVPixelFormat, bool) {
    use sys::AVPixelFormat as F;
    let format = F(format as _);
    let pairs = [
        (F::YUVJ420P, F::YUV420P),
        (F::YUVJ422P, F::YUV422P),
        (F::YUVJ444P, F::YUV444P),
        (F::YUVJ440P, F::YUV440P),
        (F::YUVJ411P, F::YUV411P),
    ];
    pairs
        .into_iter()
        .find(|&(full, _)| full == format)
        .map_or((format, false), |(_, plain)| (plain, true))
}

/// The planes of a picture of a plain layout.
pub(crate) enum Planes<'f> {
    Bytes(Yuv<'f, u8>),
    Words(Yuv<'f, u16>),
}

/// The planes, when there is one each for brightness and two differences of colour.
pub(crate) fn planes(frame: &Frame) -> Option<Planes<'_>> {
    let source = frame.get();
    let (format, named_full) = plain_format(source.format);
    // SAFETY: looks a static description up; null for an unknown format.
    let layout = unsafe { sys::av_pix_fmt_desc_get(format).as_ref()? };
    let [first, second, third, _] = layout.comp;
    let bytes = if first.depth == 8 { 1 } else { 2 };
    let plain = |(i, component): (usize, sys::AVComponentDescriptor)| {
        let depth = component.depth == first.depth && (8..=12).contains(&component.depth);
        let alone = component.plane == i as i32 && component.step == bytes;
        depth && alone && component.offset == 0 && component.shift == 0
    };
    if layout.flags != sys::AV_PIX_FMT_FLAG_PLANAR as u64
        || layout.nb_components != 3
        || ![first, second, third].into_iter().enumerate().all(plain)
    {
        return None;
    }
    let size = (
        usize::try_from(source.width).ok()?,
        usize::try_from(source.height).ok()?,
    );
    let shift = (layout.log2_chroma_w, layout.log2_chroma_h);
    let depth = first.depth as u8;
    let (red, blue) = shares(matrix_of(source))?;
    let colours = Colours {
        red,
        blue,
        full_range: named_full || source.color_range == sys::AVColorRange::JPEG,
    };
    Some(if bytes == 1 {
        Planes::Bytes(Yuv {
            planes: three(source, size, shift)?,
            shift,
            depth,
            colours,
        })
    } else {
        Planes::Words(Yuv {
            planes: three(source, size, shift)?,
            shift,
            depth,
            colours,
        })
    })
}

/// The first three planes as samples of type `S`, a plain number.
fn three<S>(
    source: &sys::AVFrame,
    (width, height): (usize, usize),
    (across, down): (u8, u8),
) -> Option<[Plane<'_, S>; 3]> {
    let plane = |i: usize| {
        let (x, y) = if i == 0 { (0, 0) } else { (across, down) };
        let (width, height) = (width.div_ceil(1 << x), height.div_ceil(1 << y));
        let line = usize::try_from(source.linesize[i]).ok()?;
        let (stride, data) = (line / size_of::<S>(), source.data[i].cast::<S>());
        let usable = !data.is_null() && data.is_aligned() && line % size_of::<S>() == 0;
        if !usable || width == 0 || height == 0 || stride < width {
            return None;
        }
        let length = stride * (height - 1) + width;
        // SAFETY: a decoded plane holds `height` lines, each of them `linesize` bytes behind the one
        // before and at least `width` samples long; they live as long as the frame.
        let samples = unsafe { std::slice::from_raw_parts(data, length) };
        Some(Plane {
            samples,
            stride,
            width,
            height,
        })
    };
    Some([plane(0)?, plane(1)?, plane(2)?])
}

impl Canvas {
    fn reshape(&mut self, width: usize, height: usize) {
        // A store may be one vector (64 bytes) and a few pixels too wide.
        self.stride = (width * 3 + 64).next_multiple_of(64);
        (self.width, self.height) = (width, height);
        self.bytes.resize(self.stride * height + 256, 0);
    }

    /// Rows from top to bottom, each `width * 3` bytes.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .chunks_exact(self.stride)
            .take(self.height)
            .map(|row| &row[..self.width * 3])
    }
}

impl Scaler {
    /// Draws the picture as RGB of the given size.
    pub(crate) fn draw(
        &mut self,
        frame: &Frame,
        width: usize,
        height: usize,
        canvas: &mut Canvas,
    ) -> Result<(), Code> {
        let source = frame.get();
        let (format, named_full) = plain_format(source.format);
        let setup = Setup {
            source: (source.width, source.height, format),
            target: (size(width)?, size(height)?, sys::AVPixelFormat::RGB24),
            matrix: matrix_of(source),
            full_range: named_full || source.color_range == sys::AVColorRange::JPEG,
        };
        let context = self.prepare(setup)?;
        canvas.reshape(width, height);
        let rows = [
            canvas.bytes.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        ];
        let strides = [size(canvas.stride)?, 0, 0, 0];
        // SAFETY: the frame holds the planes of its format and size; the canvas holds `height` rows
        // of `stride` bytes plus the slack that wide stores need.
        let drawn = unsafe {
            sys::sws_scale(
                context,
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                source.height,
                rows.as_ptr(),
                strides.as_ptr(),
            )
        };
        Code::check(drawn).map(|_| ())
    }

    /// Converts one frame into another of the same size, both allocated by FFmpeg: RGB to YUV.
    pub(super) fn convert(
        &mut self,
        from: &Frame,
        to: &mut Frame,
        matrix: c_int,
    ) -> Result<(), Code> {
        let (source, target) = (from.get(), to.get());
        let (format, full_range) = plain_format(target.format);
        let context = self.prepare(Setup {
            source: (
                source.width,
                source.height,
                sys::AVPixelFormat(source.format as _),
            ),
            target: (target.width, target.height, format),
            matrix,
            full_range,
        })?;
        // SAFETY: both frames own buffers of their format and size, padded by av_frame_get_buffer.
        let drawn = unsafe {
            sys::sws_scale(
                context,
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                source.height,
                target.data.as_ptr(),
                target.linesize.as_ptr(),
            )
        };
        Code::check(drawn).map(|_| ())
    }

    fn prepare(&mut self, setup: Setup) -> Result<*mut sys::SwsContext, Code> {
        let context = match self.context.take() {
            Some(context) if self.setup == Some(setup) => context,
            _ => Context::new(setup)?,
        };
        self.setup = Some(setup);
        Ok(self.context.insert(context).0.as_ptr())
    }
}

fn size(value: usize) -> Result<c_int, Code> {
    c_int::try_from(value).map_err(|_| Code::INVALID)
}
