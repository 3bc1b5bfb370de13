//! Everything a kernel can refuse.
use std::fmt;

/// Why a kernel gave no result. `Display` reads `<name> must be <rule>, got <value>; <remedy>`.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// A class label outside `0..num_classes`; `index` is the first such place.
    Label {
        /// Position in the labels.
        index: usize,
        /// The value found there.
        label: i64,
        /// Number of classes the labels may name.
        num_classes: usize,
    },
    /// A number of classes that no histogram is made for.
    NumClasses {
        /// The number asked for.
        num_classes: usize,
        /// The largest number allowed.
        most: usize,
    },
    /// A negative number of samples.
    Count {
        /// The class.
        index: usize,
        /// Its count.
        count: i64,
    },
    /// Counts without any sample, which no weights can be normalised for.
    NoSamples {
        /// Number of classes given.
        num_classes: usize,
    },
    /// An effective-number base outside `[0, 1]`.
    Beta {
        /// The value given.
        beta: f64,
    },
    /// An unknown way to normalise class weights.
    Normalise {
        /// The word given.
        normalise: String,
    },
    /// A sampling weight that is negative, infinite or not a number.
    Weight {
        /// Position in the weights.
        index: usize,
        /// The value found there.
        weight: f64,
    },
    /// Sampling weights whose sum is zero or overflows.
    WeightSum {
        /// The sum.
        sum: f64,
    },
    /// Any other argument that breaks its rule.
    Argument {
        /// Its name.
        name: &'static str,
        /// What it must be.
        rule: String,
        /// What it is, and where.
        got: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The caller asked a long kernel to stop.
    Interrupted,
}

impl Error {
    /// Values of which one is not finite.
    pub fn not_finite(name: &'static str, value: f64, index: usize) -> Self {
        Self::Argument {
            name,
            rule: "finite".to_owned(),
            got: format!("{value} at index {index}"),
            remedy: "repair or leave out that item",
        }
    }

    /// Two arguments of which `name` does not have as many items as `other`.
    pub fn length(name: &'static str, len: usize, other: &str, expected: usize) -> Self {
        Self::Argument {
            name,
            rule: format!("as long as {other}, {expected}"),
            got: len.to_string(),
            remedy: "give one item for each",
        }
    }

    /// A number outside its range.
    pub fn range(
        name: &'static str,
        rule: &str,
        got: impl fmt::Display,
        remedy: &'static str,
    ) -> Self {
        Self::Argument {
            name,
            rule: rule.to_owned(),
            got: got.to_string(),
            remedy,
        }
    }

    /// A class outside `0..num_classes`.
    pub fn class(name: &'static str, index: usize, class: i64, num_classes: usize) -> Self {
        Self::Argument {
            name,
            rule: format!("in 0..={}", num_classes.saturating_sub(1)),
            got: format!("{class} at index {index}"),
            remedy: "number the classes from 0",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label {
                index,
                label,
                num_classes,
            } => write!(
                f,
                "labels must be in 0..={}, got {label} at index {index}; \
                 number the classes from 0 and check num_classes",
                num_classes - 1
            ),
            Self::NumClasses { num_classes, most } => write!(
                f,
                "num_classes must be in 1..={most}, got {num_classes}; \
                 leave it out to use the largest label"
            ),
            Self::Count { index, count } => write!(
                f,
                "counts must be >= 0, got {count} at index {index}; \
                 give the number of samples of each class"
            ),
            Self::NoSamples { num_classes } => write!(
                f,
                "counts must have a positive entry, got no sample in {num_classes} classes; \
                 count the training labels first"
            ),
            Self::Beta { beta } => write!(
                f,
                "beta must be in [0, 1], got {beta}; \
                 0 leaves the classes alone and 1 weights them by inverse frequency"
            ),
            Self::Normalise { normalise } => write!(
                f,
                "normalise must be 'sum_to_c', 'none' or 'mean_one', got '{normalise}'; \
                 'sum_to_c' is the usual choice"
            ),
            Self::Weight { index, weight } => write!(
                f,
                "weights must be finite and >= 0, got {weight} at index {index}; \
                 give 0 to an item that is never drawn"
            ),
            Self::WeightSum { sum } => write!(
                f,
                "weights must have a positive finite sum, got {sum}; \
                 give at least one item a positive weight and scale huge ones down"
            ),
            Self::Argument {
                name,
                rule,
                got,
                remedy,
            } => write!(f, "{name} must be {rule}, got {got}; {remedy}"),
            Self::Interrupted => write!(f, "the kernel must run to its end, got an interrupt"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_rule_the_value_and_the_remedy() {
        let error = Error::Label {
            index: 3,
            label: -1,
            num_classes: 8,
        };
        assert_eq!(
            error.to_string(),
            "labels must be in 0..=7, got -1 at index 3; \
             number the classes from 0 and check num_classes"
        );
    }

    #[test]
    fn an_interrupt_says_what_it_cut_short() {
        assert_eq!(
            Error::Interrupted.to_string(),
            "the kernel must run to its end, got an interrupt"
        );
    }
}
