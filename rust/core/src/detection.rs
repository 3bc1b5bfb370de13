//! Average precision of detections: which detection finds which object, and what that is worth.
use crate::boxes;
use crate::error::Error;
use crate::order::{Packed, Real, sort_by_rank};
use crate::ragged::Offsets;
use crate::work::{Interrupt, find_first, map_items};

/// True objects, image by image.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'a> {
    /// Their boxes.
    pub corners: &'a [[f64; 4]],
    /// Their classes.
    pub labels: &'a [i64],
    /// Not zero for a crowd: an object that counts neither found nor missed.
    pub ignore: &'a [u8],
    /// Which are of which image.
    pub offsets: &'a Offsets,
}

/// Detections, image by image.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Their boxes.
    pub corners: &'a [[f64; 4]],
    /// Their classes.
    pub labels: &'a [i64],
    /// How sure they are.
    pub scores: &'a [f64],
    /// Which are of which image.
    pub offsets: &'a Offsets,
}

/// How detections are judged.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Classes there are.
    pub num_classes: usize,
    /// Overlaps from which on an object is found.
    pub thresholds: &'a [f64],
    /// Smallest and largest area of the objects that count.
    pub bands: &'a [[f64; 2]],
    /// What areas of an image are divided by; without it they are in square pixels.
    pub image_areas: Option<&'a [f64]>,
    /// Detections of one class in one image that count, the surest.
    pub max_detections: usize,
}

/// Classes that there may be: a curve is kept for each in every case.
pub const MAX_CLASSES: usize = 1 << 14;

/// Pairs of a band and a threshold that fit the bits of a word.
pub const MAX_CASES: usize = 64;

/// A detection and, in the bit of each case (band and threshold), what became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// How sure it is.
    pub score: f64,
    /// Its image.
    pub image: usize,
    /// It found an object.
    pub hits: u64,
    /// It neither found one nor was wrong.
    pub ignored: u64,
}

/// All there is to know of a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// From the surest down; equally sure ones by image.
    pub detections: Vec<Detection>,
    /// For each object that counts in some band: its image, and these bands as bits.
    pub objects: Vec<(usize, u64)>,
}

/// Finds out for every detection whether it finds an object.
///
/// In every image the surest detection of a class chooses first. It takes the object of its class
/// that it overlaps most, among those left whose overlap reaches the threshold; objects that count
/// come before others. Of equal overlaps the last is taken. A crowd may be taken by many, its
/// overlap being the share of the detection inside it. This is what pycocotools does.
///
/// # Errors
/// [`Error::Argument`], [`Error::Interrupted`].
pub fn matched(
    truth: &Truth,
    found: &Found,
    rules: &Rules,
    interrupt: &Interrupt,
) -> Result<Vec<Class>, Error> {
    check(truth, found, rules)?;
    let images = truth.offsets.images();
    let elements = elements(truth.labels.len() + found.labels.len());
    let judged = map_items(images, elements, interrupt, |image| {
        Ok(Image::new(image, truth, found, rules).judge())
    })?;
    let class = |class: usize| {
        let (mut items, mut detections, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for image in &judged {
            for &(_, detection) in image.detections_of(class) {
                let rank = detection.score.rank();
                items.push(u128::pack(rank, detections.len() as u64));
                detections.push(detection);
            }
            objects.extend(
                image
                    .objects_of(class)
                    .iter()
                    .map(|&(_, image, bands)| (image, bands)),
            );
        }
        sort_by_rank(&mut items, interrupt)?;
        let ranked = items.iter().map(|item| detections[item.tag() as usize]);
        Ok(Class {
            detections: ranked.collect(),
            objects,
        })
    };
    map_items(rules.num_classes, elements, interrupt, class)
}

/// How much work matching is: a detection costs some hundred elements.
pub fn elements(boxes: usize) -> usize {
    boxes.saturating_mul(128)
}

fn check(truth: &Truth, found: &Found, rules: &Rules) -> Result<(), Error> {
    rules.check(truth.offsets.images())?;
    let images = truth.offsets.images();
    if found.offsets.images() != images {
        return Err(Error::length(
            "scores",
            found.offsets.images(),
            "truth",
            images,
        ));
    }
    for (offsets, name, len) in [
        (truth.offsets, "truth", truth.corners.len()),
        (truth.offsets, "truth classes", truth.labels.len()),
        (truth.offsets, "truth ignore flags", truth.ignore.len()),
        (found.offsets, "scores", found.corners.len()),
        (found.offsets, "scores classes", found.labels.len()),
        (found.offsets, "confidences", found.scores.len()),
    ] {
        offsets.check(name, len, "the boxes of all images")?;
    }
    boxes::check("truth", truth.corners, |index| truth.offsets.place(index))?;
    boxes::check("scores", found.corners, |index| found.offsets.place(index))?;
    for (name, labels, offsets) in [
        ("truth classes", truth.labels, truth.offsets),
        ("scores classes", found.labels, found.offsets),
    ] {
        // A negative class turns into a huge one.
        let bad = |label: i64| label as u64 >= rules.num_classes as u64;
        if let Some(index) = find_first(labels, bad) {
            let rule = format!("in 0..={}", rules.num_classes.saturating_sub(1));
            let got = format!("{} at {}", labels[index], offsets.place(index));
            return Err(Error::range(name, &rule, got, "number the classes from 0"));
        }
    }
    if let Some(index) = find_first(found.scores, |score| !score.is_finite()) {
        let got = format!("{} at {}", found.scores[index], found.offsets.place(index));
        let remedy = "repair or leave out that item";
        return Err(Error::range("confidences", "finite", got, remedy));
    }
    Ok(())
}

impl Rules<'_> {
    fn check(&self, images: usize) -> Result<(), Error> {
        if self.num_classes > MAX_CLASSES {
            let rule = format!("at most {MAX_CLASSES}");
            let remedy = "number the classes from 0";
            return Err(Error::range("num_classes", &rule, self.num_classes, remedy));
        }
        if let Some(&bad) = self.thresholds.iter().find(|&&of| !(of > 0.0 && of <= 1.0)) {
            return Err(Error::range(
                "iou_thresholds",
                "in (0, 1]",
                bad,
                "0.5 is usual",
            ));
        }
        if let Some(&[low, high]) = self
            .bands
            .iter()
            .find(|[low, high]| !(0.0 <= *low && low <= high))
        {
            let got = format!("({low}, {high})");
            return Err(Error::range(
                "areas",
                "pairs 0 <= low <= high",
                got,
                "use inf for no limit",
            ));
        }
        if let Some(areas) = self.image_areas {
            if areas.len() != images {
                return Err(Error::length("image_sizes", areas.len(), "truth", images));
            }
            if let Some(index) = areas
                .iter()
                .position(|&area| !(area > 0.0 && area.is_finite()))
            {
                let got = format!("an area of {} at index {index}", areas[index]);
                return Err(Error::range(
                    "image_sizes",
                    "positive",
                    got,
                    "give rows and columns",
                ));
            }
        }
        let cases = self.thresholds.len().saturating_mul(self.bands.len());
        if !(1..=MAX_CASES).contains(&cases) {
            let rule = format!("such that thresholds times areas are in 1..={MAX_CASES}");
            return Err(Error::range(
                "iou_thresholds",
                &rule,
                cases,
                "ask for fewer at a time",
            ));
        }
        Ok(())
    }
}

/// Detections and objects of one image, each sorted by class.
struct Judged {
    detections: Vec<(usize, Detection)>,
    objects: Vec<(usize, usize, u64)>,
}

impl Judged {
    fn detections_of(&self, class: usize) -> &[(usize, Detection)] {
        let start = self.detections.partition_point(|item| item.0 < class);
        let len = self.detections[start..].partition_point(|item| item.0 == class);
        &self.detections[start..start + len]
    }

    fn objects_of(&self, class: usize) -> &[(usize, usize, u64)] {
        let start = self.objects.partition_point(|item| item.0 < class);
        let len = self.objects[start..].partition_point(|item| item.0 == class);
        &self.objects[start..start + len]
    }
}

/// What one image holds.
struct Image<'a> {
    number: usize,
    truth: &'a Truth<'a>,
    found: &'a Found<'a>,
    rules: &'a Rules<'a>,
    /// Objects by class, detections by class and then from the surest down.
    objects: Vec<usize>,
    detections: Vec<usize>,
}

impl<'a> Image<'a> {
    fn new(number: usize, truth: &'a Truth, found: &'a Found, rules: &'a Rules) -> Self {
        let mut objects: Vec<usize> = truth.offsets.of(number).collect();
        objects.sort_by_key(|&object| truth.labels[object]);
        let mut detections: Vec<usize> = found.offsets.of(number).collect();
        detections
            .sort_by_key(|&detection| (found.labels[detection], found.scores[detection].rank()));
        Self {
            number,
            truth,
            found,
            rules,
            objects,
            detections,
        }
    }

    fn judge(&self) -> Judged {
        let (truth, found) = (self.truth, self.found);
        let mut judged = Judged {
            detections: Vec::with_capacity(self.detections.len()),
            objects: Vec::with_capacity(self.objects.len()),
        };
        for objects in self
            .objects
            .chunk_by(|&a, &b| truth.labels[a] == truth.labels[b])
        {
            let class = truth.labels[objects[0]] as usize;
            judged.objects.extend(objects.iter().filter_map(|&object| {
                let bands =
                    self.bands(truth.corners[object]) * u64::from(truth.ignore[object] == 0);
                (bands != 0).then_some((class, self.number, bands))
            }));
        }
        let mut rest = &self.objects[..];
        let mut overlaps = Vec::new();
        for detections in self
            .detections
            .chunk_by(|&a, &b| found.labels[a] == found.labels[b])
        {
            let label = found.labels[detections[0]];
            rest = &rest[rest.partition_point(|&object| truth.labels[object] < label)..];
            let (objects, after) =
                rest.split_at(rest.partition_point(|&object| truth.labels[object] == label));
            rest = after;
            let kept = &detections[..detections.len().min(self.rules.max_detections)];
            let first = judged.detections.len();
            judged.detections.extend(kept.iter().map(|&detection| {
                (
                    label as usize,
                    Detection {
                        score: found.scores[detection],
                        image: self.number,
                        hits: 0,
                        ignored: 0,
                    },
                )
            }));
            overlaps.clear();
            for &detection in kept {
                let one = found.corners[detection];
                overlaps.extend(
                    objects
                        .iter()
                        .map(|&object| overlap(one, truth.corners[object], truth.ignore[object])),
                );
            }
            self.judge_class(objects, kept, &overlaps, &mut judged.detections[first..]);
        }
        judged
    }

    fn judge_class(
        &self,
        objects: &[usize],
        kept: &[usize],
        overlaps: &[f64],
        judged: &mut [(usize, Detection)],
    ) {
        let bands_of_object: Vec<u64> = objects
            .iter()
            .map(|&object| {
                self.bands(self.truth.corners[object]) * u64::from(self.truth.ignore[object] == 0)
            })
            .collect();
        let bands_of_found: Vec<u64> = kept
            .iter()
            .map(|&detection| self.bands(self.found.corners[detection]))
            .collect();
        let mut taken = vec![false; objects.len()];
        for band in 0..self.rules.bands.len() {
            let counts = |object: usize| bands_of_object[object] >> band & 1 != 0;
            for (number, &threshold) in self.rules.thresholds.iter().enumerate() {
                let case = 1 << (band * self.rules.thresholds.len() + number);
                // pycocotools lets a perfect overlap pass a threshold of 1 in spite of rounding.
                let threshold = threshold.min(1.0 - 1e-10);
                taken.fill(false);
                for (place, (_, detection)) in judged.iter_mut().enumerate() {
                    let row = &overlaps[place * objects.len()..][..objects.len()];
                    let mut best: Option<usize> = None;
                    for (object, &overlap) in row.iter().enumerate() {
                        let free = !taken[object] || self.truth.ignore[objects[object]] != 0;
                        if !free || overlap < threshold {
                            continue;
                        }
                        let better = best.is_none_or(|best| {
                            (counts(object), overlap) >= (counts(best), row[best])
                        });
                        if better {
                            best = Some(object);
                        }
                    }
                    if let Some(object) = best {
                        taken[object] = true;
                        detection.hits |= case * u64::from(counts(object));
                        detection.ignored |= case * u64::from(!counts(object));
                    } else {
                        let outside = bands_of_found[place] >> band & 1 == 0;
                        detection.ignored |= case * u64::from(outside);
                    }
                }
            }
        }
    }

    /// Bands that the area of a box is in, as bits.
    fn bands(&self, [x1, y1, x2, y2]: [f64; 4]) -> u64 {
        let whole = self
            .rules
            .image_areas
            .map_or(1.0, |areas| areas[self.number]);
        let area = (x2 - x1) * (y2 - y1) / whole;
        let bands = self.rules.bands.iter().enumerate();
        bands.fold(0, |bits, (band, &[low, high])| {
            bits | u64::from(low <= area && area <= high) << band
        })
    }
}

/// Intersection over union; over the area of the detection for a crowd.
fn overlap(found: [f64; 4], object: [f64; 4], crowd: u8) -> f64 {
    let width = found[2].min(object[2]) - found[0].max(object[0]);
    let height = found[3].min(object[3]) - found[1].max(object[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let area = |[x1, y1, x2, y2]: [f64; 4]| (x2 - x1) * (y2 - y1);
    let both = width * height;
    let whole = if crowd == 0 {
        area(found) + area(object) - both
    } else {
        area(found)
    };
    both / whole
}

/// How a precision-recall curve becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The mean over 101 recalls.
    Coco,
    /// The area under the envelope, through every point.
    AllPoints,
}

impl std::str::FromStr for Interpolation {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "coco" => Ok(Self::Coco),
            "all" => Ok(Self::AllPoints),
            _ => {
                let got = format!("'{word}'");
                let remedy = "'coco' takes 101 recalls";
                Err(Error::range(
                    "interpolation",
                    "'coco' or 'all'",
                    got,
                    remedy,
                ))
            }
        }
    }
}

/// Recalls of a curve: 0, .01, ... 1.
pub const RECALLS: usize = 101;

/// What a class reaches in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Average precision.
    pub precision: f64,
    /// Share of the objects found.
    pub recall: f64,
    /// Largest precision at each of the recalls or beyond.
    pub curve: [f64; RECALLS],
}

impl Class {
    /// Scores a class in one case, `band * thresholds + threshold`, every image counted as often as
    /// `times` says. `None` without objects.
    pub fn score(
        &self,
        case: usize,
        thresholds: usize,
        interpolation: Interpolation,
        times: impl Fn(usize) -> u32,
        points: &mut Vec<[f64; 2]>,
    ) -> Option<Value> {
        let band = case / thresholds;
        let counted = |&&(_, bands): &&(usize, u64)| bands >> band & 1 != 0;
        let objects = self.objects.iter().filter(counted);
        let objects: u64 = objects.map(|&(image, _)| u64::from(times(image))).sum();
        if objects == 0 {
            return None;
        }
        let objects = objects as f64;
        // Precision has its maxima, and recall changes, where an object is found.
        points.clear();
        let (mut hits, mut all) = (0_u64, 0_u64);
        for detection in &self.detections {
            let weight = u64::from(times(detection.image));
            all += weight * (!detection.ignored >> case & 1);
            if detection.hits >> case & 1 != 0 && weight > 0 {
                hits += weight;
                points.push([hits as f64 / objects, hits as f64 / all as f64]);
            }
        }
        let mut value = Value {
            precision: 0.0,
            recall: points.last().map_or(0.0, |point| point[0]),
            curve: [0.0; RECALLS],
        };
        let (mut best, mut area, mut next) = (0.0_f64, 0.0, RECALLS);
        while next > 0 && recall(next - 1) > value.recall {
            next -= 1;
        }
        for (place, &[reached, precision]) in points.iter().enumerate().rev() {
            let before = place.checked_sub(1).map_or(0.0, |before| points[before][0]);
            best = best.max(precision);
            area += best * (reached - before);
            while next > 0 && (place == 0 || recall(next - 1) > before) {
                next -= 1;
                value.curve[next] = best;
            }
        }
        value.precision = match interpolation {
            Interpolation::Coco => value.curve.iter().sum::<f64>() / RECALLS as f64,
            Interpolation::AllPoints => area,
        };
        Some(value)
    }
}

/// Scores every class in every case, case by case.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn scored(
    classes: &[Class],
    cases: usize,
    thresholds: usize,
    interpolation: Interpolation,
    interrupt: &Interrupt,
) -> Result<Vec<Option<Value>>, Error> {
    let detections: usize = classes.iter().map(|class| class.detections.len()).sum();
    let count = cases * classes.len();
    map_items(
        count,
        detections.saturating_mul(cases),
        interrupt,
        |number| {
            let (case, class) = (number / classes.len(), &classes[number % classes.len()]);
            Ok(class.score(case, thresholds, interpolation, |_| 1, &mut Vec::new()))
        },
    )
}

/// A recall of the curve, rounded as pycocotools rounds it.
fn recall(number: usize) -> f64 {
    if number + 1 == RECALLS {
        1.0
    } else {
        number as f64 * 0.01
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static QUIET: Interrupt = Interrupt::new();

    fn offsets(end: usize) -> Offsets {
        let mut offsets = Offsets::default();
        offsets.push(end);
        offsets
    }

    #[test]
    fn half_of_the_objects_found_without_error_is_half_of_the_area() {
        let corners = [[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 7.0, 7.0]];
        let found = [corners[0], [9.0, 9.0, 10.0, 10.0]];
        let (offsets, labels) = (offsets(2), [0, 0]);
        let classes = matched(
            &Truth {
                corners: &corners,
                labels: &labels,
                ignore: &[0, 0],
                offsets: &offsets,
            },
            &Found {
                corners: &found,
                labels: &labels,
                scores: &[0.9, 0.8],
                offsets: &offsets,
            },
            &Rules {
                num_classes: 2,
                thresholds: &[0.5],
                bands: &[[0.0, f64::INFINITY]],
                image_areas: None,
                max_detections: 100,
            },
            &QUIET,
        )
        .expect("valid");
        let score = |class: usize, interpolation| {
            let value = classes[class].score(0, 1, interpolation, |_| 1, &mut Vec::new());
            value.map(|value| value.precision)
        };
        assert_eq!(score(0, Interpolation::AllPoints), Some(0.5));
        assert_eq!(score(0, Interpolation::Coco), Some(51.0 / 101.0));
        assert_eq!(score(1, Interpolation::Coco), None);
    }
}
