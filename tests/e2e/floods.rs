//! Floods and slow peers: what is too much is refused and counted, and what is in progress goes on undisturbed.

use crate::five_callers_over_siprec::{enroll_file, record};
use common::clients::header;
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::Person;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long vouchd may take for anything here; its longest timer is 32 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// When a request is sent again that nobody answered.
pub(crate) const RESEND: Duration = Duration::from_millis(500);
/// Most TCP connections of peers at once.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// The most that any flood may add to the daemon's memory, in KiB.
pub(crate) const MOST_KIB: u64 = 200 * 1024;

/// A gateway that places calls faster than anybody should.
struct Gateway {
    socket: UdpSocket,
    port: u16,
}

impl Gateway {
    fn new(daemon: &Daemon) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(RESEND)).expect("a time above zero");
        Self { socket, port: daemon.sip_port() }
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    fn send(&self, message: &str) {
        self.socket
            .send_to(message.as_bytes(), ("127.0.0.1", self.port))
            .expect("loopback takes every packet");
    }

    /// The next message; `again` is called for as long as none comes.
    fn receive(&self, again: impl Fn()) -> String {
        let mut buffer = [0; 65_536];
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(length) = self.socket.recv(&mut buffer) {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
            again();
        }
        panic!("vouchd says nothing");
    }

    /// Sends an INVITE with the media port `media`, and gives its final response.
    fn invite(&self, call: &str, media: u16) -> String {
        let offer = ("Content-Type: application/sdp\r\n", &*offer(media));
        let invite = request("INVITE", call, self.local(), "", offer);
        self.send(&invite);
        loop {
            // A flood may have pushed it out of the queue.
            let answer = self.receive(|| self.send(&invite));
            let of_this = header(&answer, "Call-ID") == Some(call);
            if of_this && answer.starts_with("SIP/2.0 ") && !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }

    fn acknowledge(&self, call: &str, answer: &str) {
        let to = header(answer, "To").expect("a response has a To");
        let tag = to.split_once(";tag=").map_or(String::new(), |(_, tag)| format!(";tag={tag}"));
        self.send(&request("ACK", call, self.local(), &tag, ("", "")));
    }
}

/// A request with the branch and the number that all requests of `call` have.
pub(crate) fn request(
    method: &str,
    call: &str,
    local: SocketAddr,
    tag: &str,
    (more, body): (&str, &str),
) -> String {
    format!(
        "{method} sip:vouch@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:flood@127.0.0.1>;tag=f\r\nTo: <sip:vouch@127.0.0.1>{tag}\r\n\
         Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:flood@{local}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Offers audio on the port `media`.
pub(crate) fn offer(media: u16) -> String {
    format!(
        "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {media} RTP/AVP 0\r\n"
    )
}

/// Waits until a counter is at least at `least`, and gives where it is then.
pub(crate) fn reached(daemon: &Daemon, name: &str, least: u64) -> u64 {
    for _ in 0..100 {
        let figure = daemon.metric(name);
        if figure >= least {
            return figure;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{name} is {}, not {least}", daemon.metric(name));
}

/// Memory of the daemon that is in use, in KiB.
pub(crate) fn resident_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn calls_beyond_the_limit_are_refused_and_the_one_in_progress_is_verified() {
    const TALK: f32 = 22.0;
    let Some(voice) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start_with_most_calls(1);
    enroll_file(&daemon, "1001", &voice);
    let talk = Person::Allison.talk(1, TALK).expect("present above");
    let over = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            daemon.wait_for(&["status"], |status| status["calls"] == 1);
            let gateway = Gateway::new(&daemon);
            let mut refused = 0;
            while !over.load(Ordering::Relaxed) && refused < 3000 {
                let call = format!("flood-{refused}");
                let answer = gateway.invite(&call, 4000);
                assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
                gateway.acknowledge(&call, &answer);
                refused += 1;
            }
            refused
        });
        let result = record(&daemon, "1001", &talk, Faults::default());
        over.store(true, Ordering::Relaxed);
        assert_eq!(result["status"], "authenticated", "{result}");
        assert_eq!(result["quality"]["loss"], 0.0, "{result}");
        flood.join().expect("the flood was refused")
    });
    assert!(refused > 100, "{refused} INVITEs are no flood");
    assert_eq!(reached(&daemon, "vouch_calls_refused_total{reason=\"full\"}", refused), refused);
    // What comes within the last round of 40 ms, together with the BYE, is heard no more.
    let sent = 2 * (TALK * 50.0) as u64;
    assert!((sent - 2..=sent).contains(&reached(&daemon, "vouch_rtp_packets_total", sent - 2)));
    for name in ["vouch_rtp_lost_total", "vouch_rtp_dropped_by_kernel_total"] {
        assert_eq!(daemon.metric(name), 0, "{name}");
    }
}

#[test]
fn strangers_get_403_and_leave_nothing_behind() {
    let daemon = Daemon::start_with("[[peers]]\nname = \"elsewhere\"\naddress = [\"192.0.2.0/24\"]\n");
    let gateway = Gateway::new(&daemon);
    for number in 0..300 {
        let answer = gateway.invite(&format!("stranger-{number}"), 4000);
        assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
    }
    assert_eq!(reached(&daemon, "vouch_sip_refused_peers_total", 300), 300);
    assert_eq!(daemon.ask(&["status"])["calls"], 0);
    assert_eq!(daemon.metric("vouch_sip_resent_total"), 0, "no transaction is kept for a stranger");
}

#[test]
fn a_call_that_nobody_acknowledges_makes_room_again() {
    let daemon = Daemon::start_with_most_calls(1);
    let gateway = Gateway::new(&daemon);
    assert!(gateway.invite("half-open", 4000).starts_with("SIP/2.0 200 "));
    let answer = gateway.invite("meanwhile", 4000);
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    gateway.acknowledge("meanwhile", &answer);
    while !gateway.receive(|| ()).starts_with("BYE ") {}
    daemon.wait_for(&["status"], |status| status["calls"] == 0);
    let answer = gateway.invite("afterwards", 4000);
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    gateway.acknowledge("afterwards", &answer);
    assert_eq!(reached(&daemon, "vouch_sip_timeouts_total", 1), 1);
}

#[test]
fn rtp_from_elsewhere_is_counted_and_not_heard() {
    let daemon = Daemon::start();
    let gateway = Gateway::new(&daemon);
    let media = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    let answer = gateway.invite("spoofed", media.local_addr().expect("bound").port());
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    gateway.acknowledge("spoofed", &answer);
    let line = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio is answered");
    let port: u16 = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    let spoofer = UdpSocket::bind("127.0.0.2:0").expect("loopback has many addresses");
    let packet = |number: u16| {
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend([0xff; 160]);
        packet
    };
    for number in 0..300 {
        spoofer.send_to(&packet(number), ("127.0.0.1", port)).expect("loopback takes every packet");
        if number % 6 == 0 {
            media.send_to(&packet(number / 6), ("127.0.0.1", port)).expect("loopback takes every packet");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(reached(&daemon, "vouch_rtp_wrong_source_total", 300), 300);
    assert_eq!(reached(&daemon, "vouch_rtp_packets_total", 50), 50);
    assert_eq!(daemon.metric("vouch_rtp_lost_total"), 0);
}

#[test]
fn peers_that_never_finish_a_message_keep_nobody_out_for_long() {
    let daemon = Daemon::start();
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", daemon.sip_port())).expect("vouchd listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        stream
    };
    let is_closed = |stream: &mut TcpStream| !matches!(stream.read(&mut [0; 64]), Ok(1..));
    let mut slow: Vec<TcpStream> = (0..MAX_CONNECTIONS).map(|_| connect()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"OPTI").expect("vouchd reads"));
    for _ in 0..10 {
        assert!(is_closed(&mut connect()), "one connection too many");
    }
    assert_eq!(reached(&daemon, "vouch_sip_refused_connections_total", 10), 10);
    let gateway = Gateway::new(&daemon);
    gateway.send(&request("OPTIONS", "meanwhile", gateway.local(), "", ("", "")));
    assert!(gateway.receive(|| ()).starts_with("SIP/2.0 200 "), "UDP is served meanwhile");
    // A byte now and then wins no time.
    for byte in b"ONS sip:vouch@127.0.0.1 SIP/2.0" {
        for stream in &mut slow {
            // Those that are closed by now say so.
            let _ = stream.write(&[*byte]);
        }
        std::thread::sleep(Duration::from_millis(400));
    }
    assert!(slow.iter_mut().all(is_closed), "a slow peer is still there");
    assert_eq!(
        reached(&daemon, "vouch_sip_unfinished_total", MAX_CONNECTIONS as u64),
        MAX_CONNECTIONS as u64
    );
    let mut stream = connect();
    let local = stream.local_addr().expect("connected");
    stream.write_all(request("OPTIONS", "after", local, "", ("", "")).as_bytes()).expect("vouchd reads");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("there is room again");
    assert_eq!(&answer, b"SIP/2.0 200 ");
}

#[test]
fn ten_thousand_options_at_once_leave_memory_bounded_and_room_for_calls() {
    let daemon = Daemon::start();
    let before = resident_kib(&daemon);
    let gateway = Gateway::new(&daemon);
    let local = gateway.local();
    for number in 0..10_000 {
        gateway.send(&request("OPTIONS", &format!("poll-{number}"), local, "", ("", "")));
    }
    // What has not been answered by now lies in the queue or was dropped.
    let answer = gateway.invite("after-the-flood", 4000);
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    gateway.acknowledge("after-the-flood", &answer);
    let grown = resident_kib(&daemon).saturating_sub(before);
    assert!(grown < MOST_KIB, "{grown} KiB more");
    assert_eq!(daemon.ask(&["status"])["calls"], 1);
}

#[test]
fn messages_that_are_too_large_are_refused_and_counted() {
    let daemon = Daemon::start();
    let before = resident_kib(&daemon);
    let gateway = Gateway::new(&daemon);
    let many = "X-Padding: x\r\n".repeat(4000);
    let long = format!("X-Padding: {}\r\n", "x".repeat(60_000));
    for (number, padding) in [&many, &long].into_iter().cycle().take(100).enumerate() {
        let call = format!("large-{number}");
        gateway.send(&request("OPTIONS", &call, gateway.local(), "", (padding, "")));
        let answer = gateway.receive(|| ());
        assert!(answer.starts_with("SIP/2.0 "), "{answer}");
    }
    let huge = request("OPTIONS", "huge", gateway.local(), "", ("", ""))
        .replace("Content-Length: 0", "Content-Length: 4294967295");
    for text in [huge, "x".repeat(200_000)] {
        let mut stream = TcpStream::connect(("127.0.0.1", daemon.sip_port())).expect("vouchd listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        // It may be closed before all is written.
        let _ = stream.write_all(text.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"SIP/2.0 4"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(daemon.metric("vouch_sip_malformed_total") >= 1, "what cannot be SIP is counted");
    let grown = resident_kib(&daemon).saturating_sub(before);
    assert!(grown < MOST_KIB, "{grown} KiB more");
}
