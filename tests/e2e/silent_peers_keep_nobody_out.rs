//! Peers that connect and say nothing: they have their places while nobody else wants them.

use crate::floods::{MAX_CONNECTIONS, PATIENCE, RESEND, offer, reached, request};
use common::daemon::Daemon;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Sends a request along a connection, and gives the head of what is answered; nothing where the connection ends.
fn ask(stream: &mut TcpStream, method: &str, call: &str, more: (&str, &str)) -> Option<String> {
    let local = stream.local_addr().expect("connected");
    stream.write_all(request(method, call, local, "", more).as_bytes()).ok()?;
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains("\r\n\r\n") {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        answer += &String::from_utf8_lossy(&buffer[..length]);
    }
    Some(answer)
}

#[test]
fn a_call_over_tcp_finds_room_beside_peers_that_say_nothing() {
    let daemon = Daemon::start();
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", daemon.sip_port())).expect("vouchd listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        stream
    };
    let mut used = connect();
    let answer = ask(&mut used, "OPTIONS", "before", ("", ""));
    assert!(answer.is_some_and(|answer| answer.starts_with("SIP/2.0 200 ")));
    let _silent: Vec<TcpStream> = (1..MAX_CONNECTIONS).map(|_| connect()).collect();
    let offer = ("Content-Type: application/sdp\r\n", &*offer(4000));
    let start = Instant::now();
    let answer = loop {
        assert!(start.elapsed() < PATIENCE, "silent connections keep everybody out");
        // Who is refused comes again.
        match ask(&mut connect(), "INVITE", "call", offer) {
            Some(answer) => break answer,
            None => std::thread::sleep(RESEND),
        }
    };
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    assert_eq!(daemon.ask(&["status"])["calls"], 1);
    assert!(reached(&daemon, "vouch_sip_closed_for_room_total", 1) >= 1);
    let answer = ask(&mut used, "OPTIONS", "after", ("", ""));
    assert!(answer.is_some_and(|answer| answer.starts_with("SIP/2.0 200 ")), "who was there stays");
}
