//! A vouchd of one's own: fresh folder, fresh store, free ports; ended by its process id.

use crate::clients::free_port;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running daemon and its folder.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    folder: TempDir,
    sip: u16,
    rtp: u16,
}

impl Daemon {
    /// Starts vouchd with the test configuration, which accepts loopback, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start; its log says why.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same, with more configuration at the end of the file.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    pub fn start_with(more: &str) -> Self {
        Self::start_from(|_, config| config + more)
    }

    /// The same, with room for so many calls.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    pub fn start_with_most_calls(calls: u32) -> Self {
        Self::start_from(|_, config| config.replace("max-calls = 20", &format!("max-calls = {calls}")))
    }

    /// The same, that hears SIP by TLS too, on [`Daemon::tls_port`], with a certificate of its own for 127.0.0.1; gives
    /// that certificate in PEM.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    pub fn start_with_tls(more: &str) -> (Self, String) {
        Self::start_secured(None, more)
    }

    /// The same, for clients alone that have a certificate by the authority with the certificate `client_ca`, in PEM.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    pub fn start_with_mutual_tls(client_ca: &str, more: &str) -> (Self, String) {
        Self::start_secured(Some(client_ca), more)
    }

    fn start_secured(client_ca: Option<&str>, more: &str) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate can be made");
        let daemon = Self::start_from(|folder, config| {
            let (certificate, key) = (folder.join("sip.pem"), folder.join("sip.key"));
            std::fs::write(&certificate, made.cert.pem()).expect("the certificate fits on the disk");
            std::fs::write(&key, made.signing_key.serialize_pem()).expect("the key fits on the disk");
            let mut files =
                format!("tls-certificate = \"{}\"\ntls-key = \"{}\"\n", certificate.display(), key.display());
            if let Some(root) = client_ca {
                let authority = folder.join("gateways.pem");
                std::fs::write(&authority, root).expect("the certificate fits on the disk");
                files += &format!("tls-client-ca = \"{}\"\n", authority.display());
            }
            with_tls(&config).replace("[store]", &(files + "[store]")) + more
        });
        (daemon, made.cert.pem())
    }

    /// The same, with a configuration that `edit` makes of the folder and the usual one.
    ///
    /// # Panics
    /// As [`Daemon::start`].
    pub fn start_from(edit: impl FnOnce(&Path, String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder for vouchd");
        let (sip, rtp) = (free_port(), free_port());
        let config = edit(folder.path(), config(folder.path(), sip, rtp));
        std::fs::write(folder.path().join("vouchd.toml"), config)
            .expect("the configuration fits on the disk");
        let process = spawn(folder.path());
        let mut daemon = Self { process, folder, sip, rtp };
        daemon.wait_until_ready();
        daemon
    }

    /// Port on which it hears SIP, UDP and TCP, on loopback.
    pub fn sip_port(&self) -> u16 {
        self.sip
    }

    /// Port on which it hears SIP by TLS, where it does.
    pub fn tls_port(&self) -> u16 {
        self.sip + 1
    }

    /// First port of its RTP range.
    pub fn rtp_port(&self) -> u16 {
        self.rtp
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its folder: configuration, store, key, socket and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("vouch.sock")
    }

    /// All it has logged, at the finest level.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own process can be killed");
        self.process.wait().expect("our own process can be waited for");
    }

    /// Starts it again in the same folder, and says how long it took to answer.
    pub fn restart(&mut self) -> Duration {
        let start = Instant::now();
        self.process = spawn(self.folder());
        self.wait_until_ready();
        start.elapsed()
    }

    /// Runs vouchctl on its socket, with JSON output.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        let mut ctl = Command::new(program("vouchctl"));
        ctl.arg("--socket").arg(self.socket()).arg("--json").args(arguments);
        ctl.output().expect("vouchctl starts")
    }

    /// The same, for commands that must succeed.
    ///
    /// # Panics
    /// When the command fails, with what it printed.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.ctl(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "vouchctl {arguments:?} failed: {error}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Asks until `is_it` agrees with the answer.
    ///
    /// # Panics
    /// When that takes over a minute, with the last answer.
    pub fn wait_for(&self, arguments: &[&str], is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.ctl(arguments);
            let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            if is_it(&answer) {
                return answer;
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < deadline, "still {answer} {error}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The figure of a counter or gauge, which `/metrics` shows once a second.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        self.get("/metrics", "connection: close\r\n").read_to_string(&mut text).expect("an answer");
        let figure =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
        figure.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// The first event of this kind, of those that it still knows.
    ///
    /// # Panics
    /// When there is none within ten seconds.
    pub fn event(&self, kind: &str) -> Value {
        let mut lines = BufReader::new(self.get("/v1/events", "last-event-id: 0\r\n")).lines();
        let events = std::iter::from_fn(|| lines.next()?.ok())
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?.trim()).ok());
        events.into_iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("no event {kind}"))
    }

    /// Asks the socket for `path`, and gives where the answer comes.
    fn get(&self, path: &str, headers: &str) -> UnixStream {
        let mut socket = UnixStream::connect(self.socket()).expect("the socket takes connections");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time above zero");
        let query = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        socket.write_all(query.as_bytes()).expect("the socket takes a request");
        socket
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.ctl(&["status"]).status.success() {
            let ended = self.process.try_wait().expect("our own process can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "vouchd did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of this workspace, built beside the one that runs.
///
/// # Panics
/// When it is not built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `make build` first"))
}

fn spawn(folder: &Path) -> Child {
    let log =
        std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log file");
    let mut vouchd = Command::new(program("vouchd"));
    // Sound cards, where the test has some.
    let sounds = folder.join("asound.conf");
    if sounds.is_file() {
        vouchd.env("ALSA_CONFIG_PATH", sounds);
    }
    vouchd
        .arg("--config")
        .arg(folder.join("vouchd.toml"))
        .env("VOUCH_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("vouchd starts")
}

/// The configuration with a listener for TLS behind that for TCP, one port above it.
fn with_tls(config: &str) -> String {
    let (head, rest) = config.split_once("\"tcp:127.0.0.1:").expect("the configuration listens by TCP");
    let (port, rest) = rest.split_once('"').expect("a quoted text ends");
    let secure = port.parse::<u16>().expect("a port") + 1;
    format!("{head}\"tcp:127.0.0.1:{port}\", \"tls:127.0.0.1:{secure}\"{rest}")
}

fn config(folder: &Path, sip: u16, rtp: u16) -> String {
    let folder = folder.display();
    format!(
        "version = 1\n\
         [sip]\nlisten = [\"udp:127.0.0.1:{sip}\", \"tcp:127.0.0.1:{sip}\"]\nrtp-ports = \"{rtp}-{}\"\n\
         [store]\npath = \"{folder}/store\"\nkey = \"file:{folder}/master.key\"\n\
         [limits]\nmax-calls = 20\n\
         [api]\nsocket = \"{folder}/vouch.sock\"\n",
        rtp + 99
    )
}
