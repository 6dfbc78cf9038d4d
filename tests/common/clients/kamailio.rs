//! Kamailio with the configuration that Vouch ships, on loopback.

use super::free_port;
use super::relay::Relay;
use crate::authority::Issued;
use std::net::UdpSocket;
use std::path::Path;
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

/// Whether Kamailio and its module for TLS are installed; says so where they are not.
pub fn kamailio_has_tls() -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let has = folders.into_iter().any(|folder| folder.path().join("kamailio/modules/tls.so").is_file());
    if !has {
        eprintln!("skipped: Kamailio's module for TLS is not installed (`make setup` installs it)");
    }
    has && kamailio_is_there()
}

/// How Kamailio and vouchd meet over TLS.
#[derive(Clone, Copy, Debug)]
pub struct Secured<'a> {
    /// Port on which vouchd hears TLS.
    pub vouch: u16,
    /// Whose certificates Kamailio believes, in PEM.
    pub root: &'a str,
    /// Its own.
    pub own: &'a Issued,
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
        Self::start_from(pbx, &format!("127.0.0.1:{vouch}"), |_, shipped| shipped)
    }

    /// The same, with the calls' audio through `relay`.
    ///
    /// # Panics
    /// As [`Kamailio::start`].
    pub fn start_with_relay(pbx: u16, vouch: u16, relay: &Relay) -> Self {
        Self::start_from(pbx, &format!("127.0.0.1:{vouch}"), |_, shipped| with_relay(&shipped, relay))
    }

    /// The same, that meets vouchd over TLS, and takes recording clients on loopback to it.
    ///
    /// # Panics
    /// As [`Kamailio::start`].
    pub fn start_over_tls(pbx: u16, relay: &Relay, secured: &Secured<'_>) -> Self {
        Self::start_from(pbx, &format!("127.0.0.1:{};transport=tls", secured.vouch), |folder, shipped| {
            with_tls(folder, &with_relay(&shipped, relay), secured)
        })
    }

    fn start_from(pbx: u16, vouch: &str, edit: impl FnOnce(&Path, String) -> String) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder for Kamailio"), free_port());
        let mut config = edit(folder.path(), SHIPPED.to_owned());
        for (name, value) in [
            ("LISTEN_AT!udp:192.0.2.5:5060", format!("LISTEN_AT!udp:127.0.0.1:{port}")),
            ("PBX_HOST!192.0.2.3", "PBX_HOST!127.0.0.1".to_owned()),
            ("PBX_PORT!5060", format!("PBX_PORT!{pbx}")),
            ("VOUCH_AT!127.0.0.1:5060", format!("VOUCH_AT!{vouch}")),
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

fn with_relay(config: &str, relay: &Relay) -> String {
    let control = format!("udp:127.0.0.1:{}!g", relay.control());
    let with = replaced(config, "##!define WITH_RTPENGINE", "#!define WITH_RTPENGINE");
    replaced(&with, "udp:127.0.0.1:2223!g", &control)
}

fn with_tls(folder: &Path, config: &str, secured: &Secured<'_>) -> String {
    let mut with = replaced(config, "##!define WITH_TLS", "#!define WITH_TLS");
    let Issued { certificate, key } = secured.own;
    for (name, content) in
        [("vouch-ca.pem", secured.root), ("kamailio.pem", certificate), ("kamailio.key", key)]
    {
        let file = folder.join(name);
        std::fs::write(&file, content).expect("the certificate fits on the disk");
        with = replaced(&with, &format!("/etc/kamailio/{name}"), &file.display().to_string());
    }
    let at = format!("SECURE_AT!tls:127.0.0.1:{}", free_port());
    let with = replaced(&with, "SECURE_AT!tls:192.0.2.5:5061", &at);
    let with = replaced(&with, "RECORDER_HOST!192.0.2.5", "RECORDER_HOST!127.0.0.1");
    replaced(&with, "VOUCH_HOST!192.0.2.9", "VOUCH_HOST!127.0.0.1")
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
