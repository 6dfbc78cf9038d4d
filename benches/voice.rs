//! The voice engine: embeddings on each kernel that the processor has, and the way from samples to features.
//!
//! `cargo bench -p vouch-benches --bench voice`. Compare figures of one run: absolute times are those of a machine.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vouch_benches::{Memory, frames, second_of_sound};
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;
use vouch_dsp::kernel::Kernel;
use vouch_dsp::listener::{Listener, Origin};
use vouch_dsp::network::Network;

fn embedding(criterion: &mut Criterion) {
    let network = Network::load(vouch::model::BLOB).expect("the committed model is whole");
    let mut group = criterion.benchmark_group("embedding");
    group.sample_size(10);
    for seconds in [3, 10, 30] {
        let speech = frames(seconds * 100);
        let mut memory = Memory::new(speech.len());
        for kernel in Kernel::all() {
            let network = network.clone().with_kernel(kernel);
            group.throughput(Throughput::Elements(speech.len() as u64));
            group.bench_function(format!("{seconds} s, {}", kernel.name()), |bencher| {
                bencher.iter(|| network.embed(&speech, Band::Narrow, &mut memory.scratch()));
            });
        }
    }
    group.finish();
}

fn listening(criterion: &mut Criterion) {
    let sound = second_of_sound();
    let packets: Vec<u8> = sound.iter().map(|&sample| Law::Mu.encode(sample)).collect();
    let mut group = criterion.benchmark_group("listening");
    group.throughput(Throughput::Elements(sound.len() as u64));
    group.bench_function("a second of mu-law to speech frames", |bencher| {
        let mut listener = Listener::new(Band::Narrow);
        let mut pcm = [0; 160];
        bencher.iter(|| {
            let mut frames = 0;
            for packet in packets.chunks(pcm.len()) {
                let samples = Law::Mu.decode_into(packet, &mut pcm);
                listener.hear(&pcm[..samples], Origin::Heard, |_| frames += 1);
            }
            frames
        });
    });
    group.finish();
}

criterion_group!(benches, embedding, listening);
criterion_main!(benches);
