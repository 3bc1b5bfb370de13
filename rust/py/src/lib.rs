//! Python bindings of pybench: conversions only.
mod bootstrap;
mod boxes;
mod confusion;
mod convert;
mod cutmix;
mod detection;
mod enter;
mod kernel_sources;
mod lists;
mod mining;
mod pictures;
mod pool;
mod ranking;
mod rng;
#[cfg(feature = "video")]
mod video;
mod weights;

/// The compiled half of pybench; `pybench/_core.pyi` is its reference.
#[pyo3::pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::bootstrap::bootstrap;
    #[pymodule_export]
    use super::boxes::{box_iou, nms, soft_nms};
    #[pymodule_export]
    use super::confusion::confusion_f1;
    #[pymodule_export]
    use super::cutmix::{apply_cutmix, plan_cutmix};
    #[pymodule_export]
    use super::detection::mean_average_precision;
    #[pymodule_export]
    use super::kernel_sources::kernel_sources;
    #[pymodule_export]
    use super::mining::hard_negatives;
    #[pymodule_export]
    use super::pictures::read_images;
    #[pymodule_export]
    use super::ranking::{average_precision, pr_curve, roc_auc};
    #[pymodule_export]
    use super::rng::{philox, shuffle, stream_key, weighted_choice};
    #[cfg(feature = "video")]
    #[pymodule_export]
    use super::video::{VideoClip, video_libraries, video_sample_clips, video_write};
    #[pymodule_export]
    use super::weights::{class_balanced_weights, class_counts, effective_number};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
