//! Tests of SRTP: the vectors of the RFCs, and what must hold of any packet.

use super::keys::apply_stream;
use super::protect::Protector;
use super::*;
use aes::cipher::KeyInit;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn key(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> =
        (0..MasterKey::length(suite) as u8).map(|byte| byte.wrapping_mul(7) ^ seed).collect();
    MasterKey::new(suite, &bytes).unwrap()
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|byte| byte as u8 ^ sequence as u8));
    packet
}

const GOODBYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];
const REPORT: [u8; 16] = [0x80, 200, 0, 1, 0, 0, 0, 9, 0x81, 203, 0, 1, 0, 0, 0, 9];

#[test]
fn key_streams_are_those_of_rfc_3711_appendix_b_2() {
    let cipher = aes::Aes128::new_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let mut stream = vec![0; 16 * 0xff02];
    apply_stream(&cipher, iv, &mut stream);
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(stream[16 * block..][..16], hex(expected), "block {block:x}");
    }
}

#[test]
fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(Suite::AesCm128HmacSha1With80, &master).unwrap();
    let keys = SessionKeys::derive(&master, Purpose::Rtp);
    assert_eq!(keys.cipher[..16], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(keys.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(keys.auth[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    let other = SessionKeys::derive(&master, Purpose::Rtcp);
    assert!(keys.cipher != other.cipher && keys.auth != other.auth && keys.salt != other.salt);
}

/// A receiver and a sender under session keys themselves, as RFC 7714 sections 16 and 17 give them.
fn of_rfc_7714(suite: Suite) -> (Unprotector, Protector) {
    let mut keys = SessionKeys { cipher: [0; 32], auth: [0; 20], salt: [0; 14] };
    keys.cipher.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
    keys.salt[..12].copy_from_slice(b"Quid pro quo");
    let transform = || Transform::new(suite, &keys);
    let protector = Protector { rtp: transform(), rtcp: transform(), tags: (16, 16), mki: Vec::new() };
    (Unprotector::with(transform(), transform(), suite, 0), protector)
}

#[test]
fn rtp_under_aes_gcm_is_that_of_rfc_7714_section_16() {
    let plain =
        [&hex("8040f17b 8041f8d3 5501a0b2"), b"Gallia est omnis divisa in partes tres".as_slice()].concat();
    for (suite, protected) in [
        (
            Suite::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b \
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Suite::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f \
             1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let (mut receiver, sender) = of_rfc_7714(suite);
        let mut packet = hex(protected);
        assert_eq!(sender.rtp(&plain, 0), packet, "{suite:?}");
        assert_eq!(receiver.rtp(&mut packet).unwrap(), plain, "{suite:?}");
    }
}

#[test]
fn rtcp_under_aes_gcm_is_that_of_rfc_7714_section_17() {
    let plain = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef \
         deadbeef",
    );
    for (suite, encrypted, protected) in [
        (
            Suite::AeadAes128Gcm,
            true,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 \
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            true,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 \
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
        (
            Suite::AeadAes128Gcm,
            false,
            "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef \
             deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
        ),
    ] {
        let (mut receiver, sender) = of_rfc_7714(suite);
        let mut packet = hex(protected);
        assert_eq!(sender.rtcp(&plain, 0x5d4, encrypted), packet, "{suite:?} {encrypted}");
        assert_eq!(receiver.rtcp(&mut packet).unwrap(), plain, "{suite:?} {encrypted}");
    }
}

#[test]
fn a_key_says_nothing_of_itself() {
    let key = key(Suite::AeadAes256Gcm, 3);
    assert_eq!(format!("{key:?}"), "<key of AEAD_AES_256_GCM>");
    let shown = format!("{:?}", Unprotector::new(&key, 0));
    assert!(shown.contains("<AES-GCM>") && !shown.contains("key: ["), "{shown}");
    assert_eq!(MasterKey::new(Suite::AeadAes256Gcm, &[0; 43]), None);
    assert_eq!(Suite::named("aes_cm_128_hmac_sha1_32"), Some(Suite::AesCm128HmacSha1With32));
    assert_eq!(Suite::named("F8_128_HMAC_SHA1_80"), None);
}

#[test]
fn packets_pass_once_and_in_any_order_around_the_rollover() {
    for suite in Suite::ALL {
        let (mut receiver, sender) = (Unprotector::new(&key(suite, 1), 0), Protector::new(&key(suite, 1)));
        for (sequence, round) in [(65_533, 0), (65_535, 0), (1, 1), (65_534, 0), (0, 1), (3, 1), (2, 1)] {
            let plain = rtp(7, sequence);
            let protected = sender.rtp(&plain, round);
            assert_eq!(receiver.rtp(&mut protected.clone()).unwrap(), plain, "{suite:?} {sequence}");
            assert_eq!(
                receiver.rtp(&mut protected.clone()),
                Err(SrtpError::Replayed),
                "{suite:?} {sequence}"
            );
        }
        // Of the round before, far outside of the window: a stranger's guess.
        assert_eq!(receiver.rtp(&mut sender.rtp(&rtp(7, 40_000), 0)), Err(SrtpError::Replayed));
    }
}

#[test]
fn a_stream_whose_first_packets_are_lost_is_understood_behind_its_first_rollover() {
    let suite = Suite::AeadAes128Gcm;
    let (mut receiver, sender) = (Unprotector::new(&key(suite, 1), 0), Protector::new(&key(suite, 1)));
    let plain = rtp(7, 2);
    assert_eq!(receiver.rtp(&mut sender.rtp(&plain, 1)).unwrap(), plain);
    let plain = rtp(7, 65_535);
    assert_eq!(receiver.rtp(&mut sender.rtp(&plain, 0)).unwrap(), plain);
}

#[test]
fn a_stream_that_went_by_unseen_for_hours_is_understood_again() {
    for suite in Suite::ALL {
        let sender = Protector::new(&key(suite, 1));
        let mut receiver = Unprotector::new(&key(suite, 1), 0);
        receiver.passed_by(200_000);
        // Began at 1000, so it is now in its fourth round; then nobody listens for 400,000 packets, then all is usual.
        let begin = 1000 + 200_000_u64;
        for index in [begin, begin + 1, begin + 400_000, begin + 400_002, begin + 400_001] {
            if index == begin + 400_000 {
                receiver.passed_by(399_900);
            }
            let plain = rtp(7, index as u16);
            let protected = sender.rtp(&plain, (index >> 16) as u32);
            assert_eq!(receiver.rtp(&mut protected.clone()).unwrap(), plain, "{suite:?} {index}");
        }
        // A source that begins anew does so in the first round.
        assert!(receiver.rtp(&mut sender.rtp(&rtp(8, 5), 0)).is_ok());
    }
}

#[test]
fn after_new_keys_a_peer_may_go_on_counting_or_begin_anew() {
    let suite = Suite::AesCm128HmacSha1With80;
    for goes_on in [true, false] {
        let old = Protector::new(&key(suite, 1));
        let mut receiver = Unprotector::new(&key(suite, 1), 0);
        for (sequence, round) in
            [(40_000, 0), (60_000, 0), (10_000, 1), (30_000, 1), (50_000, 1), (100, 2), (200, 2)]
        {
            assert!(receiver.rtp(&mut old.rtp(&rtp(7, sequence), round)).is_ok(), "{sequence}");
        }
        let mut receiver = Unprotector::succeeding(&key(suite, 2), 0, &receiver);
        let new = Protector::new(&key(suite, 2));
        let round = if goes_on { 2 } else { 0 };
        assert!(receiver.rtp(&mut new.rtp(&rtp(7, 201), round)).is_ok(), "{goes_on}");
        assert_eq!(receiver.rtp(&mut old.rtp(&rtp(7, 202), 2)), Err(SrtpError::Unauthentic));
    }
}

#[test]
fn sources_are_told_apart_and_their_number_is_bounded() {
    let suite = Suite::AesCm128HmacSha1With32;
    let (mut receiver, sender) = (Unprotector::new(&key(suite, 1), 0), Protector::new(&key(suite, 1)));
    for ssrc in 0..MAX_SOURCES as u32 {
        for sequence in [9, 8, 11] {
            assert!(receiver.rtp(&mut sender.rtp(&rtp(ssrc, sequence), 0)).is_ok());
        }
    }
    assert_eq!(receiver.rtp(&mut sender.rtp(&rtp(99, 1), 0)), Err(SrtpError::TooManySources));
    assert!(receiver.rtp(&mut sender.rtp(&rtp(3, 12), 0)).is_ok());
}

#[test]
fn rtcp_is_believed_once_and_only_if_authentic() {
    for suite in Suite::ALL {
        let (mut receiver, sender) = (Unprotector::new(&key(suite, 1), 0), Protector::new(&key(suite, 1)));
        for (index, encrypted) in [(0, true), (1, false), (3, true), (2, true)] {
            let protected = sender.rtcp(&REPORT, index, encrypted);
            assert_eq!(receiver.rtcp(&mut protected.clone()).unwrap(), REPORT, "{suite:?} {index}");
            assert_eq!(receiver.rtcp(&mut protected.clone()), Err(SrtpError::Replayed), "{suite:?} {index}");
        }
        assert!(receiver.rtcp(&mut sender.rtcp(&GOODBYE, 4, true)).is_ok());
        for place in 0..sender.rtcp(&REPORT, 9, true).len() {
            let mut forged = sender.rtcp(&REPORT, 9, true);
            forged[place] ^= 1;
            assert!(receiver.rtcp(&mut forged).is_err(), "{suite:?} {place}");
        }
        assert!(receiver.rtcp(&mut GOODBYE.to_vec()).is_err(), "{suite:?}: in the clear it is nobody's");
    }
}

#[test]
fn a_master_key_identifier_is_passed_over() {
    for suite in Suite::ALL {
        let mut receiver = Unprotector::new(&key(suite, 1), 4);
        let sender = Protector { mki: vec![0, 0, 0, 1], ..Protector::new(&key(suite, 1)) };
        let plain = rtp(7, 1);
        assert_eq!(receiver.rtp(&mut sender.rtp(&plain, 0)).unwrap(), plain, "{suite:?}");
        assert_eq!(receiver.rtcp(&mut sender.rtcp(&REPORT, 1, true)).unwrap(), REPORT, "{suite:?}");
    }
}

#[test]
fn headers_with_sources_and_extension_stay_in_the_clear() {
    for suite in Suite::ALL {
        let (mut receiver, sender) = (Unprotector::new(&key(suite, 1), 0), Protector::new(&key(suite, 1)));
        let mut plain = rtp(7, 1);
        plain[0] = 0x91;
        plain.splice(12..12, [0, 0, 0, 5, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let mut protected = sender.rtp(&plain, 0);
        assert_eq!(
            (&protected[..24], protected[24..40] == plain[24..40]),
            (&plain[..24], false),
            "{suite:?}"
        );
        assert_eq!(receiver.rtp(&mut protected).unwrap(), plain);
        let length = plain.len();
        plain[14] = 0xff;
        assert_eq!(receiver.rtp(&mut plain[..20]), Err(SrtpError::Malformed(20)));
        assert!(receiver.rtp(&mut plain[..length]).is_err());
    }
}

fn any_suite() -> impl Strategy<Value = Suite> {
    (0..4_usize).prop_map(|place| Suite::ALL[place])
}

proptest! {
    #[test]
    fn a_flipped_bit_and_a_wrong_key_are_refused(suite in any_suite(), bit in 0..1400_usize, sequence: u16) {
        let (sender, mut receiver) = (Protector::new(&key(suite, 1)), Unprotector::new(&key(suite, 1), 0));
        let plain = rtp(7, sequence);
        let mut forged = sender.rtp(&plain, 0);
        let bit = bit % (8 * forged.len());
        forged[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(receiver.rtp(&mut forged).is_err(), "bit {}", bit);
        let mut wrong = Unprotector::new(&key(suite, 2), 0);
        let mut protected = sender.rtp(&plain, 0);
        prop_assert_eq!(wrong.rtp(&mut protected.clone()).err(), Some(SrtpError::Unauthentic));
        // Nothing that was refused spoils what is right.
        prop_assert_eq!(receiver.rtp(&mut protected).unwrap(), plain);
    }

    #[test]
    fn any_bytes_are_refused(suite in any_suite(), bytes in proptest::collection::vec(any::<u8>(), 0..2100), mki in 0..9_usize) {
        let mut receiver = Unprotector::new(&key(suite, 1), mki);
        for first in [0x80, 0x9f] {
            let mut bytes = bytes.clone();
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            prop_assert!(receiver.rtp(&mut bytes.clone()).is_err());
            prop_assert!(receiver.rtcp(&mut bytes).is_err());
        }
    }
}
