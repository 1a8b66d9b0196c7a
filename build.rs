//! Tells the linker which Node-API symbols the addon leaves open.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
