//! Runs that are killed, and two runs that want to write the same output.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_killed_run_leaves_nothing_under_the_final_name_and_the_next_one_makes_the_same_bytes() {
    let dir = scratch();
    let mut dice = Dice(31);
    for job in Job::all(dir.path()) {
        let begun = Instant::now();
        let expected = job.undisturbed();
        let whole = begun.elapsed().as_micros() as u64;
        let (mut kills, mut ends) = (0, 0);
        while kills < wanted(3) && ends < 20 + wanted(3) {
            let home = scratch();
            let old = kills % 2 == 0;
            let before = if old { job.put_old(home.path()) } else { BTreeMap::new() };
            let mut command = job.start(home.path());
            command.args(old.then_some("--overwrite")).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("the program starts");
            std::thread::sleep(Duration::from_micros(dice.below(whole)));
            child.kill().expect("killed or ended");
            let status = child.wait().expect("ended");
            let found = contents(&home.path().join(job.output));
            if status.success() {
                ends += 1;
                assert!(found == expected, "{job}");
                continue;
            }
            kills += 1;
            // Between the two renames that put a folder in the place of another, the old one has no name but its second.
            let aside = home.path().join(format!("{}.partial-old", job.output));
            let untouched = found == before || (found.is_empty() && contents(&aside) == before);
            assert!(untouched || found == expected, "{job}: a part of an output has the final name");
            let mut command = job.start(home.path());
            let again = command.args((old || !found.is_empty()).then_some("--overwrite")).output();
            let again = again.expect("the program starts");
            assert!(again.status.success(), "{job}: {}", String::from_utf8_lossy(&again.stderr));
            assert!(contents(&home.path().join(job.output)) == expected, "{job}");
            assert_eq!(names_in(home.path()), [job.output]);
        }
        println!("{job}: killed {kills} times, came to its end {ends} times");
    }
}

#[test]
fn a_second_run_onto_the_same_target_is_refused_by_every_command() {
    let dir = scratch();
    for job in Job::all(dir.path()) {
        let home = scratch();
        // The lock that a run holds.
        let lock = fs::File::create(home.path().join(format!("{}.partial-lock", job.output))).expect("made");
        lock.try_lock().expect("nobody else has it");
        let output = job.start(home.path()).output().expect("the program starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{job}: {err}");
        assert!(err.contains("another tileloom is writing to it"), "{job}: {err}");
        assert!(!home.path().join(job.output).exists());
    }
}
