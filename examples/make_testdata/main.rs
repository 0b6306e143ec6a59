//! Writes the rasters of `testdata/`: `cargo run --example make_testdata [FOLDER]`.
//!
//! The same version of GDAL writes the same bytes each time; other versions write the same pixels.

mod catalogue;
mod raster;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("testdata"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    catalogue::write_all(&folder)?;
    for (name, content) in catalogue::FILES {
        let bytes = std::fs::metadata(folder.join(name))?.len();
        println!("{bytes:8}  {name:22}  {content}");
    }
    Ok(())
}
