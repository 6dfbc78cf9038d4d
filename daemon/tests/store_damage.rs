//! A damaged store gives the right answers or an error: never another answer, never a panic.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vouch::pii::{Pii, SpeakerId};
use vouch::store::{MasterKey, NewVoiceprint, SpeakerRecord, Store, StoreError, StoredEmbedding};
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;

type Answers = BTreeMap<String, Option<SpeakerRecord>>;

/// Damaged copies that each test tries; more for a longer look.
fn rounds() -> usize {
    std::env::var("VOUCH_DAMAGE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &MasterKey::from_bytes([9; 32]))
}

fn id(text: &str) -> SpeakerId {
    SpeakerId::new(text).unwrap()
}

fn voiceprint(seed: i16) -> NewVoiceprint {
    let stored = StoredEmbedding {
        embedding: Pii::new(Embedding(std::array::from_fn(|i| seed.wrapping_mul(257) ^ (i as i16 * 31)))),
        band: Band::Narrow,
        net_speech_ms: 30_000,
        snr_db: None,
    };
    let made_at = Timestamp::from_second(1_700_000_000).unwrap();
    NewVoiceprint { embeddings: vec![stored; 8], model_version: 1, consent: None, made_at }
}

/// Splitmix64: the same damage on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// A store with enough history that the database has moved segments, reopened once so that it has a
/// snapshot with a log behind it, and the answers that it gives.
fn sample(path: &Path) -> Answers {
    let mut store = open(path).unwrap();
    let mut names: Vec<String> = (0..60).map(|i| format!("speaker-{i}")).collect();
    for round in 0..4 {
        if round == 2 {
            drop(store);
            store = open(path).unwrap();
        }
        for (seed, name) in names.iter().enumerate() {
            store.enroll(&id(name), voiceprint(round * 100 + seed as i16)).unwrap();
        }
    }
    for name in &names[25..30] {
        store.opt_out(&id(name), Timestamp::from_second(1_700_000_500).unwrap()).unwrap();
    }
    for name in &names[30..33] {
        assert!(store.delete(&id(name)).unwrap());
    }
    // Last of all somebody new: an older database would know nothing of them.
    names.extend((0..5).map(|i| format!("late-{i}")));
    for name in &names[60..] {
        store.enroll(&id(name), voiceprint(7)).unwrap();
    }
    names.into_iter().map(|name| (name.clone(), store.lookup(&id(&name)).unwrap())).collect()
}

/// What opening a store and asking it came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Refused,
    SomeRefused,
}

/// Opens the store and holds every answer against the right one.
fn examine(path: &Path, right: &Answers) -> Outcome {
    let store = match open(path) {
        Ok(store) => store,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Outcome::Refused;
        }
    };
    let mut refused = false;
    for (name, right) in right {
        match store.lookup(&id(name)) {
            Ok(answer) => assert_eq!(&answer, right, "{name}"),
            Err(_) => refused = true,
        }
    }
    if refused { Outcome::SomeRefused } else { Outcome::Right }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files of a store that hold anything.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Damages copies of a sample store, a random file of each, and counts what came of it.
fn sweep(seed: u64, damage: impl Fn(&mut Dice, &mut Vec<u8>)) -> [usize; 3] {
    let directory = tempfile::tempdir().unwrap();
    let (whole, broken) = (directory.path().join("whole"), directory.path().join("broken"));
    let right = sample(&whole);
    let files = files(&whole);
    copy(&whole, &broken);
    assert_eq!(examine(&broken, &right), Outcome::Right, "an undamaged copy");
    fs::remove_dir_all(&broken).unwrap();
    let mut dice = Dice(seed);
    let mut counts = [0; 3];
    for _ in 0..rounds() {
        copy(&whole, &broken);
        let file = broken.join(files[dice.roll(files.len())].strip_prefix(&whole).unwrap());
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut dice, &mut bytes);
        fs::write(&file, bytes).unwrap();
        match examine(&broken, &right) {
            Outcome::Right => counts[0] += 1,
            Outcome::Refused => counts[1] += 1,
            Outcome::SomeRefused => counts[2] += 1,
        }
        fs::remove_dir_all(&broken).unwrap();
    }
    eprintln!("right {}, refused {}, some records refused {}", counts[0], counts[1], counts[2]);
    counts
}

#[test]
fn a_flipped_byte_changes_no_answer() {
    let counts = sweep(1, |dice, bytes| {
        // Most of the database file is zeros that nobody reads.
        let written: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        bytes[written[dice.roll(written.len())]] ^= 1 << dice.roll(8);
    });
    assert!(counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[test]
fn a_truncation_changes_no_answer() {
    let counts = sweep(2, |dice, bytes| {
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0);
        bytes.truncate(dice.roll(end + 1));
    });
    assert!(counts[1] > 0, "{counts:?}");
}

#[test]
fn an_overwritten_stretch_changes_no_answer() {
    let counts = sweep(3, |dice, bytes| {
        let at = dice.roll(bytes.len());
        let end = (at + 1 + dice.roll(5000)).min(bytes.len());
        bytes[at..end].iter_mut().for_each(|byte| *byte = 0);
    });
    assert!(counts[1] > 0, "{counts:?}");
}
