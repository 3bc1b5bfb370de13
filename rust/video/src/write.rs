//! Writing a clip, for generated data and for tests.
use crate::av::{Code, EncoderSettings, Muxer};
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The compression of a written clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// MPEG-4 Part 2, FFmpeg's own encoder: always there.
    Mpeg4,
    /// H.264 by libx264.
    H264,
    /// Motion JPEG: every frame on its own.
    Mjpeg,
}

/// How to compress a clip.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// The compression.
    pub codec: Codec,
    /// Frames per second, above 0.
    pub fps: f64,
    /// Frames from keyframe to keyframe, at least 1.
    pub gop: u32,
    /// Most B-frames in a row, 0..=16.
    pub b_frames: u32,
    /// Quantiser 1..=31 (MPEG-4, Motion JPEG) or constant rate factor 0..=51 (H.264); small is good.
    pub quality: u32,
}

/// Writes packed RGB pictures; the container follows from the extension of the path.
///
/// The same input gives the same bytes: one thread, no dates, no version strings.
///
/// # Errors
/// An argument out of range, an encoder that FFmpeg was built without, or a file that cannot be
/// written.
pub fn write(
    path: &Path,
    frames: &[u8],
    (height, width): (usize, usize),
    options: &WriteOptions,
    abort: &AtomicBool,
) -> Result<()> {
    let settings = settings((height, width), options)?;
    let picture = height * width * 3;
    if picture == 0 || frames.is_empty() || frames.len() % picture != 0 {
        return Err(Error::argument(
            "frames must be (T, H, W, 3) with T, H and W at least 1, got an empty or ragged array",
            "pass at least one whole picture",
        ));
    }
    let attempt = || {
        let mut muxer = Muxer::create(path, &settings)?;
        for picture in frames.chunks_exact(picture) {
            if abort.load(Ordering::Relaxed) {
                return Err(Code::INTERRUPTED);
            }
            muxer.write(picture)?;
        }
        muxer.finish()
    };
    attempt().map_err(|code| match code {
        Code::INTERRUPTED => Error::new(ErrorKind::Aborted, path, "interrupted", "call again"),
        Code::NO_MEMORY => Error::new(
            ErrorKind::Memory,
            path,
            "out of memory",
            "write smaller pictures",
        ),
        Code::NO_ENCODER => Error::new(
            ErrorKind::Unsupported,
            path,
            format!(
                "this FFmpeg has no encoder {}",
                settings.encoder.to_string_lossy()
            ),
            "use codec mpeg4",
        ),
        code => Error::new(
            ErrorKind::Io,
            path,
            format!("cannot be written ({})", code.words()),
            "check the folder, and that the extension names a container (.mp4, .avi, .mkv)",
        ),
    })
}

fn settings((height, width): (usize, usize), options: &WriteOptions) -> Result<EncoderSettings> {
    let within = |name: &str, value: u32, low: u32, high: u32| {
        if (low..=high).contains(&value) {
            return Ok(value as i32);
        }
        let what = format!("{name} must be in {low}..={high} for this codec, got {value}");
        Err(Error::argument(what, "choose a value in that range"))
    };
    let h264 = options.codec == Codec::H264;
    if h264 && (height % 2 != 0 || width % 2 != 0) {
        let what = format!("height and width must be even for H.264, got {height} x {width}");
        return Err(Error::argument(
            what,
            "crop one row or column, or use codec mpeg4",
        ));
    }
    if !(options.fps > 0.0 && options.fps <= 1000.0) {
        let what = format!("fps must be above 0 and at most 1000, got {}", options.fps);
        return Err(Error::argument(what, "pass frames per second"));
    }
    let (low, high) = if h264 { (0, 51) } else { (1, 31) };
    let most_b_frames = if options.codec == Codec::Mjpeg { 0 } else { 16 };
    Ok(EncoderSettings {
        encoder: match options.codec {
            Codec::Mpeg4 => c"mpeg4",
            Codec::H264 => c"libx264",
            Codec::Mjpeg => c"mjpeg",
        },
        full_range: options.codec == Codec::Mjpeg,
        crf: h264,
        width,
        height,
        rate: fraction(options.fps),
        gop: within("gop", options.gop, 1, 600)?,
        b_frames: within("b_frames", options.b_frames, 0, most_b_frames)?,
        quality: within("quality", options.quality, low, high)?,
    })
}

/// The nearest fraction whose parts fit into MPEG-4's 16 bits, with the smallest denominator.
fn fraction(fps: f64) -> (i32, i32) {
    let error = |d: i32| (fps - (fps * f64::from(d)).round() / f64::from(d)).abs();
    let fits = |&d: &i32| (1.0..=65_535.0).contains(&(fps * f64::from(d)).round());
    let best = (1..=1001)
        .filter(fits)
        .min_by(|&a, &b| error(a).total_cmp(&error(b)))
        .unwrap_or(1);
    ((fps * f64::from(best)).round().max(1.0) as i32, best)
}

#[cfg(test)]
mod tests {
    use super::fraction;

    #[test]
    fn rates_become_the_usual_fractions() {
        assert_eq!(fraction(30.0), (30, 1));
        assert_eq!(fraction(0.5), (1, 2));
        assert_eq!(fraction(12.5), (25, 2));
        assert_eq!(fraction(30_000.0 / 1001.0), (30_000, 1001));
        assert_eq!(fraction(240.0), (240, 1));
    }
}
