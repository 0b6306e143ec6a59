//! Every failure in every stage is the run's one error and leaves nothing behind.

use std::sync::Barrier;

use super::*;

/// The fault at `stage` in a run of 12 tasks, with many threads and with one of each, in both orders, as an error and
/// as a panic, on both implementations: always becomes the run's error, with `task` if it belongs to one.
fn fails_cleanly(stage: Stage, task: Option<usize>) {
    watched(move || {
        for (size, order) in [1, 4].into_iter().flat_map(|size| ORDERS.map(|order| (size, order))) {
            for (kind, serial) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
                let world = World::failing(stage, kind, task.unwrap_or(0));
                let error =
                    go(&world, serial, 0..12, &limits(size, size, 5, order), |_| 1, |_| 2).unwrap_err();
                assert_eq!((error.stage, error.task), (stage, task));
                match kind {
                    Kind::Error => assert_eq!(error.cause, Cause::Failed("as told".to_owned())),
                    Kind::Panic => {
                        assert_eq!(error.cause, Cause::Panicked(format!("as told, by {stage}")));
                    }
                }
                assert_eq!(world.finish_called.load(SeqCst), stage == Stage::Finish);
                world.assert_clean(false);
            }
        }
    });
}

#[test]
fn a_failing_open_ends_the_run() {
    fails_cleanly(Stage::Open, None);
}

#[test]
fn a_failing_read_ends_the_run_with_its_task() {
    fails_cleanly(Stage::Read, Some(7));
}

#[test]
fn a_failing_first_read_ends_the_run_with_its_task() {
    fails_cleanly(Stage::Read, Some(0));
}

#[test]
fn a_failing_process_ends_the_run_with_its_task() {
    fails_cleanly(Stage::Process, Some(7));
}

#[test]
fn a_failing_last_process_ends_the_run_with_its_task() {
    fails_cleanly(Stage::Process, Some(11));
}

#[test]
fn a_failing_create_ends_the_run() {
    fails_cleanly(Stage::Create, None);
}

#[test]
fn a_failing_write_ends_the_run_with_its_task() {
    fails_cleanly(Stage::Write, Some(7));
}

#[test]
fn a_failing_finish_ends_the_run() {
    fails_cleanly(Stage::Finish, None);
}

#[test]
fn a_panic_in_the_plan_or_the_cost_ends_the_run() {
    watched(|| {
        for serial in [false, true] {
            let world = World::default();
            let small = limits(2, 2, 4, Order::Plan);
            let cost = |task| if task == 5 { panic!("unweighable") } else { 1 };
            let error = go(&world, serial, 0..9, &small, cost, |_| 1).unwrap_err();
            assert_eq!((error.stage, error.task), (Stage::Plan, Some(5)));
            assert_eq!(error.cause, Cause::Panicked("unweighable".to_owned()));
            world.assert_clean(false);
        }
        let world = World::default();
        let plan = (0..9).inspect(|task| assert!(*task < 5, "no such task"));
        let error = go_plain(&world, false, plan, &limits(2, 2, 4, Order::Plan)).unwrap_err();
        assert_eq!((error.stage, error.task), (Stage::Plan, None));
        assert_eq!(error.cause, Cause::Panicked("no such task".to_owned()));
        world.assert_clean(false);
    });
}

/// Something whose destruction fails, as closing a file can.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(thread::panicking(), "cannot close");
    }
}

#[test]
fn a_reader_that_panics_when_it_is_closed_ends_the_run() {
    watched(|| {
        for _ in 0..20 {
            let world = World::default();
            let job = Job {
                cost: |_: &usize| 1,
                open: || Ok(Brittle),
                read: |_: &mut Brittle, task: &usize| Ok(*task),
                process: one(|task| (task, 0)),
                create: || world.create(),
            };
            let error = run(0..3, &limits(1, 1, 9, Order::Plan), &Monitor::new(), job).unwrap_err();
            assert_eq!((error.stage, error.cause), (Stage::Read, Cause::Panicked("cannot close".to_owned())));
            assert!(!world.finish_called.load(SeqCst));
            world.assert_clean(false);
        }
    });
}

#[test]
fn the_first_of_two_failures_wins() {
    watched(|| {
        let (world, both) = (World::default(), Barrier::new(2));
        let job = Job {
            cost: |_: &usize| 1,
            open: || world.open(),
            read: |_: &mut Reader<'_>, task: &usize| {
                // Both are being read; then the second fails after the reader of the first was closed,
                // which it is when its failure has been noted.
                both.wait();
                until(|| *task == 0 || world.readers_closed.load(SeqCst) == 1);
                Err::<usize, _>(format!("read of {task}"))
            },
            process: one(|task| (task, 0)),
            create: || world.create(),
        };
        let error = run(0..2, &limits(2, 1, 100, Order::Plan), &Monitor::new(), job).unwrap_err();
        assert_eq!(error, RunError::new(Stage::Read, Some(0), Cause::Failed("read of 0".to_owned())));
        world.assert_clean(false);
    });
}
