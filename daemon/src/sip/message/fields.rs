//! Header values with a structure: addresses, Via, CSeq.

use super::super::params::{Fault, Params, find_outside, is_token, take_quoted};
use super::super::uri::{DEFAULT_PORT, Host, Uri};
use super::{Method, read_uri};
use crate::pii::Pii;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Value of From, To, Contact, Route and their kin: display name, URI, parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name, without quotes and escapes.
    pub display: Option<Pii<String>>,
    /// The URI.
    pub uri: Uri,
    /// Parameters of the header, not of the URI.
    pub params: Params,
}

impl NameAddr {
    /// Reads `"Name" <uri>;params`, `Name <uri>;params` or `uri;params`.
    ///
    /// Without angle brackets every parameter belongs to the header, and the URI has no headers (RFC 3261
    /// section 20). Spaces inside the brackets and commas in an unquoted name are tolerated.
    ///
    /// # Errors
    /// The [`Fault`] that makes it none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        let (display, rest) = split_display(text)?;
        let Some(inner) = rest.strip_prefix('<') else {
            return Self::parse_bare(rest);
        };
        let (uri, params) = inner.split_once('>').ok_or(Fault::UnbalancedBracket)?;
        Ok(Self { display, uri: read_uri(uri.trim())?, params: read_params(params)? })
    }

    /// The tag of a From or To.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    fn parse_bare(text: &str) -> Result<Self, Fault> {
        // A semicolon before the @ belongs to the user part.
        let host = text.find('@').map_or(0, |at| at + 1);
        let end = text[host..].find(';').map_or(text.len(), |semicolon| host + semicolon);
        let uri = read_uri(text[..end].trim_end())?;
        if uri.has_headers() {
            return Err(Fault::UriHeaders);
        }
        Ok(Self { display: None, uri, params: read_params(&text[end..])? })
    }
}

/// Parameters of a name-addr. A tag without a value is none (RFC 3261 section 25.1), and another one cannot be put beside it.
fn read_params(text: &str) -> Result<Params, Fault> {
    let params = Params::parse(text)?;
    if params.get("tag").is_some_and(|tag| tag.is_none_or(str::is_empty)) {
        return Err(Fault::TagWithoutValue);
    }
    Ok(params)
}

/// One hop of a Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Transport, in capitals.
    pub transport: String,
    /// Who sent it, as it says.
    pub host: Host,
    /// Port it wants answers on.
    pub port: Option<u16>,
    /// Parameters: `branch`, `rport`, `received`...
    pub params: Params,
}

impl Via {
    /// Reads one element, `SIP/2.0/UDP host:port;params`, white space allowed around every separator.
    ///
    /// # Errors
    /// The [`Fault`] that makes it none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (name, rest) = text.split_once('/').ok_or(Fault::BadProtocol)?;
        let (version, rest) = rest.split_once('/').ok_or(Fault::BadProtocol)?;
        if !name.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return Err(Fault::BadProtocol);
        }
        let rest = rest.trim_start();
        let (transport, rest) = rest.split_once(char::is_whitespace).ok_or(Fault::BadProtocol)?;
        if !is_token(transport) {
            return Err(Fault::BadProtocol);
        }
        let (sent_by, params) = rest.split_at(find_outside(rest, ';').unwrap_or(rest.len()));
        let (host, port) = Host::parse_with_port(sent_by.trim())?;
        Ok(Self { transport: transport.to_ascii_uppercase(), host, port, params: Params::parse(params)? })
    }

    /// The branch, which names the transaction.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// Notes where the message really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
    pub fn stamp(&mut self, source: SocketAddr) {
        let asks_for_port = self.params.has("rport");
        let source_ip = source.ip().to_canonical();
        if asks_for_port {
            self.params.set("rport", Some(&source.port().to_string()));
        }
        if asks_for_port || self.params.has("received") || self.host.address() != Some(source_ip) {
            self.params.set("received", Some(&source_ip.to_string()));
        }
    }

    /// Whether the sender takes itself to be at another address than the one its message, once
    /// [stamped](Via::stamp), came from: a NAT stands between.
    pub fn is_behind_nat(&self) -> bool {
        let received: Option<IpAddr> = self.params.value("received").and_then(|address| address.parse().ok());
        received.is_some_and(|received| self.host.address().is_some_and(|host| host != received))
    }

    /// Where an answer over UDP goes: the source address, at the source port where `rport` asks for it, else at
    /// the port of the Via (RFC 3261 section 18.2.2, RFC 3581). `maddr` is for multicast and not honoured.
    pub fn answer_to(&self, source: SocketAddr) -> SocketAddr {
        let port = if self.params.has("rport") { source.port() } else { self.port.unwrap_or(DEFAULT_PORT) };
        SocketAddr::new(source.ip(), port)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// Number and method of a request within its dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Number, below 2^31.
    pub number: u32,
    /// Method.
    pub method: Method,
}

impl CSeq {
    /// Reads `number method`.
    ///
    /// # Errors
    /// [`Fault::BadNumber`] from 2^31 on (RFC 3261 section 8.1.1.5), [`Fault::BadMethod`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (number, method) = text.trim().split_once(char::is_whitespace).ok_or(Fault::Syntax)?;
        let number = parse_number(number, (1 << 31) - 1)?;
        Ok(Self { number, method: Method::parse(method.trim()).ok_or(Fault::BadMethod)? })
    }
}

/// Reads digits alone, up to `largest`.
///
/// # Errors
/// [`Fault::BadNumber`] for anything else.
pub fn parse_number(text: &str, largest: u32) -> Result<u32, Fault> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::BadNumber);
    }
    digits.parse().ok().filter(|&number| number <= largest).ok_or(Fault::BadNumber)
}

/// Splits the display name off; what is left starts with `<` where there are angle brackets.
fn split_display(text: &str) -> Result<(Option<Pii<String>>, &str), Fault> {
    if text.starts_with('"') {
        let (display, rest) = take_quoted(text)?;
        let rest = rest.trim_start();
        return if rest.starts_with('<') {
            Ok((Some(Pii::new(display)), rest))
        } else {
            Err(Fault::TextAfterQuote)
        };
    }
    let Some(bracket) = find_outside(text, '<') else {
        return Ok((None, text));
    };
    let display = text[..bracket].trim_end();
    Ok(((!display.is_empty()).then(|| Pii::new(display.to_owned())), &text[bracket..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        let address =
            NameAddr::parse("\"J Rosenberg \\\\\\\"\"  <sip:j@example.com;a=1> ; tag = 98").unwrap();
        assert_eq!(address.display.unwrap().reveal(), "J Rosenberg \\\"");
        assert_eq!((address.params.value("tag"), address.uri.params().value("a")), (Some("98"), Some("1")));

        let bare = NameAddr::parse("sip:u;x=1@gw1.example.net;unknownparam;tag=7").unwrap();
        assert_eq!((bare.tag(), bare.uri.as_str()), (Some("7"), "sip:u;x=1@gw1.example.net"));
        assert!(bare.params.has("unknownparam") && !bare.uri.params().has("unknownparam"));

        for text in [
            "caller<sip:caller@example.com>;tag=323",
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "token1~` token2'+_ token3*%!.- <sip:m@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_t~1'+`*%!-.",
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "<http://www.example.com>;tag=3234233",
            "isbn:2983792873",
            "\"Caller\" <sip:caller@[2001:db8::1]>",
        ] {
            assert!(NameAddr::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn broken_addresses_are_named() {
        let cases = [
            ("\"Mr. J. User <sip:j.user@example.com>", Fault::UnbalancedQuote),
            ("\"Mr\" sip:j@example.com", Fault::TextAfterQuote),
            ("<sip:j@example.com", Fault::UnbalancedBracket),
            ("sip:user@example.com?Route=%3Csip:a%3E", Fault::UriHeaders),
            ("\"Joe\" <sip:joe@example.org>;;;;", Fault::EmptyParameter),
            ("<sip:joe@example.org>;x=1; tag ;y", Fault::TagWithoutValue),
            ("sip:joe@example.org;tag", Fault::TagWithoutValue),
            ("", Fault::Empty),
        ];
        for (text, fault) in cases {
            assert_eq!(NameAddr::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_via_allows_white_space_and_ipv6() {
        let via =
            Via::parse("SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8").unwrap();
        assert_eq!((via.transport.as_str(), via.branch()), ("TCP", Some("z9hG4bK9ikj8")));
        for received in ["2001:db8::9:255", "[2001:db8::9:255]"] {
            let text = format!("SIP/2.0/UDP [2001:db8::9:1]:6050;received={received};branch=z9hG4bKas3-111");
            let via = Via::parse(&text).unwrap();
            assert_eq!((via.port, via.params.value("received")), (Some(6050), Some(received)));
            assert_eq!(via.to_string(), text);
        }
        assert_eq!(Via::parse("SIP/7.0/UDP c.example.com;branch=x"), Err(Fault::BadProtocol));
        assert_eq!(Via::parse("SIP/2.0/UDP 192.0.2.15;;,;,,"), Err(Fault::EmptyParameter));
        assert_eq!(Via::parse("SIP/2.0/UDP"), Err(Fault::BadProtocol));
    }

    #[test]
    fn the_source_is_noted_as_rfc_3581_says() {
        let source = "192.0.2.9:40000".parse().unwrap();
        let mut asking = Via::parse("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1").unwrap();
        asking.stamp(source);
        assert_eq!(
            asking.to_string(),
            "SIP/2.0/UDP 10.0.0.1:5070;rport=40000;branch=z9hG4bK1;received=192.0.2.9"
        );
        assert_eq!((asking.answer_to(source), asking.is_behind_nat()), (source, true));

        let mut plain = Via::parse("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1").unwrap();
        plain.stamp(source);
        assert_eq!(plain.to_string(), "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1");
        assert_eq!(
            (plain.answer_to(source), plain.is_behind_nat()),
            ("192.0.2.9:5060".parse().unwrap(), false)
        );
        for text in
            ["SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1", "SIP/2.0/UDP gw.example.com;branch=z9hG4bK1"]
        {
            let mut via = Via::parse(text).unwrap();
            via.stamp(source);
            assert!(via.params.value("received") == Some("192.0.2.9") && !via.is_behind_nat(), "{text}");
        }
    }

    #[test]
    fn a_cseq_has_a_range() {
        assert_eq!(CSeq::parse("0009   INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
        assert_eq!(CSeq::parse("2147483647 BYE").unwrap().number, 2_147_483_647);
        assert_eq!(CSeq::parse("2147483648 BYE"), Err(Fault::BadNumber));
        assert_eq!(CSeq::parse("36893488147419103232 REGISTER"), Err(Fault::BadNumber));
        assert_eq!(CSeq::parse("-1 BYE"), Err(Fault::BadNumber));
        assert_eq!(CSeq::parse("1 B YE"), Err(Fault::BadMethod));
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = NameAddr::parse(&text);
            let _ = CSeq::parse(&text);
            let _ = Via::parse(&text);
            let _ = Via::parse(&format!("SIP/2.0/UDP {text}"));
            let _ = NameAddr::parse(&format!("<sip:{text}>"));
        }

        #[test]
        fn a_via_reads_what_it_writes(port in prop::option::of(any::<u16>()), branch in "z9hG4bK[!-~&&[^;\"\\\\,<>=]]{1,20}") {
            let mut text = String::from("SIP/2.0/TCP gw.example.com");
            if let Some(port) = port {
                text.push_str(&format!(":{port}"));
            }
            text.push_str(&format!(";branch={branch}"));
            let via = Via::parse(&text).unwrap();
            prop_assert_eq!(Via::parse(&via.to_string()), Ok(via));
        }
    }
}
