//! A gateway that sends the caller's voice in a codec of its choice, on a plain media leg or a recording session.

use super::dialog::header;
use super::recording::session_offer;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A call to place.
#[derive(Clone, Copy, Debug)]
pub struct CodedCall<'a> {
    /// Speaker id: the user part of From.
    pub speaker: &'a str,
    /// Payload type and `a=rtpmap` value of the codec, the only one offered.
    pub codec: (u8, &'a str),
    /// Payloads of 20 ms each.
    pub payloads: &'a [Vec<u8>],
    /// Units of the RTP clock that each takes.
    pub ticks: u32,
    /// Whether it is a recording session, in which the agent says nothing.
    pub recorded: bool,
}

impl CodedCall<'_> {
    /// Places the call with the vouchd that listens on `port`, talks to the end, hangs up; gives its Call-ID.
    ///
    /// # Panics
    /// When vouchd does not answer, or refuses.
    pub fn place(&self, port: u16) -> String {
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let signalling = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        signalling.set_read_timeout(Some(Duration::from_secs(5))).expect("a time above zero");
        let media = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let local = signalling.local_addr().expect("a bound socket has an address");
        let call_id = format!("coded-{}-{}", std::process::id(), local.port());
        let dialog = Dialog { signalling, server, local, call_id, speaker: self.speaker };

        let port = media.local_addr().expect("bound above").port();
        let answer = match self.recorded {
            true => dialog.invite(RECORDING, &self.recording_offer(port, &dialog.call_id)),
            false => dialog.invite(PLAIN, &self.offer(port)),
        };
        assert!(answer.starts_with("SIP/2.0 200 "), "the call was refused: {answer}");
        self.talk(&media, SocketAddr::new(server.ip(), media_port(&answer)));
        dialog.hang_up(&answer);
        dialog.call_id
    }

    fn offer(&self, port: u16) -> String {
        let (number, rtpmap) = self.codec;
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {number}\r\na=rtpmap:{number} {rtpmap}\r\na=ptime:20\r\na=sendonly\r\n"
        )
    }

    /// The recording session that everybody offers, with this codec alone.
    fn recording_offer(&self, port: u16, call_id: &str) -> String {
        let (number, rtpmap) = self.codec;
        // The agent's port is one that nobody sends from.
        session_offer(self.speaker, [port, 9], (call_id, "sendonly"))
            .replace("RTP/AVP 0 8 101", &format!("RTP/AVP {number} 101"))
            .replace("a=rtpmap:0 PCMU/8000\r\n", &format!("a=rtpmap:{number} {rtpmap}\r\n"))
            .replace("a=rtpmap:8 PCMA/8000\r\n", "")
    }

    /// Sends the payloads in real time (RFC 3550 section 5.1).
    fn talk(&self, media: &UdpSocket, target: SocketAddr) {
        let start = Instant::now();
        for (index, payload) in self.payloads.iter().enumerate() {
            let due = start + Duration::from_millis(20 * index as u64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut packet = vec![0x80, self.codec.0];
            packet.extend((index as u16).to_be_bytes());
            packet.extend((index as u32 * self.ticks).to_be_bytes());
            packet.extend(0xC0DE_u32.to_be_bytes());
            packet.extend(payload);
            media.send_to(&packet, target).expect("loopback takes every packet");
        }
    }
}

const PLAIN: &str = "Content-Type: application/sdp\r\n";
const RECORDING: &str = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";

struct Dialog<'a> {
    signalling: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
    call_id: String,
    speaker: &'a str,
}

impl Dialog<'_> {
    /// Sends the INVITE and acknowledges its final response, which it gives.
    fn invite(&self, headers: &str, offer: &str) -> String {
        self.send("INVITE", 1, "", (headers, offer));
        let answer = loop {
            let message = self.receive();
            if !message.starts_with("SIP/2.0 1") {
                break message;
            }
        };
        self.send("ACK", 1, to_tag(&answer), ("", ""));
        answer
    }

    fn hang_up(&self, answer: &str) {
        self.send("BYE", 2, to_tag(answer), ("", ""));
        while !self.receive().contains("CSeq: 2 BYE") {}
    }

    fn send(&self, method: &str, number: u32, to_tag: &str, (headers, body): (&str, &str)) {
        let Self { server, local, call_id, speaker, .. } = self;
        let length = body.len();
        let message = format!(
            "{method} sip:vouch@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{number}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{speaker}@{local}>;tag=coded\r\nTo: <sip:vouch@{server}>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:gateway@{local}>\r\n\
             {headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.signalling.send_to(message.as_bytes(), server).expect("loopback takes every packet");
    }

    fn receive(&self) -> String {
        let mut buffer = [0; 65_536];
        let length = self.signalling.recv(&mut buffer).expect("vouchd answers");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

fn to_tag(answer: &str) -> &str {
    let to = header(answer, "To").expect("a response has a To");
    to.find(";tag=").map_or("", |at| &to[at..])
}

fn media_port(answer: &str) -> u16 {
    let line = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("the line is answered");
    line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}
