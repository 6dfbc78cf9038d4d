//! Routes of speakers.

use super::SharedState;
use super::body::SpeakerPath;
use super::problem::{Kind, Problem};
use super::recordings;
use crate::view::SpeakerView;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;

/// All speakers known here: enrolled or opted out.
#[utoipa::path(get, path = "/v1/speakers", tag = "speakers", operation_id = "listSpeakers", responses(
    (status = 200, body = [SpeakerView]),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
))]
pub(super) async fn list(State(shared): SharedState) -> Result<Json<Vec<SpeakerView>>, Problem> {
    Ok(Json(shared.desk.speakers().await?))
}

/// One speaker.
#[utoipa::path(get, path = "/v1/speakers/{id}", tag = "speakers", operation_id = "getSpeaker",
    params(("id" = String, Path, description = "Speaker id, percent-encoded")),
    responses(
        (status = 200, body = SpeakerView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn show(
    State(shared): SharedState,
    SpeakerPath(speaker): SpeakerPath,
) -> Result<Json<SpeakerView>, Problem> {
    Ok(Json(shared.desk.speaker(speaker).await?))
}

/// Deletes a speaker.
///
/// The key of the voiceprint goes with it, so that no copy can be read any more.
#[utoipa::path(delete, path = "/v1/speakers/{id}", tag = "speakers", operation_id = "deleteSpeaker",
    params(("id" = String, Path, description = "Speaker id, percent-encoded")),
    responses(
        (status = 204, description = "Deleted"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn delete(
    State(shared): SharedState,
    SpeakerPath(speaker): SpeakerPath,
) -> Result<StatusCode, Problem> {
    shared.desk.delete(speaker).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Opts a speaker out.
///
/// The voiceprint is deleted and no call of this speaker is analysed.
#[utoipa::path(post, path = "/v1/speakers/{id}/opt-out", tag = "speakers", operation_id = "optOutSpeaker",
    params(("id" = String, Path, description = "Speaker id, percent-encoded")),
    responses(
        (status = 200, body = SpeakerView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn opt_out(
    State(shared): SharedState,
    SpeakerPath(speaker): SpeakerPath,
) -> Result<Json<SpeakerView>, Problem> {
    Ok(Json(shared.desk.opt_out(speaker).await?))
}

/// Takes an opt-out back; the speaker can be enrolled again.
#[utoipa::path(post, path = "/v1/speakers/{id}/opt-in", tag = "speakers", operation_id = "optInSpeaker",
    params(("id" = String, Path, description = "Speaker id, percent-encoded")),
    responses(
        (status = 200, body = SpeakerView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn opt_in(
    State(shared): SharedState,
    SpeakerPath(speaker): SpeakerPath,
) -> Result<Json<SpeakerView>, Problem> {
    Ok(Json(shared.desk.opt_in(speaker).await?))
}

/// Enrolls a speaker from recordings.
///
/// They come in a form with one or more parts `recording` (WAV or FLAC, the speaker's voice alone) and perhaps a part
/// `consent`, as `curl -F recording=@a.wav -F consent=REF` sends it.
#[utoipa::path(post, path = "/v1/speakers/{id}/enroll", tag = "speakers", operation_id = "enrollSpeaker",
    params(("id" = String, Path, description = "Speaker id, percent-encoded")),
    request_body(content = recordings::RecordingForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = SpeakerView),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn enroll(
    State(shared): SharedState,
    SpeakerPath(speaker): SpeakerPath,
    request: Request,
) -> Result<Json<SpeakerView>, Problem> {
    // Uploads are the one request that takes memory and a processor for long: only a few at once.
    let _permit = shared.uploads.try_acquire().map_err(|_| {
        Problem::new(Kind::Busy, "other recordings are being enrolled; try again in a moment")
    })?;
    let form = recordings::receive(request, &shared.config).await?;
    Ok(Json(shared.desk.enroll_recordings(speaker, form.recordings, form.consent).await?))
}
