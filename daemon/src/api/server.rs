//! The accept loop: who gets a connection, and for how long.

use super::Shared;
use super::connection::StallGuard;
use super::identity::Identity;
use super::problem::{Kind, Problem};
use super::roles::Gatekeeper;
use super::router;
use super::socket::Socket;
use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Connections beyond the limit that are told so at once; those beyond these are closed without a word.
const REFUSALS_AT_ONCE: usize = 16;
/// Most bytes of a request's header: the longest speaker id is 3 kB when percent-encoded.
const MAX_HEADER: usize = 16 << 10;
/// Time for requests in progress to finish when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after a failed accept, which is out of descriptors or memory and would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and answers until `stop` completes.
pub(super) async fn run(
    socket: Socket,
    shared: Arc<Shared>,
    gatekeeper: Arc<dyn Gatekeeper>,
    stop: impl Future<Output = ()>,
) {
    let door = Door {
        router: router::router(&shared),
        identity: Identity::new(gatekeeper, shared.config.client_deadline),
        permits: Arc::new(Semaphore::new(shared.config.max_connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS_AT_ONCE)),
        shared,
    };
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => door.admit(stream, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "a connection to the socket could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Nobody new from here on; connections still open are cut off when their time is over.
    drop(socket);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
    connections.shutdown().await;
}

struct Door {
    router: Router,
    shared: Arc<Shared>,
    identity: Identity,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Door {
    /// Starts the task that serves `stream`, or the one that says there are too many.
    fn admit(&self, stream: UnixStream, connections: &mut JoinSet<()>) {
        let shared = Arc::clone(&self.shared);
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let (router, identity) = (self.router.clone(), self.identity.clone());
            connections.spawn(async move {
                shared.metrics.api.connections.inc();
                let connection = Connection { shared: Arc::clone(&shared), permit };
                connection.serve(stream, router, identity).await;
                shared.metrics.api.connections.dec();
            });
            return;
        }
        shared.metrics.api.refused.count("connections");
        if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            connections.spawn(Connection { shared, permit }.refuse(stream));
        }
    }
}

/// One connection, and its place among those allowed.
struct Connection {
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: UnixStream, router: Router, identity: Identity) {
        let Some(peer) = identity.of(&stream).await else { return };
        let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request.map(Body::new))
        });
        self.drive(stream, answer).await;
    }

    async fn refuse(self, stream: UnixStream) {
        let limit = self.shared.config.max_connections;
        let answer = service_fn(move |_request: hyper::Request<Incoming>| async move {
            let detail = format!("{limit} connections are open, which is the limit; close one, or try again");
            let mut response = Problem::new(Kind::Busy, detail).into_response();
            response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
            Ok::<_, Infallible>(response)
        });
        self.drive(stream, answer).await;
    }

    async fn drive<S>(self, stream: UnixStream, answer: S)
    where
        S: HttpService<Incoming, ResBody = Body>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let deadline = self.shared.config.client_deadline;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(deadline)
            .max_buf_size(MAX_HEADER)
            .serve_connection(TokioIo::new(StallGuard::new(stream, deadline)), answer);
        let mut connection = pin!(connection);
        let served = tokio::select! {
            served = &mut connection => served,
            () = self.shared.stopping() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection to the socket ended early");
        }
        drop(self.permit);
    }
}
