//! The media of all calls: a packet every 20 ms on each stream, the streams spread evenly over those 20 ms.

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use std::io::IoSlice;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of a packet's payload: 20 ms at 8 kHz.
const PAYLOAD: usize = 160;
/// Time from one batch to the next.
const STEP: Duration = Duration::from_millis(1);
/// Batches in which the streams take turns: 20 ms.
const STEPS: usize = 20;
/// Packets of one system call.
const BATCH: usize = 256;

/// One stream to be sent.
#[derive(Debug)]
pub struct Stream {
    /// Where to.
    pub target: SocketAddrV4,
    /// Its source.
    pub ssrc: u32,
    /// Mu-law, said over and over.
    pub talk: Arc<[u8]>,
    /// Byte at which it begins.
    pub from: usize,
}

/// The sending thread; it stops, and gives the socket back, when this is dropped.
#[derive(Debug)]
pub struct Media {
    streams: Option<Sender<Stream>>,
    figures: Arc<Figures>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

/// What the thread did.
#[derive(Debug, Default)]
struct Figures {
    sent: AtomicU64,
    latest_ms: AtomicU64,
    running: AtomicUsize,
}

impl Media {
    /// Starts without streams.
    ///
    /// # Panics
    /// When loopback has no port.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let port = socket.local_addr().expect("a bound socket has an address").port();
        let (streams, new) = channel();
        let figures = Arc::<Figures>::default();
        let thread = std::thread::spawn({
            let figures = Arc::clone(&figures);
            move || run(&socket, &new, &figures)
        });
        Self { streams: Some(streams), figures, port, thread: Some(thread) }
    }

    /// Port that all streams come from.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends one more stream from now on.
    ///
    /// # Panics
    /// When the media were stopped.
    pub fn add(&self, stream: Stream) {
        let sender = self.streams.as_ref().expect("streams are only added before the stop");
        sender.send(stream).expect("the thread runs until it is told to stop");
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.figures.sent.load(Ordering::Relaxed)
    }

    /// Most that a batch was late since this was last asked, in ms.
    pub fn take_latest_ms(&self) -> u64 {
        self.figures.latest_ms.swap(0, Ordering::Relaxed)
    }

    /// Stops all streams, and waits for that.
    ///
    /// # Panics
    /// When the sending failed.
    pub fn stop(&mut self) {
        self.streams = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the sending thread does not panic");
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A stream and where it stands.
struct Line {
    stream: Stream,
    header: [u8; 12],
    packets: u32,
}

impl Line {
    fn new(stream: Stream) -> Self {
        let mut header = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[8..].copy_from_slice(&stream.ssrc.to_be_bytes());
        Self { stream, header, packets: 0 }
    }

    /// Goes on to the next packet.
    fn advance(&mut self) {
        self.packets = self.packets.wrapping_add(1);
        self.header[2..4].copy_from_slice(&(self.packets as u16).to_be_bytes());
        self.header[4..8].copy_from_slice(&self.packets.wrapping_mul(PAYLOAD as u32).to_be_bytes());
    }

    fn payload(&self) -> &[u8] {
        let talk = &self.stream.talk;
        let whole = talk.len() / PAYLOAD;
        let place = (self.stream.from / PAYLOAD + self.packets as usize) % whole;
        &talk[place * PAYLOAD..][..PAYLOAD]
    }
}

fn run(socket: &UdpSocket, new: &Receiver<Stream>, figures: &Figures) {
    let mut turns: [Vec<Line>; STEPS] = Default::default();
    let start = Instant::now();
    for step in 0_usize.. {
        loop {
            match new.try_recv() {
                Ok(stream) => {
                    let number = figures.running.fetch_add(1, Ordering::Relaxed);
                    turns[number % STEPS].push(Line::new(stream));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let due = start + STEP * u32::try_from(step).expect("no run takes seven weeks");
        let early = due.saturating_duration_since(Instant::now());
        std::thread::sleep(early);
        if early.is_zero() {
            figures.latest_ms.fetch_max(due.elapsed().as_millis() as u64, Ordering::Relaxed);
        }
        let turn = &mut turns[step % STEPS];
        for batch in turn.chunks_mut(BATCH) {
            send(socket, batch);
            figures.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Sends one packet of each line.
fn send(socket: &UdpSocket, lines: &mut [Line]) {
    lines.iter_mut().for_each(Line::advance);
    let parts: Vec<[IoSlice<'_>; 2]> =
        lines.iter().map(|line| [IoSlice::new(&line.header), IoSlice::new(line.payload())]).collect();
    let targets: Vec<Option<SockaddrIn>> =
        lines.iter().map(|line| Some(SockaddrIn::from(line.stream.target))).collect();
    let mut sent = 0;
    while sent < parts.len() {
        let mut headers = MultiHeaders::preallocate(parts.len() - sent, None);
        let none: [ControlMessage<'_>; 0] = [];
        let results = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            &parts[sent..],
            &targets[sent..],
            none,
            MsgFlags::empty(),
        );
        sent += results.expect("loopback takes every packet").count();
    }
}
