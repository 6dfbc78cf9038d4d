//! SRTP under known keys: packets made here, their order, loss, repetition and damage chosen by the fuzzer.

use crate::choices::Choices;
use crate::srtp::Srtp;
use std::collections::HashSet;
use vouch::wire::sdp::Crypto;
use vouch::wire::srtp::{MasterKey, Suite, Unprotector};

/// Packets of one stream in any order, and anything at all beside them.
///
/// Only what was protected under the key is taken, once, as it was before; so a damaged packet never is.
pub fn srtp(data: &[u8]) {
    let mut choices = Choices::new(data);
    let sender = Srtp::new(choices.byte());
    let Ok(crypto) = Crypto::parse(&sender.offer()) else { panic!("our own offer cannot be read") };
    let mut receiver = Unprotector::new(&crypto.key, crypto.mki_length);
    let mut line = Line { sender, index: 0, ssrc: 1, taken: HashSet::new() };
    while let Some(step) = choices.step() {
        match step {
            b'n' => line.index += u64::from(choices.byte()),
            b'j' => line.index += 1 << 8 << (choices.byte() & 7),
            b'b' => line.index = line.index.saturating_sub(choices.byte().into()),
            b's' => line.ssrc = u32::from(choices.byte()) % 20,
            b'p' => receiver.passed_by(choices.byte().into()),
            b'k' => receiver = Unprotector::succeeding(&crypto.key, crypto.mki_length, &receiver),
            b'd' => line.damaged(&mut receiver, &mut choices),
            b'x' => return strange(&mut receiver, choices.rest()),
            _ => line.send(&mut receiver, step),
        }
        if step == b'k' {
            // After new keys (here the same ones) nothing is known of what came before.
            line.taken.clear();
        }
    }
}

struct Line {
    sender: Srtp,
    index: u64,
    ssrc: u32,
    taken: HashSet<(u32, u64)>,
}

impl Line {
    fn packet(&self, filling: u8) -> (Vec<u8>, Vec<u8>) {
        let mut clear = vec![0x80, 0];
        clear.extend((self.index as u16).to_be_bytes());
        clear.extend((self.index as u32).wrapping_mul(160).to_be_bytes());
        clear.extend(self.ssrc.to_be_bytes());
        clear.extend([filling; 20]);
        let secured = self.sender.protect(clear.clone(), self.index);
        (clear, secured)
    }

    fn send(&mut self, receiver: &mut Unprotector, filling: u8) {
        self.index += 1;
        let (clear, mut secured) = self.packet(filling);
        if let Ok(read) = receiver.rtp(&mut secured) {
            assert_eq!(read, clear, "what came out is not what went in");
            assert!(self.taken.insert((self.ssrc, self.index)), "a packet was taken twice");
        }
    }

    fn damaged(&mut self, receiver: &mut Unprotector, choices: &mut Choices<'_>) {
        let (_, mut secured) = self.packet(b'd');
        let (place, change) = (usize::from(choices.byte()) % secured.len(), choices.byte());
        secured[place] ^= change;
        assert!(
            change == 0 || receiver.rtp(&mut secured).is_err(),
            "byte {place} changed, and nobody saw it"
        );
    }
}

/// Bytes that nobody protected, under every suite and as both kinds of packet.
fn strange(receiver: &mut Unprotector, bytes: &[u8]) {
    assert!(receiver.rtcp(&mut bytes.to_vec()).is_err(), "RTCP that nobody sent");
    for suite in Suite::ALL {
        let key = MasterKey::new(suite, &vec![0x5a; MasterKey::length(suite)]);
        let Some(key) = key else { panic!("a key of the right length") };
        for mki in [0, 4, 300] {
            let mut receiver = Unprotector::new(&key, mki);
            // Four bytes of tag can be guessed; the fuzzer does not know the key, and has seconds.
            assert!(receiver.rtp(&mut bytes.to_vec()).is_err(), "RTP that nobody sent");
            assert!(receiver.rtcp(&mut bytes.to_vec()).is_err(), "RTCP that nobody sent");
        }
    }
}
