//! `CutMix` for detection: objects of some images pasted into others.
//!
//! Algorithm 1 of the draft it comes from, repaired: a place is taken only when every object that
//! is there overlaps the new one by less than the threshold, and none gets covered too much.
use std::ops::Range;
use std::str::FromStr;

use rayon::prelude::*;

use crate::boxes;
use crate::deal::Dealt;
use crate::error::Error;
use crate::ragged::Offsets;
use crate::rng::Philox;
use crate::work::{BLOCK, Interrupt, map_items};

/// Where an object is pasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Where it is in its own image.
    Donor,
    /// There, or else at a free place that is searched for.
    Pack,
}

/// What becomes of other objects that lie in the pasted region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They come along with their boxes.
    Copy,
    /// Such a region is not pasted.
    Reject,
}

macro_rules! words {
    ($kind:ident, $name:literal, $rule:literal, $remedy:literal, $($word:literal => $value:ident),+) => {
        impl FromStr for $kind {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok(Self::$value),)+
                    _ => Err(Error::range($name, $rule, format!("'{word}'"), $remedy)),
                }
            }
        }
    };
}
words!(Placement, "placement", "'donor' or 'pack'", "'pack' searches a free place",
    "donor" => Donor, "pack" => Pack);
words!(Others, "others", "'copy' or 'reject'", "'copy' takes their labels along",
    "copy" => Copy, "reject" => Reject);

/// What a paste must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Rows and columns of every image.
    pub size: [usize; 2],
    /// Objects that an image is filled up to.
    pub max_objects: usize,
    /// Every overlap of a pasted object with another one is below it.
    pub iou_threshold: f64,
    /// The share of an object that pasted regions may cover, all of them together.
    pub max_cover: f64,
    /// Donors tried for an image.
    pub max_tries: usize,
    /// Where objects go.
    pub placement: Placement,
    /// What else comes along.
    pub others: Others,
}

/// Columns x1, x2 and rows y1, y2 of pixels, ends excluded, as x1, y1, x2, y2.
pub type Region = [i64; 4];

/// A region of a donor and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paste {
    /// The image that is changed.
    pub image: usize,
    /// The image that is read.
    pub donor: usize,
    /// What is read.
    pub source: Region,
    /// Where it is written: as large as the source.
    pub target: Region,
}

/// An object of an image after all pastes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    /// Its box.
    pub corners: [f64; 4],
    /// Which of the given objects it is or was copied from.
    pub origin: usize,
    /// The paste that brought it; `None` for an object that was there.
    pub paste: Option<usize>,
}

/// Who goes where, by image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do, in this order.
    pub pastes: Vec<Paste>,
    /// What there is afterwards; the objects that were there come first.
    pub objects: Vec<Object>,
    /// Which of the objects are of which image.
    pub offsets: Offsets,
}

/// Donors tried for one image, at most: planning it cannot be interrupted.
pub const MAX_TRIES: usize = 1 << 16;

/// Images planned at a time by one thread.
const BAND: usize = 64;

/// How much work planning is: an image costs some hundred elements.
pub fn elements(objects: usize, images: usize) -> usize {
    (objects + images).saturating_mul(256)
}

/// Fills images up with objects of other images.
///
/// Each image has a random stream of its own under `key`, so that the plan depends neither on
/// threads nor on what happens to other images.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn plan_cutmix(
    corners: &[[f64; 4]],
    offsets: &Offsets,
    rules: &Rules,
    key: [u64; 2],
    interrupt: &Interrupt,
) -> Result<Plan, Error> {
    offsets.check("boxes", corners.len(), "their offsets say")?;
    boxes::check("boxes", corners, |index| offsets.place(index))?;
    rules.check()?;
    let donors = Donors::new(corners, offsets, rules);
    let bands = offsets.images().div_ceil(BAND);
    let elements = elements(corners.len(), offsets.images());
    let plans = map_items(bands, elements, interrupt, |band| {
        let mut plan = Plan::default();
        for image in band * BAND..offsets.images().min((band + 1) * BAND) {
            donors.fill(image, key, &mut plan);
        }
        Ok(plan)
    })?;
    let mut whole = Plan::default();
    for plan in plans {
        let (pastes, objects) = (whole.pastes.len(), whole.objects.len());
        whole.pastes.extend(plan.pastes);
        whole
            .objects
            .extend(plan.objects.into_iter().map(|object| Object {
                paste: object.paste.map(|paste| paste + pastes),
                ..object
            }));
        for &end in &plan.offsets.as_slice()[1..] {
            whole.offsets.push(objects + end);
        }
    }
    Ok(whole)
}

impl Rules {
    fn check(&self) -> Result<(), Error> {
        let numbers = [
            (
                "iou_threshold",
                self.iou_threshold,
                "0.1 keeps objects apart",
            ),
            (
                "max_cover",
                self.max_cover,
                "0.3 leaves most of an object visible",
            ),
        ];
        if self.max_tries > MAX_TRIES {
            let rule = format!("at most {MAX_TRIES}");
            let remedy = "an image that is full stays so";
            return Err(Error::range("max_tries", &rule, self.max_tries, remedy));
        }
        for (name, number, remedy) in numbers {
            if !(0.0..=1.0).contains(&number) {
                return Err(Error::range(name, "in [0, 1]", number, remedy));
            }
        }
        Ok(())
    }
}

/// What is pasted as one: a region of an image with the objects in it.
struct Parcel {
    region: Region,
    /// Places in `Donors::contents`; the object itself comes first.
    contents: Range<usize>,
}

struct Donors<'a> {
    corners: &'a [[f64; 4]],
    offsets: &'a Offsets,
    rules: &'a Rules,
    /// Boxes within the image, and which objects they are.
    contents: Vec<([f64; 4], usize)>,
    parcels: Vec<Parcel>,
    /// Parcels by image.
    of_image: Offsets,
    /// Images that have parcels.
    images: Vec<usize>,
}

impl<'a> Donors<'a> {
    fn new(corners: &'a [[f64; 4]], offsets: &'a Offsets, rules: &'a Rules) -> Self {
        let mut donors = Self {
            corners,
            offsets,
            rules,
            contents: Vec::with_capacity(corners.len()),
            parcels: Vec::with_capacity(corners.len()),
            of_image: Offsets::default(),
            images: Vec::new(),
        };
        for image in 0..offsets.images() {
            for object in offsets.of(image) {
                donors.add(object, offsets.of(image));
            }
            if donors.parcels.len() > donors.of_image.items() {
                donors.images.push(image);
            }
            donors.of_image.push(donors.parcels.len());
        }
        donors
    }

    /// Adds the parcel of an object, unless it is outside its image or cut out with a piece of
    /// another object too large to go without a label and too small to have one.
    fn add(&mut self, object: usize, neighbours: Range<usize>) {
        let [height, width] = self.rules.size.map(|side| side as f64);
        let [x1, y1, x2, y2] = self.corners[object];
        let inside = [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
        if inside[0] >= inside[2] || inside[1] >= inside[3] {
            return;
        }
        let region = [
            inside[0].floor(),
            inside[1].floor(),
            inside[2].ceil(),
            inside[3].ceil(),
        ];
        let start = self.contents.len();
        self.contents.push((inside, object));
        for other in neighbours.filter(|&other| other != object) {
            let corners = self.corners[other];
            let visible = intersection(corners, region) / area(corners);
            if visible > self.rules.max_cover {
                let piece = common(corners, region);
                let whole = visible >= 1.0 - self.rules.max_cover;
                let apart = self.contents[start..]
                    .iter()
                    .all(|&(corners, _)| iou(corners, piece) < self.rules.iou_threshold);
                if self.rules.others == Others::Reject || !whole || !apart {
                    self.contents.truncate(start);
                    return;
                }
                self.contents.push((piece, other));
            }
        }
        self.parcels.push(Parcel {
            region: region.map(|edge| edge as i64),
            contents: start..self.contents.len(),
        });
    }

    /// Plans one image.
    fn fill(&self, image: usize, key: [u64; 2], plan: &mut Plan) {
        let rules = self.rules;
        let mut scene = Scene {
            corners: self.corners[self.offsets.of(image)].to_vec(),
            covered: vec![0.0; self.offsets.of(image).len()],
            rules,
        };
        plan.objects
            .extend(self.offsets.of(image).map(|origin| Object {
                corners: self.corners[origin],
                origin,
                paste: None,
            }));
        let own = self.images.binary_search(&image);
        let donors = self.images.len() - usize::from(own.is_ok());
        let mut stream = Philox::new(key, [0, image as u64, 0, 0]);
        for _ in 0..if donors > 0 { rules.max_tries } else { 0 } {
            if scene.corners.len() >= rules.max_objects {
                break;
            }
            let mut number = stream.below(donors as u64) as usize;
            number += usize::from(own.is_ok_and(|own| number >= own));
            let donor = self.images[number];
            let parcels = &self.parcels[self.of_image.of(donor)];
            let parcel = &parcels[stream.below(parcels.len() as u64) as usize];
            let contents = &self.contents[parcel.contents.clone()];
            if scene.corners.len() + contents.len() > rules.max_objects {
                continue;
            }
            let Some(shift) = scene.place(parcel.region, contents, &mut stream) else {
                continue;
            };
            let target = shifted(parcel.region, shift);
            scene.cover(target);
            for &(corners, origin) in contents {
                let corners = shifted_box(corners, shift);
                scene.add(corners);
                plan.objects.push(Object {
                    corners,
                    origin,
                    paste: Some(plan.pastes.len()),
                });
            }
            plan.pastes.push(Paste {
                image,
                donor,
                source: parcel.region,
                target,
            });
        }
        plan.offsets.push(plan.objects.len());
    }
}

/// What an image holds so far.
struct Scene<'a> {
    corners: Vec<[f64; 4]>,
    /// Share of each object that pasted regions cover.
    covered: Vec<f64>,
    rules: &'a Rules,
}

impl Scene<'_> {
    fn place(
        &self,
        region: Region,
        contents: &[([f64; 4], usize)],
        stream: &mut Philox,
    ) -> Option<[i64; 2]> {
        let fits = |shift: &[i64; 2]| self.fits(region, contents, *shift);
        let home = Some([0, 0]).filter(fits);
        match self.rules.placement {
            Placement::Donor => home,
            Placement::Pack => home.or_else(|| self.search(region, contents, stream).filter(fits)),
        }
    }

    fn fits(&self, region: Region, contents: &[([f64; 4], usize)], shift: [i64; 2]) -> bool {
        let region = shifted(region, shift).map(|edge| edge as f64);
        self.corners
            .iter()
            .zip(&self.covered)
            .all(|(&own, &covered)| {
                covered + cover(own, region) <= self.rules.max_cover
                    && contents.iter().all(|&(corners, _)| {
                        iou(own, shifted_box(corners, shift)) < self.rules.iou_threshold
                    })
            })
    }

    /// A shift that moves the region to a free place: all places of a random row that has any.
    ///
    /// In one row of places the region overlaps an object by more than it may in one interval.
    fn search(
        &self,
        region: Region,
        contents: &[([f64; 4], usize)],
        stream: &mut Philox,
    ) -> Option<[i64; 2]> {
        let (width, height) = (region[2] - region[0], region[3] - region[1]);
        let rows = self.rules.size[0] as i64 - height + 1;
        let columns = self.rules.size[1] as i64 - width + 1;
        let sizes = contents.iter().map(|&(corners, _)| area(corners));
        let smallest = sizes.fold(f64::INFINITY, f64::min);
        // A little less than allowed, so that rounding does not lead to a place that is refused.
        let share = (1.0 - 1e-9) * self.rules.iou_threshold / (1.0 + self.rules.iou_threshold);
        let limit = |own: [f64; 4], covered: f64| {
            let left = (1.0 - 1e-9) * (self.rules.max_cover - covered) * area(own);
            left.min(share * (smallest + area(own)))
        };
        let limits = self.corners.iter().zip(&self.covered);
        let limits: Vec<f64> = limits.map(|(&own, &covered)| limit(own, covered)).collect();
        let first = stream.below(rows as u64) as i64;
        let mut blocked = Vec::with_capacity(limits.len());
        for step in 0..rows {
            let top = (first + step) % rows;
            blocked.clear();
            for (own, limit) in self.corners.iter().zip(&limits) {
                let tall = own[3].min((top + height) as f64) - own[1].max(top as f64);
                let wide = limit / tall;
                if tall > 0.0 && wide < (own[2] - own[0]).min(width as f64) {
                    let left = ((own[0] - width as f64 + wide).floor() as i64 + 1).max(0);
                    let right = ((own[2] - wide).ceil() as i64).min(columns);
                    if left < right {
                        blocked.push((left, right));
                    }
                }
            }
            if let Some(left) = free_column(&mut blocked, columns, stream) {
                return Some([left - region[0], top - region[1]]);
            }
        }
        None
    }

    fn cover(&mut self, region: Region) {
        let region = region.map(|edge| edge as f64);
        for (&own, covered) in self.corners.iter().zip(&mut self.covered) {
            *covered += cover(own, region);
        }
    }

    fn add(&mut self, corners: [f64; 4]) {
        self.corners.push(corners);
        self.covered.push(0.0);
    }
}

/// A random one of `0..columns` outside all blocked ranges.
fn free_column(blocked: &mut [(i64, i64)], columns: i64, stream: &mut Philox) -> Option<i64> {
    blocked.sort_unstable();
    let gaps = |visit: &mut dyn FnMut(i64, i64)| {
        let mut start = 0;
        for &(left, right) in &*blocked {
            visit(start, left);
            start = start.max(right);
        }
        visit(start, columns);
    };
    let mut free = 0;
    gaps(&mut |start, end| free += (end - start).max(0));
    if free == 0 {
        return None;
    }
    let (mut chosen, mut found) = (stream.below(free as u64) as i64, None);
    gaps(&mut |start, end| {
        let len = (end - start).max(0);
        if found.is_none() && chosen < len {
            found = Some(start + chosen);
        }
        chosen -= len;
    });
    found
}

fn shifted([x1, y1, x2, y2]: Region, [x, y]: [i64; 2]) -> Region {
    [x1 + x, y1 + y, x2 + x, y2 + y]
}

fn shifted_box([x1, y1, x2, y2]: [f64; 4], [x, y]: [i64; 2]) -> [f64; 4] {
    let (x, y) = (x as f64, y as f64);
    [x1 + x, y1 + y, x2 + x, y2 + y]
}

fn common(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]
}

fn area([x1, y1, x2, y2]: [f64; 4]) -> f64 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

fn intersection(a: [f64; 4], b: [f64; 4]) -> f64 {
    area(common(a, b))
}

/// Share of an object inside a region; nothing of an object without area.
fn cover(own: [f64; 4], region: [f64; 4]) -> f64 {
    let both = intersection(own, region);
    if both > 0.0 { both / area(own) } else { 0.0 }
}

fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let both = intersection(a, b);
    if both > 0.0 {
        both / (area(a) + area(b) - both)
    } else {
        0.0
    }
}

/// A number that images are made of.
pub trait Pixel: Copy + Default + Send + Sync + Into<f64> {
    /// The nearest such number.
    fn nearest(value: f64) -> Self;
}

impl Pixel for u8 {
    fn nearest(value: f64) -> Self {
        value.round() as Self
    }
}

impl Pixel for f32 {
    fn nearest(value: f64) -> Self {
        value as Self
    }
}

/// Images of one size, one after another: rows, columns, channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of images.
    pub images: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Shape {
    fn row(&self) -> usize {
        self.width * self.channels
    }

    fn image(&self) -> usize {
        self.height * self.row()
    }

    /// Places of a region's rows within an image.
    fn rows(&self, region: Region) -> impl Iterator<Item = Range<usize>> + use<> {
        let [x1, y1, x2, y2] = region.map(|edge| edge as usize);
        let (row, channels) = (self.row(), self.channels);
        (y1..y2).map(move |y| y * row + x1 * channels..y * row + x2 * channels)
    }
}

/// Pastes in place. Every region is read as it was before the first paste.
///
/// With `objects` (their boxes and offsets, before the pastes) each patch is shifted, channel by
/// channel, by the difference of the mean backgrounds of its two images.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn apply_cutmix<T: Pixel>(
    images: &mut [T],
    shape: Shape,
    pastes: &[Paste],
    objects: Option<(&[[f64; 4]], &Offsets)>,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    check_pastes(pastes, shape)?;
    if pastes.is_empty() || shape.channels == 0 {
        return Ok(());
    }
    let backgrounds = objects
        .map(|(corners, offsets)| backgrounds(images, shape, corners, offsets, interrupt))
        .transpose()?;
    let targets = Targets::new(pastes, shape.images);
    let elements = pasted(pastes, shape.channels);
    let parallel = elements > BLOCK;
    // Images are changed batch by batch: what is read from outside a batch goes straight to its
    // target. Only what was changed before, or changes meanwhile, is read first of all.
    let batch = if parallel {
        shape.images.div_ceil(BATCHES).max(SIDE_BY_SIDE)
    } else {
        1
    };
    let mut early = Offsets::default();
    for (number, paste) in pastes.iter().enumerate() {
        let first = paste.image - paste.image % batch;
        let at_once = (first..first + batch).contains(&paste.donor);
        let lost = at_once || paste.donor < first && targets.touch(paste);
        let patch = &pastes[number..number + usize::from(lost)];
        early.push(early.items() + pasted(patch, shape.channels));
    }
    // One buffer, for an allocator gives it again from call to call, and pages with it.
    let mut patches = vec![T::default(); early.items()];
    let mut rest = &mut patches[..];
    let mut reads = Vec::new();
    for (number, paste) in pastes.iter().enumerate() {
        let (patch, after) = rest.split_at_mut(early.of(number).len());
        rest = after;
        if !patch.is_empty() {
            reads.push((paste, patch));
        }
    }
    let read = |(paste, patch): (&Paste, &mut [T])| {
        interrupt.check()?;
        let donor = &images[paste.donor * shape.image()..][..shape.image()];
        let width = (paste.source[2] - paste.source[0]) as usize * shape.channels;
        for (values, row) in patch.chunks_mut(width).zip(shape.rows(paste.source)) {
            values.copy_from_slice(&donor[row]);
        }
        Ok(())
    };
    if parallel {
        reads.into_par_iter().try_for_each(read)?;
    } else {
        reads.into_iter().try_for_each(read)?;
    }
    for first in (0..shape.images).step_by(batch) {
        let (before, rest) = images.split_at_mut(first * shape.image());
        let middle = (batch * shape.image()).min(rest.len());
        let (changed, after) = rest.split_at_mut(middle);
        let change = |(number, image): (usize, &mut [T])| {
            interrupt.check()?;
            for &number in targets.of(first + number) {
                let paste = &pastes[number];
                let means = backgrounds.as_ref().map(|means| {
                    [paste.image, paste.donor]
                        .map(|of| &means[of * shape.channels..][..shape.channels])
                });
                let targets = shape.rows(paste.target);
                let patch = &patches[early.of(number)];
                if patch.is_empty() {
                    let start = paste.donor * shape.image();
                    let donor = match start.checked_sub(before.len() + middle) {
                        Some(start) => &after[start..],
                        None => &before[start..],
                    };
                    for (row, source) in targets.zip(shape.rows(paste.source)) {
                        put(&mut image[row], &donor[source], means);
                    }
                } else {
                    let width = (paste.target[2] - paste.target[0]) as usize * shape.channels;
                    for (row, values) in targets.zip(patch.chunks(width)) {
                        put(&mut image[row], values, means);
                    }
                }
            }
            Ok(())
        };
        if parallel {
            let images = changed.par_chunks_mut(shape.image()).enumerate();
            images.try_for_each(change)?;
        } else {
            let mut images = changed.chunks_mut(shape.image()).enumerate();
            images.try_for_each(change)?;
        }
    }
    Ok(())
}

/// Batches that many images are cut into: the more, the fewer patches have their donor in the same
/// batch, and the fewer images are changed side by side.
const BATCHES: usize = 32;
/// Images of a batch, at least.
const SIDE_BY_SIDE: usize = 8;

/// Writes values, shifted from the second of two means by channel to the first.
fn put<T: Pixel>(row: &mut [T], values: &[T], means: Option<[&[f64]; 2]>) {
    let Some([to, from]) = means else {
        row.copy_from_slice(values);
        return;
    };
    let pixels = row.chunks_mut(to.len()).zip(values.chunks(to.len()));
    for (pixel, values) in pixels {
        for ((number, &value), (to, from)) in pixel.iter_mut().zip(values).zip(to.iter().zip(from))
        {
            *number = T::nearest(value.into() + to - from);
        }
    }
}

/// Pastes by the image that they change, those of one image in their order.
struct Targets<'a> {
    pastes: &'a [Paste],
    numbers: Dealt<usize>,
}

impl<'a> Targets<'a> {
    fn new(pastes: &'a [Paste], images: usize) -> Self {
        let by_image = pastes
            .iter()
            .enumerate()
            .map(|(number, paste)| (paste.image, number));
        Self {
            pastes,
            numbers: Dealt::new(by_image, images),
        }
    }

    fn of(&self, image: usize) -> &[usize] {
        self.numbers.run(image)
    }

    /// Whether any paste into the donor of one changes what that one takes from there.
    fn touch(&self, paste: &Paste) -> bool {
        let [x1, y1, x2, y2] = paste.source;
        self.of(paste.donor).iter().any(|&number| {
            let of = self.pastes[number].target;
            x1 < of[2] && of[0] < x2 && y1 < of[3] && of[1] < y2
        })
    }
}

/// How much is written.
pub fn pasted(pastes: &[Paste], channels: usize) -> usize {
    let sizes = pastes.iter().map(|paste| {
        let [x1, y1, x2, y2] = paste.target;
        (x2.saturating_sub(x1))
            .saturating_mul(y2.saturating_sub(y1))
            .max(0) as usize
    });
    sizes.fold(0, |sum, size| {
        sum.saturating_add(size.saturating_mul(channels))
    })
}

fn check_pastes(pastes: &[Paste], shape: Shape) -> Result<(), Error> {
    let (width, height) = (shape.width as i64, shape.height as i64);
    let bad = |paste: &Paste| {
        let inside = |[x1, y1, x2, y2]: Region| {
            0 <= x1 && x1 < x2 && x2 <= width && 0 <= y1 && y1 < y2 && y2 <= height
        };
        let size = |[x1, y1, x2, y2]: Region| (x2 - x1, y2 - y1);
        !(inside(paste.source) && inside(paste.target))
            || size(paste.source) != size(paste.target)
            || paste.image.max(paste.donor) >= shape.images
    };
    pastes.iter().position(bad).map_or(Ok(()), |index| {
        Err(Error::Argument {
            name: "plan",
            rule: format!(
                "of regions inside {} images of {height} rows and {width} columns",
                shape.images
            ),
            got: format!("{:?} at index {index}", pastes[index]),
            remedy: "plan for the images that are changed",
        })
    })
}

/// Means of each image's channels outside its objects; of the whole image where they fill it.
fn backgrounds<T: Pixel>(
    images: &[T],
    shape: Shape,
    corners: &[[f64; 4]],
    offsets: &Offsets,
    interrupt: &Interrupt,
) -> Result<Vec<f64>, Error> {
    if offsets.images() != shape.images {
        let (len, expected) = (offsets.images(), shape.images);
        return Err(Error::length("plan", len, "images", expected));
    }
    let elements = images.len();
    let means = map_items(shape.images, elements, interrupt, |number| {
        let image = &images[number * shape.image()..][..shape.image()];
        let mut outside = vec![true; shape.height * shape.width];
        for corners in &corners[offsets.of(number)] {
            // A float becomes the nearest index there is.
            let edge = |edge: f64, end: usize| (edge as usize).min(end);
            let columns =
                edge(corners[0].floor(), shape.width)..edge(corners[2].ceil(), shape.width);
            let rows =
                edge(corners[1].floor(), shape.height)..edge(corners[3].ceil(), shape.height);
            for y in rows {
                outside[y * shape.width..][columns.clone()].fill(false);
            }
        }
        if !outside.contains(&true) {
            outside.fill(true);
        }
        let (mut means, mut pixels) = (vec![0.0; shape.channels], 0.0);
        let image = image.chunks(shape.channels).zip(&outside);
        for (pixel, _) in image.filter(|(_, outside)| **outside) {
            pixels += 1.0;
            for (mean, &value) in means.iter_mut().zip(pixel) {
                *mean += value.into();
            }
        }
        for mean in &mut means {
            *mean /= pixels;
        }
        Ok(means)
    })?;
    Ok(means.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    const RULES: Rules = Rules {
        size: [10, 10],
        max_objects: 3,
        iou_threshold: 0.1,
        max_cover: 0.3,
        max_tries: 50,
        placement: Placement::Donor,
        others: Others::Copy,
    };

    fn offsets(ends: &[usize]) -> Offsets {
        let mut offsets = Offsets::default();
        for &end in ends {
            offsets.push(end);
        }
        offsets
    }

    #[test]
    fn an_image_without_objects_takes_those_of_the_other() {
        let corners = [[1.0, 1.0, 4.0, 4.0], [5.5, 5.5, 9.0, 9.0]];
        let plan = plan_cutmix(&corners, &offsets(&[0, 2]), &RULES, [1, 2], &QUIET).expect("valid");
        assert_eq!(
            plan.offsets,
            offsets(&[2, 4]),
            "the second image has no other donor"
        );
        assert!(
            plan.pastes
                .iter()
                .all(|paste| (paste.image, paste.donor) == (0, 1))
        );
        let regions: Vec<Region> = plan.pastes.iter().map(|paste| paste.target).collect();
        assert!(regions.contains(&[1, 1, 4, 4]) && regions.contains(&[5, 5, 9, 9]));
    }

    #[test]
    fn packing_finds_the_only_free_place() {
        // An object fills the left nine columns; a bar of one column fits at the right edge only.
        let corners = [[0.0, 0.0, 9.0, 10.0], [2.0, 0.0, 3.0, 10.0]];
        let rules = Rules {
            max_cover: 0.0,
            placement: Placement::Pack,
            max_tries: 1,
            ..RULES
        };
        let plan = plan_cutmix(&corners, &offsets(&[1, 2]), &rules, [1, 2], &QUIET).expect("valid");
        assert_eq!(plan.pastes[0].target, [9, 0, 10, 10]);
        let donor = Rules {
            placement: Placement::Donor,
            ..rules
        };
        let plan = plan_cutmix(&corners, &offsets(&[1, 2]), &donor, [1, 2], &QUIET).expect("valid");
        assert_eq!(plan.pastes, []);
    }

    #[test]
    fn every_region_is_read_as_it_was() {
        let shape = Shape {
            images: 2,
            height: 1,
            width: 2,
            channels: 1,
        };
        let whole = [0, 0, 2, 1];
        let swap = [(0, 1), (1, 0)].map(|(image, donor)| Paste {
            image,
            donor,
            source: whole,
            target: whole,
        });
        let mut images = [1_u8, 2, 3, 4];
        assert_eq!(
            apply_cutmix(&mut images, shape, &swap, None, &QUIET),
            Ok(())
        );
        assert_eq!(images, [3, 4, 1, 2]);
    }
}
