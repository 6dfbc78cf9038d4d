//! A capture of loopback, as a tap on a span port makes one: every frame, written to a pcap file.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A capture that is going on.
#[derive(Debug)]
pub struct Sniffer {
    file: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Sniffer {
    /// Begins to capture loopback into `file`.
    ///
    /// `None`, with a line that says so, where this user may not.
    pub fn start(file: &Path) -> Option<Self> {
        let socket = may_capture().then(open)?.ok()?;
        let mut pcap = Pcap::create(file);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut frame = vec![0; 1 << 17];
            while !stopping.load(Ordering::Relaxed) {
                // A timeout is a chance to see that it is over.
                if let Ok(length) = recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                    pcap.packet(now, &frame[..length]);
                }
            }
        });
        Some(Self { file: file.to_owned(), stop, thread })
    }

    /// Ends the capture; gives the file.
    pub fn finish(self) -> PathBuf {
        // What was sent last may still be under way.
        std::thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the capture wrote everything");
        self.file
    }
}

/// Whether this user may capture; says so where not.
pub fn may_capture() -> bool {
    let may = open().is_ok();
    if !may {
        eprintln!("skipped: capturing needs CAP_NET_RAW");
    }
    may
}

fn open() -> nix::Result<OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::BindToDevice, &"lo".into())?;
    setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000))?;
    Ok(socket)
}

/// A pcap file of Ethernet frames, with times in microseconds.
#[derive(Debug)]
pub struct Pcap(BufWriter<File>);

impl Pcap {
    /// Makes an empty one.
    ///
    /// # Panics
    /// When it cannot be written, as everything here does.
    pub fn create(file: &Path) -> Self {
        let mut pcap = Self(BufWriter::new(File::create(file).expect("the capture fits on the disk")));
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 1 << 17, 1] {
            pcap.write(&word.to_le_bytes());
        }
        pcap
    }

    /// Adds a frame.
    pub fn packet(&mut self, at: Duration, frame: &[u8]) {
        let length = frame.len() as u32;
        for word in [at.as_secs() as u32, at.subsec_micros(), length, length] {
            self.write(&word.to_le_bytes());
        }
        self.write(frame);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the capture fits on the disk");
    }
}
