//! A served socket for a test.

use crate::script::Script;
use nix::sys::socket::UnixCredentials;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vouch::api::roles::{Gatekeeper, Role};
use vouch::api::socket::Socket;
use vouch::api::{Api, ApiConfig};
use vouch::metrics::Metrics;

/// A test that waits longer than this hangs.
pub(crate) const HANG: Duration = Duration::from_secs(20);

/// The API on a socket of its own, served by a thread of its own until it is dropped.
pub(crate) struct Lab {
    pub(crate) script: Arc<Script>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) socket: PathBuf,
    role: Arc<RoleForAll>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// Gives every peer the same role: tests run as one user, who would be admin always.
struct RoleForAll(Mutex<Role>);

impl Gatekeeper for RoleForAll {
    fn role(&self, _peer: &UnixCredentials) -> Role {
        *self.0.lock().unwrap()
    }
}

impl Lab {
    /// The API with its default bounds.
    pub(crate) fn new() -> Self {
        Self::with(ApiConfig::default())
    }

    pub(crate) fn with(config: ApiConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vouch.sock");
        let script = Script::new();
        let metrics = Arc::new(Metrics::new("1.2.3", 0));
        let role = Arc::new(RoleForAll(Mutex::new(Role::Admin)));
        let api = Api::new(script.clone(), metrics.clone(), config).with_gatekeeper(role.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let path = socket.clone();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async move {
                let socket = Socket::make(&path, "vouch-no-such-group").unwrap();
                ready.send(()).unwrap();
                api.serve(socket, async { drop(stopped.await) }).await;
            });
        });
        is_ready.recv_timeout(HANG).expect("the socket is made");
        Self { script, metrics, socket, role, stop: Some(stop), server: Some(server), _folder: folder }
    }

    /// Gives all connections from now on this role.
    pub(crate) fn set_role(&self, role: Role) {
        *self.role.0.lock().unwrap() = role;
    }

    /// Ends the server and waits for its end.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(server) = self.server.take() {
            server.join().expect("the server does not panic");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Waits until `is_so`, which other threads bring about.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + HANG;
    while !is_so() {
        assert!(Instant::now() < end, "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
