//! libopus's encoder, for tests that send Opus.

#![allow(unsafe_code, reason = "libopus is a C library; its encoder is used in tests alone")]

use opusic_sys as libopus;

/// Samples of a packet: 20 ms at 16 kHz.
pub const PACKET: usize = 320;

/// An encoder of mono speech at 16 kHz.
#[derive(Debug)]
pub struct OpusEncoder(*mut libopus::OpusEncoder);

impl OpusEncoder {
    /// An encoder of telephone speech.
    ///
    /// # Panics
    /// When libopus makes none.
    pub fn open() -> Self {
        let mut error = 0;
        // SAFETY: rate, channels and application are among those of the documentation; `error` outlives the call.
        let encoder = unsafe {
            libopus::opus_encoder_create(16_000, 1, libopus::OPUS_APPLICATION_VOIP, &raw mut error)
        };
        assert_eq!((error, encoder.is_null()), (libopus::OPUS_OK, false));
        Self(encoder)
    }

    /// The packets of `pcm`, 20 ms each.
    ///
    /// # Panics
    /// When libopus refuses the samples.
    pub fn packets(&mut self, pcm: &[i16]) -> Vec<Vec<u8>> {
        pcm.as_chunks::<PACKET>().0.iter().map(|samples| self.packet(samples)).collect()
    }

    fn packet(&mut self, samples: &[i16; PACKET]) -> Vec<u8> {
        let mut packet = vec![0; 400];
        // SAFETY: the encoder lives until `drop`; `samples` holds the 320 samples of one channel that are announced, and
        // `packet` the 400 bytes.
        let length = unsafe {
            libopus::opus_encode(self.0, samples.as_ptr(), PACKET as i32, packet.as_mut_ptr(), 400)
        };
        packet.truncate(usize::try_from(length).expect("libopus encodes any samples"));
        packet
    }
}

impl Drop for OpusEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and destroyed once.
        unsafe { libopus::opus_encoder_destroy(self.0) }
    }
}
