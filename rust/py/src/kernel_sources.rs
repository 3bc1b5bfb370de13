//! What the kernels were built from.
use std::collections::BTreeMap;

use pyo3::prelude::*;

include!(concat!(env!("OUT_DIR"), "/kernel_sources.rs"));

#[pyfunction]
pub fn kernel_sources() -> BTreeMap<&'static str, &'static str> {
    KERNEL_SOURCES.iter().copied().collect()
}
