//! Embeddings of recordings, for enrollment from files: the offline way, beside the pool, so it may allocate.

use super::Embeddings;
use crate::audio::Recording;
use crate::trials::OfflineError;
use crate::trials::voice::{Bands, Voice, Wanted};
use vouch_dsp::features::Band;
use vouch_dsp::network::Network;
use vouch_dsp::sizes::FRAMES_PER_SECOND;

/// Why recordings gave no embedding.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// They hold too little net speech.
    #[error("the recordings hold {held_s:.1} s of net speech, {needed_s:.1} s are needed")]
    TooLittleSpeech {
        /// Seconds that they hold.
        held_s: f32,
        /// Seconds that are needed.
        needed_s: f32,
    },
    /// The network failed.
    #[error(transparent)]
    Failed(#[from] OfflineError),
}

/// Embeds the first `frames` frames of net speech for a voiceprint: for the telephone, and of wideband speech for its
/// like, too.
pub(super) fn embed_recordings(
    network: &Network<'static>,
    recordings: &[Recording],
    frames: usize,
) -> Result<Embeddings, RecordingsError> {
    let needed_s = frames as f32 / FRAMES_PER_SECOND as f32;
    let wanted = Wanted { speech_s: needed_s, telephone: false, bands: Bands::Both, enrollment: true };
    let side = Voice::over(network.clone()).embed(recordings, wanted)?;
    if (side.speech_ms as usize * FRAMES_PER_SECOND) < frames * 1000 {
        return Err(RecordingsError::TooLittleSpeech { held_s: side.speech_s(), needed_s });
    }
    let of = |band: Band| side.embeddings.iter().find(|(made_for, _)| *made_for == band).map(|made| made.1);
    Ok(Embeddings { narrow: of(Band::Narrow), wide: of(Band::Wide), several_voices: side.several_voices })
}
