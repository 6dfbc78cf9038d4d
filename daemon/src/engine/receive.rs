//! Receiver threads: media sockets into slots.

use super::CallSlot;
use super::pool::Pool;
use super::slot::{MAX_STREAMS, SlotState};
use crate::sys::media_socket::MediaSocket;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use std::time::{Duration, Instant};

/// Longest datagram taken: any that a jitter buffer keeps, headers included.
const MAX_DATAGRAM: usize = 2048;
/// Datagrams taken from one socket before the others have their turn.
const BURST: usize = 32;
/// Sockets served in one round.
const ROUND: usize = 64;
/// Time between looks at packets that wait for missing ones.
const TICK: Duration = Duration::from_millis(50);
/// Token of the event that only wakes a receiver.
pub(super) const WAKE: u64 = u64::MAX;

/// Which socket an event is about: generation, slot, stream and RTP or RTCP in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) slot: CallSlot,
    pub(super) line: usize,
    pub(super) rtcp: bool,
}

impl Token {
    /// The event to register a socket with.
    pub(super) fn event(self) -> EpollEvent {
        let low = u64::from(self.slot.index) << 8 | (self.line as u64) << 1 | u64::from(self.rtcp);
        EpollEvent::new(EpollFlags::EPOLLIN, u64::from(self.slot.generation) << 32 | low)
    }

    fn of(data: u64) -> Self {
        let slot = CallSlot { index: (data as u32) >> 8, generation: (data >> 32) as u32 };
        Self { slot, line: (data >> 1) as usize & 0x7f, rtcp: data & 1 == 1 }
    }
}

/// One bit for each slot, for [`run`].
pub(super) fn waiting(pool: &Pool) -> Box<[u64]> {
    vec![0; pool.slots.len().div_ceil(64)].into_boxed_slice()
}

/// Runs one receiver until the engine stops; `waiting` is its memory.
pub(super) fn run(pool: &Pool, epoll: &Epoll, waiting: Box<[u64]>) {
    let mut receiver = Receiver { pool, buffer: [0; MAX_DATAGRAM], waiting, ticked: Instant::now() };
    let mut events = [EpollEvent::empty(); ROUND];
    while !pool.queue.is_stopping() {
        // The wait fails only when a signal interrupts it: the next round repeats it.
        let ready = epoll.wait(&mut events, receiver.timeout()).unwrap_or(0);
        let now = Instant::now();
        for event in events[..ready].iter().filter(|event| event.data() != WAKE) {
            receiver.serve(Token::of(event.data()), now);
        }
        if ready < ROUND {
            receiver.tick(now);
        }
    }
}

struct Receiver<'a> {
    pool: &'a Pool,
    buffer: [u8; MAX_DATAGRAM],
    /// One bit for each slot whose packets wait for a missing one.
    waiting: Box<[u64]>,
    ticked: Instant,
}

impl Receiver<'_> {
    fn timeout(&self) -> EpollTimeout {
        match self.waiting.iter().all(|bits| *bits == 0) {
            true => EpollTimeout::NONE,
            false => EpollTimeout::from(TICK.as_millis() as u8),
        }
    }

    /// Empties a socket into its call.
    fn serve(&mut self, token: Token, now: Instant) {
        let Some(mut call) = self.pool.call(token.slot) else { return };
        for _ in 0..BURST {
            if !self.take(&mut call, token, now) {
                break;
            }
        }
        self.settle(&mut call, token.slot.index);
    }

    /// Takes one datagram; false when there is none.
    fn take(&mut self, call: &mut SlotState, token: Token, now: Instant) -> bool {
        let Some(line) = call.lines.get_mut(token.line).and_then(Option::as_mut) else { return false };
        let socket: &MediaSocket = if token.rtcp { &line.rtcp } else { &line.rtp };
        let datagram = match socket.receive(&mut self.buffer) {
            Ok(Some(datagram)) => datagram,
            Ok(None) => return false,
            Err(_) => {
                line.stream.traffic.socket_errors += 1;
                return false;
            }
        };
        let traffic = &mut line.stream.traffic;
        if let (Some(dropped), false) = (datagram.dropped, token.rtcp) {
            traffic.dropped_by_kernel = u64::from(dropped);
        }
        let bytes = &self.buffer[..datagram.length];
        match (datagram.truncated, token.rtcp) {
            (true, _) => traffic.malformed += 1,
            (false, true) => line.stream.take_rtcp(bytes, datagram.from),
            (false, false) => call.take_rtp(token.line, bytes, datagram.from, now),
        }
        true
    }

    fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.ticked) < TICK {
            return;
        }
        self.ticked = now;
        for word in 0..self.waiting.len() {
            let mut bits = self.waiting[word];
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let mut call = self.pool.slots[index].lock();
                call.tick(now);
                self.settle(&mut call, index as u32);
            }
        }
    }

    /// Notes what a call wants after it took something.
    fn settle(&mut self, call: &mut SlotState, index: u32) {
        let bit = 1 << (index % 64);
        let word = &mut self.waiting[index as usize / 64];
        *word = if call.is_waiting() { *word | bit } else { *word & !bit };
        if call.reached_mark() {
            self.pool.changes.tell(index);
        }
    }
}

const _: () = assert!(MAX_STREAMS <= 0x80, "a token has seven bits for the stream");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_survive_the_kernel(index in 0u32..1 << 20, generation: u32, line in 0..MAX_STREAMS, rtcp: bool) {
            let token = Token { slot: CallSlot { index, generation }, line, rtcp };
            prop_assert_eq!(Token::of(token.event().data()), token);
            prop_assert_ne!(token.event().data(), WAKE);
        }
    }
}
