//! Kamailio with the shipped configuration in front of a PBX: it asks the verification service, and the PBX reads
//! `pending` on the first call leg and `authenticated` on the transfer.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Kamailio, Recorder, Session, header, kamailio_is_there};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::{Person, mulaw};
use std::net::UdpSocket;
use std::time::Duration;

/// A telephone or a PBX: it places calls and takes them.
struct Party {
    socket: UdpSocket,
    port: u16,
}

impl Party {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time above zero");
        let port = socket.local_addr().expect("bound above").port();
        Self { socket, port }
    }

    /// Sends the INVITE of a call through the proxy at `proxy`.
    fn call(&self, proxy: u16, (from, to): (&str, &str), (call_id, extra): (&str, &str)) {
        let port = self.port;
        let invite = format!(
            "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id}\r\n\
             From: <sip:{from}@127.0.0.1>;tag={port}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:{from}@127.0.0.1:{port}>\r\nMax-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(invite.as_bytes(), ("127.0.0.1", proxy)).expect("loopback takes every packet");
    }

    /// Waits for an INVITE, refuses it as busy so that nothing is left of it, and gives it.
    fn take_call(&self, call_id: &str, kamailio: &Kamailio) -> String {
        let mut buffer = [0; 65_536];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).unwrap_or_else(|_| {
                panic!("no INVITE of {call_id}:\n{}", kamailio.log());
            });
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with("INVITE ") && header(&message, "Call-ID") == Some(call_id) {
                let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
                let kept = message.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
                let kept = kept.map(|line| {
                    if line.starts_with("To:") { format!("{line};tag=pbx") } else { line.to_owned() }
                });
                let busy = format!(
                    "SIP/2.0 486 Busy Here\r\n{}\r\nContent-Length: 0\r\n\r\n",
                    kept.collect::<Vec<_>>().join("\r\n")
                );
                self.socket.send_to(busy.as_bytes(), from).expect("loopback takes every packet");
                return message;
            }
        }
    }

    /// The final answer to a call.
    fn answer(&self, call_id: &str) -> String {
        let mut buffer = [0; 65_536];
        loop {
            let length = self.socket.recv(&mut buffer).expect("the proxy answers");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let provisional = message.starts_with("SIP/2.0 1");
            if message.starts_with("SIP/2.0 ") && !provisional && header(&message, "Call-ID") == Some(call_id)
            {
                return message;
            }
        }
    }
}

/// All headers of this name.
fn all<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!("{name}: ");
    message.lines().filter_map(|line| line.strip_prefix(&name)).map(str::trim).collect()
}

#[test]
fn the_pbx_reads_pending_and_on_the_transfer_authenticated() {
    let (Some(enrolled), true) = (Person::Allison.talk(0, 55.0), kamailio_is_there()) else { return };
    let mut daemon = Daemon::start();
    enroll_file(&daemon, "1001", &enrolled);
    let (caller, pbx, desk) = (Party::new(), Party::new(), Party::new());
    let kamailio = Kamailio::start(pbx.port, daemon.sip_port());
    let mut recorder = Recorder::new(daemon.sip_port());
    let first = format!("orig-{}", recorder.call_id());

    // The first leg, with a lie from outside.
    let lie = "X-Voice-ID-Status: authenticated\r\n";
    caller.call(kamailio.port(), ("1001", "sip:100@pbx.test"), (&first, lie));
    let invite = pbx.take_call(&first, &kamailio);
    assert!(invite.starts_with("INVITE sip:100@pbx.test "), "{invite}");
    assert_eq!(all(&invite, "X-Voice-ID-Status"), ["pending"], "{invite}");
    assert!(!invite.contains("sip:verify@"), "{invite}");

    // The call is recorded, the caller speaks and is verified.
    let talk = Person::Allison.talk(1, 22.0).expect("present above");
    let agent = Person::Carlo.talk(2, 22.0).expect("as present as the caller's voice");
    recorder.run(&Session {
        speaker: "1001",
        caller: &mulaw(&talk),
        agent: &mulaw(&agent),
        faults: Faults::default(),
    });
    daemon.wait_for(&["result", &first], |answer| answer["status"] == "authenticated");

    // The PBX transfers the caller to a desk and names the call.
    let named = format!("X-Voice-ID-Call: {first}\r\nX-Voice-ID-Score: 1\r\n");
    let to = format!("sip:200@127.0.0.1:{}", desk.port);
    pbx.call(kamailio.port(), ("1001", &to), ("transfer", &named));
    let transfer = desk.take_call("transfer", &kamailio);
    assert_eq!(all(&transfer, "X-Voice-ID-Status"), ["authenticated"], "{transfer}");
    assert_eq!(all(&transfer, "X-Voice-ID-Speaker"), ["1001"]);
    let score: Vec<f32> =
        all(&transfer, "X-Voice-ID-Score").iter().filter_map(|it| it.parse().ok()).collect();
    assert!(score.len() == 1 && (90.0..=100.0).contains(&score[0]), "{transfer}");

    // A caller from outside cannot name another's call.
    caller.call(kamailio.port(), ("1001", "sip:100@pbx.test"), ("thief", &named));
    assert_eq!(all(&pbx.take_call("thief", &kamailio), "X-Voice-ID-Status"), ["pending"]);

    // Without Vouch the call goes on.
    daemon.kill();
    caller.call(kamailio.port(), ("1001", "sip:100@pbx.test"), ("open", ""));
    let invite = pbx.take_call("open", &kamailio);
    assert_eq!(all(&invite, "X-Voice-ID-Status"), ["error"], "{invite}");
    assert_eq!(all(&invite, "X-Voice-ID-Reason"), ["no-answer"]);
    assert!(caller.answer("open").starts_with("SIP/2.0 486 "), "the PBX's own answer reaches the caller");
}

#[test]
fn a_blocked_caller_gets_603() {
    if !kamailio_is_there() {
        return;
    }
    let peer = "[[peers]]\nname = \"proxy\"\naddress = [\"127.0.0.1\"]\nverify-block = [\"opted-out\"]\n";
    let daemon = Daemon::start_with(peer);
    daemon.ask(&["speaker", "opt-out", "1003"]);
    let (caller, pbx) = (Party::new(), Party::new());
    let kamailio = Kamailio::start(pbx.port, daemon.sip_port());
    caller.call(kamailio.port(), ("1003", "sip:100@pbx.test"), ("blocked", ""));
    assert!(caller.answer("blocked").starts_with("SIP/2.0 603 "), "{}", kamailio.log());
    caller.call(kamailio.port(), ("1004", "sip:100@pbx.test"), ("allowed", ""));
    assert_eq!(all(&pbx.take_call("allowed", &kamailio), "X-Voice-ID-Status"), ["not-enrolled"]);
}
