//! Finds libjpeg-turbo, whose functions `src/encode/jpeg/raw.rs` declares. All other libraries are found by the crates
//! that bind them.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // 2.0 brought errors that belong to a handle.
    if let Err(error) = pkg_config::Config::new().atleast_version("2.0").probe("libturbojpeg") {
        eprintln!("libturbojpeg 2.0 or newer is needed (on Debian and Ubuntu: libturbojpeg0-dev).\n{error}");
        std::process::exit(1);
    }
}
