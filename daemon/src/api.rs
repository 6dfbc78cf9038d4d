//! The socket API: HTTP/1.1 and JSON on a Unix socket.
//!
//! `config/openapi.json` describes the routes; the daemon serves the same text at `GET /openapi.json`. Errors are
//! [`problem`] documents. Every resource a client can hold is bounded: connections, event streams and uploads by
//! permits, the time for a header, a body and an answer by deadlines, bodies by their length. A reader of the event
//! stream that falls behind gets a gap event (see [`crate::events`]).
//!
//! What a client may do is decided once for each connection, from the credentials of its process ([`roles`]).

pub mod desk;
pub mod openapi;
pub mod problem;
pub mod roles;
pub mod socket;

mod body;
mod calls;
mod captures;
mod connection;
mod identity;
mod observe;
mod recordings;
mod router;
mod server;
mod speakers;
mod stream;
mod wait;

pub use calls::{EnrollRequest, EvaluateRequest, SpeakerOfCall};
pub use captures::StartRequest;

use crate::config;
use crate::metrics::Metrics;
use desk::Desk;
use roles::{Gatekeeper, GroupNames};
use socket::Socket;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Where the socket is when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/vouch/vouch.sock";

/// Bounds of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The groups that give roles; the socket is given to the readers' one.
    pub groups: GroupNames,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most event streams at once; they hold a connection each.
    pub max_event_streams: usize,
    /// Time for a client to send a header, to send a body, and to take the next piece of an answer.
    pub client_deadline: Duration,
    /// Time for the daemon to answer.
    pub answer_deadline: Duration,
    /// Time for the daemon to enroll from recordings.
    pub upload_deadline: Duration,
    /// Longest `?wait=` for a result.
    pub max_wait: Duration,
    /// Pause between the comments that keep an event stream alive.
    pub heartbeat: Duration,
    /// Longest JSON body, in bytes.
    pub max_json: usize,
    /// Longest body with recordings, in bytes.
    pub max_upload: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            groups: GroupNames::default(),
            max_connections: 64,
            max_event_streams: 16,
            client_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(10),
            upload_deadline: Duration::from_secs(60),
            max_wait: Duration::from_secs(120),
            heartbeat: Duration::from_secs(15),
            max_json: 16 << 10,
            max_upload: 32 << 20,
        }
    }
}

impl From<&config::Api> for ApiConfig {
    fn from(section: &config::Api) -> Self {
        Self {
            groups: GroupNames {
                reader: section.read_group.clone(),
                agent: section.agent_group.clone(),
                admin: section.admin_group.clone(),
            },
            max_connections: section.max_connections as usize,
            client_deadline: section.request_deadline,
            max_upload: section.body_limit,
            ..Self::default()
        }
    }
}

/// The API, ready to be served on a socket.
pub struct Api {
    desk: Arc<dyn Desk>,
    metrics: Arc<Metrics>,
    config: ApiConfig,
    gatekeeper: Arc<dyn Gatekeeper>,
}

impl Api {
    /// An API that asks `desk`, with roles from the groups in `config`.
    pub fn new(desk: Arc<dyn Desk>, metrics: Arc<Metrics>, config: ApiConfig) -> Self {
        let gatekeeper = Arc::new(config.groups.clone());
        Self { desk, metrics, config, gatekeeper }
    }

    /// The same API with roles from somewhere else.
    #[must_use]
    pub fn with_gatekeeper(self, gatekeeper: Arc<dyn Gatekeeper>) -> Self {
        Self { gatekeeper, ..self }
    }

    /// Answers on `socket` until `stop` completes, then lets requests in progress finish for a moment.
    pub async fn serve(self, socket: Socket, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            desk: self.desk,
            metrics: self.metrics,
            streams: Arc::new(Semaphore::new(self.config.max_event_streams)),
            uploads: Semaphore::new(recordings::AT_ONCE),
            config: self.config,
            stopped,
        });
        server::run(socket, shared, self.gatekeeper, async move {
            stop.await;
            stopping.send_replace(true);
        })
        .await;
    }
}

/// What every request can reach.
struct Shared {
    desk: Arc<dyn Desk>,
    metrics: Arc<Metrics>,
    config: ApiConfig,
    streams: Arc<Semaphore>,
    uploads: Semaphore,
    stopped: watch::Receiver<bool>,
}

impl Shared {
    /// Completes when the daemon begins to stop.
    async fn stopping(&self) {
        // An error means that the sender is gone, and with it the daemon.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }
}

type SharedState = axum::extract::State<Arc<Shared>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_gives_the_default_bounds() {
        assert_eq!(ApiConfig::from(&config::Api::default()), ApiConfig::default());
        assert_eq!(config::Api::default().socket.as_os_str(), DEFAULT_SOCKET);
    }
}
