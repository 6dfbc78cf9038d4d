//! A client of the socket API.

use super::early::EarlyAnswer;
use super::error::CtlError;
use super::sse::{Message, Parser};
use crate::api::problem::Problem;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the tool waits for an answer unless the request takes longer by itself.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Characters that stand for themselves in a path segment: the unreserved ones of RFC 3986.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one segment of a path, whatever is in it.
pub fn segment(text: &str) -> String {
    // A segment of dots alone would be folded away by anything on the way that normalises paths.
    if text == "." || text == ".." {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, &SEGMENT).to_string()
}

/// What a request carries.
#[derive(Debug, Default)]
pub struct Content {
    media_type: String,
    bytes: Vec<u8>,
}

impl Content {
    /// A JSON value.
    pub fn json<T: serde::Serialize>(value: &T) -> Self {
        // Requests are plain structs: serde_json has no way to fail on them.
        Self { media_type: "application/json".into(), bytes: serde_json::to_vec(value).unwrap_or_default() }
    }

    /// Bytes of a media type.
    pub const fn new(media_type: String, bytes: Vec<u8>) -> Self {
        Self { media_type, bytes }
    }
}

/// A client; opens a connection for each request.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon that listens on `socket`.
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The body of the answer to a request, waiting at most `limit`.
    ///
    /// # Errors
    /// [`CtlError`] names the socket and the cause, or carries the daemon's problem document.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        content: Content,
        limit: Duration,
    ) -> Result<Bytes, CtlError> {
        let request = request(method, path, content);
        let answer = async { whole(self.send(request).await?).await };
        timeout(limit, answer)
            .await
            .unwrap_or_else(|_elapsed| Err(CtlError::Silent { socket: self.socket.clone(), limit }))
    }

    /// The event stream, after event `last` if there is one.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn events(&self, last: Option<u64>) -> Result<Events, CtlError> {
        let mut request = request(Method::GET, "/v1/events", Content::default());
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", last.into());
        }
        let response = self.send(request).await?;
        if !response.status().is_success() {
            whole(response).await?;
            return Err(CtlError::Foreign("an error without a problem document".into()));
        }
        Ok(Events { body: response.into_body(), parser: Parser::default(), ready: VecDeque::new() })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CtlError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(error))?;
        let foreign = |error: hyper::Error| CtlError::Foreign(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(EarlyAnswer::new(stream)))
                .await
                .map_err(foreign)?;
        // Ends with the answer; its error, if any, shows in the answer as well.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(foreign)
    }

    fn unreachable(&self, error: io::Error) -> CtlError {
        let socket = self.socket.clone();
        match error.kind() {
            io::ErrorKind::NotFound => CtlError::NoSocket(socket),
            io::ErrorKind::ConnectionRefused => CtlError::NobodyThere(socket),
            io::ErrorKind::PermissionDenied => {
                let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
                CtlError::NoAccess { socket, user: user.map_or_else(|| "USER".into(), |user| user.name) }
            }
            _ => CtlError::Unreachable { socket, source: error },
        }
    }
}

fn request(method: Method, path: &str, content: Content) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(content.bytes)));
    *request.method_mut() = method;
    // Segments are percent-encoded, so what is left are paths written down in this program.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(HOST, hyper::header::HeaderValue::from_static("vouch"));
    if let (false, Ok(media_type)) = (content.media_type.is_empty(), content.media_type.parse()) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    request
}

/// The whole body of an answer, or the problem it is.
async fn whole(response: Response<Incoming>) -> Result<Bytes, CtlError> {
    let status = response.status();
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| CtlError::Foreign(format!("it broke off: {error}")))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(CtlError::Problem(problem)),
        Err(_) => Err(CtlError::Foreign(format!("status {status} without a problem document"))),
    }
}

/// The event stream.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Message>,
}

impl Events {
    /// The next event; `None` when the daemon closed the stream.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            // A stream that broke is resumed like one that ended.
            let frame = self.body.frame().await?.ok()?;
            if let Some(bytes) = frame.data_ref() {
                self.ready.extend(self.parser.feed(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_segment_is_one_segment_and_decodes_to_the_text(text in "\\PC{1,40}") {
            let encoded = segment(&text);
            prop_assert!(!encoded.contains(['/', '?', '#', ' ']) && encoded != "." && encoded != "..");
            prop_assert_eq!(percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap(), text);
            let path = ["/v1/speakers/", &encoded].concat();
            prop_assert!(path.parse::<hyper::Uri>().is_ok());
        }
    }

    #[test]
    fn dots_alone_do_not_climb() {
        assert_eq!([segment("."), segment(".."), segment("a/b c")], ["%2E", "%2E%2E", "a%2Fb%20c"]);
    }
}
