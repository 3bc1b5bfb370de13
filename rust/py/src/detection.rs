//! Bindings of `pybench_core::detection`.
use numpy::{IntoPyArray, PyArrayMethods};
use pybench_core::detection::{self, Class, Found, Interpolation, RECALLS, Rules, Truth, Value};
use pybench_core::error::Error;
use pybench_core::work::Interrupt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;
use crate::enter::enter;
use crate::lists::{self, Boxes};

type Object<'a, 'py> = &'a Bound<'py, PyAny>;

/// The thresholds of COCO.
pub const COCO: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
const EVERYTHING: [f64; 2] = [0.0, f64::INFINITY];

#[pyfunction]
#[pyo3(signature = (
    truth, scores, *, num_classes=None, iou_thresholds=None, areas=None, image_sizes=None,
    max_dets=Some(100), interpolation="coco"
), text_signature = "(truth, scores, *, num_classes=None, iou_thresholds=None, areas=None, image_sizes=None, max_dets=100, interpolation='coco')")]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn mean_average_precision<'py>(
    truth: Object<'_, 'py>,
    scores: Object<'_, 'py>,
    num_classes: Option<Object<'_, 'py>>,
    iou_thresholds: Option<Vec<f64>>,
    areas: Option<Vec<(String, (f64, f64))>>,
    image_sizes: Option<Vec<(f64, f64)>>,
    max_dets: Option<usize>,
    interpolation: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let py = truth.py();
    let scene = Scene::read(truth, scores)?;
    let num_classes = num_classes.map_or_else(
        || Ok(scene.num_classes()),
        |number| convert::size("num_classes", number),
    )?;
    let thresholds = iou_thresholds.unwrap_or_else(|| COCO.to_vec());
    let areas = areas.unwrap_or_default();
    let bands: Vec<[f64; 2]> = std::iter::once(EVERYTHING)
        .chain(areas.iter().map(|&(_, (low, high))| [low, high]))
        .collect();
    let sizes: Option<Vec<f64>> =
        image_sizes.map(|sizes| sizes.iter().map(|(rows, columns)| rows * columns).collect());
    let rules = Rules {
        num_classes,
        thresholds: &thresholds,
        bands: &bands,
        image_areas: sizes.as_deref(),
        max_detections: max_dets.unwrap_or(usize::MAX),
    };
    let cases = thresholds.len() * bands.len();
    let values = enter(py, scene.elements(), |interrupt| {
        let interpolation: Interpolation = interpolation.parse()?;
        let classes = scene.matched(&rules, interrupt)?;
        detection::scored(&classes, cases, thresholds.len(), interpolation, interrupt)
    })?;
    let of_band = thresholds.len() * num_classes;
    let band = |number: usize| {
        let values = &values[number * of_band..][..of_band];
        described(py, values, [thresholds.len(), num_classes])
    };
    let result = band(0)?;
    let by_area = PyDict::new(py);
    for (number, (name, _)) in areas.iter().enumerate() {
        by_area.set_item(name, band(number + 1)?)?;
    }
    result.set_item("areas", by_area)?;
    Ok(result)
}

fn described<'py>(
    py: Python<'py>,
    values: &[Option<Value>],
    [thresholds, classes]: [usize; 2],
) -> PyResult<Bound<'py, PyDict>> {
    let result = PyDict::new(py);
    let column = |of: fn(&Value) -> f64| -> Vec<f64> {
        values
            .iter()
            .map(|value| value.as_ref().map_or(f64::NAN, of))
            .collect()
    };
    let mean = |column: &[f64]| {
        let defined = column.iter().filter(|value| !value.is_nan());
        let count = defined.clone().count();
        (count > 0).then(|| defined.sum::<f64>() / count as f64)
    };
    let (precision, recall) = (
        column(|value| value.precision),
        column(|value| value.recall),
    );
    result.set_item("map", mean(&precision))?;
    result.set_item("mar", mean(&recall))?;
    let absent = values
        .iter()
        .take(classes)
        .filter(|value| value.is_none())
        .count();
    result.set_item("absent", absent)?;
    let shape = [thresholds, classes];
    result.set_item("ap", precision.into_pyarray(py).reshape(shape)?)?;
    result.set_item("recall", recall.into_pyarray(py).reshape(shape)?)?;
    let curves: Vec<f64> = values
        .iter()
        .flat_map(|value| {
            value
                .as_ref()
                .map_or([f64::NAN; RECALLS], |value| value.curve)
        })
        .collect();
    let shape = [thresholds, classes, RECALLS];
    result.set_item("curves", curves.into_pyarray(py).reshape(shape)?)?;
    Ok(result)
}

/// True objects and detections of all images.
pub struct Scene {
    truth: Boxes,
    classes: Vec<i64>,
    ignore: Vec<u8>,
    found: Boxes,
    found_classes: Vec<i64>,
    confidences: Vec<f64>,
}

impl Scene {
    /// Reads (boxes, classes) or (boxes, classes, ignore flags), and (boxes, classes, confidences)
    /// of each image.
    pub fn read(truth: Object, scores: Object) -> PyResult<Self> {
        let true_entries = lists::entries("truth", truth)?;
        let said = lists::entries("scores", scores)?;
        if said.len() != true_entries.len() {
            let (expected, len) = (true_entries.len(), said.len());
            return Err(PyValueError::new_err(format!(
                "scores must be as long as truth, {expected}, got {len}; give one item for each"
            )));
        }
        let mut scene = Self {
            truth: Boxes::default(),
            classes: Vec::new(),
            ignore: Vec::new(),
            found: Boxes::default(),
            found_classes: Vec::new(),
            confidences: Vec::new(),
        };
        for (image, (entry, said)) in true_entries.iter().zip(&said).enumerate() {
            let rule = "boxes, classes and, if any, ignore flags";
            let parts = lists::parts("truth", entry, image, rule, [2, 3])?;
            scene.truth.push("truth", &parts[0])?;
            scene
                .truth
                .push_more("truth classes", &parts[1], &mut scene.classes)?;
            match parts.get(2) {
                Some(flags) => {
                    let mut ignore: Vec<bool> = Vec::new();
                    scene
                        .truth
                        .push_more("truth ignore flags", flags, &mut ignore)?;
                    scene.ignore.extend(ignore.into_iter().map(u8::from));
                }
                None => scene.ignore.resize(scene.classes.len(), 0),
            }
            let rule = "boxes, classes and confidences";
            let parts = lists::parts("scores", said, image, rule, [3, 3])?;
            scene.found.push("scores", &parts[0])?;
            scene
                .found
                .push_more("scores classes", &parts[1], &mut scene.found_classes)?;
            scene
                .found
                .push_more("confidences", &parts[2], &mut scene.confidences)?;
        }
        Ok(scene)
    }

    /// One more than the largest class.
    pub fn num_classes(&self) -> usize {
        let classes = self.classes.iter().chain(&self.found_classes);
        classes
            .max()
            .map_or(0, |&most| most.saturating_add(1).max(0) as usize)
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.truth.offsets.images()
    }

    /// How much work matching is.
    pub fn elements(&self) -> usize {
        detection::elements(self.classes.len() + self.found_classes.len())
    }

    /// What each class found.
    pub fn matched(&self, rules: &Rules, interrupt: &Interrupt) -> Result<Vec<Class>, Error> {
        detection::matched(
            &Truth {
                corners: &self.truth.corners,
                labels: &self.classes,
                ignore: &self.ignore,
                offsets: &self.truth.offsets,
            },
            &Found {
                corners: &self.found.corners,
                labels: &self.found_classes,
                scores: &self.confidences,
                offsets: &self.found.offsets,
            },
            rules,
            interrupt,
        )
    }
}
