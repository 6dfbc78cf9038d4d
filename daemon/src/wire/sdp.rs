//! Session descriptions (RFC 8866): read leniently, written strictly.
//!
//! The only module that knows `sdp-types`. Of an offer only the lines that Vouch uses can refuse it (`v=`,
//! `c=`, `m=` and the attributes below); a broken subject, bandwidth or time is no reason to miss a call.

mod crypto;
mod read;

pub use crypto::{Crypto, CryptoError};
pub use read::{SdpError, Trouble};

use sdp_types as engine;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Longest description, in bytes.
pub const MAX_SDP: usize = 32 * 1024;
/// Most lines of a description.
pub const MAX_LINES: usize = 1024;
/// Most `m=` lines of a description.
pub const MAX_MEDIA: usize = 16;
/// Most formats of an `m=` line: all RTP payload types.
pub const MAX_FORMATS: usize = 128;

/// A session description as far as Vouch uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The `m=` lines in order; there may be none.
    pub media: Vec<Media>,
}

impl Description {
    /// Reads a session description.
    ///
    /// # Errors
    /// [`SdpError`] with the line and the cause.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        read::description(bytes)
    }
}

/// What the offerer does with a stream (RFC 8866 section 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Sends and receives.
    #[default]
    SendRecv,
    /// Sends only.
    SendOnly,
    /// Receives only.
    RecvOnly,
    /// Neither: the stream is on hold.
    Inactive,
}

impl Direction {
    /// The attribute of this direction.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the side that says this sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
}

/// How the media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RTP in the clear: `RTP/AVP` and `RTP/AVPF`.
    Rtp,
    /// SRTP of any kind: `RTP/SAVP`, `RTP/SAVPF`, with or without DTLS.
    Srtp,
    /// Anything else.
    Other,
}

/// A payload type of an `m=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Payload type, 0 to 127.
    pub number: u8,
    /// Encoding name from `a=rtpmap`, or of the static type (RFC 3551 section 6); empty where neither names
    /// one.
    pub encoding: String,
    /// RTP clock rate in Hz; 0 where unknown.
    pub clock_rate: u32,
    /// Channels, 1 unless `a=rtpmap` says more.
    pub channels: u8,
    /// Value of `a=rtpmap` behind the number, as written.
    pub rtpmap: Option<String>,
    /// Value of `a=fmtp` behind the number, as written.
    pub fmtp: Option<String>,
}

/// An `m=` line with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Media type in lower case, such as `audio`.
    pub kind: String,
    /// Port of RTP; 0 says that the line is not used.
    pub port: u16,
    /// Transport as written, for the answer.
    pub protocol: String,
    /// The formats as written, for the answer.
    pub formats: Vec<String>,
    /// The formats that are payload types, in order of preference; empty unless `protocol` is RTP.
    pub payloads: Vec<Format>,
    /// Where RTP of the offerer is received, and by convention sent from; `None` for `0.0.0.0`, `::`, host
    /// names, multicast and lines without `c=`.
    pub address: Option<IpAddr>,
    /// `a=rtcp` (RFC 3605), where it differs from the port above `port`.
    pub rtcp: Option<(Option<IpAddr>, u16)>,
    /// What the offerer does.
    pub direction: Direction,
    /// `a=label` (RFC 4574).
    pub label: Option<String>,
    /// `a=ptime` in milliseconds.
    pub ptime_ms: Option<u16>,
    /// The `a=crypto` lines (RFC 4568) in order; those that we cannot do with the cause.
    pub crypto: Vec<Result<Crypto, CryptoError>>,
    /// Whether `a=fingerprint` (RFC 8122) offers DTLS.
    pub has_fingerprint: bool,
}

impl Media {
    /// Whether this is audio that is in use.
    pub fn is_active_audio(&self) -> bool {
        self.kind == "audio" && self.port != 0
    }

    /// How the media travels.
    pub fn transport(&self) -> Transport {
        match self.protocol.to_ascii_uppercase().as_str() {
            "RTP/AVP" | "RTP/AVPF" => Transport::Rtp,
            "RTP/SAVP" | "RTP/SAVPF" | "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Transport::Srtp,
            _ => Transport::Other,
        }
    }

    /// Where the offerer receives RTP.
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address?, self.port))
    }

    /// Where the offerer receives RTCP.
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        match self.rtcp {
            Some((address, port)) => Some(SocketAddr::new(address.or(self.address)?, port)),
            None => Some(SocketAddr::new(self.address?, self.port.checked_add(1)?)),
        }
    }
}

/// A description that we write. Its `Debug` leaves the lines out, which may hold keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// Session id of `o=`; stays the same for a dialog.
    pub session_id: u64,
    /// Version of `o=`; grows with each change.
    pub version: u64,
    /// Our address.
    pub address: IpAddr,
    /// The `m=` lines.
    pub media: Vec<WrittenMedia>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} version {}, {} lines)", self.session_id, self.version, self.media.len())
    }
}

/// An `m=` line that we write.
#[derive(Clone, PartialEq, Eq)]
pub struct WrittenMedia {
    /// Media type.
    pub kind: String,
    /// Our port; 0 refuses the line.
    pub port: u16,
    /// Transport, as offered.
    pub protocol: String,
    /// Formats, separated by blanks.
    pub formats: String,
    /// Attributes in order: name and value.
    pub attributes: Vec<(&'static str, Option<String>)>,
}

impl fmt::Display for Written {
    /// Writes the description with CRLF line ends; line ends inside values are dropped, so that nothing
    /// offered can add a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = engine::Origin::with_ip_addr(self.session_id, self.version, self.address);
        let mut session = engine::Session::new(origin, "-");
        session.connection = Some(engine::Connection::from_ip_addr(self.address));
        session.medias = self.media.iter().map(media_to_write).collect();
        let mut bytes = Vec::with_capacity(512);
        session.write(&mut bytes).map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

fn media_to_write(media: &WrittenMedia) -> engine::Media {
    engine::Media {
        media: media.kind.clone(),
        port: media.port,
        num_ports: None,
        proto: media.protocol.clone(),
        fmt: media.formats.clone(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: media
            .attributes
            .iter()
            .map(|(name, value)| engine::Attribute { attribute: (*name).to_owned(), value: value.clone() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let written = Written {
            session_id: 7,
            version: 3,
            address: "2001:db8::1".parse().unwrap(),
            media: vec![
                WrittenMedia {
                    kind: "audio".into(),
                    port: 40000,
                    protocol: "RTP/AVP".into(),
                    formats: "8 101".into(),
                    attributes: vec![
                        ("rtpmap", Some("101 telephone-event/8000".into())),
                        ("label", Some("a\r\nm=audio 1 RTP/AVP 0".into())),
                        ("recvonly", None),
                    ],
                },
                WrittenMedia {
                    kind: "video".into(),
                    port: 0,
                    protocol: "RTP/AVP".into(),
                    formats: "96".into(),
                    attributes: Vec::new(),
                },
            ],
        };
        let text = written.to_string();
        assert!(
            text.starts_with(
                "v=0\r\no=- 7 3 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm="
            )
        );
        let read = Description::parse(text.as_bytes()).unwrap();
        assert_eq!(read.media.len(), 2, "a line end in a value adds no line: {text}");
        let audio = &read.media[0];
        assert_eq!(audio.rtp_address(), Some("[2001:db8::1]:40000".parse().unwrap()));
        assert_eq!(audio.rtcp_address(), Some("[2001:db8::1]:40001".parse().unwrap()));
        assert_eq!((audio.direction, audio.payloads.len()), (Direction::RecvOnly, 2));
        assert_eq!(read.media[1].port, 0);
    }

    #[test]
    fn transports_are_told_apart() {
        let media = |protocol: &str| {
            let text = format!("v=0\r\nm=audio 1 {protocol} 0\r\n");
            Description::parse(text.as_bytes()).unwrap().media.remove(0).transport()
        };
        assert_eq!(media("RTP/AVP"), Transport::Rtp);
        assert_eq!(media("rtp/avpf"), Transport::Rtp);
        assert_eq!(media("RTP/SAVP"), Transport::Srtp);
        assert_eq!(media("UDP/TLS/RTP/SAVPF"), Transport::Srtp);
        assert_eq!(media("TCP/MSRP"), Transport::Other);
    }
}
