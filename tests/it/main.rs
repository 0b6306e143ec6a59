//! Integration tests: the program and the library against software nobody here wrote.

mod agreement;
mod calc;
mod check;
mod cli;
mod cog;
mod common;
mod containers;
mod convert;
mod faults;
mod formats;
mod golden;
mod grids;
mod lesson;
mod overviews;
mod pictures;
mod remote;
mod samples;
mod shards;
mod small_disk;
mod split;
mod terrain;
mod tile;
mod validity;
mod values;
mod view;
mod warp;
