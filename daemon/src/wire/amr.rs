//! RTP payloads of AMR and AMR-WB (RFC 4867): several speech frames, each of as many bits as its kind says.

/// Most bytes of a [`Frame`]: a header, and AMR-WB at 23.85 kbit/s.
pub const MAX_FRAME: usize = 1 + 60;

/// Bits of a frame by its type, of AMR: eight rates of speech and a description of silence (3GPP TS 26.101, table 1a).
const NARROW: [Option<u16>; 16] = sizes(&[95, 103, 118, 134, 148, 159, 204, 244, 39]);
/// The same of AMR-WB: nine rates, and silence (3GPP TS 26.201, table 2).
const WIDE: [Option<u16>; 16] = sizes(&[132, 177, 253, 285, 317, 365, 397, 461, 477, 40]);
/// Type of a frame that was not sent, because there was nothing to say.
const NO_DATA: usize = 15;
/// Type of an AMR-WB frame that was lost before it got here.
const LOST: usize = 14;

const fn sizes(bits: &[u16]) -> [Option<u16>; 16] {
    let mut sizes = [None; 16];
    let mut kind = 0;
    while kind < bits.len() {
        sizes[kind] = Some(bits[kind]);
        kind += 1;
    }
    if bits.len() == 10 {
        sizes[LOST] = Some(0);
    }
    sizes[NO_DATA] = Some(0);
    sizes
}

/// Which of the two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// AMR, 8 kHz.
    Narrow,
    /// AMR-WB, 16 kHz.
    Wide,
}

/// How the frames are packed, which the session description says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Bit after bit (section 4.3), where nothing else was agreed on.
    Dense,
    /// Each frame from a new byte (section 4.4), with `octet-align=1`.
    Aligned,
}

impl Packing {
    /// What an `a=fmtp` asks for; `None` for what is not read here: checksums, sorted and interleaved frames.
    pub fn of(fmtp: Option<&str>) -> Option<Self> {
        let parameters = fmtp.unwrap_or_default().split(';').map(str::trim);
        let mut packing = Self::Dense;
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is = |wanted: &str| name.trim_end().eq_ignore_ascii_case(wanted);
            let off = value.trim() == "0";
            if is("octet-align") && !off {
                packing = Self::Aligned;
            } else if is("interleaving") || (!off && (is("crc") || is("robust-sorting"))) {
                return None;
            }
        }
        Some(packing)
    }

    /// Bits of the mode request that a payload begins with, and of an entry in the table of contents behind it.
    const fn head(self) -> (usize, usize) {
        match self {
            Self::Dense => (4, 6),
            Self::Aligned => (8, 8),
        }
    }

    const fn padded(self, bits: usize) -> usize {
        match self {
            Self::Dense => bits,
            Self::Aligned => bits.next_multiple_of(8),
        }
    }
}

/// A frame as files hold it (section 5.3), which is what decoders read: a byte with its type, then its bits.
pub type Frame = [u8; MAX_FRAME];

/// The frames of a payload that hold speech, in order. What describes silence, was not sent, or is marked as damaged does not.
#[derive(Clone, Debug)]
pub struct Frames<'p> {
    payload: &'p [u8],
    rate: Rate,
    packing: Packing,
    /// Place of the next entry in the table of contents, in bits; `None` behind the last.
    entry: Option<usize>,
    /// Place of its frame.
    data: usize,
}

impl<'p> Frames<'p> {
    /// Reads the table of contents.
    ///
    /// `None` for a payload that does not hold what it says: the whole of it is to be dropped (section 4.3.5.1).
    pub fn of(payload: &'p [u8], rate: Rate, packing: Packing) -> Option<Self> {
        let (request, step) = packing.head();
        let mut entry = request;
        let mut bits = 0;
        loop {
            let kind = kind(payload, entry)?;
            bits += packing.padded(usize::from(rate.size(kind)?));
            let more = read(payload, entry, 1)? == 1;
            entry += step;
            if !more {
                break;
            }
        }
        let is_whole = entry + bits <= 8 * payload.len();
        is_whole.then_some(Self { payload, rate, packing, entry: Some(request), data: entry })
    }
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        loop {
            let entry = self.entry?;
            let kind = kind(self.payload, entry)?;
            let bits = usize::from(self.rate.size(kind)?);
            let (more, good) = (read(self.payload, entry, 1)? == 1, read(self.payload, entry + 5, 1)? == 1);
            let data = self.data;
            self.data += self.packing.padded(bits);
            self.entry = more.then_some(entry + self.packing.head().1);
            if good && kind < self.rate.silence() {
                let mut frame = [0; MAX_FRAME];
                frame[0] = (kind as u8) << 3 | 1 << 2;
                for (place, byte) in frame[1..].iter_mut().enumerate().take(bits.div_ceil(8)) {
                    let left = (bits - 8 * place).min(8);
                    *byte = read(self.payload, data + 8 * place, left)? << (8 - left);
                }
                return Some(frame);
            }
        }
    }
}

impl Rate {
    fn size(self, kind: usize) -> Option<u16> {
        match self {
            Self::Narrow => NARROW[kind],
            Self::Wide => WIDE[kind],
        }
    }

    /// Type of a frame that describes silence; those below it hold speech.
    const fn silence(self) -> usize {
        match self {
            Self::Narrow => 8,
            Self::Wide => 9,
        }
    }
}

/// Type of the frame that an entry of the table of contents tells of.
fn kind(payload: &[u8], entry: usize) -> Option<usize> {
    read(payload, entry + 1, 4).map(usize::from)
}

/// So many bits, at most 8, from bit `place` on.
fn read(payload: &[u8], place: usize, bits: usize) -> Option<u8> {
    let last = place + bits.max(1) - 1;
    let low = *payload.get(last / 8)?;
    let window = u16::from(*payload.get(place / 8)?) << 8 | u16::from(low);
    // Both bytes are the same one where the bits are within one.
    let unused = 7 - last % 8;
    Some((window >> unused) as u8 & ((1_u16 << bits) - 1) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs frames as section 4.3 or 4.4 says, bit by bit.
    fn pack(frames: &[(usize, bool, Vec<bool>)], packing: Packing) -> Vec<u8> {
        let mut bits = vec![true; 4];
        let align = |bits: &mut Vec<bool>| {
            if packing == Packing::Aligned {
                bits.resize(bits.len().next_multiple_of(8), false);
            }
        };
        align(&mut bits);
        for (place, (kind, good, _)) in frames.iter().enumerate() {
            bits.push(place + 1 < frames.len());
            bits.extend((0..4).rev().map(|bit| kind >> bit & 1 == 1));
            bits.push(*good);
            align(&mut bits);
        }
        for (_, _, content) in frames {
            bits.extend(content);
            align(&mut bits);
        }
        bits.chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, &bit)| sum | u8::from(bit) << (7 - at)))
            .collect()
    }

    fn frame() -> impl Strategy<Value = (usize, bool, Vec<bool>)> {
        let kinds = prop::sample::select(vec![0_usize, 1, 2, 3, 4, 5, 6, 7, 8, 15]);
        (kinds, any::<bool>()).prop_flat_map(|(kind, good)| {
            let bits = usize::from(NARROW[kind].unwrap());
            (Just(kind), Just(good), prop::collection::vec(any::<bool>(), bits))
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(frames in prop::collection::vec(frame(), 1..5), aligned: bool, cut: prop::sample::Index) {
            let packing = if aligned { Packing::Aligned } else { Packing::Dense };
            let payload = pack(&frames, packing);
            let read: Vec<Frame> = Frames::of(&payload, Rate::Narrow, packing).unwrap().collect();
            let spoken: Vec<_> = frames.iter().filter(|(kind, good, _)| *good && *kind < 8).collect();
            prop_assert_eq!(read.len(), spoken.len());
            for (frame, (kind, _, bits)) in read.iter().zip(spoken) {
                prop_assert_eq!(usize::from(frame[0]), kind << 3 | 4);
                let unpacked = frame[1..].iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
                let unpacked: Vec<bool> = unpacked.collect();
                prop_assert_eq!(&unpacked[..bits.len()], &bits[..]);
                prop_assert!(unpacked[bits.len()..].iter().all(|bit| !bit));
            }
            prop_assert!(Frames::of(&payload[..cut.index(payload.len())], Rate::Narrow, packing).is_none());
        }

        #[test]
        fn any_bytes_are_survived(payload in prop::collection::vec(any::<u8>(), 0..80), aligned: bool, wide: bool) {
            let packing = if aligned { Packing::Aligned } else { Packing::Dense };
            let rate = if wide { Rate::Wide } else { Rate::Narrow };
            if let Some(frames) = Frames::of(&payload, rate, packing) {
                prop_assert!(frames.count() <= payload.len());
            }
        }
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        // RFC 4867 section 4.3.5.1: one frame at 7.4 kbit/s without a mode request, 148 bits.
        let mut payload = [0xFF; 20];
        payload[0] = 0xF0 | 0b0010;
        payload[1] = 0b0111_1111;
        let mut frames = Frames::of(&payload, Rate::Narrow, Packing::Dense).unwrap();
        let frame = frames.next().unwrap();
        assert_eq!((frame[0], frame[1], frame[19]), (4 << 3 | 4, 0xFF, 0xF0));
        assert!(frames.next().is_none());
    }

    #[test]
    fn reserved_types_spoil_the_payload() {
        for (rate, kind, fits) in [
            (Rate::Narrow, 9, false),
            (Rate::Narrow, 14, false),
            (Rate::Wide, 10, false),
            (Rate::Wide, 14, true),
            (Rate::Wide, 15, true),
        ] {
            let payload = [0xF0, kind << 3 | 4];
            assert_eq!(Frames::of(&payload, rate, Packing::Aligned).is_some(), fits, "{rate:?} {kind}");
        }
    }

    #[test]
    fn parameters_say_how_frames_are_packed() {
        for (fmtp, expected) in [
            (None, Some(Packing::Dense)),
            (Some(""), Some(Packing::Dense)),
            (Some("mode-set=0,2,4,7; mode-change-period=2"), Some(Packing::Dense)),
            (Some("octet-align=0"), Some(Packing::Dense)),
            (Some("mode-set=7;octet-align=1; max-red=220"), Some(Packing::Aligned)),
            (Some("Octet-Align = 1"), Some(Packing::Aligned)),
            (Some("octet-align=1; crc=1"), None),
            (Some("octet-align=1; crc=0; robust-sorting=0"), Some(Packing::Aligned)),
            (Some("octet-align=1; interleaving=30"), None),
        ] {
            assert_eq!(Packing::of(fmtp), expected, "{fmtp:?}");
        }
    }
}
