//! Errors as problem documents (RFC 9457).

use crate::ask::AskError;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Content type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong, as a problem document of RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable name of the kind of problem, such as `urn:vouch:problem:no-such-call`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The kind of problem in words.
    pub title: Cow<'static, str>,
    /// Status code of the answer.
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
}

impl Problem {
    /// A problem of `kind`; `detail` goes to the asker only, never to a log.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (name, title, status) = kind.describe();
        Self { kind: name.into(), title: title.into(), status: status.as_u16(), detail: detail.into() }
    }

    /// Whether this is a problem of `kind`.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind.describe().0
    }
}

/// The kinds of problem; their names and status codes never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not understood.
    Invalid,
    /// The role of the peer does not allow it.
    Forbidden,
    /// No such route.
    NoSuchRoute,
    /// No such call.
    NoSuchCall,
    /// No such speaker.
    NoSuchSpeaker,
    /// No such capture device.
    NoSuchDevice,
    /// The route has no such method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The call or speaker is in a state that does not allow it.
    Conflict,
    /// The call has no speaker id.
    NoSpeakerId,
    /// The speaker opted out.
    OptedOut,
    /// A consent reference is required.
    ConsentRequired,
    /// The body is too large.
    TooLarge,
    /// The body is of a type that the route does not take.
    UnsupportedMediaType,
    /// The recordings cannot be used.
    UnusableRecording,
    /// A bug.
    Internal,
    /// The store failed.
    StoreFault,
    /// Too many connections, streams or uploads at once.
    Busy,
    /// The daemon took too long.
    Overdue,
    /// The daemon is stopping.
    Stopping,
}

impl Kind {
    /// Every kind, for the documents.
    pub const ALL: [Self; 20] = [
        Self::Invalid,
        Self::Forbidden,
        Self::NoSuchRoute,
        Self::NoSuchCall,
        Self::NoSuchSpeaker,
        Self::NoSuchDevice,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::NoSpeakerId,
        Self::OptedOut,
        Self::ConsentRequired,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::UnusableRecording,
        Self::Internal,
        Self::StoreFault,
        Self::Busy,
        Self::Overdue,
        Self::Stopping,
    ];

    /// Type, title and status code.
    pub const fn describe(self) -> (&'static str, &'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::Invalid => ("urn:vouch:problem:invalid", "The request is not understood", S::BAD_REQUEST),
            Self::Forbidden => ("urn:vouch:problem:forbidden", "Not allowed", S::FORBIDDEN),
            Self::NoSuchRoute => ("urn:vouch:problem:no-such-route", "No such route", S::NOT_FOUND),
            Self::NoSuchCall => ("urn:vouch:problem:no-such-call", "No such call", S::NOT_FOUND),
            Self::NoSuchSpeaker => ("urn:vouch:problem:no-such-speaker", "No such speaker", S::NOT_FOUND),
            Self::NoSuchDevice => ("urn:vouch:problem:no-such-device", "No such device", S::NOT_FOUND),
            Self::MethodNotAllowed => (
                "urn:vouch:problem:method-not-allowed",
                "The route has no such method",
                S::METHOD_NOT_ALLOWED,
            ),
            Self::RequestTimeout => {
                ("urn:vouch:problem:request-timeout", "The request took too long", S::REQUEST_TIMEOUT)
            }
            Self::Conflict => ("urn:vouch:problem:conflict", "Not possible now", S::CONFLICT),
            Self::NoSpeakerId => ("urn:vouch:problem:no-speaker-id", "No speaker id", S::CONFLICT),
            Self::OptedOut => ("urn:vouch:problem:opted-out", "The speaker opted out", S::CONFLICT),
            Self::ConsentRequired => ("urn:vouch:problem:consent-required", "Consent required", S::CONFLICT),
            Self::TooLarge => ("urn:vouch:problem:too-large", "The body is too large", S::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => {
                ("urn:vouch:problem:unsupported-media-type", "Wrong type of body", S::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::UnusableRecording => {
                ("urn:vouch:problem:unusable-recording", "Unusable recording", S::UNPROCESSABLE_ENTITY)
            }
            Self::Internal => ("urn:vouch:problem:internal", "Internal error", S::INTERNAL_SERVER_ERROR),
            Self::StoreFault => {
                ("urn:vouch:problem:store-fault", "The store failed", S::INTERNAL_SERVER_ERROR)
            }
            Self::Busy => ("urn:vouch:problem:busy", "Too much at once", S::SERVICE_UNAVAILABLE),
            Self::Overdue => ("urn:vouch:problem:overdue", "No answer in time", S::SERVICE_UNAVAILABLE),
            Self::Stopping => {
                ("urn:vouch:problem:stopping", "The daemon is stopping", S::SERVICE_UNAVAILABLE)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], self.json()).into_response()
    }
}

impl Problem {
    /// The document itself.
    pub fn json(&self) -> String {
        // Four fields of text and number: serde_json has no way to fail on them.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let kind = match &error {
            AskError::NoSuchCall => Kind::NoSuchCall,
            AskError::NoSuchSpeaker => Kind::NoSuchSpeaker,
            AskError::NoSuchDevice => Kind::NoSuchDevice,
            AskError::NoSpeakerId => Kind::NoSpeakerId,
            AskError::OptedOut => Kind::OptedOut,
            AskError::ConsentRequired => Kind::ConsentRequired,
            AskError::Conflict(_) => Kind::Conflict,
            AskError::Invalid(_) => Kind::Invalid,
            AskError::Store(_) => Kind::StoreFault,
            AskError::Stopping => Kind::Stopping,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Kind::Invalid, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Kind::Invalid, rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_error_codes() {
        let mut names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.describe().0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let (name, title, status) = kind.describe();
            assert!(name.starts_with("urn:vouch:problem:") && !title.is_empty());
            assert!(status.is_client_error() || status.is_server_error());
        }
    }

    #[test]
    fn a_problem_is_a_document_and_back() {
        let problem = Problem::from(AskError::Conflict("the call has ended".into()));
        let json = problem.json();
        assert!(json.contains(r#""type":"urn:vouch:problem:conflict""#), "{json}");
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
        assert!(problem.is(Kind::Conflict) && !problem.is(Kind::OptedOut));
    }
}
