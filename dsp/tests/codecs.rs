//! Decoders against what other decoders made of the same bytes. `data/codecs/make.sh` made both from a synthetic
//! signal.

use vouch_dsp::codec::{g722::G722, gsm::Gsm};

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

#[test]
fn gsm_decodes_to_the_bits_of_libgsm() {
    let coded = include_bytes!("data/codecs/signal.gsm");
    let expected = samples(include_bytes!("data/codecs/gsm.s16"));
    let (mut decoder, mut pcm) = (Gsm::new(), vec![0; expected.len()]);
    let heard: usize =
        coded.chunks(66).zip(pcm.chunks_mut(320)).map(|(packet, pcm)| decoder.decode_into(packet, pcm)).sum();
    assert_eq!(heard, expected.len());
    assert_eq!(pcm.iter().zip(&expected).position(|(ours, theirs)| ours != theirs), None);
}

#[test]
fn g722_decodes_to_the_bits_of_libavcodec() {
    let signal =
        (&include_bytes!("data/codecs/signal.g722")[..], &include_bytes!("data/codecs/g722.s16")[..]);
    let noise =
        (&include_bytes!("data/codecs/noise.g722")[..], &include_bytes!("data/codecs/g722-noise.s16")[..]);
    for (coded, expected) in [signal, noise] {
        let expected = samples(expected);
        let (mut decoder, mut pcm) = (G722::new(), vec![0; expected.len()]);
        let heard: usize = coded
            .chunks(160)
            .zip(pcm.chunks_mut(320))
            .map(|(packet, pcm)| decoder.decode_into(packet, pcm))
            .sum();
        assert_eq!(heard, expected.len());
        assert_eq!(pcm.iter().zip(&expected).position(|(ours, theirs)| ours != theirs), None);
    }
}
