//! baresip, a telephone without anybody: it calls, plays a recording and hangs up at its end.

use super::free_port;
use crate::voices::write_wav;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The modules that such a telephone needs; it takes loopback only where that is named.
const CONFIG: &str = "\
    net_interface 127.0.0.1\n\
    sip_listen 127.0.0.1:@SIP@\n\
    rtp_ports @RTP@\n\
    audio_source aufile,@VOICE@\n\
    audio_player aubridge,nobody\n\
    audio_alert aufile,/dev/null\n\
    ausrc_srate 8000\n\
    auplay_srate 8000\n\
    ausrc_channels 1\n\
    auplay_channels 1\n\
    module_path /usr/lib/baresip/modules\n\
    module g711.so\n\
    module amr.so\n\
    module aufile.so\n\
    module aubridge.so\n\
    module srtp.so\n\
    module_tmp account.so\n\
    module_app menu.so\n";

/// G.711 mu-law, as baresip writes it.
pub const PCMU: &str = "PCMU/8000/1";

/// Whether baresip is installed; says so where it is not.
pub fn baresip_is_there() -> bool {
    let there =
        Command::new("baresip").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: baresip is not installed (`make setup` installs it)");
    }
    there
}

/// A call to place.
#[derive(Clone, Copy, Debug)]
pub struct Phone<'a> {
    /// User part of the caller's address.
    pub user: &'a str,
    /// SIP URI that is called.
    pub target: &'a str,
    /// Where the call is sent: `127.0.0.1:PORT`, and URI parameters such as `;transport=tls`.
    pub proxy: &'a str,
    /// What the caller says, 8 kHz; at its end the telephone hangs up.
    pub voice: &'a [i16],
    /// The codec that it offers, such as [`PCMU`].
    pub codec: &'a str,
    /// Whether the audio must be encrypted (SRTP, keys in the SDP).
    pub secure: bool,
}

/// A telephone in a call.
#[derive(Debug)]
pub struct Baresip {
    process: Child,
    folder: TempDir,
}

impl Phone<'_> {
    /// Starts a telephone that places the call.
    ///
    /// # Panics
    /// When it does not start.
    pub fn call(&self) -> Baresip {
        let folder = tempfile::tempdir().expect("a folder for baresip");
        let recording = folder.path().join("voice.wav");
        write_wav(&recording, self.voice);
        let rtp = free_port();
        let config = CONFIG
            .replace("@SIP@", &free_port().to_string())
            .replace("@RTP@", &format!("{rtp}-{}", rtp.saturating_add(19)))
            .replace("@VOICE@", &recording.display().to_string());
        for (name, content) in [("config", config), ("accounts", self.account()), ("contacts", String::new())]
        {
            std::fs::write(folder.path().join(name), content).expect("the configuration fits on the disk");
        }
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let process = Command::new("baresip")
            .arg("-4")
            .arg("-f")
            .arg(folder.path())
            .args(["-e", &format!("/dial {}", self.target)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file has a second handle"))
            .stderr(log)
            .spawn()
            .expect("baresip starts");
        Baresip { process, folder }
    }

    fn account(&self) -> String {
        let (user, proxy, codec) = (self.user, self.proxy, self.codec);
        let secure = if self.secure { ";mediaenc=srtp-mand" } else { "" };
        format!("<sip:{user}@caller.test>;regint=0;outbound=\"sip:{proxy}\";audio_codecs={codec}{secure}\n")
    }
}

impl Baresip {
    /// Hangs up, as at the end of the recording, and waits until that is done.
    pub fn hang_up(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
