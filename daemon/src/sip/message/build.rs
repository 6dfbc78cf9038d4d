//! Writing messages.

use super::{Essentials, Headers, Method, Wire, default_reason};
use std::fmt;

/// A body and its type.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Value of Content-Type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A body of the given type.
    pub fn new(content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.to_owned(), bytes: bytes.into() }
    }
}

/// Type and length only.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// Writes one message, header by header. Control characters in a value become spaces, so that no value can add
/// a line.
#[derive(Debug)]
pub struct Builder {
    out: Vec<u8>,
}

impl Builder {
    /// Starts a response; without `reason`, with the usual phrase.
    pub fn response(status: u16, reason: Option<&str>) -> Self {
        let mut builder = Self { out: Vec::with_capacity(1024) };
        builder.out.extend_from_slice(format!("SIP/2.0 {status} ").as_bytes());
        match reason {
            Some(reason) => builder.push_value(reason.as_bytes()),
            None => builder.push_value(default_reason(status).as_bytes()),
        }
        builder.end_line()
    }

    /// Starts a request to `uri`.
    pub fn request(method: &Method, uri: &str) -> Self {
        let mut builder = Self { out: Vec::with_capacity(1024) };
        builder.out.extend_from_slice(method.as_str().as_bytes());
        builder.out.push(b' ');
        builder.push_value(uri.as_bytes());
        builder.out.extend_from_slice(b" SIP/2.0");
        builder.end_line()
    }

    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.line(name, value.as_bytes())
    }

    /// Adds several headers.
    #[must_use]
    pub fn headers(self, headers: &[(String, String)]) -> Self {
        headers.iter().fold(self, |builder, (name, value)| builder.header(name, value))
    }

    /// Copies all headers `name` of a message, byte for byte.
    #[must_use]
    pub fn copy(self, headers: &Headers, name: &str) -> Self {
        headers.lines(name).fold(self, |builder, header| builder.line(header.name(), header.wire_value()))
    }

    /// Copies what a response takes over from its request (RFC 3261 section 8.2.6.2), adding `tag` to a To
    /// that has none. `essentials` is absent where the request was too broken to read.
    #[must_use]
    pub fn echo(mut self, headers: &Headers, essentials: Option<&Essentials>, tag: &str) -> Self {
        self = self.copy(headers, "Via").copy(headers, "From");
        let tagged = match essentials {
            Some(essentials) => essentials.to.tag().is_some(),
            None => headers.get("To").is_some_and(|to| to.contains("tag=")),
        };
        if tagged {
            self = self.copy(headers, "To");
        } else if let Some(to) = headers.lines("To").next() {
            let to = to.wire_value();
            // Some end it with a semicolon; two are none.
            let mut value = to.strip_suffix(b";").unwrap_or(to).to_vec();
            value.extend_from_slice(b";tag=");
            value.extend_from_slice(tag.as_bytes());
            self = self.line("To", &value);
        }
        self.copy(headers, "Call-ID").copy(headers, "CSeq")
    }

    /// Ends the message.
    pub fn finish(self, body: Option<&Body>) -> Wire {
        let length = body.map_or(0, |body| body.bytes.len()).to_string();
        let typed = match body {
            Some(body) => self.header("Content-Type", &body.content_type),
            None => self,
        };
        let mut out = typed.header("Content-Length", &length).end_line().out;
        if let Some(body) = body {
            out.extend_from_slice(&body.bytes);
        }
        out.into()
    }

    fn line(mut self, name: &str, value: &[u8]) -> Self {
        self.push_value(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.push_value(value);
        self.end_line()
    }

    fn end_line(mut self) -> Self {
        self.out.extend_from_slice(b"\r\n");
        self
    }

    fn push_value(&mut self, value: &[u8]) {
        let visible = value.iter().map(|&byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte });
        self.out.extend(visible);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use proptest::prelude::*;

    fn essentials(builder: Builder, from: &str) -> Builder {
        builder
            .header("Via", "SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1")
            .header("From", from)
            .header("To", "<sip:b@c>;tag=2")
            .header("Call-ID", "x")
            .header("CSeq", "1 INFO")
    }

    #[test]
    fn values_cannot_add_lines() {
        let builder = Builder::request(&Method::Info, "sip:a@b").header("X-Test", "one\r\nTo: evil");
        let bytes = essentials(builder, "<sip:a@b>;tag=1").finish(None);
        let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("{:?}", &bytes[..]) };
        assert_eq!(request.headers.get("X-Test"), Some("one  To: evil"));
    }

    #[test]
    fn an_echo_adds_the_tag_once_and_keeps_bytes() {
        let text = b"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b\r\nv: SIP/2.0/TCP c\r\n\
            f: \"J\xfcrg\" <sip:a@b>;tag=1\r\nt: <sip:b@c>\r\ni: x\r\nCSeq: 1 INFO\r\n\r\n";
        let Ok(Message::Request(request)) = Message::parse(text) else { panic!("no request") };
        let bytes =
            Builder::response(200, None).echo(&request.headers, Some(&request.essentials), "9").finish(None);
        let expected =
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b\r\nVia: SIP/2.0/TCP c\r\n\
            From: \"J\xfcrg\" <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=9\r\nCall-ID: x\r\nCSeq: 1 INFO\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(&bytes[..], &expected[..]);
        let Ok(Message::Response(response)) = Message::parse(&bytes) else { panic!("no response") };
        assert_eq!(response.essentials.to.tag(), Some("9"));
    }

    #[test]
    fn a_semicolon_at_the_end_of_a_to_makes_no_empty_parameter() {
        let text =
            b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
            To: sip:b@c;\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
        let Ok(Message::Request(request)) = Message::parse(text) else { panic!("no request") };
        let bytes =
            Builder::response(200, None).echo(&request.headers, Some(&request.essentials), "9").finish(None);
        let Ok(Message::Response(response)) = Message::parse(&bytes) else { panic!("no response") };
        assert_eq!(response.headers.get("To"), Some("sip:b@c;tag=9"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in "\\PC{0,20}", value in "\\PC{0,40}", body in prop::collection::vec(any::<u8>(), 0..50)) {
            let from = format!("\"{}\" <sip:a@b>;tag=1", name.replace(['"', '\\'], ""));
            let builder = essentials(Builder::request(&Method::Info, "sip:a@[2001:db8::1]"), &from).header("X-Test", &value);
            let bytes = builder.finish(Some(&Body::new("text/plain", body.clone())));
            let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("{:?}", &bytes[..]) };
            prop_assert_eq!(request.headers.get("X-Test"), Some(value.trim_matches(|c: char| c.is_ascii_whitespace())));
            prop_assert_eq!(&request.body, &body);
        }
    }
}
