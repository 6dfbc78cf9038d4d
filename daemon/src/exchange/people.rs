//! Speakers: what the store says of them, and what is done with them.

use super::Exchange;
use crate::ask::AskError;
use crate::audio::Recording;
use crate::call::{NewVoiceprint, SEVERAL_VOICES, Standing};
use crate::decision::{Voice, Voiceprint};
use crate::engine::{Embeddings, Engine};
use crate::pii::{Pii, SpeakerId};
use crate::store::{self, SpeakerRecord, Store, StoreError, StoredEmbedding};
use crate::view::SpeakerView;
use jiff::Timestamp;
use std::sync::Arc;
use vouch_dsp::features::Band;

impl Exchange {
    /// All speakers known, in order of their ids.
    ///
    /// # Errors
    /// [`AskError::Store`] when the store fails.
    pub async fn speakers(&self) -> Result<Vec<SpeakerView>, AskError> {
        let mut views = Vec::new();
        let (mut views, damaged) = self
            .in_store(move |store| {
                let damaged = store.visit(|speaker, record| views.push(view(&speaker, &record)))?;
                Ok((views, damaged))
            })
            .await?;
        if damaged > 0 {
            tracing::error!(damaged, "some speakers' records cannot be read");
        }
        views.sort_by(|one: &SpeakerView, other| one.id.cmp(&other.id));
        Ok(views)
    }

    /// One speaker.
    ///
    /// # Errors
    /// [`AskError::NoSuchSpeaker`], or [`AskError::Store`] when the record cannot be read.
    pub async fn speaker(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        let id = speaker.clone();
        let record = self.in_store(move |store| store.lookup(&id)).await?;
        record.map(|record| view(&speaker, &record)).ok_or(AskError::NoSuchSpeaker)
    }

    /// Opts a speaker out: the voiceprint is destroyed, calls in progress are no longer analysed.
    ///
    /// # Errors
    /// [`AskError::Store`] when it could not be written; then nothing changed.
    pub async fn opt_out(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        self.change(speaker, |store, id, now| store.opt_out(id, now).map(|()| true)).await
    }

    /// Takes an opt-out back; the speaker is then not enrolled.
    ///
    /// # Errors
    /// [`AskError::NoSuchSpeaker`] without an opt-out, [`AskError::Store`] when it could not be written.
    pub async fn opt_in(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        self.change(speaker, |store, id, _| store.opt_in(id)).await
    }

    /// Deletes all that is known of a speaker.
    ///
    /// # Errors
    /// [`AskError::NoSuchSpeaker`], or [`AskError::Store`] when it could not be written.
    pub async fn delete(&self, speaker: SpeakerId) -> Result<(), AskError> {
        self.change(speaker, |store, id, _| store.delete(id)).await.map(|_| ())
    }

    /// Enrolls from recordings, as `vouchctl enroll-file` sends them.
    ///
    /// # Errors
    /// [`AskError::Invalid`] when they hold too little speech, and as for an enrollment on a call.
    pub async fn enroll_recordings(
        &self,
        speaker: SpeakerId,
        recordings: Vec<Recording>,
        consent: Option<String>,
    ) -> Result<SpeakerView, AskError> {
        let policy = self.0.policy;
        if policy.consent_required && consent.is_none() {
            return Err(AskError::ConsentRequired);
        }
        if let Standing::OptedOut = self.standing(&speaker) {
            return Err(AskError::OptedOut);
        }
        let (engine, needed) = (self.0.engine.clone(), policy.enrollment_frames as usize);
        let work = move || hear(&engine, &recordings, needed);
        let voices = tokio::task::spawn_blocking(work).await.map_err(|_| AskError::Stopping)??;
        let new = NewVoiceprint { speaker: speaker.clone(), voices, consent: consent.map(Pii::new) };
        self.store(new, None).await?;
        self.speaker(speaker).await
    }

    /// What the store says of a speaker, for a call; a fault is a standing of its own.
    pub(super) fn standing(&self, speaker: &SpeakerId) -> Standing {
        match self.0.store.lookup(speaker) {
            Ok(None) => Standing::NotEnrolled,
            Ok(Some(SpeakerRecord::OptedOut { .. })) => Standing::OptedOut,
            Ok(Some(SpeakerRecord::Enrolled(stored))) => Standing::Enrolled(Arc::new(voiceprint(stored))),
            Err(error) => {
                tracing::error!(%error, "a speaker's record cannot be read");
                Standing::Unreadable
            }
        }
    }

    /// Stores a voiceprint durably and tells the speaker's calls, except the one whose speech it is made of:
    /// that would vouch for itself.
    pub(super) async fn store(
        &self,
        new: NewVoiceprint,
        made_on: Option<&str>,
    ) -> Result<Arc<Voiceprint>, AskError> {
        let speaker = new.speaker.clone();
        let content = content(new, self.0.policy.model_version);
        let id = speaker.clone();
        self.in_store(move |store| store.enroll(&id, content)).await?;
        let standing = self.tell_calls(&speaker, made_on);
        self.publish_speaker(speaker).await;
        still_enrolled(standing)
    }

    async fn change(
        &self,
        speaker: SpeakerId,
        change: impl FnOnce(&Store, &SpeakerId, Timestamp) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<SpeakerView, AskError> {
        let id = speaker.clone();
        if !self.in_store(move |store| change(store, &id, Timestamp::now())).await? {
            return Err(AskError::NoSuchSpeaker);
        }
        self.tell_calls(&speaker, None);
        Ok(self.publish_speaker(speaker).await)
    }

    /// Tells the speaker's calls what the store says now. It is asked under the lock of the floor, as for a new
    /// call, so that of two changes at once the later one is what all calls go by.
    fn tell_calls(&self, speaker: &SpeakerId, except: Option<&str>) -> Standing {
        let now = self.now();
        let mut floor = self.floor();
        let standing = self.standing(speaker);
        for line in floor.of_speaker(speaker).filter(|line| Some(line.id.as_str()) != except) {
            line.call.set_standing(standing.clone(), now);
            self.carry_out(line);
        }
        standing
    }

    async fn publish_speaker(&self, speaker: SpeakerId) -> SpeakerView {
        let unknown = unknown(&speaker);
        let view = self.speaker(speaker).await.unwrap_or(unknown);
        self.publish("speaker", None, Some(view.clone()));
        view
    }

    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AskError> {
        let store = Arc::clone(&self.0.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| AskError::Stopping)?.map_err(AskError::from)
    }
}

/// The voiceprint that was just stored, unless it is gone already.
pub(super) fn still_enrolled(standing: Standing) -> Result<Arc<Voiceprint>, AskError> {
    match standing {
        Standing::Enrolled(voiceprint) => Ok(voiceprint),
        Standing::OptedOut => Err(AskError::OptedOut),
        _ => Err(AskError::Conflict("the voiceprint was deleted meanwhile".to_owned())),
    }
}

/// The voice of `frames` frames of net speech in recordings, in each band that they have; fewer are refused.
fn hear(engine: &Engine, recordings: &[Recording], frames: usize) -> Result<Vec<Voice>, AskError> {
    let made = engine.embed_recordings(recordings, frames);
    let made = made.map_err(|problem| AskError::Invalid(problem.to_string()))?;
    if made.several_voices {
        return Err(AskError::Invalid(SEVERAL_VOICES.to_owned()));
    }
    Ok(voices(&made, frames as u32 * 10))
}

/// The voice in each band that was embedded, of so much net speech.
pub(super) fn voices(made: &Embeddings, net_speech_ms: u32) -> Vec<Voice> {
    let several = made.several_voices;
    [(Band::Narrow, made.narrow), (Band::Wide, made.wide)]
        .into_iter()
        .filter_map(|(band, embedding)| {
            Some(Voice { embedding: Pii::new(embedding?), band, net_speech_ms, several })
        })
        .collect()
}

/// A stored voiceprint as the decision takes it.
fn voiceprint(stored: store::Voiceprint) -> Voiceprint {
    let voice = |stored: StoredEmbedding| Voice {
        embedding: stored.embedding,
        band: stored.band,
        net_speech_ms: stored.net_speech_ms,
        several: false,
    };
    let (version, model_version) = (stored.version, stored.content.model_version);
    Voiceprint { version, model_version, voices: stored.content.embeddings.into_iter().map(voice).collect() }
}

/// A new voiceprint as the store takes it.
fn content(new: NewVoiceprint, model_version: u32) -> store::NewVoiceprint {
    let stored = |Voice { embedding, band, net_speech_ms, .. }: Voice| StoredEmbedding {
        embedding,
        band,
        net_speech_ms,
        snr_db: None,
    };
    let embeddings = new.voices.into_iter().map(stored).collect();
    store::NewVoiceprint { embeddings, model_version, consent: new.consent, made_at: Timestamp::now() }
}

fn view(speaker: &SpeakerId, record: &SpeakerRecord) -> SpeakerView {
    let blank = unknown(speaker);
    match record {
        SpeakerRecord::OptedOut { since, .. } => {
            SpeakerView { status: "opted-out".to_owned(), opted_out_at: Some(since.to_string()), ..blank }
        }
        SpeakerRecord::Enrolled(voiceprint) => SpeakerView {
            status: "enrolled".to_owned(),
            voiceprint_version: Some(voiceprint.version),
            model_version: Some(voiceprint.content.model_version),
            enrolled_at: Some(voiceprint.content.made_at.to_string()),
            net_speech_s: Some(voiceprint.net_speech_ms() as f32 / 1000.0),
            consent: voiceprint.content.consent.as_ref().map(|consent| consent.reveal().clone()),
            ..blank
        },
    }
}

/// A speaker of whom nothing is known.
fn unknown(speaker: &SpeakerId) -> SpeakerView {
    SpeakerView {
        id: speaker.reveal().to_owned(),
        status: "not-enrolled".to_owned(),
        voiceprint_version: None,
        model_version: None,
        enrolled_at: None,
        net_speech_s: None,
        opted_out_at: None,
        consent: None,
    }
}
