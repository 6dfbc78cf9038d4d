//! A stream of a call with its sockets. What nobody would hear, the kernel drops and counts.

use super::stream::Stream;
use crate::sys::media_socket::{BATCH, Batch, MediaSocket};
use std::net::IpAddr;
use std::time::Instant;

/// Most batches taken from one socket before the others have their turn: 64 datagrams.
pub(super) const BURST: usize = 64 / BATCH;

/// A stream with its sockets; a tapped one has none.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stream: Stream,
    sockets: Option<Sockets>,
    /// Whose packets the kernel drops: those of the stream, unless somebody hears them.
    muted: Option<IpAddr>,
    /// The kernel's count of what it dropped on the RTP port, as last seen.
    dropped: u32,
}

/// The sockets of a line.
#[derive(Debug)]
struct Sockets {
    port: u16,
    rtp: MediaSocket,
    rtcp: MediaSocket,
}

impl Line {
    /// A line on these sockets, of which nothing is known yet.
    pub(super) fn new(port: u16, [rtp, rtcp]: [MediaSocket; 2]) -> Self {
        Self { sockets: Some(Sockets { port, rtp, rtcp }), ..Self::tapped() }
    }

    /// A line whose packets somebody else brings.
    pub(super) fn tapped() -> Self {
        Self { stream: Stream::default(), sockets: None, muted: None, dropped: 0 }
    }

    /// The RTP port, where it has one.
    pub(super) fn port(&self) -> Option<u16> {
        self.sockets.as_ref().map(|sockets| sockets.port)
    }

    /// Whether the kernel drops the packets of the stream: then none come here.
    pub(super) fn is_muted(&self) -> bool {
        self.muted.is_some()
    }

    /// Has the kernel drop and count the packets of the stream, or deliver them again. Where the kernel refuses, they
    /// are delivered.
    pub(super) fn set_muted(&mut self, muted: bool, now: Instant) {
        let source = self.stream.source().filter(|_| muted);
        if source == self.muted {
            return;
        }
        if self.muted.is_some() {
            // First undone, then counted: what is dropped from now on found the queue full.
            let _ = self.sockets.as_ref().map(|sockets| sockets.rtp.unmute());
            self.refresh(now);
            self.muted = None;
        }
        if let Some(source) = source {
            self.refresh(now);
            let muted = self.sockets.as_ref().is_some_and(|sockets| sockets.rtp.mute(source).is_ok());
            self.muted = muted.then_some(source);
        }
    }

    /// Brings the counts of the stream up to what the kernel has counted.
    pub(super) fn refresh(&mut self, now: Instant) {
        let Some(Ok(dropped)) = self.sockets.as_ref().map(|sockets| sockets.rtp.dropped()) else { return };
        let new = u64::from(dropped.wrapping_sub(self.dropped));
        self.dropped = dropped;
        match self.muted {
            Some(_) => self.stream.passed_by(new, now),
            None => self.stream.traffic.dropped_by_kernel += new,
        }
    }

    /// Takes what waits on the RTP port; false when nothing more does, for now.
    pub(super) fn receive(&mut self, batch: &mut Batch) -> bool {
        let Some(sockets) = &mut self.sockets else { return false };
        let received = sockets.rtp.receive(batch);
        self.stream.traffic.socket_errors += u64::from(received.is_err());
        batch.is_full()
    }

    /// Takes all that waits on the RTCP port.
    pub(super) fn take_rtcp(&mut self, batch: &mut Batch) {
        let Some(sockets) = &mut self.sockets else { return };
        for _ in 0..BURST {
            let received = sockets.rtcp.receive(batch);
            self.stream.traffic.socket_errors += u64::from(received.is_err());
            for datagram in batch.datagrams() {
                match datagram.truncated {
                    true => self.stream.traffic.malformed += 1,
                    false => self.stream.take_rtcp(datagram.bytes, datagram.from),
                }
            }
            if !batch.is_full() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::codec::PayloadMap;
    use crate::engine::stream::{MediaSource, Traffic};
    use std::net::{Ipv4Addr, UdpSocket};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn what_the_kernel_drops_is_counted_as_unheard_while_muted_and_only_then() {
        let bind = || MediaSocket::bind(LOCAL, 0).unwrap();
        let (rtp, sender, now) = (bind(), UdpSocket::bind((LOCAL, 0)).unwrap(), Instant::now());
        let (to, mut batch) = (rtp.address().unwrap(), Batch::new());
        let mut line = Line::new(0, [rtp, bind()]);
        let mut send = |line: &mut Line, packets: usize| {
            (0..packets).for_each(|_| _ = sender.send_to(&[0x80; 20], to).unwrap());
            line.receive(&mut batch);
            batch.datagrams().count()
        };
        line.set_muted(true, now);
        assert!(!line.is_muted(), "nobody's packets are dropped before it is known whose they are");
        assert_eq!(send(&mut line, 2), 2);
        let payloads = PayloadMap::default();
        line.stream.set_source(MediaSource {
            signalled: None,
            peer: LOCAL,
            payloads,
            sending: true,
            crypto: None,
        });
        line.set_muted(true, now);
        assert_eq!((line.is_muted(), send(&mut line, 5)), (true, 0));
        line.refresh(now);
        let unheard = Traffic { packets: 5, unheard: 5, ..Traffic::default() };
        assert_eq!((line.stream.traffic, line.stream.last_packet), (unheard, Some(now)));
        send(&mut line, 2);
        line.set_muted(false, now);
        assert_eq!((line.is_muted(), send(&mut line, 3)), (false, 3));
        line.refresh(now);
        assert_eq!(line.stream.traffic, Traffic { packets: 7, unheard: 7, ..Traffic::default() });
    }
}
