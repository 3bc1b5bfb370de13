//! Bindings of `pybench_core::ranking`.
use numpy::IntoPyArray;
use pybench_core::Error;
use pybench_core::order::Real;
use pybench_core::ranking::{self, Curve, Samples};
use pybench_core::work::Interrupt;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::convert::{self, Reals, Shapes};
use crate::enter::enter;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

const COLUMNS: Shapes = Shapes {
    rule: "(N,) or (N, C)",
    least: 1,
    most: 2,
    last: None,
};

#[pyfunction]
#[pyo3(signature = (truth, scores, weights=None))]
pub fn roc_auc<'py>(
    truth: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    weights: Option<Value<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    values(truth, scores, weights, ranking::roc_auc, ranking::roc_auc)
}

#[pyfunction]
#[pyo3(signature = (truth, scores, weights=None))]
pub fn average_precision<'py>(
    truth: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    weights: Option<Value<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (single, double) = (ranking::average_precision, ranking::average_precision);
    values(truth, scores, weights, single, double)
}

#[pyfunction]
#[pyo3(signature = (truth, scores, weights=None))]
pub fn pr_curve<'py>(
    truth: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    weights: Option<Value<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = truth.py();
    let (single, double) = (ranking::pr_curve, ranking::pr_curve);
    let (curves, axes) = ranked([truth, scores], weights, single, double)?;
    let arrays = |curve: Curve| {
        (
            curve.precision.into_pyarray(py),
            curve.recall.into_pyarray(py),
            curve.thresholds.into_pyarray(py),
        )
    };
    let mut curves = curves
        .into_iter()
        .map(|curve: Option<Curve>| curve.map(arrays));
    if axes == 1 {
        return curves.next().flatten().into_bound_py_any(py);
    }
    curves.collect::<Vec<_>>().into_bound_py_any(py)
}

/// One value for scores of one column, a list of them for more.
fn values<'py>(
    truth: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    weights: Option<Value<'_, 'py>>,
    single: impl Kernel<f32, Vec<Option<f64>>>,
    double: impl Kernel<f64, Vec<Option<f64>>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = truth.py();
    let (values, axes) = ranked([truth, scores], weights, single, double)?;
    if axes == 1 {
        return values.first().copied().flatten().into_bound_py_any(py);
    }
    values.into_bound_py_any(py)
}

trait Kernel<T, R>: FnOnce(&Samples<T>, &Interrupt) -> Result<R, Error> + Send {}
impl<T, R, F: FnOnce(&Samples<T>, &Interrupt) -> Result<R, Error> + Send> Kernel<T, R> for F {}

/// Runs the kernel for the precision of the scores; gives the number of their axes too.
fn ranked<'py, R: Send>(
    [truth, scores]: [Value<'_, 'py>; 2],
    weights: Option<Value<'_, 'py>>,
    single: impl Kernel<f32, R>,
    double: impl Kernel<f64, R>,
) -> PyResult<(R, usize)> {
    let py = truth.py();
    let truth = convert::int64s("truth", truth)?;
    let (scores, shape) = convert::reals("scores", scores, &COLUMNS)?;
    let weights = weights
        .map(|weights| convert::float64s("weights", weights))
        .transpose()?;
    let weights = weights.as_ref().map(|of| of.as_slice()).transpose()?;
    let (truth, columns) = (truth.as_slice()?, shape.get(1).copied().unwrap_or(1));
    let result = match &scores {
        Reals::F32(scores) => run(py, truth, scores.as_slice()?, columns, weights, single),
        Reals::F64(scores) => run(py, truth, scores.as_slice()?, columns, weights, double),
    }?;
    Ok((result, shape.len()))
}

fn run<T: Real, R: Send>(
    py: Python<'_>,
    truth: &[i64],
    scores: &[T],
    columns: usize,
    weights: Option<&[f64]>,
    kernel: impl Kernel<T, R>,
) -> PyResult<R> {
    let samples = Samples {
        truth,
        scores,
        columns,
        weights,
    };
    enter(py, truth.len().max(scores.len()), |interrupt| {
        kernel(&samples, interrupt)
    })
}
