//! SRTP as a gateway sends it: AES_CM_128_HMAC_SHA1_80 (RFC 3711), written apart from the daemon's own.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use ring::hmac;

/// Bytes of a master key and its salt.
const MASTER: usize = 30;

/// The key of one stream.
#[derive(Clone, Debug)]
pub struct Srtp {
    master: [u8; MASTER],
    cipher: Aes128,
    auth: hmac::Key,
    salt: [u8; 14],
}

impl Srtp {
    /// A stream under a key that `seed` makes.
    pub fn new(seed: u8) -> Self {
        let master: [u8; MASTER] = std::array::from_fn(|place| (place as u8).wrapping_mul(29) ^ seed);
        let (mut key, mut salt) = ([0; 16], [0; 14]);
        key.copy_from_slice(&master[..16]);
        salt.copy_from_slice(&master[16..]);
        let source = Aes128::new(&key.into());
        let derived = |label: u8, out: &mut [u8]| {
            let mut counter = [0; 16];
            counter[..14].copy_from_slice(&salt);
            counter[7] ^= label;
            mix_stream(&source, counter, out);
        };
        let (mut session, mut auth, mut session_salt) = ([0; 16], [0; 20], [0; 14]);
        derived(0, &mut session);
        derived(1, &mut auth);
        derived(2, &mut session_salt);
        Self {
            master,
            cipher: Aes128::new(&session.into()),
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
            salt: session_salt,
        }
    }

    /// The `a=crypto` value that offers it, as phones write it.
    pub fn offer(&self) -> String {
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}|2^31", base64(&self.master))
    }

    /// Protects a packet with a header of 12 bytes; `index` counts the stream's packets beyond 16 bits.
    pub fn protect(&self, mut packet: Vec<u8>, index: u64) -> Vec<u8> {
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(&self.salt);
        let ssrc: Vec<u8> = packet[8..12].to_vec();
        let number = index.to_be_bytes();
        counter[4..8].iter_mut().zip(&ssrc).for_each(|(byte, with)| *byte ^= with);
        counter[8..14].iter_mut().zip(&number[2..]).for_each(|(byte, with)| *byte ^= with);
        mix_stream(&self.cipher, counter, &mut packet[12..]);
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(&packet);
        context.update(&((index >> 16) as u32).to_be_bytes());
        packet.extend(&context.sign().as_ref()[..10]);
        packet
    }
}

/// Adds the key stream from `counter` on to `data`, block by block.
fn mix_stream(cipher: &Aes128, mut counter: [u8; 16], data: &mut [u8]) {
    for (number, chunk) in (0_u16..).zip(data.chunks_mut(16)) {
        counter[14..].copy_from_slice(&number.to_be_bytes());
        let mut block = counter.into();
        cipher.encrypt_block(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, with)| *byte ^= with);
    }
}

/// Without padding, which a key of 30 bytes does not need.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|group| u32::from_be_bytes([0, group[0], group[1], group[2]]));
    groups
        .flat_map(|group| [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(group >> shift & 63) as usize])))
        .collect()
}
