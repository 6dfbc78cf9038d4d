//! One voice or several, from real recordings through the network.

mod common;

use common::{installed_voices, through_mu_law};
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::listener::{Listener, Origin};
use vouch_dsp::network::{Network, Scratch, scratch_sizes};
use vouch_dsp::score::voices::{LEAST_FRAMES, are_several};
use vouch_dsp::sizes::MAX_FRAMES;

/// Speech frames of a recording, over and over until there are `count`.
fn speech(pcm: &[i16], count: usize) -> Vec<LogMel> {
    let mut listener = Listener::new(Band::Narrow);
    let mut frames = Vec::new();
    while frames.len() < count {
        let before = frames.len();
        listener.hear(&through_mu_law(pcm), Origin::Heard, |frame| frames.push(*frame));
        assert!(frames.len() > before, "a recording without speech");
    }
    frames.truncate(count);
    frames
}

#[test]
fn a_second_voice_in_the_stream_shows() {
    let blob = include_bytes!("../model/campplus.vouchnet");
    let network = Network::load(blob).expect("the committed model is whole");
    let sizes = scratch_sizes(MAX_FRAMES);
    let (mut narrow, mut wide) = (vec![0; sizes.narrow], vec![0; sizes.wide]);
    let mut several = |frames: &[LogMel]| {
        let mut scratch = Scratch { narrow: &mut narrow, wide: &mut wide };
        let (whole, stretches) = network.embed_with_stretches(frames, Band::Narrow, &mut scratch).unwrap();
        assert_eq!(whole, network.embed(frames, Band::Narrow, &mut scratch).unwrap());
        are_several(&stretches, Band::Narrow)
    };
    let people: Vec<_> =
        installed_voices().into_iter().map(|(name, pcm)| (name, speech(&pcm, LEAST_FRAMES))).collect();
    let (mut pairs, mut found) = (0, 0);
    for (one, (name, frames)) in people.iter().enumerate() {
        assert!(!several(frames), "{name} alone is taken for several");
        for (other_name, other) in &people[..one] {
            let half = LEAST_FRAMES / 2;
            let noticed = several(&[&frames[..half], &other[..half]].concat());
            eprintln!("{name} and {other_name}: {noticed}");
            pairs += 1;
            found += usize::from(noticed);
        }
    }
    assert!(10 * found >= 8 * pairs, "{found} of {pairs} pairs were noticed");
}
