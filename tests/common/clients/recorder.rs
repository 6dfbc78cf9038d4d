//! A session recording client (RFC 7866): forks both parties of a call to vouchd, each as its own stream.

use super::dialog::{Dialog, accepted, header};
use super::recording::{METADATA_PART, described, metadata, multipart, sdp, secured, session_offer};
use super::relay::Relay;
use super::wire::Wire;
use crate::line::{Faults, talk, talk_secured};
use crate::srtp::Srtp;
use std::net::{SocketAddr, UdpSocket};

/// What a recording session carries.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// Speaker id: the user part of the caller's AoR.
    pub speaker: &'a str,
    /// The caller's voice, mu-law at 8 kHz.
    pub caller: &'a [u8],
    /// The agent's voice.
    pub agent: &'a [u8],
    /// Faults of both lines.
    pub faults: Faults,
}

/// A recording session in progress: where its audio comes from and goes to.
#[derive(Debug)]
pub struct Placed {
    /// Sockets of the caller's and of the agent's stream.
    pub media: [UdpSocket; 2],
    /// Where vouchd wants both.
    pub targets: [SocketAddr; 2],
    /// Ports of the sockets.
    pub ports: [u16; 2],
    /// The final response to the INVITE.
    pub answer: String,
}

/// A recording client on loopback.
#[derive(Debug)]
pub struct Recorder {
    wire: Wire,
    server: SocketAddr,
    dialog: Dialog,
    received: Vec<String>,
    /// Body of the last INVITE.
    offered: String,
    /// Keys of both streams, where they are SRTP.
    keys: Option<[Srtp; 2]>,
}

impl Recorder {
    /// A client of the vouchd that listens on `port`.
    pub fn new(port: u16) -> Self {
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        Self::over(Wire::udp(server), server)
    }

    /// A client of the vouchd that listens for TLS on `port` and has the certificate `root`, in PEM.
    pub fn secure(port: u16, root: &str) -> Self {
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        Self::over(Wire::tls(server, root), server)
    }

    fn over(wire: Wire, server: SocketAddr) -> Self {
        let call_id = format!("recording-{}-{}", std::process::id(), wire.local().port());
        let dialog = Dialog::with(server, call_id);
        Self { wire, server, dialog, keys: None, received: Vec::new(), offered: String::new() }
    }

    /// Call-ID of the recording session.
    pub fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    /// Places the session, lets both parties talk to the end, hangs up; gives the final response to the INVITE.
    ///
    /// # Panics
    /// When vouchd does not answer, or refuses.
    pub fn run(&mut self, session: &Session<'_>) -> String {
        let Placed { media, targets, answer, .. } = self.begin(session.speaker);
        std::thread::scope(|parties| {
            parties.spawn(|| talk(&media[0], targets[0], session.caller, session.faults, 0xCA11));
            parties.spawn(|| talk(&media[1], targets[1], session.agent, session.faults, 0xA6E7));
        });
        self.hang_up();
        answer
    }

    /// Places the session of a caller who says nothing yet.
    ///
    /// # Panics
    /// As [`Recorder::run`].
    pub fn begin(&mut self, speaker: &str) -> Placed {
        let media = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback has ports"));
        let ports = [0, 1].map(|index: usize| media[index].local_addr().expect("bound above").port());
        let answer = self.invite(speaker, ports);
        assert!(answer.starts_with("SIP/2.0 200 "), "the session was refused: {answer}");
        let targets = self.targets(&answer);
        Placed { media, targets, ports, answer }
    }

    /// Says by UPDATE, with metadata alone, that `speaker` calls as `participant`; gives the final response.
    ///
    /// # Panics
    /// When vouchd does not answer.
    pub fn update_metadata(&mut self, participant: &str, speaker: &str) -> String {
        self.dialog.number += 1;
        let headers =
            "Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n";
        let body = self.metadata(participant, speaker);
        self.send(self.dialog.number, "UPDATE", headers, &body);
        self.final_response("UPDATE")
    }

    /// Says the same by a re-INVITE with metadata and without an offer, and answers vouchd's offer in the ACK.
    ///
    /// # Panics
    /// When vouchd does not answer, or refuses.
    pub fn reinvite_without_offer(&mut self, participant: &str, speaker: &str, placed: &Placed) -> String {
        self.dialog.number += 1;
        let body = multipart(&[(METADATA_PART, &self.metadata(participant, speaker))]);
        let headers = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";
        self.send(self.dialog.number, "INVITE", headers, &body);
        let offer = self.final_response("INVITE");
        assert!(offer.starts_with("SIP/2.0 200 ") && offer.contains("m=audio "), "no offer: {offer}");
        let answer = sdp(placed.ports, "sendonly");
        self.send(self.dialog.number, "ACK", "Content-Type: application/sdp\r\n", &answer);
        offer
    }

    /// As [`Recorder::run`] over perfect lines, with SRTP: `offered` are the keys in the SDP, `used` those of the packets.
    ///
    /// # Panics
    /// As [`Recorder::run`].
    pub fn run_secured(&mut self, session: &Session<'_>, offered: [Srtp; 2], used: &[Srtp; 2]) -> String {
        self.keys = Some(offered);
        let Placed { media, targets, answer, .. } = self.begin(session.speaker);
        std::thread::scope(|parties| {
            parties.spawn(|| talk_secured(&media[0], targets[0], session.caller, &used[0], 0xCA11));
            parties.spawn(|| talk_secured(&media[1], targets[1], session.agent, &used[1], 0xA6E7));
        });
        self.hang_up();
        answer
    }

    /// As [`Recorder::run_secured`], but after the first `before` bytes of the caller's voice a re-INVITE brings other keys.
    ///
    /// # Panics
    /// As [`Recorder::run`], and when the change is refused.
    pub fn run_with_new_keys(&mut self, session: &Session<'_>, before: usize, [first, then]: [[Srtp; 2]; 2]) {
        self.keys = Some(first.clone());
        let Placed { media, targets: [caller, _], ports, .. } = self.begin(session.speaker);
        let (begun, rest) = session.caller.split_at(before);
        talk_secured(&media[0], caller, begun, &first[0], 0xCA11);
        self.keys = Some(then.clone());
        self.reinvite(session.speaker, ports, "sendonly");
        talk_secured(&media[0], caller, rest, &then[0], 0xCA11);
        self.hang_up();
    }

    /// As [`Recorder::run`], but with a hold after the first `talk` bytes of the caller's voice: the session goes
    /// inactive, `music` arrives on the caller's stream all the same, then the session resumes.
    ///
    /// # Panics
    /// As [`Recorder::run`], and when hold or resume is refused.
    pub fn run_with_hold(&mut self, session: &Session<'_>, before: usize, music: &[u8]) {
        let Placed { media, targets: [caller, _], ports, .. } = self.begin(session.speaker);
        let (first, second) = session.caller.split_at(before);
        talk(&media[0], caller, first, session.faults, 0xCA11);
        let held = self.reinvite(session.speaker, ports, "inactive");
        assert!(held.contains("a=inactive"), "{held}");
        talk(&media[0], caller, music, session.faults, 0x0115);
        let resumed = self.reinvite(session.speaker, ports, "sendonly");
        assert!(resumed.contains("a=recvonly"), "{resumed}");
        talk(&media[0], caller, second, session.faults, 0xCA12);
        self.hang_up();
    }

    /// Records a call that `relay` carries, until [`Recorder::hang_up`]: its two parties, forked by the relay as
    /// `profile` (`RTP/AVP` or `RTP/SAVP`).
    ///
    /// # Panics
    /// When vouchd or the relay refuses.
    pub fn record(&mut self, (relay, profile): (&Relay, &str), speaker: &str, call_id: &str) {
        let fork = relay.fork(call_id, profile);
        let metadata = metadata(("p1", speaker), call_id, [&fork.caller, &fork.callee]);
        let answer = self.open(&described(&fork.offer, &metadata));
        assert!(answer.starts_with("SIP/2.0 200 "), "the session was refused: {answer}");
        let (_, sdp) = answer.split_once("\r\n\r\n").expect("the session is answered with SDP");
        relay.send_to(&fork, sdp);
    }

    /// Refreshes the session: the same offer again, which must be accepted; gives the answer.
    ///
    /// # Panics
    /// When vouchd does not answer, or refuses.
    pub fn refresh(&mut self) -> String {
        let body = std::mem::take(&mut self.offered);
        let answer = self.offer(&body);
        assert!(answer.starts_with("SIP/2.0 200 "), "the refresh was refused: {answer}");
        self.send(self.dialog.number, "ACK", "", "");
        answer
    }

    /// Everything that vouchd sent outside the INVITE's responses.
    pub fn received(&self) -> &[String] {
        &self.received
    }

    fn invite(&mut self, speaker: &str, ports: [u16; 2]) -> String {
        self.open(&self.body(speaker, ports, "sendonly"))
    }

    /// Opens the dialog with an offer; gives the final response.
    fn open(&mut self, body: &str) -> String {
        let answer = self.offer(body);
        self.dialog.learn(&answer);
        self.send(self.dialog.number, "ACK", "", "");
        answer
    }

    fn reinvite(&mut self, speaker: &str, ports: [u16; 2], direction: &str) -> String {
        let answer = self.offer(&self.body(speaker, ports, direction));
        assert!(answer.starts_with("SIP/2.0 200 "), "the change was refused: {answer}");
        self.send(self.dialog.number, "ACK", "", "");
        answer
    }

    fn body(&self, speaker: &str, ports: [u16; 2], direction: &str) -> String {
        let body = session_offer(speaker, ports, (&self.dialog.call_id, direction));
        match &self.keys {
            Some(keys) => secured(&body, keys),
            None => body,
        }
    }

    fn metadata(&self, participant: &str, speaker: &str) -> String {
        metadata((participant, speaker), &format!("orig-{}", self.dialog.call_id), ["1", "2"])
    }

    /// Sends an INVITE and gives its final response.
    fn offer(&mut self, body: &str) -> String {
        self.dialog.number += 1;
        let headers = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";
        self.send(self.dialog.number, "INVITE", headers, body);
        body.clone_into(&mut self.offered);
        self.final_response("INVITE")
    }

    /// The final response to the last request; requests of vouchd that come meanwhile are accepted.
    fn final_response(&mut self, method: &str) -> String {
        let number = format!("{} {method}", self.dialog.number);
        loop {
            let message = self.receive().expect("vouchd answers a request");
            if !message.starts_with("SIP/2.0 ") {
                self.accept(&message);
                self.received.push(message);
            } else if !message.starts_with("SIP/2.0 1") && header(&message, "CSeq") == Some(&number) {
                return message;
            }
        }
    }

    fn targets(&self, answer: &str) -> [SocketAddr; 2] {
        let mut ports = answer.lines().filter_map(|line| line.strip_prefix("m=audio "));
        [(); 2].map(|()| {
            let line = ports.next().expect("two m-lines are answered");
            let port = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
            SocketAddr::new(self.server.ip(), port)
        })
    }

    /// Answers what came in during the talk, then sends BYE and waits for its 200.
    ///
    /// # Panics
    /// When there is none.
    pub fn hang_up(&mut self) {
        self.send(self.dialog.number + 1, "BYE", "", "");
        loop {
            let message = self.receive().expect("vouchd answers the BYE");
            if message.starts_with("SIP/2.0 200 ") && message.contains("BYE") {
                return;
            }
            if !message.starts_with("SIP/2.0 ") {
                self.accept(&message);
                self.received.push(message);
            }
        }
    }

    fn accept(&mut self, request: &str) {
        self.wire.send(&accepted(request));
    }

    fn send(&mut self, number: u32, method: &str, headers: &str, body: &str) {
        let way = (self.wire.name(), self.wire.local());
        let message = self.dialog.request((number, method), way, (headers, body));
        self.wire.send(&message);
    }

    fn receive(&mut self) -> Option<String> {
        self.wire.receive()
    }
}
