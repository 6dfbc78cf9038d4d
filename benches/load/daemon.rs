//! The vouchd under load: a fresh one with room for the calls, its figures, and what the system says of it.

use common::clients::free_port;
use common::daemon::program;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// First RTP port; with four ports a call the range stays below the ports that Linux hands out.
const FIRST_PORT: usize = 10_000;
/// Most calls for which that holds.
pub(crate) const MAX_CALLS: usize = 5_000;

/// A running vouchd and its folder.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    folder: TempDir,
    sip: u16,
}

/// Processor time of a process and memory, as the system counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of all threads, in seconds.
    pub(crate) cpu_s: f64,
    /// Of those that receive packets.
    pub(crate) media_s: f64,
    /// Of those that make embeddings.
    pub(crate) embed_s: f64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

impl Daemon {
    /// Starts one with room for `calls` calls.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub(crate) fn start(calls: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder for vouchd");
        let sip = free_port();
        fs::write(folder.path().join("vouchd.toml"), config(folder.path(), sip, calls)).expect("a file fits");
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let process = Command::new(program("vouchd"))
            .arg("--config")
            .arg(folder.path().join("vouchd.toml"))
            .env("VOUCH_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("vouchd starts");
        let mut daemon = Self { process, folder, sip };
        let deadline = Instant::now() + Duration::from_secs(30);
        while daemon.get("/v1/status").is_none() {
            let ended = daemon.process.try_wait().expect("our own process can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "vouchd did not start:\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// Port of SIP.
    pub(crate) fn sip_port(&self) -> u16 {
        self.sip
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Makes a voiceprint from a recording.
    ///
    /// # Panics
    /// When that fails, with what vouchctl printed.
    pub(crate) fn enroll(&self, speaker: &str, file: &Path) {
        let mut ctl = Command::new(program("vouchctl"));
        ctl.arg("--socket").arg(self.folder.path().join("vouch.sock"));
        ctl.args(["enroll-file", speaker, "--consent", "load-test"]).arg(file);
        let output = ctl.output().expect("vouchctl starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// All calls, as the socket shows them.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let text = self.get("/v1/calls").expect("vouchd answers");
        serde_json::from_str(&text).expect("the socket speaks JSON")
    }

    /// Figure `name` of the metrics.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").expect("vouchd answers");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name} in\n{text}"))
    }

    /// What it took of the machine so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process.id())
    }

    /// The body of a 200 to GET `path`.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("vouch.sock")).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Usage {
    /// What process `pid` took so far.
    pub(crate) fn of(pid: u32) -> Self {
        let folder = format!("/proc/{pid}");
        let threads = fs::read_dir(format!("{folder}/task")).into_iter().flatten().flatten();
        let named: Vec<(String, f64)> =
            threads.filter_map(|thread| cpu(&thread.path().join("stat"))).collect();
        let of = |name: &str| named.iter().filter(|(comm, _)| comm.starts_with(name)).map(|(_, s)| s).sum();
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Self {
            cpu_s: cpu(&Path::new(&folder).join("stat")).map_or(0.0, |(_, seconds)| seconds),
            media_s: of("media-"),
            embed_s: of("embed-"),
            resident: kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) * 1024,
        }
    }
}

/// Name and processor time in seconds, from a stat file of /proc.
fn cpu(stat: &Path) -> Option<(String, f64)> {
    /// Ticks of a second: fixed on every Linux that Rust runs on.
    const HERTZ: f64 = 100.0;
    let text = fs::read_to_string(stat).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    // Fields 14 and 15 of proc(5); the tail begins with field 3.
    let mut ticks = tail.split(' ').skip(11).map(str::parse::<f64>);
    Some((name, (ticks.next()?.ok()? + ticks.next()?.ok()?) / HERTZ))
}

fn config(folder: &Path, sip: u16, calls: usize) -> String {
    let folder = folder.display();
    format!(
        "version = 1\n\
         [sip]\nlisten = [\"udp:127.0.0.1:{sip}\"]\nrtp-ports = \"{FIRST_PORT}-{}\"\n\
         [store]\npath = \"{folder}/store\"\nkey = \"file:{folder}/master.key\"\n\
         [limits]\nmax-calls = {calls}\n\
         [api]\nsocket = \"{folder}/vouch.sock\"\nread-group = \"root\"\n",
        FIRST_PORT + 4 * calls - 1
    )
}
