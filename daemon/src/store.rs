//! The store of voiceprints: encrypted, complete or refused, durable before it says so.
//!
//! ```text
//! store/            mode 0700
//!   lock            held while a process has the store open
//!   keyring         identity of the store, floor, key slots      (store/keyring.rs)
//!   db/             sled: one record a speaker, and the manifest (store/engine.rs, store/manifest.rs)
//! ```
//!
//! A record stands under a keyed hash of the speaker id. Its value is a head (format, generation, slot) and
//! the sealed text (store/record.rs), whose seal is bound to store, name and head. Each record written has a
//! key of its own, derived from the master key and a secret in the keyring; when the record goes, the secret
//! is overwritten, and what the database still holds of it on disk opens to nobody.
//!
//! A change takes these steps, each durable before the next, so that a crash between any two leaves a store
//! that opens with everything acknowledged in it:
//! 1. a fresh secret goes into a free slot (a crash leaves an unused slot, wiped at the next open);
//! 2. record and manifest go into the database in one batch (a crash leaves the change made, not acknowledged);
//! 3. the floor rises and the old slot is wiped; then the change is acknowledged.
//!
//! While the store is open, an index of names and generations in memory says what must be there: a record
//! that the database no longer finds is an error, never an unknown speaker.

mod engine;
mod error;
mod keyring;
mod keys;
mod manifest;
mod open;
mod record;
mod seal;

pub use error::StoreError;
pub use keys::{KeyError, KeySource, MasterKey};
pub use record::{MAX_CONSENT, MAX_EMBEDDINGS, NewVoiceprint, SpeakerRecord, StoredEmbedding, Voiceprint};

use crate::pii::SpeakerId;
use engine::{Batch, Engine};
use jiff::Timestamp;
use keyring::Keyring;
use keys::{Keys, array, random};
use manifest::Manifest;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Name of a record: keyed hash of the speaker id.
type RecordKey = [u8; 32];

/// The open store. Its calls block; from asynchronous code use `spawn_blocking`.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    keys: Keys,
    engine: Engine,
    keyring: Keyring,
    index: RwLock<HashMap<RecordKey, Head>>,
    writer: Mutex<Writer>,
    /// Keeps other processes out.
    _lock: File,
}

/// What [`Store::check`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Speakers with a voiceprint.
    pub enrolled: u64,
    /// Speakers who opted out.
    pub opted_out: u64,
    /// Records that are not as they were written.
    pub damaged: u64,
    /// Changes since the store was made.
    pub generation: u64,
}

/// What stands open before a record's sealed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// The change that wrote the record.
    generation: u64,
    /// Slot of its secret in the keyring.
    slot: u32,
}

/// What changes with every write.
#[derive(Debug)]
struct Writer {
    manifest: Manifest,
    free: Vec<u32>,
    /// After a fault it is not known what is on the disk.
    stopped: bool,
}

/// Free bytes on the disk that an enrollment leaves alone.
const RESERVE: u64 = 16 << 20;
/// Free bytes that an opt-out or a deletion leaves alone: these still work when enrollments no longer do.
const LAST_RESERVE: u64 = 4 << 20;

impl Store {
    /// What is known of a speaker; `None` when nothing is.
    ///
    /// # Errors
    /// [`StoreError`] when the record cannot be read as it was written. Treat it as neither enrolled nor
    /// unknown: the speaker may have opted out.
    pub fn lookup(&self, speaker: &SpeakerId) -> Result<Option<SpeakerRecord>, StoreError> {
        let key = self.keys.record_key(speaker.reveal());
        Ok(self.read(&key)?.map(|(_, record)| record))
    }

    /// Stores a voiceprint in place of the speaker's former one, and gives its version. When this returns,
    /// the voiceprint is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::OptedOut`] when the speaker opted out.
    pub fn enroll(&self, speaker: &SpeakerId, content: NewVoiceprint) -> Result<u32, StoreError> {
        check_fit(&content)?;
        let mut writer = self.write()?;
        let key = self.keys.record_key(speaker.reveal());
        let last = match self.read_now(&key)? {
            Some((_, SpeakerRecord::OptedOut { .. })) => return Err(StoreError::OptedOut),
            Some((_, SpeakerRecord::Enrolled(voiceprint))) => voiceprint.version,
            None => 0,
        };
        let version = last.saturating_add(1);
        let record = SpeakerRecord::Enrolled(Voiceprint { version, content });
        self.check_room(RESERVE)?;
        self.change(&mut writer, key, Some((speaker, &record)))?;
        Ok(version)
    }

    /// Notes that a speaker opted out, known or not, and deletes the voiceprint, as the Voice ID of Amazon
    /// Connect did. A second opt-out changes nothing. When this returns, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]. A damaged record is no obstacle: it is replaced.
    pub fn opt_out(&self, speaker: &SpeakerId, at: Timestamp) -> Result<(), StoreError> {
        let mut writer = self.write()?;
        let key = self.keys.record_key(speaker.reveal());
        let last_version = match self.read_now(&key) {
            Ok(Some((_, SpeakerRecord::OptedOut { .. }))) => return Ok(()),
            Ok(Some((_, SpeakerRecord::Enrolled(voiceprint)))) => voiceprint.version,
            Ok(None) | Err(StoreError::RecordDamaged) => 0,
            Err(error) => return Err(error),
        };
        let record = SpeakerRecord::OptedOut { since: at, last_version };
        self.check_room(LAST_RESERVE)?;
        self.change(&mut writer, key, Some((speaker, &record)))
    }

    /// Takes an opt-out back: the speaker is unknown again, and can be enrolled. `false` when the speaker
    /// had not opted out.
    ///
    /// # Errors
    /// [`StoreError`], a damaged record included.
    pub fn opt_in(&self, speaker: &SpeakerId) -> Result<bool, StoreError> {
        let mut writer = self.write()?;
        let key = self.keys.record_key(speaker.reveal());
        if !matches!(self.read_now(&key)?, Some((_, SpeakerRecord::OptedOut { .. }))) {
            return Ok(false);
        }
        self.check_room(LAST_RESERVE)?;
        self.change(&mut writer, key, None).map(|()| true)
    }

    /// Forgets a speaker, opt-out included; works on a damaged record too. `false` when nothing was known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(&self, speaker: &SpeakerId) -> Result<bool, StoreError> {
        let mut writer = self.write()?;
        let key = self.keys.record_key(speaker.reveal());
        if self.head(&key).is_none() {
            return Ok(false);
        }
        self.check_room(LAST_RESERVE)?;
        self.change(&mut writer, key, None).map(|()| true)
    }

    /// Speakers known, enrolled or opted out.
    pub fn count(&self) -> u64 {
        self.index.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Whether a fault forbids changes until the next start.
    pub fn is_stopped(&self) -> bool {
        self.writer.lock().map_or(true, |writer| writer.stopped)
    }

    /// Shows every speaker's record to `show`, in no particular order, and gives the number of records that
    /// are damaged. Changes made meanwhile may or may not be seen.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails as a whole.
    pub fn visit(&self, mut show: impl FnMut(SpeakerId, SpeakerRecord)) -> Result<u64, StoreError> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<RecordKey> = index.keys().copied().collect();
        drop(index);
        let mut damaged = 0;
        for key in keys {
            match self.read(&key) {
                Ok(Some((speaker, record))) => show(speaker, record),
                Ok(None) => {}
                Err(StoreError::RecordDamaged) => damaged += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    /// Reads everything there is, and counts it.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails as a whole.
    pub fn check(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        report.damaged = self.visit(|_, record| match record {
            SpeakerRecord::Enrolled(_) => report.enrolled += 1,
            SpeakerRecord::OptedOut { .. } => report.opted_out += 1,
        })?;
        report.generation = self.writer.lock().unwrap_or_else(PoisonError::into_inner).manifest.generation;
        Ok(report)
    }

    /// The right to write, unless a fault forbids it.
    fn write(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let writer = self.writer.lock().map_err(|_| StoreError::Stopped)?;
        if writer.stopped { Err(StoreError::Stopped) } else { Ok(writer) }
    }

    /// The record under `key`. One that a write is just replacing reads as damaged until the write is
    /// through; so what does not read is read again when no write is under way.
    fn read(&self, key: &RecordKey) -> Result<Option<(SpeakerId, SpeakerRecord)>, StoreError> {
        self.read_now(key).or_else(|_| {
            let writer = self.writer.lock().map_err(|_| StoreError::Stopped)?;
            // A write that failed half-way is no damage of the record.
            self.read_now(key).map_err(|error| if writer.stopped { StoreError::Stopped } else { error })
        })
    }

    fn read_now(&self, key: &RecordKey) -> Result<Option<(SpeakerId, SpeakerRecord)>, StoreError> {
        let Some(head) = self.head(key) else { return Ok(None) };
        let value = self.engine.get(key)?.ok_or(StoreError::RecordDamaged)?;
        if Head::of(&value) != Some(head) {
            return Err(StoreError::RecordDamaged);
        }
        let place = self.place(key, head);
        let data_key = self.keys.data_key(&self.keyring.secret(head.slot)?, &place);
        let text = seal::open(&data_key, seal::ONLY, &place, &value[Head::LENGTH..])
            .map_err(|seal::Broken| StoreError::RecordDamaged)?;
        record::decode(&text).map(Some).map_err(|record::Malformed| StoreError::RecordDamaged)
    }

    fn head(&self, key: &RecordKey) -> Option<Head> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// What a record's seal and key are bound to.
    fn place(&self, key: &RecordKey, head: Head) -> Vec<u8> {
        [&b"speaker\0"[..], &self.keys.store_id, key, &head.to_bytes()].concat()
    }

    /// Refuses a write that would leave less than `needed` bytes free on the disk.
    fn check_room(&self, needed: u64) -> Result<(), StoreError> {
        let disk = nix::sys::statvfs::statvfs(&self.path)
            .map_err(|error| StoreError::io("examine", &self.path)(error.into()))?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if free < needed {
            Err(StoreError::DiskFull { path: self.path.clone(), free, needed })
        } else {
            Ok(())
        }
    }

    /// Replaces the record under `key`, or removes it, in the steps that stand above.
    fn change(
        &self,
        writer: &mut Writer,
        key: RecordKey,
        content: Option<(&SpeakerId, &SpeakerRecord)>,
    ) -> Result<(), StoreError> {
        let old = self.head(&key);
        let mut manifest = writer.manifest;
        let mut batch = Batch::default();
        manifest.generation += 1;
        if let Some(old) = old {
            manifest.remove(&self.keys, &key, old);
        }
        let new = match content {
            None => {
                batch.remove(&key);
                None
            }
            Some((speaker, record)) => {
                let head = Head { generation: manifest.generation, slot: self.free_slot(writer)? };
                batch.insert(&key, self.seal(&key, head, &record::encode(speaker, record))?);
                manifest.add(&self.keys, &key, head);
                Some(head)
            }
        };
        batch.insert(manifest::NAME, manifest.seal(&self.keys)?);

        // From here on a fault leaves open what is on the disk; the next start finds out.
        writer.stopped = true;
        self.engine.commit(batch)?;
        self.note(key, new);
        self.keyring.settle(&self.keys, manifest.generation, old.map(|old| old.slot))?;
        writer.stopped = false;

        writer.manifest = manifest;
        if new.is_some() {
            // The slot that `free_slot` gave.
            writer.free.pop();
        }
        writer.free.extend(old.map(|old| old.slot));
        Ok(())
    }

    /// A slot that is free: the last of the list, which stays on the list until the change is made.
    fn free_slot(&self, writer: &mut Writer) -> Result<u32, StoreError> {
        if writer.free.is_empty() {
            // Backwards, so that the first slots are taken first.
            writer.free.extend(self.keyring.grow()?.rev());
        }
        Ok(*writer.free.last().expect("the keyring grows by at least one slot"))
    }

    /// The value of a record: head and sealed text, under a fresh key of its own.
    fn seal(&self, key: &RecordKey, head: Head, text: &[u8]) -> Result<Vec<u8>, StoreError> {
        let place = self.place(key, head);
        let secret = Zeroizing::new(random()?);
        self.keyring.fill(head.slot, &secret)?;
        let mut value = Vec::with_capacity(Head::LENGTH + text.len() + seal::OVERHEAD);
        value.extend(head.to_bytes());
        seal::seal(&self.keys.data_key(&secret, &place), seal::ONLY, &place, text, &mut value);
        Ok(value)
    }

    /// Writes into the index where the record under `key` stands now.
    fn note(&self, key: RecordKey, head: Option<Head>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match head {
            Some(head) => index.insert(key, head),
            None => index.remove(&key),
        };
    }
}

impl Head {
    /// Format of records.
    const FORMAT: u8 = 1;
    const LENGTH: usize = 1 + 8 + 4;

    fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [Self::FORMAT; Self::LENGTH];
        bytes[1..9].copy_from_slice(&self.generation.to_le_bytes());
        bytes[9..].copy_from_slice(&self.slot.to_le_bytes());
        bytes
    }

    /// The head of a record's value, if there is one of this format.
    fn of(value: &[u8]) -> Option<Self> {
        let (head, _) = value.split_first_chunk::<{ Self::LENGTH }>()?;
        let generation = u64::from_le_bytes(array(&head[1..9]));
        let slot = u32::from_le_bytes(array(&head[9..]));
        (head[0] == Self::FORMAT).then_some(Self { generation, slot })
    }
}

/// Whether a voiceprint keeps the limits of the format.
fn check_fit(content: &NewVoiceprint) -> Result<(), StoreError> {
    if content.embeddings.is_empty() || content.embeddings.len() > MAX_EMBEDDINGS {
        return Err(StoreError::Unfit("it must have 1 to 8 embeddings"));
    }
    if content.consent.as_ref().is_some_and(|consent| consent.reveal().len() > MAX_CONSENT) {
        return Err(StoreError::Unfit("its consent reference is longer than 1024 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
