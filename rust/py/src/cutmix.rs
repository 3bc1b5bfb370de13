//! Bindings of `pybench_core::cutmix`.
use numpy::{
    Element, IntoPyArray, PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pybench_core::cutmix::{self, Paste, Pixel, Plan, Region, Rules, Shape};
use pybench_core::ragged::Offsets;
use pybench_core::rng;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;
use crate::enter::enter;
use crate::lists::{self, Boxes};

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// A free place is searched row by row.
const MAX_SIDE: usize = 1 << 16;

#[pyfunction]
#[pyo3(signature = (
    boxes, size, labels=None, *, max_objects=4, iou_threshold=0.1, max_cover=0.3, max_tries=10,
    placement="donor", others="copy", seed=0, stream="plan_cutmix"
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn plan_cutmix<'py>(
    boxes: Value<'_, 'py>,
    #[pyo3(from_py_with = image_size)] size: [usize; 2],
    labels: Option<Value<'_, 'py>>,
    #[pyo3(from_py_with = max_objects_number)] max_objects: usize,
    iou_threshold: f64,
    max_cover: f64,
    #[pyo3(from_py_with = max_tries_number)] max_tries: usize,
    placement: &str,
    others: &str,
    #[pyo3(from_py_with = seed_word)] seed: u64,
    stream: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let py = boxes.py();
    let (given, classes) = objects(boxes, labels)?;
    let images = given.offsets.images();
    let elements = cutmix::elements(given.corners.len(), images);
    let plan = enter(py, elements, |interrupt| {
        let rules = Rules {
            size,
            max_objects,
            iou_threshold,
            max_cover,
            max_tries,
            placement: placement.parse()?,
            others: others.parse()?,
        };
        let key = rng::stream_key(seed, stream);
        cutmix::plan_cutmix(&given.corners, &given.offsets, &rules, key, interrupt)
    })?;
    described(py, &plan, classes.as_deref())
}

fn objects(boxes: Value, labels: Option<Value>) -> PyResult<(Boxes, Option<Vec<i64>>)> {
    let entries = lists::entries("boxes", boxes)?;
    let labels = labels
        .map(|labels| lists::entries("labels", labels))
        .transpose()?;
    if let Some(labels) = labels
        .as_ref()
        .filter(|labels| labels.len() != entries.len())
    {
        let (expected, len) = (entries.len(), labels.len());
        let message = format!(
            "labels must be as long as boxes, {expected}, got {len}; give one item for each"
        );
        return Err(PyValueError::new_err(message));
    }
    let (mut given, mut classes) = (Boxes::default(), labels.is_some().then(Vec::new));
    for (image, entry) in entries.iter().enumerate() {
        given.push("boxes", entry)?;
        if let (Some(labels), Some(classes)) = (&labels, &mut classes) {
            given.push_more("labels", &labels[image], classes)?;
        }
    }
    Ok((given, classes))
}

fn described<'py>(
    py: Python<'py>,
    plan: &Plan,
    classes: Option<&[i64]>,
) -> PyResult<Bound<'py, PyDict>> {
    let result = PyDict::new(py);
    let pastes = |of: fn(&Paste) -> usize| -> Vec<i64> {
        plan.pastes.iter().map(|paste| of(paste) as i64).collect()
    };
    let regions = |of: fn(&Paste) -> Region| {
        let edges: Vec<i64> = plan.pastes.iter().flat_map(of).collect();
        edges.into_pyarray(py).reshape([plan.pastes.len(), 4])
    };
    result.set_item("image", pastes(|paste| paste.image).into_pyarray(py))?;
    result.set_item("donor", pastes(|paste| paste.donor).into_pyarray(py))?;
    result.set_item("source", regions(|paste| paste.source)?)?;
    result.set_item("target", regions(|paste| paste.target)?)?;
    let objects = plan.objects.iter();
    let corners: Vec<f64> = objects.clone().flat_map(|object| object.corners).collect();
    let corners = corners.into_pyarray(py).reshape([plan.objects.len(), 4])?;
    let class = |origin: usize| classes.map_or(0, |classes| classes[origin]);
    let labels: Vec<i64> = objects.clone().map(|object| class(object.origin)).collect();
    let origin: Vec<i64> = objects.clone().map(|object| object.origin as i64).collect();
    let number = |paste: Option<usize>| paste.map_or(-1, |paste| paste as i64);
    let paste: Vec<i64> = objects.map(|object| number(object.paste)).collect();
    let offsets = plan.offsets.as_slice().iter().map(|&end| end as i64);
    result.set_item("boxes", corners)?;
    result.set_item("labels", labels.into_pyarray(py))?;
    result.set_item("origin", origin.into_pyarray(py))?;
    result.set_item("paste", paste.into_pyarray(py))?;
    result.set_item("offsets", offsets.collect::<Vec<i64>>().into_pyarray(py))?;
    Ok(result)
}

#[pyfunction]
#[pyo3(signature = (images, plan, *, match_background=false))]
pub fn apply_cutmix<'py>(
    images: Value<'_, 'py>,
    plan: Value<'_, 'py>,
    match_background: bool,
) -> PyResult<()> {
    let array = writable(images)?;
    let shape = match *array.shape() {
        [images, height, width] => [images, height, width, 1],
        [images, height, width, channels] => [images, height, width, channels],
        _ => {
            let got = array.getattr("shape")?;
            return Err(PyValueError::new_err(format!(
                "images must be of shape (N, H, W) or (N, H, W, C), got {got}; stack them"
            )));
        }
    };
    let shape = Shape {
        images: shape[0],
        height: shape[1],
        width: shape[2],
        channels: shape[3],
    };
    let [image, donor] = [column(plan, "image")?, column(plan, "donor")?];
    let [source, target] = [regions(plan, "source")?, regions(plan, "target")?];
    let len = image.len();
    if [donor.len(), source.len(), target.len()] != [len; 3] {
        return Err(PyValueError::new_err(format!(
            "plan must be of as many donors and regions as images, {len}, got {} and {}; \
             leave what plan_cutmix gives together",
            donor.len(),
            source.len().min(target.len())
        )));
    }
    // A negative number becomes one that is refused as too large.
    let pastes: Vec<Paste> = (0..len)
        .map(|number| Paste {
            image: image[number] as usize,
            donor: donor[number] as usize,
            source: source[number],
            target: target[number],
        })
        .collect();
    let objects = match_background.then(|| before(plan)).transpose()?;
    let flat = array.call_method1("reshape", (-1,))?;
    if let Ok(flat) = flat.cast::<PyArray1<u8>>() {
        return paste_into(flat, shape, &pastes, objects.as_ref());
    }
    if let Ok(flat) = flat.cast::<PyArray1<f32>>() {
        return paste_into(flat, shape, &pastes, objects.as_ref());
    }
    let dtype = array.dtype();
    Err(PyTypeError::new_err(format!(
        "images must be of dtype uint8 or float32, got {dtype}; convert them with .astype('float32')"
    )))
}

fn paste_into<T: Pixel + Element>(
    images: &Bound<'_, PyArray1<T>>,
    shape: Shape,
    pastes: &[Paste],
    objects: Option<&Boxes>,
) -> PyResult<()> {
    let mut guard = images.try_readwrite()?;
    let numbers = guard.as_slice_mut()?;
    let read = if objects.is_some() { numbers.len() } else { 0 };
    let elements = read.saturating_add(cutmix::pasted(pastes, shape.channels));
    enter(images.py(), elements, |interrupt| {
        let objects = objects.map(|objects| (&objects.corners[..], &objects.offsets));
        cutmix::apply_cutmix(numbers, shape, pastes, objects, interrupt)
    })
}

/// An array that is changed where it lies, so that nothing may be copied on the way.
fn writable<'py>(images: Value<'_, 'py>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let is_array = images.cast::<PyUntypedArray>().is_ok() || images.hasattr("__array__")?;
    if !is_array {
        let kind = images.get_type();
        return Err(PyTypeError::new_err(format!(
            "images must be an array or a CPU tensor, got {kind}; they are changed in place"
        )));
    }
    let array = convert::native("images", images)?;
    let writeable: bool = array.getattr("flags")?.getattr("writeable")?.extract()?;
    if !array.is_c_contiguous() || !array.is_aligned() || !writeable {
        let got = if writeable {
            "one with gaps"
        } else {
            "a read-only one"
        };
        return Err(PyValueError::new_err(format!(
            "images must be a writable C-contiguous array, got {got}; copy it first"
        )));
    }
    Ok(array)
}

fn field<'py>(plan: Value<'_, 'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    plan.get_item(name).map_err(|_| {
        PyTypeError::new_err(format!(
            "plan must be what plan_cutmix gives, got nothing for '{name}'; make a plan first"
        ))
    })
}

fn column(plan: Value, name: &str) -> PyResult<Vec<i64>> {
    Ok(convert::int64s(name, &field(plan, name)?)?
        .as_slice()?
        .to_vec())
}

fn regions(plan: Value, name: &str) -> PyResult<Vec<Region>> {
    let flat = field(plan, name)?.call_method1("reshape", (-1,))?;
    let edges = convert::int64s(name, &flat)?;
    let quads = edges.as_slice()?.chunks_exact(4);
    Ok(quads.map(|of| [of[0], of[1], of[2], of[3]]).collect())
}

/// The boxes of the images before anything is pasted.
fn before(plan: Value) -> PyResult<Boxes> {
    let flat = field(plan, "boxes")?.call_method1("reshape", (-1,))?;
    let corners = convert::float64s("boxes", &flat)?;
    let corners: Vec<_> = corners.as_slice()?.chunks_exact(4).collect();
    let (paste, ends) = (column(plan, "paste")?, column(plan, "offsets")?);
    let mut before = Boxes {
        corners: Vec::new(),
        offsets: Offsets::default(),
    };
    for ends in ends.windows(2) {
        for object in ends[0] as usize..(ends[1] as usize).min(paste.len()) {
            if let (Some(-1), Some(of)) = (paste.get(object), corners.get(object)) {
                before.corners.push([of[0], of[1], of[2], of[3]]);
            }
        }
        before.offsets.push(before.corners.len());
    }
    Ok(before)
}

fn image_size(value: Value) -> PyResult<[usize; 2]> {
    let wrong = || {
        let got = value
            .repr()
            .map_or_else(|_| String::new(), |text| text.to_string());
        PyValueError::new_err(format!(
            "size must be (rows, columns) of every image, got {got}; pass two ints in 1..={MAX_SIDE}"
        ))
    };
    let size: [usize; 2] = value.extract().map_err(|_| wrong())?;
    if size.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
        return Err(wrong());
    }
    Ok(size)
}

fn max_objects_number(value: Value) -> PyResult<usize> {
    convert::size("max_objects", value)
}

fn max_tries_number(value: Value) -> PyResult<usize> {
    convert::size("max_tries", value)
}

fn seed_word(value: Value) -> PyResult<u64> {
    convert::whole("seed", value)
}
