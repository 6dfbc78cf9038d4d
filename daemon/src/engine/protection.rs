//! The keys of one stream over its changes: new keys are agreed before the peer uses them.

use crate::wire::sdp::Crypto;
use crate::wire::srtp::{MAX_PACKET, SrtpError, Unprotector};

/// Packets after a change of keys that may still be under the former ones, at most: 2.5 s of 20 ms each. The peer goes on
/// with those until it has our answer, which may have to be sent again.
const UNDER_WAY: u32 = 128;

/// How a packet is opened: [`Unprotector::rtp`] or [`Unprotector::rtcp`].
pub(super) type Open = for<'a> fn(&mut Unprotector, &'a mut [u8]) -> Result<&'a mut [u8], SrtpError>;

/// The key of a stream, and what takes its protection off.
#[derive(Debug)]
pub(super) struct Protection {
    crypto: Crypto,
    unprotector: Box<Unprotector>,
    former: Option<Former>,
}

/// What took the protection off until the keys changed.
#[derive(Debug)]
struct Former {
    unprotector: Box<Unprotector>,
    /// Packets that it is still tried on.
    left: u32,
}

impl Protection {
    /// Under `crypto`. While the key stays, so does all that is known of the packets under it; after another one, its
    /// packets are still understood until the first under the new key (RFC 4568 section 7.1.4).
    pub(super) fn renewed(crypto: Crypto, old: Option<Self>) -> Self {
        let (unprotector, former) = match old {
            Some(old) if old.crypto == crypto => return old,
            Some(old) => {
                let new = Unprotector::succeeding(&crypto.key, crypto.mki_length, &old.unprotector);
                (new, Some(Former { unprotector: old.unprotector, left: UNDER_WAY }))
            }
            None => (Unprotector::new(&crypto.key, crypto.mki_length), None),
        };
        Self { crypto, unprotector: Box::new(unprotector), former }
    }

    /// Notes that so many RTP packets of the stream went by unseen.
    pub(super) fn passed_by(&mut self, packets: u64) {
        self.unprotector.passed_by(packets);
    }

    /// Authenticates and decrypts a packet in its place. One that is authentic under the new key ends the former one.
    ///
    /// # Errors
    /// [`SrtpError`], as under the new key.
    pub(super) fn open<'a>(&mut self, packet: &'a mut [u8], open: Open) -> Result<&'a mut [u8], SrtpError> {
        if let Some(length) = self.open_former(packet, open) {
            return Ok(&mut packet[..length]);
        }
        let opened = open(&mut self.unprotector, packet);
        if opened.is_ok() {
            self.former = None;
        }
        opened
    }

    /// The same under the former key, as long as there is one; gives the length of what was under the protection.
    fn open_former(&mut self, packet: &mut [u8], open: Open) -> Option<usize> {
        let former = self.former.as_mut()?;
        let mut copy = [0; MAX_PACKET];
        let copy = copy.get_mut(..packet.len())?;
        copy.copy_from_slice(packet);
        // AES-GCM leaves nothing of a packet that it refused, so the packet itself is kept for the new key.
        let opened = open(&mut former.unprotector, copy).ok().map(|opened| {
            packet[..opened.len()].copy_from_slice(opened);
            opened.len()
        });
        former.left -= 1;
        if former.left == 0 {
            self.former = None;
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::srtp::protect::Protector;
    use crate::wire::srtp::{MasterKey, Suite};

    const GOODBYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];

    fn rtp(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 1, 0, 0, 0, 9]);
        packet.extend([sequence as u8; 160]);
        packet
    }

    /// What the SDP says of a key, and what its sender protects packets with.
    fn key(suite: Suite, seed: u8) -> (Crypto, Protector) {
        let key = MasterKey::new(suite, &vec![seed; MasterKey::length(suite)]).unwrap();
        let protector = Protector::new(&key);
        (Crypto { tag: 1, key, mki_length: 0 }, protector)
    }

    /// A stream whose keys have changed, and the senders under both.
    fn changed(suite: Suite) -> (Protection, Protector, Protector) {
        let ((old_key, old), (new_key, new)) = (key(suite, 1), key(suite, 2));
        let mut protection = Protection::renewed(old_key, None);
        assert!(protection.open(&mut old.rtp(&rtp(1), 0), Unprotector::rtp).is_ok());
        (Protection::renewed(new_key, Some(protection)), old, new)
    }

    #[test]
    fn what_was_under_way_is_understood_until_the_new_keys_are_used() {
        for suite in Suite::ALL {
            let (mut protection, old, new) = changed(suite);
            let mut open =
                |mut packet: Vec<u8>| protection.open(&mut packet, Unprotector::rtp).map(|it| it.to_vec());
            assert_eq!(open(old.rtp(&rtp(2), 0)), Ok(rtp(2)), "{suite:?}");
            assert!(open(old.rtp(&rtp(2), 0)).is_err(), "{suite:?}: it came before the change, too");
            assert_eq!(open(key(suite, 3).1.rtp(&rtp(3), 0)), Err(SrtpError::Unauthentic), "{suite:?}");
            assert_eq!(open(new.rtp(&rtp(4), 0)), Ok(rtp(4)), "{suite:?}");
            assert_eq!(open(new.rtp(&rtp(4), 0)), Err(SrtpError::Replayed), "{suite:?}");
            assert_eq!(open(old.rtp(&rtp(3), 0)), Err(SrtpError::Unauthentic), "{suite:?}");
        }
    }

    #[test]
    fn a_report_is_understood_as_audio_is() {
        let (mut protection, old, new) = changed(Suite::AeadAes128Gcm);
        let mut open =
            |mut packet: Vec<u8>| protection.open(&mut packet, Unprotector::rtcp).map(|it| it.to_vec());
        assert_eq!(open(old.rtcp(&GOODBYE, 1, true)), Ok(GOODBYE.to_vec()));
        assert_eq!(open(new.rtcp(&GOODBYE, 2, true)), Ok(GOODBYE.to_vec()));
        assert_eq!(open(old.rtcp(&GOODBYE, 3, true)), Err(SrtpError::Unauthentic));
    }

    #[test]
    fn former_keys_end_even_if_the_new_ones_are_never_used() {
        let (mut protection, old, _) = changed(Suite::AesCm128HmacSha1With80);
        let last = 1 + UNDER_WAY as u16;
        for sequence in 2..=last {
            assert!(protection.open(&mut old.rtp(&rtp(sequence), 0), Unprotector::rtp).is_ok(), "{sequence}");
        }
        let next = protection.open(&mut old.rtp(&rtp(last + 1), 0), Unprotector::rtp).map(|it| it.to_vec());
        assert_eq!(next, Err(SrtpError::Unauthentic));
    }

    #[test]
    fn only_the_keys_just_before_are_kept() {
        let suite = Suite::AeadAes256Gcm;
        let (protection, old, newer) = changed(suite);
        let (newest_key, newest) = key(suite, 3);
        let mut protection = Protection::renewed(newest_key, Some(protection));
        let mut is_understood = |mut packet: Vec<u8>| protection.open(&mut packet, Unprotector::rtp).is_ok();
        assert!(!is_understood(old.rtp(&rtp(2), 0)));
        assert!(is_understood(newer.rtp(&rtp(3), 0)) && is_understood(newest.rtp(&rtp(4), 0)));
    }
}
