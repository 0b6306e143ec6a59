//! `warp --cog`: the result as a cloud-optimised GeoTIFF in the same pass.

use super::*;
use crate::common::names_in;

#[test]
fn the_file_is_that_of_a_conversion_after_the_warp() {
    let dir = scratch();
    let (plain, two, one) =
        (dir.path().join("plain.tif"), dir.path().join("two.tif"), dir.path().join("one.tif"));
    for (names, options, creation) in [
        (&["rgb.tif"][..], &["-t_srs", "EPSG:3857", "-r", "cubic"][..], &["--co", "BLOCKSIZE=128"][..]),
        (&["rgba.tif"], &["-t_srs", "EPSG:3857", "-r", "bilinear"], &["--co", "BLOCKSIZE=128"]),
        (
            &["rgba16.tif"],
            &["-t_srs", "EPSG:4326", "-r", "lanczos"],
            &["--co", "BLOCKSIZE=128", "--co", "COMPRESS=ZSTD"],
        ),
        (
            &["rgb.tif"],
            &["-t_srs", "EPSG:3857", "-dstalpha"],
            &["--co", "COMPRESS=JPEG", "--co", "BLOCKSIZE=128"],
        ),
        (
            &["dem.tif"],
            &["-t_srs", "EPSG:4326", "-r", "average", "-tr", "0.0005"],
            &["--co", "BLOCKSIZE=128", "--co", "STATISTICS=YES"],
        ),
        (&["landcover.tif"], &["-t_srs", "EPSG:4326"], &["--co", "BLOCKSIZE=128"]),
        (
            &["bands4.tif"],
            &["-t_srs", "EPSG:3857", "-dstnodata", "0"],
            &["--co", "SPARSE_OK=YES", "--co", "BLOCKSIZE=128"],
        ),
        (
            &["int16.tif"],
            &["-t_srs", "EPSG:3857", "-ot", "Float32", "-dstnodata", "nan"],
            &["--co", "BLOCKSIZE=128"],
        ),
    ] {
        let inputs: Vec<PathBuf> = names.iter().map(|name| testdata(name)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        warp(&inputs, &plain, &[options, &["--overwrite"]].concat());
        let words = [OsStr::new("cog"), plain.as_os_str(), two.as_os_str(), OsStr::new("--overwrite")];
        let converted = run(words.into_iter().chain(creation.iter().map(OsStr::new)));
        assert_eq!(converted.code, Some(0), "{names:?}: {}", converted.err);
        for more in [&["-j", "1"][..], &["-j", "4", "--window-size", "128"], &["--memory", "180M"]] {
            warp(&inputs, &one, &[options, creation, more, &["--cog", "--overwrite"]].concat());
            let [one, two] = [&one, &two].map(|path| std::fs::read(path).expect("a file"));
            assert!(one == two, "{names:?} {options:?} {more:?}");
        }
    }
    assert_eq!(names_in(dir.path()), ["one.tif", "plain.tif", "two.tif"]);
}

#[test]
fn another_grid_is_said_by_options_of_the_warp() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let options = ["--cog", "--co", "TARGET_SRS=EPSG:3857"];
    let run = attempt(&[&testdata("rgb.tif")], &out, &options);
    assert!(run.code == Some(2) && run.err.contains("-t_srs"), "{run:?}");
    assert!(names_in(dir.path()).is_empty());
}
