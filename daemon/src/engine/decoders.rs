//! The one place where payloads become samples: the decoders of one stream, one of which is in use.

use super::codec::{Codec, MAX_SAMPLES};
use crate::sys::linked::LinkedDecoder;
use crate::sys::opus::OpusDecoder;
use crate::wire::amr::Frames;
use vouch_dsp::codec::{g711::Law, g722::G722, gsm::Gsm, l16};

/// Longest Opus packet that holds no audio: the sender is silent, and says so (RFC 6716 section 2.1.9).
const OPUS_SILENCE: usize = 2;
/// Bytes of a G.729 frame of 10 ms. A shorter one at the end of a payload describes silence (RFC 3551 section 4.5.6).
const G729_FRAME: usize = 10;

/// Decoders of one stream.
#[derive(Debug)]
pub(super) struct Decoders {
    /// The one in use, whose state belongs to the stream.
    current: Option<Codec>,
    g722: G722,
    gsm: Gsm,
    opus: OpusDecoder,
    linked: LinkedDecoder,
}

impl Decoders {
    /// Decoders that heard nothing; everything they ever need is allocated here, or by the libraries that are linked.
    pub(super) fn new() -> Self {
        let linked = LinkedDecoder::default();
        Self { current: None, g722: G722::new(), gsm: Gsm::new(), opus: OpusDecoder::new(), linked }
    }

    /// Bytes that they hold beside themselves.
    pub(super) fn state_bytes() -> usize {
        OpusDecoder::state_bytes().next_multiple_of(8)
    }

    /// Forgets and wipes what was heard: the next packet begins a stream. (A linked library frees its state, and does not wipe it.)
    pub(super) fn reset(&mut self) {
        match self.current.take() {
            Some(Codec::G722) => self.g722 = G722::new(),
            Some(Codec::Gsm) => self.gsm = Gsm::new(),
            Some(Codec::Opus) => self.opus.reset(),
            Some(Codec::G729 | Codec::Amr(..)) => self.linked.reset(),
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
            Codec::G729 => self.decode_frames(codec, payload.chunks_exact(G729_FRAME), pcm),
            Codec::Amr(rate, packing) => {
                Frames::of(payload, rate, packing).map_or(0, |frames| self.decode_frames(codec, frames, pcm))
            }
        }
    }

    /// Decodes frame by frame, by the codec's library; those that find no room any more are left out.
    fn decode_frames(
        &mut self,
        codec: Codec,
        frames: impl Iterator<Item: AsRef<[u8]>>,
        pcm: &mut [i16; MAX_SAMPLES],
    ) -> usize {
        let Some(library) = codec.library() else { return 0 };
        frames
            .fold(0, |length, frame| length + self.linked.decode(library, frame.as_ref(), &mut pcm[length..]))
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
        for codec in Codec::decoded() {
            let samples = decoders.decode(codec, &payload, &mut pcm);
            let has_frames = !matches!(codec, Codec::Opus | Codec::Amr(..));
            assert!(samples <= MAX_SAMPLES && (samples > 0 || !has_frames), "{codec:?}: {samples}");
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
    #[cfg(feature = "g729")]
    fn a_g729_payload_is_frames_and_perhaps_silence() {
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        for (length, samples) in [(10, 80), (20, 160), (22, 160), (2, 0), (0, 0), (1920, MAX_SAMPLES)] {
            assert_eq!(
                decoders.decode(Codec::G729, &vec![0x35; length], &mut pcm),
                samples,
                "{length} bytes"
            );
        }
    }

    #[test]
    #[cfg(feature = "amr")]
    fn an_amr_payload_is_frames_of_speech_or_none() {
        use crate::wire::amr::{Packing, Rate};
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        let aligned = Codec::Amr(Rate::Narrow, Packing::Aligned);
        // Two frames at 12.2 kbit/s, the second of which is marked as damaged; then a description of silence.
        let two: Vec<u8> = [0xF0, 0x80 | 7 << 3 | 4, 7 << 3].into_iter().chain([0x35; 62]).collect();
        assert_eq!(decoders.decode(aligned, &two, &mut pcm), 160);
        assert_eq!(decoders.decode(aligned, &[0xF0, 8 << 3 | 4, 0, 0, 0, 0, 0], &mut pcm), 0);
        assert_eq!(decoders.decode(aligned, &two[..60], &mut pcm), 0, "cut short");
        let wide: Vec<u8> = [0xF0, 8 << 3 | 4].into_iter().chain([0x35; 60]).collect();
        assert_eq!(decoders.decode(Codec::Amr(Rate::Wide, Packing::Aligned), &wide, &mut pcm), 320);
    }

    #[test]
    fn opus_frames_of_silence_hold_no_audio() {
        let (mut decoders, mut pcm) = (Decoders::new(), [0; MAX_SAMPLES]);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3], &mut pcm), 0);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3, 0], &mut pcm), 0);
        assert_eq!(decoders.decode(Codec::Opus, &[9 << 3, 0, 0], &mut pcm), 320);
    }
}
