//! The two kinds of protection: AES in counter mode with HMAC-SHA1 (RFC 3711 section 4), and AES-GCM (RFC 7714).

use super::keys::{SessionKeys, apply_stream};
use super::{MAX_PACKET, Suite};
use aes::Aes128;
use aes::cipher::KeyInit;
use ring::{aead, hmac};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of the word behind an RTCP packet: whether it is encrypted, and its index.
const INDEX: usize = 4;
/// The bit of that word that says so.
const ENCRYPTED: u32 = 1 << 31;
/// Bytes of an RTCP packet that are never encrypted.
const RTCP_HEADER: usize = 8;

/// What stands behind the payload of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    /// Bytes of the tag on RTP.
    pub(super) rtp_tag: usize,
    /// Bytes of the tag on RTCP.
    pub(super) rtcp_tag: usize,
    /// Bytes of the master key identifier.
    pub(super) mki: usize,
}

impl Framing {
    pub(super) const fn rtp_overhead(self) -> usize {
        self.rtp_tag + self.mki
    }

    pub(super) const fn rtcp_overhead(self) -> usize {
        self.rtcp_tag + self.mki + INDEX
    }

    /// Where the index of an RTCP packet of `length` bytes stands. The tag of AES-GCM comes before it, that of HMAC-SHA1
    /// after it.
    pub(super) const fn rtcp_index_at(self, length: usize) -> usize {
        let behind = if self.rtcp_tag == aead::MAX_TAG_LEN { 0 } else { self.rtcp_tag };
        length - behind - self.mki - INDEX
    }
}

/// Protection under session keys. `ring` wipes nothing of the keys that it holds; all others are wiped when dropped.
pub(super) enum Transform {
    /// AES in counter mode, authenticated by HMAC-SHA1.
    Counter(Box<Counter>),
    /// AES-GCM.
    Gcm(Box<Gcm>),
}

/// Keys of AES in counter mode.
pub(super) struct Counter {
    pub(super) cipher: Aes128,
    pub(super) auth: hmac::Key,
    salt: Zeroizing<[u8; 14]>,
}

/// Keys of AES-GCM.
pub(super) struct Gcm {
    pub(super) key: aead::LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

/// Says nothing of the keys.
impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter(_) => "<AES in counter mode>",
            Self::Gcm(_) => "<AES-GCM>",
        })
    }
}

impl Transform {
    pub(super) fn new(suite: Suite, keys: &SessionKeys) -> Self {
        let gcm = |algorithm| {
            // The length of the key is that of the algorithm, which is all that could be refused.
            let key = aead::UnboundKey::new(algorithm, &keys.cipher[..suite.key_length()]);
            let key = aead::LessSafeKey::new(key.expect("the key has the length of the suite"));
            let mut salt = Zeroizing::new([0; 12]);
            salt.copy_from_slice(&keys.salt[..12]);
            Self::Gcm(Box::new(Gcm { key, salt }))
        };
        match suite {
            Suite::AesCm128HmacSha1With80 | Suite::AesCm128HmacSha1With32 => {
                let mut key = [0; 16];
                key.copy_from_slice(&keys.cipher[..16]);
                let cipher = Aes128::new(&key.into());
                let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth);
                Self::Counter(Box::new(Counter { cipher, auth, salt: Zeroizing::new(keys.salt) }))
            }
            Suite::AeadAes128Gcm => gcm(&aead::AES_128_GCM),
            Suite::AeadAes256Gcm => gcm(&aead::AES_256_GCM),
        }
    }

    /// Authenticates and decrypts an RTP packet that is long enough for its `header` and the framing; false where it is not
    /// authentic. `whose`: its source, and its index of 48 bits.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        framing: Framing,
        whose: (u32, u64),
    ) -> bool {
        let body_end = packet.len() - framing.rtp_overhead();
        match self {
            Self::Counter(counter) => {
                let tag_at = packet.len() - framing.rtp_tag;
                let round = (whose.1 >> 16) as u32;
                let authentic =
                    counter.is_tag(&packet[tag_at..], &[&packet[..body_end], &round.to_be_bytes()]);
                if authentic {
                    counter.apply(&mut packet[header..body_end], whose);
                }
                authentic
            }
            Self::Gcm(gcm) => {
                let (header, body) = packet.split_at_mut(header);
                let sealed = body.len() - framing.mki;
                gcm.open(header, &mut body[..sealed], whose)
            }
        }
    }

    /// Authenticates and decrypts an RTCP packet that is long enough for its header and the framing; false where it is not
    /// authentic. `whose`: its source, and the word that stands at [`Framing::rtcp_index_at`].
    pub(super) fn open_rtcp(&self, packet: &mut [u8], framing: Framing, whose: (u32, u32)) -> bool {
        let (ssrc, trailer) = whose;
        let whose = (ssrc, u64::from(trailer & !ENCRYPTED));
        let encrypted = trailer & ENCRYPTED != 0;
        let body_end = packet.len() - framing.rtcp_overhead();
        match self {
            Self::Counter(counter) => {
                let tag_at = packet.len() - framing.rtcp_tag;
                let authentic = counter.is_tag(&packet[tag_at..], &[&packet[..body_end + INDEX]]);
                if authentic && encrypted {
                    counter.apply(&mut packet[RTCP_HEADER..body_end], whose);
                }
                authentic
            }
            Self::Gcm(gcm) => {
                // In the clear, the whole packet is associated data and nothing is left to decrypt.
                let clear = if encrypted { RTCP_HEADER } else { body_end };
                let mut associated = [0; MAX_PACKET];
                associated[..clear].copy_from_slice(&packet[..clear]);
                associated[clear..clear + INDEX].copy_from_slice(&trailer.to_be_bytes());
                let sealed = &mut packet[clear..body_end + framing.rtcp_tag];
                gcm.open(&associated[..clear + INDEX], sealed, whose)
            }
        }
    }
}

impl Counter {
    /// Encrypts or decrypts.
    pub(super) fn apply(&self, body: &mut [u8], (ssrc, index): (u32, u64)) {
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(self.salt.as_slice());
        mix(&mut counter[4..8], &ssrc.to_be_bytes());
        mix(&mut counter[8..14], &index.to_be_bytes()[2..]);
        apply_stream(&self.cipher, counter, body);
    }

    /// The tag of what `parts` hold together.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.auth);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }

    /// Whether `tag` begins the tag of `parts`; takes as long for any.
    fn is_tag(&self, tag: &[u8], parts: &[&[u8]]) -> bool {
        let right = self.tag(parts);
        let differing = tag.iter().zip(right.as_ref()).fold(0, |bits, (one, other)| bits | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

impl Gcm {
    /// The nonce of RFC 7714 sections 8.1 and 9.1, which are the same where an index has 48 bits.
    pub(super) fn nonce(&self, (ssrc, index): (u32, u64)) -> aead::Nonce {
        let mut nonce = *self.salt;
        mix(&mut nonce[2..6], &ssrc.to_be_bytes());
        mix(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn open(&self, associated: &[u8], sealed: &mut [u8], whose: (u32, u64)) -> bool {
        self.key.open_in_place(self.nonce(whose), aead::Aad::from(associated), sealed).is_ok()
    }
}

fn mix(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(into, with)| *into ^= with);
}
