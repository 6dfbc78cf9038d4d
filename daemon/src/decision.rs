//! The decision: from a comparison and the quality of the audio to an answer with its reasons.

use crate::pii::Pii;
use crate::verdict::{Reason, Status};
use vouch_dsp::features::Band;
use vouch_dsp::listener::Quality;
use vouch_dsp::network::Embedding;
use vouch_dsp::score::{self, Comparison, Curves, Sample};

/// What a caller is compared with.
#[derive(Clone, Debug)]
pub struct Voiceprint {
    /// Grows with every enrollment of the speaker.
    pub version: u32,
    /// Version of the model that made it.
    pub model_version: u32,
    /// Embeddings of the enrollment speech, one for each band that it was heard in.
    pub voices: Vec<Voice>,
}

/// A stretch of speech as the network hears it: an embedding and what it was made of.
#[derive(Clone, Debug)]
pub struct Voice {
    /// The embedding; personal data.
    pub embedding: Pii<Embedding>,
    /// Band of the audio.
    pub band: Band,
    /// Net speech behind it, in ms.
    pub net_speech_ms: u32,
    /// Whether more than one voice was heard in it.
    pub several: bool,
}

impl Voiceprint {
    /// Whether it can be compared with wideband speech as such.
    pub fn has_wideband(&self) -> bool {
        self.voices.iter().any(|voice| voice.band == Band::Wide)
    }
}

impl Voice {
    fn sample(&self) -> Sample<'_> {
        Sample { embedding: self.embedding.reveal(), band: self.band, net_speech_ms: self.net_speech_ms }
    }
}

/// How alike two voices are, each given once for each band at hand; `None` without a common band.
pub fn likeness(one: &[Voice], other: &[Voice], curves: &Curves) -> Option<Comparison> {
    let one: Vec<Sample<'_>> = one.iter().map(Voice::sample).collect();
    let other: Vec<Sample<'_>> = other.iter().map(Voice::sample).collect();
    score::compare(&one, &other, curves).ok()
}

/// What the caller's stream has given so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// Net speech since the call began, in frames of 10 ms.
    pub frames: u64,
    /// Packets taken from the caller's stream.
    pub packets: u64,
    /// Packets of a codec that is not decoded.
    pub undecodable: u64,
    /// SRTP packets that the agreed key did not authenticate.
    pub unauthentic: u64,
    /// Figures of the audio.
    pub quality: Quality,
}

/// What a comparison is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yardstick {
    /// Score from which a caller is authenticated.
    pub threshold: f32,
    /// From cosine to score.
    pub curves: &'static Curves,
}

/// An answer and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub status: Status,
    /// The figures behind it, where a comparison was made.
    pub comparison: Option<Comparison>,
    /// Why, or what to know about the score.
    pub reasons: Vec<Reason>,
    /// Net speech behind it, in frames.
    pub frames: u64,
    /// Version of the voiceprint compared with.
    pub voiceprint_version: Option<u32>,
}

impl Judgement {
    /// An answer that needs no audio.
    pub fn bare(status: Status, reason: Option<Reason>) -> Self {
        Self {
            status,
            comparison: None,
            reasons: reason.into_iter().collect(),
            frames: 0,
            voiceprint_version: None,
        }
    }

    /// The answer of a call that ended before there was enough speech.
    pub fn without_enough_speech(heard: &Heard, frames: u64) -> Self {
        let mut reasons = vec![if heard.packets == 0 { Reason::NoAudio } else { Reason::TooLittleSpeech }];
        if heard.unauthentic > heard.packets {
            reasons[0] = Reason::SrtpKey;
        }
        if heard.undecodable > 0 {
            reasons.push(Reason::UnsupportedCodec);
        }
        reasons.extend(remarks(&heard.quality));
        Self { reasons, frames, ..Self::bare(Status::Inconclusive, None) }
    }

    /// The answer from comparing the caller's voice, given once for each band at hand, with a voiceprint, scored by
    /// `yardstick`.
    ///
    /// A score below the threshold is inconclusive, not a rejection, where several voices were heard, on audio too poor to
    /// judge, and on poor audio that still speaks for the speaker: all these lower the scores of genuine callers.
    pub fn of(voiceprint: &Voiceprint, voices: &[Voice], heard: &Heard, yardstick: Yardstick) -> Self {
        let Yardstick { threshold, curves } = yardstick;
        let enrolled: Vec<Sample<'_>> = voiceprint.voices.iter().map(Voice::sample).collect();
        let test: Vec<Sample<'_>> = voices.iter().map(Voice::sample).collect();
        let mut reasons = remarks(&heard.quality);
        if voices.iter().any(|voice| voice.several) {
            reasons.push(Reason::SeveralVoices);
        }
        let (status, comparison) = match score::compare(&enrolled, &test, curves) {
            // Whatever is no number is no proof either.
            Ok(figures) if figures.score >= threshold => (Status::Authenticated, Some(figures)),
            Ok(figures) if figures.score < threshold && leaves_doubt(&figures, &reasons, &heard.quality) => {
                (Status::Inconclusive, Some(figures))
            }
            Ok(figures) if figures.score < threshold => (Status::NotAuthenticated, Some(figures)),
            Ok(_) | Err(_) => {
                reasons.push(Reason::EngineFault);
                (Status::Error, None)
            }
        };
        let frames = test.first().map_or(0, |test| u64::from(test.net_speech_ms / 10));
        Self { status, comparison, reasons, frames, voiceprint_version: Some(voiceprint.version) }
    }
}

/// Share of concealed audio, 0 to 1.
pub fn loss(quality: &Quality) -> f32 {
    quality.concealed_ms as f32 / quality.heard_ms.max(1) as f32
}

/// What to know about the audio behind a score.
fn remarks(quality: &Quality) -> Vec<Reason> {
    let noticed = [
        (loss(quality) >= 0.10, Reason::PacketLoss),
        (quality.snr_db.is_some_and(|snr| snr < 10), Reason::LowSnr),
        (quality.clipped_permille >= 20, Reason::Clipping),
        (quality.speech_ms > 0 && quality.level_dbfs < -45, Reason::LowLevel),
    ];
    noticed.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
}

/// Whether a score below the threshold may well be a genuine caller's.
fn leaves_doubt(figures: &Comparison, reasons: &[Reason], quality: &Quality) -> bool {
    is_too_poor(quality)
        || reasons.contains(&Reason::SeveralVoices)
        || (figures.llr > 0.0 && !reasons.is_empty())
}

/// Audio on which a genuine caller may well score low.
pub fn is_too_poor(quality: &Quality) -> bool {
    loss(quality) >= 0.30 || quality.snr_db.is_some_and(|snr| snr < 3) || quality.clipped_permille >= 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use vouch_dsp::sizes::EMBEDDING;

    /// A voice at an angle in degrees to the first axis.
    fn voice(degrees: f32) -> Voice {
        let mut values = [0; EMBEDDING];
        let (sine, cosine) = degrees.to_radians().sin_cos();
        (values[0], values[7]) = ((32_767.0 * cosine) as i16, (32_767.0 * sine) as i16);
        Voice {
            embedding: Pii::new(Embedding(values)),
            band: Band::Narrow,
            net_speech_ms: 10_000,
            several: false,
        }
    }

    #[test]
    fn several_voices_make_a_rejection_inconclusive_and_are_named() {
        let voiceprint = Voiceprint { version: 1, model_version: 1, voices: vec![voice(0.0)] };
        let yardstick = Yardstick { threshold: 90.0, curves: Curves::shipped() };
        for (degrees, expected) in [(0.0, Status::Authenticated), (90.0, Status::Inconclusive)] {
            let voices = [Voice { several: true, ..voice(degrees) }];
            let judgement = Judgement::of(&voiceprint, &voices, &Heard::default(), yardstick);
            assert_eq!((judgement.status, judgement.reasons), (expected, vec![Reason::SeveralVoices]));
        }
    }

    fn status(degrees: f32, quality: Quality) -> (Status, f32) {
        let voiceprint = Voiceprint { version: 1, model_version: 1, voices: vec![voice(0.0)] };
        let heard = Heard { quality, ..Heard::default() };
        let yardstick = Yardstick { threshold: 90.0, curves: Curves::shipped() };
        let judgement = Judgement::of(&voiceprint, &[voice(degrees)], &heard, yardstick);
        (judgement.status, judgement.comparison.unwrap().llr)
    }

    #[test]
    fn noise_makes_a_doubtful_rejection_inconclusive_and_never_an_acceptance() {
        let clean = Quality { snr_db: Some(30), level_dbfs: -20, ..Quality::default() };
        let noisy = Quality { snr_db: Some(8), ..clean };
        let mut seen = Vec::new();
        for degrees in 0..=90u8 {
            let ((quiet, llr), (loud, _)) = (status(degrees.into(), clean), status(degrees.into(), noisy));
            let expected = match quiet {
                Status::NotAuthenticated if llr > 0.0 => Status::Inconclusive,
                other => other,
            };
            assert_eq!(loud, expected, "{degrees} degrees, ratio {llr}");
            seen.push(loud);
        }
        for status in [Status::Authenticated, Status::Inconclusive, Status::NotAuthenticated] {
            assert!(seen.contains(&status), "{status}");
        }
    }
}
