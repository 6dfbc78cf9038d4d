//! Garbage on every port, and peers that nobody configured: clear answers or counted drops, and life goes on.

use common::clients::{Recorder, header};
use common::daemon::Daemon;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn exchange(port: u16, message: &str) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time above zero");
    let message = message.replace("{local}", &socket.local_addr().expect("bound").to_string());
    socket.send_to(message.as_bytes(), ("127.0.0.1", port)).expect("loopback takes every packet");
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn request(method: &str, more: &str, body: &str) -> String {
    format!(
        "{method} sip:vouch@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {{local}};branch=z9hG4bKx{method}{}\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:vouch@127.0.0.1>\r\nCall-ID: garbage-{}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@{{local}}>\r\nMax-Forwards: 70\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len() + more.len(),
        body.len() + more.len(),
        body.len()
    )
}

#[test]
fn bad_bodies_are_refused_with_the_reason() {
    let daemon = Daemon::start();
    let offer = "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 15\r\n";
    let sdp = "Content-Type: application/sdp\r\n";
    let siprec = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=x\r\n";
    for (what, message, status) in [
        ("only G.728 offered", request("INVITE", sdp, offer), "488"),
        ("not SDP at all", request("INVITE", sdp, "hello"), "400"),
        ("no multipart in it", request("INVITE", siprec, "hello"), "400"),
        ("an unknown extension", request("INVITE", "Require: teleport\r\n", ""), "420"),
        ("an unknown body type", request("INVITE", "Content-Type: text/plain\r\n", "hi"), "415"),
        ("an unknown method", request("JUMP", "", ""), "405"),
    ] {
        let answer = loop_past_trying(daemon.sip_port(), &message);
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{what}: {answer}");
    }
    assert_eq!(daemon.ask(&["status"])["calls"], 0);
}

fn loop_past_trying(port: u16, message: &str) -> String {
    exchange(port, message).expect("vouchd answers")
}

#[test]
fn noise_on_every_port_disturbs_nothing() {
    let daemon = Daemon::start();
    let noise: Vec<u8> = (0..60_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    for length in [0, 1, 11, 12, 100, 1500, 60_000] {
        for port in [daemon.sip_port(), daemon.rtp_port(), daemon.rtp_port() + 1] {
            let _ = udp.send_to(&noise[..length], ("127.0.0.1", port));
        }
        if let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", daemon.sip_port())) {
            let _ = tcp.write_all(&noise[..length]);
        }
        let mut socket = UnixStream::connect(daemon.socket()).expect("the socket takes connections");
        let _ = socket.write_all(&noise[..length]);
    }
    let mut socket = UnixStream::connect(daemon.socket()).expect("the socket takes connections");
    socket.write_all(b"POST /v1/calls/x/enroll HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"bad\":").expect("the socket takes a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(daemon.ask(&["status"])["health"], "ready");
}

#[test]
fn a_stranger_is_refused() {
    let daemon = Daemon::start_with("[[peers]]\nname = \"elsewhere\"\naddress = [\"192.0.2.0/24\"]\n");
    let answer = exchange(daemon.sip_port(), &request("OPTIONS", "", "")).expect("vouchd answers");
    assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
}

#[test]
fn a_peer_may_poll_with_options() {
    let daemon = Daemon::start();
    let answer = exchange(daemon.sip_port(), &request("OPTIONS", "", "")).expect("vouchd answers");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    assert!(header(&answer, "Allow").is_some_and(|methods| methods.contains("INFO")), "{answer}");
    let recorder = Recorder::new(daemon.sip_port());
    let query = format!("X-Voice-ID-Call: {}\r\n", recorder.call_id());
    let answer = exchange(daemon.sip_port(), &request("OPTIONS", &query, "")).expect("vouchd answers");
    assert!(answer.starts_with("SIP/2.0 404 "), "a call that is not there: {answer}");
}
