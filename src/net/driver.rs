//! The task that waits for a node's timers, connections and commands.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::instrument::WithSubscriber as _;

use super::core::command::Command;
use super::core::gates::Shared;
use super::core::{Core, Dialed, Wires};
use super::link::outlet::Outlet;
use super::lock::lock;
use super::os::error::error_code;
use super::os::listener::{advice, listen};
use super::secure::{Credentials, Keys};
use super::wait::Watch;
use crate::proto::Event;

/// Maximum number of commands per turn.
const BATCH: usize = 64;
/// How long a stop may take to write earlier data and to say goodbye.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// During a stop, links that take no bytes for this long are given up.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long the other sides have to close after the last byte.
const GOODBYE: Duration = Duration::from_millis(1500);
/// How often a stop checks its progress.
const STOP_CHECK: Duration = Duration::from_millis(10);
/// The pause after an accept error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The application's commands, in order. It closes when the handle is dropped.
pub(super) type Inbox = mpsc::UnboundedReceiver<Command>;

/// The driver's ends of its channels.
pub(super) struct Ears {
    dialed: mpsc::UnboundedReceiver<Dialed>,
    wake: Arc<Notify>,
    watch: Arc<Watch>,
}

impl Ears {
    pub(super) fn new(watch: Arc<Watch>) -> (Wires, Self) {
        let (dialer, dialed) = mpsc::unbounded_channel();
        let wake = Arc::new(Notify::new());
        let wires = Wires {
            watch: Arc::downgrade(&watch),
            dialed: dialer,
            driver: wake.clone(),
        };
        let ears = Self {
            dialed,
            wake,
            watch,
        };
        (wires, ears)
    }
}

/// Runs the node from start to stop.
///
/// Thread: the network's. Locks held: none; it takes the core's for each turn.
pub(super) async fn run(
    core: Arc<Mutex<Core>>,
    credentials: Option<Credentials>,
    shared: Arc<Shared>,
    mut inbox: Inbox,
    mut ears: Ears,
) {
    let (config, sink) = {
        let core = lock(&core);
        (core.config.clone(), core.sink.clone())
    };
    let keys = match credentials {
        Some(credentials) => Keys::derive(credentials, config.handshakes_per_second)
            .await
            .map(|keys| Some(Arc::new(keys))),
        None => Ok(None),
    };
    let keys = match keys {
        Ok(keys) => keys,
        Err(reason) => {
            let code = "EIO".to_owned();
            let message = format!("cannot derive a key from the secret: {reason}");
            return sink.event(Event::Failed { code, message });
        }
    };
    if keys.is_none() && is_public(&config.address) {
        let address = &config.address;
        tracing::warn!(
            address,
            "anyone who reaches this address can join: set a secret"
        );
    }
    let port = config.listen_port.unwrap_or(config.port);
    let listening = listen(config.listen_host, port);
    let listening = listening.and_then(|l| Ok((l.local_addr()?.port(), l)));
    let (port, listener) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            let code = error_code(&error).to_owned();
            let place = match config.listen_host {
                Some(host) => SocketAddr::new(host, port).to_string(),
                None => format!("port {port}"),
            };
            let message = format!("cannot listen on {place}: {error}{}", advice(&code));
            tracing::error!(fatal = true, "{message}");
            return sink.event(Event::Failed { code, message });
        }
    };
    tracing::debug!(port, "server is listening");
    // Other nodes dial this port, unless the options name another that leads to it.
    let dialled = if config.port == 0 { port } else { config.port };
    lock(&core).start(dialled, keys);
    let watch = ears.watch.clone().run().with_current_subscriber();
    let watch = tokio::spawn(watch);
    serve(&core, &shared, &listener, &mut inbox, &mut ears).await;
    drop(listener);
    let deadline = Instant::now() + STOP_DEADLINE;
    hand_over(&core, &mut ears, deadline).await;
    let (tasks, outlets) = lock(&core).stop();
    finish(tasks, &outlets, deadline).await;
    watch.abort();
    sink.event(Event::Stopped);
}

/// Runs until the application stops the node.
async fn serve(
    core: &Mutex<Core>,
    shared: &Shared,
    listener: &TcpListener,
    inbox: &mut Inbox,
    ears: &mut Ears,
) {
    let mut commands = Vec::new();
    let mut due = Instant::now();
    let mut accept_at = due;
    loop {
        let mut accepted = None;
        let mut dialed = None;
        tokio::select! {
            count = inbox.recv_many(&mut commands, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            connection = accept(listener, accept_at) => accepted = Some(connection),
            connection = ears.dialed.recv() => dialed = connection,
            () = ears.wake.notified() => {}
            () = sleep_until(due) => {}
        }
        let mut core = lock(core);
        if let Some(accepted) = accepted {
            let pause = match accepted {
                Ok((stream, remote)) => core.accept(stream, remote),
                Err(error) => {
                    // Most likely the process is out of file descriptors. Existing links continue.
                    tracing::warn!(%error, "cannot accept a connection");
                    ACCEPT_PAUSE
                }
            };
            accept_at = Instant::now() + pause;
        }
        if let Some(dialed) = dialed {
            core.dialed(dialed);
        }
        for command in commands.drain(..) {
            if matches!(command, Command::Stop) {
                return;
            }
            let bytes = command.bytes();
            core.command(command);
            shared.crossed(bytes);
        }
        due = core.turn();
    }
}

/// Accepts the next connection, at `at` or later.
async fn accept(listener: &TcpListener, at: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    // A Tokio timer waits for its next tick even if the time has passed.
    if at > Instant::now() {
        sleep_until(at).await;
    }
    listener.accept().await
}

/// Waits until every broadcast is queued for every peer: some queues may have been full.
async fn hand_over(core: &Mutex<Core>, ears: &mut Ears, deadline: Instant) {
    let mut progress = (0, Instant::now());
    loop {
        let due = {
            let mut core = lock(core);
            let due = core.turn();
            let queued = core.queued();
            if queued != progress.0 {
                progress = (queued, Instant::now());
            }
            let is_stuck = progress.1.elapsed() >= STOP_PATIENCE;
            if core.has_said_all() || is_stuck || Instant::now() >= deadline {
                return;
            }
            due.min(Instant::now() + STOP_CHECK)
        };
        tokio::select! {
            () = ears.wake.notified() => {}
            () = sleep_until(due) => {}
        }
    }
}

/// Waits for the links to write queued data and to say goodbye.
async fn finish(mut tasks: JoinSet<()>, outlets: &[Arc<Outlet>], deadline: Instant) {
    let goodbyes = async { while tasks.join_next().await.is_some() {} };
    let written = async {
        let is_written = |o: &Arc<Outlet>| o.bytes() == 0 || o.is_stuck(STOP_PATIENCE);
        while !outlets.iter().all(is_written) && Instant::now() < deadline {
            sleep(STOP_CHECK).await;
        }
        sleep(GOODBYE).await;
        while outlets.iter().any(|o| o.is_lingering()) && Instant::now() < deadline {
            sleep(STOP_CHECK).await;
        }
    };
    tokio::select! {
        () = goodbyes => {}
        () = written => {}
    }
    tasks.shutdown().await;
}

/// Whether `address` is an IP address outside private networks.
fn is_public(address: &str) -> bool {
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified())
        }
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_unique_local()
                || ip.is_loopback()
                || ip.is_unicast_link_local()
                || ip.is_unspecified())
        }
        Err(_) => false,
    }
}
