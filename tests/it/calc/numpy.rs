//! The same expressions in numpy, on what rasterio reads.

use std::process::Command;

use super::*;
use crate::common::{succeed, testdata};
use crate::containers::pmtiles::python;

/// Evaluates an expression in 64-bit floats, pixels without data being not-a-numbers, and compares it with each pixel of the
/// output. Prints the number of pixels, how many differ in having data, and the largest difference relative to the value.
const SCRIPT: &str = r#"
import sys
import numpy as np, rasterio
def read(path, n):
    with rasterio.open(path) as f:
        return np.where(f.read_masks(n) == 0, np.nan, f.read(n).astype("float64"))
output, text = sys.argv[1], sys.argv[2]
names = {"np": np}
with rasterio.open(sys.argv[3]) as f:
    names["col"], names["row"] = np.meshgrid(np.arange(f.width, dtype="float64"), np.arange(f.height, dtype="float64"))
    names["x"] = f.transform.c + (names["col"] + 0.5) * f.transform.a + (names["row"] + 0.5) * f.transform.b
    names["y"] = f.transform.f + (names["col"] + 0.5) * f.transform.d + (names["row"] + 0.5) * f.transform.e
for letter, path in zip("ABCDEF", sys.argv[3:]):
    with rasterio.open(path) as f:
        for n in range(1, f.count + 1):
            names[letter + str(n)] = read(path, n)
with np.errstate(all="ignore"):
    wanted = eval(text, names)
wanted = np.where(np.isfinite(wanted), wanted, np.nan)
found = read(output, 1)
with rasterio.open(output) as f:
    if f.dtypes[0] == "float32":
        wanted = wanted.astype("float32").astype("float64")
differ = np.isnan(found) != np.isnan(wanted)
off = np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-30)
off = off[np.isfinite(off)]
print(found.size, int(differ.sum()), float(off.max()) if off.size else 0.0)
"#;

/// What the script prints; `None` where there is no numpy.
fn compared(output: &Path, text: &str, inputs: &[&Path]) -> Option<(usize, usize, f64)> {
    let python = python()?;
    let has = Command::new(&python).args(["-c", "import numpy, rasterio"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no python with the packages numpy and rasterio (TILELOOM_PYTHON names one)");
        return None;
    }
    let out = succeed(Command::new(python).args(["-c", SCRIPT]).arg(output).arg(text).args(inputs));
    let words: Vec<&str> = out.split_whitespace().collect();
    Some((
        words[0].parse().expect("a number"),
        words[1].parse().expect("a number"),
        words[2].parse().expect("a number"),
    ))
}

#[test]
fn results_are_those_of_numpy() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (files, ours, theirs) in [
        (&["rgb16.tif"][..], "(A[2]-A[1])/(A[2]+A[1])", "(A2-A1)/(A2+A1)"),
        (&["rgb16.tif"], "A[1] * 3 - A[2] * A[3]", "A1*3-A2*A3"),
        (&["rgb16.tif"], "A[1] > A[2] and A[3] < 9000", "((A1>A2)&(A3<9000)).astype(float)"),
        (&["rgb16.tif"], "(A[1] & 255) | (A[2] >> 4 << 2)", "(A1.astype(int)&255)|(A2.astype(int)>>4<<2)"),
        (
            &["rgb16.tif"],
            "bits(A[1], 4, 5) + bit(A[2], 3)",
            "((A1.astype(int)>>4)&31)+((A2.astype(int)>>3)&1)",
        ),
        (&["rgb16.tif"], "A[1] % 1000 + A[2] // 7", "np.mod(A1,1000)+np.floor_divide(A2,7)"),
        (&["dem.tif"], "A * 3.28084", "A1*3.28084"),
        (&["dem.tif"], "where(A > 600, A - 600, nodata)", "np.where(A1>600,A1-600,np.nan)"),
        (&["dem.tif"], "sqrt(A) + log10(A) - exp(-A / 500)", "np.sqrt(A1)+np.log10(A1)-np.exp(-A1/500)"),
        (&["dem.tif"], "sin(A) * cos(A / 3) + atan2(A, 500)", "np.sin(A1)*np.cos(A1/3)+np.arctan2(A1,500)"),
        (&["dem.tif"], "clamp(A, 400, 700) ** 1.5", "np.clip(A1,400,700)**1.5"),
        (&["dem.tif"], "rint(A / 7) * 7 % 5", "np.rint(A1/7)*7%5"),
        (&["dem.tif"], "A + x - y / 7", "A1+x-y/7"),
        (
            &["dem.tif"],
            "(col + row) % 7 == 3 ? A : -A",
            "np.where(np.isnan(A1),np.nan,np.where((col+row)%7==3,A1,-A1))",
        ),
        (&["int16.tif"], "abs(A) - A", "np.abs(A1)-A1"),
        (&["int16.tif"], "min(A, 100) + max(A, -50)", "np.minimum(A1,100)+np.maximum(A1,-50)"),
        (&["rgba.tif"], "mean(A[1], A[2], A[3])", "(A1+A2+A3)/3"),
        (&["mask_inside.tif"], "A[1] + A[2]", "A1+A2"),
        (&["landcover.tif"], "A == 3", "np.where(np.isnan(A1),np.nan,A1==3)"),
    ] {
        let inputs: Vec<PathBuf> = files.iter().map(|f| testdata(f)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        // Small windows, so that all kinds of reading take part.
        calc(&inputs, &out, &["--overwrite", "-e", ours, "--window-size", "100"]);
        let Some((pixels, differ, off)) = compared(&out, theirs, &inputs) else { return };
        assert!(pixels > 1000 && differ == 0, "{ours}: {differ} of {pixels} differ in having data");
        assert!(off < 1e-6, "{ours}: off by {off}");
    }
}
