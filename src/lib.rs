//! tileloom turns rasters into tiles, in bounded memory, straight into the final file.
//!
//! ```text
//!  paths ──▶ reader threads ──▶ bounded queue ──▶ CPU pool ──▶ bounded queue ──▶ one writer thread
//!            each opens the      windows of        warp, reduce   finished        owns the folder or
//!            dataset by path     pixels            and encode     tiles           the archive
//! ```
//!
//! # A tour
//!
//! Each layer knows only those below it:
//!
//! | module | what it is |
//! |---|---|
//! | [`job`] | what tileloom can do: [`job::tile`] plans a tile set and weaves it from the parts below, [`job::convert`] copies one, [`job::calc`] computes with bands, [`job::warp`] brings rasters onto another grid, [`job::split`] cuts them into chips |
//! | [`op`] | operations on pixels and those around them, chained |
//! | [`expr`] | band mathematics: expressions, compiled and evaluated chunk by chunk |
//! | [`sink`], [`store`], [`tileset`] | containers (folder, MBTiles, PMTiles, tar) to write and to read, and their metadata |
//! | [`view`] | a page that shows a tile set, and a server for it |
//! | [`warp`] | coordinate grids, resampling kernels, halving |
//! | [`pyramid`] | which tiles exist, in what order they are made, who waits for whom |
//! | [`raster`] | GDAL behind safe types: [`raster::Source`] reads windows with their validity |
//! | [`encode`], [`colormap`] | tile formats, colours for values |
//! | [`pipeline`] | readers → pool → writer, for any function; knows neither GDAL nor pixels |
//! | [`grid`], [`window`], [`block`], [`resampling`], [`spelling`] | addresses, rectangles, typed pixels, methods, misspelt words |
//!
//! # Making a tile set
//!
//! ```no_run
//! use tileloom::job::tile::{TileJob, run};
//! use tileloom::pipeline::Monitor;
//! use tileloom::raster::SourceSpec;
//! use tileloom::sink::Target;
//!
//! let mut job = TileJob::new(vec![SourceSpec::new("scene.tif")], Target::new("scene.pmtiles"));
//! job.max_zoom = Some(14);
//! let report = run(&job, &Monitor::new(), |_plan, _tasks| ())?;
//! println!("{} tiles", report.tiles);
//! # Ok::<(), tileloom::Error>(())
//! ```
//!
//! Paths travel between threads, dataset handles do not: a [`raster::Source`] or an open sink that is handed to
//! another thread does not compile.

pub(crate) mod assemble;
#[macro_use]
pub mod block;
pub mod colormap;
pub mod encode;
pub mod error;
pub mod expr;
pub(crate) mod flush;
pub mod grid;
pub mod job;
pub mod op;
pub(crate) mod order;
pub mod parcel;
pub mod pipeline;
pub mod pyramid;
pub mod raster;
pub mod resampling;
pub(crate) mod simd;
pub mod sink;
pub mod spelling;
pub mod store;
pub(crate) mod sync;
pub mod target;
pub mod tileset;
pub mod view;
pub mod warp;
pub mod window;

pub use error::{Error, Result};
