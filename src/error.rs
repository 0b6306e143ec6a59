//! The error type of the library and the exit codes of the program.

use std::path::PathBuf;

/// What went wrong, in terms a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict each other or make no sense.
    #[error("{0}")]
    Usage(String),
    /// An input cannot be opened or used.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The raster as the user named it.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// Inputs, options or versions are no longer those that a job was planned with.
    #[error("{0}")]
    Changed(String),
    /// The output cannot be created, written or finished.
    #[error("{}: {reason}", path.display())]
    Output {
        /// The file or folder being written.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The job needs more memory than it may use.
    #[error("{0}")]
    Memory(String),
    /// An expression makes no sense.
    #[error("{0}")]
    Expression(Box<crate::expr::ExprError>),
    /// A result does not fit its type, and nothing was to be changed.
    #[error("{0}")]
    Strict(String),
    /// The result is complete but for windows that could not be read.
    #[error("{0}")]
    Skipped(String),
    /// Files that were checked are not sound.
    #[error("{0}")]
    Faulty(String),
    /// Shards of a job are missing.
    #[error("{0}")]
    Incomplete(String),
    /// What failed may succeed later.
    #[error("{0} (worth another attempt)")]
    Temporary(Box<Error>),
    /// A signal asked the program to stop.
    #[error("stopped by {}", signal_name(*.0))]
    Interrupted(i32),
    /// A defect in tileloom itself.
    #[error("internal error: {0}")]
    Internal(String),
}

/// A result with tileloom's error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Input`].
    pub fn input(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Input { path: path.into(), reason: reason.into() }
    }

    /// An [`Error::Output`].
    pub fn output(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Output { path: path.into(), reason: reason.into() }
    }

    /// The process exit code that stands for this error:
    /// 1 failed or done with skipped windows, 2 usage, 3 input cannot be read, 4 output cannot be written, 5 `check` found faults, 6 `merge` lacks shards, 75 worth another attempt, 130 and 143 stopped.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Memory(_) | Self::Strict(_) | Self::Skipped(_) | Self::Internal(_) => 1,
            Self::Usage(_) | Self::Expression(_) => 2,
            Self::Input { .. } | Self::Changed(_) => 3,
            Self::Output { .. } => 4,
            Self::Faulty(_) => 5,
            Self::Incomplete(_) => 6,
            Self::Temporary(_) => 75,
            Self::Interrupted(signal) => (128 + signal) as u8,
        }
    }
}

impl From<crate::expr::ExprError> for Error {
    fn from(error: crate::expr::ExprError) -> Self {
        Self::Expression(Box::new(error))
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        2 => "Ctrl-C (SIGINT)".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}
