//! rtpengine: relays the audio of a proxy's calls, and forks it for a recording client. In user space, on loopback.

use super::free_port;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Commands sent by this process.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Whether rtpengine is installed; says so where it is not.
pub fn relay_is_there() -> bool {
    let mut asked = Command::new("rtpengine");
    let there = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: rtpengine is not installed (`make setup` installs it)");
    }
    there
}

/// A running rtpengine.
#[derive(Debug)]
pub struct Relay {
    process: Child,
    control: u16,
}

/// What rtpengine sends of a call, once it knows where to.
#[derive(Debug)]
pub struct Fork {
    /// SDP that offers both parties' audio.
    pub offer: String,
    /// Label of the caller's stream in it.
    pub caller: String,
    /// Label of the callee's.
    pub callee: String,
    call_id: String,
    to_tag: String,
}

impl Relay {
    /// Starts rtpengine and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let (control, first) = (free_port(), free_port());
        let process = Command::new("rtpengine")
            // In the foreground, logging to stderr, without its kernel module.
            .args(["--config-file=none", "-f", "-E", "-t", "-1", "-i", "127.0.0.1"])
            .args(["-n", &format!("127.0.0.1:{control}")])
            .args(["-m", &first.to_string(), "-M", &first.saturating_add(199).to_string()])
            .args(["--delete-delay=0", "--log-level=4"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rtpengine starts");
        let mut relay = Self { process, control };
        relay.wait_until_ready();
        relay
    }

    /// Port of its control protocol (ng), UDP on loopback.
    pub fn control(&self) -> u16 {
        self.control
    }

    /// Whether it carries this call.
    ///
    /// # Panics
    /// When rtpengine does not answer.
    pub fn carries(&self, call_id: &str) -> bool {
        let calls = self.ask(&json!({"command": "list", "limit": 100}));
        calls["calls"].as_array().is_some_and(|calls| calls.iter().any(|call| call == call_id))
    }

    /// Prepares copies of both parties of a call, which the proxy has labelled `caller` and `callee`, to be sent as
    /// `profile`: `RTP/AVP`, or `RTP/SAVP` for SRTP.
    ///
    /// # Panics
    /// When rtpengine does not know the call.
    pub fn fork(&self, call_id: &str, profile: &str) -> Fork {
        let flags = ["all", "siprec"];
        let answer = self.ask(&json!({
            "command": "subscribe request", "call-id": call_id, "flags": flags, "transport-protocol": profile
        }));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let label = |party: &str| {
            let parties = answer["tag-medias"].as_array().into_iter().flatten();
            let mut named = parties.filter(|it| it["label"] == party);
            text(&named.next().unwrap_or_else(|| panic!("no {party}: {answer}"))["medias"][0]["label"])
        };
        Fork {
            offer: text(&answer["sdp"]),
            caller: label("caller"),
            callee: label("callee"),
            call_id: call_id.to_owned(),
            to_tag: text(&answer["to-tag"]),
        }
    }

    /// Sends the copies to where `answer` (SDP) wants them.
    ///
    /// # Panics
    /// When rtpengine refuses the answer.
    pub fn send_to(&self, fork: &Fork, answer: &str) {
        let said = self.ask(&json!({
            "command": "subscribe answer", "call-id": fork.call_id, "to-tag": fork.to_tag, "sdp": answer
        }));
        assert_eq!(said["result"], "ok", "{said}");
    }

    /// A command and its answer.
    fn ask(&self, command: &Value) -> Value {
        self.try_to_ask(command, Duration::from_secs(5)).expect("rtpengine answers")
    }

    /// The ng protocol: a cookie, a new one for each command, and a dictionary, for which JSON will do.
    fn try_to_ask(&self, command: &Value, patience: Duration) -> Option<Value> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(patience)).expect("a time above zero");
        let cookie = ASKED.fetch_add(1, Ordering::Relaxed);
        socket.send_to(format!("{cookie} {command}").as_bytes(), ("127.0.0.1", self.control)).ok()?;
        let mut buffer = [0; 65_536];
        let length = socket.recv(&mut buffer).ok()?;
        let (_, answer) = std::str::from_utf8(&buffer[..length]).ok()?.split_once(' ')?;
        serde_json::from_str(answer).ok()
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.try_to_ask(&json!({"command": "ping"}), Duration::from_millis(200)).is_none() {
            let ended = self.process.try_wait().expect("our own process can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "rtpengine did not start: {ended:?}");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
