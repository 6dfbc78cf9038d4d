//! Reading: a tolerant first pass over the lines, then `sdp-types`, then our own types.

use super::{
    Crypto, Description, Direction, Format, MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_SDP, Media, engine,
};
use sdp_types::ParserError;
use std::net::IpAddr;
use std::str;

/// Why a description could not be read. Holds no text of the description, which may name people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Over [`MAX_SDP`] bytes.
    #[error("a description of {0} bytes is over the limit of {MAX_SDP}")]
    TooLong(usize),
    /// Over [`MAX_LINES`] lines.
    #[error("over {MAX_LINES} lines")]
    TooManyLines,
    /// Over [`MAX_MEDIA`] media lines.
    #[error("line {0}: over {MAX_MEDIA} m= lines")]
    TooManyMedia(usize),
    /// Over [`MAX_FORMATS`] formats.
    #[error("line {0}: over {MAX_FORMATS} formats in an m= line")]
    TooManyFormats(usize),
    /// It does not begin with a version line.
    #[error("line 1: a description begins with v=0")]
    NoVersion,
    /// A line cannot be read.
    #[error("line {line}: {field}: {trouble}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Part of the line.
        field: &'static str,
        /// What is wrong with it.
        trouble: Trouble,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Not in the format of RFC 8866.
    #[error("malformed")]
    Format,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// Not there.
    #[error("missing")]
    Missing,
    /// Followed by something that does not belong there.
    #[error("followed by more than belongs there")]
    Trailing,
    /// There twice.
    #[error("there twice")]
    Repeated,
}

/// Attributes that are read; all others are skipped, whatever they hold.
const ATTRIBUTES: [&str; 11] = [
    "rtpmap",
    "fmtp",
    "ptime",
    "rtcp",
    "label",
    "crypto",
    "fingerprint",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
];

/// Most `a=crypto` lines of one `m=` line.
const MAX_CRYPTO: usize = 32;

/// Encodings of static payload types (RFC 3551 section 6, and 19, which older gateways use for comfort
/// noise).
const STATIC: [(u8, &str); 11] = [
    (0, "PCMU"),
    (3, "GSM"),
    (4, "G723"),
    (5, "DVI4"),
    (7, "LPC"),
    (8, "PCMA"),
    (9, "G722"),
    (13, "CN"),
    (15, "G728"),
    (18, "G729"),
    (19, "CN"),
];

/// Reads a description; see [`Description::parse`].
pub(super) fn description(bytes: &[u8]) -> Result<Description, SdpError> {
    if bytes.len() > MAX_SDP {
        return Err(SdpError::TooLong(bytes.len()));
    }
    let session = engine::Session::parse(&used_lines(bytes)?).map_err(|error| refuse(&error))?;
    let direction = direction(&session.attributes).unwrap_or_default();
    let address = session.connection.as_ref().and_then(usable_address);
    let dtls = value(&session.attributes, "fingerprint").is_some();
    let media = session.medias.iter().map(|line| media(line, direction, address, dtls)).collect();
    Ok(Description { media })
}

/// The lines that Vouch uses, with plain line ends, the others as empty lines, so that line numbers stay.
fn used_lines(bytes: &[u8]) -> Result<Vec<u8>, SdpError> {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    let mut media_lines = 0;
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if index == MAX_LINES {
            return Err(SdpError::TooManyLines);
        }
        let line = line.trim_ascii();
        match line {
            [b'm', b'=', ..] => {
                media_lines += 1;
                if media_lines > MAX_MEDIA {
                    return Err(SdpError::TooManyMedia(index + 1));
                }
                media_line(line, index + 1, &mut out)?;
            }
            [b'v' | b'c', b'=', ..] => out.extend_from_slice(line),
            [b'a', b'=', attribute @ ..] if is_used(attribute) => out.extend_from_slice(line),
            _ => {}
        }
        out.push(b'\n');
    }
    Ok(out)
}

/// Copies an `m=` line with single blanks.
fn media_line(line: &[u8], number: usize, out: &mut Vec<u8>) -> Result<(), SdpError> {
    let fields = line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    for (index, field) in fields.enumerate() {
        // media, port and transport stand before the formats.
        if index == 3 + MAX_FORMATS {
            return Err(SdpError::TooManyFormats(number));
        }
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(field);
    }
    Ok(())
}

fn is_used(attribute: &[u8]) -> bool {
    let name = attribute.split(|&byte| byte == b':').next().unwrap_or_default();
    ATTRIBUTES.iter().any(|used| name.eq_ignore_ascii_case(used.as_bytes()))
        && str::from_utf8(attribute).is_ok()
}

fn media(
    line: &engine::Media,
    direction_above: Direction,
    address_above: Option<IpAddr>,
    dtls_above: bool,
) -> Media {
    let mut media = Media {
        kind: line.media.to_ascii_lowercase(),
        port: line.port,
        protocol: line.proto.clone(),
        formats: line.fmt.split_ascii_whitespace().map(str::to_owned).collect(),
        payloads: Vec::new(),
        // A c= line of the media replaces that of the session even where it names no usable address.
        address: line.connections.first().map_or(address_above, usable_address),
        rtcp: value(&line.attributes, "rtcp").and_then(rtcp),
        direction: direction(&line.attributes).unwrap_or(direction_above),
        label: value(&line.attributes, "label")
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty()),
        ptime_ms: value(&line.attributes, "ptime").and_then(whole_milliseconds),
        crypto: values(&line.attributes, "crypto").take(MAX_CRYPTO).map(Crypto::parse).collect(),
        has_fingerprint: dtls_above || value(&line.attributes, "fingerprint").is_some(),
    };
    if media.transport() != super::Transport::Other {
        media.payloads =
            media.formats.iter().filter_map(|format| payload(format, &line.attributes)).collect();
    }
    media
}

fn payload(format: &str, attributes: &[engine::Attribute]) -> Option<Format> {
    let number: u8 = format.parse().ok().filter(|&number| number < 128)?;
    let rtpmap = numbered(attributes, "rtpmap", number);
    let mut fields = rtpmap.unwrap_or_default().split('/');
    let mut found = Format {
        number,
        encoding: fields.next().unwrap_or_default().trim().to_owned(),
        clock_rate: fields.next().and_then(|rate| rate.trim().parse().ok()).unwrap_or(0),
        channels: fields.next().and_then(|channels| channels.trim().parse().ok()).unwrap_or(1),
        rtpmap: rtpmap.map(str::to_owned),
        fmtp: numbered(attributes, "fmtp", number).map(str::to_owned),
    };
    if let (None, Some((_, name))) = (rtpmap, STATIC.iter().find(|(known, _)| *known == number)) {
        (found.encoding, found.clock_rate) = ((*name).to_owned(), 8000);
    }
    Some(found)
}

/// Value of the first attribute of this name; empty for a flag.
fn value<'a>(attributes: &'a [engine::Attribute], name: &str) -> Option<&'a str> {
    values(attributes, name).next()
}

/// Values of all attributes of this name.
fn values<'a>(attributes: &'a [engine::Attribute], name: &str) -> impl Iterator<Item = &'a str> {
    let found = attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    found.map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

/// What follows `number` in the first attribute of this name that begins with it.
fn numbered<'a>(attributes: &'a [engine::Attribute], name: &str, number: u8) -> Option<&'a str> {
    attributes.iter().filter(|attribute| attribute.attribute.eq_ignore_ascii_case(name)).find_map(
        |attribute| {
            let (first, rest) = attribute.value.as_deref()?.trim_start().split_once(' ')?;
            (first.parse() == Ok(number)).then(|| rest.trim())
        },
    )
}

/// The direction that the last of these attributes sets.
fn direction(attributes: &[engine::Attribute]) -> Option<Direction> {
    const ALL: [Direction; 4] =
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    attributes.iter().rev().find_map(|attribute| {
        ALL.into_iter().find(|known| attribute.attribute.eq_ignore_ascii_case(known.as_str()))
    })
}

/// An address that packets can come from.
fn usable_address(connection: &engine::Connection) -> Option<IpAddr> {
    let text = connection.connection_address.split('/').next().unwrap_or_default();
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified() && !address.is_multicast()).then_some(address)
}

/// `port [IN IP4 address]` of RFC 3605.
fn rtcp(text: &str) -> Option<(Option<IpAddr>, u16)> {
    let mut fields = text.split_ascii_whitespace();
    let port = fields.next()?.parse().ok().filter(|&port| port != 0)?;
    let address: Option<IpAddr> = fields.nth(2).and_then(|address| address.parse().ok());
    Some((address.filter(|address| !address.is_unspecified()), port))
}

/// A packet time; fractions (RFC 8866 allows them) are cut.
fn whole_milliseconds(text: &str) -> Option<u16> {
    text.trim().split('.').next()?.parse().ok().filter(|&ms| ms > 0)
}

fn refuse(error: &ParserError) -> SdpError {
    use ParserError as P;
    let (line, field, trouble) = match *error {
        P::InvalidLineFormat(line, field) | P::InvalidFieldFormat(line, field) => {
            (line, field, Trouble::Format)
        }
        P::InvalidFieldEncoding(line, field) => (line, field, Trouble::Encoding),
        P::MissingField(line, field) => (line, field, Trouble::Missing),
        P::FieldTrailingData(line, field) => (line, field, Trouble::Trailing),
        P::InvalidVersion(line, _) => (line, "version", Trouble::Format),
        P::MultipleConnections(line) => (line, "connection", Trouble::Repeated),
        P::MultipleVersions(line) => (line, "version", Trouble::Repeated),
        // The lines that all further variants speak of do not get past `used_lines`.
        _ => return SdpError::NoVersion,
    };
    SdpError::Line { line, field, trouble }
}

#[cfg(test)]
mod tests;
