//! A UDP socket for media: gives many datagrams per system call, and can have the kernel drop and count them instead.

#![allow(
    unsafe_code,
    reason = "recvmmsg without allocation, socket filters and drop counters, which nix does not have"
)]

use nix::libc;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Datagrams taken by one system call: what a gateway that stalled for 160 ms sends at once.
pub const BATCH: usize = 8;
/// Longest datagram taken: 200 ms of G.711, headers included, and more than an Ethernet frame carries.
pub const MAX_DATAGRAM: usize = 2048;

/// A non-blocking UDP socket.
#[derive(Debug)]
pub struct MediaSocket {
    socket: UdpSocket,
}

/// Datagrams taken together.
#[derive(Debug)]
pub struct Batch {
    buffers: Box<[[u8; MAX_DATAGRAM]; BATCH]>,
    taken: [Taken; BATCH],
    count: usize,
}

/// One datagram.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What it holds; may be decrypted in place.
    pub bytes: &'a mut [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether it was longer than [`MAX_DATAGRAM`].
    pub truncated: bool,
}

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug)]
struct Taken {
    length: usize,
    from: SocketAddr,
    truncated: bool,
}

/// Address of a sender, as the kernel writes it for either family.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Batch {
    /// Room for [`BATCH`] datagrams; the only allocation of its life.
    pub fn new() -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let empty = Taken { length: 0, from: nobody, truncated: false };
        Self { buffers: Box::new([[0; MAX_DATAGRAM]; BATCH]), taken: [empty; BATCH], count: 0 }
    }

    /// The datagrams taken last, in the order in which they came.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let taken = self.buffers.iter_mut().zip(&self.taken).take(self.count);
        taken.map(|(buffer, taken)| Datagram {
            bytes: &mut buffer[..taken.length],
            from: taken.from,
            truncated: taken.truncated,
        })
    }

    /// Whether it is full, so that more may be waiting.
    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl MediaSocket {
    /// Binds `address` and `port`.
    ///
    /// # Errors
    /// What the system says: the port is in use, or the address is not of this box.
    pub fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, port))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes the datagrams that wait, [`BATCH`] at most, in place of those that `batch` held. Allocates nothing.
    ///
    /// # Errors
    /// What the system says, such as a port-unreachable message of the network.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.count = 0;
        let mut names = [const { MaybeUninit::<Name>::uninit() }; BATCH];
        let mut slices = batch
            .buffers
            .each_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MAX_DATAGRAM });
        let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|place| {
            // SAFETY: a message header of zeros is one without name, data and control message.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = names[place].as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut slices[place];
            header.msg_hdr.msg_iovlen = 1;
            header
        });
        let (socket, room) = (self.socket.as_raw_fd(), BATCH as libc::c_uint);
        let flags = libc::MSG_DONTWAIT as _;
        // SAFETY: each header points at a name, and at one slice over a buffer of that length; all of them live, and
        // are borrowed by nobody else, until the call returns.
        let received =
            unsafe { libc::recvmmsg(socket, headers.as_mut_ptr(), room, flags, std::ptr::null_mut()) };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            let nothing = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if nothing { Ok(()) } else { Err(error) };
        };
        for ((header, name), taken) in headers.iter().zip(&names).zip(&mut batch.taken).take(received) {
            // SAFETY: the kernel wrote an address of the socket's family for each message that it counted.
            let from = unsafe { sender(name) }.ok_or(io::ErrorKind::InvalidData)?;
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            *taken = Taken { length: (header.msg_len as usize).min(MAX_DATAGRAM), from, truncated };
        }
        batch.count = received;
        Ok(())
    }

    /// Has the kernel drop what comes from `source` and is not RTCP. [`Self::dropped`] counts it.
    ///
    /// # Errors
    /// What the system says; then everything is delivered as before.
    pub fn mute(&self, source: IpAddr) -> io::Result<()> {
        let (filter, length) = refusing(source);
        let program = libc::sock_fprog { len: length as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the program points at `length` instructions, which the kernel copies.
        unsafe { set_option(&self.socket, libc::SO_ATTACH_FILTER, &program) }
    }

    /// Undoes [`Self::mute`].
    ///
    /// # Errors
    /// What the system says.
    pub fn unmute(&self) -> io::Result<()> {
        // SAFETY: the kernel reads nothing of the number but its presence.
        unsafe { set_option(&self.socket, libc::SO_DETACH_FILTER, &0) }
    }

    /// Datagrams that the kernel dropped on this socket since it was made, modulo 2^32: those that it was told to
    /// drop, and those that found the queue full.
    ///
    /// # Errors
    /// What the system says.
    pub fn dropped(&self) -> io::Result<u32> {
        // Position of the count among the figures of SO_MEMINFO (linux/sock_diag.h), and how many there are.
        const DROPS: usize = 8;
        let mut figures = [0_u32; DROPS + 1];
        let mut length = size_of_val(&figures) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which `figures` has.
        let outcome = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                figures.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if outcome == 0 { Ok(figures[DROPS]) } else { Err(io::Error::last_os_error()) }
    }
}

/// Sets an option of the socket's own level.
///
/// # Safety
/// `value` is what the kernel expects of `option`, and what it points at is valid.
unsafe fn set_option<T>(socket: &UdpSocket, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is valid for `length` bytes; the rest is the caller's promise.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Longest filter: four words of an address, and what tells RTCP apart.
const FILTER: usize = 13;

/// A socket filter (linux/filter.h) that drops what comes from `source` and is not RTCP, and its length.
///
/// What is loaded relative to `NET` lies in the IP header; the rest lies in the UDP header and behind it. An address of
/// the other family in that place is not the source's, so such a datagram passes.
fn refusing(source: IpAddr) -> ([libc::sock_filter; FILTER], usize) {
    const NET: u32 = libc::SKF_NET_OFF as u32;
    /// Second byte of the payload: RTCP has 192 to 223 there (RFC 5761 section 4).
    const KIND: u32 = 9;
    const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let words =
        |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
    let (at, words): (u32, heapless::Vec<u32, 4>) = match source {
        IpAddr::V4(address) => (12, words(&address.octets())),
        IpAddr::V6(address) => (8, words(&address.octets())),
    };
    let length = 2 * words.len() + 5;
    let mut filter = [instruction(RETURN, 0, (0, 0)); FILTER];
    for ((pair, word), place) in filter.chunks_exact_mut(2).zip(&words).zip(0_u32..) {
        // A word that differs jumps to the instruction that delivers, the last but one.
        let past = (length - 2) as u32 - (2 * place + 2);
        pair[0] = instruction(LOAD_WORD, NET + at + 4 * place, (0, 0));
        pair[1] = instruction(EQUAL, *word, (0, past as u8));
    }
    filter[2 * words.len()..length].copy_from_slice(&[
        instruction(LOAD_BYTE, KIND, (0, 0)),
        instruction(AT_LEAST, 192, (0, 2)),
        instruction(AT_LEAST, 224, (1, 0)),
        instruction(RETURN, u32::MAX, (0, 0)),
        instruction(RETURN, 0, (0, 0)),
    ]);
    (filter, length)
}

/// One instruction; `jumps` are how many it passes over when its condition holds, and when not.
const fn instruction(code: u32, k: u32, jumps: (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: jumps.0, jf: jumps.1, k }
}

/// Reads an address.
///
/// # Safety
/// The kernel has written an address of family `AF_INET` or `AF_INET6` there, or at least a family.
unsafe fn sender(name: &MaybeUninit<Name>) -> Option<SocketAddr> {
    let name = name.as_ptr();
    // SAFETY: the family lies at the front of every address.
    match libc::c_int::from(unsafe { (*name).family }) {
        libc::AF_INET => {
            // SAFETY: of this family is what the kernel has written.
            let v4 = unsafe { (*name).v4 };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some((address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: of this family is what the kernel has written.
            let v6 = unsafe { (*name).v6 };
            Some((Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port)).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{setsockopt, sockopt::RcvBuf};

    const RTP: [u8; 14] = [0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xff, 0xff];
    const GOODBYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];

    /// What waits on `media`.
    fn all(media: &MediaSocket) -> Vec<(Vec<u8>, SocketAddr, bool)> {
        let mut batch = Batch::new();
        let mut all = Vec::new();
        loop {
            media.receive(&mut batch).unwrap();
            all.extend(batch.datagrams().map(|taken| (taken.bytes.to_vec(), taken.from, taken.truncated)));
            if !batch.is_full() {
                return all;
            }
        }
    }

    fn on_both_families(check: impl Fn(IpAddr)) {
        check(Ipv4Addr::LOCALHOST.into());
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            check(Ipv6Addr::LOCALHOST.into());
        }
    }

    #[test]
    fn datagrams_arrive_in_order_with_their_sender() {
        on_both_families(|address| {
            let sender = UdpSocket::bind((address, 0)).unwrap();
            let media = MediaSocket::bind(address, 0).unwrap();
            assert_eq!(all(&media), []);
            let to = media.address().unwrap();
            for number in 0..2 * BATCH as u8 + 3 {
                sender.send_to(&[number; 20], to).unwrap();
            }
            sender.send_to(&[7; MAX_DATAGRAM + 1], to).unwrap();
            let from = sender.local_addr().unwrap();
            let mut taken = all(&media);
            assert_eq!(taken.pop(), Some((vec![7; MAX_DATAGRAM], from, true)));
            let expected: Vec<_> =
                (0..2 * BATCH as u8 + 3).map(|number| (vec![number; 20], from, false)).collect();
            assert_eq!(taken, expected);
        });
    }

    #[test]
    fn a_muted_socket_counts_the_source_and_delivers_its_rtcp_and_everybody_else() {
        on_both_families(|address| {
            let sender = UdpSocket::bind((address, 0)).unwrap();
            let media = MediaSocket::bind(address, 0).unwrap();
            let to = media.address().unwrap();
            media.mute(address).unwrap();
            for kind in [0, 8, 101, 128, 191, 224, 255] {
                sender.send_to(&[0x80, kind, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], to).unwrap();
            }
            sender.send_to(&[0x80], to).unwrap();
            assert_eq!((all(&media).len(), media.dropped().unwrap()), (0, 8));
            sender.send_to(&GOODBYE, to).unwrap();
            sender.send_to(&[0x80, 192], to).unwrap();
            sender.send_to(&[0x80, 223], to).unwrap();
            assert_eq!((all(&media).len(), media.dropped().unwrap()), (3, 8));
            media.unmute().unwrap();
            sender.send_to(&RTP, to).unwrap();
            assert_eq!(all(&media)[0].0, RTP);
            let elsewhere: [IpAddr; 2] = [Ipv4Addr::new(127, 0, 0, 2).into(), "2001:db8::1".parse().unwrap()];
            for other in elsewhere {
                media.mute(other).unwrap();
                sender.send_to(&RTP, to).unwrap();
                assert_eq!(
                    (all(&media).len(), media.dropped().unwrap()),
                    (1, 8),
                    "{other} is not the sender"
                );
            }
        });
    }

    #[test]
    fn what_finds_the_queue_full_is_counted() {
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let media = MediaSocket::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        setsockopt(&media.socket, RcvBuf, &4096).unwrap();
        let to = media.address().unwrap();
        for _ in 0..200 {
            sender.send_to(&[0; 500], to).unwrap();
        }
        let read = all(&media).len() as u32;
        assert!(read < 200);
        assert_eq!(media.dropped().unwrap(), 200 - read);
    }
}
