//! The pipeline's single-threaded double.

use std::time::Instant;

use super::error::attempt;
use super::stats::Clock;
use super::{Cause, Job, Limits, Monitor, Outcome, RunError, Sink, Stage, Stats};

/// Does what [`run`](super::run) does, task after task on the calling thread: the same results in the order of the
/// plan, the same errors. It shares no queue, lock or permit with it, so it can tell what is right, and a
/// debugger can follow it.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_serial<T, R, I, S, E>(
    plan: impl IntoIterator<Item = T, IntoIter: Send>,
    limits: &Limits,
    monitor: &Monitor,
    job: Job<
        impl Fn(&T) -> usize + Sync,
        impl Fn() -> Result<R, E> + Sync,
        impl Fn(&mut R, &T) -> Result<I, E> + Sync,
        impl Fn(I) -> Result<Vec<S::Item>, E> + Sync,
        impl FnOnce() -> Result<S, E> + Send,
    >,
) -> Result<Outcome<S::Done>, RunError<T, E>>
where
    T: Send,
    I: Send,
    E: Send,
    S: Sink<Item: Send, Done: Send, Error = E>,
{
    let begun = Instant::now();
    let memory = limits.memory;
    let mut stats = Stats::new(1, 1, memory);
    // A failure after a cancellation follows from it.
    let failed = |stage, task, cause| match monitor.cancelled() {
        Some(reason) => RunError::cancelled(reason),
        None => RunError::new(stage, task, cause),
    };
    let go_on = || monitor.cancelled().map_or(Ok(()), |reason| Err(RunError::cancelled(reason)));

    go_on()?;
    let (mut reading, mut processing, mut writing) = (Clock::start(), Clock::start(), Clock::start());
    let mut sink = attempt(job.create).map_err(|cause| failed(Stage::Create, None, cause))?;
    writing.worked();
    let mut reader = None;
    let mut plan = plan.into_iter();
    loop {
        go_on()?;
        let Some(task) = attempt(|| Ok(plan.next())).map_err(|cause| failed(Stage::Plan, None, cause))?
        else {
            break;
        };
        let cost = match attempt(|| Ok((job.cost)(&task))) {
            Ok(cost) if cost <= memory => cost,
            Ok(cost) => return Err(failed(Stage::Plan, Some(task), Cause::TooLarge { cost, memory })),
            Err(cause) => return Err(failed(Stage::Plan, Some(task), cause)),
        };
        stats.peak_memory = stats.peak_memory.max(cost);

        reading.waited();
        let reader = match &mut reader {
            Some(reader) => reader,
            none => none.insert(attempt(&job.open).map_err(|cause| failed(Stage::Open, None, cause))?),
        };
        let input = match attempt(|| (job.read)(reader, &task)) {
            Ok(input) => input,
            Err(cause) => return Err(failed(Stage::Read, Some(task), cause)),
        };
        monitor.count_read();
        reading.worked();

        processing.waited();
        let results = match attempt(|| (job.process)(input)) {
            Ok(results) => results,
            Err(cause) => return Err(failed(Stage::Process, Some(task), cause)),
        };
        processing.worked();

        writing.waited();
        for result in results {
            go_on()?;
            if let Err(cause) = attempt(|| sink.write(result)) {
                return Err(failed(Stage::Write, Some(task), cause));
            }
            monitor.count_result();
            stats.results += 1;
        }
        monitor.count_done();
        stats.tasks += 1;
        writing.worked();
    }
    drop(reader);
    writing.waited();
    let done = attempt(|| sink.finish()).map_err(|cause| failed(Stage::Finish, None, cause))?;
    writing.finished();
    stats.finish = writing.finish;
    stats.readers.add(&reading);
    stats.pool.add(&processing);
    stats.writer.add(&writing);
    stats.conclude(begun.elapsed());
    Ok(Outcome { done, stats })
}
