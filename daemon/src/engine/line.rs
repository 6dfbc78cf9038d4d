//! A stream of a call with its sockets. What nobody would hear, the kernel drops and counts.

use super::stream::Stream;
use crate::sys::media_socket::{BATCH, Batch, MediaSocket};
use std::net::IpAddr;
use std::time::Instant;

/// Most batches taken from one socket before the others have their turn: 64 datagrams.
pub(super) const BURST: usize = 64 / BATCH;

/// A stream with its sockets.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) port: u16,
    rtp: MediaSocket,
    rtcp: MediaSocket,
    /// Whose packets the kernel drops: those of the stream, unless somebody hears them.
    muted: Option<IpAddr>,
    /// The kernel's count of what it dropped on the RTP port, as last seen.
    dropped: u32,
}

impl Line {
    /// A line on these sockets, of which nothing is known yet.
    pub(super) fn new(port: u16, [rtp, rtcp]: [MediaSocket; 2]) -> Self {
        Self { stream: Stream::default(), port, rtp, rtcp, muted: None, dropped: 0 }
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
            let _ = self.rtp.unmute();
            self.refresh(now);
            self.muted = None;
        }
        if let Some(source) = source {
            self.refresh(now);
            self.muted = self.rtp.mute(source).is_ok().then_some(source);
        }
    }

    /// Brings the counts of the stream up to what the kernel has counted.
    pub(super) fn refresh(&mut self, now: Instant) {
        let Ok(dropped) = self.rtp.dropped() else { return };
        let new = u64::from(dropped.wrapping_sub(self.dropped));
        self.dropped = dropped;
        match self.muted {
            Some(_) => self.stream.passed_by(new, now),
            None => self.stream.traffic.dropped_by_kernel += new,
        }
    }

    /// Takes what waits on the RTP port; false when nothing more does, for now.
    pub(super) fn receive(&mut self, batch: &mut Batch) -> bool {
        let received = self.rtp.receive(batch);
        self.stream.traffic.socket_errors += u64::from(received.is_err());
        batch.is_full()
    }

    /// Takes all that waits on the RTCP port.
    pub(super) fn take_rtcp(&mut self, batch: &mut Batch) {
        for _ in 0..BURST {
            let received = self.rtcp.receive(batch);
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
