//! Looking at tile sets: a page that shows one with a map library, a server for it, and pages to stand beside a folder of tiles.
//!
//! The page is made with OpenLayers: alone among the libraries it draws any tile grid (also the pixels of a raster without a
//! place on the Earth), gets along without WebGL, and shows tiles pixel by pixel, so one page serves all tile sets. The library
//! comes from npm by the lock file in `src/view/page` and is built in when `npm ci` has been run there; without, pages load
//! it from its public address, the version pinned by the same lock file.
//!
//! [`Webviewer`] is what folders get; [`Server`] shows a set that exists:
//!
//! ```no_run
//! use tileloom::view::{Server, ViewOptions};
//!
//! let server = Server::bind(&ViewOptions::new("scene.pmtiles"))?;
//! println!("{}", server.address());
//! server.run()?; // until somebody calls the stopper
//! # Ok::<(), tileloom::Error>(())
//! ```

mod answer;
mod library;
mod page;
mod range;
mod server;
mod site;
mod webviewer;

pub use library::is_built_in;
pub use server::{Server, Stopper, ViewOptions};
pub use webviewer::Webviewer;
