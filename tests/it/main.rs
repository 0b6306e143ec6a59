//! Integration tests: the program and the library against software nobody here wrote.

mod agreement;
mod cli;
mod common;
mod containers;
mod samples;
mod tile;
