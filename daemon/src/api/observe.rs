//! What happens around every request: counting, deadlines, and a bug's last line.

use super::SharedState;
use super::problem::{Kind, Problem};
use super::roles::Peer;
use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// Middleware that counts and logs a request, and answers for one that panics.
pub(super) async fn observe(
    State(shared): SharedState,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = word(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // The pattern, since the path itself names speakers.
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    // What a panicking request leaves behind is dropped with it, and the desk is its own master.
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(route, method, "a request panicked, which is a bug");
        Problem::new(Kind::Internal, "this is a bug; the log has a line about it").into_response()
    });
    let code = response.status().as_u16();
    shared.metrics.api.request(route, method, code, start.elapsed());
    if matches!(method, "GET" | "HEAD") {
        tracing::debug!(route, method, code, uid = peer.uid, "request");
    } else {
        tracing::info!(route, method, code, uid = peer.uid, "request");
    }
    response
}

/// Middleware that answers for a request that took too long.
pub(super) async fn overdue(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_elapsed| {
        let detail =
            format!("there was no answer within {} s; what was asked may still happen", limit.as_secs_f32());
        Problem::new(Kind::Overdue, detail).into_response()
    })
}

/// Methods are for the client to make up; labels are not.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
