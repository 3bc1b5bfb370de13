//! Numeric kernels of pybench. Pure functions on slices: no Python, no I/O, no clock, no unsafe code.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod boxes;
pub mod confusion;
pub mod cutmix;
pub mod deal;
pub mod detection;
pub mod error;
pub mod mining;
pub mod order;
pub mod pictures;
pub mod ragged;
pub mod ranking;
pub mod rng;
pub mod weights;
pub mod work;

pub use error::Error;
