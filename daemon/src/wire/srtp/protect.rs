//! The sending side, which only tests need.

use super::keys::{Purpose, SessionKeys};
use super::transform::Transform;
use super::{MasterKey, rtp_header_length, word};
use ring::aead::Aad;

/// Protects packets.
pub(crate) struct Protector {
    pub(super) rtp: Transform,
    pub(super) rtcp: Transform,
    pub(super) tags: (usize, usize),
    pub(super) mki: Vec<u8>,
}

impl Protector {
    pub(crate) fn new(key: &MasterKey) -> Self {
        let transform = |purpose| Transform::new(key.suite(), &SessionKeys::derive(key, purpose));
        let tags = (key.suite().rtp_tag(), key.suite().rtcp_tag());
        Self { rtp: transform(Purpose::Rtp), rtcp: transform(Purpose::Rtcp), tags, mki: Vec::new() }
    }

    /// An RTP packet in the given round of its sequence numbers.
    pub(crate) fn rtp(&self, packet: &[u8], round: u32) -> Vec<u8> {
        let header = rtp_header_length(packet).unwrap();
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let whose = (word(packet, 8), u64::from(round) << 16 | u64::from(sequence));
        let mut out = packet.to_vec();
        match &self.rtp {
            Transform::Counter(counter) => {
                counter.apply(&mut out[header..], whose);
                let tag = counter.tag(&[&out, &round.to_be_bytes()]);
                out.extend(&self.mki);
                out.extend(&tag.as_ref()[..self.tags.0]);
            }
            Transform::Gcm(gcm) => {
                let (head, body) = out.split_at_mut(header);
                let tag =
                    gcm.key.seal_in_place_separate_tag(gcm.nonce(whose), Aad::from(head), body).unwrap();
                out.extend(tag.as_ref());
                out.extend(&self.mki);
            }
        }
        out
    }

    /// An RTCP packet, encrypted or in the clear.
    pub(crate) fn rtcp(&self, packet: &[u8], index: u32, encrypted: bool) -> Vec<u8> {
        let (whose, trailer) = ((word(packet, 4), u64::from(index)), index | u32::from(encrypted) << 31);
        let trailer = trailer.to_be_bytes();
        let clear = if encrypted { 8 } else { packet.len() };
        let mut out = packet.to_vec();
        match &self.rtcp {
            Transform::Counter(counter) => {
                counter.apply(&mut out[clear..], whose);
                out.extend(trailer);
                let tag = counter.tag(&[&out]);
                out.extend(&self.mki);
                out.extend(&tag.as_ref()[..self.tags.1]);
            }
            Transform::Gcm(gcm) => {
                let associated = [&packet[..clear], &trailer].concat();
                let body = &mut out[clear..];
                let tag = gcm
                    .key
                    .seal_in_place_separate_tag(gcm.nonce(whose), Aad::from(associated), body)
                    .unwrap();
                out.extend(tag.as_ref());
                out.extend(trailer);
                out.extend(&self.mki);
            }
        }
        out
    }
}
