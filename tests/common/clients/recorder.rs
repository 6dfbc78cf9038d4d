//! A session recording client (RFC 7866): forks both parties of a call to vouchd, each as its own stream.

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

/// A recording client on loopback.
#[derive(Debug)]
pub struct Recorder {
    wire: Wire,
    server: SocketAddr,
    call_id: String,
    to_tag: String,
    /// CSeq of the last INVITE.
    number: u32,
    received: Vec<String>,
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
        let local = wire.local();
        Self {
            wire,
            server,
            keys: None,
            call_id: format!("recording-{}-{}", std::process::id(), local.port()),
            to_tag: String::new(),
            number: 0,
            received: Vec::new(),
        }
    }

    /// Call-ID of the recording session.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Places the session, lets both parties talk to the end, hangs up; gives the final response to the INVITE.
    ///
    /// # Panics
    /// When vouchd does not answer, or refuses.
    pub fn run(&mut self, session: &Session<'_>) -> String {
        let (media, answer, targets) = self.place(session);
        std::thread::scope(|parties| {
            parties.spawn(|| talk(&media[0], targets[0], session.caller, session.faults, 0xCA11));
            parties.spawn(|| talk(&media[1], targets[1], session.agent, session.faults, 0xA6E7));
        });
        self.hang_up();
        answer
    }

    /// As [`Recorder::run`] over perfect lines, with SRTP: `offered` are the keys in the SDP, `used` those of the packets.
    ///
    /// # Panics
    /// As [`Recorder::run`].
    pub fn run_secured(&mut self, session: &Session<'_>, offered: [Srtp; 2], used: &[Srtp; 2]) -> String {
        self.keys = Some(offered);
        let (media, answer, targets) = self.place(session);
        std::thread::scope(|parties| {
            parties.spawn(|| talk_secured(&media[0], targets[0], session.caller, &used[0], 0xCA11));
            parties.spawn(|| talk_secured(&media[1], targets[1], session.agent, &used[1], 0xA6E7));
        });
        self.hang_up();
        answer
    }

    /// As [`Recorder::run`], but with a hold after the first `talk` bytes of the caller's voice: the session goes
    /// inactive, `music` arrives on the caller's stream all the same, then the session resumes.
    ///
    /// # Panics
    /// As [`Recorder::run`], and when hold or resume is refused.
    pub fn run_with_hold(&mut self, session: &Session<'_>, before: usize, music: &[u8]) {
        let media = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback has ports"));
        let ports = [0, 1].map(|index: usize| media[index].local_addr().expect("bound above").port());
        let answer = self.invite(session.speaker, ports);
        let [caller, _] = self.targets(&answer);
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

    /// Records a call that `relay` carries, until [`Recorder::hang_up`]: its two parties, forked by the relay.
    ///
    /// # Panics
    /// When vouchd or the relay refuses.
    pub fn record(&mut self, relay: &Relay, speaker: &str, call_id: &str) {
        let fork = relay.fork(call_id);
        let metadata = metadata(speaker, call_id, [&fork.caller, &fork.callee]);
        let answer = self.open(&multipart(&fork.offer, &metadata));
        assert!(answer.starts_with("SIP/2.0 200 "), "the session was refused: {answer}");
        let (_, sdp) = answer.split_once("\r\n\r\n").expect("the session is answered with SDP");
        relay.send_to(&fork, sdp);
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
        let to = header(&answer, "To").expect("a response has a To");
        self.to_tag = to.split_once(";tag=").map(|(_, tag)| format!(";tag={tag}")).unwrap_or_default();
        self.send(self.number, "ACK", "", "");
        answer
    }

    fn reinvite(&mut self, speaker: &str, ports: [u16; 2], direction: &str) -> String {
        let answer = self.offer(&self.body(speaker, ports, direction));
        assert!(answer.starts_with("SIP/2.0 200 "), "the change was refused: {answer}");
        self.send(self.number, "ACK", "", "");
        answer
    }

    fn body(&self, speaker: &str, ports: [u16; 2], direction: &str) -> String {
        let body = session_offer(speaker, ports, (&self.call_id, direction));
        match &self.keys {
            Some(keys) => secured(&body, keys),
            None => body,
        }
    }

    /// Sends an INVITE and gives its final response; requests of vouchd that come meanwhile are accepted.
    fn offer(&mut self, body: &str) -> String {
        self.number += 1;
        let headers = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";
        self.send(self.number, "INVITE", headers, body);
        let number = format!("{} INVITE", self.number);
        loop {
            let message = self.receive().expect("vouchd answers the INVITE");
            if !message.starts_with("SIP/2.0 ") {
                self.accept(&message);
                self.received.push(message);
            } else if !message.starts_with("SIP/2.0 1") && header(&message, "CSeq") == Some(&number) {
                return message;
            }
        }
    }

    /// Sends the INVITE from two sockets; those, the final response, and where vouchd wants the audio.
    fn place(&mut self, session: &Session<'_>) -> ([UdpSocket; 2], String, [SocketAddr; 2]) {
        let media = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback has ports"));
        let ports = [0, 1].map(|index: usize| media[index].local_addr().expect("bound above").port());
        let answer = self.invite(session.speaker, ports);
        assert!(answer.starts_with("SIP/2.0 200 "), "the session was refused: {answer}");
        let targets = self.targets(&answer);
        (media, answer, targets)
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
        self.send(self.number + 1, "BYE", "", "");
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
        let (local, transport) = (self.wire.local(), self.wire.name());
        let (server, call_id, to_tag, length) = (self.server, &self.call_id, &self.to_tag, body.len());
        let message = format!(
            "{method} sip:recorder@{server} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch=z9hG4bK{call_id}{number}{method}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:src@{local}>;tag=src\r\n\
             To: <sip:recorder@{server}>{to_tag}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:src@{local}>;+sip.src\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, INFO\r\n\
             Recv-Info: voice-id\r\n\
             {headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.wire.send(&message);
    }

    fn receive(&mut self) -> Option<String> {
        self.wire.receive()
    }
}

/// Value of the first header of this name.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The 200 that accepts `request`.
pub fn accepted(request: &str) -> String {
    let copied =
        |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let headers: Vec<&str> = request.lines().filter(copied).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"))
}

/// What a recording session offers, as a multipart body with the boundary `part`: SDP with the caller's stream from
/// the first port and the agent's from the second, and metadata that says so.
pub fn session_offer(speaker: &str, ports: [u16; 2], (call_id, direction): (&str, &str)) -> String {
    let metadata = metadata(speaker, &format!("orig-{call_id}"), ["1", "2"]);
    multipart(&sdp(ports, direction), &metadata)
}

fn multipart(sdp: &str, metadata: &str) -> String {
    format!(
        "--part\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
         --part\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n\
         {metadata}\r\n--part--\r\n"
    )
}

/// The same offer with both streams secured, a suite that nobody has before each key.
fn secured(body: &str, keys: &[Srtp; 2]) -> String {
    let with_key = |body: String, (key, label): (&Srtp, u32)| {
        let line = format!("a=label:{label}\r\n");
        let crypto = format!("a=crypto:9 F8_128_HMAC_SHA1_80 inline:AAAA\r\na=crypto:{}\r\n", key.offer());
        body.replace(&line, &format!("{line}{crypto}"))
    };
    keys.iter().zip(1..).fold(body.replace("RTP/AVP", "RTP/SAVP"), with_key)
}

fn sdp(ports: [u16; 2], direction: &str) -> String {
    let media = |(port, label): (u16, u32)| {
        format!(
            "m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\na=label:{label}\r\n"
        )
    };
    let head = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    format!("{head}{}{}", media((ports[0], 1)), media((ports[1], 2)))
}

/// Metadata of the recorded call `call_id`, with the labels of the caller's and the agent's streams.
fn metadata(speaker: &str, call_id: &str, [caller, agent]: [&str; 2]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\"><datamode>complete</datamode>\
         <session session_id=\"s1\"><sipSessionID>{call_id}</sipSessionID></session>\
         <participant participant_id=\"p1\"><nameID aor=\"sip:{speaker}@caller.test\"/></participant>\
         <participant participant_id=\"p2\"><nameID aor=\"sip:agent@pbx.test\"/></participant>\
         <stream stream_id=\"t1\" session_id=\"s1\"><label>{caller}</label></stream>\
         <stream stream_id=\"t2\" session_id=\"s1\"><label>{agent}</label></stream>\
         <participantstreamassoc participant_id=\"p1\"><send>t1</send><recv>t2</recv></participantstreamassoc>\
         <participantstreamassoc participant_id=\"p2\"><send>t2</send><recv>t1</recv></participantstreamassoc>\
         </recording>"
    )
}
