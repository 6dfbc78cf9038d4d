//! Peers that are slow by TLS, in every way that one can be: they are bounded, counted and closed, and the call in progress is
//! verified as if they were not there.

use crate::five_callers_over_siprec::{enroll_file, record};
use crate::floods::{MAX_CONNECTIONS, MOST_KIB, PATIENCE, metric, reached, request, resident_kib};
use common::clients::connect_tls;
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::Person;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Of each kind that is too slow.
const SLOW: usize = 80;
/// The beginning of a ClientHello of 512 bytes.
const HELLO: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

type Secured = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// Where vouchd listens by TLS, and its certificate.
struct Server<'a>(SocketAddr, &'a str);

impl Server<'_> {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.0).expect("vouchd listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        stream
    }

    fn shake_hands(&self) -> Secured {
        let mut stream = connect_tls(self.0, self.1);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("vouchd shakes hands");
        }
        stream
    }
}

/// Whether an OPTIONS is answered along this connection.
fn is_served(stream: &mut Secured, call: &str) -> bool {
    let local = stream.sock.local_addr().expect("connected");
    let options = request("OPTIONS", call, local, "", ("", "")).replace("SIP/2.0/UDP", "SIP/2.0/TLS");
    stream.write_all(options.as_bytes()).expect("vouchd reads");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).is_ok() && &answer == b"SIP/2.0 200 "
}

#[test]
fn slow_peers_are_closed_and_counted_while_a_call_is_verified() {
    let Some(voice) = Person::Allison.talk(0, 55.0) else { return };
    let (daemon, root) = Daemon::start_with_tls("");
    enroll_file(&daemon, "1001", &voice);
    let talk = Person::Allison.talk(1, 30.0).expect("present above");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| record(&daemon, "1001", &talk, Faults::default()));
        daemon.wait_for(&["status"], |status| status["calls"] == 1);
        be_slow(&daemon, &Server(SocketAddr::from(([127, 0, 0, 1], daemon.tls_port())), &root));
        let result = call.join().expect("the call went well");
        assert_eq!(result["status"], "authenticated", "{result}");
        assert_eq!(result["quality"]["loss"], 0.0, "{result}");
    });
}

fn be_slow(daemon: &Daemon, server: &Server<'_>) {
    let before = resident_kib(daemon);
    let mut silent: Vec<Secured> = (0..MAX_CONNECTIONS - 3 * SLOW).map(|_| server.shake_hands()).collect();
    let mut talking: Vec<Secured> = (0..SLOW).map(|_| server.shake_hands()).collect();
    let half_open: Vec<TcpStream> = (0..SLOW).map(|_| server.connect()).collect();
    let mut greeting: Vec<TcpStream> = (0..SLOW).map(|_| server.connect()).collect();
    for _ in 0..10 {
        assert!(!matches!(server.connect().read(&mut [0; 64]), Ok(1..)), "one connection too many");
    }
    assert_eq!(reached(daemon, "vouch_sip_refused_connections_total", 10), 10);
    greeting.iter_mut().for_each(|stream| stream.write_all(&HELLO).expect("vouchd reads"));
    let grown = resident_kib(daemon).saturating_sub(before);
    assert!(grown < MOST_KIB, "{grown} KiB more");
    // A byte now and then wins no time.
    let (slow, start) = (SLOW as u64, Instant::now());
    let is_over = || {
        metric(daemon, "vouch_sip_failed_handshakes_total") >= 2 * slow
            && metric(daemon, "vouch_sip_unfinished_total") >= slow
    };
    while !is_over() {
        assert!(start.elapsed() < PATIENCE, "a slow peer is still there");
        for (secured, plain) in talking.iter_mut().zip(&mut greeting) {
            // Those that are closed by now say so.
            let _ = (secured.write(b"O"), plain.write(&[0]));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(reached(daemon, "vouch_sip_failed_handshakes_total", 2 * slow), 2 * slow);
    assert_eq!(reached(daemon, "vouch_sip_unfinished_total", slow), slow);
    assert!(is_served(&mut server.shake_hands(), "after"), "there is room again");
    assert!(is_served(&mut silent[0], "silent"), "whoever has nothing to say is slow in nothing");
    drop(half_open);
}
