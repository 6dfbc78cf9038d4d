//! Values of the configuration that have a form of their own.

use super::read::{Fault, FromToml, Value, nearest};
use crate::pii::SpeakerId;
use crate::sip::flow::Transport;
use crate::sip::headers::HeaderPrefix;
use crate::sip::offer_answer::SrtpRule;
use crate::sip::peers::Network;
use crate::sip::siprec::CallerRule;
use crate::sip::transport::Listen;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use toml::de::DeValue;

/// Written `udp:127.0.0.1:5060`, `tcp:[::1]:5060` or `tls:192.0.2.7:5061`.
impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is not of the form `udp:127.0.0.1:5060`, `tcp:[::1]:5060` or `tls:192.0.2.7:5061`"
            )
        };
        let (transport, address) = text.split_once(':').ok_or_else(form)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(form()),
        };
        let address: SocketAddr = address.parse().map_err(|_| form())?;
        if address.port() == 0 {
            return Err(format!("`{text}`: port 0 is no place where a gateway could find us"));
        }
        Ok(Self { transport, address })
    }
}

/// Ports that RTP is heard on, written `40000-41999`: whole pairs of an even RTP and an odd RTCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// First port, even.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// Last port, odd.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Streams that fit: one for each pair of ports.
    pub const fn streams(self) -> u32 {
        (self.last as u32 + 1 - self.first as u32) / 2
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not of the form `40000-41999`");
        let (first, last) = text.split_once('-').ok_or_else(form)?;
        let first: u16 = first.trim().parse().map_err(|_| form())?;
        let last: u16 = last.trim().parse().map_err(|_| form())?;
        if first < 1024 {
            return Err(format!("`{text}`: ports below 1024 are not for media"));
        }
        if !first.is_multiple_of(2) || last.is_multiple_of(2) {
            return Err(format!(
                "`{text}`: the first port must be even and the last odd (RTP and RTCP pairs)"
            ));
        }
        if first > last {
            return Err(format!("`{text}`: the first port is above the last"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Whether a peer gets results by INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoRule {
    /// When its Recv-Info header names the package `voice-id` (RFC 6086).
    Auto,
    /// Whatever it says.
    Always,
    /// Not at all.
    Never,
}

impl FromStr for InfoRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choose(text, &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)])
    }
}

/// Written `accept`, `require` or `refuse`.
impl FromStr for SrtpRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choose(text, &[("accept", Self::Accept), ("require", Self::Require), ("refuse", Self::Refuse)])
    }
}

/// The meaning of `text` among the words of a list.
pub(super) fn choose<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    if let Some(&(_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(meaning);
    }
    let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
    Err(match nearest(text, &known) {
        Some(near) => format!("`{text}` is not known here; did you mean `{near}`?"),
        None => format!("`{text}` is none of `{}`", known.join("`, `")),
    })
}

/// Whether `text` is a token of RFC 3261 section 25.1, as header names are.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// Reads a duration such as `500ms`, `10s`, `5m`, `2h` or `30d`.
///
/// # Errors
/// Says how a duration is written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let form = || format!("`{text}` is no duration such as `500ms`, `10s`, `5m`, `2h` or `30d`");
    let number: u64 = number.parse().map_err(|_| form())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(form()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| format!("`{text}` is too long"))
}

/// A number of bytes, written `512KiB` or `16MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Bytes(pub(super) usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is no size such as `512KiB` or `16MiB`");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(form()),
        };
        let number: usize = number.parse().map_err(|_| form())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| format!("`{text}` is too large"))
    }
}

impl FromToml for Duration {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        parse_duration(text_of(value, "a duration such as \"10s\"")?).map_err(|why| Fault::at(value, why))
    }
}

impl FromToml for bool {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        value.get_ref().as_bool().ok_or_else(|| wanted(value, "true or false"))
    }
}

impl FromToml for i64 {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let integer = value.get_ref().as_integer().ok_or_else(|| wanted(value, "a whole number"))?;
        Self::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| wanted(value, "a smaller number"))
    }
}

impl FromToml for u32 {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let number = i64::from_toml(value)?;
        Self::try_from(number).map_err(|_| wanted(value, "a whole number from 0 to 4294967295"))
    }
}

impl FromToml for f32 {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let text = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(wanted(value, "a number")),
        };
        text.parse().ok().filter(|number: &Self| number.is_finite()).ok_or_else(|| wanted(value, "a number"))
    }
}

impl FromToml for String {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        text_of(value, "text in quotes").map(str::to_owned)
    }
}

impl FromToml for PathBuf {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let path = Self::from(text_of(value, "a path in quotes")?);
        if path.is_absolute() { Ok(path) } else { Err(Fault::at(value, "must be an absolute path")) }
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let array = value.get_ref().as_array().ok_or_else(|| wanted(value, "a list in [ ]"))?;
        if array.is_empty() {
            return Err(Fault::at(value, "must have at least one entry"));
        }
        array.iter().map(T::from_toml).collect()
    }
}

impl<T: FromToml> FromToml for Option<T> {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        T::from_toml(value).map(Some)
    }
}

/// Types that are written as a text of a certain form.
macro_rules! from_text {
    ($($type:ty: $what:literal),* $(,)?) => {$(
        impl FromToml for $type {
            fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
                let text = text_of(value, $what)?;
                text.parse::<$type>().map_err(|why| Fault::at(value, why.to_string()))
            }
        }
    )*};
}
pub(super) use from_text;

from_text! {
    Listen: "text such as \"udp:127.0.0.1:5060\"",
    PortRange: "text such as \"40000-41999\"",
    Network: "an address or network in quotes",
    CallerRule: "a word in quotes",
    InfoRule: "a word in quotes",
    SrtpRule: "a word in quotes",
    HeaderPrefix: "the beginning of a header name in quotes",
    Bytes: "a size such as \"16MiB\"",
}

impl FromToml for IpAddr {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let text = text_of(value, "an IP address in quotes")?;
        text.parse().map_err(|_| Fault::at(value, format!("`{text}` is no IP address")))
    }
}

impl FromToml for SpeakerId {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        let text = text_of(value, "a speaker id in quotes")?;
        Self::new(text).map_err(|why| Fault::at(value, why.to_string()))
    }
}

/// The text of `value`.
pub(super) fn text_of<'v>(value: &'v Value<'_>, what: &str) -> Result<&'v str, Fault> {
    value.get_ref().as_str().ok_or_else(|| wanted(value, what))
}

fn wanted(value: &Value<'_>, what: &str) -> Fault {
    Fault::at(value, format!("must be {what}, not {} `{}`", value.get_ref().type_str(), brief(value)))
}

/// The value as written, if it is short enough to repeat.
fn brief(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => text.chars().take(40).collect(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[..]".to_owned(),
        DeValue::Table(_) => "{..}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn listens_are_read() {
        for text in ["udp:127.0.0.1:5060", "tcp:[::1]:5060", "tcp:0.0.0.0:5070", "tls:127.0.0.1:5061"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in
            ["", "udp", "sctp:127.0.0.1:5060", "udp:localhost:5060", "udp:127.0.0.1", "udp:127.0.0.1:0"]
        {
            text.parse::<Listen>().unwrap_err();
        }
    }

    #[test]
    fn port_ranges_are_whole_pairs() {
        let range: PortRange = "40000-40003".parse().unwrap();
        assert_eq!((range.first(), range.last(), range.streams()), (40000, 40003, 2));
        assert_eq!("1024-65535".parse::<PortRange>().unwrap().streams(), 32256);
        for text in ["40001-40004", "40000-40002", "40002-40001", "1022-1025", "40000", "40000-70001", "-"] {
            text.parse::<PortRange>().unwrap_err();
        }
    }

    #[test]
    fn durations_and_sizes_are_read() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_hours(720)));
        for text in ["10", "s", "-1s", "1.5s", "10 s", "99999999999999999999s", "18446744073709551615d"] {
            parse_duration(text).unwrap_err();
        }
        assert_eq!("16MiB".parse::<Bytes>(), Ok(Bytes(16 << 20)));
        for text in ["16", "16MB", "MiB", "99999999999999999GiB"] {
            text.parse::<Bytes>().unwrap_err();
        }
    }

    #[test]
    fn rules_are_read() {
        assert!("allways".parse::<InfoRule>().unwrap_err().contains("`always`"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_value_panic(text in ".{0,24}") {
            let _ = text.parse::<Listen>();
            let _ = text.parse::<PortRange>();
            let _ = text.parse::<Network>();
            let _ = text.parse::<CallerRule>();
            let _ = text.parse::<Bytes>();
            let _ = parse_duration(&text);
        }
    }
}
