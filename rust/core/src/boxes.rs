//! Boxes as corners x1, y1, x2, y2: how much they overlap, and which of them say the same.
use std::str::FromStr;

use crate::error::Error;
use crate::order::{Packed, Real, sort_by_rank};
use crate::work::{BLOCK, Interrupt, find_first};

use rayon::prelude::*;

/// What is computed of two boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Intersection over union.
    Iou,
    /// IoU minus the share of the enclosing box outside the union.
    Giou,
    /// IoU minus the squared distance of the centres over the squared enclosing diagonal.
    Diou,
    /// Distance IoU minus a penalty for different aspect ratios.
    Ciou,
}

impl FromStr for Overlap {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "iou" => Ok(Self::Iou),
            "giou" => Ok(Self::Giou),
            "diou" => Ok(Self::Diou),
            "ciou" => Ok(Self::Ciou),
            _ => {
                let rule = "'iou', 'giou', 'diou' or 'ciou'";
                let got = format!("'{word}'");
                Err(Error::range("kind", rule, got, "'iou' is the usual choice"))
            }
        }
    }
}

/// The arithmetic that boxes need, in single or double precision.
pub trait Coordinate:
    Real
    + PartialOrd
    + Default
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
    /// The penalty of complete IoU for the angles of two diagonals, (2 difference / pi)^2.
    fn aspect(angles: [Self; 2]) -> Self;
    /// Angle of the diagonal of a box of this width and height.
    fn angle(width: Self, height: Self) -> Self;
    /// The number itself in this precision, rounded.
    fn of(number: f64) -> Self;
}

macro_rules! coordinate {
    ($float:ty) => {
        impl Coordinate for $float {
            fn aspect([a, b]: [Self; 2]) -> Self {
                let turned = (b - a) * (2.0 * std::f64::consts::FRAC_1_PI) as $float;
                turned * turned
            }

            fn angle(width: Self, height: Self) -> Self {
                width.atan2(height)
            }

            fn of(number: f64) -> Self {
                number as $float
            }
        }
    };
}
coordinate!(f32);
coordinate!(f64);

/// The first box that is not finite or inside out.
fn find_broken<T: Coordinate>(boxes: &[[T; 4]]) -> Option<usize> {
    // A difference that is no finite number comes from a corner that is none, or overflows.
    find_first(boxes, |[x1, y1, x2, y2]| {
        let (width, height) = (x2 - x1, y2 - y1);
        let zero = T::default();
        let finite = [width, height, x1 + y1].map(|number| number * zero == zero);
        width < zero || height < zero || finite != [true; 3]
    })
}

/// Refuses boxes that are not finite or inside out; `place` says where the one of an index is.
///
/// # Errors
/// [`Error::Argument`] naming the first such box.
pub fn check<T: Coordinate>(
    name: &'static str,
    boxes: &[[T; 4]],
    place: impl Fn(usize) -> String,
) -> Result<(), Error> {
    find_broken(boxes).map_or(Ok(()), |index| {
        let corners = boxes[index].map(Into::<f64>::into);
        Err(Error::Argument {
            name,
            rule: "finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2".to_owned(),
            got: format!("{corners:?} at {}", place(index)),
            remedy: "convert boxes of centre and size, and drop broken ones",
        })
    })
}

/// Where an item of a plain list is.
fn plain(index: usize) -> String {
    format!("index {index}")
}

/// Writes the overlap of every box of `a` with every box of `b`, row by row of `a`, set by set.
///
/// Boxes without area overlap nothing: their IoU is 0, also with themselves.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn box_iou<T: Coordinate>(
    a: &[[T; 4]],
    b: &[[T; 4]],
    sets: usize,
    overlap: Overlap,
    out: &mut [T],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    check("a", a, plain)?;
    check("b", b, plain)?;
    if out.is_empty() {
        return Ok(());
    }
    let (rows, columns) = (a.len() / sets, b.len() / sets);
    let columns_of_sets: Vec<Columns<T>> = b.chunks(columns).map(Columns::new).collect();
    let fill = |(row, out): (usize, &mut [T])| {
        columns_of_sets[row / rows].overlaps(a[row], overlap, out);
    };
    if out.len() <= BLOCK {
        out.chunks_mut(columns).enumerate().for_each(fill);
        return Ok(());
    }
    let band = (BLOCK / columns).max(1);
    out.par_chunks_mut(band * columns)
        .enumerate()
        .try_for_each(|(number, out)| {
            interrupt.check()?;
            (number * band..)
                .zip(out.chunks_mut(columns))
                .for_each(fill);
            Ok(())
        })
}

/// Boxes turned into columns, which is how vector units read them.
struct Columns<T> {
    x1: Vec<T>,
    y1: Vec<T>,
    x2: Vec<T>,
    y2: Vec<T>,
    area: Vec<T>,
    angle: Vec<T>,
}

fn larger<T: Coordinate>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

fn smaller<T: Coordinate>(a: T, b: T) -> T {
    if a < b { a } else { b }
}

fn area<T: Coordinate>([x1, y1, x2, y2]: [T; 4]) -> T {
    (x2 - x1) * (y2 - y1)
}

fn angle<T: Coordinate>([x1, y1, x2, y2]: [T; 4]) -> T {
    T::angle(x2 - x1, y2 - y1)
}

impl<T: Coordinate> Columns<T> {
    fn new(boxes: &[[T; 4]]) -> Self {
        let column = |of: &dyn Fn([T; 4]) -> T| boxes.iter().map(|&corners| of(corners)).collect();
        Self {
            x1: column(&|corners| corners[0]),
            y1: column(&|corners| corners[1]),
            x2: column(&|corners| corners[2]),
            y2: column(&|corners| corners[3]),
            area: column(&area),
            angle: column(&angle),
        }
    }

    /// Intersection and union of one box with each of these.
    fn shared(&self, one: [T; 4], index: usize) -> (T, T) {
        let zero = T::default();
        let [x1, y1, x2, y2] = one;
        let width = smaller(x2, self.x2[index]) - larger(x1, self.x1[index]);
        let height = smaller(y2, self.y2[index]) - larger(y1, self.y1[index]);
        let both = larger(width, zero) * larger(height, zero);
        (both, area(one) + self.area[index] - both)
    }

    fn overlaps(&self, one: [T; 4], overlap: Overlap, out: &mut [T]) {
        match overlap {
            Overlap::Iou => self.each(one, out, |_, iou, _| iou),
            Overlap::Giou => self.each(one, out, |index, iou, union| {
                let (width, height) = self.hull(one, index);
                let hull = width * height;
                iou - ratio(hull - union, hull)
            }),
            Overlap::Diou => self.each(one, out, |index, iou, _| iou - self.apart(one, index)),
            Overlap::Ciou => {
                let angle = angle(one);
                self.each(one, out, |index, iou, _| {
                    let aspect = T::aspect([angle, self.angle[index]]);
                    let weight = ratio(aspect, T::of(1.0) - iou + aspect);
                    iou - self.apart(one, index) - weight * aspect
                });
            }
        }
    }

    fn each(&self, one: [T; 4], out: &mut [T], value: impl Fn(usize, T, T) -> T) {
        for (index, out) in out.iter_mut().enumerate() {
            let (both, union) = self.shared(one, index);
            *out = value(index, ratio(both, union), union);
        }
    }

    /// Sides of the smallest box around both.
    fn hull(&self, [x1, y1, x2, y2]: [T; 4], index: usize) -> (T, T) {
        (
            larger(x2, self.x2[index]) - smaller(x1, self.x1[index]),
            larger(y2, self.y2[index]) - smaller(y1, self.y1[index]),
        )
    }

    /// Squared distance of the centres over the squared diagonal of the hull.
    fn apart(&self, one: [T; 4], index: usize) -> T {
        let (width, height) = self.hull(one, index);
        let x = (one[0] + one[2] - self.x1[index] - self.x2[index]) * T::of(0.5);
        let y = (one[1] + one[3] - self.y1[index] - self.y2[index]) * T::of(0.5);
        ratio(x * x + y * y, width * width + height * height)
    }
}

/// A quotient, 0 where there is nothing to divide by.
fn ratio<T: Coordinate>(part: T, whole: T) -> T {
    if whole > T::default() {
        part / whole
    } else {
        T::default()
    }
}

fn check_crowd<T: Coordinate>(
    boxes: &[[T; 4]],
    scores: &[T],
    labels: Option<&[i64]>,
) -> Result<(), Error> {
    check("boxes", boxes, plain)?;
    for (name, len) in [("scores", scores.len())]
        .into_iter()
        .chain(labels.map(|labels| ("labels", labels.len())))
    {
        if len != boxes.len() {
            return Err(Error::length(name, len, "boxes", boxes.len()));
        }
    }
    find_first(scores, |score| !score.is_finite()).map_or(Ok(()), |index| {
        Err(Error::not_finite("scores", scores[index].into(), index))
    })
}

/// Greedy suppression: walks the boxes from the largest score down and keeps each that overlaps no
/// box kept before, of its own label, by more than the threshold. Equal scores go by index.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn nms<T: Coordinate>(
    boxes: &[[T; 4]],
    scores: &[T],
    iou_threshold: f64,
    labels: Option<&[i64]>,
    interrupt: &Interrupt,
) -> Result<Vec<i64>, Error> {
    check_crowd(boxes, scores, labels)?;
    if !(0.0..=1.0).contains(&iou_threshold) {
        let remedy = "0.5 is usual";
        return Err(Error::range(
            "iou_threshold",
            "in [0, 1]",
            iou_threshold,
            remedy,
        ));
    }
    let mut order: Vec<u128> = (0_u64..)
        .zip(scores)
        .map(|(index, score)| u128::pack(score.rank(), index))
        .collect();
    sort_by_rank(&mut order, interrupt)?;
    let order: Vec<usize> = order.into_iter().map(|item| item.tag() as usize).collect();
    let kept = match labels {
        None => suppress(boxes, &order, iou_threshold, interrupt)?,
        Some(labels) => {
            let mut by_label = order.clone();
            by_label.sort_by_key(|&index| labels[index]);
            let mut keep = vec![false; boxes.len()];
            for group in by_label.chunk_by(|&a, &b| labels[a] == labels[b]) {
                for index in suppress(boxes, group, iou_threshold, interrupt)? {
                    keep[index] = true;
                }
            }
            order.into_iter().filter(|&index| keep[index]).collect()
        }
    };
    Ok(kept.into_iter().map(|index| index as i64).collect())
}

/// How soft suppression lowers the score of a box that overlaps a better one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// By 1 - IoU where the IoU is larger than this threshold.
    Linear(f64),
    /// By exp(-IoU^2 / sigma).
    Gaussian(f64),
}

impl Decay {
    fn factor(self, iou: f64) -> f64 {
        match self {
            Self::Linear(threshold) if iou > threshold => 1.0 - iou,
            Self::Linear(_) => 1.0,
            Self::Gaussian(sigma) => (-iou * iou / sigma).exp(),
        }
    }

    fn check(self) -> Result<(), Error> {
        match self {
            Self::Linear(threshold) if !(0.0..=1.0).contains(&threshold) => {
                let remedy = "0.3 is usual";
                Err(Error::range(
                    "iou_threshold",
                    "in [0, 1]",
                    threshold,
                    remedy,
                ))
            }
            Self::Gaussian(sigma) if !(sigma > 0.0 && sigma.is_finite()) => {
                let rule = "finite and > 0";
                Err(Error::range("sigma", rule, sigma, "0.5 is usual"))
            }
            Self::Linear(_) | Self::Gaussian(_) => Ok(()),
        }
    }
}

/// Soft suppression: takes the box of the largest score left, lowers the scores of the others of
/// its label that overlap it, and so on while a score is at least `least`. Equal scores go by index.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn soft_nms(
    boxes: &[[f64; 4]],
    scores: &[f64],
    decay: Decay,
    least: f64,
    labels: Option<&[i64]>,
    interrupt: &Interrupt,
) -> Result<Vec<(i64, f64)>, Error> {
    check_crowd(boxes, scores, labels)?;
    decay.check()?;
    if least.is_nan() {
        return Err(Error::range(
            "min_score",
            "a number",
            least,
            "0.001 is usual",
        ));
    }
    let columns = Columns::new(boxes);
    let mut left: Vec<usize> = (0..boxes.len()).collect();
    let mut scores = scores.to_vec();
    let mut kept = Vec::new();
    loop {
        interrupt.check()?;
        left.retain(|&index| scores[index] >= least);
        let better = |&a: &usize, &b: &usize| scores[a].total_cmp(&scores[b]).then(b.cmp(&a));
        let Some(best) = left.iter().copied().max_by(better) else {
            return Ok(kept);
        };
        kept.push((best as i64, scores[best]));
        left.retain(|&index| index != best);
        for &index in &left {
            if labels.is_none_or(|labels| labels[index] == labels[best]) {
                let (both, union) = columns.shared(boxes[best], index);
                scores[index] *= decay.factor(ratio(both, union));
            }
        }
    }
}

/// Boxes kept of those in `order`.
fn suppress<T: Coordinate>(
    boxes: &[[T; 4]],
    order: &[usize],
    threshold: f64,
    interrupt: &Interrupt,
) -> Result<Vec<usize>, Error> {
    let sorted: Vec<[T; 4]> = order.iter().map(|&index| boxes[index]).collect();
    let columns = Columns::new(&sorted);
    let threshold = T::of(threshold);
    let mut gone = vec![0_u8; order.len()];
    let mut kept = Vec::new();
    for (place, &index) in order.iter().enumerate() {
        if gone[place] != 0 {
            continue;
        }
        interrupt.check()?;
        kept.push(index);
        columns.mark(place, threshold, &mut gone);
    }
    Ok(kept)
}

impl<T: Coordinate> Columns<T> {
    /// Marks what follows a box and overlaps it by more than the threshold.
    fn mark(&self, place: usize, threshold: T, gone: &mut [u8]) {
        let one = [
            self.x1[place],
            self.y1[place],
            self.x2[place],
            self.y2[place],
        ];
        for (index, gone) in gone.iter_mut().enumerate().skip(place + 1) {
            let (both, union) = self.shared(one, index);
            *gone |= u8::from(ratio(both, union) > threshold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    #[test]
    fn half_of_one_box_in_another_is_a_third_of_their_union() {
        let mut out = [9.0; 2];
        let (a, b) = (
            [[0.0, 0.0, 2.0, 2.0]],
            [[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]],
        );
        box_iou(&a, &b, 1, Overlap::Iou, &mut out, &QUIET).expect("valid");
        assert_eq!(
            out.map(f32::to_bits),
            [1.0_f32 / 3.0, 0.0].map(f32::to_bits)
        );
    }

    #[test]
    fn a_box_inside_out_is_named() {
        let broken = [[0.0, 0.0, 1.0, 1.0], [3.0, 0.0, 2.0, 1.0_f64]];
        let error = check("boxes", &broken, plain).expect_err("x1 > x2");
        assert!(error.to_string().contains("at index 1"));
        assert!(check("boxes", &[[0.0, f32::NAN, 1.0, 1.0]], plain).is_err());
        assert!(check("boxes", &[[f32::NEG_INFINITY, 0.0, 1.0, 1.0]], plain).is_err());
    }

    #[test]
    fn suppression_keeps_the_best_of_each_label() {
        let boxes = [[0.0, 0.0, 2.0, 2.0_f32]; 3];
        let scores = [0.5, 0.9, 0.9];
        assert_eq!(nms(&boxes, &scores, 0.5, None, &QUIET), Ok(vec![1]));
        let labels = [0, 1, 0];
        assert_eq!(
            nms(&boxes, &scores, 0.5, Some(&labels), &QUIET),
            Ok(vec![1, 2])
        );
    }
}
