//! The lines that the constants are derived from.

use crate::codec::Codec;
use crate::line::Line;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;

const CAR: &[&str] = &["car/carlike_synth_0.flac", "car/carlike_synth_1.flac", "car/carlike_synth_2.flac"];
const BABBLE: &[&str] = &[
    "babble/babble7_0.flac",
    "babble/babble7_1.flac",
    "babble/babble7_2.flac",
    "babble/babble7_3.flac",
    "babble/babble7_4.flac",
    "babble/babble7_5.flac",
];
/// Kitchens, streets, rain, engines.
const PLACES: &[&str] = &[
    "ambient/picovoice_kitchen.flac",
    "ambient/sb_noise1.flac",
    "ambient/sb_noise2.flac",
    "ambient/sb_noise3.flac",
    "ambient/sb_noise4.flac",
    "ambient/sb_noise5.flac",
    "ambient/esc10_rain_2-81731-A.flac",
    "ambient/esc10_helicopter_3-150979-B.flac",
    "ambient/esc10_seawaves_1-28135-B.flac",
];

const MU: Codec = Codec::G711(Law::Mu);
const A: Codec = Codec::G711(Law::A);
/// The usual pass band of a telephone.
const USUAL: Option<(u32, u32)> = Some((300, 3400));
const FULL: Option<(u32, u32)> = Some((100, 3800));

const PLAIN: Line = Line {
    name: "",
    band: Band::Narrow,
    masked: false,
    pass: None,
    codec: Codec::None,
    noise: None,
    room: false,
    gain: 0,
    clip: None,
    thorough: false,
};

/// Lines whose embeddings are of the narrow band: studio speech on telephones of several pass bands and codecs, in
/// noise, in rooms, badly recorded, and a wideband call heard for comparison with the telephone.
pub(crate) const NARROW_LINES: [Line; 14] = [
    Line { name: "mu-law", pass: USUAL, codec: MU, thorough: true, ..PLAIN },
    Line { name: "wideband-masked", band: Band::Wide, masked: true, ..PLAIN },
    Line { name: "gsm", pass: FULL, codec: Codec::Gsm, thorough: true, ..PLAIN },
    Line { name: "babble-10", pass: USUAL, codec: MU, noise: Some((BABBLE, 10)), ..PLAIN },
    Line { name: "car-10", pass: FULL, codec: A, noise: Some((CAR, 10)), gain: -6, ..PLAIN },
    Line { name: "places-10", pass: USUAL, codec: MU, noise: Some((PLACES, 10)), ..PLAIN },
    Line { name: "room", pass: USUAL, codec: MU, room: true, ..PLAIN },
    Line { name: "amr-4.75", pass: USUAL, codec: Codec::Amr(0), ..PLAIN },
    Line { name: "babble-5", pass: FULL, codec: MU, noise: Some((BABBLE, 5)), ..PLAIN },
    Line { name: "places-5", pass: FULL, codec: MU, noise: Some((PLACES, 5)), ..PLAIN },
    Line { name: "a-law-quiet", pass: FULL, codec: A, gain: -30, ..PLAIN },
    Line {
        name: "places-15",
        pass: Some((200, 3600)),
        codec: A,
        noise: Some((PLACES, 15)),
        gain: -6,
        ..PLAIN
    },
    Line { name: "opus-12", pass: FULL, codec: Codec::Opus(12), ..PLAIN },
    Line { name: "clipped", pass: USUAL, codec: MU, clip: Some(4), ..PLAIN },
];

/// Lines whose embeddings are of the wide band.
pub(crate) const WIDE_LINES: [Line; 4] = [
    Line { name: "wideband", band: Band::Wide, thorough: true, ..PLAIN },
    Line { name: "wideband-opus-16", band: Band::Wide, codec: Codec::Opus(16), ..PLAIN },
    Line { name: "wideband-babble-10", band: Band::Wide, noise: Some((BABBLE, 10)), ..PLAIN },
    Line { name: "wideband-places-10", band: Band::Wide, noise: Some((PLACES, 10)), gain: -6, ..PLAIN },
];

/// Lines of a band.
pub(crate) const fn lines(band: Band) -> &'static [Line] {
    match band {
        Band::Narrow => &NARROW_LINES,
        Band::Wide => &WIDE_LINES,
    }
}
