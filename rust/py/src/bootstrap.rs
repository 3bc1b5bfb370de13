//! Bindings of `pybench_core::bootstrap`.
use numpy::IntoPyArray;
use pybench_core::bootstrap::{
    Confused, Confusion, Groups, LANES, Matched, Method, Prepared, Ranked, Ranking, Resampled,
    largest, resample,
};
use pybench_core::detection::{Interpolation, Rules};
use pybench_core::error::Error;
use pybench_core::order::Real;
use pybench_core::ranking::Samples;
use pybench_core::rng;
use pybench_core::work::Interrupt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{self, Reals, Shapes};
use crate::detection::{COCO, Scene};
use crate::enter::{enter, enter_long};

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

const SCORES: Shapes = Shapes {
    rule: "(N,) or (N, C)",
    least: 1,
    most: 2,
    last: None,
};

#[pyfunction]
#[pyo3(signature = (
    metric, truth, scores, groups=None, resamples=1000, seed=0, *, strata=None,
    method="percentile", level=0.95, stream="bootstrap"
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn bootstrap<'py>(
    metric: &str,
    truth: Value<'_, 'py>,
    scores: Value<'_, 'py>,
    groups: Option<Value<'_, 'py>>,
    #[pyo3(from_py_with = resamples_number)] resamples: usize,
    #[pyo3(from_py_with = seed_word)] seed: u64,
    strata: Option<Value<'_, 'py>>,
    method: &str,
    level: f64,
    stream: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let py = truth.py();
    if !(level > 0.0 && level < 1.0) {
        let message = format!("level must be in (0, 1), got {level}; 0.95 is usual");
        return Err(PyValueError::new_err(message));
    }
    let groups = groups
        .map(|groups| convert::int64s("groups", groups))
        .transpose()?;
    let strata = strata
        .map(|strata| convert::int64s("strata", strata))
        .transpose()?;
    let method: Method = enter_method(method)?;
    let draws = Draws {
        groups: groups.as_ref().map(|of| of.as_slice()).transpose()?,
        strata: strata.as_ref().map(|of| of.as_slice()).transpose()?,
        resamples,
        jackknife: method == Method::Bca,
        key: rng::stream_key(seed, stream),
    };
    let found = match metric {
        "roc_auc" => ranked(Ranked::RocAuc, truth, scores, &draws),
        "average_precision" => ranked(Ranked::AveragePrecision, truth, scores, &draws),
        "accuracy" => confused(Confused::Accuracy, truth, scores, &draws),
        "balanced_accuracy" => confused(Confused::BalancedAccuracy, truth, scores, &draws),
        "macro_f1" => confused(Confused::MacroF1, truth, scores, &draws),
        "mean_average_precision" => matched(truth, scores, &draws),
        _ => Err(PyValueError::new_err(format!(
            "metric must be 'roc_auc', 'average_precision', 'accuracy', 'balanced_accuracy', \
             'macro_f1' or 'mean_average_precision', got '{metric}'; resample another metric by \
             drawing groups with weighted_choice"
        ))),
    }?;
    let limits = found.interval(method, level);
    let result = PyDict::new(py);
    let defined = Some(found.estimate).filter(|estimate| !estimate.is_nan());
    result.set_item("estimate", defined)?;
    result.set_item("low", limits.map(|limits| limits[0]))?;
    result.set_item("high", limits.map(|limits| limits[1]))?;
    let undefined = found.values.iter().filter(|value| value.is_nan()).count();
    result.set_item("undefined", undefined)?;
    result.set_item("values", found.values.into_pyarray(py))?;
    Ok(result)
}

fn enter_method(word: &str) -> PyResult<Method> {
    word.parse()
        .map_err(|error: Error| PyValueError::new_err(error.to_string()))
}

/// How resamples are drawn.
struct Draws<'a> {
    groups: Option<&'a [i64]>,
    strata: Option<&'a [i64]>,
    resamples: usize,
    jackknife: bool,
    key: [u64; 2],
}

impl Draws<'_> {
    fn groups(&self, len: usize) -> Result<Groups, Error> {
        Groups::new(len, self.groups, self.strata)
    }

    /// What samples touch; more than a batch of resamples is for the pool, however few they are.
    fn elements(&self, samples: usize) -> usize {
        let most = if self.jackknife { samples } else { 0 };
        if self.resamples.max(most) <= LANES {
            samples
        } else {
            usize::MAX
        }
    }

    fn resample(
        &self,
        metric: &impl Prepared,
        groups: &Groups,
        interrupt: &Interrupt,
    ) -> Result<Resampled, Error> {
        let (resamples, key) = (self.resamples, self.key);
        resample(metric, groups, resamples, self.jackknife, key, interrupt)
    }
}

fn ranked(of: Ranked, truth: Value, scores: Value, draws: &Draws) -> PyResult<Resampled> {
    let py = truth.py();
    let truth = convert::int64s("truth", truth)?;
    let (scores, shape) = convert::reals("scores", scores, &SCORES)?;
    let (truth, columns) = (truth.as_slice()?, shape.get(1).copied().unwrap_or(1));
    match &scores {
        Reals::F32(scores) => ranked_as(py, of, truth, scores.as_slice()?, columns, draws),
        Reals::F64(scores) => ranked_as(py, of, truth, scores.as_slice()?, columns, draws),
    }
}

fn ranked_as<T: Real>(
    py: Python<'_>,
    of: Ranked,
    truth: &[i64],
    scores: &[T],
    columns: usize,
    draws: &Draws,
) -> PyResult<Resampled> {
    let samples = Samples {
        truth,
        scores,
        columns,
        weights: None,
    };
    enter(py, draws.elements(truth.len()), |interrupt| {
        let groups = draws.groups(truth.len())?;
        let ranking = Ranking::columns(of, &samples, &groups, interrupt)?;
        draws.resample(&ranking, &groups, interrupt)
    })
}

fn confused(of: Confused, truth: Value, scores: Value, draws: &Draws) -> PyResult<Resampled> {
    let py = truth.py();
    let truth = convert::int64s("truth", truth)?;
    let truth = truth.as_slice()?;
    let array = convert::native("scores", scores)?;
    let (predicted, columns) = if array.getattr("ndim")?.extract::<usize>()? == 2 {
        let (scores, shape) = convert::reals("scores", scores, &SCORES)?;
        let predicted = match &scores {
            Reals::F32(scores) => largest(scores.as_slice()?, shape[1]),
            Reals::F64(scores) => largest(scores.as_slice()?, shape[1]),
        };
        (
            predicted.map_err(|error| PyValueError::new_err(error.to_string()))?,
            shape[1],
        )
    } else {
        (convert::int64s("scores", scores)?.as_slice()?.to_vec(), 0)
    };
    let classes = truth.iter().chain(&predicted);
    let most = classes.max().map_or(0, |&class| class.max(0)) as usize;
    let num_classes = (most + 1).max(columns);
    enter(py, draws.elements(truth.len()), |interrupt| {
        let groups = draws.groups(truth.len())?;
        let confusion = Confusion::new(of, truth, &predicted, num_classes, &groups)?;
        draws.resample(&confusion, &groups, interrupt)
    })
}

fn matched(truth: Value, scores: Value, draws: &Draws) -> PyResult<Resampled> {
    let py = truth.py();
    let scene = Scene::read(truth, scores)?;
    let rules = Rules {
        num_classes: scene.num_classes(),
        thresholds: &COCO,
        bands: &[[0.0, f64::INFINITY]],
        image_areas: None,
        max_detections: 100,
    };
    enter_long(py, |interrupt| {
        let groups = draws.groups(scene.images())?;
        let metric = Matched {
            classes: scene.matched(&rules, interrupt)?,
            thresholds: COCO.len(),
            interpolation: Interpolation::Coco,
            of: groups.of.clone(),
        };
        draws.resample(&metric, &groups, interrupt)
    })
}

fn resamples_number(value: Value) -> PyResult<usize> {
    convert::size("resamples", value)
}

fn seed_word(value: Value) -> PyResult<u64> {
    convert::whole("seed", value)
}
