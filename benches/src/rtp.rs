//! One RTP stream without an end.

use crate::second_of_sound;
use vouch_dsp::codec::g711::Law;

/// Samples of a packet: 20 ms at 8 kHz.
const PACKET: usize = 160;

/// A caller who says the same second over and over, in packets of 20 ms mu-law.
#[derive(Debug)]
pub struct Talk {
    payloads: Vec<Vec<u8>>,
    payload_type: u8,
    sent: u32,
    packet: Vec<u8>,
}

impl Talk {
    /// A talk whose packets say that they are of `payload_type`.
    pub fn new(payload_type: u8) -> Self {
        let sound = second_of_sound();
        let encode = |samples: &[i16]| samples.iter().map(|&sample| Law::Mu.encode(sample)).collect();
        let payloads = sound.chunks(PACKET).map(encode).collect();
        Self { payloads, payload_type, sent: 0, packet: Vec::new() }
    }

    /// The next packet.
    pub fn next_packet(&mut self) -> &[u8] {
        let payload = &self.payloads[self.sent as usize % self.payloads.len()];
        self.packet.clear();
        self.packet.extend([0x80, self.payload_type]);
        self.packet.extend((self.sent as u16).to_be_bytes());
        self.packet.extend(self.sent.wrapping_mul(PACKET as u32).to_be_bytes());
        self.packet.extend([0, 0, 0, 9]);
        self.packet.extend(payload);
        self.sent = self.sent.wrapping_add(1);
        &self.packet
    }
}
