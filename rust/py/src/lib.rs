//! Python bindings of pybench: conversions only.
use pyo3::prelude::*;

/// The compiled half of pybench; `pybench/_core.pyi` is its reference.
#[pymodule]
mod _core {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
