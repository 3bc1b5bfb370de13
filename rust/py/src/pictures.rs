//! Bindings of `pybench_core::pictures`.
use std::fs;
use std::path::PathBuf;

use numpy::{PyArray4, PyArrayMethods};
use pybench_core::pictures::{self, CHANNELS};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert;
use crate::lists;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// Larger than any picture.
const MAX_SIDE: usize = 1 << 16;

#[pyfunction]
pub fn read_images<'py>(
    paths: Value<'_, 'py>,
    #[pyo3(from_py_with = size_pair)] size: [usize; 2],
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    let py = paths.py();
    // A string is a sequence, too, but never one of paths.
    if paths.is_instance_of::<PyString>() {
        let message = format!(
            "paths must be a sequence of paths, got {}; put it in a list",
            paths.repr()?
        );
        return Err(PyTypeError::new_err(message));
    }
    let paths: Vec<PathBuf> = lists::entries("paths", paths)?
        .iter()
        .map(PyAnyMethods::extract)
        .collect::<PyResult<_>>()?;
    let shape = [paths.len(), size[0], size[1], CHANNELS];
    let len = shape
        .iter()
        .fold(1_usize, |len, &side| len.saturating_mul(side));
    let load = |index: usize| fs::read(&paths[index]).map_err(|error| error.to_string());
    let name = |index: usize| paths[index].display().to_string();
    // Reading takes long however little comes out.
    let elements = if paths.is_empty() { 0 } else { usize::MAX };
    let flat = convert::filled(py, len, elements, |out, interrupt| {
        pictures::read_images(paths.len(), load, name, size, out, interrupt)
    })?;
    flat.reshape(shape)
}

fn size_pair(value: Value) -> PyResult<[usize; 2]> {
    let size: Option<[usize; 2]> = value.extract().ok();
    size.filter(|size| size.iter().all(|side| (1..=MAX_SIDE).contains(side)))
        .ok_or_else(|| {
            let got = value
                .repr()
                .map_or_else(|_| String::new(), |text| text.to_string());
            PyValueError::new_err(format!(
                "size must be (rows, columns), got {got}; pass two ints in 1..={MAX_SIDE}"
            ))
        })
}
