//! What goes in comes out: order, number, memory, threads.

use super::*;

#[test]
fn no_tasks_make_a_finished_empty_sink_and_open_no_reader() {
    watched(|| {
        for (serial, order) in [(false, Order::Plan), (false, Order::Arrival), (true, Order::Plan)] {
            let world = World::default();
            let outcome = go_plain(&world, serial, 0..0, &limits(3, 3, 1, order)).unwrap();
            assert!(outcome.done.is_empty() && world.finish_called.load(SeqCst));
            assert_eq!(world.readers_opened.load(SeqCst), 0);
            world.assert_clean(true);
        }
    });
}

#[test]
fn fewer_tasks_than_threads_open_no_more_readers_than_tasks() {
    watched(|| {
        let world = World::default();
        let outcome = go_plain(&world, false, 0..2, &limits(8, 8, 100, Order::Plan)).unwrap();
        assert_eq!(outcome.done, [(0, 0), (1, 0)]);
        assert!((1..=2).contains(&world.readers_opened.load(SeqCst)));
        world.assert_clean(true);
    });
}

#[test]
fn one_thread_of_each_is_enough_and_zero_counts_as_one() {
    watched(|| {
        for size in [0, 1] {
            let world = World::default();
            let outcome = go_plain(&world, false, 0..50, &limits(size, size, 1, Order::Plan)).unwrap();
            assert_eq!(outcome.done, (0..50).map(|task| (task, 0)).collect::<Vec<_>>());
            assert_eq!((outcome.stats.readers.threads, outcome.stats.pool.threads), (1, 1));
            world.assert_clean(true);
        }
    });
}

#[test]
fn tasks_may_emit_none_one_or_many_results() {
    watched(|| {
        for order in ORDERS {
            let world = World::default();
            let outcome = go(&world, false, 0..40, &limits(3, 3, 7, order), |_| 1, |task| task % 4).unwrap();
            let mut items = outcome.done;
            if order == Order::Arrival {
                items.sort_unstable();
            }
            let expected = (0..40).flat_map(|task| (0..task % 4).map(move |k| (task, k)));
            assert_eq!(items, expected.collect::<Vec<_>>());
            assert_eq!((outcome.stats.tasks, outcome.stats.results), (40, 60));
        }
    });
}

#[test]
fn a_task_that_needs_all_memory_runs_and_one_that_needs_more_is_not_read() {
    watched(|| {
        for serial in [false, true] {
            let world = World::default();
            let all = limits(3, 3, 10, Order::Plan);
            assert!(go(&world, serial, 0..5, &all, |_| 10, |_| 1).is_ok());
            let world = World::default();
            let cost = |task| if task == 3 { 11 } else { 1 };
            let error = go(&world, serial, 0..5, &all, cost, |_| 1).unwrap_err();
            assert_eq!(error, RunError::new(Stage::Plan, Some(3), Cause::TooLarge { cost: 11, memory: 10 }));
            assert!(!world.tasks_read.lock().unwrap().contains(&3));
            world.assert_clean(false);
        }
    });
}

/// A sink that takes its time and accounts for the bytes that are given back.
struct Slow<'w>(&'w World);

impl Sink for Slow<'_> {
    type Item = usize;
    type Done = ();
    type Error = String;

    fn write(&mut self, bytes: usize) -> Result<(), String> {
        sleep(Duration::from_millis(10));
        self.0.in_flight.fetch_sub(bytes, SeqCst);
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn memory_in_flight_stays_bounded_when_the_writer_is_a_hundred_times_slower() {
    watched(|| {
        for order in ORDERS {
            let (world, memory) = (World::default(), 100);
            let job = Job {
                cost: |bytes: &usize| *bytes,
                open: || Ok(()),
                read: |(): &mut (), bytes: &usize| {
                    let now = world.in_flight.fetch_add(*bytes, SeqCst) + bytes;
                    world.peak.fetch_max(now, SeqCst);
                    sleep(Duration::from_micros(100));
                    Ok(*bytes)
                },
                process: one(|bytes| bytes),
                create: || Ok(Slow(&world)),
            };
            let plan = (0..40).map(|i| 10 + i * 7 % 30);
            let stats = run(plan, &limits(4, 2, memory, order), &Monitor::new(), job).unwrap().stats;
            let peak = world.peak.load(SeqCst);
            assert!((50..=memory).contains(&peak), "{peak} bytes were in flight");
            assert!((peak..=memory).contains(&stats.peak_memory));
            assert_eq!(world.in_flight.load(SeqCst), 0);
            assert!(stats.busy_share(&stats.writer) > stats.busy_share(&stats.readers));
        }
    });
}

/// The order of the results when task 0 is held up on the pool until all later tasks were processed and, unless they must
/// wait for it, written.
fn order_with_a_slow_first_task(order: Order) -> Vec<usize> {
    let (world, processed) = (World::default(), AtomicUsize::new(0));
    let job = Job {
        cost: |_: &usize| 1,
        open: || world.open(),
        read: |reader: &mut Reader<'_>, task: &usize| reader.read(*task),
        process: one(|task| {
            match (task, order) {
                (0, Order::Plan) => until(|| processed.load(SeqCst) == 9),
                (0, Order::Arrival) => until(|| world.monitor.tasks_done() == 9),
                _ => drop(processed.fetch_add(1, SeqCst)),
            }
            (task, 0)
        }),
        create: || world.create(),
    };
    let outcome = run(0..10, &limits(1, 2, 10, order), &world.monitor, job).unwrap();
    outcome.done.into_iter().map(|(task, _)| task).collect()
}

#[test]
fn results_come_in_plan_order_when_asked_for() {
    watched(|| assert_eq!(order_with_a_slow_first_task(Order::Plan), (0..10).collect::<Vec<_>>()));
}

#[test]
fn results_come_as_they_finish_when_order_does_not_matter() {
    watched(|| assert_eq!(order_with_a_slow_first_task(Order::Arrival).last(), Some(&0)));
}

#[test]
fn plan_order_with_memory_for_one_task_does_not_deadlock() {
    watched(|| {
        let world = World::default();
        let outcome = go(&world, false, 0..60, &limits(4, 4, 9, Order::Plan), |task| 1 + task % 9, |_| 1);
        assert_eq!(outcome.unwrap().done.len(), 60);
    });
}

#[test]
fn each_reader_thread_opens_its_own_reader_and_the_stages_have_their_own_threads() {
    watched(|| {
        let (names, all_read) = (Mutex::new(HashSet::new()), AtomicUsize::new(0));
        let note = |stage| {
            let name = thread::current().name().unwrap_or_default().to_owned();
            names.lock().unwrap().insert((stage, name));
        };
        let world = World::default();
        let job = Job {
            cost: |_: &usize| 1,
            open: || {
                note("open");
                Ok(())
            },
            read: |(): &mut (), task: &usize| {
                note("read");
                // Nobody returns before all three readers have a task.
                all_read.fetch_add(1, SeqCst);
                until(|| all_read.load(SeqCst) >= 3);
                Ok(*task)
            },
            process: one(|task| {
                note("process");
                (task, 0)
            }),
            create: || {
                note("create");
                world.create()
            },
        };
        run(0..3, &limits(3, 1, 9, Order::Plan), &Monitor::new(), job).unwrap();
        let names = names.into_inner().unwrap();
        for reader in ["reader-0", "reader-1", "reader-2"] {
            assert!(
                names.contains(&("open", reader.to_owned())) && names.contains(&("read", reader.to_owned()))
            );
        }
        assert!(names.contains(&("process", "pool-0".to_owned())));
        assert!(names.contains(&("create", "writer".to_owned())));
        assert_eq!(names.len(), 8);
    });
}

#[test]
fn plain_functions_run_with_their_own_signature() {
    fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
        text.parse()
    }
    assert_eq!(one::<_, _, ()>(u32::count_ones)(7), Ok(vec![3]));
    assert_eq!(optional::<_, _, ()>(char::from_u32)(0xD800), Ok(vec![]));
    assert_eq!(many::<_, _, ()>(str::chars)("ab"), Ok(vec!['a', 'b']));
    assert_eq!(try_one(parse)("12"), Ok(vec![12]));
    assert!(try_one(parse)("twelve").is_err());
    assert_eq!(try_optional(|x: i32| Ok::<_, ()>(Some(x)))(1), Ok(vec![1]));
    assert_eq!(try_many(|n: usize| Ok::<_, ()>(0..n))(2), Ok(vec![0, 1]));
}

/// Marsaglia's xorshift64: random enough for sizes, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn the_serial_double_gives_the_same_results_and_errors() {
    watched(|| {
        let mut random = Random(0x7469_6C65_6C6F_6F6D);
        for _ in 0..150 {
            let tasks = random.below(40);
            let memory = 8 + random.below(60);
            let order = ORDERS[random.below(2)];
            let limits = limits(1 + random.below(5), 1 + random.below(5), memory, order);
            let (salt, emitted) = (random.below(1000), 1 + random.below(4));
            let cost = |task: usize| (task * 31 + salt) % 9;
            let emits = |task: usize| (task * 17 + salt) % emitted;
            let fault = (random.below(3) == 0).then(|| {
                let stages =
                    [Stage::Open, Stage::Read, Stage::Process, Stage::Create, Stage::Write, Stage::Finish];
                (stages[random.below(6)], KINDS[random.below(2)], random.below(tasks + 1))
            });
            let [serial, parallel] = [true, false].map(|serial| {
                let world = World { fault, ..World::default() };
                let ended = go(&world, serial, 0..tasks, &limits, cost, emits);
                world.assert_clean(ended.is_ok());
                ended
            });
            match (serial, parallel) {
                (Ok(serial), Ok(parallel)) => {
                    let (stats, mut items) = (parallel.stats, parallel.done);
                    assert!(
                        items.chunk_by(|a, b| a.0 == b.0).count()
                            == serial.done.chunk_by(|a, b| a.0 == b.0).count()
                    );
                    if order == Order::Arrival {
                        items.sort_by_key(|item| item.0);
                    }
                    assert_eq!(items, serial.done);
                    assert_eq!((stats.tasks, stats.results), (serial.stats.tasks, serial.stats.results));
                    assert!(stats.peak_memory <= memory);
                }
                (Err(serial), Err(parallel)) => assert_eq!(parallel, serial),
                (serial, parallel) => panic!("{serial:?} in series, {parallel:?} in parallel"),
            }
        }
    });
}

#[test]
fn busy_and_waiting_time_lie_within_the_run() {
    watched(|| {
        let world = World::default();
        let begun = Instant::now();
        let stats = go_plain(&world, false, 0..200, &limits(3, 2, 4, Order::Arrival)).unwrap().stats;
        assert!(stats.wall <= begun.elapsed());
        for stage in [stats.readers, stats.pool, stats.writer] {
            let available = stats.wall * u32::try_from(stage.threads).unwrap();
            assert!(stage.busy + stage.waiting <= available + Duration::from_micros(10), "{stats:?}");
            assert!(stage.busy > Duration::ZERO);
        }
    });
}

#[test]
fn parts_are_done_once_each_by_threads_with_a_state_of_their_own() {
    for threads in [0, 1, 3, 20] {
        let done: Vec<AtomicUsize> = (0..10).map(|_| AtomicUsize::new(0)).collect();
        let states = AtomicUsize::new(0);
        let start = || states.fetch_add(1, SeqCst);
        let result = side_by_side(threads, 10, start, |state, part| {
            assert!(*state < threads.clamp(1, 10));
            done[part as usize].fetch_add(1, SeqCst);
            Ok::<(), ()>(())
        });
        assert_eq!(result, Ok(()));
        assert!(done.iter().all(|count| count.load(SeqCst) == 1));
    }
}

#[test]
fn no_part_is_begun_after_one_that_failed_or_panicked() {
    let begun = AtomicUsize::new(0);
    let work = |(): &mut (), part: u64| {
        begun.fetch_add(1, SeqCst);
        if part == 3 { Err("three") } else { Ok(()) }
    };
    assert_eq!(side_by_side(1, 100, || (), work), Err(Cause::Failed("three")));
    assert_eq!(begun.load(SeqCst), 4);
    let panics = |(): &mut (), _| -> Result<(), ()> { panic!("part") };
    assert_eq!(side_by_side(2, 100, || (), panics), Err(Cause::Panicked("part".to_owned())));
}
