//! Bindings of `pybench_core::boxes`.
use numpy::{Element, IntoPyArray, PyArray1};
use pybench_core::boxes::{self, Coordinate, Decay};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{self, Reals, Shapes};
use crate::enter::enter;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

const SETS: Shapes = Shapes {
    rule: "(N, 4) or (S, N, 4)",
    least: 2,
    most: 3,
    last: Some(4),
};
const BOXES: Shapes = Shapes {
    rule: "(N, 4)",
    most: 2,
    ..SETS
};
const SCORES: Shapes = Shapes {
    rule: "(N,)",
    least: 1,
    most: 1,
    last: None,
};

#[pyfunction]
#[pyo3(signature = (a, b, kind="iou"))]
pub fn box_iou<'py>(
    py: Python<'py>,
    a: Value<'_, 'py>,
    b: Value<'_, 'py>,
    kind: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let (a, a_shape) = convert::reals("a", a, &SETS)?;
    let (b, b_shape) = convert::reals("b", b, &SETS)?;
    let axes = a_shape.len();
    if axes != b_shape.len() || a_shape[..axes - 2] != b_shape[..axes - 2] {
        return Err(PyValueError::new_err(format!(
            "b must be of as many sets as a, {a_shape:?}, got {b_shape:?}; pair the sets"
        )));
    }
    let sets = if axes == 3 { a_shape[0] } else { 1 };
    let pairs = [a_shape[axes - 2], b_shape[axes - 2]];
    let out = match (&a, &b) {
        (Reals::F32(a), Reals::F32(b)) => overlaps(
            py,
            &quads(a.as_slice()?),
            &quads(b.as_slice()?),
            sets,
            pairs,
            kind,
        )?
        .into_any(),
        _ => overlaps(py, &doubles(&a)?, &doubles(&b)?, sets, pairs, kind)?.into_any(),
    };
    let shape = [&a_shape[..axes - 1], &pairs[1..]].concat();
    out.call_method1("reshape", (shape,))
}

fn overlaps<'py, T: Coordinate + Element>(
    py: Python<'py>,
    a: &[[T; 4]],
    b: &[[T; 4]],
    sets: usize,
    [rows, columns]: [usize; 2],
    kind: &str,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let len = sets.saturating_mul(rows).saturating_mul(columns);
    convert::filled(py, len, len.max(a.len()).max(b.len()), |out, interrupt| {
        boxes::box_iou(a, b, sets, kind.parse()?, out, interrupt)
    })
}

#[pyfunction]
#[pyo3(signature = (boxes, scores, iou_threshold, labels=None))]
pub fn nms<'py>(
    py: Python<'py>,
    boxes: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    iou_threshold: f64,
    labels: Option<Value<'_, 'py>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (boxes, _) = convert::reals("boxes", boxes, &BOXES)?;
    let (scores, _) = convert::reals("scores", scores, &SCORES)?;
    let labels = labels
        .map(|labels| convert::int64s("labels", labels))
        .transpose()?;
    let labels = labels.as_ref().map(|of| of.as_slice()).transpose()?;
    let kept = if let (Reals::F32(boxes), Reals::F32(scores)) = (&boxes, &scores) {
        let (boxes, scores) = (quads(boxes.as_slice()?), scores.as_slice()?);
        suppressed(py, &boxes, scores, iou_threshold, labels)
    } else {
        let scores = singles(&scores)?;
        suppressed(py, &doubles(&boxes)?, &scores, iou_threshold, labels)
    }?;
    Ok(kept.into_pyarray(py))
}

fn suppressed<T: Coordinate>(
    py: Python<'_>,
    boxes: &[[T; 4]],
    scores: &[T],
    iou_threshold: f64,
    labels: Option<&[i64]>,
) -> PyResult<Vec<i64>> {
    let pairs = boxes.len().saturating_mul(boxes.len());
    enter(py, pairs, |interrupt| {
        boxes::nms(boxes, scores, iou_threshold, labels, interrupt)
    })
}

type Kept<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>);

#[pyfunction]
#[pyo3(signature = (
    boxes, scores, labels=None, *, decay="gaussian", sigma=0.5, iou_threshold=0.3, min_score=0.001
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn soft_nms<'py>(
    py: Python<'py>,
    boxes: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    labels: Option<Value<'_, 'py>>,
    decay: &str,
    sigma: f64,
    iou_threshold: f64,
    min_score: f64,
) -> PyResult<Kept<'py>> {
    let (boxes, _) = convert::reals("boxes", boxes, &BOXES)?;
    let scores = convert::float64s("scores", scores)?;
    let labels = labels
        .map(|labels| convert::int64s("labels", labels))
        .transpose()?;
    let labels = labels.as_ref().map(|of| of.as_slice()).transpose()?;
    let decay = match decay {
        "linear" => Decay::Linear(iou_threshold),
        "gaussian" => Decay::Gaussian(sigma),
        _ => {
            return Err(PyValueError::new_err(format!(
                "decay must be 'linear' or 'gaussian', got '{decay}'; 'gaussian' has no threshold"
            )));
        }
    };
    let (boxes, scores) = (doubles(&boxes)?, scores.as_slice()?);
    let pairs = boxes.len().saturating_mul(boxes.len());
    let kept = enter(py, pairs, |interrupt| {
        boxes::soft_nms(&boxes, scores, decay, min_score, labels, interrupt)
    })?;
    let (places, scores): (Vec<i64>, Vec<f64>) = kept.into_iter().unzip();
    Ok((places.into_pyarray(py), scores.into_pyarray(py)))
}

fn quads<T: Copy>(numbers: &[T]) -> Vec<[T; 4]> {
    let quads = numbers.chunks_exact(4);
    quads.map(|of| [of[0], of[1], of[2], of[3]]).collect()
}

fn singles(numbers: &Reals) -> PyResult<Vec<f64>> {
    Ok(match numbers {
        Reals::F32(numbers) => numbers.as_slice()?.iter().copied().map(f64::from).collect(),
        Reals::F64(numbers) => numbers.as_slice()?.to_vec(),
    })
}

fn doubles(numbers: &Reals) -> PyResult<Vec<[f64; 4]>> {
    Ok(quads(&singles(numbers)?))
}
