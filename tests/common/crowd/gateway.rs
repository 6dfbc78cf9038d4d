//! The signalling of all calls: a recording client (RFC 7866) that places them one after the other from one socket.

use crate::clients::{accepted, header, session_offer};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// How long a response may take, retransmissions included.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time after which a request is sent again (T1 of RFC 3261).
const RESEND: Duration = Duration::from_millis(500);

/// A recording client with many calls.
#[derive(Debug)]
pub struct Gateway {
    socket: UdpSocket,
    server: SocketAddr,
    /// Call-ID of each call, and its To header as answered.
    calls: Vec<(String, String)>,
    /// Answers that were pushed to us, by Call-ID.
    pushed: HashMap<String, String>,
}

impl Gateway {
    /// A client of the vouchd on `port`.
    ///
    /// # Panics
    /// When loopback has no port.
    pub fn new(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { socket, server, calls: Vec::new(), pushed: HashMap::new() }
    }

    /// Places a call of `speaker` with both streams from `port`; gives where they are to be sent.
    ///
    /// # Panics
    /// When vouchd refuses it, with what it said.
    pub fn place(&mut self, speaker: &str, port: u16) -> [SocketAddrV4; 2] {
        let call_id = format!("load-{}-{}", std::process::id(), self.calls.len());
        let body = session_offer(speaker, [port; 2], (&call_id, "sendonly"));
        let to = format!("<sip:recorder@{}>", self.server);
        let headers = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";
        let invite = self.request(("INVITE", 1), (&call_id, &to), (headers, &body));
        let answer = self.ask(&invite, &call_id, "1 INVITE");
        assert!(answer.starts_with("SIP/2.0 200 "), "call {} was refused: {answer}", self.calls.len());
        let to = header(&answer, "To").unwrap_or(&to).to_owned();
        self.send(&self.request(("ACK", 1), (&call_id, &to), ("", "")));
        self.calls.push((call_id, to));
        let mut ports = answer.lines().filter_map(|line| line.strip_prefix("m=audio "));
        [(); 2].map(|()| {
            let port = ports.next().and_then(|line| line.split(' ').next()?.parse().ok());
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.expect("two streams are answered"))
        })
    }

    /// Takes what vouchd sends until `until`.
    pub fn attend(&mut self, until: Instant) {
        while let Some(message) = self.receive(until) {
            self.take(&message);
        }
    }

    /// Ends all calls.
    ///
    /// # Panics
    /// When vouchd does not answer.
    pub fn hang_up(&mut self) {
        for (call_id, to) in std::mem::take(&mut self.calls) {
            let bye = self.request(("BYE", 2), (&call_id, &to), ("", ""));
            self.ask(&bye, &call_id, "2 BYE");
        }
    }

    /// Call-ID of call `number`.
    ///
    /// # Panics
    /// When there is no such call.
    pub fn call_id(&self, number: usize) -> &str {
        &self.calls[number].0
    }

    /// The last status that vouchd pushed for a call.
    pub fn pushed(&self, call_id: &str) -> Option<&str> {
        self.pushed.get(call_id).map(String::as_str)
    }

    /// Sends a request until its final response is there.
    fn ask(&mut self, request: &str, call_id: &str, cseq: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.send(request);
            let resend = Instant::now() + RESEND;
            while let Some(message) = self.receive(resend) {
                let ours =
                    header(&message, "Call-ID") == Some(call_id) && header(&message, "CSeq") == Some(cseq);
                if ours && message.starts_with("SIP/2.0 ") && !message.starts_with("SIP/2.0 1") {
                    return message;
                }
                self.take(&message);
            }
        }
        panic!("vouchd does not answer within {} s: {request}", PATIENCE.as_secs());
    }

    /// Accepts a request of vouchd and notes the answer that it brings.
    fn take(&mut self, message: &str) {
        if message.starts_with("SIP/2.0 ") {
            return;
        }
        self.send(&accepted(message));
        if let (Some(call_id), Some(status)) =
            (header(message, "Call-ID"), header(message, "X-Voice-ID-Status"))
        {
            self.pushed.insert(call_id.to_owned(), status.to_owned());
        }
    }

    fn request(
        &self,
        (method, number): (&str, u32),
        (call_id, to): (&str, &str),
        (headers, body): (&str, &str),
    ) -> String {
        let local = self.socket.local_addr().expect("a bound socket has an address");
        let server = self.server;
        format!(
            "{method} sip:recorder@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{method}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:src@{local}>;tag=src\r\n\
             To: {to}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:src@{local}>;+sip.src\r\n\
             Recv-Info: voice-id\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn send(&self, message: &str) {
        self.socket.send_to(message.as_bytes(), self.server).expect("loopback takes every packet");
    }

    fn receive(&self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        self.socket.set_read_timeout(Some(left)).expect("a time above zero");
        let mut buffer = [0; 65_536];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}
