//! URIs as SIP headers carry them (RFC 3261 section 19.1, RFC 3966 for `tel`, RFC 5118 for IPv6).
//!
//! [`Uri::parse`] is the tolerant reading; the message layer asks rsip first.

use super::params::{Fault, Params};
use crate::pii::Pii;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Kind of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other; its content is opaque here.
    Other,
}

/// Host of a URI or a Via.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, which Vouch does not resolve.
    Name(String),
    /// An address, without brackets.
    Address(IpAddr),
}

impl Host {
    /// Reads a host and, where it follows, `:port`.
    ///
    /// # Errors
    /// [`Fault::BadHost`] or [`Fault::BadPort`].
    pub fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), Fault> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or(Fault::BadHost)?;
                (Self::Address(parse_ipv6(address)?.into()), after)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (Self::parse_name(&text[..end])?, &text[end..])
            }
        };
        let port = port.trim();
        if port.is_empty() {
            return Ok((host, None));
        }
        let digits = port.strip_prefix(':').ok_or(Fault::BadHost)?.trim_start();
        Ok((host, Some(parse_port(digits)?)))
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }

    fn parse_name(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if valid && text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(Fault::BadHost)
        }
    }
}

/// As it stands in a URI or a Via: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A URI: its text as it came, and its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    text: Pii<String>,
    scheme: Scheme,
    user: Option<Pii<String>>,
    host: Option<Host>,
    port: Option<u16>,
    params: Params,
    headers: bool,
}

/// Parts of a `sip:` or `sips:` URI, read by another parser.
pub(super) struct UriParts {
    pub(super) secure: bool,
    pub(super) user: Option<String>,
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) params: Params,
}

impl Uri {
    /// Reads a URI, tolerantly: escapes, semicolons and question marks in the user part, IPv6 literals and
    /// unknown schemes are all legal.
    ///
    /// # Errors
    /// The [`Fault`] that makes it none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"<>\"".contains(&byte)) {
            return Err(Fault::BadUriCharacter);
        }
        let (name, rest) = text.split_once(':').ok_or(Fault::NoScheme)?;
        match parse_scheme(name)? {
            scheme @ (Scheme::Sip | Scheme::Sips) => Self::parse_sip(text, scheme, rest),
            scheme => {
                let user = (scheme == Scheme::Tel).then(|| rest.split(';').next().unwrap_or_default());
                Ok(Self {
                    text: Pii::new(text.to_owned()),
                    scheme,
                    user: user.map(|user| Pii::new(unescape(user))),
                    host: None,
                    port: None,
                    params: Params::default(),
                    headers: false,
                })
            }
        }
    }

    pub(super) fn from_parts(text: &str, parts: UriParts) -> Self {
        Self {
            text: Pii::new(text.to_owned()),
            scheme: if parts.secure { Scheme::Sips } else { Scheme::Sip },
            user: parts.user.map(|user| Pii::new(unescape(&user))),
            host: Some(parts.host),
            port: parts.port,
            params: parts.params,
            headers: false,
        }
    }

    /// The URI as it came, for the wire; it may identify a person.
    pub fn as_str(&self) -> &str {
        self.text.reveal()
    }

    /// Kind of the URI.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// User part without password and escapes, or the number of a `tel` URI.
    pub fn user(&self) -> Option<&Pii<String>> {
        self.user.as_ref()
    }

    /// Host; every `sip` and `sips` URI has one.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Port, if one is given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Parameters, such as `transport` and `lr`.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether `?name=value` headers follow.
    pub fn has_headers(&self) -> bool {
        self.headers
    }

    /// The URI without its headers, as a Request-URI wants it (section 19.1.1); it may identify a person.
    pub fn without_headers(&self) -> &str {
        let text = self.as_str();
        // The user part may hold question marks.
        let host = text.find('@').unwrap_or(0);
        let end = text[host..].find('?').filter(|_| self.headers).map_or(text.len(), |length| host + length);
        &text[..end]
    }

    /// Where a request to this URI goes, when its host is an address; 5060 unless a port is given.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let address = self.host.as_ref()?.address()?;
        Some(SocketAddr::new(address, self.port.unwrap_or(DEFAULT_PORT)))
    }

    fn parse_sip(text: &str, scheme: Scheme, rest: &str) -> Result<Self, Fault> {
        // Neither parameters nor headers may hold an unescaped @, so the first one ends the user part.
        let (user, rest) = rest.split_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if user == Some("") {
            return Err(Fault::BadHost);
        }
        let (rest, headers) = rest.split_once('?').map_or((rest, false), |(rest, _)| (rest, true));
        let (host, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = Host::parse_with_port(host)?;
        let user = user.map(|user| user.split(':').next().unwrap_or_default());
        Ok(Self {
            text: Pii::new(text.to_owned()),
            scheme,
            user: user.map(|user| Pii::new(unescape(user))),
            host: Some(host),
            port,
            params: Params::parse(params)?,
            headers,
        })
    }
}

/// Scheme, host and port; never the user part.
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uri")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Port of SIP over UDP and TCP where none is given.
pub const DEFAULT_PORT: u16 = 5060;

fn parse_scheme(name: &str) -> Result<Scheme, Fault> {
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !valid || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(Fault::NoScheme);
    }
    Ok(match name.to_ascii_lowercase().as_str() {
        "sip" => Scheme::Sip,
        "sips" => Scheme::Sips,
        "tel" => Scheme::Tel,
        _ => Scheme::Other,
    })
}

/// Reads an IPv6 address, also with the three colons before an embedded IPv4 address that the grammar of
/// RFC 3261 asked for by mistake (RFC 5118 section 4.10).
fn parse_ipv6(text: &str) -> Result<Ipv6Addr, Fault> {
    let corrected;
    let text = if text.contains(":::") && text.contains('.') {
        corrected = text.replacen(":::", "::", 1);
        &corrected
    } else {
        text
    };
    text.parse().map_err(|_| Fault::BadHost)
}

fn parse_port(digits: &str) -> Result<u16, Fault> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::BadPort);
    }
    digits.parse().map_err(|_| Fault::BadPort)
}

/// Replaces `%41` by the byte it stands for; what is no escape, or not UTF-8 then, stays as it is.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_digit(*high) * 16 + hex_digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Value of an ASCII hexadecimal digit.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(text: &str) -> String {
        Uri::parse(text).unwrap().user().unwrap().reveal().clone()
    }

    #[test]
    fn user_parts_may_hold_nearly_anything() {
        assert_eq!(user("sip:caller;par=u%40example.net@example.com"), "caller;par=u@example.net");
        assert_eq!(user("sip:sips%3Auser%40example.com@example.net"), "sips:user@example.com");
        assert_eq!(user("sip:a&b/crazy?,/;;*:pass@example.com"), "a&b/crazy?,/;;*");
        assert_eq!(user("sip:null-%00-null@example.com"), "null-\0-null");
        assert_eq!(user("sip:%ff%4@example.com"), "%ff%4");
        assert_eq!(user("tel:+1-555-0100;phone-context=example.com"), "+1-555-0100");
    }

    #[test]
    fn hosts_are_names_or_addresses_of_both_families() {
        let cases = [
            ("sip:[2001:db8::10]:5070", Some("2001:db8::10"), Some(5070)),
            ("sip:u@[2001:db8::10:5070];lr", Some("2001:db8::10:5070"), None),
            ("sip:u@[::ffff:192.0.2.2]", Some("::ffff:192.0.2.2"), None),
            ("sip:u@[2001:db8:::192.0.2.1]", Some("2001:db8::192.0.2.1"), None),
            ("SIPS:192.0.2.1:5061", Some("192.0.2.1"), Some(5061)),
            ("sip:u@gw_1.example.com", None, None),
        ];
        for (text, address, port) in cases {
            let uri = Uri::parse(text).unwrap();
            let expected = address.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(uri.host().unwrap().address(), expected, "{text}");
            assert_eq!(uri.port(), port, "{text}");
        }
        assert_eq!(
            Uri::parse("sip:[2001:db8::10]").unwrap().socket_addr(),
            Some("[2001:db8::10]:5060".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_uri_is_refused_with_its_fault() {
        let cases = [
            ("sip:2001:db8::10", Fault::BadPort),
            ("sip:u@[2001:db8::10", Fault::BadHost),
            ("sip:u@[fe80::zz]", Fault::BadHost),
            ("sip:u@host:65536", Fault::BadPort),
            ("sip:u@host:", Fault::BadPort),
            ("sip:u@", Fault::BadHost),
            ("sip:@host", Fault::BadHost),
            ("sip:u@host; lr", Fault::BadUriCharacter),
            ("<sip:u@host>", Fault::BadUriCharacter),
            ("user@host", Fault::NoScheme),
            ("1sip:u@host", Fault::NoScheme),
            ("sip:u@host;;lr", Fault::EmptyParameter),
        ];
        for (text, fault) in cases {
            assert_eq!(Uri::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn unknown_schemes_are_opaque_and_headers_are_noticed() {
        assert_eq!(Uri::parse("soap.beep://192.0.2.103:3002").unwrap().scheme(), Scheme::Other);
        assert_eq!(Uri::parse("isbn:2983792873").unwrap().host(), None);
        for (text, without) in [
            ("sip:u@host?Route=%3Csip:a%3E", "sip:u@host"),
            ("sip:who?@host;lr?a=b?c", "sip:who?@host;lr"),
            ("sip:host?a=b", "sip:host"),
            ("sip:who?@host", "sip:who?@host"),
            ("soap.beep://host?a=b", "soap.beep://host?a=b"),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!((uri.without_headers(), uri.has_headers()), (without, without != text), "{text}");
        }
    }

    #[test]
    fn debug_hides_the_user_part() {
        let shown = format!("{:?}", Uri::parse("sip:+15551230001@192.0.2.1").unwrap());
        assert!(shown.contains("192.0.2.1") && !shown.contains("555"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Ok(uri) = Uri::parse(&text) {
                prop_assert_eq!(uri.as_str(), text.as_str());
            }
            let _ = Uri::parse(&format!("sip:{text}"));
        }

        #[test]
        fn addresses_and_ports_survive(address: [u8; 16], port in prop::option::of(any::<u16>())) {
            let host = Host::Address(Ipv6Addr::from(address).into());
            let text = match port {
                Some(port) => format!("{host}:{port}"),
                None => host.to_string(),
            };
            prop_assert_eq!(Host::parse_with_port(&text), Ok((host, port)));
        }
    }
}
