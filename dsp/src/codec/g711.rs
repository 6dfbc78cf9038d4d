//! G.711 companding (ITU-T G.711, 11/1988): mu-law and A-law to and from 16-bit linear.
//!
//! Linear values are those of the ITU-T software tool library (G.191): mu-law's 14 bits and A-law's
//! 13 bits are left-justified in 16, and a negative input is complemented, not negated, before it
//! is quantised.

/// Companding law of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// PCMU, RTP payload type 0.
    Mu,
    /// PCMA, RTP payload type 8.
    A,
}

impl Law {
    /// Linear value of a code.
    pub const fn decode(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU_LINEAR[code as usize],
            Self::A => A_LINEAR[code as usize],
        }
    }

    /// Code of a linear value.
    pub const fn encode(self, linear: i16) -> u8 {
        match self {
            Self::Mu => mu_encode(linear),
            Self::A => a_encode(linear),
        }
    }

    /// Decodes a payload into `pcm` as far as both reach; returns the number of samples.
    pub fn decode_into(self, payload: &[u8], pcm: &mut [i16]) -> usize {
        let table = match self {
            Self::Mu => &MU_LINEAR,
            Self::A => &A_LINEAR,
        };
        for (sample, code) in pcm.iter_mut().zip(payload) {
            *sample = table[usize::from(*code)];
        }
        payload.len().min(pcm.len())
    }
}

static MU_LINEAR: [i16; 256] = linear_table(Law::Mu);
static A_LINEAR: [i16; 256] = linear_table(Law::A);

const fn linear_table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = match law {
            Law::Mu => mu_expand(code as u8),
            Law::A => a_expand(code as u8),
        };
        code += 1;
    }
    table
}

/// Offset that makes mu-law's segments start at powers of two: 33 in 14 bits.
const MU_BIAS: i16 = 33;
/// Magnitudes above this are clipped by mu-law: 13 bits after the bias.
const MU_CLIP: i16 = 0x1fff;
/// A-law codes travel with every other bit inverted.
const A_TOGGLE: u8 = 0x55;

const fn mu_expand(code: u8) -> i16 {
    let inverted = !code;
    let segment = (inverted >> 4) & 7;
    let step = (inverted & 15) as i16;
    // 14-bit midpoint of the interval, without the bias.
    let magnitude = (((2 * step + 33) << segment) - MU_BIAS) << 2;
    if inverted & 0x80 != 0 { -magnitude } else { magnitude }
}

const fn mu_encode(linear: i16) -> u8 {
    let magnitude = (magnitude(linear) >> 2) + MU_BIAS;
    let magnitude = if magnitude > MU_CLIP { MU_CLIP } else { magnitude };
    // Segment: position of the leading one above bit 5, which the bias guarantees.
    let segment = 10 - magnitude.leading_zeros() as u8;
    let step = (magnitude >> (segment + 1)) as u8 & 15;
    let sign = if linear < 0 { 0x80 } else { 0 };
    !(sign | segment << 4 | step)
}

const fn a_expand(code: u8) -> i16 {
    let plain = code ^ A_TOGGLE;
    let segment = (plain >> 4) & 7;
    let step = (plain & 15) as i16;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if plain & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn a_encode(linear: i16) -> u8 {
    let magnitude = magnitude(linear) >> 4;
    let code = if magnitude < 32 {
        magnitude as u8
    } else {
        // Segment: position of the leading one, from bit 4 upwards.
        let segment = 12 - magnitude.leading_zeros() as u8;
        segment << 4 | (magnitude >> (segment - 1)) as u8 & 15
    };
    let sign = if linear < 0 { 0 } else { 0x80 };
    (sign | code) ^ A_TOGGLE
}

/// One's-complement magnitude, 0 to 32767.
const fn magnitude(linear: i16) -> i16 {
    linear ^ (linear >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upper decision value of the last interval of each segment, and interval width, from
    /// G.711 tables 1a (A-law, 13 bits) and 2a (mu-law, 14 bits).
    const A_SEGMENTS: [(i32, i32); 8] =
        [(32, 2), (64, 2), (128, 4), (256, 8), (512, 16), (1024, 32), (2048, 64), (4096, 128)];
    const MU_SEGMENTS: [(i32, i32); 8] =
        [(31, 2), (95, 4), (223, 8), (479, 16), (991, 32), (2015, 64), (4063, 128), (8159, 256)];

    /// Decoder output of positive interval `index` (0 nearest to zero), from the tables: the
    /// middle of the interval, in the law's own bits.
    fn output_from_table(law: Law, index: usize) -> i32 {
        let segments = if law == Law::A { A_SEGMENTS } else { MU_SEGMENTS };
        let (end, width) = segments[index / 16];
        let above = 16 - index as i32 % 16;
        match law {
            // The first mu-law interval is 0..1, its output 0.
            Law::Mu if index == 0 => 0,
            _ => end - above * width + width / 2,
        }
    }

    fn bits_to_16(law: Law) -> i32 {
        if law == Law::A { 8 } else { 4 }
    }

    #[test]
    fn all_codes_decode_to_the_standards_table() {
        for index in 0..128_usize {
            for law in [Law::Mu, Law::A] {
                let expected = output_from_table(law, index) * bits_to_16(law);
                let (positive, negative) = match law {
                    Law::Mu => (!(index as u8), !(index as u8 | 0x80)),
                    Law::A => ((index as u8 | 0x80) ^ 0x55, index as u8 ^ 0x55),
                };
                assert_eq!(i32::from(law.decode(positive)), expected, "{law:?} {index}");
                assert_eq!(i32::from(law.decode(negative)), -expected, "{law:?} {index}");
            }
        }
    }

    #[test]
    fn all_codes_survive_a_round_trip() {
        for code in 0..=255 {
            assert_eq!(Law::A.encode(Law::A.decode(code)), code);
            // Mu-law has two zeros; the encoder sends the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(code)), expected);
        }
    }

    #[test]
    fn every_sample_falls_into_the_standards_interval() {
        for law in [Law::Mu, Law::A] {
            let segments = if law == Law::A { A_SEGMENTS } else { MU_SEGMENTS };
            for linear in i16::MIN..=i16::MAX {
                let magnitude = i32::from(linear ^ (linear >> 15)) / bits_to_16(law);
                // Interval by walking the standard's decision values upwards.
                let index = (0..127)
                    .find(|index| {
                        let (end, width) = segments[index / 16];
                        magnitude < end - (15 - *index as i32 % 16) * width
                    })
                    .unwrap_or(127);
                let code = law.encode(linear);
                let expected = output_from_table(law, index) * bits_to_16(law);
                assert_eq!(i32::from(law.decode(code)).abs(), expected, "{law:?} {linear}");
                assert!(law.decode(code) == 0 || (law.decode(code) < 0) == (linear < 0));
            }
        }
    }

    #[test]
    fn a_payload_is_decoded_as_far_as_there_is_room() {
        let mut pcm = [1; 3];
        assert_eq!(Law::Mu.decode_into(&[0xff, 0x00], &mut pcm), 2);
        assert_eq!(pcm, [0, -32124, 1]);
        assert_eq!(Law::A.decode_into(&[0xd5; 9], &mut pcm), 3);
        assert_eq!(pcm, [8; 3]);
    }
}
