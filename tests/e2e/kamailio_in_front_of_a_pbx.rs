//! Kamailio with the shipped configuration in front of a PBX: it asks the verification service, and the PBX reads
//! `pending` on the first call leg and `authenticated` on the transfer. The caller is a real telephone (baresip), and
//! the call is recorded from the real media relay (rtpengine).

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{
    Baresip, Kamailio, PCMU, Phone, Recorder, Relay, accepted, baresip_is_there, header, kamailio_is_there,
    relay_is_there,
};
use common::daemon::Daemon;
use common::line::{Faults, talk};
use common::voices::{Person, mulaw};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A telephone or a PBX: it places calls and takes them.
pub(crate) struct Party {
    socket: UdpSocket,
    pub(crate) port: u16,
}

impl Party {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time above zero");
        let port = socket.local_addr().expect("bound above").port();
        Self { socket, port }
    }

    /// Sends the INVITE of a call through the proxy at `proxy`.
    pub(crate) fn call(&self, proxy: u16, (from, to): (&str, &str), (call_id, extra): (&str, &str)) {
        let port = self.port;
        let invite = format!(
            "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id}\r\n\
             From: <sip:{from}@127.0.0.1>;tag={port}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:{from}@127.0.0.1:{port}>\r\nMax-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(invite.as_bytes(), ("127.0.0.1", proxy)).expect("loopback takes every packet");
    }

    /// Waits for an INVITE, refuses it as busy so that nothing is left of it, and gives it.
    pub(crate) fn take_call(&self, call_id: &str, kamailio: &Kamailio) -> String {
        let is_it =
            |message: &str| message.starts_with("INVITE ") && header(message, "Call-ID") == Some(call_id);
        let (invite, from) = self.wait_for(is_it, kamailio);
        self.respond(&invite, from, "486 Busy Here", "Content-Length: 0\r\n\r\n");
        invite
    }

    /// Waits for a call and answers it, with audio to and from `media`; gives its INVITE once the caller has the answer.
    pub(crate) fn answer_call(&self, media: u16, kamailio: &Kamailio) -> String {
        let (invite, from) = self.wait_for(|message| message.starts_with("INVITE "), kamailio);
        let sdp = format!(
            "v=0\r\no=pbx 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {media} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        );
        let rest = format!(
            "Contact: <sip:pbx@127.0.0.1:{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.port,
            sdp.len()
        );
        self.respond(&invite, from, "200 OK", &rest);
        self.wait_for(|message| message.starts_with("ACK "), kamailio);
        invite
    }

    /// Waits until the caller hangs up.
    pub(crate) fn see_the_end(&self, kamailio: &Kamailio) {
        let (bye, from) = self.wait_for(|message| message.starts_with("BYE "), kamailio);
        self.socket.send_to(accepted(&bye).as_bytes(), from).expect("loopback takes every packet");
    }

    fn wait_for(&self, is_it: impl Fn(&str) -> bool, kamailio: &Kamailio) -> (String, SocketAddr) {
        let mut buffer = [0; 65_536];
        loop {
            let received = self.socket.recv_from(&mut buffer);
            let (length, from) = received.unwrap_or_else(|_| panic!("nothing came:\n{}", kamailio.log()));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if is_it(&message) {
                return (message, from);
            }
        }
    }

    /// Sends a final response; `rest` is what follows the headers that it shares with the request.
    fn respond(&self, request: &str, to: SocketAddr, status: &str, rest: &str) {
        let kept = ["Via:", "Record-Route:", "From:", "To:", "Call-ID:", "CSeq:"];
        let lines = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
        let lines = lines
            .map(|line| if line.starts_with("To:") { format!("{line};tag=pbx") } else { line.to_owned() });
        let response = format!("SIP/2.0 {status}\r\n{}\r\n{rest}", lines.collect::<Vec<_>>().join("\r\n"));
        self.socket.send_to(response.as_bytes(), to).expect("loopback takes every packet");
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
pub(crate) fn all<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!("{name}: ");
    message.lines().filter_map(|line| line.strip_prefix(&name)).map(str::trim).collect()
}

/// Where an SDP wants the audio, on loopback.
fn audio_target(message: &str) -> SocketAddr {
    let port =
        message.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
    SocketAddr::from(([127, 0, 0, 1], port.expect("the message has SDP")))
}

/// Allison calls the PBX through the proxy and is answered: her telephone, the INVITE that the PBX got, and where the agent's
/// audio goes and comes.
pub(crate) fn call_through(kamailio: &Kamailio, pbx: &Party) -> (Baresip, String, UdpSocket) {
    let voice = Person::Allison.talk(1, 30.0).expect("her prompts are there where these tests run");
    let proxy = format!("127.0.0.1:{}", kamailio.port());
    let target = "sip:100@pbx.test";
    let phone = Phone { user: "1001", target, proxy: &proxy, voice: &voice, codec: PCMU, secure: false };
    let caller = phone.call();
    let media = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    let invite = pbx.answer_call(media.local_addr().expect("bound above").port(), kamailio);
    (caller, invite, media)
}

/// The agent who was called by `invite` speaks from now on.
pub(crate) fn speak_as_agent(media: UdpSocket, invite: &str) {
    let agent = mulaw(&Person::Carlo.talk(2, 30.0).expect("as present as the caller's voice"));
    let target = audio_target(invite);
    std::thread::spawn(move || talk(&media, target, &agent, Faults::default(), 0xA6E7));
}

#[test]
fn the_pbx_reads_pending_and_on_the_transfer_authenticated() {
    let Some(enrolled) = Person::Allison.talk(0, 55.0) else { return };
    if !kamailio_is_there() || !relay_is_there() || !baresip_is_there() {
        return;
    }
    let mut daemon = Daemon::start();
    enroll_file(&daemon, "1001", &enrolled);
    let (pbx, desk, stranger) = (Party::new(), Party::new(), Party::new());
    let relay = Relay::start();
    let kamailio = Kamailio::start_with_relay(pbx.port, daemon.sip_port(), &relay);

    // The first leg: nobody has said anything yet.
    let (mut caller, invite, media) = call_through(&kamailio, &pbx);
    assert!(invite.starts_with("INVITE sip:100@pbx.test"), "{invite}");
    assert_eq!(all(&invite, "X-Voice-ID-Status"), ["pending"], "{invite}");
    assert!(!invite.contains("sip:verify@"), "{invite}");
    let call_id = header(&invite, "Call-ID").expect("every call has one").to_owned();

    // The call is recorded from the relay; caller and agent speak.
    let mut recorder = Recorder::new(daemon.sip_port());
    recorder.record((&relay, "RTP/AVP"), "1001", &call_id);
    speak_as_agent(media, &invite);
    let result = daemon.wait_for(&["result", &call_id], |answer| answer["status"] != "pending");
    assert_eq!(result["status"], "authenticated", "{result} {}", caller.log());

    // The PBX transfers the caller to a desk and names the call.
    let named = format!("X-Voice-ID-Call: {call_id}\r\nX-Voice-ID-Score: 1\r\n");
    let to = format!("sip:200@127.0.0.1:{}", desk.port);
    pbx.call(kamailio.port(), ("1001", &to), ("transfer", &named));
    let transfer = desk.take_call("transfer", &kamailio);
    assert_eq!(all(&transfer, "X-Voice-ID-Status"), ["authenticated"], "{transfer}");
    assert_eq!(all(&transfer, "X-Voice-ID-Speaker"), ["1001"]);
    let score: Vec<f32> =
        all(&transfer, "X-Voice-ID-Score").iter().filter_map(|it| it.parse().ok()).collect();
    assert!(score.len() == 1 && (90.0..=100.0).contains(&score[0]), "{transfer}");

    // A stranger can neither name another's call nor say what was found.
    let lies = format!("{named}X-Voice-ID-Status: authenticated\r\n");
    stranger.call(kamailio.port(), ("1001", "sip:100@pbx.test"), ("thief", &lies));
    assert_eq!(all(&pbx.take_call("thief", &kamailio), "X-Voice-ID-Status"), ["pending"]);

    assert!(relay.carries(&call_id));
    caller.hang_up();
    pbx.see_the_end(&kamailio);
    assert!(!relay.carries(&call_id), "{}", kamailio.log());
    recorder.hang_up();

    // Without Vouch calls go on.
    daemon.kill();
    stranger.call(kamailio.port(), ("1001", "sip:100@pbx.test"), ("open", ""));
    let invite = pbx.take_call("open", &kamailio);
    assert_eq!(all(&invite, "X-Voice-ID-Status"), ["error"], "{invite}");
    assert_eq!(all(&invite, "X-Voice-ID-Reason"), ["no-answer"]);
    assert!(stranger.answer("open").starts_with("SIP/2.0 486 "), "the PBX's own answer reaches the caller");
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
