//! The shell over real sockets on the loopback.

use super::*;
use crate::sip::peers::Peers;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Long enough for a loaded machine; no test waits it out unless it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the shell on free ports of the loopback, UDP and TCP, for the given peers.
pub(super) async fn start_on(ip: &str, peers: &str) -> Sip {
    start_with(ip, peers, TcpLimits::default()).await
}

/// The same with these bounds of connections.
async fn start_with(ip: &str, peers: &str, tcp: TcpLimits) -> Sip {
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    let listen = [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address }).to_vec();
    let agent = AgentConfig { peers: Peers::new([peers.parse().unwrap()]), ..AgentConfig::default() };
    start(SipConfig { listen, agent, tcp, ..SipConfig::default() }).await.unwrap()
}

/// An application that answers everything with 200, calls with `sdp`; it ends with the SIP part.
pub(super) fn accept_all(
    mut events: mpsc::Receiver<Event>,
    handle: SipHandle,
    sdp: String,
) -> JoinHandle<Vec<Event>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(event) = events.recv().await {
            let command = match &event {
                Event::Invite { dialog, .. } | Event::Reinvite { dialog, .. } => {
                    SipCommand::Answer(*dialog, Reply::new(200).body("application/sdp", sdp.clone()))
                }
                Event::Options { key, .. } => SipCommand::Respond(*key, Reply::new(200)),
                _ => {
                    let ended = matches!(event, Event::Ended { .. });
                    seen.push(event);
                    if ended { break } else { continue }
                }
            };
            seen.push(event);
            handle.send(command).await.unwrap();
        }
        seen
    })
}

pub(super) fn options(from: SocketAddr, number: u32) -> String {
    format!(
        "OPTIONS sip:vouch@h SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number};rport\r\n\
         From: <sip:gw@h>;tag=1\r\nTo: <sip:vouch@h>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

async fn ask_udp(ip: &str, to: SocketAddr) -> String {
    let socket = UdpSocket::bind((ip, 0)).await.unwrap();
    let request = options(socket.local_addr().unwrap(), 1);
    socket.send_to(request.as_bytes(), to).await.unwrap();
    let mut buffer = [0; 4096];
    let (length, from) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(from, to);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Reads until `end` has come, or the connection ends.
pub(super) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
            Ok(length @ 1..) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
            _ => break,
        }
    }
    text
}

#[tokio::test]
async fn options_are_answered_over_udp_of_both_families() {
    for ip in ["127.0.0.1", "::1"] {
        let sip = start_on(ip, ip).await;
        let application = accept_all(sip.events, sip.handle.clone(), String::new());
        let answer = ask_udp(ip, sip.listening[0].address).await;
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        assert_eq!(sip.handle.counters().received.get(), 1);
        application.abort();
    }
}

#[tokio::test]
async fn strangers_are_refused_over_udp_and_tcp() {
    let mut sip = start_on("127.0.0.1", "192.0.2.1").await;
    let answer = ask_udp("127.0.0.1", sip.listening[0].address).await;
    assert!(answer.starts_with("SIP/2.0 403 Forbidden\r\n"), "{answer}");
    let mut stream = TcpStream::connect(sip.listening[1].address).await.unwrap();
    let request = options(stream.local_addr().unwrap(), 2);
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("SIP/2.0 403 Forbidden\r\n"), "{answer}");
    assert_eq!(sip.handle.counters().refused_peers.get(), 2);
    assert!(sip.events.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_carries_messages_in_pieces_and_pings() {
    let sip = start_on("127.0.0.1", "127.0.0.0/8").await;
    let application = accept_all(sip.events, sip.handle.clone(), String::new());
    let mut stream = TcpStream::connect(sip.listening[1].address).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n").await, "\r\n");

    let local = stream.local_addr().unwrap();
    let both = format!("{}{}", options(local, 1), options(local, 2));
    let (head, tail) = both.split_at(100);
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    stream.write_all(tail.as_bytes()).await.unwrap();
    let answers = read_until(&mut stream, "Call-ID: o2").await;
    assert_eq!(answers.matches("SIP/2.0 200 OK").count(), 2, "{answers}");
    application.abort();
}

#[tokio::test]
async fn a_silent_connection_makes_room_for_a_new_one_and_a_used_one_stays() {
    let limits =
        TcpLimits { max_connections: 2, message_within: Duration::from_millis(500), ..TcpLimits::default() };
    let sip = start_with("127.0.0.1", "127.0.0.1", limits).await;
    let application = accept_all(sip.events, sip.handle.clone(), String::new());
    let connect = async || TcpStream::connect(sip.listening[1].address).await.unwrap();
    let is_served = async |stream: &mut TcpStream, number| {
        let request = options(stream.local_addr().unwrap(), number);
        stream.write_all(request.as_bytes()).await.is_ok()
            && read_until(stream, "\r\n\r\n").await.starts_with("SIP/2.0 200 ")
    };
    let mut used = connect().await;
    assert!(is_served(&mut used, 1).await);
    let mut silent = connect().await;
    let made_room = async {
        while !is_served(&mut connect().await, 2).await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, made_room).await.unwrap();
    assert!(read_until(&mut silent, "never").await.is_empty(), "closed");
    assert!(is_served(&mut used, 3).await);
    assert_eq!(sip.handle.counters().closed_for_room.get(), 1);
    application.abort();
}

#[tokio::test]
async fn a_peer_that_never_reads_its_answers_is_closed_and_counted() {
    let limits = TcpLimits { message_within: Duration::from_millis(100), ..TcpLimits::default() };
    let sip = start_with("127.0.0.1", "127.0.0.1", limits).await;
    let application = accept_all(sip.events, sip.handle.clone(), String::new());
    let mut deaf = TcpStream::connect(sip.listening[1].address).await.unwrap();
    let local = deaf.local_addr().unwrap();
    // Comes back in the answer, so that these fill what the system keeps for a connection.
    let tag = format!("tag=1;{}", "x".repeat(20_000));
    let asks = async {
        for number in 1.. {
            let request = options(local, number).replace("tag=1", &tag);
            if deaf.write_all(request.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, asks).await.expect("it is closed");
    assert!(sip.handle.counters().send_failures.get() >= 1);
    let mut other = TcpStream::connect(sip.listening[1].address).await.unwrap();
    let request = options(other.local_addr().unwrap(), 0);
    other.write_all(request.as_bytes()).await.unwrap();
    assert!(read_until(&mut other, "\r\n\r\n").await.starts_with("SIP/2.0 200 "));
    application.abort();
}

#[tokio::test]
async fn a_broken_stream_is_told_so_and_closed() {
    let sip = start_on("127.0.0.1", "127.0.0.1").await;
    let mut stream = TcpStream::connect(sip.listening[1].address).await.unwrap();
    let request = options(stream.local_addr().unwrap(), 1).replace("Length: 0", "Length: -999");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "never").await;
    assert!(
        answer.starts_with("SIP/2.0 400 Bad Request (Content-Length: number out of range)\r\n"),
        "{answer}"
    );
    assert_eq!(sip.handle.counters().malformed.get(), 1);
}

#[tokio::test]
async fn a_hang_up_finds_a_new_connection_when_the_old_one_is_gone() {
    let mut sip = start_on("127.0.0.1", "127.0.0.1").await;
    let gateway = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let contact = gateway.local_addr().unwrap();
    let mut stream = TcpStream::connect(sip.listening[1].address).await.unwrap();
    let local = stream.local_addr().unwrap();
    let request = |method: &str, tag: &str| {
        options(local, 1)
            .replace("OPTIONS", method)
            .replace("To: <sip:vouch@h>", &format!("To: <sip:vouch@h>{tag}\r\nContact: <sip:gw@{contact}>"))
    };
    stream.write_all(request("INVITE", "").as_bytes()).await.unwrap();
    let Some(Event::Invite { dialog, .. }) = timeout(PATIENCE, sip.events.recv()).await.unwrap() else {
        panic!()
    };
    sip.handle.send(SipCommand::Answer(dialog, Reply::new(200))).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    let (_, tag) = answer.split_once("To: <sip:vouch@h>;tag=").unwrap();
    let tag = format!(";tag={}", tag.split_once("\r\n").unwrap().0);
    let ack = request("ACK", &tag).replace("z9hG4bK1", "z9hG4bKack");
    stream.write_all(ack.as_bytes()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, sip.events.recv()).await.unwrap(), Some(Event::Acked { .. })));
    drop(stream);
    // What is sent before the shell has seen the end of the old connection is lost with it.
    let reconnected = async {
        loop {
            sip.handle.send(SipCommand::Info(dialog, Vec::new(), None)).await.unwrap();
            if let Ok(accepted) = timeout(Duration::from_millis(20), gateway.accept()).await {
                break accepted.unwrap().0;
            }
        }
    };
    let mut incoming = timeout(PATIENCE, reconnected).await.unwrap();
    sip.handle.send(SipCommand::Bye(dialog)).await.unwrap();
    let text = read_until(&mut incoming, "BYE").await;
    assert!(text.contains("BYE sip:gw@127.0.0.1"), "{text}");
}

#[tokio::test]
async fn a_taken_port_is_named_and_the_task_ends_with_its_handles() {
    let sip = start_on("127.0.0.1", "127.0.0.1").await;
    let taken = SipConfig { listen: vec![sip.listening[0]], ..SipConfig::default() };
    let error = start(taken.clone()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}: ", sip.listening[0])), "{error}");
    drop(sip.handle);
    timeout(PATIENCE, sip.task).await.unwrap().unwrap();
    // The reader lets go of its port as soon as it sees that nobody listens any more.
    let free = async {
        while start(taken.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
}
