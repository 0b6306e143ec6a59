//! Finds libjpeg-turbo, whose functions `src/encode/jpeg/raw.rs` declares; all other libraries are found by the crates that bind
//! them. And finds OpenLayers, which `src/view/library.rs` builds in if `npm ci` has been run in `src/view/page`; nothing is
//! downloaded here.

use std::fs;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // 2.0 brought errors that belong to a handle.
    if let Err(error) = pkg_config::Config::new().atleast_version("2.0").probe("libturbojpeg") {
        eprintln!("libturbojpeg 2.0 or newer is needed (on Debian and Ubuntu: libturbojpeg0-dev).\n{error}");
        std::process::exit(1);
    }
    map_libraries(Path::new("src/view/page"));
}

/// Tells the versions in the lock file, and whether OpenLayers is installed in that version.
fn map_libraries(page: &Path) {
    let lock = page.join("package-lock.json");
    let text = fs::read_to_string(&lock).unwrap_or_default();
    for package in ["ol", "leaflet", "maplibre-gl"] {
        let version =
            text.split_once(&format!("\"node_modules/{package}\": {{")).and_then(|(_, at)| version(at));
        let Some(version) = version else {
            eprintln!("{}: does not tell the version of {package}", lock.display());
            std::process::exit(1);
        };
        println!("cargo:rustc-env=TILELOOM_{}={version}", package.replace('-', "_").to_uppercase());
    }
    println!("cargo:rustc-check-cfg=cfg(tileloom_openlayers)");
    let installed = page.join("node_modules/ol/package.json");
    let Ok(manifest) = fs::read_to_string(&installed) else {
        // Until it is installed; a file that is not there would count as changed each time.
        println!("cargo:rerun-if-changed={}", page.display());
        return;
    };
    println!("cargo:rerun-if-changed={}", lock.display());
    println!("cargo:rerun-if-changed={}", installed.display());
    let pinned = text.split_once("\"node_modules/ol\": {").and_then(|(_, at)| version(at));
    if version(&manifest) == pinned {
        println!("cargo:rustc-cfg=tileloom_openlayers");
    } else {
        println!("cargo:warning=OpenLayers is not built in: run npm ci in {}", page.display());
    }
}

/// The first version that a text of JSON tells.
fn version(json: &str) -> Option<&str> {
    Some(json.split_once("\"version\": \"")?.1.split_once('"')?.0)
}
