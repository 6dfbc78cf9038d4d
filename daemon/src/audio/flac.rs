//! FLAC files; the only caller of symphonia.

use super::{AudioFault, MAX_SAMPLES, RATES, Recording};
use std::io::{Cursor, ErrorKind};
use std::panic::catch_unwind;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Whether a file begins like a FLAC file.
pub(super) fn is_flac(file: &[u8]) -> bool {
    file.starts_with(b"fLaC")
}

/// Reads a file for which [`is_flac`] holds.
pub(super) fn read(file: Vec<u8>) -> Result<Recording, AudioFault> {
    // The decoder owns all it touches, so after a panic in it nothing half-made stays behind; and no file
    // may end the program.
    catch_unwind(|| Source::open(file)?.first_channel())
        .unwrap_or_else(|_| Err(AudioFault::Damaged("the decoder gave up on it".to_owned())))
}

/// An opened file whose header was read.
struct Source {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    rate: u32,
    /// Samples of a channel, where the header says.
    expected: Option<u64>,
}

impl Source {
    fn open(file: Vec<u8>) -> Result<Self, AudioFault> {
        let stream = MediaSourceStream::new(Box::new(Cursor::new(file)), Default::default());
        let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
        let format =
            symphonia::default::get_probe().probe(&Hint::new(), stream, format, metadata).map_err(damaged)?;
        let track = format.default_track(TrackType::Audio).ok_or(AudioFault::Empty)?;
        let expected = track.num_frames;
        let (decoder, rate) = decoder_of(track)?;
        if !RATES.contains(&rate) {
            return Err(AudioFault::Rate(rate));
        }
        if expected.is_some_and(|samples| samples > MAX_SAMPLES as u64) {
            return Err(AudioFault::TooLong);
        }
        Ok(Self { format, decoder, rate, expected })
    }

    /// Decodes to the end.
    fn first_channel(mut self) -> Result<Recording, AudioFault> {
        let mut pcm = Vec::new();
        let mut interleaved: Vec<i16> = Vec::new();
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(damaged(error)),
            };
            let decoded = self.decoder.decode(&packet).map_err(damaged)?;
            let channels = decoded.spec().channels().count().max(1);
            decoded.copy_to_vec_interleaved(&mut interleaved);
            pcm.extend(interleaved.iter().step_by(channels));
            if pcm.len() > MAX_SAMPLES {
                return Err(AudioFault::TooLong);
            }
        }
        match self.expected {
            Some(expected) if expected > pcm.len() as u64 => {
                Err(AudioFault::Truncated { expected, found: pcm.len() as u64 })
            }
            _ => Ok(Recording { pcm, rate: self.rate }),
        }
    }
}

fn decoder_of(track: &Track) -> Result<(Box<dyn AudioDecoder>, u32), AudioFault> {
    let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio()).ok_or(AudioFault::Empty)?;
    let rate = parameters.sample_rate.ok_or_else(|| AudioFault::Damaged("no sampling rate".to_owned()))?;
    let options = AudioDecoderOptions::default();
    let decoder =
        symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(damaged)?;
    Ok((decoder, rate))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: Error) -> AudioFault {
    AudioFault::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 64 samples of 16 bits at 8 kHz, two channels (left is n * 100, right -n), written by sox 14.4.
    const FLAC: &[u8] = &[
        0x66, 0x4c, 0x61, 0x43, 0x80, 0x00, 0x00, 0x22, 0x10, 0x00, 0x10, 0x00, 0x00, 0x00, 0x25, 0x00, 0x00,
        0x25, 0x01, 0xf4, 0x02, 0xf0, 0x00, 0x00, 0x00, 0x40, 0x16, 0xf2, 0xe2, 0xc7, 0x46, 0x5d, 0x59, 0x70,
        0x6d, 0x41, 0x0d, 0x42, 0xae, 0xe4, 0x8f, 0x6a, 0xff, 0xf8, 0x64, 0x18, 0x00, 0x3f, 0xfc, 0x15, 0x40,
        0x00, 0x00, 0x64, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0x50, 0x00, 0x03, 0xff, 0xfc,
        0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0x65, 0x07,
    ];

    #[test]
    fn the_first_channel_is_taken() {
        let recording = read(FLAC.to_vec()).unwrap();
        assert_eq!(recording.rate, 8_000);
        assert_eq!(recording.pcm, (0..64).map(|n| n * 100).collect::<Vec<i16>>());
    }

    #[test]
    fn a_cut_file_is_refused() {
        let cut = FLAC[..FLAC.len() - 20].to_vec();
        assert!(matches!(read(cut), Err(AudioFault::Truncated { .. } | AudioFault::Damaged(_))));
        assert!(matches!(read(b"fLaC".to_vec()), Err(AudioFault::Damaged(_))));
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(position in 4..FLAC.len(), byte: u8, length in 4..FLAC.len()) {
            let mut file = FLAC.to_vec();
            file[position] = byte;
            file.truncate(length.max(position));
            let _ = read(file);
        }
    }
}
