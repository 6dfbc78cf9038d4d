//! Routes of calls.

use super::body::{CallPath, JsonBody, speaker_id};
use super::problem::{Kind, Problem};
use super::{SharedState, wait};
use crate::config::parse_duration;
use crate::verdict::Verdict;
use crate::view::{CallView, EnrollmentView};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who a call's caller claims to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpeakerOfCall {
    /// The speaker id, 1 to 256 characters; absent when none is known.
    #[schema(min_length = 1, max_length = 256)]
    pub speaker_id: Option<String>,
}

/// What an enrollment needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// Reference of the speaker's consent, such as the number of a form; kept with the voiceprint.
    #[schema(max_length = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
}

/// How to evaluate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateRequest {
    /// Forget the speech heard so far and start anew.
    #[serde(default)]
    pub start_new: bool,
}

/// How long to wait for a result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<String>,
}

/// Most characters of a consent reference.
const MAX_CONSENT: usize = 256;

/// All calls in progress, and those that ended a short time ago.
#[utoipa::path(get, path = "/v1/calls", tag = "calls", operation_id = "listCalls", responses(
    (status = 200, body = [CallView]),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
))]
pub(super) async fn list(State(shared): SharedState) -> Result<Json<Vec<CallView>>, Problem> {
    Ok(Json(shared.desk.calls().await?))
}

/// One call.
#[utoipa::path(get, path = "/v1/calls/{id}", tag = "calls", operation_id = "getCall", params(("id" = String, Path, description = "Id of the call")),
    responses(
        (status = 200, body = CallView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn show(
    State(shared): SharedState,
    CallPath(call): CallPath,
) -> Result<Json<CallView>, Problem> {
    Ok(Json(shared.desk.call(&call).await?))
}

/// Where the verification of a call stands.
///
/// With `wait`, answers as soon as the result is final, or after that time as it is then.
#[utoipa::path(get, path = "/v1/calls/{id}/result", tag = "calls", operation_id = "getResult",
    params(
        ("id" = String, Path, description = "Id of the call"),
        ("wait" = Option<String>, Query, description = "Longest time to wait for a final result, such as `12s`"),
    ),
    responses(
        (status = 200, body = Verdict),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn result(
    State(shared): SharedState,
    CallPath(call): CallPath,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<Verdict>, Problem> {
    let Query(query) = query?;
    let Some(text) = query.wait else {
        return Ok(Json(shared.desk.result(&call).await?));
    };
    let limit =
        parse_duration(&text).map_err(|error| Problem::new(Kind::Invalid, format!("wait: {error}")))?;
    if limit > shared.config.max_wait {
        let detail = format!("`wait` is at most {} s", shared.config.max_wait.as_secs());
        return Err(Problem::new(Kind::Invalid, detail));
    }
    Ok(Json(wait::settled(&shared, &call, limit).await?))
}

/// The speaker id of a call.
#[utoipa::path(get, path = "/v1/calls/{id}/speaker", tag = "calls", operation_id = "getSpeakerOfCall",
    params(("id" = String, Path, description = "Id of the call")),
    responses(
        (status = 200, body = SpeakerOfCall),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn speaker(
    State(shared): SharedState,
    CallPath(call): CallPath,
) -> Result<Json<SpeakerOfCall>, Problem> {
    let call = shared.desk.call(&call).await?;
    Ok(Json(SpeakerOfCall { speaker_id: call.speaker_id }))
}

/// Sets the speaker id of a call.
///
/// The verification goes on against this speaker's voiceprint.
#[utoipa::path(put, path = "/v1/calls/{id}/speaker", tag = "calls", operation_id = "setSpeakerOfCall",
    params(("id" = String, Path, description = "Id of the call")), request_body = SpeakerOfCall,
    responses(
        (status = 200, body = CallView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn set_speaker(
    State(shared): SharedState,
    CallPath(call): CallPath,
    JsonBody(body): JsonBody<SpeakerOfCall>,
) -> Result<Json<CallView>, Problem> {
    let Some(id) = body.speaker_id else {
        return Err(Problem::new(Kind::Invalid, "`speaker_id` is missing"));
    };
    Ok(Json(shared.desk.set_speaker(&call, speaker_id(&id)?).await?))
}

/// Enrolls the caller.
///
/// At once if there is enough speech already, else as soon as there is.
#[utoipa::path(post, path = "/v1/calls/{id}/enroll", tag = "calls", operation_id = "enrollCaller",
    params(("id" = String, Path, description = "Id of the call")), request_body = Option<EnrollRequest>,
    responses(
        (status = 200, body = EnrollmentView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn enroll(
    State(shared): SharedState,
    CallPath(call): CallPath,
    JsonBody(body): JsonBody<EnrollRequest>,
) -> Result<Json<EnrollmentView>, Problem> {
    let consent = body.consent.map(checked_consent).transpose()?;
    Ok(Json(shared.desk.enroll(&call, consent).await?))
}

/// Verifies the caller from the speech heard so far, or from now on with `start_new`.
#[utoipa::path(post, path = "/v1/calls/{id}/evaluate", tag = "calls", operation_id = "evaluateCaller",
    params(("id" = String, Path, description = "Id of the call")), request_body = Option<EvaluateRequest>,
    responses(
        (status = 200, body = Verdict),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn evaluate(
    State(shared): SharedState,
    CallPath(call): CallPath,
    JsonBody(body): JsonBody<EvaluateRequest>,
) -> Result<Json<Verdict>, Problem> {
    Ok(Json(shared.desk.evaluate(&call, body.start_new).await?))
}

/// A consent reference that can be stored and shown: 1 to 256 characters, none of them a control character.
pub(super) fn checked_consent(text: String) -> Result<String, Problem> {
    let length = text.chars().count();
    if (1..=MAX_CONSENT).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let detail = format!("`consent` has 1 to {MAX_CONSENT} characters and no control characters");
    Err(Problem::new(Kind::Invalid, detail))
}
