//! Recorded talk as RTP packets, for tests that feed the engine over loopback.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vouch::audio::Recording;
use vouch::engine::codec::{Codec, Payload, PayloadMap};
use vouch::engine::{CallSlot, Engine, EngineConfig, MediaSource, Progress, StreamId, StreamRole};
use vouch::wire::amr::{Packing, Rate};
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;
use vouch_dsp::network::Network;

/// Samples of a packet: 20 ms at 8 kHz.
pub const PACKET: usize = 160;
/// Packets that a socket holds until the engine takes them, with room to spare.
const BURST: usize = 64;
/// Payload type that the calls of these tests use for key presses.
pub const KEYS: u8 = 101;

/// At least `seconds` of one person's telephone prompts (Debian's asterisk packages) as 8 kHz samples; `None`, with
/// a line that says so, where they are not installed.
pub fn prompts(seconds: usize) -> Option<Vec<i16>> {
    let folder = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "wav"));
    files.sort();
    let mut pcm = Vec::new();
    for file in files {
        pcm.extend(
            Recording::read(&file).expect("a prompt package holds readable files").pcm_at(Band::Narrow),
        );
        if pcm.len() >= seconds * 8000 {
            pcm.truncate(seconds * 8000);
            return Some(pcm);
        }
    }
    eprintln!(
        "skipped: {} does not hold {seconds} s of prompts; `make setup` installs them",
        folder.display()
    );
    None
}

/// One RTP stream being sent.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

impl Talk {
    /// The packets of `pcm` in mu-law, in order.
    pub fn packets(&mut self, pcm: &[i16]) -> Vec<Vec<u8>> {
        pcm.chunks_exact(PACKET)
            .map(|samples| {
                let payload: Vec<u8> = samples.iter().map(|sample| Law::Mu.encode(*sample)).collect();
                let packet = self.packet(0, &payload);
                self.timestamp = self.timestamp.wrapping_add(PACKET as u32);
                packet
            })
            .collect()
    }

    /// One packet at the time where the stream stands.
    pub fn packet(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

/// An engine over loopback, with ports that the system has free.
pub fn engine(max_calls: usize) -> Engine {
    let network = Network::load(vouch::model::BLOB).expect("the committed model is whole");
    let config = EngineConfig { max_calls, ports: 46_000..=47_999, workers: 1, receivers: 1 };
    Engine::start(&config, network).expect("an engine of this size starts")
}

/// A call with one stream, and the socket that sends it.
#[derive(Debug)]
pub struct Leg {
    pub engine: Engine,
    pub slot: CallSlot,
    pub stream: StreamId,
    pub socket: UdpSocket,
    pub to: SocketAddr,
}

/// Payload type of a codec in these tests.
pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Gsm => 3,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 96,
        Codec::L16Wide => 97,
        Codec::L16Narrow => 98,
        Codec::G729 => 18,
        Codec::Amr(Rate::Narrow, Packing::Dense) => 102,
        Codec::Amr(Rate::Narrow, Packing::Aligned) => 103,
        Codec::Amr(Rate::Wide, Packing::Dense) => 104,
        Codec::Amr(Rate::Wide, Packing::Aligned) => 105,
    }
}

impl Leg {
    /// Opens a call whose caller sends from here.
    pub fn open(engine: &Engine) -> Self {
        let local = Ipv4Addr::LOCALHOST.into();
        let slot = engine.open_call(true).unwrap();
        let (stream, port) = engine.open_stream(slot, local, StreamRole::Caller).unwrap();
        let socket = UdpSocket::bind((local, 0)).unwrap();
        let leg = Self { engine: engine.clone(), slot, stream, socket, to: (local, port).into() };
        leg.set_sending(true);
        leg
    }

    /// What a re-INVITE does.
    pub fn set_sending(&self, sending: bool) {
        let mut payloads = PayloadMap::default();
        for codec in Codec::decoded() {
            payloads.set(payload_type(codec), Payload::Audio(codec));
        }
        payloads.set(KEYS, Payload::TelephoneEvent { clock_khz: 8 });
        let signalled = Some(self.socket.local_addr().unwrap());
        let source = MediaSource { signalled, peer: self.to.ip(), payloads, sending, crypto: None };
        self.engine.set_remote(self.stream, source).unwrap();
    }

    /// Sends packets as fast as the engine takes them; allocates nothing.
    pub fn send(&self, packets: &[Vec<u8>]) {
        for burst in packets.chunks(BURST) {
            let before = self.taken();
            for packet in burst {
                self.socket.send_to(packet, self.to).unwrap();
            }
            self.wait(|progress| taken(progress) >= before + burst.len() as u64);
        }
    }

    /// Waits until the call's progress is as told, or fails after a time that no machine needs.
    pub fn wait(&self, is_it: impl Fn(&Progress) -> bool) -> Progress {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let progress = self.progress();
            if is_it(&progress) {
                return progress;
            }
            assert!(Instant::now() < deadline, "the call stays at {progress:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn progress(&self) -> Progress {
        self.engine.progress(self.slot).expect("the call is open")
    }

    fn taken(&self) -> u64 {
        taken(&self.progress())
    }
}

/// Datagrams that the engine has dealt with, one way or another.
fn taken(progress: &Progress) -> u64 {
    let traffic = progress.traffic;
    traffic.packets + traffic.malformed + traffic.wrong_source + traffic.rtcp
}
