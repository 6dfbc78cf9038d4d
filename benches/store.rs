//! The store, on the disk of this machine: opening it, a voiceprint written and acknowledged, and one looked up.
//!
//! `cargo bench -p vouch-benches --bench store`. A write waits for the disk, so its time is mostly the disk's.

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use std::path::Path;
use vouch::pii::{Pii, SpeakerId};
use vouch::store::{MasterKey, NewVoiceprint, Store, StoredEmbedding};
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;

/// Voiceprints in the store.
const SPEAKERS: [u32; 2] = [100, 1000];

fn speaker(number: u32) -> SpeakerId {
    SpeakerId::new(&format!("caller-{number}")).expect("a short text is an id")
}

fn voiceprint(seed: u32) -> NewVoiceprint {
    let embedding = Embedding(std::array::from_fn(|place| (seed * 251 + place as u32 * 37) as i16));
    NewVoiceprint {
        embeddings: vec![StoredEmbedding {
            embedding: Pii::new(embedding),
            band: Band::Narrow,
            net_speech_ms: 30_000,
            snr_db: Some(20),
        }],
        model_version: 1,
        consent: Some(Pii::new("bench".to_owned())),
        made_at: Timestamp::UNIX_EPOCH,
    }
}

fn open(path: &Path) -> Store {
    Store::open(path, &MasterKey::from_bytes([7; 32])).expect("a store of our own opens")
}

fn store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    for speakers in SPEAKERS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store");
        let store = open(&path);
        for number in 0..speakers {
            store.enroll(&speaker(number), voiceprint(number)).expect("the disk has room");
        }
        let mut next = 0;
        group.bench_function(format!("get, of {speakers}"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % speakers;
                store.lookup(&speaker(next)).expect("the record is whole").is_some()
            });
        });
        group.bench_function(format!("put, of {speakers}"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % speakers;
                store.enroll(&speaker(next), voiceprint(next)).expect("the disk has room")
            });
        });
        drop(store);
        group.bench_function(format!("open, of {speakers}"), |bencher| {
            bencher.iter_with_large_drop(|| open(&path).count());
        });
    }
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
