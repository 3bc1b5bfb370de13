//! Frame-exact video reading and writing for pybench, over FFmpeg's C libraries.
//!
//! Frame `k` of a clip is the `k`-th picture in presentation order after the edit list: what a
//! player shows, and what a full decode from the start gives.
//!
//! The parts: [`Clip`] asks `index` for the packets, `plan` which of them to decode, `decode` and
//! `packets` for the pictures, `picture` to draw them; `av` is the only module with unsafe code.
mod av;
mod cache;
mod clip;
mod decode;
mod disposable;
mod error;
mod extent;
mod index;
mod iso;
mod packets;
mod picture;
mod plan;
mod resample;
mod sample;
mod transport;
mod write;

pub use av::libraries;
pub use clip::{Clip, Probe};
pub use error::{Error, ErrorKind, Result};
pub use plan::Pick;
pub use sample::{OnDamage, Options, Report, Sampled, sample_clips};
pub use write::{Codec, WriteOptions, write};
