//! The thread on which all nodes of this process live.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// The runtime; its thread starts with the first call and lives as long as the process.
///
/// One thread for all: a link task and its driver hand each other work without waking another
/// core. Two workers made no difference beyond the spread of five rounds (`npm run bench -- --quick
/// --rounds 5 --only ours,net`, on two cores), so it is one.
pub(in crate::net) fn handle() -> std::io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = RUNTIME.get() {
        return Ok(handle);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Name look-ups only.
        .max_blocking_threads(4)
        .build()?;
    let handle = RUNTIME.get_or_init(|| runtime.handle().clone());
    // Another thread may have been quicker: then this runtime is not the one, and is dropped.
    if handle.id() == runtime.handle().id() {
        std::thread::Builder::new()
            .name("smokesignal".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    }
    Ok(handle)
}
