//! Pictures out of encoded bytes: JPEG and PNG, as RGB of one size.
use std::io::Cursor;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::Error;
use crate::work::Interrupt;

/// Numbers of a pixel: red, green, blue.
pub const CHANNELS: usize = 3;

/// What a damaged header may claim before memory is asked for; the decoder of JPEG has the same bound.
const MAX_PIXELS: u64 = 1 << 28;

/// Decodes pictures in parallel, each into its part of `out`, resized to rows and columns.
///
/// `load` gives the bytes of a picture, or says why it cannot; `name` says which it is.
///
/// # Errors
/// [`Error::Argument`] for the first that is none, [`Error::Interrupted`].
pub fn read_images(
    count: usize,
    load: impl Fn(usize) -> Result<Vec<u8>, String> + Sync,
    name: impl Fn(usize) -> String + Sync,
    size: [usize; 2],
    out: &mut [u8],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    if out.is_empty() {
        return Ok(());
    }
    let read = |resizer: &mut Resizer, (index, out): (usize, &mut [u8])| {
        interrupt.check()?;
        let read = load(index).and_then(|bytes| fit(&bytes, size, out, resizer));
        Ok(read
            .map_err(|reason| refused(index, &name(index), &reason))
            .err())
    };
    let failures: Result<Vec<Option<Error>>, Error> = out
        .par_chunks_mut(out.len() / count)
        .enumerate()
        .map_init(Resizer::new, read)
        .collect();
    // All of them are looked at, so that the one named does not depend on the threads.
    failures?.into_iter().flatten().next().map_or(Ok(()), Err)
}

fn refused(index: usize, name: &str, reason: &str) -> Error {
    Error::Argument {
        name: "paths",
        rule: "readable JPEG or PNG pictures".to_owned(),
        got: format!("{name} at index {index} ({reason})"),
        remedy: "leave it out or replace it",
    }
}

fn fit(
    bytes: &[u8],
    [rows, columns]: [usize; 2],
    out: &mut [u8],
    resizer: &mut Resizer,
) -> Result<(), String> {
    let mut picture = decode(bytes)?;
    let (width, height) = (picture.columns as u32, picture.rows as u32);
    let source = Image::from_slice_u8(width, height, &mut picture.pixels, PixelType::U8x3)
        .map_err(|error| error.to_string())?;
    let mut target = Image::from_slice_u8(columns as u32, rows as u32, out, PixelType::U8x3)
        .map_err(|error| error.to_string())?;
    // The triangle widens with the reduction, which is what others call antialiased.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer
        .resize(&source, &mut target, &options)
        .map_err(|error| error.to_string())
}

struct Picture {
    rows: usize,
    columns: usize,
    pixels: Vec<u8>,
}

fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        jpeg(bytes)
    } else if bytes.starts_with(b"\x89PNG") {
        png(bytes)
    } else {
        Err("neither JPEG nor PNG".to_owned())
    }
}

fn jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|error| format!("{error:?}"))?;
    if let Some(ColorSpace::CMYK | ColorSpace::YCCK) = decoder.input_colorspace() {
        // Which colours its inks have is in a profile at best.
        return Err("CMYK, no RGB".to_owned());
    }
    let pixels = decoder.decode().map_err(|error| format!("{error:?}"))?;
    let (columns, rows) = decoder.dimensions().unwrap_or_default();
    Ok(Picture {
        rows,
        columns,
        pixels,
    })
}

fn png(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("{width} x {height} pixels, more than {MAX_PIXELS}"));
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let frame = reader
        .next_frame(&mut pixels)
        .map_err(|error| error.to_string())?;
    pixels.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        png::ColorType::Rgb => pixels,
        // What lies under the transparency is a picture too.
        png::ColorType::Rgba => pixels
            .chunks_exact(4)
            .flat_map(|of| [of[0], of[1], of[2]])
            .collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&grey| [grey; CHANNELS]).collect(),
        png::ColorType::GrayscaleAlpha => pixels
            .chunks_exact(2)
            .flat_map(|of| [of[0]; CHANNELS])
            .collect(),
        png::ColorType::Indexed => return Err("a palette that is none".to_owned()),
    };
    Ok(Picture {
        rows: frame.height as usize,
        columns: frame.width as usize,
        pixels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_picture_that_is_none_is_named() {
        let load = |index: usize| match index {
            0 => Err("gone".to_owned()),
            _ => Ok(b"GIF89a".to_vec()),
        };
        let mut out = [0; 2 * 4 * CHANNELS];
        let read = |first: usize, out: &mut [u8]| {
            let load = |index: usize| load(first + index);
            let name = |index: usize| format!("{index}.jpg");
            read_images(2, load, name, [2, 2], out, &Interrupt::new())
        };
        assert_eq!(read(0, &mut out), Err(refused(0, "0.jpg", "gone")));
        let reason = "neither JPEG nor PNG";
        assert_eq!(read(1, &mut out), Err(refused(0, "0.jpg", reason)));
    }
}
