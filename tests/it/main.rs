//! Integration tests: the program and the library against software nobody here wrote.

mod agreement;
mod common;
mod containers;
mod lesson;
mod small_disk;
