//! What can go wrong, with the file it happened to and what to do about it.
use std::fmt;
use std::path::{Path, PathBuf};

/// The reason why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The file does not exist.
    NotFound,
    /// The operating system refused to read or write the file.
    Io,
    /// The file holds no video that can be decoded.
    NotVideo,
    /// Pictures that were asked for are missing or damaged.
    Damaged,
    /// An index lies outside the clip.
    Index,
    /// An argument breaks its rule.
    Argument,
    /// A part of FFmpeg that is needed was not built in.
    Unsupported,
    /// Memory ran out.
    Memory,
    /// The caller raised the abort flag.
    Aborted,
}

/// An error that reads `path: what; remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The class of the failure, for callers that react to it.
    pub kind: ErrorKind,
    /// The file it happened to; empty when an argument is to blame.
    pub path: PathBuf,
    /// What happened.
    pub what: String,
    /// What the caller can do.
    pub remedy: String,
}

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        path: &Path,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn argument(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ErrorKind::Argument, Path::new(""), what, remedy)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.as_os_str().is_empty() {
            write!(f, "{}: ", self.path.display())?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Error {}
