//! UDP sockets: a reader each, and the choice of the one to send from.

use super::super::flow::{Flow, Transport};
use super::super::message::Wire;
use super::Inbound;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Largest datagram.
const DATAGRAM: usize = 65_535;
/// Pause after an error of a socket, lest it be read in a circle.
const ERROR_PAUSE: Duration = Duration::from_millis(10);
/// Peers whose local address is remembered.
const KNOWN_ROUTES: usize = 1024;

/// All UDP sockets.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<(SocketAddr, Arc<UdpSocket>)>);

impl Sockets {
    /// Binds a socket and starts its reader; gives the address it got.
    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
        inbound: mpsc::Sender<Inbound>,
    ) -> io::Result<SocketAddr> {
        let socket = UdpSocket::from_std(bind_udp(address)?)?;
        let local = socket.local_addr()?;
        let socket = Arc::new(socket);
        self.0.push((local, Arc::clone(&socket)));
        tokio::spawn(read(socket, local, inbound));
        Ok(local)
    }

    /// Sends a datagram from the socket that `flow` names, or else from one of the right family.
    pub(super) async fn send(&self, flow: Flow, bytes: &[u8]) -> io::Result<()> {
        let socket = self.choose(flow).ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.send_to(bytes, flow.remote).await.map(|_| ())
    }

    fn choose(&self, flow: Flow) -> Option<&UdpSocket> {
        let same_family = || self.0.iter().filter(|(local, _)| local.is_ipv4() == flow.remote.is_ipv4());
        let rank = |local: &SocketAddr| (*local == flow.local, local.port() == flow.local.port());
        same_family().max_by_key(|(local, _)| rank(local)).map(|(_, socket)| socket.as_ref())
    }
}

/// Which address of ours a peer sees, for sockets bound to all of them.
#[derive(Debug, Default)]
pub(super) struct LocalAddresses(HashMap<IpAddr, IpAddr>);

impl LocalAddresses {
    /// `bound`, its address replaced by the one that packets to `remote` carry where it is unspecified.
    pub(super) fn towards(&mut self, remote: IpAddr, bound: SocketAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        if self.0.len() >= KNOWN_ROUTES {
            self.0.clear();
        }
        let address = *self.0.entry(remote).or_insert_with(|| local_address(remote).unwrap_or(bound.ip()));
        SocketAddr::new(address, bound.port())
    }
}

/// Asks the routing table by connecting a socket, which sends nothing.
fn local_address(remote: IpAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect((remote, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A bound socket; an IPv6 one for IPv6 alone, so that each peer has one address.
fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Datagram, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket.into())
}

async fn read(socket: Arc<UdpSocket>, bound: SocketAddr, inbound: mpsc::Sender<Inbound>) {
    let mut buffer = vec![0; DATAGRAM];
    let mut locals = LocalAddresses::default();
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = inbound.closed() => return,
        };
        match received {
            Ok((length, remote)) => {
                let local = locals.towards(remote.ip(), bound);
                let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
                let bytes = Wire::from(buffer[..length].to_vec());
                if inbound.send(Inbound::Message { bytes, flow }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(local = %bound, %error, "reading a UDP socket failed");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}
