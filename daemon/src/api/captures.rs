//! Routes of capture devices.

use super::SharedState;
use super::body::{JsonBody, speaker_id};
use super::problem::Problem;
use crate::view::CaptureView;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to begin a call on a capture device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// Who the caller claims to be; whose device it is, where absent.
    #[schema(min_length = 1, max_length = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker_id: Option<String>,
}

/// All capture devices that are configured.
#[utoipa::path(get, path = "/v1/captures", tag = "captures", operation_id = "listCaptures", responses(
    (status = 200, body = [CaptureView]),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
))]
pub(super) async fn list(State(shared): SharedState) -> Result<Json<Vec<CaptureView>>, Problem> {
    Ok(Json(shared.desk.captures().await?))
}

/// Begins a call on a capture device.
///
/// `call` of the answer is its id: from then on it is a call like all others.
#[utoipa::path(post, path = "/v1/captures/{name}/start", tag = "captures", operation_id = "startCapture",
    params(("name" = String, Path, description = "Name of the device in the configuration")),
    request_body = Option<StartRequest>,
    responses(
        (status = 200, body = CaptureView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn start(
    State(shared): SharedState,
    name: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody<StartRequest>,
) -> Result<Json<CaptureView>, Problem> {
    let Path(name) = name?;
    let speaker = body.speaker_id.as_deref().map(speaker_id).transpose()?;
    Ok(Json(shared.desk.start_capture(&name, speaker).await?))
}

/// Ends the call on a capture device.
#[utoipa::path(post, path = "/v1/captures/{name}/stop", tag = "captures", operation_id = "stopCapture",
    params(("name" = String, Path, description = "Name of the device in the configuration")),
    responses(
        (status = 200, body = CaptureView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn stop(
    State(shared): SharedState,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<CaptureView>, Problem> {
    let Path(name) = name?;
    Ok(Json(shared.desk.stop_capture(&name).await?))
}
