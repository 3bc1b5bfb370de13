//! Python values to slices and numbers, and back.
use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use pybench_core::Error;
use pybench_core::work::Interrupt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PySequence};

use crate::enter::enter;

/// A one-dimensional array of integers, read where it lies. A bool is read as the byte it is.
pub enum Integers<'py> {
    U8(PyReadonlyArray1<'py, u8>),
    U16(PyReadonlyArray1<'py, u16>),
    U32(PyReadonlyArray1<'py, u32>),
    I8(PyReadonlyArray1<'py, i8>),
    I16(PyReadonlyArray1<'py, i16>),
    I32(PyReadonlyArray1<'py, i32>),
    I64(PyReadonlyArray1<'py, i64>),
}

/// An array of bool or of any integer type whose values int64 holds.
pub fn integers<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Integers<'py>> {
    let array = vector(name, value)?;
    let dtype = array.dtype();
    Ok(match (dtype.kind(), dtype.itemsize()) {
        (b'b', _) => Integers::U8(borrow(array.call_method1("view", ("uint8",))?)?),
        (b'u', 1) => Integers::U8(borrow(array.into_any())?),
        (b'u', 2) => Integers::U16(borrow(array.into_any())?),
        (b'u', 4) => Integers::U32(borrow(array.into_any())?),
        (b'i', 1) => Integers::I8(borrow(array.into_any())?),
        (b'i', 2) => Integers::I16(borrow(array.into_any())?),
        (b'i', 4) => Integers::I32(borrow(array.into_any())?),
        (b'i', 8) => Integers::I64(borrow(array.into_any())?),
        _ => {
            let rule = "of an integer dtype up to int64 or bool";
            return Err(wrong_dtype(
                name,
                rule,
                "convert it with .astype('int64')",
                &array,
            ));
        }
    })
}

/// An array of integers as int64; a copy when it is of another type.
pub fn int64s<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, i64>> {
    let array = vector(name, value)?;
    match array.dtype().kind() {
        b'i' | b'u' | b'b' => converted(array),
        _ => {
            let rule = "of an integer dtype";
            Err(wrong_dtype(
                name,
                rule,
                "convert it with .astype('int64')",
                &array,
            ))
        }
    }
}

/// An array of real numbers as float64; a copy when it is of another type.
pub fn float64s<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray1<'py, f64>> {
    let array = vector(name, value)?;
    match array.dtype().kind() {
        b'f' | b'i' | b'u' | b'b' => converted(array),
        _ => {
            let rule = "of a real dtype";
            Err(wrong_dtype(
                name,
                rule,
                "convert it with .astype('float64')",
                &array,
            ))
        }
    }
}

/// Real numbers in single precision, or in double precision: then a copy of any other type.
pub enum Reals<'py> {
    F32(PyReadonlyArray1<'py, f32>),
    F64(PyReadonlyArray1<'py, f64>),
}

/// The shapes that an argument may have.
pub struct Shapes {
    /// In words.
    pub rule: &'static str,
    /// The fewest axes.
    pub least: usize,
    /// The most.
    pub most: usize,
    /// Elements along the last axis, when they are fixed.
    pub last: Option<usize>,
}

/// An array of real numbers read where it lies, flattened, and its shape.
pub fn reals<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
    shapes: &Shapes,
) -> PyResult<(Reals<'py>, Vec<usize>)> {
    let (array, shape) = flat(name, value, shapes)?;
    let dtype = array.dtype();
    let reals = match (dtype.kind(), dtype.itemsize()) {
        (b'f', 4) => Reals::F32(borrow(array.into_any())?),
        (b'f' | b'i' | b'u' | b'b', _) => Reals::F64(converted(array)?),
        _ => {
            let remedy = "convert it with .astype('float64')";
            return Err(wrong_dtype(name, "of a real dtype", remedy, &array));
        }
    };
    Ok((reals, shape))
}

/// An array of bool as bytes, flattened, and its shape.
pub fn mask<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
    shapes: &Shapes,
) -> PyResult<(PyReadonlyArray1<'py, u8>, Vec<usize>)> {
    let (array, shape) = flat(name, value, shapes)?;
    if array.dtype().kind() != b'b' {
        let remedy = "compare or convert it with .astype(bool)";
        return Err(wrong_dtype(name, "of dtype bool", remedy, &array));
    }
    Ok((borrow(array.call_method1("view", ("uint8",))?)?, shape))
}

fn flat<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
    shapes: &Shapes,
) -> PyResult<(Bound<'py, PyUntypedArray>, Vec<usize>)> {
    let array = native(name, value)?;
    let shape = array.shape().to_vec();
    let axes = shapes.least..=shapes.most;
    if !axes.contains(&shape.len()) || shapes.last.is_some_and(|last| shape.last() != Some(&last)) {
        let (rule, got) = (shapes.rule, array.getattr("shape")?);
        let message = format!("{name} must be of shape {rule}, got {got}; reshape it");
        return Err(PyValueError::new_err(message));
    }
    let array = tidy(array)?;
    if shape.len() == 1 {
        return Ok((array, shape));
    }
    Ok((array.call_method1("reshape", (-1,))?.cast_into()?, shape))
}

/// Whatever numpy makes an array of, as long as it has one axis and the byte order of this
/// machine. Only an array with gaps or odd addresses is copied.
fn vector<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let array = native(name, value)?;
    if array.ndim() != 1 {
        let shape = array.getattr("shape")?;
        let message = format!("{name} must be of shape (N,), got {shape}; flatten it first");
        return Err(PyValueError::new_err(message));
    }
    tidy(array)
}

pub fn native<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let array = match value.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        Err(_) => ASARRAY
            .import(py, "numpy", "asarray")?
            .call1((value,))?
            .cast_into()?,
    };
    if array.dtype().is_native_byteorder() == Some(false) {
        let remedy = "convert it with .astype(dtype.newbyteorder('='))";
        return Err(wrong_dtype(name, "in native byte order", remedy, &array));
    }
    Ok(array)
}

fn tidy(array: Bound<'_, PyUntypedArray>) -> PyResult<Bound<'_, PyUntypedArray>> {
    if array.is_c_contiguous() && array.is_aligned() {
        return Ok(array);
    }
    Ok(array.call_method0("copy")?.cast_into()?)
}

fn converted<T: Element>(array: Bound<'_, PyUntypedArray>) -> PyResult<PyReadonlyArray1<'_, T>> {
    let wanted = dtype::<T>(array.py());
    if array.dtype().is_equiv_to(&wanted) {
        return borrow(array.into_any());
    }
    borrow(array.call_method1("astype", (wanted,))?)
}

fn borrow<T: Element>(array: Bound<'_, PyAny>) -> PyResult<PyReadonlyArray1<'_, T>> {
    Ok(array.cast_into::<PyArray1<T>>()?.try_readonly()?)
}

fn wrong_dtype(name: &str, rule: &str, remedy: &str, array: &Bound<'_, PyUntypedArray>) -> PyErr {
    let dtype = array.dtype();
    PyTypeError::new_err(format!("{name} must be {rule}, got {dtype}; {remedy}"))
}

/// A new array of `len` elements, written by a kernel that touches `elements` elements.
///
/// numpy allocates it, so that too large a `len` is numpy's `MemoryError`.
pub fn filled<T: Element>(
    py: Python<'_>,
    len: usize,
    elements: usize,
    fill: impl FnOnce(&mut [T], &Interrupt) -> Result<(), Error> + Send,
) -> PyResult<Bound<'_, PyArray1<T>>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let empty = EMPTY.import(py, "numpy", "empty")?;
    let array = empty
        .call1((len, dtype::<T>(py)))?
        .cast_into::<PyArray1<T>>()?;
    let mut guard = array.try_readwrite()?;
    let out = guard.as_slice_mut()?;
    enter(py, elements, |interrupt| fill(out, interrupt))?;
    drop(guard);
    Ok(array)
}

/// A number of classes.
pub fn num_classes(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    size("num_classes", value)
}

/// An int of at least 0 and at most 64 bits.
pub fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value
        .extract()
        .map_err(|_| wrong_number(name, "a whole number in 0..2**64", "pass an int", value))
}

/// A number of elements. More than memory holds is left for numpy to refuse.
pub fn size(name: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    value
        .extract()
        .map_err(|_| wrong_number(name, "a whole number >= 0", "pass an int", value))
}

/// `N` words of 64 bits, least significant first: given as such, or as one int.
pub fn words<const N: usize>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<[u64; N]> {
    value.extract().or_else(|_| split(value)).map_err(|_| {
        let rule = format!("an int in 0..2**{} or {N} words of 64 bits", 64 * N);
        wrong_number(name, &rule, "keep its low bits", value)
    })
}

fn split<const N: usize>(int: &Bound<'_, PyAny>) -> PyResult<[u64; N]> {
    let int = int.call_method0("__index__")?;
    let bytes = int.call_method1("to_bytes", (8 * N, "little"))?;
    let mut words = [0; N];
    for (word, bytes) in words
        .iter_mut()
        .zip(bytes.cast::<PyBytes>()?.as_bytes().chunks(8))
    {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
    }
    Ok(words)
}

fn wrong_number(name: &str, rule: &str, remedy: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let got = value
        .repr()
        .map_or_else(|error| error.to_string(), |text| text.to_string());
    let message = format!("{name} must be {rule}, got {got}; {remedy}");
    if value.hasattr("__index__").unwrap_or(false) || value.cast::<PySequence>().is_ok() {
        PyValueError::new_err(message)
    } else {
        PyTypeError::new_err(message)
    }
}
