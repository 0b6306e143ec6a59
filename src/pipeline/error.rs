//! The one error of a run.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where in the pipeline something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Taking the next task from the plan and weighing it; also where a run is cancelled.
    Plan,
    /// Opening a reader.
    Open,
    /// Reading what a task needs.
    Read,
    /// Computing the results of a task.
    Process,
    /// Creating the sink.
    Create,
    /// Writing a result.
    Write,
    /// Finishing the sink.
    Finish,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plan => "plan",
            Self::Open => "open",
            Self::Read => "read",
            Self::Process => "process",
            Self::Create => "create",
            Self::Write => "write",
            Self::Finish => "finish",
        })
    }
}

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause<E> {
    /// One of the job's closures or the sink returned this error.
    Failed(E),
    /// One of the job's closures or the sink panicked with this message.
    Panicked(String),
    /// [`Monitor::cancel`](super::Monitor::cancel) was called with this reason.
    Cancelled(i32),
    /// A task costs more than all memory; it was not read.
    TooLarge {
        /// Bytes of the task.
        cost: usize,
        /// Bytes allowed for all tasks together.
        memory: usize,
    },
    /// The system refused a thread, for this reason.
    NoThread(String),
}

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Cancelled(reason) => write!(f, "cancelled (reason {reason})"),
            Self::TooLarge { cost, memory } => {
                write!(f, "needs {cost} bytes at once where {memory} are allowed")
            }
            Self::NoThread(reason) => write!(f, "cannot start a thread: {reason}"),
        }
    }
}

/// The first thing that went wrong in a run; whatever followed from it or came later is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError<T, E> {
    /// Where it happened. A cancelled run reports [`Stage::Plan`], wherever its threads were.
    pub stage: Stage,
    /// The task it belongs to; `None` in the stages that serve no single task (open, create, finish).
    pub task: Option<T>,
    /// What happened.
    pub cause: Cause<E>,
}

impl<T, E> RunError<T, E> {
    pub(super) fn new(stage: Stage, task: Option<T>, cause: Cause<E>) -> Self {
        Self { stage, task, cause }
    }

    pub(super) fn cancelled(reason: i32) -> Self {
        Self::new(Stage::Plan, None, Cause::Cancelled(reason))
    }
}

impl<T: fmt::Display, E: fmt::Display> fmt::Display for RunError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{} of {task}: {}", self.stage, self.cause),
            None => write!(f, "{}: {}", self.stage, self.cause),
        }
    }
}

impl<T, E> std::error::Error for RunError<T, E>
where
    T: fmt::Debug + fmt::Display,
    E: std::error::Error,
{
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// Errors of the library pass through as they are: they name their file already.
impl<T: fmt::Display> From<RunError<T, Self>> for crate::Error {
    fn from(error: RunError<T, Self>) -> Self {
        match error {
            RunError { cause: Cause::Failed(error), .. } => error,
            RunError { cause: Cause::Cancelled(signal), .. } => Self::Interrupted(signal),
            RunError { cause: Cause::TooLarge { .. }, .. } => Self::Memory(error.to_string()),
            RunError { cause: Cause::Panicked(_) | Cause::NoThread(_), .. } => {
                Self::Internal(error.to_string())
            }
        }
    }
}

/// Runs a piece of the job; a panic becomes an error.
///
/// What the piece had its hands on is not used again: its reader or sink is dropped, its task abandoned.
/// So nothing broken by the unwinding is ever looked at, which is what [`AssertUnwindSafe`] asserts.
pub(super) fn attempt<X, E>(piece: impl FnOnce() -> Result<X, E>) -> Result<X, Cause<E>> {
    match catch_unwind(AssertUnwindSafe(piece)) {
        Ok(result) => result.map_err(Cause::Failed),
        Err(payload) => Err(Cause::Panicked(message(&*payload))),
    }
}

/// The text of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(no message)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn error(cause: Cause<Error>) -> Error {
        RunError::new(Stage::Process, Some("5/3/1"), cause).into()
    }

    #[test]
    fn becomes_the_librarys_error_and_keeps_its_exit_code() {
        assert_eq!(error(Cause::Failed(Error::input("a.tif", "is torn"))).to_string(), "a.tif: is torn");
        assert_eq!(error(Cause::Cancelled(15)).exit_code(), 143);
        let memory = error(Cause::TooLarge { cost: 7, memory: 5 });
        assert_eq!(memory.to_string(), "process of 5/3/1: needs 7 bytes at once where 5 are allowed");
        let internal = error(Cause::Panicked("index out of bounds".to_owned()));
        assert_eq!(internal.to_string(), "internal error: process of 5/3/1: panicked: index out of bounds");
    }

    #[test]
    fn panics_with_any_payload_become_messages() {
        let caught = |payload: Box<dyn Any + Send>| {
            let Err(Cause::Panicked(message)) = attempt::<(), ()>(|| std::panic::resume_unwind(payload))
            else {
                return None;
            };
            Some(message)
        };
        assert_eq!(caught(Box::new("text")).as_deref(), Some("text"));
        assert_eq!(caught(Box::new(String::from("string"))).as_deref(), Some("string"));
        assert_eq!(caught(Box::new(7)).as_deref(), Some("(no message)"));
    }
}
