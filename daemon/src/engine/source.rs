//! Whose packets a stream takes: those of the signalled address, and of one port of it at a time.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Silence of the source after which another port of the same address may take its place.
const RELATCH_AFTER: Duration = Duration::from_secs(1);

/// Source rule of one stream.
///
/// The signalled port is believed at once, whenever it speaks. Gateways behind address translation send from
/// another one: the first valid packet chooses it, and it stays until it has been silent for [`RELATCH_AFTER`]. So
/// the tail of an old call on a reused port cannot talk over the new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceRule {
    address: IpAddr,
    signalled_port: Option<u16>,
    chosen: Option<(u16, Instant)>,
}

impl SourceRule {
    /// Takes packets of `signalled`; where it names no address, or the unspecified one, those of `peer`, which
    /// sent the signalling.
    pub(super) fn new(signalled: Option<SocketAddr>, peer: IpAddr) -> Self {
        let named = signalled.filter(|address| !address.ip().to_canonical().is_unspecified());
        Self {
            address: named.map_or(peer, |address| address.ip()).to_canonical(),
            signalled_port: named.map(|address| address.port()).filter(|port| *port != 0),
            chosen: None,
        }
    }

    /// The rule after the SDP was given again: the chosen port stays while nothing else changed.
    pub(super) fn renewed(self, old: Option<Self>) -> Self {
        let same = |old: &Self| (old.address, old.signalled_port) == (self.address, self.signalled_port);
        old.filter(same).unwrap_or(self)
    }

    /// The address that is heard.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the address, whatever the port, is the stream's: all that is asked of RTCP.
    pub(super) fn is_known(&self, from: SocketAddr) -> bool {
        from.ip().to_canonical() == self.address
    }

    /// Whether a valid packet that arrived from `from` at `now` belongs to the stream.
    pub(super) fn admit(&mut self, from: SocketAddr, now: Instant) -> bool {
        let port = from.port();
        let free = match self.chosen {
            None => true,
            Some((chosen, _)) if chosen == port => true,
            Some((_, heard)) => {
                self.signalled_port == Some(port) || now.saturating_duration_since(heard) >= RELATCH_AFTER
            }
        };
        let admitted = self.is_known(from) && free;
        if admitted {
            self.chosen = Some((port, now));
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_signalled_address_is_heard() {
        let now = Instant::now();
        let mut rule = SourceRule::new(Some(at("192.0.2.7:4000")), PEER);
        assert!(!rule.admit(at("192.0.2.1:4000"), now));
        assert!(rule.admit(at("192.0.2.7:4000"), now));
        assert!(rule.admit(at("[::ffff:192.0.2.7]:4000"), now));
        assert!(rule.is_known(at("192.0.2.7:4001")) && !rule.is_known(at("192.0.2.8:4001")));
    }

    #[test]
    fn no_or_the_unspecified_address_means_the_peer() {
        for signalled in [None, Some(at("0.0.0.0:4000")), Some(at("[::]:4000"))] {
            let mut rule = SourceRule::new(signalled, PEER);
            assert!(rule.admit(at("192.0.2.1:9"), Instant::now()));
            assert!(!rule.admit(at("192.0.2.7:4000"), Instant::now()));
        }
    }

    #[test]
    fn one_port_at_a_time_and_the_signalled_one_wins() {
        let now = Instant::now();
        let mut rule = SourceRule::new(Some(at("192.0.2.7:4000")), PEER);
        assert!(rule.admit(at("192.0.2.7:5000"), now));
        assert!(!rule.admit(at("192.0.2.7:6000"), now + RELATCH_AFTER / 2));
        assert!(rule.admit(at("192.0.2.7:6000"), now + RELATCH_AFTER));
        assert!(!rule.admit(at("192.0.2.7:5000"), now + RELATCH_AFTER));
        assert!(rule.admit(at("192.0.2.7:4000"), now + RELATCH_AFTER));
        assert!(!rule.admit(at("192.0.2.7:6000"), now + RELATCH_AFTER));
    }
}
