//! The Opus decoder of libopus (RFC 6716), on memory that is allocated once: what decodes a call allocates nothing.

#![allow(unsafe_code, reason = "libopus is a C library, and its safe bindings allocate for every decoder")]

use opusic_sys as libopus;
use std::ffi::c_int;
use std::fmt;

/// Samples per second that come out, whatever the sender coded.
const SAMPLE_RATE: i32 = 16_000;
/// One channel: libopus mixes stereo down.
const CHANNELS: c_int = 1;

/// Decoder of one stream, to 16 kHz mono.
pub struct OpusDecoder {
    /// libopus's state. It holds no address of itself, and a box stays where it is.
    state: Box<[u64]>,
    ready: bool,
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder").field("ready", &self.ready).finish_non_exhaustive()
    }
}

impl OpusDecoder {
    /// A decoder whose memory is there; the only allocation of its life.
    pub fn new() -> Self {
        Self { state: vec![0; Self::state_bytes().div_ceil(8)].into_boxed_slice(), ready: false }
    }

    /// Bytes of memory that a decoder holds beside itself.
    pub fn state_bytes() -> usize {
        // SAFETY: the function takes a number of channels, 1 or 2, and touches no memory.
        let bytes = unsafe { libopus::opus_decoder_get_size(CHANNELS) };
        usize::try_from(bytes).unwrap_or(0)
    }

    /// Forgets and wipes what was heard; the next packet begins a stream.
    pub fn reset(&mut self) {
        if self.ready {
            self.state.fill(0);
            self.ready = false;
        }
    }

    /// Decodes a packet into the front of `pcm`; how many samples that are. A packet that is none, or needs more room than
    /// there is, gives none.
    pub fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> usize {
        let (Ok(length), Ok(room)) = (i32::try_from(packet.len()), c_int::try_from(pcm.len())) else {
            return 0;
        };
        // Without bytes libopus would invent what was lost, and without room there is nothing to do.
        if length == 0 || room == 0 || !self.prepare() {
            return 0;
        }
        let decoder = self.state.as_mut_ptr().cast::<libopus::OpusDecoder>();
        // SAFETY: `prepare` made the memory, which is as large as libopus asked for and aligned for any of its types, a
        // decoder of one channel; `packet` is readable for `length` bytes and `pcm` writable for `room` samples.
        let samples =
            unsafe { libopus::opus_decode(decoder, packet.as_ptr(), length, pcm.as_mut_ptr(), room, 0) };
        usize::try_from(samples).unwrap_or(0)
    }

    /// Makes a decoder of the memory, unless it is one; false where libopus refuses.
    fn prepare(&mut self) -> bool {
        if !self.ready && self.state.len() * 8 >= Self::state_bytes() {
            let decoder = self.state.as_mut_ptr().cast::<libopus::OpusDecoder>();
            // SAFETY: the memory is as large as `opus_decoder_get_size` says for this number of channels, and aligned to
            // 8 bytes, as a C allocator would align it for every member of the state.
            let answer = unsafe { libopus::opus_decoder_init(decoder, SAMPLE_RATE, CHANNELS) };
            self.ready = answer == libopus::OPUS_OK;
        }
        self.ready
    }
}

impl Default for OpusDecoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_gives_as_many_samples_as_its_header_says() {
        let (mut decoder, mut pcm) = (OpusDecoder::new(), [0; 1920]);
        // Header bytes (RFC 6716 section 3.1): wideband SILK of 20 ms, CELT of 10 ms, SILK of 60 ms.
        for (header, samples) in [(9 << 3, 320), (22 << 3, 160), (11 << 3, 960)] {
            assert_eq!(decoder.decode(&[header, 0, 0, 0], &mut pcm), samples);
        }
        assert_eq!(decoder.decode(&[11 << 3, 0, 0, 0], &mut pcm[..100]), 0, "no room");
        assert_eq!(decoder.decode(&[], &mut pcm), 0);
    }

    #[test]
    fn a_reset_decoder_begins_anew() {
        let packet: Vec<u8> =
            [9 << 3].into_iter().chain((0..60).map(|byte: u8| byte.wrapping_mul(37))).collect();
        let decode = |decoder: &mut OpusDecoder| {
            let mut pcm = [0; 320];
            assert_eq!(decoder.decode(&packet, &mut pcm), 320);
            pcm
        };
        let mut decoder = OpusDecoder::new();
        let first = decode(&mut decoder);
        assert_ne!(decode(&mut decoder), first, "the state counts");
        decoder.reset();
        assert!(decoder.state.iter().all(|word| *word == 0));
        assert_eq!(decode(&mut decoder), first);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_fault(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20)) {
            let (mut decoder, mut pcm) = (OpusDecoder::new(), [0; 1920]);
            for packet in packets {
                prop_assert!(decoder.decode(&packet, &mut pcm) <= pcm.len());
            }
        }
    }
}
