//! Kamailio with the configuration that Vouch ships, on loopback.

use super::free_port;
use super::relay::Relay;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SHIPPED: &str = include_str!("../../../config/integrations/kamailio/kamailio.cfg");

/// Whether Kamailio is installed; says so where it is not.
pub fn kamailio_is_there() -> bool {
    let there =
        Command::new("kamailio").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: kamailio is not installed (`make setup` installs it)");
    }
    there
}

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Kamailio {
    /// Kamailio before the PBX at `pbx` that asks the vouchd at `vouch`, ports of loopback.
    ///
    /// # Panics
    /// When it does not start; its log says why.
    pub fn start(pbx: u16, vouch: u16) -> Self {
        Self::start_from(pbx, vouch, |shipped| shipped)
    }

    /// The same, with the calls' audio through `relay`.
    ///
    /// # Panics
    /// As [`Kamailio::start`].
    pub fn start_with_relay(pbx: u16, vouch: u16, relay: &Relay) -> Self {
        let control = format!("udp:127.0.0.1:{}!g", relay.control());
        Self::start_from(pbx, vouch, |shipped| {
            let with = replaced(&shipped, "##!define WITH_RTPENGINE", "#!define WITH_RTPENGINE");
            replaced(&with, "udp:127.0.0.1:2223!g", &control)
        })
    }

    fn start_from(pbx: u16, vouch: u16, edit: impl FnOnce(String) -> String) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder for Kamailio"), free_port());
        let mut config = edit(SHIPPED.to_owned());
        for (name, value) in [
            ("LISTEN_AT!udp:192.0.2.5:5060", format!("LISTEN_AT!udp:127.0.0.1:{port}")),
            ("PBX_HOST!192.0.2.3", "PBX_HOST!127.0.0.1".to_owned()),
            ("PBX_PORT!5060", format!("PBX_PORT!{pbx}")),
            ("VOUCH_AT!127.0.0.1:5060", format!("VOUCH_AT!127.0.0.1:{vouch}")),
            ("log_stderror=no", "log_stderror=yes".to_owned()),
            ("children=4", "children=1".to_owned()),
        ] {
            config = replaced(&config, name, &value);
        }
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, config).expect("the configuration fits on the disk");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let process = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-Y"])
            .arg(folder.path())
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("kamailio starts");
        let mut kamailio = Self { process, folder, port };
        kamailio.wait_until_ready();
        kamailio
    }

    /// Port on which it hears SIP over UDP, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// It answers a ping itself.
    fn wait_until_ready(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time above zero");
        let local = socket.local_addr().expect("bound above");
        let ping = format!(
            "OPTIONS sip:127.0.0.1:{} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKping\r\n\
             From: <sip:test@{local}>;tag=ping\r\nTo: <sip:127.0.0.1>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.port
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 4096];
        while socket.send_to(ping.as_bytes(), ("127.0.0.1", self.port)).is_err()
            || socket.recv(&mut buffer).is_err()
        {
            let ended = self.process.try_wait().expect("our own process can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "Kamailio did not start:\n{}", self.log());
        }
    }
}

fn replaced(config: &str, name: &str, value: &str) -> String {
    assert!(config.contains(name), "the shipped file has no {name} any more");
    config.replace(name, value)
}

/// Asks the main process to end, which ends those that it made.
impl Drop for Kamailio {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
