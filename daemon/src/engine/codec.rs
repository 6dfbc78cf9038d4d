//! Which payload type is what, and the one place where payloads become samples.

use super::jitter::MAX_PAYLOAD;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;

/// Most samples that one packet decodes to: a full payload of an 8-bit codec.
pub const MAX_SAMPLES: usize = MAX_PAYLOAD;

/// A codec that Vouch decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// Encoding name of RFC 3551.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Band of its audio.
    pub const fn band(self) -> Band {
        match self {
            Self::Pcmu | Self::Pcma => Band::Narrow,
        }
    }

    /// Decodes one payload of at most [`MAX_PAYLOAD`] bytes into the front of `pcm`; how many samples that are.
    pub(super) fn decode(self, payload: &[u8], pcm: &mut [i16; MAX_SAMPLES]) -> usize {
        match self {
            Self::Pcmu => Law::Mu.decode_into(payload, pcm),
            Self::Pcma => Law::A.decode_into(payload, pcm),
        }
    }
}

/// What a payload type carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Audio.
    Audio(Codec),
    /// Key presses (RFC 4733): no speech, whatever the audio beside them holds.
    TelephoneEvent,
    /// Comfort noise (RFC 3389): no speech.
    ComfortNoise,
    /// Nothing that Vouch knows.
    Unknown,
}

/// What each payload type of a stream carries, as negotiated; the static types are always known, since gateways
/// send PCMA where they negotiated PCMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadMap([Payload; 128]);

impl PayloadMap {
    /// Makes payload type `number` mean `payload`; numbers above 127 are no payload types and change nothing.
    pub const fn set(&mut self, number: u8, payload: Payload) {
        if number < 128 {
            self.0[number as usize] = payload;
        }
    }

    /// What payload type `number` carries.
    pub fn get(&self, number: u8) -> Payload {
        self.0.get(usize::from(number)).copied().unwrap_or(Payload::Unknown)
    }
}

impl Default for PayloadMap {
    /// Static types of RFC 3551, and 19, which some gateways still use for comfort noise.
    fn default() -> Self {
        let mut map = Self([Payload::Unknown; 128]);
        map.set(0, Payload::Audio(Codec::Pcmu));
        map.set(8, Payload::Audio(Codec::Pcma));
        map.set(13, Payload::ComfortNoise);
        map.set(19, Payload::ComfortNoise);
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_types_are_known_and_dynamic_ones_are_set() {
        let mut map = PayloadMap::default();
        map.set(101, Payload::TelephoneEvent);
        map.set(200, Payload::TelephoneEvent);
        assert_eq!(map.get(0), Payload::Audio(Codec::Pcmu));
        assert_eq!(map.get(8), Payload::Audio(Codec::Pcma));
        assert_eq!(map.get(101), Payload::TelephoneEvent);
        assert_eq!((map.get(18), map.get(200)), (Payload::Unknown, Payload::Unknown));
    }

    #[test]
    fn both_laws_decode_their_silence_and_their_loudest_code() {
        let mut pcm = [0; MAX_SAMPLES];
        assert_eq!(Codec::Pcmu.decode(&[0xff, 0x80, 0x00], &mut pcm), 3);
        assert_eq!(pcm[..3], [0, 32_124, -32_124]);
        assert_eq!(Codec::Pcma.decode(&[0xd5, 0xaa, 0x2a], &mut pcm), 3);
        assert_eq!(pcm[..3], [8, 32_256, -32_256]);
    }
}
