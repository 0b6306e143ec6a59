//! A run can be stopped whatever its threads wait for.

use super::*;

/// A door that closures of a job wait at.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// A sink that waits at a door before its first write.
struct Gated<'w>(List<'w>, &'w Door);

impl Sink for Gated<'_> {
    type Item = Item;
    type Done = Vec<Item>;
    type Error = String;

    fn write(&mut self, item: Item) -> Result<(), String> {
        self.1.pass();
        self.0.write(item)
    }

    fn finish(self) -> Result<Vec<Item>, String> {
        self.0.finish()
    }
}

#[test]
fn cancelling_wakes_readers_that_wait_for_permits_and_a_writer_that_waits_for_results() {
    watched(|| {
        for order in ORDERS {
            let (world, monitor) = (World::default(), Monitor::new());
            let job = Job {
                cost: |_: &usize| 1,
                open: || world.open(),
                read: |reader: &mut Reader<'_>, task: &usize| reader.read(*task),
                // As a long calculation would: it looks at the monitor, and gives up.
                process: try_one(|_| {
                    until(|| monitor.cancelled().is_some());
                    Err::<Item, _>("interrupted".to_owned())
                }),
                create: || world.create(),
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    until(|| monitor.tasks_read() == 5);
                    sleep(Duration::from_millis(20));
                    assert_eq!(monitor.tasks_read(), 5, "the readers do not wait for permits");
                    monitor.cancel(15);
                    monitor.cancel(2);
                });
                let error = run(0..100, &limits(3, 2, 5, order), &monitor, job).unwrap_err();
                assert_eq!(error, RunError::cancelled(15));
            });
            assert!(!world.finish_called.load(SeqCst));
            world.assert_clean(false);
        }
    });
}

#[test]
fn cancelling_while_the_writer_is_stuck_ends_the_run_once_it_is_free() {
    watched(|| {
        for order in ORDERS {
            let (world, monitor, door) = (World::default(), Monitor::new(), Door::default());
            let job = Job {
                cost: |_: &usize| 1,
                open: || world.open(),
                read: |reader: &mut Reader<'_>, task: &usize| reader.read(*task),
                process: one(|task| (task, 0)),
                create: || Ok(Gated(world.create()?, &door)),
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    until(|| monitor.tasks_read() == 5);
                    sleep(Duration::from_millis(20));
                    assert_eq!((monitor.tasks_read(), monitor.tasks_done()), (5, 0));
                    monitor.cancel(2);
                    door.open();
                });
                let error = run(0..100, &limits(3, 2, 5, order), &monitor, job).unwrap_err();
                assert_eq!(error, RunError::cancelled(2));
            });
            assert!(monitor.results_written() <= 1, "written on after the cancellation");
            world.assert_clean(false);
        }
    });
}

#[test]
fn a_run_that_is_cancelled_before_it_begins_touches_nothing() {
    watched(|| {
        let world = World::default();
        world.monitor.cancel(2);
        for serial in [false, true] {
            let ended = go_plain(&world, serial, 0..9, &limits(2, 2, 5, Order::Plan));
            assert_eq!(ended.unwrap_err(), RunError::cancelled(2));
        }
        assert_eq!((world.readers_opened.load(SeqCst), world.sinks_created.load(SeqCst)), (0, 0));
    });
}

/// A sink that takes long to finish, and gives up when the run is cancelled.
struct Patient<'w>(List<'w>, &'w Monitor);

impl Sink for Patient<'_> {
    type Item = Item;
    type Done = Vec<Item>;
    type Error = String;

    fn write(&mut self, item: Item) -> Result<(), String> {
        self.0.write(item)
    }

    fn finish(self) -> Result<Vec<Item>, String> {
        self.0.world.finish_called.store(true, SeqCst);
        until(|| self.1.cancelled().is_some());
        Err("interrupted".to_owned())
    }
}

#[test]
fn a_sink_that_gives_up_finishing_because_of_a_cancellation_reports_the_cancellation() {
    watched(|| {
        for serial in [false, true] {
            let (world, monitor) = (World::default(), Monitor::new());
            let job = Job {
                cost: |_: &usize| 1,
                open: || world.open(),
                read: |reader: &mut Reader<'_>, task: &usize| reader.read(*task),
                process: one(|task| (task, 0)),
                create: || Ok(Patient(world.create()?, &monitor)),
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    until(|| world.finish_called.load(SeqCst));
                    monitor.cancel(2);
                });
                let some = limits(2, 2, 5, Order::Plan);
                let ended = if serial {
                    run_serial(0..9, &some, &monitor, job)
                } else {
                    run(0..9, &some, &monitor, job)
                };
                assert_eq!(ended.unwrap_err(), RunError::cancelled(2));
            });
            world.assert_clean(false);
        }
    });
}

#[test]
fn one_monitor_stops_several_runs_and_adds_up_their_counts() {
    watched(|| {
        let world = World::default();
        let (monitor, some) = (&world.monitor, limits(2, 2, 5, Order::Plan));
        for serial in [false, true] {
            go_plain(&world, serial, 0..9, &some).unwrap();
        }
        assert_eq!((monitor.tasks_read(), monitor.tasks_done(), monitor.results_written()), (18, 18, 18));
        thread::scope(|scope| {
            let endless = || go_plain(&world, false, 0.., &some).unwrap_err();
            let runs = [scope.spawn(endless), scope.spawn(endless)];
            until(|| monitor.tasks_done() > 100);
            monitor.clone().cancel(15);
            for run in runs {
                assert_eq!(run.join().unwrap(), RunError::cancelled(15));
            }
        });
    });
}
