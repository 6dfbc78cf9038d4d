//! WAV files as telephony writes them (Microsoft RIFF, 1991, and WAVEFORMATEXTENSIBLE): PCM of 8 to 32 bits,
//! floating point, mu-law and A-law.
//!
//! A reader of our own because those at hand refuse the 16-byte mu-law header that many recorders write, or
//! panic on damaged ones.

use super::{AudioFault, MAX_SAMPLES, RATES, Recording};
use vouch_dsp::codec::g711::Law;

/// A data length from here on was left open by a recorder that could not seek back: read to the file's end.
const OPEN_LENGTH: u32 = 0x7fff_0000;
const EXTENSIBLE: u16 = 0xfffe;
/// What follows the format tag in the sub-format of WAVEFORMATEXTENSIBLE.
const SUBFORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Whether a file begins like a WAV file.
pub(super) fn is_wav(file: &[u8]) -> bool {
    file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WAVE")
}

/// Reads a file for which [`is_wav`] holds.
pub(super) fn read(file: &[u8]) -> Result<Recording, AudioFault> {
    let mut format = None;
    let mut rest = file.get(12..).unwrap_or_default();
    while let Some((id, length, body)) = chunk(rest) {
        match &id {
            b"fmt " => format = Some(Format::parse(body)?),
            b"data" => {
                let format = format.ok_or_else(|| damaged("its data come before their format"))?;
                return format.first_channel(body, length);
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        let next = (8 + length as usize).saturating_add(length as usize % 2);
        rest = rest.get(next..).unwrap_or_default();
    }
    Err(damaged("it has no data"))
}

/// Id, stated length, and as much of the body as is there.
fn chunk(rest: &[u8]) -> Option<([u8; 4], u32, &[u8])> {
    let (id, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    Some((*id, length, &rest[..rest.len().min(length as usize)]))
}

/// The encodings of a sample.
#[derive(Clone, Copy)]
enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Law(Law),
}

impl Encoding {
    fn of(tag: u16, bits: u16) -> Result<Self, AudioFault> {
        match (tag, bits) {
            (1, 8) => Ok(Self::Unsigned8),
            (1, 16) => Ok(Self::Signed16),
            (1, 24) => Ok(Self::Signed24),
            (1, 32) => Ok(Self::Signed32),
            (3, 32) => Ok(Self::Float32),
            (3, 64) => Ok(Self::Float64),
            (6, 8) => Ok(Self::Law(Law::A)),
            (7, 8) => Ok(Self::Law(Law::Mu)),
            _ => Err(AudioFault::Unsupported(format!("WAV format {tag} with {bits} bits"))),
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Law(_) => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The sample at the start of `frame`, which holds at least [`Self::bytes`].
    fn sample(self, frame: &[u8]) -> i16 {
        let top = |at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]);
        match self {
            Self::Unsigned8 => (i16::from(frame[0]) - 128) << 8,
            Self::Signed16 => top(0),
            Self::Signed24 => top(1),
            Self::Signed32 => top(2),
            Self::Float32 => from_float(f64::from(f32::from_le_bytes(first(frame)))),
            Self::Float64 => from_float(f64::from_le_bytes(first(frame))),
            Self::Law(law) => law.decode(frame[0]),
        }
    }
}

/// Full scale is 1.0; what is no number becomes silence (`as` saturates).
fn from_float(value: f64) -> i16 {
    (value * 32_768.0).round() as i16
}

/// The first bytes of a frame, which holds at least as many.
fn first<const N: usize>(frame: &[u8]) -> [u8; N] {
    std::array::from_fn(|index| frame[index])
}

struct Format {
    encoding: Encoding,
    rate: u32,
    /// Bytes of one sample of all channels.
    block: usize,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Self, AudioFault> {
        let word = |at: usize| body.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let header = || Some((word(0)?, word(2)?, (word(4)?, word(6)?), word(12)?, word(14)?));
        let (tag, channels, rate, block, bits) = header().ok_or_else(|| damaged("its format is cut"))?;
        let tag = match tag {
            EXTENSIBLE if body.get(26..40) == Some(&SUBFORMAT_TAIL) => word(24).unwrap_or(tag),
            tag => tag,
        };
        let encoding = Encoding::of(tag, bits)?;
        let rate = u32::from(rate.0) | u32::from(rate.1) << 16;
        if !RATES.contains(&rate) {
            return Err(AudioFault::Rate(rate));
        }
        if channels == 0 || usize::from(block) != usize::from(channels) * encoding.bytes() {
            return Err(damaged("its channels and sample size do not fit together"));
        }
        Ok(Self { encoding, rate, block: usize::from(block) })
    }

    fn first_channel(&self, body: &[u8], length: u32) -> Result<Recording, AudioFault> {
        let (found, expected) = (body.len() / self.block, length as usize / self.block);
        if found < expected && length < OPEN_LENGTH {
            return Err(AudioFault::Truncated { expected: expected as u64, found: found as u64 });
        }
        if found > MAX_SAMPLES {
            return Err(AudioFault::TooLong);
        }
        let pcm = body.chunks_exact(self.block).map(|frame| self.encoding.sample(frame)).collect();
        Ok(Recording { pcm, rate: self.rate })
    }
}

fn damaged(what: &str) -> AudioFault {
    AudioFault::Damaged(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The format chunk of a file: tag, channels, rate and bits.
    type Head = (u16, u16, u32, u16);

    fn wav((tag, channels, rate, bits): Head, data: &[u8]) -> Vec<u8> {
        let block = channels * bits / 8;
        let mut format = [tag, channels].map(u16::to_le_bytes).concat();
        format.extend([rate, rate * u32::from(block)].map(u32::to_le_bytes).concat());
        format.extend([block, bits].map(u16::to_le_bytes).concat());
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0odd\0".to_vec();
        for (id, body) in [(b"fmt ", format.as_slice()), (b"data", data)] {
            file.extend(id);
            file.extend((body.len() as u32).to_le_bytes());
            file.extend(body);
        }
        file
    }

    #[test]
    fn every_format_gives_the_same_samples() {
        let pcm = [0i16, 256, -256, 16_384, -32_768];
        let bytes = |each: &dyn Fn(i16) -> Vec<u8>| pcm.iter().flat_map(|&s| each(s)).collect::<Vec<u8>>();
        let files = [
            wav((1, 1, 8_000, 8), &bytes(&|s| vec![((s >> 8) + 128) as u8])),
            wav((1, 1, 8_000, 16), &bytes(&|s| s.to_le_bytes().to_vec())),
            wav((1, 1, 8_000, 24), &bytes(&|s| (i32::from(s) << 8).to_le_bytes()[..3].to_vec())),
            wav((1, 1, 8_000, 32), &bytes(&|s| (i32::from(s) << 16).to_le_bytes().to_vec())),
            wav((3, 1, 8_000, 32), &bytes(&|s| (f32::from(s) / 32_768.0).to_le_bytes().to_vec())),
            wav((3, 1, 8_000, 64), &bytes(&|s| (f64::from(s) / 32_768.0).to_le_bytes().to_vec())),
        ];
        for file in files {
            assert_eq!(read(&file).unwrap(), Recording { pcm: pcm.to_vec(), rate: 8_000 });
        }
    }

    #[test]
    fn g711_files_follow_the_standard() {
        // ITU-T G.711: the largest negative, a smallest and the largest positive value.
        assert_eq!(read(&wav((7, 1, 8_000, 8), &[0x00, 0xff, 0x80])).unwrap().pcm, [-32_124, 0, 32_124]);
        assert_eq!(read(&wav((6, 1, 8_000, 8), &[0x2a, 0xd5, 0xaa])).unwrap().pcm, [-32_256, 8, 32_256]);
    }

    #[test]
    fn the_first_channel_is_taken() {
        let samples = [1i16, 100, 2, 200, 3, 300].map(i16::to_le_bytes).concat();
        let recording = read(&wav((1, 2, 16_000, 16), &samples)).unwrap();
        assert_eq!(recording, Recording { pcm: vec![1, 2, 3], rate: 16_000 });
    }

    #[test]
    fn floats_outside_full_scale_are_clipped() {
        let samples = [2.0f32, -2.0, f32::NAN].map(f32::to_le_bytes).concat();
        assert_eq!(read(&wav((3, 1, 8_000, 32), &samples)).unwrap().pcm, [i16::MAX, i16::MIN, 0]);
    }

    #[test]
    fn an_extensible_format_is_read_by_its_sub_format() {
        let mut format = [0xfffe, 1].map(u16::to_le_bytes).concat();
        format.extend([8_000u32, 16_000].map(u32::to_le_bytes).concat());
        format.extend([2u16, 16, 22, 16, 4, 0, 1].map(u16::to_le_bytes).concat());
        format.extend(SUBFORMAT_TAIL);
        let parsed = Format::parse(&format).unwrap();
        assert!(matches!(parsed.encoding, Encoding::Signed16));
        format[30] = 1;
        assert!(matches!(Format::parse(&format), Err(AudioFault::Unsupported(_))));
    }

    #[test]
    fn bad_files_are_refused_by_cause() {
        let fine = wav((1, 1, 8_000, 16), &[1; 400]);
        assert!(matches!(
            read(&fine[..fine.len() - 200]),
            Err(AudioFault::Truncated { expected: 200, found: 100 })
        ));
        assert!(matches!(read(&wav((1, 1, 4_000, 16), &[1; 400])), Err(AudioFault::Rate(4_000))));
        assert!(matches!(read(&wav((0x55, 1, 8_000, 16), &[1; 400])), Err(AudioFault::Unsupported(_))));
        assert!(matches!(read(&wav((1, 0, 8_000, 16), &[1; 400])), Err(AudioFault::Damaged(_))));
        assert!(matches!(read(b"RIFF\0\0\0\0WAVE"), Err(AudioFault::Damaged(_))));
    }

    #[test]
    fn a_length_left_open_ends_with_the_file() {
        let mut file = wav((1, 1, 8_000, 16), &[1; 400]);
        let length = file.len() - 404;
        file[length..length + 4].fill(0xff);
        assert_eq!(read(&file).unwrap().pcm.len(), 200);
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(position in 0usize..456, byte: u8, length in 0usize..456) {
            let mut file = wav((7, 1, 8_000, 8), &[7; 400]);
            file[position] = byte;
            file.truncate(length);
            let _ = read(&file);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = read(&[b"RIFF\0\0\0\0WAVE".as_slice(), &bytes].concat());
        }
    }
}
