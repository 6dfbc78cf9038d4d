//! Clients that do not behave.

use crate::http::{answer, read_to_end};
use crate::lab::{Lab, wait_until};
use crate::script::{BROKEN, STUCK};
use proptest::prelude::*;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use vouch::api::ApiConfig;
use vouch::api::problem::Kind;

const SOON: Duration = Duration::from_millis(50);

fn impatient() -> Lab {
    Lab::with(ApiConfig { client_deadline: SOON, ..ApiConfig::default() })
}

#[test]
fn a_header_that_never_ends_is_cut_off() {
    let lab = impatient();
    let mut silent = lab.connect();
    let mut slow = lab.connect();
    slow.write_all(b"GET /v1/status HTTP/1.1\r\nHost: vouch\r\nX-Slow: ").unwrap();
    assert_eq!(read_to_end(&mut silent), b"");
    // The server may say 408 before it closes; what counts is that it closes.
    read_to_end(&mut slow);
    wait_until("both are gone", || lab.metrics.api.connections.get() == 0);
}

#[test]
fn a_connection_left_open_after_an_answer_is_closed() {
    let lab = impatient();
    let mut idle = lab.connect();
    idle.write_all(b"GET /v1/status HTTP/1.1\r\nHost: vouch\r\n\r\n").unwrap();
    assert_eq!(answer(&mut idle).status, 200, "the server closes after the answer");
}

#[test]
fn a_body_that_never_arrives_is_a_timeout() {
    let lab = impatient();
    let mut slow = lab.connect();
    slow.write_all(
        b"POST /v1/calls/c1/enroll HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\n\
          Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"cons",
    )
    .unwrap();
    answer(&mut slow).is_problem(Kind::RequestTimeout);
}

#[test]
fn a_body_without_an_end_is_too_large() {
    let lab = Lab::new();
    let mut endless = lab.connect();
    endless
        .write_all(
            b"POST /v1/calls/c1/enroll HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\n\
              Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    // The server stops reading somewhere in here and closes, so writing may fail; the answer is there all the same.
    for _ in 0..16 {
        let _ = endless.write_all(chunk.as_bytes());
    }
    answer(&mut endless).is_problem(Kind::TooLarge);
}

#[test]
fn an_endless_header_is_refused() {
    let lab = Lab::new();
    let mut endless = lab.connect();
    let _ = endless.write_all(b"GET /v1/status HTTP/1.1\r\nHost: vouch\r\nX-Long: ");
    for _ in 0..64 {
        let _ = endless.write_all(&[b'x'; 1024]);
    }
    assert_eq!(answer(&mut endless).status, 431);
}

#[test]
fn connections_over_the_limit_are_told_so_and_a_closed_one_makes_room() {
    let lab = Lab::with(ApiConfig { max_connections: 2, ..ApiConfig::default() });
    let open: [UnixStream; 2] = [lab.connect(), lab.connect()];
    wait_until("both are served", || lab.metrics.api.connections.get() == 2);
    lab.get("/v1/status").is_problem(Kind::Busy);
    // Those refused are limited as well; beyond them there is no answer at all, but an end.
    let crowd: Vec<UnixStream> = (0..40).map(|_| lab.connect()).collect();
    wait_until("all are refused", || lab.metrics.api.refused.get("connections") == 41);
    drop(crowd);
    drop(open);
    wait_until("there is room", || lab.metrics.api.connections.get() == 0);
    assert_eq!(lab.get("/v1/status").status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_answered_for() {
    let lab = Lab::with(ApiConfig { answer_deadline: SOON, ..ApiConfig::default() });
    lab.get(&format!("/v1/calls/{STUCK}")).is_problem(Kind::Overdue);
    assert_eq!(lab.get("/v1/status").status, 200);
}

#[test]
fn a_bug_in_one_request_is_one_error() {
    let lab = Lab::new();
    lab.get(&format!("/v1/calls/{BROKEN}")).is_problem(Kind::Internal);
    assert_eq!(lab.get("/v1/status").status, 200);
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let lab = Lab::new();
    let mut leaver = lab.connect();
    leaver.write_all(format!("GET /v1/calls/{STUCK} HTTP/1.1\r\nHost: vouch\r\n\r\n").as_bytes()).unwrap();
    wait_until("the connection is served", || lab.metrics.api.connections.get() == 1);
    drop(leaver);
    wait_until("its end is noticed", || lab.metrics.api.connections.get() == 0);
}

/// Half of it looks like HTTP, so that the parser gets somewhere.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    let request = (
        "(GET|POST|PUT|X) /[ -~]{0,40} HTTP/[0-9].[0-9]\r\n([A-Za-z-]{1,20}: [ -~]{0,30}\r\n){0,6}\r\n",
        noise.clone(),
    )
        .prop_map(|(head, body)| [head.as_bytes(), &body].concat());
    prop_oneof![noise, request]
}

#[test]
fn garbage_ends_its_own_connection_and_nothing_else() {
    let lab = impatient();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let outcome = runner.run(&garbage(), |bytes| {
        let mut stream = lab.connect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_to_end(&mut stream);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(lab.get("/v1/status").status, 200);
}
