//! Embeddings of recordings, for enrollment from files; outside the pool, so it may allocate.

use super::EmbedFault;
use super::worker::Bench;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::listener::{Listener, Origin, Quality};
use vouch_dsp::network::{Embedding, Network};
use vouch_dsp::sizes::MAX_FRAMES;

/// What was made of recordings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// The embedding, once there was enough net speech.
    pub result: Result<Embedding, EmbedFault>,
    /// Net speech that it rests on, in frames.
    pub frames: usize,
    /// Quality of the last recording heard.
    pub quality: Quality,
}

/// Makes one embedding of up to `most` frames of the net speech of recordings (PCM at the rate of `band`, one
/// after the other, each with fresh ears). Blocks as long as the network takes.
pub fn embed_recordings(network: &Network<'_>, recordings: &[&[i16]], band: Band, most: usize) -> Recorded {
    let mut bench = Bench::new();
    let mut frames = 0;
    let mut quality = Quality::default();
    for pcm in recordings {
        let mut listener = Listener::new(band);
        let room = &mut bench.window()[..most.min(MAX_FRAMES)];
        listener.hear(pcm, Origin::Heard, |frame: &LogMel| {
            if let Some(place) = room.get_mut(frames) {
                *place = *frame;
                frames += 1;
            }
        });
        quality = listener.quality();
    }
    Recorded { result: bench.embed(network, frames, band), frames, quality }
}
