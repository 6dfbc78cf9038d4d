//! Calls whose packets a tap brings: no sockets, no receiver, and a time that the tap tells.

use super::codec::PayloadMap;
use super::line::Line;
use super::slot::SlotState;
use super::{CallSlot, Engine, EngineError, MediaSource, StreamId, StreamRole};
use crate::wire::sdp::Crypto;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// Where the packets of tapped streams come from, as far as the streams are concerned: the tap has matched them.
const TAPPED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Longest packet heard: an Ethernet frame and some; the jitter buffer keeps no more.
const MAX_PACKET: usize = 2048;

impl Engine {
    /// Takes a slot for a call whose packets a tap brings, with [`Self::hear`]; `analysed` as for
    /// [`Self::open_call`].
    ///
    /// # Errors
    /// [`EngineError::PoolFull`]; other calls are not affected.
    pub fn open_tapped_call(&self, analysed: bool) -> Result<CallSlot, EngineError> {
        self.take_slot(analysed, true)
    }

    /// Opens a stream of a tapped call. A second caller's stream takes the place of the first.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`], [`EngineError::TooManyStreams`].
    pub fn open_tapped_stream(&self, slot: CallSlot, role: StreamRole) -> Result<StreamId, EngineError> {
        self.add_line(slot, Line::tapped(), role)
    }

    /// Says what a tapped stream carries, and under which key. Whose packets it takes is the tap's to know.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn set_tapped(
        &self,
        stream: StreamId,
        payloads: PayloadMap,
        sending: bool,
        crypto: Option<Crypto>,
    ) -> Result<(), EngineError> {
        let source = MediaSource { signalled: None, peer: TAPPED.ip(), payloads, sending, crypto };
        self.set_remote(stream, source)
    }

    /// Takes a packet of a tapped stream, RTP or RTCP, that was on the wire at `now`. Of a call that ended it takes
    /// nothing.
    pub fn hear(&self, stream: StreamId, bytes: &[u8], now: Instant) {
        let Some(mut call) = self.pool.call(stream.slot) else { return };
        // Decryption happens in place, and the frame is not ours to change.
        let mut copy = [0; MAX_PACKET];
        let Some(copy) = copy.get_mut(..bytes.len()) else { return };
        copy.copy_from_slice(bytes);
        call.take_rtp(stream.line, copy, TAPPED, now);
        self.let_go(stream.slot, &mut call, now);
    }

    /// Gives up packets of a tapped call that have been missing for too long at `now`.
    pub fn tick(&self, slot: CallSlot, now: Instant) {
        if let Some(mut call) = self.pool.call(slot) {
            self.let_go(slot, &mut call, now);
        }
    }

    fn let_go(&self, slot: CallSlot, call: &mut SlotState, now: Instant) {
        if call.is_waiting() {
            call.tick(now);
        }
        if call.reached_mark() {
            self.pool.changes.tell(slot.index);
        }
    }
}
