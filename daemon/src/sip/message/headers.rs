//! Header lines: framed, unfolded, compact names written out.

use super::super::params::{Fault, is_token, split_list};
use super::{MessageError, Place, Via};
use std::fmt;

/// Most header lines in one message.
pub const MAX_HEADERS: usize = 256;

/// Compact names (RFC 3261 section 20 and the registry of header fields) and what they stand for.
const COMPACT: &[(&str, &str)] = &[
    ("a", "Accept-Contact"),
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("d", "Request-Disposition"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("j", "Reject-Contact"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("n", "Identity-Info"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
    ("x", "Session-Expires"),
    ("y", "Identity"),
];

/// One header line.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
    /// The value as it came, where it is no UTF-8 and `value` shows a replacement.
    raw: Option<Box<[u8]>>,
}

impl Header {
    /// Name, compact forms written out.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Value, unfolded and trimmed.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Value for the wire, byte for byte as it came.
    pub(super) fn wire_value(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.value.as_bytes())
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// All header lines of a message, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Value of the first header `name`, any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|header| header.is(name)).map(Header::value)
    }

    /// Values of all headers `name`, one a line, lists not split.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines(name).map(Header::value)
    }

    /// Elements of all headers `name`, comma-separated lists split.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_list)
    }

    /// Whether a comma-separated header `name` holds `token`, any case, parameters aside.
    pub fn lists_token(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(token))
    }

    /// All lines `name`.
    pub fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Header> {
        self.0.iter().filter(move |header| header.is(name))
    }

    /// All lines.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// The single value of `name`.
    ///
    /// # Errors
    /// [`Fault::Missing`], or [`Fault::Duplicate`] when there are several lines.
    pub(super) fn single(&self, name: &'static str) -> Result<&str, MessageError> {
        self.optional(name)?.ok_or(MessageError::header(name, Fault::Missing))
    }

    /// The value of `name`, of which there may be one line at most.
    ///
    /// # Errors
    /// [`Fault::Duplicate`] when there are several lines.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, MessageError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(MessageError::header(name, Fault::Duplicate)) } else { Ok(first) }
    }

    /// Puts `via` in the place of the top one.
    pub fn replace_top_via(&mut self, via: &Via) {
        if let Some(header) = self.0.iter_mut().find(|header| header.is("Via")) {
            let top = via.to_string();
            let elements = std::iter::once(top.as_str()).chain(split_list(&header.value).skip(1));
            header.value = elements.collect::<Vec<_>>().join(", ");
            header.raw = None;
        }
    }

    /// Reads header lines; `head` ends with the line end of the last one. What could be read is given
    /// back in every case, so that a refusal can still be answered.
    pub fn parse(head: &[u8]) -> (Self, Option<MessageError>) {
        let (mut headers, mut problem) = (Self::default(), None);
        let mut lines = split_lines(head).enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let mut unfolded = line.to_vec();
            while let Some((_, next)) =
                lines.next_if(|(_, next)| next.starts_with(b" ") || next.starts_with(b"\t"))
            {
                unfolded.push(b' ');
                unfolded.extend_from_slice(next.trim_ascii());
            }
            if headers.0.len() == MAX_HEADERS {
                problem = problem.or(Some(MessageError::new(Place::Line(number + 2), Fault::TooLarge)));
                break;
            }
            match parse_line(&unfolded) {
                Ok(header) => headers.0.push(header),
                Err(fault) => problem = problem.or(Some(MessageError::new(Place::Line(number + 2), fault))),
            }
        }
        (headers, problem)
    }
}

/// Names only: values may identify people.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Header::name)).finish()
    }
}

/// The lines of `text`, each ended by CRLF (or, tolerated, by LF alone).
pub(super) fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

fn parse_line(line: &[u8]) -> Result<Header, Fault> {
    let colon = line.iter().position(|&byte| byte == b':').ok_or(Fault::Syntax)?;
    let name = std::str::from_utf8(&line[..colon]).map_err(|_| Fault::Syntax)?.trim_end();
    // A carriage return of its own would split the line of whoever reads our copy of it tolerantly.
    if !is_token(name) || line.contains(&b'\r') {
        return Err(Fault::Syntax);
    }
    let bytes = line[colon + 1..].trim_ascii();
    let value = String::from_utf8_lossy(bytes);
    let raw = matches!(value, std::borrow::Cow::Owned(_)).then(|| bytes.into());
    Ok(Header { name: long_name(name).to_owned(), value: value.into_owned(), raw })
}

fn long_name(name: &str) -> &str {
    let compact = COMPACT.iter().find(|(compact, _)| compact.eq_ignore_ascii_case(name));
    compact.map_or(name, |(_, long)| long)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Headers {
        let (headers, problem) = Headers::parse(text.as_bytes());
        assert_eq!(problem, None);
        headers
    }

    #[test]
    fn folded_lines_and_odd_names_are_read() {
        let headers =
            headers("TO :\r\n sip:a@b ;\r\n\ttag=1\r\ni: x\r\nv: one,\r\n two\r\nVIA : three\r\ns :\r\n");
        assert_eq!(headers.get("to"), Some("sip:a@b ; tag=1"));
        assert_eq!(headers.get("Call-ID"), Some("x"));
        assert_eq!(headers.list("via").collect::<Vec<_>>(), ["one", "two", "three"]);
        assert_eq!(headers.get("subject"), Some(""));
    }

    #[test]
    fn broken_lines_are_named_and_the_others_kept() {
        let (headers, problem) = Headers::parse(b"To: a\r\nno colon here\r\nFrom: b\r\n");
        assert_eq!(problem, Some(MessageError::new(Place::Line(3), Fault::Syntax)));
        assert_eq!((headers.get("To"), headers.get("From")), (Some("a"), Some("b")));
        assert!(Headers::parse(b" starts folded: x\r\n").1.is_some());
        assert!(Headers::parse(b"To: a\rb\r\n").1.is_some());
        assert!(Headers::parse("x: y\r\n".repeat(MAX_HEADERS + 1).as_bytes()).1.is_some());
    }

    #[test]
    fn bytes_that_are_no_utf8_survive_for_the_wire() {
        let (headers, problem) = Headers::parse(b"From: \"J\xfcrgen\" <sip:a@b>\r\n");
        assert_eq!(problem, None);
        assert_eq!(headers.iter().next().unwrap().wire_value(), b"\"J\xfcrgen\" <sip:a@b>");
        assert!(headers.get("From").unwrap().ends_with("<sip:a@b>"));
    }

    #[test]
    fn debug_shows_names_only() {
        assert_eq!(format!("{:?}", headers("From: secret\r\n")), "[\"From\"]");
    }

    #[test]
    fn option_tags_are_found_in_lists() {
        let headers = headers("Supported: timer, replaces\r\nk: 100rel;x=1\r\n");
        assert!(headers.lists_token("Supported", "TIMER") && headers.lists_token("Supported", "100rel"));
        assert!(!headers.lists_token("Supported", "path"));
    }
}
