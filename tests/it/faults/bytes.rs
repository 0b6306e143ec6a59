//! The bytes of outputs: the same for any number of threads and any instructions of the processor, and as they have always been.

use std::fmt::Write as _;

use xxhash_rust::xxh3::Xxh3;

use super::*;

/// What decides bytes beside tileloom. With other versions the list does not apply.
const MADE_WITH: &str = "GDAL 3.6.2";

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/bytes.txt")
}

fn hash(files: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let mut hash = Xxh3::new();
    for (name, bytes) in files {
        hash.update(name.as_os_str().as_encoded_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:032x}", hash.digest128())
}

/// What changes on purpose is written anew with `TILELOOM_BLESS=1 cargo test --test it bytes` and explained in the commit that does so.
#[test]
fn outputs_have_the_bytes_of_the_golden_list_with_any_threads_and_any_instructions() {
    let dir = scratch();
    let mut made = String::new();
    for job in Job::all(dir.path()) {
        let run = |threads: &str, instructions: &str| {
            let home = scratch();
            let mut command = job.start(home.path());
            command.args(["--threads", threads]).env("TILELOOM_SIMD", instructions);
            let output = command.output().expect("the program starts");
            assert!(output.status.success(), "{job}: {}", String::from_utf8_lossy(&output.stderr));
            hash(&contents(&home.path().join(job.output)))
        };
        let plain = run("1", "baseline");
        for (threads, instructions) in [("3", "baseline"), ("1", "avx2"), ("8", "avx2"), ("2", ""), ("5", "")]
        {
            assert_eq!(run(threads, instructions), plain, "{job}: {threads} threads, '{instructions}'");
        }
        writeln!(made, "{plain} {job}").expect("a string");
    }
    if std::env::var_os("TILELOOM_BLESS").is_some() {
        fs::write(list(), &made).expect("written");
    }
    let version = gdal::version::VersionInfo::version_report();
    if !version.starts_with(MADE_WITH) {
        eprintln!("skipped the comparison with the list: it is of {MADE_WITH}, this is {version}");
        return;
    }
    let golden = fs::read_to_string(list()).expect("the list");
    let changed: Vec<_> = made.lines().filter(|l| !golden.lines().any(|g| g == *l)).collect();
    assert!(changed.is_empty(), "other bytes than before:\n{}", changed.join("\n"));
}
