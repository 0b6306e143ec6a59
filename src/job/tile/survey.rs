//! Looking at many inputs at once, each thread through handles and transformations of its own.

use crate::error::{Error, Result};
use crate::pipeline::{self, Job, Limits, Monitor, Order, one};
use crate::raster::Locators;
use crate::raster::crs::Plane;

/// With fewer items, starting threads takes longer than they save.
const FEW: usize = 8;

/// What the work gives in order.
struct List<R>(Vec<Result<R>>);

impl<R> pipeline::Sink for List<R> {
    type Item = Result<R>;
    type Done = Vec<Result<R>>;
    type Error = Error;

    fn write(&mut self, item: Result<R>) -> Result<()> {
        self.0.push(item);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Result<R>>> {
        Ok(self.0)
    }
}

/// Does some work for every item. The results come in the order of the items, and so does the error: whatever the number of
/// threads, it is that of the first item that fails.
///
/// # Errors
/// Those of the work.
pub(in crate::job) fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    each_onto(&Plane::web_mercator(), items, threads, |_, item| work(item))
}

/// Like [`each`], with transformations to a plane.
///
/// # Errors
/// Those of the work.
pub(super) fn each_onto<T: Sync, R: Send>(
    plane: &Plane,
    items: &[T],
    threads: usize,
    work: impl Fn(&mut Locators, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if items.len() < FEW || threads < 2 {
        let mut locators = Locators::onto(plane.clone());
        return items.iter().map(|item| work(&mut locators, item)).collect();
    }
    let readers = threads.min(items.len() / (FEW / 2));
    let limits = Limits { readers, threads: 1, memory: 4 * readers, order: Order::Plan };
    let outcome = pipeline::run(
        0..items.len(),
        &limits,
        &Monitor::new(),
        Job {
            cost: |_: &usize| 1,
            open: || Ok(Locators::onto(plane.clone())),
            read: |locators: &mut Locators, k: &usize| Ok(work(locators, &items[*k])),
            process: one(|result| result),
            create: || Ok(List(Vec::new())),
        },
    )?;
    outcome.done.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_the_error_come_in_order_whatever_the_threads() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 7] {
            let squares = each(&items, threads, |k| Ok(k * k)).expect("nothing fails");
            assert_eq!(squares, items.iter().map(|k| k * k).collect::<Vec<_>>());
            let failed = each(&items, threads, |k| {
                std::thread::sleep(std::time::Duration::from_micros(100 - k));
                if k % 10 == 7 { Err(Error::Usage(format!("{k}"))) } else { Ok(()) }
            });
            assert_eq!(failed.expect_err("some fail").to_string(), "7");
        }
    }
}
