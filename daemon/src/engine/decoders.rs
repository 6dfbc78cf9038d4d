//! The one place where payloads become samples: the decoders of one stream, one of which is in use.

use super::codec::{Codec, MAX_SAMPLES};
use crate::sys::opus::OpusDecoder;
use vouch_dsp::codec::{g711::Law, g722::G722, gsm::Gsm, l16};

/// Longest Opus packet that holds no audio: the sender is silent, and says so (RFC 6716 section 2.1.9).
const OPUS_SILENCE: usize = 2;

/// Decoders of one stream.
#[derive(Debug)]
pub(super) struct Decoders {
    /// The one in use, whose state belongs to the stream.
    current: Option<Codec>,
    g722: G722,
    gsm: Gsm,
    opus: OpusDecoder,
}

impl Decoders {
    /// Decoders that heard nothing; everything they ever need is allocated here.
    pub(super) fn new() -> Self {
        Self { current: None, g722: G722::new(), gsm: Gsm::new(), opus: OpusDecoder::new() }
    }

    /// Bytes that they hold beside themselves.
    pub(super) fn state_bytes() -> usize {
        OpusDecoder::state_bytes().next_multiple_of(8)
    }

    /// Forgets and wipes what was heard: the next packet begins a stream.
    pub(super) fn reset(&mut self) {
        match self.current.take() {
            Some(Codec::G722) => self.g722 = G722::new(),
            Some(Codec::Gsm) => self.gsm = Gsm::new(),
            Some(Codec::Opus) => self.opus.reset(),
            _ => {}
        }
    }

    /// Decodes one payload into the front of `pcm`; how many samples that are, none where it cannot be decoded or holds
    /// no audio. Another codec than the last begins a stream.
    pub(super) fn decode(&mut self, codec: Codec, payload: &[u8], pcm: &mut [i16; MAX_SAMPLES]) -> usize {
        if self.current != Some(codec) {
            self.reset();
            self.current = Some(codec);
        }
        match codec {
            Codec::Pcmu => Law::Mu.decode_into(payload, pcm),
            Codec::Pcma => Law::A.decode_into(payload, pcm),
            Codec::G722 => self.g722.decode_into(payload, pcm),
            Codec::Gsm => self.gsm.decode_into(payload, pcm),
            Codec::L16Narrow | Codec::L16Wide => l16::decode_into(payload, pcm),
            Codec::Opus if payload.len() <= OPUS_SILENCE => 0,
            Codec::Opus => self.opus.decode(payload, pcm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::jitter::MAX_PAYLOAD;
    use super::*;

    #[test]
    fn both_laws_decode_their_silence_and_their_loudest_code() {
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        assert_eq!(decoders.decode(Codec::Pcmu, &[0xff, 0x80, 0x00], &mut pcm), 3);
        assert_eq!(pcm[..3], [0, 32_124, -32_124]);
        assert_eq!(decoders.decode(Codec::Pcma, &[0xd5, 0xaa, 0x2a], &mut pcm), 3);
        assert_eq!(pcm[..3], [8, 32_256, -32_256]);
    }

    #[test]
    fn the_longest_payload_of_every_codec_fits() {
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        let payload = [0xd5; MAX_PAYLOAD];
        for codec in Codec::ALL {
            let samples = decoders.decode(codec, &payload, &mut pcm);
            assert!(samples <= MAX_SAMPLES && (samples > 0 || codec == Codec::Opus), "{codec:?}: {samples}");
        }
        assert_eq!(decoders.decode(Codec::L16Wide, &payload, &mut pcm), 960, "60 ms at 16 kHz");
    }

    #[test]
    fn another_codec_in_between_begins_a_stream_anew() {
        let coded: Vec<u8> = (0..160_u32).map(|at| (at * 97 % 251) as u8).collect();
        let (mut decoders, mut fresh, mut again) = (Decoders::new(), [0; MAX_SAMPLES], [0; MAX_SAMPLES]);
        decoders.decode(Codec::G722, &coded, &mut fresh);
        decoders.decode(Codec::G722, &coded, &mut again);
        assert_ne!(fresh, again);
        decoders.decode(Codec::Pcmu, &coded, &mut again);
        decoders.decode(Codec::G722, &coded, &mut again);
        assert_eq!(fresh, again);
    }

    #[test]
    fn opus_frames_of_silence_hold_no_audio() {
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3], &mut pcm), 0);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3, 0], &mut pcm), 0);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3, 0, 0], &mut pcm), 320);
    }
}
