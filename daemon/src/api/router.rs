//! Which route is answered where, by whom it may be asked, and how long an answer may take.

use super::observe::{observe, overdue};
use super::problem::{Kind, Problem};
use super::roles::{Role, require};
use super::{Shared, SharedState, calls, captures, openapi, speakers, stream};
use crate::metrics;
use crate::view::StatusView;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;

/// All routes.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let config = &shared.config;
    let group = |role: Role, limit: Duration, routes: Router<Arc<Shared>>| {
        let role = (role, config.groups.clone());
        routes.route_layer(from_fn_with_state(limit, overdue)).route_layer(from_fn_with_state(role, require))
    };
    let events = Router::new().route("/v1/events", get(stream::events));
    let result = Router::new().route("/v1/calls/{id}/result", get(calls::result));
    let upload = Router::new().route("/v1/speakers/{id}/enroll", post(speakers::enroll));
    let deletion = Router::new().route("/v1/speakers/{id}", delete(speakers::delete));
    Router::new()
        .merge(group(Role::Reader, config.answer_deadline, readers_routes()))
        .merge(group(Role::Reader, config.answer_deadline, events))
        .merge(group(Role::Reader, config.answer_deadline + config.max_wait, result))
        .merge(group(Role::Agent, config.answer_deadline, agents_routes()))
        .merge(group(Role::Agent, config.upload_deadline, upload))
        .merge(group(Role::Admin, config.answer_deadline, deletion))
        .method_not_allowed_fallback(no_such_method)
        .fallback(no_such_route)
        .layer(from_fn_with_state(Arc::clone(shared), observe))
        .with_state(Arc::clone(shared))
}

fn readers_routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{id}", get(calls::show))
        .route("/v1/calls/{id}/speaker", get(calls::speaker))
        .route("/v1/captures", get(captures::list))
        .route("/v1/speakers", get(speakers::list))
        .route("/v1/speakers/{id}", get(speakers::show))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi_json))
}

fn agents_routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/calls/{id}/speaker", put(calls::set_speaker))
        .route("/v1/calls/{id}/enroll", post(calls::enroll))
        .route("/v1/calls/{id}/evaluate", post(calls::evaluate))
        .route("/v1/captures/{name}/start", post(captures::start))
        .route("/v1/captures/{name}/stop", post(captures::stop))
        .route("/v1/speakers/{id}/opt-out", post(speakers::opt_out))
        .route("/v1/speakers/{id}/opt-in", post(speakers::opt_in))
}

/// State of the daemon.
#[utoipa::path(get, path = "/v1/status", tag = "daemon", operation_id = "getStatus", responses(
    (status = 200, body = StatusView),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
))]
pub(super) async fn status(State(shared): SharedState) -> Result<Json<StatusView>, Problem> {
    Ok(Json(shared.desk.status().await?))
}

/// Counters of the daemon as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "daemon", operation_id = "getMetrics", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
pub(super) async fn metrics(State(shared): SharedState) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.render())
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "daemon", operation_id = "getDescription", responses((status = 200, body = Object)))]
pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::json())
}

async fn no_such_route() -> Problem {
    Problem::new(Kind::NoSuchRoute, "GET /openapi.json lists the routes; `/` in an id is written %2F")
}

async fn no_such_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "the Allow header lists the methods of this route")
}
