//! `tileloom view`.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use serde::Serialize;
use tileloom::tileset::Scheme;
use tileloom::view::{Server, ViewOptions};
use tileloom::{Error, Result};

use super::tile::scheme;
use super::{json, note, print, signals};

/// Options of `view`, as they are written.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// The tile set to look at: a folder, MBTiles, PMTiles or tar, whatever its name.
    tileset: PathBuf,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    host: IpAddr,
    /// Port to listen on, 0 for any that is free [default: 8080, or the next one that is free].
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,
    /// Origin of web pages that may read the tiles, * for all [default: pages on this machine].
    #[arg(long, value_name = "ORIGIN")]
    cors: Option<String>,
    /// Numbering of the rows in a folder or tar archive [default: as its metadata tell, else xyz].
    #[arg(long, visible_alias = "input-convention", value_name = "xyz|tms", value_parser = scheme)]
    input_scheme: Option<Scheme>,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    /// Print where the page is, and what is shown, as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Print nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

/// The address that a name stands for.
fn address(text: &str) -> Result<IpAddr, String> {
    let found = (text.trim_start_matches('[').trim_end_matches(']'), 0).to_socket_addrs();
    let mut found = found.map_err(|e| format!("is no address of this machine: {e}"))?;
    found.next().map(|found| found.ip()).ok_or_else(|| "is no address".to_owned())
}

/// What is shown, and where.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    address: &'a str,
    tileset: &'a PathBuf,
    container: &'static str,
    name: &'a str,
    min_zoom: u8,
    max_zoom: u8,
    format: &'static str,
    tile_size: u32,
}

/// Runs `tileloom view`.
pub fn run(args: &ViewArgs) -> Result<()> {
    let options = ViewOptions {
        scheme: args.input_scheme,
        host: args.host,
        port: args.port,
        origin: args.cors.clone(),
        ..ViewOptions::new(&args.tileset)
    };
    if let Some(origin) = args.cors.as_deref().filter(|origin| *origin != "*" && !origin.contains("://")) {
        return Err(Error::Usage(format!(
            "--cors {origin}: give an origin such as http://localhost:3000, or *"
        )));
    }
    let server = Server::bind(&options)?;
    let stopper = server.stopper();
    signals::on_signal(move |_| stopper.stop());
    let address = server.address();
    if args.json {
        let about = server.about();
        let info = &about.info;
        print(&json(&Shown {
            address: &address,
            tileset: &args.tileset,
            container: about.container,
            name: &info.name,
            min_zoom: info.min_zoom,
            max_zoom: info.max_zoom,
            format: info.format.extension(),
            tile_size: info.tile_size,
        })?)?;
    } else if !args.quiet {
        print(&format!("{address}\n"))?;
        for text in &server.about().notes {
            note(&format!("chosen: {text}"));
        }
        if !server.is_local() {
            note("every machine that reaches this one can look, too");
        }
        note("Ctrl-C stops");
    }
    if args.open && !opened(&address) {
        note("tileloom: no browser can be opened from here");
    }
    server.run()
}

/// Whether the system's own command for that opened a page.
fn opened(address: &str) -> bool {
    let command = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = Stdio::null;
    let started = Command::new(command).arg(address).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
    started.is_ok()
}
