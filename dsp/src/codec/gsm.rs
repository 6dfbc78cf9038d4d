//! GSM full rate (ETSI EN 300 961, GSM 06.10) decoder: 33 bytes give 160 samples at 8 kHz.
//!
//! A frame holds eight reflection coefficients of a short-term filter and, for each quarter of it, a long-term
//! predictor and 13 pulses that excite both (section 5.3). Frames are packed as RFC 3551 section 4.5.8.1 says.

use super::arithmetic::{rounded_product, saturated};

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 33;
/// Samples of a frame: 20 ms.
pub const FRAME_SAMPLES: usize = 160;

/// Decoder of one stream.
#[derive(Clone, Debug)]
pub struct Gsm {
    /// Newest excitation, long enough for the longest lag.
    history: [i16; LONGEST_LAG],
    /// Lag of the last subframe that had a valid one.
    lag: usize,
    /// Log area ratios of the last frame.
    ratios: [i16; ORDER],
    /// Memory of the short-term filter; its first element is its output.
    lattice: [i16; ORDER + 1],
    /// Memory of the de-emphasis.
    deemphasised: i16,
}

impl Default for Gsm {
    fn default() -> Self {
        Self::new()
    }
}

impl Gsm {
    /// A decoder in its home state (section 4.4).
    pub const fn new() -> Self {
        Self {
            history: [0; LONGEST_LAG],
            lag: SHORTEST_LAG,
            ratios: [0; ORDER],
            lattice: [0; ORDER + 1],
            deemphasised: 0,
        }
    }

    /// Decodes the whole frames of a payload into `pcm` as far as both reach; returns the number of samples. It ends before a
    /// frame that does not begin with the signature 0xD.
    pub fn decode_into(&mut self, payload: &[u8], pcm: &mut [i16]) -> usize {
        let (frames, _) = payload.as_chunks::<FRAME_BYTES>();
        let (outputs, _) = pcm.as_chunks_mut::<FRAME_SAMPLES>();
        let mut done = 0;
        for (output, frame) in
            outputs.iter_mut().zip(frames.iter().take_while(|frame| frame[0] >> 4 == SIGNATURE))
        {
            self.decode(frame, output);
            done += FRAME_SAMPLES;
        }
        done
    }

    fn decode(&mut self, frame: &[u8; FRAME_BYTES], pcm: &mut [i16; FRAME_SAMPLES]) {
        let mut bits = Bits { bytes: frame, at: 4 };
        let ratios: [i16; ORDER] = core::array::from_fn(|at| log_area_ratio(at, bits.take(RATIO_BITS[at])));
        for subframe in pcm.as_chunks_mut::<SUBFRAME>().0 {
            self.excite(&mut bits, subframe);
        }
        self.filter(&ratios, pcm);
        self.ratios = ratios;
        for sample in pcm {
            // Postprocessing (section 5.3.5 and 5.3.6): 13 bits are left, at the top.
            self.deemphasised =
                saturated(i32::from(*sample) + i32::from(rounded_product(self.deemphasised, DEEMPHASIS)));
            *sample = saturated(2 * i32::from(self.deemphasised)) & !7;
        }
    }

    /// Excitation of a subframe (sections 5.3.1 and 5.3.2): pulses, and the long-term prediction.
    fn excite(&mut self, bits: &mut Bits<'_>, out: &mut [i16; SUBFRAME]) {
        let lag = usize::from(bits.take(7));
        let gain = LAG_GAINS[usize::from(bits.take(2))];
        let grid = usize::from(bits.take(2));
        let size = BlockSize::of(bits.take(6));
        if (SHORTEST_LAG..=LONGEST_LAG).contains(&lag) {
            self.lag = lag;
        }
        *out = [0; SUBFRAME];
        for pulse in 0..PULSES {
            out[grid + 3 * pulse] = size.pulse(bits.take(3));
        }
        for (at, sample) in out.iter_mut().enumerate() {
            // The lag is no shorter than a subframe, so what is predicted from lies in the history.
            let past = self.history[LONGEST_LAG - self.lag + at];
            *sample = saturated(i32::from(*sample) + i32::from(rounded_product(gain, past)));
        }
        self.history.copy_within(SUBFRAME.., 0);
        self.history[LONGEST_LAG - SUBFRAME..].copy_from_slice(out);
    }

    /// Short-term synthesis (section 5.3.4) with coefficients that glide from the last frame's (section 5.2.9.1).
    fn filter(&mut self, ratios: &[i16; ORDER], pcm: &mut [i16; FRAME_SAMPLES]) {
        let glide = |range: core::ops::Range<usize>, mix: fn(i16, i16) -> i16| (range, mix);
        let stretches = [
            glide(0..13, |old, new| {
                saturated(i32::from(old >> 2) + i32::from(new >> 2) + i32::from(old >> 1))
            }),
            glide(13..27, |old, new| saturated(i32::from(old >> 1) + i32::from(new >> 1))),
            glide(27..40, |old, new| {
                saturated(i32::from(old >> 2) + i32::from(new >> 2) + i32::from(new >> 1))
            }),
            glide(40..FRAME_SAMPLES, |_, new| new),
        ];
        for (range, mix) in stretches {
            let reflection: [i16; ORDER] =
                core::array::from_fn(|at| reflection(mix(self.ratios[at], ratios[at])));
            pcm[range].iter_mut().for_each(|sample| *sample = self.synthesise(*sample, &reflection));
        }
    }

    fn synthesise(&mut self, excitation: i16, reflection: &[i16; ORDER]) -> i16 {
        let mut sample = excitation;
        for (at, &weight) in reflection.iter().enumerate().rev() {
            let below = self.lattice[at];
            sample = saturated(i32::from(sample) - i32::from(rounded_product(weight, below)));
            self.lattice[at + 1] = saturated(i32::from(below) + i32::from(rounded_product(weight, sample)));
        }
        self.lattice[0] = sample;
        sample
    }
}

/// The bits of a frame, the highest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8; FRAME_BYTES],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 7; all fields together are the 260 bits of a frame.
    fn take(&mut self, count: usize) -> u8 {
        let byte = |at: usize| u16::from(self.bytes.get(at).copied().unwrap_or(0));
        let pair = byte(self.at / 8) << 8 | byte(self.at / 8 + 1);
        let value = pair << (self.at % 8) >> (16 - count);
        self.at += count;
        value as u8
    }
}

/// Size of a subframe's largest pulse (section 5.2.15 and 5.2.16), as mantissa and exponent.
#[derive(Clone, Copy, Debug)]
struct BlockSize {
    /// Mantissa, Q15.
    factor: i16,
    /// Bits by which pulses are shifted down.
    shift: u32,
}

impl BlockSize {
    /// Size of a 6-bit code: three bits of mantissa, three of exponent; small codes are not normalised.
    fn of(code: u8) -> Self {
        let (exponent, mantissa) = match code {
            0 => (-4, 7),
            1..=7 => {
                // Leading zeros are filled with ones from below until the fourth bit is set.
                let missing = code.leading_zeros() as i32 - 4;
                (-missing, ((i32::from(code) + 1) << missing) - 1 - 8)
            }
            8..=15 => (0, i32::from(code) - 8),
            _ => (i32::from(code >> 3) - 1, i32::from(code & 7)),
        };
        Self { factor: PULSE_FACTORS[mantissa as usize], shift: (6 - exponent) as u32 }
    }

    /// Height of a pulse of a 3-bit code.
    fn pulse(self, code: u8) -> i16 {
        let level = (2 * i16::from(code) - 7) << 12;
        let rounding = if self.shift == 0 { 0 } else { 1 << (self.shift - 1) };
        saturated(i32::from(rounded_product(self.factor, level)) + rounding) >> self.shift
    }
}

/// Log area ratio of a code (section 5.3.3, table 5.1).
fn log_area_ratio(at: usize, code: u8) -> i16 {
    let level = (i32::from(code) + RATIO_LEAST[at]) << 10;
    let centred = saturated(level - 2 * RATIO_OFFSET[at]);
    saturated(2 * i32::from(rounded_product(RATIO_INVERSE_SLOPE[at], centred)))
}

/// Reflection coefficient of a log area ratio (section 5.2.9.2), Q15: a curve of three straight pieces.
fn reflection(ratio: i16) -> i16 {
    let size = saturated(i32::from(ratio).abs());
    let bent = match size {
        ..11_059 => size << 1,
        11_059..20_070 => size + 11_059,
        _ => saturated(i32::from(size >> 2) + 26_112),
    };
    if ratio < 0 { -bent } else { bent }
}

/// First four bits of a frame in RTP.
const SIGNATURE: u8 = 0xd;
/// Order of the short-term filter.
const ORDER: usize = 8;
/// Samples of a subframe.
const SUBFRAME: usize = 40;
/// Pulses of a subframe: every third sample.
const PULSES: usize = 13;
const SHORTEST_LAG: usize = 40;
const LONGEST_LAG: usize = 120;
/// 0.86, Q15.
const DEEMPHASIS: i16 = 28_180;

/// Bits of each log area ratio.
static RATIO_BITS: [usize; ORDER] = [6, 6, 5, 5, 4, 4, 3, 3];
/// Least value of each code (MIC, table 5.1).
static RATIO_LEAST: [i32; ORDER] = [-32, -32, -16, -16, -8, -8, -4, -4];
/// B of table 5.1.
static RATIO_OFFSET: [i32; ORDER] = [0, 0, 2048, -2560, 94, -1792, -341, -1144];
/// 1/A of table 5.2, Q15 of 20.
static RATIO_INVERSE_SLOPE: [i16; ORDER] = [13_107, 13_107, 13_107, 13_107, 19_223, 17_476, 31_454, 29_708];
/// Gains of the long-term predictor (QLB, table 5.3b), Q15.
static LAG_GAINS: [i16; 4] = [3_277, 11_469, 21_299, 32_767];
/// Mantissas of block sizes (FAC, table 5.6), Q15.
static PULSE_FACTORS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    /// A frame of zeros, all but the signature.
    const ZEROS: [u8; FRAME_BYTES] = {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = SIGNATURE << 4;
        frame
    };

    #[test]
    fn only_whole_frames_with_the_signature_are_decoded() {
        let mut pcm = [0; 3 * FRAME_SAMPLES];
        let two = [ZEROS, ZEROS].concat();
        assert_eq!(Gsm::new().decode_into(&two, &mut pcm), 2 * FRAME_SAMPLES);
        assert_eq!(Gsm::new().decode_into(&two[..65], &mut pcm), FRAME_SAMPLES);
        assert_eq!(Gsm::new().decode_into(&two, &mut pcm[..319]), FRAME_SAMPLES);
        let second_is_noise = [ZEROS, [0x55; FRAME_BYTES]].concat();
        assert_eq!(Gsm::new().decode_into(&second_is_noise, &mut pcm), FRAME_SAMPLES);
    }

    #[test]
    fn block_sizes_grow_with_their_code() {
        let heights = (0..64).map(|code| BlockSize::of(code).pulse(7));
        assert!(heights.clone().is_sorted(), "{:?}", heights.collect::<std::vec::Vec<_>>());
        assert_eq!((BlockSize::of(0).pulse(7), BlockSize::of(63).pulse(7)), (28, 28_671));
        assert_eq!(BlockSize::of(63).pulse(0), -28_671);
    }

    #[test]
    fn the_fields_are_the_whole_frame() {
        let fields = RATIO_BITS.iter().sum::<usize>() + 4 * (7 + 2 + 2 + 6 + 3 * PULSES);
        assert_eq!(4 + fields, 8 * FRAME_BYTES);
        let mut bits = Bits { bytes: &[0b1010_1100; FRAME_BYTES], at: 4 };
        assert_eq!([bits.take(6), bits.take(3), bits.take(7)], [0b11_0010, 0b101, 0b100_1010]);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(mut frames in prop::collection::vec(any::<[u8; FRAME_BYTES]>(), 1..8)) {
            frames.iter_mut().for_each(|frame| frame[0] |= SIGNATURE << 4);
            frames.iter_mut().for_each(|frame| frame[0] &= 0xdf);
            let mut pcm = [0; 8 * FRAME_SAMPLES];
            prop_assert_eq!(Gsm::new().decode_into(&frames.concat(), &mut pcm), frames.len() * FRAME_SAMPLES);
        }
    }
}
