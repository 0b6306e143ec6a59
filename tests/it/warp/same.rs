//! The same bytes, however the work is cut up.

use super::*;

#[test]
fn windows_threads_and_memory_make_no_difference() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let inputs = [testdata("rgba.tif"), testdata("gray_alpha.tif")];
    for (inputs, options) in [
        (
            &inputs[..1],
            &["-t_srs", "EPSG:3857", "-r", "cubic", "--co", "COMPRESS=DEFLATE", "--co", "TILED=YES"][..],
        ),
        (&inputs[1..], &["-t_srs", "EPSG:3035", "-r", "lanczos", "-tr", "13", "13", "--co", "TILED=YES"]),
        (&inputs[1..], &["-t_srs", "EPSG:4326", "-r", "average", "--co", "COMPRESS=LZW"]),
    ] {
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let mut expected: Option<Vec<u8>> = None;
        for (window, threads, memory) in [
            ("", "1", "256M"),
            ("", "8", "200M"),
            ("64", "2", "256M"),
            ("256", "3", "256M"),
            ("1000", "2", "512M"),
        ] {
            let mut all = vec!["--overwrite", "-j", threads, "--memory", memory];
            if !window.is_empty() {
                all.extend(["--window-size", window]);
            }
            all.extend(options);
            warp(&inputs, &out, &all);
            let bytes = std::fs::read(&out).expect("a file");
            assert!(
                *expected.get_or_insert_with(|| bytes.clone()) == bytes,
                "{options:?} {window} {threads}"
            );
        }
    }
}

#[test]
fn little_memory_is_enough_for_a_strong_reduction() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let report = warp(&[&testdata("rgb.tif")], &out, &["-ts", "8", "0", "-r", "average", "--memory", "100M"]);
    assert_eq!(report["size"][0], 8);
    let run = attempt(&[&testdata("rgb.tif")], &out, &["--memory", "10M", "--overwrite"]);
    assert!(run.failure(1).contains("the least that would do"), "{run:?}");
}
