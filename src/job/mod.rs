//! What tileloom can do, one folder per command: a job that is valid by construction, its plan, and how it is
//! woven from readers, pool and writer.

mod apart;
pub mod calc;
pub mod check;
pub mod cog;
pub mod convert;
pub mod effort;
pub mod machine;
pub mod parts;
mod recent;
mod room;
pub mod shards;
pub mod split;
pub mod tile;
pub mod warp;
