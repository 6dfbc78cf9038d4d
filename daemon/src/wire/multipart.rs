//! Multipart bodies (RFC 2046 section 5.1), as gateways write them: read in place, nothing copied.
//!
//! The delimiter alone ends a part. A part's own `Content-Length` is not believed: of the gateways seen, some
//! count before they rewrite the body.

use std::str;

/// Longest body that is looked at, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Most parts of one body.
pub const MAX_PARTS: usize = 16;
/// Longest boundary (RFC 2046 section 5.1.1).
pub const MAX_BOUNDARY: usize = 70;

/// Why a multipart body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The `Content-Type` names no usable boundary.
    #[error("the Content-Type of a multipart body needs a boundary of 1 to {MAX_BOUNDARY} characters")]
    NoBoundary,
    /// Over [`MAX_BODY`] bytes.
    #[error("a body of {0} bytes is over the limit of {MAX_BODY}")]
    TooLong(usize),
    /// The boundary never appears at the start of a line.
    #[error("the boundary of the Content-Type does not appear in the body")]
    NoParts,
    /// Over [`MAX_PARTS`] parts.
    #[error("over {MAX_PARTS} parts; one begins at byte {0}")]
    TooManyParts(usize),
}

/// One part of a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    headers: &'a [u8],
    /// What follows the empty line, without the line end that belongs to the delimiter.
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// First line of a header's value, trimmed; names compare without case.
    ///
    /// Continuation lines hold parameters at most, which nothing here reads.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.split(|&byte| byte == b'\n').find_map(|line| {
            let (key, value) = str::from_utf8(line).ok()?.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Media type in lower case without its parameters; `text/plain` where the part names none (RFC 2046
    /// section 5.1).
    pub fn media_type(&self) -> String {
        media_type(self.header("Content-Type").unwrap_or("text/plain"))
    }

    /// Disposition in lower case without its parameters.
    pub fn disposition(&self) -> Option<String> {
        self.header("Content-Disposition").map(media_type)
    }
}

/// The part of a `Content-Type` or `Content-Disposition` before its parameters, in lower case.
pub fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The boundary that a `Content-Type` names, quoted or not.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = parameter_value(after.trim_start());
        if name.trim_matches([';', ' ', '\t']).eq_ignore_ascii_case("boundary") {
            return (1..=MAX_BOUNDARY).contains(&value.len()).then_some(value);
        }
        rest = next;
    }
}

/// Splits a multipart body into its parts, in the order of the body.
///
/// `content_type` is the value of the message's `Content-Type`. A body without a closing delimiter gives its
/// last part up to the end of the body, since gateways leave it out.
///
/// # Errors
/// [`MultipartError`] names the limit or the rule that the body breaks.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, MultipartError> {
    let boundary = boundary(content_type).ok_or(MultipartError::NoBoundary)?;
    if body.len() > MAX_BODY {
        return Err(MultipartError::TooLong(body.len()));
    }
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    for (start, end) in lines(body) {
        let Some(last) = delimiter(&body[start..end], boundary) else { continue };
        if let Some(from) = open.take() {
            found.push(part(&body[from..before_line_end(body, from, start)]));
        }
        if last {
            return if found.is_empty() { Err(MultipartError::NoParts) } else { Ok(found) };
        }
        if found.len() == MAX_PARTS {
            return Err(MultipartError::TooManyParts(end));
        }
        open = Some(end);
    }
    found.push(part(&body[open.ok_or(MultipartError::NoParts)?..]));
    Ok(found)
}

/// Value of a parameter, and what follows it.
fn parameter_value(text: &str) -> (&str, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"').unwrap_or((quoted, ""));
    }
    match text.find(';') {
        Some(at) => (text[..at].trim_end(), &text[at..]),
        None => (text.trim_end(), ""),
    }
}

/// Start and end of each line, the end behind its line feed.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    body.split_inclusive(|&byte| byte == b'\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, at)
    })
}

/// Whether a line is a delimiter, and whether it is the closing one; white space may follow either.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    let (last, padding) = match rest.strip_prefix(b"--") {
        Some(padding) => (true, padding),
        None => (false, rest),
    };
    padding.iter().all(u8::is_ascii_whitespace).then_some(last)
}

/// `end` moved before the line end in front of it, which is part of the delimiter, but not before `start`.
fn before_line_end(body: &[u8], start: usize, end: usize) -> usize {
    let body = &body[start..end];
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    start + body.strip_suffix(b"\r").unwrap_or(body).len()
}

/// Splits a part at its first empty line; a part without one is all headers.
fn part(bytes: &[u8]) -> Part<'_> {
    for (start, end) in lines(bytes) {
        if matches!(&bytes[start..end], b"\n" | b"\r\n") {
            return Part { headers: &bytes[..start], body: &bytes[end..] };
        }
    }
    Part { headers: bytes, body: &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn boundaries_are_found() {
        for (content_type, expected) in [
            ("multipart/mixed;boundary=abc", Some("abc")),
            ("multipart/mixed; boundary=\"a b;c\"", Some("a b;c")),
            ("multipart/mixed; charset=\"x;boundary=no\"; BOUNDARY = abc ; x=y", Some("abc")),
            ("Multipart/Mixed;boundary=\"open", Some("open")),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; charset=x", None),
        ] {
            assert_eq!(boundary(content_type), expected, "{content_type}");
        }
        assert_eq!(boundary(&format!("a/b; boundary={}", "x".repeat(71))), None);
    }

    #[test]
    fn parts_are_read_as_gateways_write_them() {
        let crlf = "preamble\r\n--b\r\nContent-Type: application/sdp\r\nContent-Length: 999\r\n\r\nv=0\r\ns=-\r\n\r\n--b \r\n\
            content-type : application/RS-Metadata+xml;x=y\r\nContent-Disposition:recording-session;a=b\r\n\r\n<a/>\r\n--bb\r\n--b\r\n\r\n\
            \r\n--b\r\nX: y\r\n--b--  \r\nepilogue\r\n--b\r\n";
        for body in [crlf.to_owned(), crlf.replace("\r\n", "\n")] {
            let found = parts("multipart/mixed;boundary=b", body.as_bytes()).unwrap();
            assert_eq!(found.len(), 4);
            assert_eq!(found[0].media_type(), "application/sdp");
            assert!(
                found[0].body.starts_with(b"v=0") && found[0].body.ends_with(b"s=-\r\n")
                    || found[0].body.ends_with(b"s=-\n")
            );
            assert_eq!(found[1].media_type(), "application/rs-metadata+xml");
            assert_eq!(found[1].disposition().as_deref(), Some("recording-session"));
            assert!(
                found[1].body.starts_with(b"<a/>") && found[1].body.ends_with(b"--bb"),
                "a longer boundary is text"
            );
            assert_eq!((found[2].headers, found[2].body), (&b""[..], &b""[..]));
            assert_eq!((found[3].header("x"), found[3].body), (Some("y"), &b""[..]));
        }
    }

    #[test]
    fn a_missing_end_gives_the_rest() {
        let found = parts("m/m; boundary=\"b\"", b"--b\n\none\n--b\n\ntwo").unwrap();
        assert_eq!(found.iter().map(|part| part.body).collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!(found[0].media_type(), "text/plain");
    }

    #[test]
    fn faults_are_named() {
        let many = "--b\n\n\n".repeat(MAX_PARTS + 1);
        for (content_type, body, expected) in [
            ("multipart/mixed", "--b\n", MultipartError::NoBoundary),
            ("m/m;boundary=b", "", MultipartError::NoParts),
            ("m/m;boundary=b", " --b\n\nx\n", MultipartError::NoParts),
            ("m/m;boundary=b", "--b--\n", MultipartError::NoParts),
            ("m/m;boundary=b", many.as_str(), MultipartError::TooManyParts(many.len() - 2)),
        ] {
            assert_eq!(parts(content_type, body.as_bytes()), Err(expected), "{body:?}");
        }
        let long = vec![b'x'; MAX_BODY + 1];
        assert_eq!(parts("m/m;boundary=b", &long), Err(MultipartError::TooLong(MAX_BODY + 1)));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(
            content_type in ".{0,80}",
            body in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let _ = parts(&content_type, &body);
        }

        #[test]
        fn what_is_written_is_read(
            bodies in proptest::collection::vec("[^-\r]{0,40}", 1..MAX_PARTS),
            cut in 0_usize..400,
        ) {
            let mut text = String::new();
            for body in &bodies {
                text.push_str(&format!("--b\r\nContent-Type: a/b\r\n\r\n{body}\r\n"));
            }
            text.push_str("--b--\r\n");
            let found = parts("m/m;boundary=b", text.as_bytes()).unwrap();
            prop_assert!(found.iter().map(|part| part.body).eq(bodies.iter().map(|body| body.as_bytes())));
            let cut = cut.min(text.len());
            if let Ok(some) = parts("m/m;boundary=b", &text.as_bytes()[..cut]) {
                // Cut inside the closing delimiter, it may open one more, empty part.
                prop_assert!(some.len() <= found.len() + 1);
            }
        }
    }
}
