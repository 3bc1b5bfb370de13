//! Python bindings of pybench: conversions only.

use pyo3::prelude::pymodule;

#[cfg(feature = "video")]
mod video;

/// The compiled half of pybench; `pybench/_core.pyi` is its reference.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[cfg(feature = "video")]
    #[pymodule_export]
    use super::video::{VideoClip, video_sample_clips, video_write};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
