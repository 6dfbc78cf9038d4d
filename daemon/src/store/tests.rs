use super::*;
use crate::pii::Pii;
use std::path::Path;
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
