//! Lists with one entry per image, laid end to end for the kernels.
use numpy::{PyArrayDescrMethods, PyArrayMethods, PyUntypedArrayMethods};
use pybench_core::ragged::Offsets;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::convert::native;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// Boxes of every image.
#[derive(Default)]
pub struct Boxes {
    pub corners: Vec<[f64; 4]>,
    pub offsets: Offsets,
}

impl Boxes {
    /// Adds the boxes of one image, (N, 4) or empty.
    pub fn push(&mut self, name: &str, value: Value) -> PyResult<()> {
        let image = self.offsets.images();
        let (numbers, shape) = numbers::<f64>(name, value, image)?;
        if !numbers.is_empty() && !matches!(shape[..], [_, 4]) {
            return Err(wrong_shape(name, "(N, 4)", &shape, image));
        }
        let quads = numbers.chunks_exact(4);
        self.corners
            .extend(quads.map(|of| [of[0], of[1], of[2], of[3]]));
        self.offsets.push(self.corners.len());
        Ok(())
    }

    /// Adds what else is known of the boxes of the image added last: one number for each.
    pub fn push_more<T: Number>(&self, name: &str, value: Value, out: &mut Vec<T>) -> PyResult<()> {
        let image = self.offsets.images() - 1;
        let (numbers, shape) = numbers::<T>(name, value, image)?;
        let expected = self.offsets.of(image).len();
        if shape.len() != 1 || shape[0] != expected {
            let rule = format!("({expected},), one for each box");
            return Err(wrong_shape(name, &rule, &shape, image));
        }
        out.extend(numbers);
        Ok(())
    }
}

/// The entries of a sequence with one per image.
pub fn entries<'py>(name: &str, value: Value<'_, 'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let wrong = || {
        let kind = value.get_type();
        let message = format!(
            "{name} must be a sequence with one entry for each image, got {kind}; make a list"
        );
        PyTypeError::new_err(message)
    };
    value.try_iter().map_err(|_| wrong())?.collect()
}

/// The `least..=most` parts of an entry.
pub fn parts<'py>(
    name: &str,
    entry: Value<'_, 'py>,
    image: usize,
    rule: &str,
    [least, most]: [usize; 2],
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let parts = entries(name, entry)?;
    if (least..=most).contains(&parts.len()) {
        return Ok(parts);
    }
    let len = parts.len();
    let message = format!(
        "{name} must be of {rule} for each image, got {len} in image {image}; pair them up"
    );
    Err(PyValueError::new_err(message))
}

/// A number that arrays are read as.
pub trait Number: numpy::Element + Copy {
    /// Kinds of dtype it is read from.
    const KINDS: &'static [u8];
    /// These in words.
    const RULE: &'static str;
    /// Its name in numpy.
    const NAME: &'static str;
}

impl Number for f64 {
    const KINDS: &'static [u8] = b"fiub";
    const RULE: &'static str = "of a real dtype";
    const NAME: &'static str = "float64";
}

impl Number for i64 {
    const KINDS: &'static [u8] = b"iu";
    const RULE: &'static str = "of an integer dtype";
    const NAME: &'static str = "int64";
}

impl Number for bool {
    const KINDS: &'static [u8] = b"biu";
    const RULE: &'static str = "of dtype bool";
    const NAME: &'static str = "bool";
}

fn numbers<T: Number>(name: &str, value: Value, image: usize) -> PyResult<(Vec<T>, Vec<usize>)> {
    let array = native(name, value)?;
    let shape = array.shape().to_vec();
    if shape.contains(&0) {
        return Ok((Vec::new(), shape));
    }
    let dtype = array.dtype();
    if !T::KINDS.contains(&dtype.kind()) {
        let (rule, wanted) = (T::RULE, T::NAME);
        let message = format!(
            "{name} must be {rule}, got {dtype} in image {image}; convert it with .astype('{wanted}')"
        );
        return Err(PyTypeError::new_err(message));
    }
    if let Ok(array) = array.cast::<numpy::PyArrayDyn<T>>()
        && array.is_c_contiguous()
    {
        return Ok((array.try_readonly()?.as_slice()?.to_vec(), shape));
    }
    let array = array.call_method1("astype", (T::NAME, "C"))?;
    let array = array.cast_into::<numpy::PyArrayDyn<T>>()?;
    Ok((array.try_readonly()?.as_slice()?.to_vec(), shape))
}

fn wrong_shape(name: &str, rule: &str, shape: &[usize], image: usize) -> PyErr {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // As Python writes tuples.
    let comma = if sides.len() == 1 { "," } else { "" };
    let shape = format!("({}{comma})", sides.join(", "));
    let message =
        format!("{name} must be of shape {rule}, got {shape} in image {image}; reshape it");
    PyValueError::new_err(message)
}
