//! Reading messages: the frame, and what every message must have.

use super::super::params::Fault;
use super::headers::Headers;
use super::{
    CSeq, Essentials, MAX_MESSAGE, Message, MessageError, Method, NameAddr, Place, Refusal, Request,
    Response, Via, parse_number, read_uri,
};
use crate::pii::Pii;
use crate::sip::uri::Uri;

impl Message {
    /// Reads one message: the content of a datagram, or what [`stream`](crate::sip::stream) cut out of a stream.
    ///
    /// Line ends before it are skipped, bytes behind the body that Content-Length announces are ignored, as RFC
    /// 3261 section 18.3 says. Without Content-Length the body is all that follows.
    ///
    /// # Errors
    /// [`Refusal`], with what an answer needs where the bytes were a request that can be answered.
    pub fn parse(bytes: &[u8]) -> Result<Self, Box<Refusal>> {
        let refuse =
            |place, fault| Box::new(Refusal { error: MessageError::new(place, fault), answer: None });
        let bytes = skip_line_ends(bytes);
        if bytes.len() > MAX_MESSAGE {
            return Err(refuse(Place::Message, Fault::TooLarge));
        }
        let (head, rest, complete) = match find_head_end(bytes) {
            Some(end) => (&bytes[..end], &bytes[end..], true),
            None => (bytes, &bytes[..0], false),
        };
        let first_end = head.iter().position(|&byte| byte == b'\n').map_or(head.len(), |end| end + 1);
        let (first, head) = head.split_at(first_end);
        let start = parse_start_line(first).map_err(|fault| refuse(Place::StartLine, fault))?;
        let (headers, mut problem) = Headers::parse(head.strip_suffix(b"\n").map_or(head, strip_blank));
        if !complete {
            problem = Some(MessageError::new(Place::Message, Fault::CutOff));
        }
        match problem.map_or_else(|| Content::read(&start, &headers, rest), Err) {
            Ok(content) => Ok(content.with(headers)),
            Err(error) => Err(Box::new(Refusal { error, answer: start.answer(headers) })),
        }
    }
}

/// Position behind the empty line that ends the headers; `None` until it is there.
pub fn find_head_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(position) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        let line_end = from + position;
        match bytes.get(line_end + 1..) {
            Some([b'\n', ..]) => return Some(line_end + 2),
            Some([b'\r', b'\n', ..]) => return Some(line_end + 3),
            _ => from = line_end + 1,
        }
    }
    None
}

/// `bytes` without the line ends that keep a connection alive (RFC 3261 section 7.5).
pub fn skip_line_ends(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

/// Length of the body as the headers announce it.
///
/// # Errors
/// [`MessageError`] where Content-Length is no number or given twice.
pub fn content_length(headers: &Headers) -> Result<Option<usize>, MessageError> {
    let Some(value) = headers.optional("Content-Length")? else {
        return Ok(None);
    };
    let length =
        parse_number(value, u32::MAX).map_err(|fault| MessageError::header("Content-Length", fault))?;
    Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
}
/// What a message says besides its headers.
struct Content {
    kind: Kind,
    essentials: Essentials,
    body: Vec<u8>,
}

enum Kind {
    Request(Method, Uri),
    Response(u16),
}

impl Content {
    fn read(start: &StartLine<'_>, headers: &Headers, rest: &[u8]) -> Result<Self, MessageError> {
        let body = take_body(headers, rest)?.to_vec();
        let kind = start.read()?;
        let essentials = parse_essentials(headers)?;
        if let Kind::Request(method, _) = &kind {
            if essentials.cseq.method != *method {
                return Err(MessageError::header("CSeq", Fault::MethodMismatch));
            }
            check_max_forwards(headers)?;
        }
        Ok(Self { kind, essentials, body })
    }

    fn with(self, headers: Headers) -> Message {
        let Self { kind, essentials, body } = self;
        match kind {
            Kind::Request(method, uri) => {
                Message::Request(Box::new(Request { method, uri, essentials, headers, body }))
            }
            Kind::Response(status) => {
                Message::Response(Box::new(Response { status, essentials, headers, body }))
            }
        }
    }
}

enum StartLine<'a> {
    Request { method: &'a str, uri: &'a str, version: &'a str },
    Response { version: &'a str, status: &'a str },
}

impl StartLine<'_> {
    fn read(&self) -> Result<Kind, MessageError> {
        let error = |fault| MessageError::new(Place::StartLine, fault);
        match self {
            Self::Response { version, status } => {
                check_version(version)?;
                let status = parse_number(status, 699).ok().and_then(|status| u16::try_from(status).ok());
                let status = status.filter(|&status| status >= 100).ok_or(error(Fault::BadNumber))?;
                Ok(Kind::Response(status))
            }
            Self::Request { method, uri, version } => {
                check_version(version)?;
                let method = Method::parse(method).ok_or(error(Fault::BadMethod))?;
                let uri = read_uri(uri).map_err(|fault| MessageError::new(Place::RequestUri, fault))?;
                if uri.has_headers() {
                    return Err(MessageError::new(Place::RequestUri, Fault::UriHeaders));
                }
                Ok(Kind::Request(method, uri))
            }
        }
    }

    fn answer(&self, headers: Headers) -> Option<(Headers, Option<Via>)> {
        match self {
            Self::Response { .. } | Self::Request { method: "ACK", .. } => None,
            Self::Request { .. } => {
                let via = Via::parse(headers.list("Via").next()?).ok();
                Some((headers, via))
            }
        }
    }
}

/// Splits the first line; more than one space between its parts, and spaces behind it, are tolerated.
fn parse_start_line(line: &[u8]) -> Result<StartLine<'_>, Fault> {
    let line = std::str::from_utf8(line).map_err(|_| Fault::Syntax)?.trim_end();
    if line.starts_with("SIP/") {
        let (version, rest) = line.split_once(' ').ok_or(Fault::Syntax)?;
        return Ok(StartLine::Response { version, status: rest.split(' ').next().unwrap_or_default() });
    }
    let (method, rest) = line.split_once(' ').ok_or(Fault::Syntax)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(Fault::Syntax)?;
    if version.len() < 4 || !version.as_bytes()[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(Fault::Syntax);
    }
    Ok(StartLine::Request { method, uri: uri.trim(), version })
}

/// Takes the empty line off the headers, its line feed being gone already.
fn strip_blank(head: &[u8]) -> &[u8] {
    head.strip_suffix(b"\r").unwrap_or(head)
}

fn check_version(version: &str) -> Result<(), MessageError> {
    if version.eq_ignore_ascii_case("SIP/2.0") {
        Ok(())
    } else {
        Err(MessageError::new(Place::StartLine, Fault::Version))
    }
}

fn check_max_forwards(headers: &Headers) -> Result<(), MessageError> {
    match headers.optional("Max-Forwards")? {
        Some(value) => {
            parse_number(value, 255).map(|_| ()).map_err(|fault| MessageError::header("Max-Forwards", fault))
        }
        None => Ok(()),
    }
}

fn parse_essentials(headers: &Headers) -> Result<Essentials, MessageError> {
    let address = |name| {
        let value = headers.single(name)?;
        NameAddr::parse(value).map_err(|fault| MessageError::header(name, fault))
    };
    let mut vias = headers.list("Via").map(Via::parse);
    let top = vias.next().unwrap_or(Err(Fault::Missing));
    let via = top.map_err(|fault| MessageError::header("Via", fault))?;
    let call_id = headers.single("Call-ID")?;
    if call_id.is_empty() {
        return Err(MessageError::header("Call-ID", Fault::Empty));
    }
    // It must come out of our hands as it went in, or the peer would not know its own call.
    if call_id.chars().any(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(MessageError::header("Call-ID", Fault::Syntax));
    }
    let cseq = CSeq::parse(headers.single("CSeq")?).map_err(|fault| MessageError::header("CSeq", fault))?;
    Ok(Essentials {
        via,
        from: address("From")?,
        to: address("To")?,
        call_id: Pii::new(call_id.to_owned()),
        cseq,
    })
}

fn take_body<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], MessageError> {
    match content_length(headers)? {
        None => Ok(rest),
        Some(length) if length > MAX_MESSAGE => Err(MessageError::new(Place::Body, Fault::TooLarge)),
        Some(length) => rest.get(..length).ok_or(MessageError::new(Place::Body, Fault::CutOff)),
    }
}
