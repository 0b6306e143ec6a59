//! How many tiles there may be.

use super::*;
use crate::common::{names_in, run, testdata, tile};

#[test]
fn more_tiles_than_allowed_are_refused_with_their_number_before_anything_is_written() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    let (input, output) = (input.to_str().expect("UTF-8"), dir.path().join("set"));
    let path = output.to_str().expect("UTF-8");
    let report = tile(&[Path::new(input)], &output, &["-z", "11-13"]);
    let (made, empty) =
        (report["tiles"].as_u64().expect("a number"), report["empty"].as_u64().expect("a number"));
    std::fs::remove_dir_all(&output).expect("removed");
    let most = (made + empty - 1).to_string();
    for extra in [&[][..], &["--dry-run"], &["--resume"]] {
        let args = ["tile", input, path, "-z", "11-13", "--max-tiles", &most];
        let run = run(args.into_iter().chain(extra.iter().copied()));
        let said = run.failure(2);
        assert!(said.contains(&format!("up to {} tiles would be made", made + empty)), "{said}");
        assert!(said.contains("at zoom 11, ") && said.contains("at zoom 13;"), "{said}");
        assert!(names_in(dir.path()).is_empty(), "{:?}", names_in(dir.path()));
    }
    let allowed = (made + empty).to_string();
    tile(&[Path::new(input)], &output, &["-z", "11-13", "--max-tiles", &allowed]);
}
