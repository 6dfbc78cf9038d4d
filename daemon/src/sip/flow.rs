//! Where a message came from and where one goes.

use std::fmt;
use std::net::SocketAddr;

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams, with retransmissions by the transactions.
    Udp,
    /// A stream, which needs none.
    Tcp,
    /// TLS over a stream.
    Tls,
}

impl Transport {
    /// Whether the transport itself sees to delivery.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// As a Via writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Number of a TCP or TLS connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Two ends and, over TCP and TLS, the connection between them.
///
/// For a message to send, an open `connection` comes first; without one, TCP connects to `remote`. Over TLS nothing is sent
/// then: we make no connections of our own, and nothing that came by TLS goes out in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The connection, over TCP and TLS.
    pub connection: Option<ConnectionId>,
}
