//! What the tests of the program share: running it, reading its tiles back, and rasters to run it on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tileloom::grid::TileCoord;

use crate::containers::{Tiles, mbtiles, pmtiles, read_folder, read_tar};

#[path = "../../examples/make_testdata/catalogue.rs"]
pub mod catalogue;
#[path = "../../examples/make_testdata/raster.rs"]
pub mod raster;

/// A file of `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The program, free of settings of GDAL that the machine may have.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tileloom"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GDAL_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None` when a signal killed the program.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The one line of the message of a run that failed with `code`.
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines: Vec<_> = self.err.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with("tileloom: "), "not one line: {self:?}");
        assert!(self.out.is_empty(), "something on standard output: {self:?}");
        lines[0]
    }
}

/// Runs the program.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let output = program().args(args).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// `tileloom tile`, which has to succeed: its report.
pub fn tile(inputs: &[&Path], output: &Path, options: &[&str]) -> serde_json::Value {
    let paths = inputs.iter().copied().chain([output]).map(Path::as_os_str);
    let options = options.iter().map(OsStr::new);
    let run = run([OsStr::new("tile"), OsStr::new("--json")].into_iter().chain(paths).chain(options));
    assert_eq!(run.code, Some(0), "{inputs:?}: {}", run.err);
    run.json()
}

/// The tiles of a set, whatever its container.
pub fn read_tiles(path: &Path) -> Tiles {
    match path.extension().and_then(OsStr::to_str) {
        Some("mbtiles") => mbtiles::read(path),
        Some("pmtiles") => pmtiles::Archive::open(path).tiles(),
        Some("tar") => read_tar(path),
        _ => read_folder(path),
    }
}

/// A picture: red, green, blue and alpha of each pixel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels along each side.
    pub side: usize,
    /// The pixels.
    pub pixels: Vec<[u8; 4]>,
}

impl Picture {
    /// The pixel in a column and row.
    pub fn at(&self, x: usize, y: usize) -> [u8; 4] {
        self.pixels[y * self.side + x]
    }
}

/// The pixels of a PNG.
pub fn decode(bytes: &[u8]) -> Picture {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut data).expect("pixels");
    assert_eq!((info.width, info.bit_depth), (info.height, png::BitDepth::Eight));
    let pixel = |s: &[u8]| match *s {
        [v] => [v, v, v, 255],
        [v, a] => [v, v, v, a],
        [r, g, b] => [r, g, b, 255],
        _ => [s[0], s[1], s[2], s[3]],
    };
    let pixels = data[..info.buffer_size()].chunks_exact(info.color_type.samples()).map(pixel).collect();
    Picture { side: info.width as usize, pixels }
}

/// The decoded tiles of a set.
pub fn pictures(path: &Path) -> BTreeMap<TileCoord, Picture> {
    read_tiles(path).iter().map(|(tile, bytes)| (*tile, decode(bytes))).collect()
}

/// Names in a folder.
pub(crate) use crate::containers::names_in;

/// Runs another program that has to succeed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
