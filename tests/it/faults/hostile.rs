//! Files that somebody has tampered with: an answer in time and in bounds, whatever they hold.

use std::io::Read;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Address space of a child, in kilobytes: GDAL with its libraries takes half a gigabyte before it does anything.
const SPACE: u64 = 3 << 20;

/// No small raster takes so long.
const LONGEST: Duration = Duration::from_secs(60);

/// Values that break what was not thought of.
const EXTREMES: [u32; 10] =
    [0, 1, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/// Changes some bytes, most of them where the structure of a file is told.
fn tamper(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let length = bytes.len() as u64;
        let reach = if dice.below(3) > 0 { length.min(600) } else { length };
        let at = dice.below(reach) as usize;
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.below(256) as u8,
            2 => {
                let value = EXTREMES[dice.below(10) as usize].to_le_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            3 => {
                let value = (EXTREMES[dice.below(10) as usize] as u16).to_le_bytes();
                let end = (at + 2).min(bytes.len());
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            _ => {
                let keep = (length / 4 + dice.below(length)).min(length) as usize;
                bytes.truncate(keep.max(16));
            }
        }
    }
}

/// Runs a command line within bounds. `None` when it took too long.
fn bounded(args: &[&std::ffi::OsStr]) -> (Option<ExitStatus>, String) {
    let line = program();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -c 0; ulimit -v {SPACE}; exec \"$@\"")).arg("sh");
    shell
        .arg(line.get_program())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell");
    let mut pipe = child.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut err = Vec::new();
        let _ = pipe.read_to_end(&mut err);
        String::from_utf8_lossy(&err).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > LONGEST => {
                child.kill().expect("killed");
                child.wait().expect("ended");
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    (status, reader.join().expect("read"))
}

#[test]
fn files_that_were_tampered_with_neither_crash_nor_hang_nor_take_all_memory() {
    let mut dice = Dice(std::env::var("TILELOOM_SEED").map_or(43, |n| n.parse().expect("a number")));
    let files = fs::read_dir(testdata("")).expect("testdata").map(|entry| entry.expect("entry").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "tif")).collect();
    files.sort();
    let (mut runs, mut done) = (0, 0);
    for file in files {
        for _ in 0..wanted(2) {
            let dir = scratch();
            let input = dir.path().join("tampered.tif");
            let mut bytes = fs::read(&file).expect("reads");
            tamper(&mut bytes, &mut dice);
            fs::write(&input, &bytes).expect("written");
            let out = dir.path().join("set.pmtiles");
            let cog = dir.path().join("cog.tif");
            let lines: [Vec<&std::ffi::OsStr>; 3] = [
                vec!["info".as_ref(), input.as_ref()],
                ["tile", "-q", "--max-tiles", "2000", "--memory", "128M", "-j", "2"]
                    .into_iter()
                    .map(AsRef::as_ref)
                    .chain([input.as_ref(), out.as_ref()])
                    .collect(),
                ["cog", "-q", "--memory", "128M"]
                    .into_iter()
                    .map(AsRef::as_ref)
                    .chain([input.as_ref(), cog.as_ref()])
                    .collect(),
            ];
            for line in lines {
                runs += 1;
                let (status, err) = bounded(&line);
                let code = status.and_then(|status| status.code());
                let ends_well = matches!(code, Some(0..=4)) && !err.contains("panicked");
                if !ends_well {
                    let kept = std::env::temp_dir().join("tampered.tif");
                    fs::copy(&input, &kept).expect("kept");
                    panic!(
                        "{line:?} of {}: {status:?} {err}; the file is {}",
                        file.display(),
                        kept.display()
                    );
                }
                assert!(!err.contains("internal error"), "{line:?} of {}: {err}", file.display());
                done += usize::from(code == Some(0));
            }
            for path in [&out, &cog] {
                let name = format!("{}.partial", path.display());
                assert!(!Path::new(&name).exists(), "{} leaves {name}", file.display());
            }
        }
    }
    println!("{runs} runs, {done} of them with a result");
}
