//! SIP messages: what they say, and how they are written. The only module that knows rsip.
//!
//! rsip refuses a good part of what RFC 3261, 4475 and 5118 call valid: folded headers, white space around
//! separators, methods and schemes it does not know, every IPv6 literal. So a message is framed here, line by
//! line, and rsip reads what it reads well: URIs of the plain kind, and the phrases of status codes. Its reading
//! of a URI counts only if it writes back the same text, case aside; else [`Uri::parse`] decides.

mod build;
mod fields;
mod headers;
mod parse;

pub use build::{Body, Builder};
pub use fields::{CSeq, NameAddr, Via, parse_number};
pub use headers::{Header, Headers, MAX_HEADERS};
pub use parse::{content_length, find_head_end, skip_line_ends};

use super::params::{Fault, Params, is_token};
use super::uri::{Host, Uri, UriParts};
use crate::pii::Pii;
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;

/// Largest message, headers and body: what a UDP datagram can hold.
pub const MAX_MESSAGE: usize = 65_535;

/// A message as it goes over the wire. Its `Debug` shows the length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Wire(Bytes);

impl<T: Into<Bytes>> From<T> for Wire {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Wire {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Where in a message something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first line.
    StartLine,
    /// This header line, counted from 1 at the start line.
    Line(usize),
    /// This header.
    Header(&'static str),
    /// The URI of the request.
    RequestUri,
    /// What follows the headers.
    Body,
    /// The message as a whole.
    Message,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartLine => f.write_str("start line"),
            Self::Line(number) => write!(f, "line {number}"),
            Self::Header(name) => f.write_str(name),
            Self::RequestUri => f.write_str("Request-URI"),
            Self::Body => f.write_str("body"),
            Self::Message => f.write_str("message"),
        }
    }
}

/// Why bytes are no SIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct MessageError {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

impl MessageError {
    /// `fault` at `place`.
    pub const fn new(place: Place, fault: Fault) -> Self {
        Self { place, fault }
    }

    const fn header(name: &'static str, fault: Fault) -> Self {
        Self::new(Place::Header(name), fault)
    }

    /// The status that says so: 505 for a version we do not speak, 413 for too much, else 400.
    pub const fn status(self) -> u16 {
        match self.fault {
            Fault::Version => 505,
            Fault::TooLarge => 413,
            _ => 400,
        }
    }
}

/// Bytes that are no SIP message, with what an answer needs where one is possible.
#[derive(Debug)]
pub struct Refusal {
    /// What is wrong.
    pub error: MessageError,
    /// The headers that could be read, and the top Via if it could; `None` where no answer is possible: a
    /// response, an ACK, or no Via at all.
    pub answer: Option<(Headers, Option<Via>)>,
}

/// Method of a request; case counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Info,
    Update,
    Subscribe,
    Notify,
    /// Any other token.
    Other(String),
}

impl Method {
    /// Reads a method; `None` if it is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let known = [
            Self::Invite,
            Self::Ack,
            Self::Bye,
            Self::Cancel,
            Self::Options,
            Self::Info,
            Self::Update,
            Self::Subscribe,
            Self::Notify,
        ];
        is_token(text).then(|| {
            let known = known.into_iter().find(|method| method.as_str() == text);
            known.unwrap_or_else(|| Self::Other(text.to_owned()))
        })
    }

    /// As it goes on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Other(name) => name,
        }
    }
}

/// What every message has, read.
#[derive(Clone, Debug)]
pub struct Essentials {
    /// Top Via.
    pub via: Via,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID; it may identify a person.
    pub call_id: Pii<String>,
    /// CSeq.
    pub cseq: CSeq,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// The headers that every request has.
    pub essentials: Essentials,
    /// All headers.
    pub headers: Headers,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// Call-ID, for comparing and for the socket; never for a log.
    pub fn call_id(&self) -> &str {
        self.essentials.call_id.reveal()
    }

    /// Content-Type, if there is a body.
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get("Content-Type").filter(|_| !self.body.is_empty())
    }

    /// The URI of the first Contact.
    ///
    /// # Errors
    /// [`MessageError`] where it is missing or none.
    pub fn contact(&self) -> Result<NameAddr, MessageError> {
        let value = self.headers.list("Contact").next();
        let value = value.ok_or(MessageError::header("Contact", Fault::Missing))?;
        NameAddr::parse(value).map_err(|fault| MessageError::header("Contact", fault))
    }

    /// Notes in the top Via where the request really came from.
    pub fn stamp(&mut self, source: SocketAddr) {
        self.essentials.via.stamp(source);
        self.headers.replace_top_via(&self.essentials.via);
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: u16,
    /// The headers that every response has.
    pub essentials: Essentials,
    /// All headers.
    pub headers: Headers,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
}

/// A SIP message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Box<Request>),
    /// A response.
    Response(Box<Response>),
}

/// The usual phrase of a status code: rsip's name for it, in words.
pub fn default_reason(status: u16) -> String {
    let named = rsip::StatusCode::from(status).to_string();
    let name = named.split_once(' ').map_or("", |(_, name)| name);
    let mut reason = String::with_capacity(name.len() + 6);
    for (position, c) in name.char_indices() {
        let next = name[position..].chars().nth(1);
        if position > 0 && c.is_ascii_uppercase() && next.is_some_and(|next| next.is_ascii_lowercase()) {
            reason.push(' ');
        }
        reason.push(c);
    }
    reason
}

/// Reads a URI: rsip the plain ones, [`Uri::parse`] the others.
fn read_uri(text: &str) -> Result<Uri, Fault> {
    match read_plain_uri(text) {
        Some(uri) => Ok(uri),
        None => Uri::parse(text),
    }
}

/// rsip's reading of a `sip:` or `sips:` URI, if it is complete (it writes back the same text, case aside) and the host is one.
fn read_plain_uri(text: &str) -> Option<Uri> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":@;=.-_+".contains(&byte);
    if !text.bytes().all(plain) {
        return None;
    }
    let read = rsip::Uri::try_from(text).ok().filter(|read| read.to_string().eq_ignore_ascii_case(text))?;
    let secure = match read.scheme.as_ref()? {
        rsip::Scheme::Sip => false,
        rsip::Scheme::Sips => true,
        _ => return None,
    };
    let (host, None) = Host::parse_with_port(&read.host().to_string()).ok()? else {
        return None;
    };
    // rsip writes some values in capitals; the text has them as they came, in just as many characters.
    let written: usize = read.params.iter().map(|param| param.to_string().len()).sum();
    Some(Uri::from_parts(
        text,
        UriParts {
            secure,
            user: read.user().map(str::to_owned),
            host,
            port: read.port().map(|port| *port.value()),
            params: Params::parse(&text[text.len() - written..]).ok()?,
        },
    ))
}
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &str = "OPTIONS sip:vouch@192.0.2.1 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK77;rport\r\nMax-Forwards: 70\r\n\
        From: \"Gate\" <sip:gw@192.0.2.7>;tag=a1\r\nTo: <sip:vouch@192.0.2.1>\r\nCall-ID: c1@192.0.2.7\r\n\
        CSeq: 5 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    fn request(text: &str) -> Request {
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => *request,
            other => panic!("no request: {other:?}"),
        }
    }

    fn refusal(text: &str) -> Refusal {
        *Message::parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_request_is_read() {
        let request = request(&format!("\r\n\r\n{OPTIONS}"));
        assert_eq!((&request.method, request.call_id()), (&Method::Options, "c1@192.0.2.7"));
        assert_eq!((request.essentials.from.tag(), request.essentials.to.tag()), (Some("a1"), None));
        assert_eq!(request.essentials.cseq.number, 5);
    }

    #[test]
    fn bodies_end_where_content_length_says() {
        let text = |length: &str, body: &str| {
            OPTIONS.replace("Content-Length: 0\r\n\r\n", &format!("{length}\r\n{body}"))
        };
        assert_eq!(request(&text("l: 4\r\n", "abcdef")).body, b"abcd");
        assert_eq!(request(&text("", "abcdef")).body, b"abcdef");
        let cases = [
            ("l: 7\r\n", MessageError::new(Place::Body, Fault::CutOff)),
            ("l: -1\r\n", MessageError::header("Content-Length", Fault::BadNumber)),
            ("l: 4\r\nl: 5\r\n", MessageError::header("Content-Length", Fault::Duplicate)),
        ];
        for (length, error) in cases {
            let refusal = refusal(&text(length, "abcdef"));
            assert_eq!((refusal.error, refusal.answer.is_some()), (error, true));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_answerable_where_it_can_be() {
        let cases = [
            ("CSeq: 5 OPTIONS", "CSeq: 5 INVITE", "CSeq: method mismatch", 400),
            ("CSeq: 5 OPTIONS\r\n", "", "CSeq: missing", 400),
            ("CSeq: 5", "CSeq: 5 OPTIONS\r\nCSeq: 5", "CSeq: given more than once", 400),
            ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", "start line: version not supported", 505),
            ("sip:vouch@192.0.2.1 ", "<sip:vouch@192.0.2.1> ", "Request-URI: bad character in URI", 400),
            ("sip:vouch@192.0.2.1 ", "sip:v@192.0.2.1?a=b ", "Request-URI: URI headers not allowed", 400),
            ("Max-Forwards: 70", "Max-Forwards: 300", "Max-Forwards: number out of range", 400),
            ("Max-Forwards: 70", "Max-Forwards 70", "line 3: syntax error", 400),
            ("\"Gate\"", "\"Gate", "From: unbalanced quote", 400),
            ("0\r\n\r\n", "0\r\n", "message: message cut off", 400),
        ];
        for (from, to, said, status) in cases {
            let refusal = refusal(&OPTIONS.replacen(from, to, 1));
            assert_eq!((refusal.error.to_string().as_str(), refusal.error.status()), (said, status));
            assert!(refusal.answer.is_some(), "{said}");
        }
    }

    #[test]
    fn responses_acks_and_nonsense_are_not_answerable() {
        let ack = OPTIONS.replace("OPTIONS", "ACK").replacen("CSeq: 5 ACK", "CSeq: x ACK", 1);
        assert!(refusal(&ack).answer.is_none());
        assert!(refusal(&OPTIONS.replacen("Via:", "Vie:", 1)).answer.is_none());
        for line in
            ["SIP/2.0 4294967301 big", "SIP/2.0 99 small", "SIP/2.0", "GET / HTTP/1.1", "OPTIONS sip:a@b", ""]
        {
            let (_, rest) = OPTIONS.split_once("\r\n").unwrap();
            assert!(refusal(&format!("{line}\r\n{rest}")).answer.is_none(), "{line}");
        }
    }

    #[test]
    fn a_response_is_read_with_or_without_a_phrase() {
        for phrase in ["OK", "", " = 2**3 * 5**2 но сто"] {
            let (_, rest) = OPTIONS.split_once("\r\n").unwrap();
            let Ok(Message::Response(response)) =
                Message::parse(format!("SIP/2.0 200 {phrase}\r\n{rest}").as_bytes())
            else {
                panic!("{phrase}");
            };
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn phrases_come_in_words() {
        let cases = [
            (200, "OK"),
            (486, "Busy Here"),
            (415, "Unsupported Media Type"),
            (481, "Call Transaction Does Not Exist"),
        ];
        for (status, reason) in cases {
            assert_eq!(default_reason(status), reason);
        }
    }

    #[test]
    fn rsip_reads_plain_uris_and_leaves_the_others() {
        for text in [
            "sip:vouch@192.0.2.1:5060;transport=tcp;lr",
            "sips:gw.example.com",
            "sip:+1555@gw.example.com;user=phone",
        ] {
            assert_eq!(read_plain_uri(text).as_ref(), Uri::parse(text).ok().as_ref(), "{text}");
            assert!(read_plain_uri(text).is_some(), "{text}");
        }
        for text in ["sip:[2001:db8::1]", "sip:a;b=c%40d@e", "tel:+1555", "sip:a@b c"] {
            assert!(read_plain_uri(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_personal_data() {
        let shown =
            format!("{:?}", request(&OPTIONS.replace("gw@", "+15551230001@").replace("c1@", "15551230001@")));
        assert!(!shown.contains("1555") && !shown.contains("Gate"), "{shown}");
    }

    proptest! {
        #[test]
        fn both_readings_of_a_plain_uri_agree(text in "sips?:([a-z0-9+._-]{1,9}(:[a-z]{1,4})?@)?[a-z0-9.-]{1,12}(:[0-9]{1,6})?(;[a-z]{1,9}(=[a-z0-9.]{1,6})?){0,3}") {
            if let Some(uri) = read_plain_uri(&text) {
                prop_assert_eq!(Ok(uri), Uri::parse(&text));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn damaged_messages_are_read_or_refused(at in 0..OPTIONS.len(), byte: u8, cut in 0..OPTIONS.len()) {
            let mut bytes = OPTIONS.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = Message::parse(&bytes);
            prop_assert!(Message::parse(&OPTIONS.as_bytes()[..cut]).is_err());
        }
    }
}
