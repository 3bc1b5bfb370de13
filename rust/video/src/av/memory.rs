//! Memory for decoded pictures: kept between calls, and marked, so that parts of a picture that the
//! decoder never wrote are noticed.
use super::sys;
use std::alloc::{self, Layout};
use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Most bytes kept for the next call: more than two threads need for pictures of 1280x720.
const MOST_KEPT: usize = 32 << 20;

/// A multiple of every alignment that FFmpeg's decoders ask for.
const ALIGNMENT: usize = 64;

/// Bytes that decoders may touch behind a plane.
const SLACK: usize = 16 + ALIGNMENT - 1;

/// Rows and columns of the blocks that decoders work in.
const BLOCK: usize = 16;

/// Stands twice, one row below the other, in the middle of each block of the first plane until the
/// decoder writes there.
const MARK: [u8; 8] = [0xF1, 0x0C, 0xE7, 0x03, 0xDA, 0x1B, 0xFE, 0x21];

/// A decoder that knows of no picture to predict a block from may still add what differs from it:
/// both marks are recognised although each byte has changed by up to this.
const CHANGE: u8 = 24;

/// Blocks of memory that no picture uses, the one freed last at the end.
static KEPT: Mutex<VecDeque<Block>> = Mutex::new(VecDeque::new());

struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// Not one that was made only since nobody could look what is kept: those would pile up.
    lasting: bool,
}

// SAFETY: the block belongs to whoever holds the value, as a `Box` does.
unsafe impl Send for Block {}

impl Block {
    /// Kept or new, of at least one byte. Pictures do not depend on what stands there: FFmpeg's own
    /// pool hands out used memory, too.
    fn take(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, ALIGNMENT).ok()?;
        // The lock is only tried: a fork may have taken it along locked.
        let kept = KEPT.try_lock();
        let lasting = kept.is_ok();
        if let Ok(mut kept) = kept
            && let Some(at) = kept.iter().rposition(|block| block.layout == layout)
        {
            return kept.remove(at);
        }
        // SAFETY: the layout has a size.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        NonNull::new(start).map(|start| Self {
            start,
            layout,
            lasting,
        })
    }

    fn keep(self) {
        if self.lasting
            && let Ok(mut kept) = KEPT.try_lock()
        {
            kept.push_back(self);
            let mut bytes: usize = kept.iter().map(|block| block.layout.size()).sum();
            while bytes > MOST_KEPT
                && let Some(oldest) = kept.pop_front()
            {
                bytes -= oldest.layout.size();
            }
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated by `take` with this layout.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Makes a context that is not open yet take its pictures' memory from here.
///
/// `clear`: all of it is zero, so that even what is never written is the same each time.
///
/// # Safety
/// The context is valid and knows its codec.
pub(super) unsafe fn provide(context: *mut sys::AVCodecContext, clear: bool) {
    // SAFETY: by the caller.
    let direct = unsafe { (*(*context).codec).capabilities } & sys::AV_CODEC_CAP_DR1 as c_int != 0;
    if !direct {
        return; // a decoder that must use FFmpeg's own
    }
    // SAFETY: by the caller.
    unsafe {
        (*context).get_buffer2 = Some(if clear { cleared } else { marked });
        // Threads call it at once, as they do FFmpeg's own.
        #[cfg(not(ffmpeg_6_0))]
        {
            (*context).thread_safe_callbacks = 1;
        }
    }
}

unsafe extern "C" fn marked(
    context: *mut sys::AVCodecContext,
    frame: *mut sys::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: FFmpeg calls with both valid and the frame its own.
    unsafe { furnish(context, frame, flags, false) }
}

unsafe extern "C" fn cleared(
    context: *mut sys::AVCodecContext,
    frame: *mut sys::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: FFmpeg calls with both valid and the frame its own.
    unsafe { furnish(context, frame, flags, true) }
}

/// # Safety
/// Both are valid, and nobody else uses the frame.
unsafe fn furnish(
    context: *mut sys::AVCodecContext,
    frame: *mut sys::AVFrame,
    flags: c_int,
    clear: bool,
) -> c_int {
    // SAFETY: by the caller.
    if unsafe { lay_out(context, &mut *frame, clear) }.is_none() {
        // SAFETY: by the caller.
        return unsafe { sys::avcodec_default_get_buffer2(context, frame, flags) };
    }
    // SAFETY: by the caller.
    let frame = unsafe { &*frame };
    for place in places(frame).flatten() {
        // SAFETY: the place is inside the plane, which nobody else uses yet.
        unsafe { place.write_unaligned(MARK) };
    }
    0
}

/// Points the planes of a frame into one block; `None` when its format has no plain planes.
///
/// # Safety
/// The context is valid.
unsafe fn lay_out(
    context: *mut sys::AVCodecContext,
    frame: &mut sys::AVFrame,
    clear: bool,
) -> Option<()> {
    let format = plain(frame)?;
    let (mut width, mut height) = (frame.width, frame.height);
    let mut multiples = [0; 8];
    // SAFETY: by the caller; the array is as long as FFmpeg's own.
    unsafe {
        sys::avcodec_align_dimensions2(
            context,
            &raw mut width,
            &raw mut height,
            multiples.as_mut_ptr(),
        );
    }
    let mut lines = [0; 4];
    // The lines of all planes must keep their ratio: the picture is widened until all are aligned.
    loop {
        // SAFETY: the format is known; the array has FFmpeg's length.
        let code = unsafe { sys::av_image_fill_linesizes(lines.as_mut_ptr(), format, width) };
        if code < 0 {
            return None;
        }
        let aligned = |(line, multiple): (&c_int, &c_int)| *multiple == 0 || line % multiple == 0;
        if lines.iter().zip(&multiples).all(aligned) {
            break;
        }
        width = width.checked_add(width & width.wrapping_neg())?;
    }
    let (strides, mut sizes) = (lines.map(|line| line as isize), [0; 4]);
    // SAFETY: the format is known; both arrays have FFmpeg's length.
    let code = unsafe {
        sys::av_image_fill_plane_sizes(sizes.as_mut_ptr(), format, height, strides.as_ptr())
    };
    if code < 0 {
        return None;
    }
    let rooms = sizes.map(|size| match size {
        0 => 0,
        size => (size + SLACK).next_multiple_of(ALIGNMENT),
    });
    let block = Block::take(rooms.iter().sum::<usize>().max(ALIGNMENT))?;
    let (start, bytes) = (block.start.as_ptr(), block.layout.size());
    // The rooms are multiples of the alignment: the last bit is free.
    let told = bytes | usize::from(block.lasting);
    if clear {
        // SAFETY: the block has that many bytes.
        unsafe { start.write_bytes(0, bytes) };
    }
    // SAFETY: the block is given up to the buffer, which hands it back to `release`, with what it is
    // told.
    let buffer =
        unsafe { sys::av_buffer_create(start, bytes as _, Some(release), told as *mut c_void, 0) };
    if buffer.is_null() {
        return None;
    }
    std::mem::forget(block);
    frame.buf[0] = buffer;
    let mut offset = 0;
    for (plane, room) in rooms.into_iter().enumerate().filter(|&(_, room)| room > 0) {
        // SAFETY: the rooms add up to the block.
        frame.data[plane] = unsafe { start.add(offset) };
        frame.linesize[plane] = lines[plane];
        offset += room;
    }
    frame.extended_data = frame.data.as_mut_ptr();
    Some(())
}

/// Takes a block back from FFmpeg; `told` is its size, and in the last bit whether it lasts.
unsafe extern "C" fn release(told: *mut c_void, start: *mut u8) {
    let (bytes, lasting) = (told as usize & !1, told as usize & 1 == 1);
    if let Ok(layout) = Layout::from_size_align(bytes, ALIGNMENT)
        && let Some(start) = NonNull::new(start)
    {
        let block = Block {
            start,
            layout,
            lasting,
        };
        block.keep();
    }
}

/// The format of a frame, if it has a plane for each component.
fn plain(frame: &sys::AVFrame) -> Option<sys::AVPixelFormat> {
    let format = sys::AVPixelFormat(frame.format as _);
    // SAFETY: looks a static description up; null for an unknown format.
    let layout = unsafe { sys::av_pix_fmt_desc_get(format).as_ref()? };
    let planar = layout.flags == sys::AV_PIX_FMT_FLAG_PLANAR as u64;
    (planar && layout.nb_components == 3).then_some(format)
}

/// Where the marks of each block stand, as far as the picture is shown: one in each field, of which an
/// interlaced picture may lack one.
fn places(frame: &sys::AVFrame) -> impl Iterator<Item = [*mut [u8; MARK.len()]; 2]> {
    let side = |length| usize::try_from(length).unwrap_or(0);
    // SAFETY: looks a static description up; null for an unknown format.
    let layout =
        unsafe { sys::av_pix_fmt_desc_get(sys::AVPixelFormat(frame.format as _)).as_ref() };
    let sample = layout.map_or(1, |layout| side(layout.comp[0].step));
    let (start, line) = (frame.data[0], side(frame.linesize[0]));
    let (row_bytes, block) = (side(frame.width) * sample, BLOCK * sample);
    let first = (block - MARK.len()) / 2;
    let middles = (BLOCK / 2..side(frame.height)).step_by(BLOCK);
    middles.flat_map(move |middle| {
        (first..(row_bytes + 1).saturating_sub(MARK.len()))
            .step_by(block)
            .map(move |column| {
                // SAFETY: rows and column are inside the first plane.
                [middle - 1, middle].map(|row| unsafe { start.add(row * line + column) }.cast())
            })
    })
}

/// Did the decoder leave a part of the picture as it found it?
pub(super) fn is_unfinished(frame: &sys::AVFrame) -> bool {
    plain(frame).is_some()
        && places(frame).any(|pair| {
            // SAFETY: the places are inside the first plane, which nobody writes any more.
            let found = pair.map(|place| unsafe { place.read_unaligned() });
            let near = |(byte, mark): (&u8, &u8)| byte.abs_diff(*mark) <= CHANGE;
            let alike = |found: &[u8; 8]| found.iter().zip(&MARK).all(near);
            found.contains(&MARK) || found.iter().all(alike)
        })
}
