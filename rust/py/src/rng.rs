//! Bindings of `pybench_core::rng`.
use numpy::PyArray1;
use pybench_core::rng;
use pyo3::prelude::*;

use crate::convert;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

#[pyfunction]
pub fn stream_key(#[pyo3(from_py_with = seed_word)] seed: u64, name: &str) -> (u64, u64) {
    rng::stream_key(seed, name).into()
}

#[pyfunction]
#[pyo3(signature = (key, counter=[0; 4], *, size), text_signature = "(key, counter=0, *, size)")]
pub fn philox(
    py: Python<'_>,
    #[pyo3(from_py_with = key_words)] key: [u64; 2],
    #[pyo3(from_py_with = counter_words)] counter: [u64; 4],
    #[pyo3(from_py_with = size_number)] size: usize,
) -> PyResult<Bound<'_, PyArray1<u64>>> {
    convert::filled(py, size, size, |out, interrupt| {
        rng::philox(key, counter, out, interrupt)
    })
}

#[pyfunction]
#[pyo3(signature = (n, seed=0, stream="shuffle"))]
pub fn shuffle<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = n_number)] n: usize,
    #[pyo3(from_py_with = seed_word)] seed: u64,
    stream: &str,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let key = rng::stream_key(seed, stream);
    convert::filled(py, n, n, |out, interrupt| rng::shuffle(key, out, interrupt))
}

#[pyfunction]
#[pyo3(signature = (weights, size, seed=0, stream="weighted_choice"))]
pub fn weighted_choice<'py>(
    py: Python<'py>,
    weights: Value<'_, 'py>,
    #[pyo3(from_py_with = size_number)] size: usize,
    #[pyo3(from_py_with = seed_word)] seed: u64,
    stream: &str,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let weights = convert::float64s("weights", weights)?;
    let weights = weights.as_slice()?;
    let key = rng::stream_key(seed, stream);
    convert::filled(py, size, weights.len() + size, |out, interrupt| {
        rng::weighted_choice(weights, key, out, interrupt)
    })
}

fn seed_word(value: Value) -> PyResult<u64> {
    convert::whole("seed", value)
}

fn size_number(value: Value) -> PyResult<usize> {
    convert::size("size", value)
}

fn n_number(value: Value) -> PyResult<usize> {
    convert::size("n", value)
}

fn key_words(value: Value) -> PyResult<[u64; 2]> {
    convert::words("key", value)
}

fn counter_words(value: Value) -> PyResult<[u64; 4]> {
    convert::words("counter", value)
}
