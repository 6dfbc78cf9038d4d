//! Which payload type is what. Payloads become samples in [`decoders`](super::decoders) alone.

use super::jitter::MAX_PAYLOAD;
use crate::sys::linked::Library;
use crate::wire::amr::{Packing, Rate};
use vouch_dsp::features::Band;

/// Most samples that one packet decodes to: a full payload of G.722. Opus gives 120 ms at most, 1920 samples.
pub const MAX_SAMPLES: usize = 2 * MAX_PAYLOAD;

/// A codec that Vouch decodes, some where the libraries are there ([`Codec::decoded`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus.
    Opus,
    /// GSM full rate.
    Gsm,
    /// Linear samples at 8 kHz.
    L16Narrow,
    /// Linear samples at 16 kHz.
    L16Wide,
    /// G.729, Annexes A and B included.
    G729,
    /// AMR or AMR-WB.
    Amr(Rate, Packing),
}

impl Codec {
    const ALL: [Self; 12] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Opus,
        Self::Gsm,
        Self::L16Narrow,
        Self::L16Wide,
        Self::G729,
        Self::Amr(Rate::Narrow, Packing::Dense),
        Self::Amr(Rate::Narrow, Packing::Aligned),
        Self::Amr(Rate::Wide, Packing::Dense),
        Self::Amr(Rate::Wide, Packing::Aligned),
    ];

    /// Those that this build decodes.
    pub fn decoded() -> impl Iterator<Item = Self> + Clone {
        Self::ALL.into_iter().filter(|codec| codec.library().is_none_or(Library::is_linked))
    }

    /// Encoding names of those that this build decodes.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = Self::decoded().map(Self::name).collect();
        names.dedup();
        names
    }

    /// The library that decodes it, where that is one which a build may lack.
    pub const fn library(self) -> Option<Library> {
        match self {
            Self::G729 => Some(Library::Bcg729),
            Self::Amr(Rate::Narrow, _) => Some(Library::AmrNarrow),
            Self::Amr(Rate::Wide, _) => Some(Library::AmrWide),
            _ => None,
        }
    }

    /// Encoding name (RFC 3551 section 6; RFC 7587).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::Gsm => "GSM",
            Self::L16Narrow | Self::L16Wide => "L16",
            Self::G729 => "G729",
            Self::Amr(Rate::Narrow, _) => "AMR",
            Self::Amr(Rate::Wide, _) => "AMR-WB",
        }
    }

    /// Clock of its RTP timestamps, in Hz: for G.722 half of its sampling rate, by an old error that stayed (RFC 3551
    /// section 4.5.2), for Opus always 48 kHz.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::L16Wide | Self::Amr(Rate::Wide, _) => 16_000,
            Self::Opus => 48_000,
            _ => 8000,
        }
    }

    /// Band of its audio as decoded here.
    pub const fn band(self) -> Band {
        match self {
            Self::G722 | Self::Opus | Self::L16Wide | Self::Amr(Rate::Wide, _) => Band::Wide,
            _ => Band::Narrow,
        }
    }

    /// Units of its RTP clock that so many of its samples take.
    pub const fn ticks(self, samples: u32) -> u32 {
        (samples as u64 * self.clock_hz() as u64 / self.band().sample_rate() as u64) as u32
    }

    /// Samples of so many units of its RTP clock.
    pub const fn samples(self, ticks: u32) -> u32 {
        (ticks as u64 * self.band().sample_rate() as u64 / self.clock_hz() as u64) as u32
    }

    /// The codec of an `a=rtpmap` and its `a=fmtp`, where this build decodes it. A clock rate of 0 is one that names none, which
    /// can only mean the codec's own.
    pub fn of(encoding: &str, clock_hz: u32, channels: u8, fmtp: Option<&str>) -> Option<Self> {
        Self::decoded().find(|codec| {
            let has_one_rate = !matches!(codec, Self::L16Narrow | Self::L16Wide);
            // Opus is always announced with two channels (RFC 7587 section 7), though some write none.
            let is_mono = channels == 1 || (*codec == Self::Opus && channels == 2);
            let has_rate = clock_hz == codec.clock_hz() || (clock_hz == 0 && has_one_rate);
            let is_packed = match codec {
                Self::Amr(_, packing) => Packing::of(fmtp) == Some(*packing),
                _ => true,
            };
            encoding.eq_ignore_ascii_case(codec.name()) && has_rate && is_mono && is_packed
        })
    }
}

/// A codec that Vouch knows by name and does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Foreign(u8);

const FOREIGN: [&str; 18] = [
    "G729", "AMR", "AMR-WB", "EVS", "iLBC", "SILK", "speex", "G723", "G728", "G7221", "G726-16", "G726-24",
    "G726-32", "G726-40", "DVI4", "LPC", "iSAC", "BV16",
];

impl Foreign {
    /// The codec of this encoding name.
    pub fn of(encoding: &str) -> Option<Self> {
        let place = FOREIGN.iter().position(|name| encoding.eq_ignore_ascii_case(name))?;
        u8::try_from(place).ok().map(Self)
    }

    /// Its encoding name.
    pub fn name(self) -> &'static str {
        FOREIGN[usize::from(self.0)]
    }
}

/// What a payload type carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Audio.
    Audio(Codec),
    /// Key presses (RFC 4733): no speech, whatever the audio beside them holds.
    TelephoneEvent {
        /// Clock of their durations, in kHz.
        clock_khz: u8,
    },
    /// Comfort noise (RFC 3389): no speech.
    ComfortNoise,
    /// Audio that Vouch does not decode.
    Foreign(Foreign),
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
        map.set(3, Payload::Audio(Codec::Gsm));
        map.set(8, Payload::Audio(Codec::Pcma));
        map.set(9, Payload::Audio(Codec::G722));
        map.set(13, Payload::ComfortNoise);
        map.set(19, Payload::ComfortNoise);
        for (number, name) in [(4, "G723"), (5, "DVI4"), (7, "LPC"), (15, "G728"), (18, "G729")] {
            let foreign = || Foreign::of(name).map_or(Payload::Unknown, Payload::Foreign);
            map.set(number, Codec::of(name, 0, 1, None).map_or_else(foreign, Payload::Audio));
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_types_are_known_and_dynamic_ones_are_set() {
        let mut map = PayloadMap::default();
        let keys = Payload::TelephoneEvent { clock_khz: 8 };
        map.set(101, keys);
        map.set(200, keys);
        assert_eq!(map.get(0), Payload::Audio(Codec::Pcmu));
        assert_eq!(map.get(8), Payload::Audio(Codec::Pcma));
        assert_eq!((map.get(3), map.get(9)), (Payload::Audio(Codec::Gsm), Payload::Audio(Codec::G722)));
        assert_eq!(map.get(101), keys);
        assert!(matches!(map.get(15), Payload::Foreign(codec) if codec.name() == "G728"));
        let is_decoded = map.get(18) == Payload::Audio(Codec::G729);
        assert_eq!(is_decoded, cfg!(feature = "g729"), "{:?}", map.get(18));
        assert_eq!((map.get(96), map.get(200)), (Payload::Unknown, Payload::Unknown));
    }

    #[test]
    fn rtpmaps_name_codecs_with_their_own_clock_only() {
        for (name, clock, channels, expected) in [
            ("pcmu", 8000, 1, Some(Codec::Pcmu)),
            ("PCMU", 0, 1, Some(Codec::Pcmu)),
            ("PCMU", 16_000, 1, None),
            ("G722", 8000, 1, Some(Codec::G722)),
            ("G722", 16_000, 1, None),
            ("OPUS", 48_000, 2, Some(Codec::Opus)),
            ("opus", 48_000, 1, Some(Codec::Opus)),
            ("opus", 16_000, 2, None),
            ("GSM", 8000, 1, Some(Codec::Gsm)),
            ("L16", 8000, 1, Some(Codec::L16Narrow)),
            ("L16", 16_000, 1, Some(Codec::L16Wide)),
            ("L16", 16_000, 2, None),
            ("L16", 44_100, 1, None),
            ("L16", 0, 1, None),
            ("G729", 8000, 1, Some(Codec::G729).filter(|_| cfg!(feature = "g729"))),
            ("EVS", 16_000, 1, None),
        ] {
            assert_eq!(Codec::of(name, clock, channels, None), expected, "{name}/{clock}/{channels}");
        }
        assert_eq!(Foreign::of("amr-wb").map(Foreign::name), Some("AMR-WB"));
        assert_eq!(Foreign::of("telephone-event"), None);
    }

    #[test]
    fn the_parameters_of_amr_say_how_it_is_packed() {
        let amr = |rate, packing| Some(Codec::Amr(rate, packing)).filter(|_| cfg!(feature = "amr"));
        for (name, clock, fmtp, expected) in [
            ("AMR", 8000, None, amr(Rate::Narrow, Packing::Dense)),
            ("amr", 8000, Some("mode-set=7; octet-align=1"), amr(Rate::Narrow, Packing::Aligned)),
            ("AMR-WB", 16_000, Some("octet-align=1"), amr(Rate::Wide, Packing::Aligned)),
            ("AMR-WB", 16_000, Some("octet-align=1; interleaving=30"), None),
            ("AMR-WB", 8000, None, None),
        ] {
            assert_eq!(Codec::of(name, clock, 1, fmtp), expected, "{name}/{clock} {fmtp:?}");
        }
    }

    #[test]
    fn twenty_milliseconds_are_so_many_ticks() {
        for codec in Codec::ALL {
            let (samples, ticks) = match codec {
                Codec::G722 => (320, 160),
                Codec::Opus => (320, 960),
                Codec::L16Wide | Codec::Amr(Rate::Wide, _) => (320, 320),
                _ => (160, 160),
            };
            assert_eq!((codec.ticks(samples), codec.samples(ticks)), (ticks, samples), "{codec:?}");
        }
    }
}
