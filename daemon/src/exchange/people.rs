//! Speakers: what the store says of them, and what is done with them.

use super::{AskError, Exchange};
use crate::audio::Recording;
use crate::call::{NewVoiceprint, Standing};
use crate::decision::Voiceprint;
use crate::events;
use crate::pii::SpeakerId;
use crate::store::{Enrolled, SpeakerRecord, Store, StoreError};
use crate::view::SpeakerView;
use jiff::Timestamp;
use std::sync::Arc;

impl Exchange {
    /// All speakers known.
    ///
    /// # Errors
    /// [`AskError::Store`] when a record cannot be read.
    pub async fn speakers(&self) -> Result<Vec<SpeakerView>, AskError> {
        let records = self.in_store(Store::list).await?;
        Ok(records.iter().map(|(speaker, record)| view(speaker, record)).collect())
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
        self.change(speaker, |store, id, now| store.opt_out(id, now)).await
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
        let work = move || engine.embed_recordings(&recordings, needed);
        let made = tokio::task::spawn_blocking(work).await.map_err(|_| AskError::Stopping)?;
        let embedding = made.map_err(|problem| AskError::Invalid(problem.to_string()))?;
        let net_speech_ms = needed as u32 * 10;
        let new = NewVoiceprint { speaker: speaker.clone(), embedding, net_speech_ms, consent };
        self.store(new).await?;
        self.speaker(speaker).await
    }

    /// What the store says of a speaker, for a call; a fault is a standing of its own.
    pub(super) fn standing(&self, speaker: &SpeakerId) -> Standing {
        match self.0.store.lookup(speaker) {
            Ok(None) => Standing::NotEnrolled,
            Ok(Some(SpeakerRecord::OptedOut { .. })) => Standing::OptedOut,
            Ok(Some(SpeakerRecord::Enrolled(enrolled))) => match voiceprint(&enrolled) {
                Some(voiceprint) => Standing::Enrolled(Arc::new(voiceprint)),
                None => Standing::Unreadable,
            },
            Err(error) => {
                tracing::error!(%error, "a speaker's record cannot be read");
                Standing::Unreadable
            }
        }
    }

    /// Stores a voiceprint durably and tells the speaker's calls.
    pub(super) async fn store(&self, new: NewVoiceprint) -> Result<Arc<Voiceprint>, AskError> {
        let speaker = new.speaker.clone();
        let model_version = self.0.policy.model_version;
        self.in_store(move |store| store.enroll(&new.speaker, new.into_record(model_version))).await?;
        match self.standing(&speaker) {
            Standing::Enrolled(voiceprint) => {
                self.tell_calls(&speaker, &Standing::Enrolled(Arc::clone(&voiceprint)));
                self.publish_speaker(speaker).await;
                Ok(voiceprint)
            }
            _ => Err(AskError::OptedOut),
        }
    }

    async fn change(
        &self,
        speaker: SpeakerId,
        change: impl FnOnce(&Store, &SpeakerId, Timestamp) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<SpeakerView, AskError> {
        let id = speaker.clone();
        self.in_store(move |store| change(store, &id, Timestamp::now())).await?;
        self.tell_calls(&speaker, &self.standing(&speaker));
        Ok(self.publish_speaker(speaker).await)
    }

    fn tell_calls(&self, speaker: &SpeakerId, standing: &Standing) {
        let now = Timestamp::now();
        let mut floor = self.floor();
        for line in floor.of_speaker(speaker) {
            line.call.set_standing(standing.clone(), now);
            self.carry_out(line);
        }
    }

    async fn publish_speaker(&self, speaker: SpeakerId) -> SpeakerView {
        let unknown = unknown(&speaker);
        let view = self.speaker(speaker).await.unwrap_or(unknown);
        self.0.events.publish(events::of_speaker(view.clone()));
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
