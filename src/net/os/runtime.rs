//! The network's thread, one for all nodes of the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// The runtime. Its thread starts with the first call and lives as long as the process.
///
/// On one thread, tasks hand each other work without waking another core. Two threads were not
/// faster (`npm run bench -- --quick --rounds 5 --only ours,net`, on two cores).
///
/// Thread: any. Locks held: none.
pub(in crate::net) fn handle() -> std::io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = RUNTIME.get() {
        return Ok(handle);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Only name look-ups and passphrases block.
        .max_blocking_threads(4)
        .build()?;
    let handle = RUNTIME.get_or_init(|| runtime.handle().clone());
    // If another thread was faster, its runtime wins and this one is dropped.
    if handle.id() == runtime.handle().id() {
        std::thread::Builder::new()
            .name("smokesignal".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    }
    Ok(handle)
}
