//! SRTP by SDES (RFC 4568) in offer and answer: which lines are taken, under which keys.
//!
//! We never send media, so the key that we answer with protects nothing; RFC 4568 wants one all the same. It is made from
//! the dialog's seed, and stays for as long as the peer's own key does, so that an answer said again says the same.

use super::Refusal;
use crate::wire::sdp::{Crypto, Media, Transport};
use crate::wire::srtp::{MasterKey, Suite};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use zeroize::Zeroizing;

/// Whether a peer's media may, must, or must not be secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpRule {
    /// SRTP where the peer offers it, RTP where it does not.
    #[default]
    Accept,
    /// SRTP alone.
    Require,
    /// RTP alone.
    Refuse,
}

/// The key that secures a line of an offer or answer; `None` for RTP in the clear.
///
/// # Errors
/// [`Refusal`] where the line cannot be taken.
pub(super) fn security(media: &Media, rule: SrtpRule) -> Result<Option<&Crypto>, Refusal> {
    match (media.transport(), rule) {
        (Transport::Rtp, SrtpRule::Require) => Err(Refusal::SrtpRequired),
        (Transport::Rtp, _) => Ok(None),
        (Transport::Srtp, SrtpRule::Refuse) => Err(Refusal::SrtpRefused),
        (Transport::Srtp, _) => match media.crypto.iter().find_map(|line| line.as_ref().ok()) {
            Some(crypto) => Ok(Some(crypto)),
            None if media.crypto.is_empty() && media.has_fingerprint => Err(Refusal::Dtls),
            None if media.crypto.is_empty() => Err(Refusal::NoKeys),
            None => Err(Refusal::NoSuite),
        },
        (Transport::Other, _) => Err(Refusal::NoAudio),
    }
}

/// What the keys of ours in one dialog are made from. Its `Debug` says nothing, and it is wiped when dropped.
#[derive(Clone)]
pub struct KeySeed(Zeroizing<[u8; 32]>);

impl KeySeed {
    /// A seed that nobody knows; `None` where the system has no randomness.
    pub fn random() -> Option<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut seed[..]).ok()?;
        Some(Self(seed))
    }

    #[cfg(test)]
    pub(crate) fn fixed() -> Self {
        Self(Zeroizing::new([7; 32]))
    }

    /// The key for a line; another one for each `generation`.
    fn key(&self, suite: Suite, m_line: usize, generation: u32) -> Option<MasterKey> {
        // 64 bytes, of which the longest key takes 44.
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, &self.0[..]));
        context.update(&(m_line as u64).to_be_bytes());
        context.update(&generation.to_be_bytes());
        context.update(suite.name().as_bytes());
        MasterKey::new(suite, context.sign().as_ref().get(..MasterKey::length(suite))?)
    }
}

impl fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<seed of keys>")
    }
}

/// The keys of one dialog.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    seed: KeySeed,
    lines: Vec<LineKeys>,
}

/// The keys of one `m=` line.
#[derive(Clone, Debug)]
struct LineKeys {
    m_line: usize,
    theirs: Crypto,
    generation: u32,
}

impl Keys {
    pub(super) const fn new(seed: KeySeed) -> Self {
        Self { seed, lines: Vec::new() }
    }

    /// Value of the `a=crypto` line that answers `theirs`: our key, which stays while theirs does.
    pub(super) fn answer(&mut self, m_line: usize, theirs: &Crypto) -> Option<String> {
        let line = match self.lines.iter_mut().find(|line| line.m_line == m_line) {
            Some(line) => {
                if line.theirs != *theirs {
                    line.theirs = theirs.clone();
                    line.generation = line.generation.wrapping_add(1);
                }
                line
            }
            None => self.lines.push_mut(LineKeys { m_line, theirs: theirs.clone(), generation: 0 }),
        };
        let key = self.seed.key(theirs.key.suite(), m_line, line.generation)?;
        Some(Crypto::write(theirs.tag, &key))
    }

    /// Values of the `a=crypto` lines of an offer of ours: one for each suite.
    pub(super) fn offer(&self, m_line: usize) -> Vec<String> {
        let keys = Suite::ALL.into_iter().filter_map(|suite| self.seed.key(suite, m_line, 0));
        keys.zip(1..).map(|(key, tag)| Crypto::write(tag, &key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_key_stays_while_theirs_does() {
        let mut keys = Keys::new(KeySeed::fixed());
        let crypto = |seed: u8, suite| Crypto {
            tag: 3,
            key: MasterKey::new(suite, &vec![seed; MasterKey::length(suite)]).unwrap(),
            mki_length: 0,
        };
        let suite = Suite::AesCm128HmacSha1With80;
        let first = keys.answer(0, &crypto(1, suite)).unwrap();
        assert!(first.starts_with("3 AES_CM_128_HMAC_SHA1_80 inline:"), "{first}");
        assert_eq!(keys.answer(0, &crypto(1, suite)).unwrap(), first);
        assert_ne!(keys.answer(1, &crypto(1, suite)).unwrap(), first);
        assert_ne!(keys.answer(0, &crypto(2, suite)).unwrap(), first);
        assert_ne!(
            keys.answer(0, &crypto(1, suite)).unwrap(),
            first,
            "a key is not used again after another"
        );
        let offered = keys.offer(0);
        assert_eq!(offered.len(), Suite::ALL.len());
        assert!(offered.iter().zip(1..).all(|(line, tag)| Crypto::parse(line).unwrap().tag == tag));
        assert!(!format!("{keys:?}").contains('7'), "{keys:?}");
    }

    #[test]
    fn seeds_differ() {
        let of = |seed: KeySeed| seed.key(Suite::AeadAes256Gcm, 0, 0).unwrap();
        assert!(of(KeySeed::random().unwrap()) != of(KeySeed::random().unwrap()));
    }
}
