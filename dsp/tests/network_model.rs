//! The committed model loads; what is not this model is refused with its reason, and what is no embedding has its error.

use proptest::prelude::*;
use vouch_dsp::features::{Band, LogMel, NARROW_BINS};
use vouch_dsp::kernel::Kernel;
use vouch_dsp::network::{EmbedError, Embedding, ModelError, Network, Scratch, scratch_sizes};
use vouch_dsp::score::MODEL_VERSION;
use vouch_dsp::sizes::{MAX_FRAMES, MELS, MIN_FRAMES};

const MODEL: &[u8] = include_bytes!("../model/campplus.vouchnet");
/// Where the header has its format version and its checksum.
const FORMAT_AT: usize = 8;
const CHECKSUM_AT: usize = 20;

fn refused(blob: &[u8]) -> ModelError {
    Network::load(blob).map(|_| ()).expect_err("this blob is not the model")
}

#[test]
fn the_committed_model_loads_and_is_what_scores_are_calibrated_for() {
    assert_eq!(Network::load(MODEL).expect("the committed model is whole").version(), MODEL_VERSION);
}

#[test]
fn the_licence_notice_is_inside() {
    let notice = include_bytes!("../model/NOTICE");
    assert!(MODEL.windows(notice.len()).any(|window| window == notice));
}

#[test]
fn other_files_are_no_model() {
    assert_eq!(refused(&[b'x'; 5000]), ModelError::NotAModel);
    assert_eq!(refused(include_bytes!("../model/NOTICE")), ModelError::NotAModel);
}

#[test]
fn a_newer_format_is_named() {
    let mut newer = MODEL.to_vec();
    newer[FORMAT_AT] = 2;
    assert_eq!(refused(&newer), ModelError::UnknownFormat { found: 2, known: 1 });
    assert_eq!(refused(&newer).to_string(), "voice model of format 2, this program reads format 1");
}

#[test]
fn a_short_model_says_how_short() {
    for found in [0, 1, 63, 64, 5000, MODEL.len() - 1] {
        let needed = if found < 64 { 64 } else { MODEL.len() };
        assert_eq!(refused(&MODEL[..found]), ModelError::Truncated { needed, found });
    }
}

#[test]
fn a_long_model_is_damaged() {
    assert_eq!(refused(&[MODEL, &[0]].concat()), ModelError::Damaged);
}

#[test]
fn a_layer_that_does_not_fit_is_named() {
    let mut other = MODEL.to_vec();
    let name = b"block2.17.local";
    let at = other.windows(name.len()).position(|window| window == name).expect("a layer of this network");
    other[at] = b'B';
    let checksum = crc32(&other);
    other[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
    let error = refused(&other);
    assert_eq!(error.to_string(), "voice model without a fitting layer block2.17.local");
}

/// CRC-32 bit by bit, the checksum field as zero.
fn crc32(blob: &[u8]) -> u32 {
    let zeroed =
        |(at, &byte): (usize, &u8)| if (CHECKSUM_AT..CHECKSUM_AT + 4).contains(&at) { 0 } else { byte };
    !blob.iter().enumerate().map(zeroed).fold(!0, |state: u32, byte| {
        (0..8).fold(state ^ u32::from(byte), |state, _| (state >> 1) ^ (0xEDB8_8320 * (state & 1)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_noticed(at in prop_oneof![0..MODEL.len(), 0..20_000usize], bit in 0..8u32) {
        let mut damaged = MODEL.to_vec();
        damaged[at] ^= 1 << bit;
        prop_assert!(Network::load(&damaged).is_err());
    }
}

/// Frames that look like nothing in particular.
fn frames(count: usize) -> Vec<LogMel> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        6000 + (state >> 20) as i16
    };
    (0..count).map(|_| [(); MELS].map(|()| next())).collect()
}

fn embed(network: &Network<'_>, frames: &[LogMel], fill: u8) -> Result<Embedding, EmbedError> {
    embed_band(network, frames, Band::Wide, fill)
}

fn embed_band(
    network: &Network<'_>,
    frames: &[LogMel],
    band: Band,
    fill: u8,
) -> Result<Embedding, EmbedError> {
    let sizes = scratch_sizes(frames.len());
    let (mut narrow, mut wide) = (vec![fill; sizes.narrow], vec![i16::from(fill); sizes.wide]);
    network.embed(frames, band, &mut Scratch { narrow: &mut narrow, wide: &mut wide })
}

#[test]
fn the_number_of_frames_is_checked() {
    let network = Network::load(MODEL).expect("the committed model is whole");
    assert_eq!(embed(&network, &frames(MIN_FRAMES - 1), 0), Err(EmbedError::TooFewFrames));
    assert_eq!(embed(&network, &frames(MAX_FRAMES + 1), 0), Err(EmbedError::TooManyFrames));
    assert!(embed(&network, &frames(MIN_FRAMES), 0).is_ok());
}

#[test]
fn scratch_is_checked() {
    let network = Network::load(MODEL).expect("the committed model is whole");
    let sizes = scratch_sizes(200);
    for (narrow, wide) in [(sizes.narrow - 1, sizes.wide), (sizes.narrow, sizes.wide - 1)] {
        let (mut narrow, mut wide) = (vec![0; narrow], vec![0; wide]);
        let mut scratch = Scratch { narrow: &mut narrow, wide: &mut wide };
        assert_eq!(network.embed(&frames(200), Band::Narrow, &mut scratch), Err(EmbedError::ScratchTooSmall));
    }
    let most = scratch_sizes(MAX_FRAMES);
    assert!(most.narrow + 2 * most.wide < 9 << 20, "{most:?}");
}

#[test]
fn what_the_scratch_held_does_not_matter() {
    let network = Network::load(MODEL).expect("the committed model is whole");
    for count in [100, 101, 203] {
        assert_eq!(embed(&network, &frames(count), 0), embed(&network, &frames(count), 0xFF));
    }
}

/// What the narrow band leaves out is what computing it would give.
#[test]
fn the_narrow_band_is_the_wide_one_without_its_upper_bins() {
    let network = Network::load(MODEL).expect("the committed model is whole");
    for count in [100, 101, 203] {
        let mut cut = frames(count);
        cut.iter_mut().for_each(|frame| frame[NARROW_BINS..].fill(7000));
        let wide = embed_band(&network, &cut, Band::Wide, 0);
        assert_eq!(embed_band(&network, &frames(count), Band::Narrow, 0), wide, "{count}");
    }
}

#[test]
fn every_kernel_gives_the_bits_of_the_plain_one() {
    let network = Network::load(MODEL).expect("the committed model is whole");
    let plain = network.clone().with_kernel(Kernel::scalar());
    for count in [100, 333] {
        let expected = embed(&plain, &frames(count), 0);
        for kernel in Kernel::all() {
            assert_eq!(embed(&network.clone().with_kernel(kernel), &frames(count), 0), expected);
        }
    }
}
