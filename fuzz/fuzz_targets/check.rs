//! `check` of any file, our own reading of TIFF directories included: it reports, and gets to an end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::job::check::{CheckJob, run};
use tileloom::pipeline::Monitor;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir_in("/dev/shm").expect("memory");
    let path = dir.path().join("a.tif");
    std::fs::write(&path, bytes).expect("written");
    let mut job = CheckJob::new(vec![path]);
    (job.readers, job.threads) = (1, 1);
    run(&job, &Monitor::new(), |_, _| (), |_| Ok(())).expect("what is wrong is in the report");
});
