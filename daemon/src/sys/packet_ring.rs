//! A ring of packets shared with the kernel (`AF_PACKET`, `TPACKET_V3`): blocks of frames without a system call each.

#![allow(
    unsafe_code,
    reason = "the ring is memory that the kernel writes, and its options are structures of C"
)]

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{getsockopt, sockopt};
use std::ffi::CString;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Bytes of a block; a frame is at most as long.
const BLOCK: usize = 1 << 20;
/// Blocks of a ring: more than a second of 1000 calls.
const BLOCKS: usize = 32;
/// A block that is not full is handed over after this many milliseconds, two packets of a call.
const HAND_OVER_MS: u32 = 40;
/// What `tp_frame_size` must be for the kernel's checks; frames of version 3 have the length they have.
const FRAME: usize = 2048;
/// Interfaces whose frames begin with an Ethernet header, and such without any.
const KINDS: [(u16, LinkKind); 4] = [
    (libc::ARPHRD_ETHER, LinkKind::Ethernet),
    (libc::ARPHRD_LOOPBACK, LinkKind::Ethernet),
    (libc::ARPHRD_NONE, LinkKind::Raw),
    (libc::ARPHRD_PPP, LinkKind::Raw),
];

/// What the frames of an interface begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// An Ethernet header.
    Ethernet,
    /// The IP packet.
    Raw,
}

/// One instruction of a classic BPF program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions skipped if the test holds.
    pub jump_true: u8,
    /// Instructions skipped if it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// What the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Frames that passed the filter, those dropped included.
    pub packets: u64,
    /// Frames dropped because the ring was full.
    pub dropped: u64,
}

/// Frames of one interface.
#[derive(Debug)]
pub struct PacketRing {
    socket: OwnedFd,
    memory: NonNull<u8>,
    kind: LinkKind,
    next: usize,
    counts: RingCounts,
}

// SAFETY: the memory belongs to the ring alone, and is reached through `&mut self` only.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// Captures on `interface` the frames that `filter` lets pass; it gets the kind of the interface. Promiscuous: those
    /// to other machines too, as on a span port.
    ///
    /// # Errors
    /// What the system says: no such interface, or no right to (CAP_NET_RAW).
    pub fn open(
        interface: &str,
        promiscuous: bool,
        filter: impl FnOnce(LinkKind) -> Vec<Instruction>,
    ) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: the name ends with a zero.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        let index = libc::c_int::try_from(index).ok().filter(|index| *index > 0);
        let index = index.ok_or_else(io::Error::last_os_error)?;
        // Protocol 0 receives nothing until everything is in place.
        // SAFETY: the call takes numbers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let kind = kind_of(&socket, index)?;
        attach(&socket, &filter(kind))?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        // SAFETY: this option is a number.
        unsafe { set_option(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)? };
        let memory = map(&socket)?;
        let ring = Self { socket, memory, kind, next: 0, counts: RingCounts::default() };
        if promiscuous {
            ring.be_promiscuous(index)?;
        }
        ring.bind(index)?;
        Ok(ring)
    }

    /// What its frames begin with.
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Gives `each` the frames that are ready, with the time of their arrival since 1970.
    pub fn take(&mut self, each: &mut dyn FnMut(Duration, &[u8])) {
        for _ in 0..BLOCKS {
            // SAFETY: `next` is below BLOCKS, and the memory holds as many blocks.
            let block = unsafe { self.memory.add(self.next * BLOCK) };
            // SAFETY: the status lies aligned within the block, and kernel and program both treat it as atomic.
            let status = unsafe { AtomicU32::from_ptr(block.add(STATUS).cast().as_ptr()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: with this status the block is the program's until it gives it back below.
            frames(unsafe { std::slice::from_raw_parts(block.as_ptr(), BLOCK) }, each);
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % BLOCKS;
        }
    }

    /// What the kernel counted since the ring was opened.
    ///
    /// # Errors
    /// What the system says.
    pub fn counts(&mut self) -> io::Result<RingCounts> {
        // SAFETY: statistics of zeros are valid.
        let mut new: libc::tpacket_stats_v3 = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&new) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which `new` has.
        let outcome = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut new).cast(),
                &raw mut length,
            )
        };
        if outcome != 0 {
            return Err(io::Error::last_os_error());
        }
        // The kernel begins anew with each question.
        self.counts.packets += u64::from(new.tp_packets);
        self.counts.dropped += u64::from(new.tp_drops);
        Ok(self.counts)
    }

    fn be_promiscuous(&self, index: libc::c_int) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: this option is such a request.
        unsafe { set_option(&self.socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request) }
    }

    fn bind(&self, index: libc::c_int) -> io::Result<()> {
        // SAFETY: an address of zeros is valid.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is valid for `length` bytes.
        let outcome = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), length) };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this length, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.memory.cast(), BLOCK * BLOCKS) };
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until one of the rings has frames, for at most `limit` milliseconds.
///
/// # Errors
/// What the system says, such as that an interface went down, once; an interrupted wait is none.
pub fn wait(rings: &[PacketRing], limit: u16) -> io::Result<()> {
    let mut wanted: Vec<PollFd<'_>> =
        rings.iter().map(|ring| PollFd::new(ring.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut wanted, PollTimeout::from(limit)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let failed = |wanted: &PollFd<'_>| wanted.revents().is_some_and(|it| it.contains(PollFlags::POLLERR));
    for ring in rings.iter().zip(&wanted).filter(|(_, wanted)| failed(wanted)).map(|(ring, _)| ring) {
        // Asking for the error takes it away; else no wait would last from here on.
        let error = getsockopt(&ring.socket, sockopt::SocketError)?;
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
    }
    Ok(())
}

fn kind_of(socket: &OwnedFd, index: libc::c_int) -> io::Result<LinkKind> {
    // SAFETY: a request of zeros is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_ifru.ifru_ifindex = index;
    // SAFETY: the request lives, and the kernel writes the name of the interface into it.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFNAME as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the same, with the name that the kernel wrote; it writes the kind.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel wrote an address, whose family is the kind of the interface.
    let family = unsafe { request.ifr_ifru.ifru_hwaddr.sa_family };
    let known = KINDS.iter().find(|(number, _)| *number == family).map(|(_, kind)| *kind);
    known.ok_or_else(|| io::Error::other(format!("interfaces of kind {family} are not read")))
}

fn attach(socket: &OwnedFd, program: &[Instruction]) -> io::Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    let filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|step| libc::sock_filter {
            code: step.code,
            jt: step.jump_true,
            jf: step.jump_false,
            k: step.operand,
        })
        .collect();
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program points at as many instructions, which the kernel copies.
    unsafe { set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
}

fn map(socket: &OwnedFd) -> io::Result<NonNull<u8>> {
    let request = libc::tpacket_req3 {
        tp_block_size: BLOCK as u32,
        tp_block_nr: BLOCKS as u32,
        tp_frame_size: FRAME as u32,
        tp_frame_nr: (BLOCK * BLOCKS / FRAME) as u32,
        tp_retire_blk_tov: HAND_OVER_MS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    // SAFETY: this option is such a request.
    unsafe { set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)? };
    let length = NonZeroUsize::new(BLOCK * BLOCKS).ok_or(io::ErrorKind::InvalidInput)?;
    let (access, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
    // SAFETY: the kernel chooses the place; the ring is exactly so long.
    let memory = unsafe { mmap(None, length, access, flags, socket, 0) }?;
    Ok(memory.cast())
}

/// Sets an option of the socket.
///
/// # Safety
/// `value` must be what the kernel takes for this option.
unsafe fn set_option<T>(
    socket: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is valid for `length` bytes; the rest is the caller's promise.
    let outcome = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length)
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

// Places in a block (struct tpacket_block_desc) and in the header of a frame (struct tpacket3_hdr) of linux/if_packet.h.
const STATUS: usize = 8;
const FRAMES: usize = 12;
const FIRST: usize = 16;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const CAPTURED: usize = 12;
const START: usize = 24;

/// Goes through the frames of a block. Whatever the block says, nothing outside of it is touched.
fn frames(block: &[u8], each: &mut dyn FnMut(Duration, &[u8])) {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(block.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    let (Some(count), Some(first)) = (word(FRAMES), word(FIRST)) else { return };
    let mut header = first as usize;
    for _ in 0..count {
        let frame = || {
            let at =
                Duration::new(word(header + SECONDS)?.into(), word(header + NANOSECONDS)? % 1_000_000_000);
            let start = block.get(header + START..header + START + 2)?;
            let start = header + usize::from(u16::from_ne_bytes([start[0], start[1]]));
            let bytes = block.get(start..start.checked_add(word(header + CAPTURED)? as usize)?)?;
            Some((at, bytes, word(header)? as usize))
        };
        let Some((at, bytes, next)) = frame() else { return };
        each(at, bytes);
        if next == 0 {
            return;
        }
        header += next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::UdpSocket;

    #[test]
    fn frames_of_loopback_arrive_with_their_time() {
        let mut ring = match PacketRing::open("lo", false, |_| Vec::new()) {
            Ok(ring) => ring,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: capturing needs CAP_NET_RAW");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(ring.kind(), LinkKind::Ethernet);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mark = format!("ring test {}", std::process::id());
        socket.send_to(mark.as_bytes(), socket.local_addr().unwrap()).unwrap();
        let mut found = Vec::new();
        for _ in 0..50 {
            wait(std::slice::from_ref(&ring), 100).unwrap();
            ring.take(&mut |at, frame| {
                if frame.ends_with(mark.as_bytes()) {
                    found.push(at);
                }
            });
            if !found.is_empty() {
                break;
            }
        }
        let age = std::time::UNIX_EPOCH.elapsed().unwrap().abs_diff(found[0]);
        assert!(age < Duration::from_secs(60));
        assert!(ring.counts().unwrap().packets >= 1);
    }

    #[test]
    fn an_interface_that_does_not_exist_is_an_error() {
        assert!(PacketRing::open("nowhere0", false, |_| Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_block_is_gone_through(bytes in prop::collection::vec(any::<u8>(), 0..300), first in 0_u32..300, count in 0_u32..9) {
            let mut block = bytes;
            for (at, value) in [(FRAMES, count), (FIRST, first)] {
                if let Some(place) = block.get_mut(at..at + 4) {
                    place.copy_from_slice(&value.to_ne_bytes());
                }
            }
            let mut seen = 0;
            frames(&block, &mut |_, _| seen += 1);
            prop_assert!(seen <= count);
        }
    }
}
