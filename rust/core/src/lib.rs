//! Numeric kernels of pybench. Pure functions on slices: no Python, no I/O, no clock, no unsafe code.
#![forbid(unsafe_code)]

pub mod error;
pub mod rng;
pub mod weights;
pub mod work;

pub use error::Error;
