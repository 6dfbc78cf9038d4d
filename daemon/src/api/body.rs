//! Reading what a request brings: path, query, JSON.

use super::Shared;
use super::problem::{Kind, Problem};
use crate::pii::SpeakerId;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Longest name of a call in a path, in bytes; SIP Call-IDs are shorter in practice.
const MAX_CALL_ID: usize = 512;

/// The call that a path names.
pub(super) struct CallPath(pub(super) String);

impl FromRequestParts<Arc<Shared>> for CallPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let Path(call) = Path::<String>::from_request_parts(parts, shared).await?;
        if call.len() > MAX_CALL_ID {
            return Err(Problem::new(Kind::NoSuchCall, "no call has an id that long"));
        }
        Ok(Self(call))
    }
}

/// The speaker that a path names.
pub(super) struct SpeakerPath(pub(super) SpeakerId);

impl FromRequestParts<Arc<Shared>> for SpeakerPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let Path(speaker) = Path::<String>::from_request_parts(parts, shared).await?;
        speaker_id(&speaker).map(Self)
    }
}

/// A checked speaker id.
pub(super) fn speaker_id(text: &str) -> Result<SpeakerId, Problem> {
    SpeakerId::new(text).map_err(|error| Problem::new(Kind::Invalid, error.to_string()))
}

/// A JSON object; an empty body and `null` stand for `{}`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, shared.config.max_json, shared.config.client_deadline).await?;
        if matches!(bytes.trim_ascii(), b"" | b"null") {
            return parse(b"{}").map(Self);
        }
        if media_type(&parts.headers) != "application/json" {
            let detail = "the body must be JSON, with `Content-Type: application/json`";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        parse(&bytes).map(Self)
    }
}

/// Type and subtype of the body, without parameters and in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The whole body, if it has at most `limit` bytes and arrives within `deadline`.
pub(super) async fn read(body: Body, limit: usize, deadline: Duration) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(deadline, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::new(Kind::TooLarge, format!("at most {limit} bytes are taken here")))
        }
        Ok(Err(error)) => Err(Problem::new(Kind::Invalid, format!("the body is damaged: {error}"))),
        Err(_elapsed) => {
            let detail = format!("the body did not arrive within {} s", deadline.as_secs_f32());
            Err(Problem::new(Kind::RequestTimeout, detail))
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| Problem::new(Kind::Invalid, error.to_string()))
}
