//! Socket activation: systemd makes the socket, the daemon takes it over.

use crate::http::answer;
use crate::lab::HANG;
use crate::script::Script;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use vouch::api::socket::Socket;
use vouch::api::{Api, ApiConfig};
use vouch::metrics::Metrics;

#[test]
fn a_socket_handed_over_is_served_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vouch.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // What systemd does: descriptor 3 and the variables of sd_listen_fds(3), LISTEN_PID surviving the exec.
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --ignored --exact activation::activated 3<&0";
    let mut daemon = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\n\r\n").unwrap();
    let status = answer(&mut stream);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(status.json()["version"], "1.2.3");
    assert!(path.exists(), "the socket is systemd's");
}

#[test]
#[ignore = "is the daemon of the test above"]
fn activated() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // A path that could not be made shows that the socket is the one handed over.
        let socket = Socket::open(Path::new("/nonexistent/vouch.sock"), "vouch").unwrap();
        let api = Api::new(Script::new(), Arc::new(Metrics::new("1.2.3", 0)), ApiConfig::default());
        api.serve(socket, std::future::pending()).await;
    });
}
