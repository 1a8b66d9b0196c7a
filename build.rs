//! Tells the linker which Node-API symbols the addon leaves open, and the code who reads sockets.

use std::env::var_os;

fn main() {
    if var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
    println!("cargo::rustc-check-cfg=cfg(shared_reads)");
    let is_linux = var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os == "linux");
    if is_linux && var_os("CARGO_FEATURE_PORTABLE_WAIT").is_none() {
        println!("cargo::rustc-cfg=shared_reads");
    }
}
