//! Master keys, and what is derived from them (RFC 3711 section 4.3, RFC 6188, RFC 7714 section 11).

use super::Suite;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes256};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest key with its salt: that of AES-256-GCM.
const MAX_LENGTH: usize = 44;

/// A master key with its salt, as the SDP carries it. Its `Debug` names the suite alone, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    #[zeroize(skip)]
    suite: Suite,
    bytes: [u8; MAX_LENGTH],
}

impl MasterKey {
    /// The key in `bytes`, the salt behind it; `None` where they are not as many as the suite wants.
    pub fn new(suite: Suite, bytes: &[u8]) -> Option<Self> {
        let mut key = Self { suite, bytes: [0; MAX_LENGTH] };
        (bytes.len() == Self::length(suite)).then(|| key.bytes[..bytes.len()].copy_from_slice(bytes))?;
        Some(key)
    }

    /// Bytes of a key of this suite with its salt.
    pub const fn length(suite: Suite) -> usize {
        suite.key_length() + suite.salt_length()
    }

    /// What it is a key for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, for the SDP and for nothing else.
    pub fn reveal(&self) -> &[u8] {
        &self.bytes[..Self::length(self.suite)]
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_length()]
    }

    fn salt(&self) -> &[u8] {
        &self.reveal()[self.suite.key_length()..]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<key of {}>", self.suite.name())
    }
}

/// What session keys protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Rtp,
    Rtcp,
}

/// Session keys. Those that a suite does not use are derived all the same, and cost nothing.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SessionKeys {
    /// For the cipher; the first [`Suite::key_length`] bytes.
    pub(super) cipher: [u8; 32],
    /// For HMAC-SHA1.
    pub(super) auth: [u8; 20],
    /// The first [`Suite::salt_length`] bytes.
    pub(super) salt: [u8; 14],
}

impl SessionKeys {
    pub(super) fn derive(master: &MasterKey, purpose: Purpose) -> Self {
        let first = match purpose {
            Purpose::Rtp => 0,
            Purpose::Rtcp => 3,
        };
        let mut keys = Self { cipher: [0; 32], auth: [0; 20], salt: [0; 14] };
        pseudorandom(master, first, &mut keys.cipher);
        pseudorandom(master, first + 1, &mut keys.auth);
        pseudorandom(master, first + 2, &mut keys.salt);
        keys
    }
}

/// Fills `out` with the key stream of AES in counter mode under the master key, for the use that `label` names. The
/// shorter salt of AES-GCM is filled up with zeros on the right.
fn pseudorandom(master: &MasterKey, label: u8, out: &mut [u8]) {
    let mut counter = [0; 16];
    counter[..master.salt().len()].copy_from_slice(master.salt());
    counter[7] ^= label;
    out.fill(0);
    // The lengths of the keys are those of the ciphers.
    match master.suite.key_length() {
        32 => {
            if let Ok(cipher) = Aes256::new_from_slice(master.key()) {
                apply_stream(&cipher, counter, out);
            }
        }
        _ => {
            if let Ok(cipher) = Aes128::new_from_slice(master.key()) {
                apply_stream(&cipher, counter, out);
            }
        }
    }
}

/// Encrypts or decrypts `data` by AES in counter mode, from `counter` on.
pub(super) fn apply_stream<C>(cipher: &C, counter: [u8; 16], data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = ctr::CtrCore::<&C, ctr::flavors::Ctr128BE>::inner_iv_init(cipher, &counter.into());
    ctr::Ctr128BE::from_core(core).apply_keystream(data);
}
