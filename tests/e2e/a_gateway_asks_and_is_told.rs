//! A gateway asks the verification service, subscribes, and is told; without any voice model at work.

use common::clients::{Recorder, Session, accepted, header, session_offer};
use common::daemon::Daemon;
use common::line::Faults;
use serde_json::Value;
use std::net::UdpSocket;
use std::time::Duration;

/// A gateway that speaks to vouchd over UDP.
struct Gateway {
    socket: UdpSocket,
    vouch: u16,
}

impl Gateway {
    fn new(daemon: &Daemon) -> Self {
        Self::at("127.0.0.1", daemon)
    }

    /// A gateway with this address of loopback.
    fn at(address: &str, daemon: &Daemon) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time above zero");
        Self { socket, vouch: daemon.sip_port() }
    }

    /// Sends a request from `speaker` to the agent; `extra` are header lines.
    fn send(&self, request: (&str, &str), caller: (&str, &str), extra: &str) {
        self.send_with(request, caller, (extra, ""));
    }

    /// The same with a body.
    fn send_with(
        &self,
        (method, uri): (&str, &str),
        (speaker, call_id): (&str, &str),
        (extra, body): (&str, &str),
    ) {
        let length = body.len();
        let local = self.socket.local_addr().expect("bound at the start");
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{method}\r\n\
             From: <sip:{speaker}@gateway.test>;tag=1\r\nTo: <sip:agent@pbx.test>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:gateway@{local}>\r\nMax-Forwards: 70\r\n{extra}Content-Length: {length}\r\n\r\n{body}"
        );
        self.socket
            .send_to(message.as_bytes(), ("127.0.0.1", self.vouch))
            .expect("loopback takes every packet");
    }

    fn receive(&self) -> String {
        let mut buffer = [0; 65_536];
        let length = self.socket.recv(&mut buffer).expect("vouchd answers");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Asks about a call, and acknowledges the answer, which must be the only message.
    fn ask(&self, caller: (&str, &str), extra: &str) -> String {
        let route = format!("Route: <sip:verify@127.0.0.1:{};lr>\r\n{extra}", self.vouch);
        self.send(("INVITE", "sip:agent@pbx.test;user=phone"), caller, &route);
        let answer = self.receive();
        assert!(!answer.starts_with("SIP/2.0 1"), "{answer}");
        let branch = format!("z9hG4bK{}INVITE", caller.1);
        let to = header(&answer, "To").expect("a response has a To");
        let ack = format!(
            "ACK sip:agent@pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={branch}\r\nFrom: <sip:{}@gateway.test>;tag=1\r\n\
             To: {to}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.socket.local_addr().expect("bound at the start"),
            caller.0,
            caller.1
        );
        self.socket.send_to(ack.as_bytes(), ("127.0.0.1", self.vouch)).expect("loopback takes every packet");
        answer
    }

    /// Waits for a NOTIFY and confirms it; its state and its body.
    fn notified(&self) -> (String, Value) {
        loop {
            let message = self.receive();
            if message.starts_with("NOTIFY ") {
                self.socket
                    .send_to(accepted(&message).as_bytes(), ("127.0.0.1", self.vouch))
                    .expect("loopback takes every packet");
                let state = header(&message, "Subscription-State").expect("every NOTIFY has one").to_owned();
                let body = message.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
                return (state, serde_json::from_str(body).expect("JSON"));
            }
        }
    }
}

const PEER: &str = "[[peers]]\nname = \"gateway\"\naddress = [\"127.0.0.1\"]\nheaders-in-contact = true\n\
                    headers = [\"status\", \"reason\"]\nheader-prefix = \"P-Bank\"\n";

#[test]
fn a_question_is_answered_from_what_is_known() {
    let daemon = Daemon::start_with(PEER);
    daemon.ask(&["speaker", "opt-out", "1003"]);
    let gateway = Gateway::new(&daemon);
    let answer = gateway.ask(("1003", "q1"), "");
    assert!(answer.starts_with("SIP/2.0 302 "), "{answer}");
    let contact = "<sip:agent@pbx.test;user=phone?P-Bank-Status=opted-out>";
    assert_eq!(header(&answer, "Contact"), Some(contact));
    assert_eq!(header(&answer, "P-Bank-Status"), Some("opted-out"));
    assert!(!answer.contains("Threshold") && !answer.contains("X-Voice-ID"), "{answer}");
    assert_eq!(header(&gateway.ask(("1001", "q2"), ""), "P-Bank-Status"), Some("not-enrolled"));
    assert_eq!(header(&gateway.ask(("anonymous", "q3"), ""), "P-Bank-Status"), Some("pending"));
    // A poll of a call that nobody hears says so, and claims nothing.
    gateway.send(("OPTIONS", "sip:127.0.0.1"), ("anonymous", "q4"), "P-Bank-Call: none\r\n");
    let polled = gateway.receive();
    assert!(polled.starts_with("SIP/2.0 404 No Such Call\r\n"), "{polled}");
    gateway.send(("SUBSCRIBE", "sip:127.0.0.1"), ("anonymous", "q5"), "Event: voice-id;call=none\r\n");
    assert!(gateway.receive().starts_with("SIP/2.0 404 No Such Call\r\n"));
}

#[test]
fn what_comes_with_a_question_opens_no_recording_session() {
    let peers = "[[peers]]\nname = \"proxy\"\naddress = [\"127.0.0.1\"]\n\
                 [[peers]]\nname = \"pbx\"\naddress = [\"127.0.0.2\"]\nverify = \"200\"\n";
    let daemon =
        Daemon::start_from(|_, config| config.replace("[sip]\n", "[sip]\nmedia-user = \"listen\"\n") + peers);
    let route = format!("Route: <sip:verify@127.0.0.1:{};lr>\r\n", daemon.sip_port());
    let headers = format!("Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n{route}");
    let offer = session_offer("1001", [40_000, 40_002], ("mine", "sendonly"));
    let (proxy, pbx) = (Gateway::new(&daemon), Gateway::at("127.0.0.2", &daemon));
    for (gateway, call_id, status) in [(&proxy, "q1", "SIP/2.0 302 "), (&pbx, "q2", "SIP/2.0 403 ")] {
        gateway.send_with(("INVITE", "sip:listen@pbx.test"), ("1001", call_id), (&headers, &offer));
        let answer = gateway.receive();
        assert!(answer.starts_with(status), "{answer}");
    }
    assert_eq!(daemon.ask(&["calls"]), Value::Array(Vec::new()));
}

#[test]
fn a_subscriber_is_told_and_two_calls_are_not_confused() {
    let daemon = Daemon::start_with(PEER);
    let gateway = Gateway::new(&daemon);
    let mut recorders = [(); 2].map(|()| Recorder::new(daemon.sip_port()));
    let name = recorders[0].call_id().to_owned();
    // Four seconds of silence, of which nobody makes anything.
    let silence = vec![0xFF; 32_000];
    std::thread::scope(|calls| {
        for recorder in &mut recorders {
            let session =
                Session { speaker: "1001", caller: &silence, agent: &silence, faults: Faults::default() };
            calls.spawn(move || recorder.run(&session));
        }
        daemon.wait_for(&["calls"], |answer| answer.as_array().is_some_and(|calls| calls.len() == 2));
        // The recorded call's own name finds its recording; caller and callee fit both.
        let answer = gateway.ask(("1001", &format!("orig-{name}")), "");
        assert_eq!(header(&answer, "P-Bank-Status"), Some("not-enrolled"), "{answer}");
        assert_eq!(header(&answer, "P-Bank-Reason"), None);
        let answer = gateway.ask(("1001", "q1"), "");
        assert_eq!(header(&answer, "P-Bank-Status"), Some("inconclusive"), "{answer}");
        assert_eq!(header(&answer, "P-Bank-Reason"), Some("ambiguous-call"));
        let answer = gateway.ask(("1001", "q2"), &format!("P-Bank-Call: {name}\r\n"));
        assert_eq!(header(&answer, "P-Bank-Status"), Some("not-enrolled"), "{answer}");

        let event = format!("Event: voice-id;call={name}\r\nExpires: 600\r\n");
        gateway.send(("SUBSCRIBE", "sip:127.0.0.1"), ("anonymous", "s1"), &event);
        assert!(gateway.receive().starts_with("SIP/2.0 200 "));
        let (state, result) = gateway.notified();
        assert!(state.starts_with("active;expires="), "{state}");
        assert_eq!((&result["status"], &result["speaker_id"]), (&"not-enrolled".into(), &Value::Null));
    });
    let end = (0..5).map(|_| gateway.notified()).find(|(state, _)| state.starts_with("terminated"));
    let (state, result) = end.expect("the last NOTIFY");
    assert_eq!((state.as_str(), &result["status"]), ("terminated;reason=noresource", &"not-enrolled".into()));
}
