//! Recordings that come in a form, `multipart/form-data` as `curl -F` sends it.

use super::ApiConfig;
use super::body::{media_type, read};
use super::calls::checked_consent;
use super::problem::{Kind, Problem};
use crate::audio::{AudioFault, MAX_SAMPLES, Recording};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header;
use futures_util::stream;
use multer::Multipart;
use std::convert::Infallible;
use utoipa::ToSchema;

/// Uploads taken at once.
pub(super) const AT_ONCE: usize = 2;
/// Most recordings of one form.
const MAX_RECORDINGS: usize = 32;

/// What the form holds, for the documents.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; the parts are read one by one")]
pub(super) struct RecordingForm {
    /// Recordings of the speaker alone: WAV (PCM, mu-law, A-law) or FLAC.
    #[schema(value_type = Vec<String>, content_media_type = "audio/wav")]
    recording: Vec<Vec<u8>>,
    /// Reference of the speaker's consent.
    consent: Option<String>,
}

/// A form, decoded.
pub(super) struct Form {
    pub(super) recordings: Vec<Recording>,
    pub(super) consent: Option<String>,
}

/// Reads and decodes the form of `request`.
pub(super) async fn receive(request: Request, config: &ApiConfig) -> Result<Form, Problem> {
    let (parts, body) = request.into_parts();
    let boundary = parts
        .headers
        .get(header::CONTENT_TYPE)
        .filter(|_| media_type(&parts.headers) == "multipart/form-data")
        .and_then(|value| multer::parse_boundary(value.to_str().ok()?).ok())
        .ok_or_else(|| {
            let detail = "recordings come as `multipart/form-data` in parts named `recording`, as `curl -F` sends them";
            Problem::new(Kind::UnsupportedMediaType, detail)
        })?;
    let body = read(body, config.max_upload, config.client_deadline).await?;
    let files = split(body, boundary).await?;
    // Decoding is work for a processor, not for the runtime.
    let recordings = tokio::task::spawn_blocking(|| decode_all(files.recordings)).await;
    let recordings =
        recordings.map_err(|_| Problem::new(Kind::Internal, "decoding failed; see the log"))??;
    Ok(Form { recordings, consent: files.consent })
}

/// The parts of a form, as they came.
#[derive(Debug)]
struct Files {
    recordings: Vec<Bytes>,
    consent: Option<String>,
}

async fn split(body: Bytes, boundary: String) -> Result<Files, Problem> {
    let damaged = |error: multer::Error| Problem::new(Kind::Invalid, format!("the form is damaged: {error}"));
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut files = Files { recordings: Vec::new(), consent: None };
    while let Some(part) = form.next_field().await.map_err(damaged)? {
        match part.name() {
            Some("recording") if files.recordings.len() < MAX_RECORDINGS => {
                files.recordings.push(part.bytes().await.map_err(damaged)?);
            }
            Some("recording") => {
                let detail = format!("at most {MAX_RECORDINGS} recordings are taken at once");
                return Err(Problem::new(Kind::Invalid, detail));
            }
            Some("consent") => {
                files.consent = Some(checked_consent(part.text().await.map_err(damaged)?)?);
            }
            _ => {
                let detail = "the form has a part that is neither `recording` nor `consent`";
                return Err(Problem::new(Kind::Invalid, detail));
            }
        }
    }
    if files.recordings.is_empty() {
        return Err(Problem::new(Kind::Invalid, "the form has no part named `recording`"));
    }
    Ok(files)
}

fn decode_all(files: Vec<Bytes>) -> Result<Vec<Recording>, Problem> {
    let (mut recordings, mut samples) = (Vec::with_capacity(files.len()), 0);
    for (number, file) in files.into_iter().enumerate() {
        let unusable =
            |fault| Problem::new(Kind::UnusableRecording, format!("recording {} {fault}", number + 1));
        let recording = Recording::decode(file.into()).map_err(unusable)?;
        // Silence packs so well that a small upload may hold days of it.
        samples += recording.pcm.len();
        if samples > MAX_SAMPLES {
            return Err(unusable(AudioFault::TooLong));
        }
        recordings.push(recording);
    }
    Ok(recordings)
}
