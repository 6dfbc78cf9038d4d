//! SIP clients: sipp as the gateway of a plain leg, and a recording client that sends both parties.

mod baresip;
mod coded;
mod dialog;
mod kamailio;
mod recorder;
mod recording;
mod relay;
mod sipp;
mod wire;

pub use baresip::{Baresip, PCMU, Phone, baresip_is_there};
pub use coded::CodedCall;
pub use dialog::{accepted, header};
pub use kamailio::{Kamailio, Secured, kamailio_has_tls, kamailio_is_there};
pub use recorder::{Placed, Recorder, Session};
pub use recording::session_offer;
pub use relay::{Fork, Relay, relay_is_there};
pub use sipp::{Leg, LegCall, sipp_is_there};
pub use wire::connect_tls;

use std::net::UdpSocket;

/// A free UDP port of loopback, even, with the next one free as well.
pub fn free_port() -> u16 {
    for _ in 0..200 {
        let probe = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let port = probe.local_addr().expect("a bound socket has an address").port() & !1;
        drop(probe);
        let pair = (UdpSocket::bind(("127.0.0.1", port)), UdpSocket::bind(("127.0.0.1", port + 1)));
        if let (Ok(_), Ok(_)) = pair {
            return port;
        }
    }
    panic!("no free pair of ports on loopback");
}
