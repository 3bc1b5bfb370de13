//! Planes of brightness and colour to packed RGB of any size, in one go.
//!
//! A triangle filter, widened when it makes smaller: antialiased, and centred so that the corners
//! of both pictures coincide. Numbers are 8.8 fixed point on the way. Sixteen rows of the output
//! are made at a time: filtered down the columns, turned over, filtered along the rows with one
//! lane for each row, mixed to RGB, and turned back.
// Only what is inlined is compiled for the vectors of the caller.
#![allow(clippy::inline_always)]

use crate::av::{Kernel, Lanes, Vectors, run_wide};

/// Rows of the output that are made at a time.
const LANES: usize = 16;

/// One component of a picture: `height` rows of `width` samples, `stride` samples apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'p, S> {
    pub samples: &'p [S],
    pub stride: usize,
    pub width: usize,
    pub height: usize,
}

/// Brightness and two differences of colour; these may be stored at a half or quarter of the size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yuv<'p, S> {
    pub planes: [Plane<'p, S>; 3],
    /// The binary logarithms of how much smaller the colours are: columns, rows.
    pub shift: (u8, u8),
    /// Bits of a sample.
    pub depth: u8,
    pub colours: Colours,
}

/// What the numbers of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colours {
    /// The shares of red and blue in brightness.
    pub red: f64,
    pub blue: f64,
    /// All codes are in use, not only 16 to 235 (240).
    pub full_range: bool,
}

/// A sample of 8 bits, or of up to 12 bits in two bytes.
pub(crate) trait Sample: Copy {
    /// As 8.8 fixed point; `spare` bits are not in use.
    fn fixed(self, spare: u8) -> u16;

    /// Several at a time.
    fn lanes<V: Vectors>(vectors: V, samples: &[Self; LANES], spare: u8) -> Lanes;
}

impl Sample for u8 {
    #[inline(always)]
    fn fixed(self, _: u8) -> u16 {
        u16::from(self) << 8
    }

    #[inline(always)]
    fn lanes<V: Vectors>(vectors: V, samples: &[Self; LANES], _: u8) -> Lanes {
        vectors.widen(samples)
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn fixed(self, spare: u8) -> u16 {
        self << spare
    }

    #[inline(always)]
    fn lanes<V: Vectors>(_: V, samples: &[Self; LANES], spare: u8) -> Lanes {
        samples.map(|sample| sample << spare)
    }
}

/// Makes pictures of one size out of pictures of another; set up anew when either changes.
#[derive(Default)]
pub(crate) struct Resampler {
    setup: Option<Setup>,
    filters: Filters,
    scratch: Scratch,
}

/// Columns and rows of the input, shift of its colours, columns and rows of the output.
type Setup = ((usize, usize), (u8, u8), (usize, usize));

#[derive(Default)]
struct Filters {
    /// Of brightness and of the colours.
    rows: [Filter; 2],
    columns: [Filter; 2],
}

#[derive(Default)]
struct Scratch {
    rows: Vec<u16>,
    columns: Vec<Lanes>,
    planes: [Vec<Lanes>; 3],
    pixels: Vec<[u8; LANES]>,
}

/// Which inputs an output is the weighted mean of.
#[derive(Debug, Default)]
struct Filter {
    /// Inputs of each output; the same number for all, the weights of some are 0.
    taps: usize,
    first: Vec<usize>,
    /// 0.16 fixed point; those of an output sum to just below 1.
    weights: Vec<u16>,
}

impl Filter {
    /// From `inputs` samples of the size of the picture, of which only every `1 << shift`-th is
    /// stored: the others are what lies on the straight line between two that are.
    fn new(inputs: usize, shift: u8, outputs: usize) -> Self {
        let scale = inputs as f64 / outputs as f64;
        let reach = scale.max(1.0);
        let (apart, stored) = (f64::from(1_u32 << shift), inputs.div_ceil(1 << shift));
        let means: Vec<(usize, Vec<u16>)> = (0..outputs)
            .map(|output| {
                let centre = (output as f64 + 0.5) * scale;
                let start = (centre - reach + 0.5).max(0.0) as usize;
                let end = ((centre + reach + 0.5) as usize).min(inputs);
                let place = |input: usize| {
                    let place = (input as f64 + 0.5) / apart - 0.5;
                    place.clamp(0.0, (stored - 1) as f64)
                };
                let first = place(start) as usize;
                let mut shares = vec![0.0; place(end - 1) as usize + 2 - first];
                for input in start..end {
                    let share = 1.0 - ((input as f64 + 0.5 - centre) / reach).abs().min(1.0);
                    let (whole, part) = (place(input).trunc(), place(input).fract());
                    shares[whole as usize - first] += share * (1.0 - part);
                    shares[whole as usize + 1 - first] += share * part;
                }
                quantise(first, &shares)
            })
            .collect();
        let taps = means.iter().map(|(_, weights)| weights.len()).max();
        let taps = taps.unwrap_or(1);
        let mut filter = Self {
            taps,
            ..Self::default()
        };
        for (start, weights) in means {
            // Those near the end begin earlier, so that all of them stay within the input.
            let first = start.min(stored.saturating_sub(taps));
            filter.first.push(first);
            let at = filter.weights.len() + (start - first);
            filter.weights.resize(filter.first.len() * taps, 0);
            filter.weights[at..at + weights.len()].copy_from_slice(&weights);
        }
        filter
    }

    #[inline(always)]
    fn of(&self, output: usize) -> (usize, &[u16]) {
        let weights = &self.weights[output * self.taps..][..self.taps];
        (self.first[output], weights)
    }
}

/// What rounding down takes from a mean of that many shares, on average.
#[inline(always)]
fn lost(taps: usize) -> u16 {
    (taps / 2) as u16
}

/// Weights in 1/65536 that sum to 65535, without zeros at the ends, and where they begin.
fn quantise(start: usize, shares: &[f64]) -> (usize, Vec<u16>) {
    let mut left: f64 = shares.iter().sum();
    let mut rest = 65535;
    // Each rounding error is made good by the next weight.
    let weights: Vec<u16> = shares
        .iter()
        .map(|&share| {
            let part = if share > 0.0 {
                (share / left).min(1.0)
            } else {
                0.0
            };
            let weight = (part * f64::from(rest)).round() as u16;
            left -= share;
            rest -= weight;
            weight
        })
        .collect();
    let before = weights.iter().take_while(|&&weight| weight == 0).count();
    let behind = weights
        .iter()
        .rev()
        .take_while(|&&weight| weight == 0)
        .count();
    (
        start + before,
        weights[before..weights.len() - behind].to_vec(),
    )
}

/// The mixture of RGB, for `multiply`.
#[derive(Debug, Clone, Copy)]
struct Mixture {
    black: i16,
    brightness: i16,
    red_of_v: i16,
    green_of_u: i16,
    green_of_v: i16,
    blue_of_u: i16,
}

impl Mixture {
    fn new(colours: Colours, depth: u8) -> Self {
        let Colours {
            red,
            blue,
            full_range,
        } = colours;
        // In full range the largest code is 255 whatever the depth; else codes are multiples.
        let largest = 256.0 - f64::from(2_u32.pow(u32::from(depth) - 8)).recip();
        let (luma, chroma) = if full_range {
            (255.0 / largest, 255.0 / largest)
        } else {
            (255.0 / 219.0, 255.0 / 224.0)
        };
        let green = 1.0 - red - blue;
        let scaled = |value: f64, bits: u32| (value * f64::from(2_u32.pow(bits))).round() as i16;
        Self {
            black: if full_range { 0 } else { 16 << 7 },
            brightness: scaled(luma, 14),
            red_of_v: scaled(2.0 * (1.0 - red) * chroma, 13),
            green_of_u: scaled(2.0 * (1.0 - blue) * blue / green * chroma, 13),
            green_of_v: scaled(2.0 * (1.0 - red) * red / green * chroma, 13),
            blue_of_u: scaled(2.0 * (1.0 - blue) * chroma, 13),
        }
    }

    #[inline(always)]
    fn mix(&self, y: &Lanes, u: &Lanes, v: &Lanes, out: &mut [[u8; LANES]; 3]) {
        // 8.5 fixed point from here on; 16 is one half, and what rounding down took off each of the
        // products on average.
        for lane in 0..LANES {
            let y = multiply((y[lane] >> 1) as i16 - self.black, self.brightness);
            let u = (u[lane] ^ 0x8000) as i16;
            let v = (v[lane] ^ 0x8000) as i16;
            let red = y + multiply(v, self.red_of_v) + 17;
            let green = y - multiply(u, self.green_of_u) - multiply(v, self.green_of_v) + 16;
            let blue = y + multiply(u, self.blue_of_u) + 17;
            out[0][lane] = (red >> 5).clamp(0, 255) as u8;
            out[1][lane] = (green >> 5).clamp(0, 255) as u8;
            out[2][lane] = (blue >> 5).clamp(0, 255) as u8;
        }
    }
}

/// The upper half of the product.
#[inline(always)]
fn multiply(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

/// The upper half of the product.
#[inline(always)]
fn share(value: u16, weight: u16) -> u16 {
    ((u32::from(value) * u32::from(weight)) >> 16) as u16
}

impl Resampler {
    /// Beyond this the weights become too small for their 16 bits.
    const SMALLEST: usize = 50;

    /// Can a picture of this many columns and rows be made that much smaller?
    pub(crate) fn suits(source: (usize, usize), target: (usize, usize)) -> bool {
        source.0 <= target.0 * Self::SMALLEST && source.1 <= target.1 * Self::SMALLEST
    }

    /// Fills `out` with packed RGB rows of `width` pixels, as many as fit.
    pub(crate) fn draw<S: Sample>(&mut self, picture: &Yuv<'_, S>, width: usize, out: &mut [u8]) {
        let height = out.len() / (width * 3);
        let brightness = picture.planes[0];
        let setup = (
            (brightness.width, brightness.height),
            picture.shift,
            (width, height),
        );
        if self.setup != Some(setup) {
            self.setup = Some(setup);
            let (x, y) = picture.shift;
            self.filters = Filters {
                rows: [0, y].map(|shift| Filter::new(brightness.height, shift, height)),
                columns: [0, x].map(|shift| Filter::new(brightness.width, shift, width)),
            };
            let padded = brightness.width.next_multiple_of(8);
            self.scratch.rows = vec![0; padded * LANES];
            self.scratch.columns = vec![[0; LANES]; padded];
            self.scratch.planes = std::array::from_fn(|_| vec![[0; LANES]; width]);
            self.scratch.pixels = vec![[0; LANES]; (3 * width).next_multiple_of(LANES)];
        }
        run_wide(Drawing {
            picture,
            filters: &self.filters,
            mixture: Mixture::new(picture.colours, picture.depth),
            scratch: &mut self.scratch,
            row_bytes: width * 3,
            out,
        });
    }
}

struct Drawing<'d, 'p, S> {
    picture: &'d Yuv<'p, S>,
    filters: &'d Filters,
    mixture: Mixture,
    scratch: &'d mut Scratch,
    row_bytes: usize,
    out: &'d mut [u8],
}

impl<S: Sample> Kernel for Drawing<'_, '_, S> {
    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Scratch {
            rows,
            columns,
            planes,
            pixels,
        } = self.scratch;
        let spare = 16 - self.picture.depth.min(16);
        for (band, out) in self.out.chunks_mut(self.row_bytes * LANES).enumerate() {
            let heights = band * LANES..band * LANES + out.len() / self.row_bytes;
            for (i, plane) in self.picture.planes.iter().enumerate() {
                let kind = i.min(1);
                let padded = plane.width.next_multiple_of(8);
                let rows = &mut rows[..padded * LANES];
                let columns = &mut columns[..padded];
                for (to, output) in rows.chunks_exact_mut(padded).zip(heights.clone()) {
                    filter_down(
                        vectors,
                        plane,
                        self.filters.rows[kind].of(output),
                        spare,
                        to,
                    );
                }
                turn_band(vectors, rows, padded, columns);
                filter_across(
                    vectors,
                    columns,
                    &self.filters.columns[kind],
                    &mut planes[i],
                );
            }
            let [y, u, v] = &*planes;
            let mixed = pixels
                .chunks_exact_mut(3)
                .filter_map(<[_]>::first_chunk_mut);
            for (((pixel, y), u), v) in mixed.zip(y).zip(u).zip(v) {
                self.mixture.mix(y, u, v, pixel);
            }
            write_rows(vectors, pixels, self.row_bytes, out);
        }
    }
}

/// One row of the output height out of several of the input.
#[inline(always)]
fn filter_down<V: Vectors, S: Sample>(
    vectors: V,
    plane: &Plane<'_, S>,
    (first, weights): (usize, &[u16]),
    spare: u8,
    to: &mut [u16],
) {
    let rows = &plane.samples[first * plane.stride..];
    let lost = lost(weights.len());
    let mut chunks = to[..plane.width].chunks_exact_mut(LANES);
    for (x, to) in chunks.by_ref().enumerate() {
        let mut sums = [lost; LANES];
        for (k, &weight) in weights.iter().enumerate() {
            if let Some(samples) = rows[k * plane.stride + x * LANES..].first_chunk() {
                sums = vectors.add_share(sums, &S::lanes(vectors, samples, spare), weight);
            }
        }
        to.copy_from_slice(&sums);
    }
    let tail = chunks.into_remainder();
    let start = plane.width - tail.len();
    for (x, to) in tail.iter_mut().enumerate() {
        let shares = weights
            .iter()
            .enumerate()
            .map(|(k, &weight)| share(rows[k * plane.stride + start + x].fixed(spare), weight));
        *to = lost + shares.sum::<u16>();
    }
}

/// Rows of `width` words, a multiple of 8, become columns of lanes.
#[inline(always)]
fn turn_band<V: Vectors>(vectors: V, rows: &[u16], width: usize, columns: &mut [Lanes]) {
    for (x, columns) in columns.chunks_exact_mut(8).enumerate() {
        for half in 0..LANES / 8 {
            let block = std::array::from_fn(|y| {
                let start = (half * 8 + y) * width + x * 8;
                rows[start..].first_chunk().unwrap_or(&[0; 8])
            });
            for (column, turned) in columns.iter_mut().zip(vectors.turn_words(block)) {
                column[half * 8..half * 8 + 8].copy_from_slice(&turned);
            }
        }
    }
}

/// One column of the output width out of several of the input, for all of them.
#[inline(always)]
fn filter_across<V: Vectors>(vectors: V, columns: &[Lanes], filter: &Filter, to: &mut [Lanes]) {
    for (output, to) in to.iter_mut().enumerate() {
        let (first, weights) = filter.of(output);
        let mut sums = [lost(weights.len()); LANES];
        for (column, &weight) in columns[first..].iter().zip(weights) {
            sums = vectors.add_share(sums, column, weight);
        }
        *to = sums;
    }
}

/// Writes the lanes as rows.
#[inline(always)]
fn write_rows<V: Vectors>(vectors: V, pixels: &[[u8; LANES]], row_bytes: usize, out: &mut [u8]) {
    let blocks = pixels.chunks_exact(LANES).filter_map(<[_]>::first_chunk);
    for (tile, block) in blocks.enumerate() {
        let start = tile * LANES;
        let turned = vectors.turn_bytes(block);
        for (row, turned) in out.chunks_exact_mut(row_bytes).zip(&turned) {
            let to = &mut row[start..];
            match to.first_chunk_mut::<LANES>() {
                Some(to) => *to = *turned,
                None => to.copy_from_slice(&turned[..to.len()]),
            }
        }
    }
}
