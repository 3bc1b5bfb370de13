//! Bindings of `pybench-video`: arguments in, arrays out.

// Arguments arrive owned and by keyword: that is pyo3's calling convention.
#![allow(clippy::needless_pass_by_value, clippy::too_many_arguments)]

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray4, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pybench_video::{
    Clip, Codec, Error, ErrorKind, OnDamage, Options, Pick, Sampled, WriteOptions,
};
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyValueError};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::enter::{Failure, enter_thread};

pyo3::import_exception!(pybench.video, VideoError);
pyo3::import_exception!(pybench.video, VideoNotFoundError);

/// Indices, seconds and what is wrong: missing, concealed.
type Described<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    (Vec<usize>, Vec<usize>),
);

impl Failure for Error {
    fn exception(self) -> PyErr {
        let message = self.to_string();
        match self.kind {
            ErrorKind::NotFound => VideoNotFoundError::new_err(message),
            ErrorKind::Io
            | ErrorKind::NotVideo
            | ErrorKind::Damaged
            | ErrorKind::Unsupported
            | ErrorKind::Aborted => VideoError::new_err(message),
            ErrorKind::Index => PyIndexError::new_err(message),
            ErrorKind::Argument => PyValueError::new_err(message),
            ErrorKind::Memory => PyMemoryError::new_err(message),
        }
    }
}

/// Which frames, as `pybench.video` has worked it out of its arguments.
#[derive(FromPyObject)]
pub struct Choice {
    plan: String,
    count: usize,
    stride: usize,
    indices: Vec<usize>,
    times_s: Vec<f64>,
    /// `count` random words for each clip, if the plan draws.
    words: Vec<u64>,
}

impl Choice {
    fn pick(&self, clip: usize) -> PyResult<Pick<'_>> {
        let (count, step) = (self.count, self.stride);
        let words = self.words.chunks_exact(count.max(1)).nth(clip);
        Ok(match (self.plan.as_str(), words) {
            ("uniform", _) => Pick::Uniform(count),
            ("middle", _) => Pick::Middle { count, step },
            ("stride", _) => Pick::Stride { count, step },
            ("segments", None) => Pick::Segments(count),
            ("segments", Some(words)) => Pick::RandomSegments(words),
            ("random", Some(words)) => Pick::Random(words),
            ("indices", _) => Pick::Indices(&self.indices),
            ("times_s", _) => Pick::Times(&self.times_s),
            (plan, _) => {
                return Err(PyValueError::new_err(format!(
                    "plan must be \"uniform\", \"middle\", \"stride\", \"segments\" or \"random\", \
                     got {plan:?}; choose one"
                )));
            }
        })
    }
}

fn on_damage(name: &str) -> PyResult<OnDamage> {
    match name {
        "raise" => Ok(OnDamage::Raise),
        "nearest" => Ok(OnDamage::Nearest),
        "black" => Ok(OnDamage::Black),
        other => Err(PyValueError::new_err(format!(
            "on_error must be \"raise\", \"nearest\" or \"black\", got {other:?}; choose one"
        ))),
    }
}

fn describe(py: Python<'_>, sampled: Sampled) -> Described<'_> {
    let indices: Vec<i64> = sampled.indices.iter().map(|&index| index as i64).collect();
    let report = (sampled.report.missing, sampled.report.concealed);
    (
        indices.into_pyarray(py),
        sampled.pts_s.into_pyarray(py),
        report,
    )
}

/// What a clip is, its warnings apart; becomes a dict.
#[derive(IntoPyObject)]
struct Probe {
    frames: usize,
    width: usize,
    height: usize,
    rotation: u16,
    fps: f64,
    duration_s: f64,
    codec: String,
    container: String,
    gops: usize,
}

/// An indexed clip: no open file, no decoder.
#[pyclass(module = "pybench._core")]
pub struct VideoClip(Clip);

#[pymethods]
impl VideoClip {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        enter_thread(py, |abort| Clip::open(&path, abort)).map(Self)
    }

    fn probe(&self) -> Probe {
        let probe = self.0.probe();
        Probe {
            frames: probe.frames,
            width: probe.width,
            height: probe.height,
            rotation: probe.rotation,
            fps: probe.fps,
            duration_s: probe.duration_s,
            codec: probe.codec,
            container: probe.container,
            gops: probe.gops,
        }
    }

    #[getter]
    fn size(&self) -> (usize, usize) {
        self.0.size()
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings().to_vec()
    }

    #[pyo3(signature = (out, choice, *, threads, on_error))]
    fn sample<'py>(
        &mut self,
        py: Python<'py>,
        mut out: PyReadwriteArrayDyn<'py, u8>,
        choice: Choice,
        threads: usize,
        on_error: &str,
    ) -> PyResult<Described<'py>> {
        let &[_, height, width, 3] = out.shape() else {
            return Err(PyValueError::new_err(
                "out must be (T, H, W, 3); allocate it so",
            ));
        };
        let pick = choice.pick(0)?;
        let options = Options {
            size: Some((height, width)),
            threads,
            on_damage: on_damage(on_error)?,
        };
        let (clip, room) = (&mut self.0, out.as_slice_mut()?);
        let sampled = enter_thread(py, |abort| clip.sample(&pick, &options, abort, room))?;
        Ok(describe(py, sampled))
    }
}

/// Many clips into one array.
#[pyfunction]
#[pyo3(signature = (paths, out, choice, *, threads, on_error))]
pub fn video_sample_clips<'py>(
    py: Python<'py>,
    paths: Vec<PathBuf>,
    mut out: PyReadwriteArrayDyn<'py, u8>,
    choice: Choice,
    threads: usize,
    on_error: &str,
) -> PyResult<Vec<Described<'py>>> {
    let &[_, _, height, width, 3] = out.shape() else {
        return Err(PyValueError::new_err(
            "out must be (N, T, H, W, 3); allocate it so",
        ));
    };
    let picks: Vec<Pick<'_>> = (0..paths.len())
        .map(|clip| choice.pick(clip))
        .collect::<PyResult<_>>()?;
    let options = Options {
        size: Some((height, width)),
        threads,
        on_damage: on_damage(on_error)?,
    };
    let room = out.as_slice_mut()?;
    let sampled = enter_thread(py, |abort| {
        pybench_video::sample_clips(&paths, &picks, &options, abort, room)
    })?;
    Ok(sampled.into_iter().map(|clip| describe(py, clip)).collect())
}

/// A clip from an array.
#[pyfunction]
#[pyo3(signature = (path, frames, *, fps, codec, gop, b_frames, quality))]
pub fn video_write(
    py: Python<'_>,
    path: PathBuf,
    frames: PyReadonlyArray4<'_, u8>,
    fps: f64,
    codec: &str,
    gop: u32,
    b_frames: u32,
    quality: u32,
) -> PyResult<()> {
    let codec = match codec {
        "mpeg4" => Codec::Mpeg4,
        "h264" => Codec::H264,
        "mjpeg" => Codec::Mjpeg,
        other => {
            return Err(PyValueError::new_err(format!(
                "codec must be \"mpeg4\", \"h264\" or \"mjpeg\", got {other:?}; choose one"
            )));
        }
    };
    let options = WriteOptions {
        codec,
        fps,
        gop,
        b_frames,
        quality,
    };
    let (height, width) = (frames.shape()[1], frames.shape()[2]);
    let pictures = frames.as_slice()?;
    enter_thread(py, |abort| {
        pybench_video::write(&path, pictures, (height, width), &options, abort)
    })
}

/// The linked libraries of FFmpeg and their versions.
#[pyfunction]
pub fn video_libraries() -> BTreeMap<&'static str, String> {
    pybench_video::libraries().into_iter().collect()
}
