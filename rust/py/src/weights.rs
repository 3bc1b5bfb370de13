//! Bindings of `pybench_core::weights`.
use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1};
use pybench_core::weights;
use pyo3::prelude::*;

use crate::convert::{self, Integers};
use crate::enter::enter;

#[pyfunction]
#[pyo3(signature = (labels, num_classes=None))]
pub fn class_counts<'py>(
    py: Python<'py>,
    labels: &Bound<'py, PyAny>,
    num_classes: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let num_classes = num_classes
        .map(|number| convert::size("num_classes", number))
        .transpose()?;
    let counts = match convert::integers("labels", labels)? {
        Integers::U8(labels) => count(py, &labels, num_classes),
        Integers::U16(labels) => count(py, &labels, num_classes),
        Integers::U32(labels) => count(py, &labels, num_classes),
        Integers::I8(labels) => count(py, &labels, num_classes),
        Integers::I16(labels) => count(py, &labels, num_classes),
        Integers::I32(labels) => count(py, &labels, num_classes),
        Integers::I64(labels) => count(py, &labels, num_classes),
    }?;
    Ok(counts.into_pyarray(py))
}

fn count<T: Element + Copy + Into<i64>>(
    py: Python<'_>,
    labels: &PyReadonlyArray1<'_, T>,
    num_classes: Option<usize>,
) -> PyResult<Vec<i64>> {
    let labels = labels.as_slice()?;
    enter(py, labels.len(), |interrupt| {
        weights::class_counts(labels, num_classes, interrupt)
    })
}

#[pyfunction]
pub fn effective_number<'py>(
    py: Python<'py>,
    counts: &Bound<'py, PyAny>,
    beta: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let counts = convert::int64s("counts", counts)?;
    let counts = counts.as_slice()?;
    convert::filled(py, counts.len(), counts.len(), |out, interrupt| {
        weights::effective_number(counts, beta, out, interrupt)
    })
}

#[pyfunction]
#[pyo3(signature = (counts, beta, normalise="sum_to_c"))]
pub fn class_balanced_weights<'py>(
    py: Python<'py>,
    counts: &Bound<'py, PyAny>,
    beta: f64,
    normalise: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let counts = convert::int64s("counts", counts)?;
    let counts = counts.as_slice()?;
    convert::filled(py, counts.len(), counts.len(), |out, interrupt| {
        weights::class_balanced_weights(counts, beta, normalise.parse()?, out, interrupt)
    })
}
