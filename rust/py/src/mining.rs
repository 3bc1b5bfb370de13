//! Bindings of `pybench_core::mining`.
use numpy::{IntoPyArray, PyArray1};
use pybench_core::mining::{self, NotFinite, Wanted};
use pybench_core::order::Real;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{self, Reals, Shapes};
use crate::enter::enter;

const SHAPES: Shapes = Shapes {
    rule: "(N,) or (R, N)",
    least: 1,
    most: 2,
    last: None,
};

#[pyfunction]
#[pyo3(signature = (losses, negative_mask, k=None, *, ratio=None, per_row=false, k_min=0, k_max=None, nan="refuse"))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn hard_negatives<'py>(
    losses: &Bound<'py, PyAny>,
    negative_mask: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = k_number)] k: Option<usize>,
    ratio: Option<f64>,
    per_row: bool,
    #[pyo3(from_py_with = k_min_number)] k_min: usize,
    #[pyo3(from_py_with = k_max_number)] k_max: Option<usize>,
    nan: &str,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let py = losses.py();
    let (losses, shape) = convert::reals("losses", losses, &SHAPES)?;
    let (negative, mask_shape) = convert::mask("negative_mask", negative_mask, &SHAPES)?;
    if shape != mask_shape {
        return Err(PyValueError::new_err(format!(
            "negative_mask must be of the shape of losses, {shape:?}, got {mask_shape:?}; \
             mark each loss"
        )));
    }
    let wanted = match (k, ratio) {
        (Some(number), None) => Wanted::Number(number),
        (None, Some(ratio)) => Wanted::Ratio {
            ratio,
            least: k_min,
        },
        _ => {
            let both = if k.is_some() { "both" } else { "neither" };
            return Err(PyValueError::new_err(format!(
                "k or ratio must be given, and only one of them, got {both}; \
                 ratio counts negatives for each positive"
            )));
        }
    };
    let not_finite = match nan {
        "refuse" => NotFinite::Refuse,
        "first" => NotFinite::First,
        _ => {
            return Err(PyValueError::new_err(format!(
                "nan must be 'refuse' or 'first', got '{nan}'; 'first' takes NaN for the hardest"
            )));
        }
    };
    let row_len = match shape[..] {
        [_, columns] if per_row => columns,
        [rows, columns] => rows * columns,
        [len] if !per_row => len,
        _ => {
            return Err(PyValueError::new_err(
                "losses must be of shape (R, N) for per_row=True, got one axis; \
                 leave per_row out",
            ));
        }
    };
    let mine = Mine {
        negative: negative.as_slice()?,
        row_len,
        wanted,
        most: k_max.unwrap_or(usize::MAX),
        not_finite,
    };
    let places = match &losses {
        Reals::F32(losses) => mine.of(py, losses.as_slice()?),
        Reals::F64(losses) => mine.of(py, losses.as_slice()?),
    }?;
    Ok(places.into_pyarray(py))
}

struct Mine<'a> {
    negative: &'a [u8],
    row_len: usize,
    wanted: Wanted,
    most: usize,
    not_finite: NotFinite,
}

impl Mine<'_> {
    fn of<T: Real>(&self, py: Python<'_>, losses: &[T]) -> PyResult<Vec<i64>> {
        enter(py, losses.len(), |interrupt| {
            mining::hard_negatives(
                losses,
                self.negative,
                self.row_len,
                self.wanted,
                self.most,
                self.not_finite,
                interrupt,
            )
        })
    }
}

fn k_number(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    optional("k", value)
}

fn k_min_number(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    convert::size("k_min", value)
}

fn k_max_number(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    optional("k_max", value)
}

fn optional(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() {
        return Ok(None);
    }
    convert::size(name, value).map(Some)
}
