//! The compiler keeps dead code for its coverage; the linker need not, or it would want all that libraries could call.

fn main() { println!("cargo:rustc-link-arg-bins=-Wl,--gc-sections"); }
