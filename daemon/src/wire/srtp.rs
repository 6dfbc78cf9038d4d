//! SRTP and SRTCP (RFC 3711, RFC 7714), the receiving side: packets are authenticated, then decrypted in place.
//!
//! Keys come from the SDP (RFC 4568), with a key derivation rate of zero. Nothing here allocates once an [`Unprotector`]
//! is made. A packet tells the low 16 bits of its index alone; the rest, the rollover counter, is estimated, and the
//! authentication proves the estimate. Where packets went by unseen (the kernel drops what nobody hears), further
//! estimates are tried, so that a stream that was muted for hours is understood again at once.

mod index;
mod keys;
#[cfg(test)]
pub(crate) mod protect;
#[cfg(test)]
mod tests;
mod transform;

pub use keys::MasterKey;

use index::{Window, estimate};
use keys::{Purpose, SessionKeys};
use transform::{Framing, Transform};

/// Synchronisation sources that one key may protect; further ones are refused, since a source that was forgotten could be
/// replayed.
pub const MAX_SOURCES: usize = 16;
/// Longest packet, in bytes.
pub const MAX_PACKET: usize = 2048;
/// Longest master key identifier (RFC 4568 section 6.1).
pub const MAX_MKI: usize = 128;

/// A cipher suite of RFC 4568 or RFC 7714.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES in counter mode, HMAC-SHA1 tags of 80 bits.
    AesCm128HmacSha1With80,
    /// AES in counter mode, HMAC-SHA1 tags of 32 bits on RTP and of 80 bits on RTCP.
    AesCm128HmacSha1With32,
    /// AES-GCM with a key of 128 bits.
    AeadAes128Gcm,
    /// AES-GCM with a key of 256 bits.
    AeadAes256Gcm,
}

impl Suite {
    /// All of them, the usual one first.
    pub const ALL: [Self; 4] = [
        Self::AesCm128HmacSha1With80,
        Self::AesCm128HmacSha1With32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1With80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1With32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of this name; case counts not.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key, which are those of the session key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1With80 | Self::AesCm128HmacSha1With32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes of the tag on an RTP packet.
    const fn rtp_tag(self) -> usize {
        match self {
            Self::AesCm128HmacSha1With80 => 10,
            Self::AesCm128HmacSha1With32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag on an RTCP packet.
    const fn rtcp_tag(self) -> usize {
        match self {
            // RFC 4568 section 6.2.2.
            Self::AesCm128HmacSha1With32 => 10,
            other => other.rtp_tag(),
        }
    }
}

/// Why a packet is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Not of the form of SRTP or SRTCP, or over [`MAX_PACKET`] bytes.
    #[error("{0} bytes are no SRTP packet")]
    Malformed(usize),
    /// The tag is not that of the packet under our key.
    #[error("the packet is not authentic")]
    Unauthentic,
    /// The packet came before, or is too old to tell.
    #[error("the packet is a replay, or too old to tell")]
    Replayed,
    /// More than [`MAX_SOURCES`] sources.
    #[error("over {MAX_SOURCES} sources use one key")]
    TooManySources,
}

/// Takes the protection off the packets of one stream.
#[derive(Debug)]
pub struct Unprotector {
    rtp: Transform,
    rtcp: Transform,
    framing: Framing,
    sources: heapless::Vec<Source, MAX_SOURCES>,
    /// RTP packets that went by unseen, of whatever source.
    passed: u64,
    /// Newest packet under the key before this one.
    former: Option<u64>,
}

/// What is known of one source.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// The count of packets gone by when its newest packet came.
    passed: u64,
}

/// Indices that a packet may have, the likeliest first.
type Candidates = heapless::Vec<u64, 5>;

impl Unprotector {
    /// For packets under `key`, each with a master key identifier of `mki_length` bytes.
    pub fn new(key: &MasterKey, mki_length: usize) -> Self {
        let transform = |purpose| Transform::new(key.suite(), &SessionKeys::derive(key, purpose));
        Self::with(transform(Purpose::Rtp), transform(Purpose::Rtcp), key.suite(), mki_length)
    }

    /// The same after a change of keys. Peers either go on counting (RFC 3711 section 3.3.1) or begin anew; both are
    /// understood.
    pub fn succeeding(key: &MasterKey, mki_length: usize, former: &Self) -> Self {
        let newest = former.sources.iter().filter_map(|source| source.rtp.highest()).max();
        Self { former: newest, ..Self::new(key, mki_length) }
    }

    fn with(rtp: Transform, rtcp: Transform, suite: Suite, mki: usize) -> Self {
        let framing = Framing { rtp_tag: suite.rtp_tag(), rtcp_tag: suite.rtcp_tag(), mki: mki.min(MAX_MKI) };
        Self { rtp, rtcp, framing, sources: heapless::Vec::new(), passed: 0, former: None }
    }

    /// Notes that so many RTP packets of the stream went by unseen.
    pub fn passed_by(&mut self, packets: u64) {
        self.passed += packets;
    }

    /// Authenticates and decrypts an SRTP packet; gives the RTP packet, in the same place.
    ///
    /// # Errors
    /// [`SrtpError`]; then the bytes are worth nothing.
    pub fn rtp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a mut [u8], SrtpError> {
        let malformed = SrtpError::Malformed(packet.len());
        let header = rtp_header_length(packet).ok_or(malformed)?;
        let body_end = packet.len().checked_sub(self.framing.rtp_overhead()).ok_or(malformed)?;
        if body_end < header || packet.len() > MAX_PACKET {
            return Err(malformed);
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = word(packet, 8);
        let place = self.place(ssrc);
        let candidates = self.candidates(place, sequence);
        let mut untried = candidates.iter().filter(|index| self.is_new(place, **index)).peekable();
        if untried.peek().is_none() {
            return Err(SrtpError::Replayed);
        }
        let mut spare = [0; MAX_PACKET];
        let found = loop {
            let Some(&index) = untried.next() else { return Err(SrtpError::Unauthentic) };
            let again = untried.peek().is_some();
            if again {
                // AES-GCM leaves nothing of a packet that it refused.
                spare[..packet.len()].copy_from_slice(packet);
            }
            if self.rtp.open_rtp(packet, header, self.framing, (ssrc, index)) {
                break index;
            }
            if again {
                packet.copy_from_slice(&spare[..packet.len()]);
            }
        };
        let passed = self.passed;
        let source = self.source(place, ssrc)?;
        source.rtp.accept(found);
        source.passed = passed;
        Ok(&mut packet[..body_end])
    }

    /// Authenticates and decrypts an SRTCP packet; gives the RTCP compound, in the same place.
    ///
    /// # Errors
    /// [`SrtpError`]; then the bytes are worth nothing.
    pub fn rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a mut [u8], SrtpError> {
        const HEADER: usize = 8;
        let malformed = SrtpError::Malformed(packet.len());
        let body_end = packet.len().checked_sub(self.framing.rtcp_overhead()).ok_or(malformed)?;
        if body_end < HEADER || packet.len() > MAX_PACKET || packet[0] >> 6 != 2 {
            return Err(malformed);
        }
        let (ssrc, trailer) = (word(packet, 4), word(packet, self.framing.rtcp_index_at(packet.len())));
        let index = u64::from(trailer & 0x7fff_ffff);
        let place = self.place(ssrc);
        if place.is_some_and(|place| !self.sources[place].rtcp.is_new(index)) {
            return Err(SrtpError::Replayed);
        }
        if !self.rtcp.open_rtcp(packet, self.framing, (ssrc, trailer)) {
            return Err(SrtpError::Unauthentic);
        }
        self.source(place, ssrc)?.rtcp.accept(index);
        Ok(&mut packet[..body_end])
    }

    fn place(&self, ssrc: u32) -> Option<usize> {
        self.sources.iter().position(|source| source.ssrc == ssrc)
    }

    fn is_new(&self, place: Option<usize>, index: u64) -> bool {
        place.is_none_or(|place| self.sources[place].rtp.is_new(index))
    }

    /// The source at `place`, or a new one. Only an authentic packet makes one.
    fn source(&mut self, place: Option<usize>, ssrc: u32) -> Result<&mut Source, SrtpError> {
        let place = match place {
            Some(place) => place,
            None => {
                let (rtp, rtcp) = (Window::default(), Window::default());
                let source = Source { ssrc, rtp, rtcp, passed: self.passed };
                self.sources.push(source).map_err(|_| SrtpError::TooManySources)?;
                self.sources.len() - 1
            }
        };
        Ok(&mut self.sources[place])
    }

    fn candidates(&self, place: Option<usize>, sequence: u16) -> Candidates {
        let mut candidates = Candidates::new();
        let mut add = |index: u64| {
            if !candidates.contains(&index) {
                // There is room for all that are added below.
                let _ = candidates.push(index);
            }
        };
        let source = place.map(|place| &self.sources[place]);
        match source.and_then(|source| Some((source.rtp.highest()?, self.passed - source.passed))) {
            Some((highest, passed)) => {
                add(estimate(highest, sequence));
                add(estimate(highest + passed, sequence));
            }
            None => {
                // A stream begins with the first round; what came of it before may have ended that.
                let round = self.passed >> 16;
                [0, 1, round, round + 1].into_iter().for_each(|round| add(round << 16 | u64::from(sequence)));
                if let Some(former) = self.former {
                    add(estimate(former + self.passed, sequence));
                }
            }
        }
        candidates
    }
}

/// Bytes of an RTP header with its contributing sources and extension, where they fit into `packet`.
fn rtp_header_length(packet: &[u8]) -> Option<usize> {
    let &[flags, ..] = packet else { return None };
    let fixed = 12 + 4 * usize::from(flags & 0x0f);
    let length = if flags & 0x10 == 0 {
        fixed
    } else {
        let words = packet.get(fixed + 2..fixed + 4)?;
        fixed + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
    };
    (flags >> 6 == 2 && length <= packet.len()).then_some(length)
}

/// The 32 bits at `at`, which the caller knows to be there.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
