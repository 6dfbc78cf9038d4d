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

use std::net::{TcpListener, UdpSocket};

/// A port of loopback, even, that is free for UDP and TCP; the next one is as well.
pub fn free_port() -> u16 {
    let is_free = |port| {
        let address = ("127.0.0.1", port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    for _ in 0..200 {
        let probe = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let port = probe.local_addr().expect("a bound socket has an address").port() & !1;
        drop(probe);
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
    panic!("no free pair of ports on loopback");
}
