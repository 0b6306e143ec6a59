//! What tileloom says of a raster.

use std::path::Path;
use std::process::Command;

use crate::Result;

/// What decides how a raster is tiled.
#[derive(Debug)]
pub struct Seen {
    /// Name, size and bands, for a heading.
    pub title: String,
    /// Lowest and highest level tileloom would make.
    pub levels: (u8, u8),
    /// Values to show black and white; `None` for bytes.
    pub scale: Option<[f64; 2]>,
    /// Whether the samples are heights: one band of numbers other than bytes.
    pub heights: bool,
    /// Columns and rows.
    pub size: [usize; 2],
}

impl Seen {
    /// Asks `tileloom info`, and its dry run for the stretch it would choose.
    pub fn new(raster: &Path) -> Result<Self> {
        let info = json(&["info", "--json"], raster, None)?;
        let level = |name: &str| info["tile"][name].as_u64().map(|z| z as u8).ok_or("no place on the map");
        let bands = info["bands"].as_array().map_or(0, Vec::len);
        let sample_type = info["bands"][0]["sample_type"].as_str().unwrap_or("?");
        let size = [0, 1].map(|k| info["size"][k].as_u64().unwrap_or(0) as usize);
        let name = raster.file_name().unwrap_or_default().to_string_lossy();
        let mut seen = Self {
            title: format!("{name}: {} × {} pixels, {bands} × {sample_type}", size[0], size[1]),
            levels: (level("min_zoom")?, level("max_zoom")?),
            scale: None,
            heights: bands == 1 && sample_type != "uint8",
            size,
        };
        if sample_type != "uint8" {
            let output = std::env::temp_dir().join("never-written.pmtiles");
            let preview = json(&["tile", "--dry-run", "--json"], raster, Some(&output))?;
            seen.scale = preview["guesses"].as_array().into_iter().flatten().find_map(|guess| {
                let words = guess.as_str()?.split_once("--scale ")?.1;
                let end = words.find(|c: char| c.is_whitespace()).unwrap_or(words.len());
                let (black, white) = words[..end].split_once(',')?;
                let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok();
                Some([number(black)?, number(white)?])
            });
        }
        Ok(seen)
    }
}

fn json(command: &[&str], raster: &Path, output: Option<&Path>) -> Result<serde_json::Value> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tileloom"));
    let run = program.args(command).arg(raster).args(output).output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).trim().into());
    }
    Ok(serde_json::from_slice(&run.stdout)?)
}
