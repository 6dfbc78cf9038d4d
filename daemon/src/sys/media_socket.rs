//! A UDP socket for media: never blocks, and tells how many packets the kernel dropped.

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::RxqOvfl,
};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Room for the kernel's drop counter beside a datagram (24 bytes on 64-bit systems), aligned as its header needs.
#[derive(Default)]
#[repr(align(16))]
struct Control([u8; 32]);

/// A non-blocking UDP socket.
#[derive(Debug)]
pub struct MediaSocket {
    socket: UdpSocket,
}

/// One datagram, lying in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its length.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether it was longer than the buffer.
    pub truncated: bool,
    /// Datagrams that the kernel dropped on this socket since it was made, once there are any.
    pub dropped: Option<u32>,
}

impl MediaSocket {
    /// Binds `address` and `port`.
    ///
    /// # Errors
    /// What the system says: the port is in use, or the address is not of this box.
    pub fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, port))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, RxqOvfl, &1)?;
        Ok(Self { socket })
    }

    /// Takes the next datagram into `buffer`; `None` when none waits. Allocates nothing.
    ///
    /// # Errors
    /// What the system says, such as a port-unreachable message of the network.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        let mut control = Control::default();
        let mut slices = [IoSliceMut::new(buffer)];
        let received = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control.0),
            MsgFlags::empty(),
        );
        let message = match received {
            Ok(message) => message,
            Err(nix::Error::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let from = message.address.as_ref().and_then(socket_address).ok_or(io::ErrorKind::InvalidData)?;
        let dropped = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::RxqOvfl(dropped) => Some(dropped),
            _ => None,
        });
        let truncated = message.flags.contains(MsgFlags::MSG_TRUNC);
        Ok(Some(Datagram { length: message.bytes, from, truncated, dropped }))
    }
}

impl AsFd for MediaSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn exchange(address: IpAddr) {
        let sender = UdpSocket::bind((address, 0)).unwrap();
        let media = MediaSocket::bind(address, 0).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(media.receive(&mut buffer).unwrap(), None);
        let to = media.socket.local_addr().unwrap();
        sender.send_to(b"hello", to).unwrap();
        sender.send_to(b"longer than the buffer", to).unwrap();
        let first = media.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((first.length, first.from, first.truncated), (5, sender.local_addr().unwrap(), false));
        assert_eq!(&buffer[..5], b"hello");
        let second = media.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((second.length, second.truncated), (8, true));
    }

    #[test]
    fn datagrams_arrive_with_their_sender_over_both_families() {
        exchange(Ipv4Addr::LOCALHOST.into());
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            exchange(Ipv6Addr::LOCALHOST.into());
        }
    }

    #[test]
    fn what_the_kernel_drops_is_told() {
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let media = MediaSocket::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        setsockopt(&media, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
        let to = media.socket.local_addr().unwrap();
        for _ in 0..200 {
            sender.send_to(&[0; 500], to).unwrap();
        }
        let mut buffer = [0; 512];
        let mut read = 0;
        while media.receive(&mut buffer).unwrap().is_some() {
            read += 1;
        }
        sender.send_to(b"after", to).unwrap();
        let after = media.receive(&mut buffer).unwrap().unwrap();
        assert_eq!(after.dropped, Some(200 - read));
    }
}
