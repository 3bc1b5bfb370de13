//! Bindings of `pybench_core::confusion`.
use numpy::{IntoPyArray, PyArrayMethods};
use pybench_core::confusion;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;
use crate::enter::enter;

#[pyfunction]
#[pyo3(signature = (truth, predicted, num_classes, weights=None))]
pub fn confusion_f1<'py>(
    truth: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = convert::num_classes)] num_classes: usize,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = truth.py();
    let truth = convert::int64s("truth", truth)?;
    let predicted = convert::int64s("predicted", predicted)?;
    let (truth, predicted) = (truth.as_slice()?, predicted.as_slice()?);
    let shape = [num_classes, num_classes];
    let result = PyDict::new(py);
    let matrix = if let Some(weights) = weights {
        let weights = convert::float64s("weights", weights)?;
        let weights = weights.as_slice()?;
        let matrix = enter(py, truth.len(), |interrupt| {
            confusion::weighted_confusion(truth, predicted, weights, num_classes, interrupt)
        })?;
        let array = matrix.clone().into_pyarray(py).reshape(shape)?;
        result.set_item("confusion", array)?;
        matrix
    } else {
        let matrix = enter(py, truth.len(), |interrupt| {
            confusion::confusion(truth, predicted, num_classes, interrupt)
        })?;
        let numbers = matrix.iter().map(|&count| count as f64).collect();
        result.set_item("confusion", matrix.into_pyarray(py).reshape(shape)?)?;
        numbers
    };
    let scores = confusion::class_scores(&matrix, num_classes);
    let absent = scores.f1.iter().filter(|f1| f1.is_nan()).count();
    result.set_item("precision", scores.precision.into_pyarray(py))?;
    result.set_item("recall", scores.recall.into_pyarray(py))?;
    result.set_item("f1", scores.f1.into_pyarray(py))?;
    result.set_item("macro_f1", scores.macro_f1)?;
    result.set_item("absent", absent)?;
    Ok(result)
}
