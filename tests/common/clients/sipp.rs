//! sipp as the gateway that sends the caller's voice on a plain media leg.

use super::free_port;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Calls placed by this process, so that each has a Call-ID of its own.
static PLACED: AtomicU32 = AtomicU32::new(0);
/// How often sipp is started until it finds its ports free.
const TRIES: usize = 5;
/// What sipp says, beside the messages.
const LOG: &str = "sipp.log";

const SCENARIO: &str = include_str!("../../data/sipp/leg.xml");

/// Whether sipp is installed; says so where it is not.
pub fn sipp_is_there() -> bool {
    let there = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: sipp is not installed; `make setup` installs it");
    }
    there
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct Leg<'a> {
    /// Speaker id: the user part of From.
    pub speaker: &'a str,
    /// The caller's voice, mu-law at 8 kHz.
    pub mulaw: &'a [u8],
    /// Header lines to add to the INVITE, each ended by a line break.
    pub extra: &'a str,
    /// sipp's name of the transport: `u1` (UDP) or `t1` (TCP).
    pub transport: &'a str,
    /// Port of vouchd on loopback.
    pub port: u16,
}

/// A call in progress.
#[derive(Debug)]
pub struct LegCall {
    sipp: Child,
    folder: TempDir,
    call_id: String,
}

impl Leg<'_> {
    /// Starts sipp; the call lasts as long as the voice.
    pub fn place(&self) -> LegCall {
        let folder = tempfile::tempdir().expect("a folder for sipp's files");
        let audio = folder.path().join("voice.ulaw");
        std::fs::write(&audio, self.mulaw).expect("the voice fits on the disk");
        let scenario = SCENARIO
            .replace("@SPEAKER@", self.speaker)
            .replace("@EXTRA@", self.extra)
            .replace("@AUDIO@", &audio.display().to_string())
            .replace("@TALK@", &(self.mulaw.len() / 8).to_string());
        std::fs::write(folder.path().join("leg.xml"), scenario).expect("the scenario fits on the disk");
        let number = PLACED.fetch_add(1, Ordering::Relaxed);
        let call_id = format!("leg-{}-{number}@gateway.test", std::process::id());
        let sipp = self.command(folder.path(), &call_id).spawn().expect("sipp starts");
        let mut call = LegCall { sipp, folder, call_id };
        // A port that was free a moment ago may be another program's now.
        for _ in 1..TRIES {
            if call.has_begun() {
                return call;
            }
            call.sipp = self.command(call.folder.path(), &call.call_id).spawn().expect("sipp starts");
        }
        let said = std::fs::read_to_string(call.folder.path().join(LOG)).unwrap_or_default();
        assert!(call.has_begun(), "sipp does not call: {said}");
        call
    }

    fn command(&self, folder: &Path, call_id: &str) -> Command {
        let log = File::create(folder.join(LOG)).expect("a file for what sipp says");
        let said = log.try_clone().expect("a second handle of a file");
        let mut sipp = Command::new("sipp");
        sipp.current_dir(folder)
            .args([
                "-sf",
                "leg.xml",
                "-m",
                "1",
                "-nostdin",
                "-aa",
                "-trace_msg",
                "-message_file",
                "messages.log",
            ])
            .args(["-i", "127.0.0.1", "-p", &free_port().to_string(), "-mp", &free_port().to_string()])
            .args(["-t", self.transport, "-cid_str", call_id])
            .arg(format!("127.0.0.1:{}", self.port))
            .stdout(log)
            .stderr(said);
        sipp
    }
}

impl LegCall {
    /// Waits until sipp has sent something; false when it ended without.
    fn has_begun(&mut self) -> bool {
        loop {
            let ended = self.sipp.try_wait().expect("sipp is a child of this process").is_some();
            if !self.messages().is_empty() {
                return true;
            }
            if ended {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Call-ID of the call.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Waits for the end; true when the whole scenario went as written.
    pub fn finish(&mut self) -> bool {
        self.sipp.wait().is_ok_and(|status| status.success())
    }

    /// All that sipp sent and received so far.
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.trace()).unwrap_or_default()
    }

    /// `X-Voice-ID-*` header lines that the gateway received, in order.
    pub fn voice_id_headers(&self) -> Vec<String> {
        let headers = self.messages();
        headers
            .lines()
            .filter(|line| line.starts_with("X-Voice-ID-"))
            .map(|line| line.trim().to_owned())
            .collect()
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("messages.log")
    }
}

impl Drop for LegCall {
    fn drop(&mut self) {
        let _ = self.sipp.kill();
        let _ = self.sipp.wait();
    }
}
