use super::*;
use crate::pii::Pii;
use std::path::Path;
use tempfile::TempDir;
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;

fn master() -> MasterKey {
    MasterKey::from_bytes([0x5A; 32])
}

fn id(text: &str) -> SpeakerId {
    SpeakerId::new(text).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A voiceprint that can be told from others by `seed`.
fn voiceprint(seed: u8) -> NewVoiceprint {
    let embedding = Embedding(std::array::from_fn(|i| i16::from(seed) * 251 + i as i16 * 37));
    let stored = StoredEmbedding {
        embedding: Pii::new(embedding),
        band: Band::Narrow,
        net_speech_ms: 30_000 + u32::from(seed),
        snr_db: Some(17),
    };
    NewVoiceprint {
        embeddings: vec![stored],
        model_version: 3,
        consent: Some(Pii::new(format!("ticket {seed}"))),
        made_at: at(1_700_000_000),
    }
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &master())
}

#[test]
fn enrollments_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = open(&path).unwrap();
    assert_eq!(store.lookup(&id("alice")).unwrap(), None);
    assert_eq!(store.enroll(&id("alice"), voiceprint(1)).unwrap(), 1);
    assert_eq!(store.enroll(&id("bob"), voiceprint(2)).unwrap(), 1);
    assert_eq!(store.enroll(&id("alice"), voiceprint(3)).unwrap(), 2);
    let check = |store: &Store| {
        let expected = Voiceprint { version: 2, content: voiceprint(3) };
        assert_eq!(expected.net_speech_ms(), 30_003);
        assert_eq!(store.lookup(&id("alice")).unwrap(), Some(SpeakerRecord::Enrolled(expected)));
        assert_eq!(store.count(), 2);
        let report = Report { enrolled: 2, opted_out: 0, damaged: 0, generation: 3 };
        assert_eq!(store.check().unwrap(), report);
    };
    check(&store);
    drop(store);
    check(&open(&path).unwrap());
}

#[test]
fn an_opt_out_removes_the_voiceprint_and_stands_until_it_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = open(&path).unwrap();
    store.enroll(&id("alice"), voiceprint(1)).unwrap();
    store.enroll(&id("alice"), voiceprint(2)).unwrap();
    assert!(!store.opt_in(&id("alice")).unwrap());
    store.opt_out(&id("alice"), at(100)).unwrap();
    store.opt_out(&id("alice"), at(200)).unwrap();
    store.opt_out(&id("stranger"), at(300)).unwrap();
    drop(store);
    let store = open(&path).unwrap();
    let out = |second, last_version| Some(SpeakerRecord::OptedOut { since: at(second), last_version });
    assert_eq!(store.lookup(&id("alice")).unwrap(), out(100, 2));
    assert_eq!(store.lookup(&id("stranger")).unwrap(), out(300, 0));
    assert!(matches!(store.enroll(&id("alice"), voiceprint(3)), Err(StoreError::OptedOut)));
    assert!(store.opt_in(&id("alice")).unwrap());
    assert_eq!(store.lookup(&id("alice")).unwrap(), None);
    assert!(!store.opt_in(&id("alice")).unwrap());
    assert_eq!(store.enroll(&id("alice"), voiceprint(3)).unwrap(), 1);
    assert!(store.delete(&id("stranger")).unwrap());
    assert!(!store.delete(&id("stranger")).unwrap());
    assert_eq!(store.count(), 1);
}

#[test]
fn unfit_voiceprints_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let fit = voiceprint(1);
    let mut none = fit.clone();
    none.embeddings.clear();
    let mut many = fit.clone();
    many.embeddings = vec![fit.embeddings[0].clone(); MAX_EMBEDDINGS + 1];
    let mut wordy = fit.clone();
    wordy.consent = Some(Pii::new("x".repeat(MAX_CONSENT + 1)));
    for unfit in [none, many, wordy] {
        assert!(matches!(store.enroll(&id("alice"), unfit), Err(StoreError::Unfit(_))));
    }
    assert_eq!(store.count(), 0);
    store.enroll(&id("alice"), fit).unwrap();
}

#[test]
fn a_wrong_key_is_told_from_damage() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().enroll(&id("alice"), voiceprint(1)).unwrap();
    let wrong = Store::open(directory.path(), &MasterKey::from_bytes([1; 32]));
    assert!(matches!(wrong, Err(StoreError::WrongKey(_))));
    assert!(open(directory.path()).unwrap().lookup(&id("alice")).unwrap().is_some());
}

#[test]
fn the_directory_is_for_its_owner_and_one_process() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(matches!(open(&path), Err(StoreError::InUse(_))));
    drop(store);
    open(&path).unwrap();
}

#[test]
fn a_key_is_made_for_a_new_store_only() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("master.key");
    let mut config = crate::config::Store {
        path: directory.path().join("store"),
        key: KeySource::File(key.clone()),
        create_key: false,
    };
    assert!(matches!(Store::open_configured(&config), Err(StoreError::Key(KeyError::Missing(_)))));
    config.create_key = true;
    Store::open_configured(&config).unwrap().enroll(&id("alice"), voiceprint(1)).unwrap();
    assert!(Store::open_configured(&config).unwrap().lookup(&id("alice")).unwrap().is_some());
    std::fs::remove_file(&key).unwrap();
    let fault = Store::open_configured(&config).unwrap_err();
    assert!(matches!(fault, StoreError::Key(KeyError::Missing(_))), "{fault}");
    assert!(!key.exists());
}

/// All bytes of all files of the store.
fn disk(path: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { disk(&path) } else { std::fs::read(path).unwrap() }).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_files_show_neither_ids_nor_voiceprints() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.enroll(&id("+15551230001"), voiceprint(1)).unwrap();
    store.opt_out(&id("alice@example.net"), at(5)).unwrap();
    drop(store);
    let bytes = disk(directory.path());
    assert!(contains(&bytes, b"VOUCHKEY"), "the files were read");
    let content = voiceprint(1);
    let embedding: Vec<u8> =
        content.embeddings[0].embedding.reveal().0.iter().flat_map(|v| v.to_le_bytes()).collect();
    for secret in [&b"15551230001"[..], b"alice", b"example", b"ticket", &embedding[64..72], &[0x5A; 32]] {
        assert!(!contains(&bytes, secret));
    }
    let plain_hash = ring::digest::digest(&ring::digest::SHA256, b"+15551230001");
    assert!(!contains(&bytes, plain_hash.as_ref()), "ids are hashed under a key");
}

/// The secret of a record that went is nowhere on disk, so not even the master key opens what is left.
#[test]
fn deletion_destroys_the_key_of_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let secret_of = |store: &Store, name: &str| {
        let head = store.head(&store.keys.record_key(name)).unwrap();
        store.keyring.secret(head.slot).unwrap()
    };
    let mut gone = Vec::new();
    store.enroll(&id("alice"), voiceprint(1)).unwrap();
    gone.push(secret_of(&store, "alice"));
    store.enroll(&id("alice"), voiceprint(2)).unwrap();
    gone.push(secret_of(&store, "alice"));
    store.opt_out(&id("alice"), at(5)).unwrap();
    gone.push(secret_of(&store, "alice"));
    store.opt_in(&id("alice")).unwrap();
    store.enroll(&id("bob"), voiceprint(3)).unwrap();
    let kept = secret_of(&store, "bob");
    drop(store);
    let bytes = disk(directory.path());
    assert!(contains(&bytes, &kept));
    assert!(gone.iter().all(|secret| !contains(&bytes, secret)));
}

/// A crash after step 1 leaves a filled slot that nothing uses; after step 2 an old secret that should be
/// gone and a floor that is one behind. Opening puts both right.
#[test]
fn opening_completes_what_a_crash_left() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.enroll(&id("alice"), voiceprint(1)).unwrap();
    let keyring = directory.path().join("keyring");
    let before = std::fs::read(&keyring).unwrap();
    store.enroll(&id("alice"), voiceprint(2)).unwrap();
    let slot = store.head(&store.keys.record_key("alice")).unwrap().slot;
    let secret = store.keyring.secret(slot).unwrap();
    drop(store);
    // The keyring as it was between steps 2 and 3 of the second enrollment, and a stray secret.
    let mut crashed = before;
    let place = 12288 + 32 * slot as usize;
    crashed[place..place + 32].copy_from_slice(&secret);
    crashed[12288 + 32 * 9..12288 + 32 * 10].copy_from_slice(&[0xEE; 32]);
    std::fs::write(&keyring, crashed).unwrap();
    let store = open(directory.path()).unwrap();
    let Some(SpeakerRecord::Enrolled(found)) = store.lookup(&id("alice")).unwrap() else { panic!("gone") };
    assert_eq!((found.version, found.content), (2, voiceprint(2)));
    assert_eq!(store.keyring.floor(&store.keys).unwrap(), 2);
    let used =
        (0..store.keyring.slots().unwrap()).filter(|&slot| store.keyring.secret(slot).unwrap() != [0; 32]);
    assert_eq!(used.collect::<Vec<_>>(), [slot]);
}

/// What comes of a change made through the database itself, with all its checksums right.
fn tampered(
    tamper: impl FnOnce(&sled::Db, &dyn Fn(&str) -> RecordKey),
) -> (TempDir, Result<Store, StoreError>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for (seed, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        store.enroll(&id(name), voiceprint(seed as u8)).unwrap();
    }
    store.opt_out(&id("carol"), at(7)).unwrap();
    let keys = Keys::derive(&master(), store.keys.store_id);
    drop(store);
    // Waits, when it is dropped, for sled's threads, which may hold the lock for a moment longer.
    let engine = Engine::open(&directory.path().join("db")).unwrap();
    tamper(engine.db(), &|name| keys.record_key(name));
    drop(engine);
    let outcome = open(directory.path());
    (directory, outcome)
}

fn refused(outcome: Result<Store, StoreError>, why: &str) {
    let fault = outcome.unwrap_err();
    assert!(matches!(fault, StoreError::Damaged { .. }) && fault.to_string().contains(why), "{fault}");
}

#[test]
fn a_database_left_alone_opens() {
    let (_directory, store) = tampered(|_, _| ());
    let store = store.unwrap();
    assert_eq!(store.check().unwrap(), Report { enrolled: 2, opted_out: 1, damaged: 0, generation: 4 });
}

#[test]
fn records_that_were_swapped_removed_added_or_copied_are_noticed() {
    let swapped = |db: &sled::Db, key: &dyn Fn(&str) -> RecordKey| {
        let (alice, bob) = (db.get(key("alice")).unwrap().unwrap(), db.get(key("bob")).unwrap().unwrap());
        db.insert(key("alice"), bob).unwrap();
        db.insert(key("bob"), alice).unwrap();
    };
    refused(tampered(swapped).1, "not those that were written last");
    let removed = |db: &sled::Db, key: &dyn Fn(&str) -> RecordKey| {
        db.remove(key("carol")).unwrap().unwrap();
    };
    refused(tampered(removed).1, "there should be 3 records, and there are 2");
    let copied = |db: &sled::Db, key: &dyn Fn(&str) -> RecordKey| {
        db.insert(key("mallory"), db.get(key("alice")).unwrap().unwrap()).unwrap();
    };
    refused(tampered(copied).1, "there should be 3 records, and there are 4");
    let foreign = |db: &sled::Db, _: &dyn Fn(&str) -> RecordKey| {
        db.insert(b"note", b"hello").unwrap();
    };
    refused(tampered(foreign).1, "1 records are not as they were written");
    let renumbered = |db: &sled::Db, key: &dyn Fn(&str) -> RecordKey| {
        let mut value = db.get(key("alice")).unwrap().unwrap().to_vec();
        value[1] ^= 1;
        db.insert(key("alice"), value).unwrap();
    };
    refused(tampered(renumbered).1, "not those that were written last");
}

#[test]
fn a_manifest_that_was_removed_changed_or_cleared_is_noticed() {
    let removed = |db: &sled::Db, _: &dyn Fn(&str) -> RecordKey| {
        db.remove(manifest::NAME).unwrap().unwrap();
    };
    refused(tampered(removed).1, "the last 4 changes are missing");
    let changed = |db: &sled::Db, _: &dyn Fn(&str) -> RecordKey| {
        let mut value = db.get(manifest::NAME).unwrap().unwrap().to_vec();
        value[20] ^= 1;
        db.insert(manifest::NAME, value).unwrap();
    };
    refused(tampered(changed).1, "its manifest is not as it was written");
    let cleared = |db: &sled::Db, _: &dyn Fn(&str) -> RecordKey| db.clear().unwrap();
    refused(tampered(cleared).1, "the last 4 changes are missing");
}

/// Two records' sealed texts exchanged, each under its own head: the manifest cannot know, the seals do.
#[test]
fn texts_under_foreign_heads_open_to_nobody() {
    let (_directory, store) = tampered(|db, key| {
        let (alice, bob) = (db.get(key("alice")).unwrap().unwrap(), db.get(key("bob")).unwrap().unwrap());
        let crossed = |head: &[u8], text: &[u8]| [&head[..Head::LENGTH], &text[Head::LENGTH..]].concat();
        db.insert(key("alice"), crossed(&alice, &bob)).unwrap();
        db.insert(key("bob"), crossed(&bob, &alice)).unwrap();
    });
    let store = store.unwrap();
    for name in ["alice", "bob"] {
        assert!(matches!(store.lookup(&id(name)), Err(StoreError::RecordDamaged)));
        // It could be an opt-out: nothing is written over it until somebody decides.
        assert!(matches!(store.enroll(&id(name), voiceprint(9)), Err(StoreError::RecordDamaged)));
    }
    assert!(matches!(store.lookup(&id("carol")).unwrap(), Some(SpeakerRecord::OptedOut { .. })));
    assert_eq!(store.check().unwrap().damaged, 2);
    store.opt_out(&id("alice"), at(9)).unwrap();
    assert!(store.delete(&id("bob")).unwrap());
    assert_eq!(store.enroll(&id("bob"), voiceprint(9)).unwrap(), 1);
    assert_eq!(store.check().unwrap(), Report { enrolled: 1, opted_out: 2, damaged: 0, generation: 7 });
}

/// The database as it was some changes ago, whole and consistent in itself.
#[test]
fn an_older_database_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("store"), directory.path().join("old"));
    let store = open(&path).unwrap();
    store.enroll(&id("alice"), voiceprint(1)).unwrap();
    drop(store);
    std::fs::rename(path.join("db"), &old).unwrap();
    std::fs::create_dir(path.join("db")).unwrap();
    for entry in std::fs::read_dir(&old).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), path.join("db").join(entry.file_name())).unwrap();
    }
    let store = open(&path).unwrap();
    store.opt_out(&id("alice"), at(5)).unwrap();
    drop(store);
    std::fs::remove_dir_all(path.join("db")).unwrap();
    refused(open(&path), "its database is missing");
    std::fs::rename(&old, path.join("db")).unwrap();
    refused(open(&path), "the last 1 changes are missing");
    std::fs::remove_file(path.join("keyring")).unwrap();
    refused(open(&path), "its keyring is missing");
}

/// Readers see the record before or after each change, never in between.
#[test]
fn lookups_during_changes_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.enroll(&id("alice"), voiceprint(0)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let Some(SpeakerRecord::Enrolled(found)) = store.lookup(&id("alice")).unwrap() else {
                    panic!("alice is gone")
                };
                assert!(found.version >= seen);
                assert_eq!(found.content, voiceprint((found.version - 1) as u8));
                seen = found.version;
            }
        });
        for seed in 1..60 {
            store.enroll(&id("alice"), voiceprint(seed)).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}
