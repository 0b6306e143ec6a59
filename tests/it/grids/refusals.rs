//! Grids that cannot be had.

use super::*;
use crate::common::{Run, names_in, run, testdata};

fn attempt(folder: &Path, output: &str, options: &[&str]) -> Run {
    let (input, output) = (testdata("rgb.tif"), folder.join(output));
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    run(["tile"].into_iter().chain(paths).chain(options.iter().copied()))
}

#[test]
fn schemes_that_are_not_known_or_cannot_be_made_are_refused_before_anything_is_written() {
    let dir = scratch();
    for (options, output, code, words) in [
        (&["--tiling-scheme", "WorldCRS84"][..], "set", 2, "(did you mean WorldCRS84Quad?)"),
        (&["--tiling-scheme", "qqqqqqqqqqqqqqq"], "set", 2, "known are WebMercatorQuad, WorldCRS84Quad"),
        (&["--tiling-scheme", "GNOSISGlobalGrid"], "set", 2, "variableMatrixWidths"),
        (&["--tiling-scheme", "CDB1GlobalGrid"], "set", 2, "variableMatrixWidths"),
        (&["--tiling-scheme", "WorldCRS84Quad"], "set.mbtiles", 2, "mbtiles knows only Web Mercator"),
        (&["--tiling-scheme", "WorldCRS84Quad"], "set.pmtiles", 2, "to a folder or .tar"),
        (&["--tiling-scheme", "WorldCRS84Quad", "-z", "30"], "set", 2, "has the levels 0 to 29"),
        (&["--tiling-scheme", "UTM31WGS84Quad", "-z", "0-5"], "set", 2, "has the levels 1 to 24"),
        (&["--tiling-scheme", "WorldCRS84Quad", "--tile-size", "300"], "set", 2, "256 or 512"),
        (&["--tiling-scheme", "NZTM2000"], "set", 3, "the area of NZTM2000"),
        (&["--tiling-scheme", "nowhere.json"], "set", 3, "nowhere.json: cannot be read as a tiling scheme"),
        (&["--tiling-scheme", "{\"id\": }"], "set", 2, "is no JSON: expected value at line 1 column 8"),
        (&["--tiling-scheme", "WorldCRS84Quad", "--bbox", "20,40,10,50"], "set", 3, "the extent of --bbox"),
        (
            &["--tiling-scheme", "WorldCRS84Quad", "--bbox", "10,50,20,40"],
            "set",
            2,
            "is not WEST,SOUTH,EAST,NORTH",
        ),
        (&["--retina"], "set.pmtiles", 2, "take --tile-size 512"),
        (&["--retina", "--tile-size", "300"], "set", 2, "--tile-size 300"),
        (&["--max-tiles", "few"], "set", 2, "--max-tiles"),
    ] {
        let run = attempt(dir.path(), output, options);
        assert_eq!(run.code, Some(code), "{options:?}: {run:?}");
        assert!(run.err.contains(words), "{options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{options:?}: {:?}", names_in(dir.path()));
    }
}

/// Makes a good definition a bad one.
type Spoil = fn(&mut serde_json::Value);

#[test]
fn definitions_that_make_no_sense_are_refused_with_their_place() {
    let dir = scratch();
    let good = grid("NZTM2000").to_json();
    let cases: [(&str, Spoil, &str); 8] = [
        ("torn", |d| *d = serde_json::Value::Null, "no object"),
        ("crs", |d| d["crs"] = "EPSG:999999".into(), "a CRS that is not known, 'EPSG:999999'"),
        ("moon", |d| d["crs"] = "+proj=longlat +R=1737400 +no_defs".into(), "another celestial body"),
        (
            "scale",
            |d| d["tileMatrices"][3]["scaleDenominator"] = (-1).into(),
            "tileMatrices[3] ('3') has scaleDenominator -1",
        ),
        ("tile", |d| d["tileMatrices"][0]["tileWidth"] = 100.into(), "only square ones"),
        (
            "sizes",
            |d| {
                d["tileMatrices"][1]["tileWidth"] = 512.into();
                d["tileMatrices"][1]["tileHeight"] = 512.into();
            },
            "a tile set has one size of tiles",
        ),
        ("twice", |d| d["tileMatrices"][1] = d["tileMatrices"][0].clone(), "two levels of one scale"),
        (
            "wide",
            |d| d["tileMatrices"][2]["variableMatrixWidths"] = serde_json::json!([{"coalesce": 2}]),
            "variableMatrixWidths",
        ),
    ];
    for (name, spoil, words) in cases {
        let mut document = good.clone();
        spoil(&mut document);
        let file = dir.path().join(format!("{name}.json"));
        std::fs::write(&file, document.to_string()).expect("written");
        let given = file.to_str().expect("UTF-8").to_owned();
        let run = attempt(dir.path(), "set", &["--tiling-scheme", &given]);
        let said = run.failure(3);
        assert!(said.contains(&given) && said.contains(words), "{name}: {said}");
        assert!(!dir.path().join("set").exists());
    }
}
