//! The event stream.

use crate::http::{Answer, answer};
use crate::lab::{Lab, wait_until};
use crate::script::HISTORY;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use vouch::api::ApiConfig;
use vouch::api::problem::Kind;

/// An open event stream.
pub(crate) struct Reader(BufReader<UnixStream>);

impl Reader {
    /// Opens a stream after event `last`.
    pub(crate) fn open(lab: &Lab, last: Option<&str>) -> Self {
        Self::try_open(lab, last).unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    pub(crate) fn try_open(lab: &Lab, last: Option<&str>) -> Result<Self, Answer> {
        let mut stream = lab.connect();
        let header = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        // A refusal is looked at without taking it.
        let mut reader = BufReader::new(stream);
        if reader.fill_buf().unwrap().starts_with(b"HTTP/1.1 200") {
            let mut reader = Self(reader);
            assert_eq!(reader.line_with("content-type:"), "content-type: text/event-stream");
            return Ok(reader);
        }
        let mut stream = lab.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Err(answer(&mut stream))
    }

    /// The next line that begins with `start`; empty at the end of the stream.
    pub(crate) fn line_with(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return line;
            }
            if line.starts_with(start) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Number and kind of the next event.
    fn next(&mut self) -> (u64, String) {
        let line = self.line_with("id: ");
        let id = line.strip_prefix("id: ").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let kind = self.line_with("event: ").split_off("event: ".len());
        let data = self.line_with("data: ").split_off("data: ".len());
        let event: vouch::view::Event = serde_json::from_str(&data).unwrap();
        assert_eq!((event.id, event.kind.as_str()), (id, kind.as_str()));
        (id, kind)
    }
}

#[test]
fn events_arrive_and_a_stream_resumes_where_it_was() {
    let lab = Lab::new();
    let mut live = Reader::open(&lab, None);
    for kind in ["call-started", "progress", "result"] {
        lab.script.publish(kind, "c1");
    }
    assert_eq!([live.next(), live.next()], [(1, "call-started".into()), (2, "progress".into())]);
    drop(live);
    let mut resumed = Reader::open(&lab, Some("1"));
    assert_eq!([resumed.next(), resumed.next()], [(2, "progress".into()), (3, "result".into())]);
    lab.script.publish("call-ended", "c1");
    assert_eq!(resumed.next(), (4, "call-ended".into()));
}

#[test]
fn a_stream_that_resumes_too_late_is_told_of_the_gap() {
    let lab = Lab::new();
    for _ in 0..HISTORY + 5 {
        lab.script.publish("progress", "c1");
    }
    let mut late = Reader::open(&lab, Some("2"));
    assert_eq!(late.next(), (5, "gap".into()));
    assert_eq!(late.next(), (6, "progress".into()));
}

#[test]
fn a_last_event_id_that_is_no_number_is_refused() {
    let lab = Lab::new();
    let refused = Reader::try_open(&lab, Some("latest")).err().unwrap();
    refused.is_problem(Kind::Invalid);
}

#[test]
fn a_quiet_stream_is_kept_alive() {
    let lab = Lab::with(ApiConfig { heartbeat: Duration::from_millis(10), ..ApiConfig::default() });
    assert_eq!(Reader::open(&lab, None).line_with(":"), ": heartbeat");
}

#[test]
fn streams_are_limited_and_a_closed_one_makes_room() {
    let lab = Lab::with(ApiConfig {
        max_event_streams: 2,
        heartbeat: Duration::from_millis(10),
        ..ApiConfig::default()
    });
    let streams = [Reader::open(&lab, None), Reader::open(&lab, None)];
    Reader::try_open(&lab, None).err().unwrap().is_problem(Kind::Busy);
    assert_eq!(lab.get("/v1/status").status, 200, "other requests go on");
    drop(streams);
    wait_until("the server has noticed", || lab.metrics.api.event_streams.get() == 0);
    Reader::open(&lab, None);
}

#[test]
fn a_reader_that_stops_reading_is_cut_off() {
    let lab = Lab::with(ApiConfig { client_deadline: Duration::from_millis(50), ..ApiConfig::default() });
    let deaf = Reader::open(&lab, None);
    wait_until("the stream is open", || lab.metrics.api.event_streams.get() == 1);
    // As many events as it takes to fill the buffers between; publishing never waits.
    wait_until("the stream is cut off", || {
        lab.script.publish("progress", "c1");
        lab.metrics.api.event_streams.get() == 0
    });
    drop(deaf);
}

#[test]
fn the_end_of_the_daemon_ends_streams_and_waiting_requests() {
    let mut lab = Lab::new();
    let mut stream = Reader::open(&lab, None);
    let mut waiting = lab.connect();
    waiting.write_all(b"GET /v1/calls/c1/result?wait=1m HTTP/1.1\r\nHost: vouch\r\n\r\n").unwrap();
    wait_until("the request waits", || lab.script.was_asked("call c1"));
    lab.stop();
    assert_eq!(stream.line_with("id:"), "", "the stream ends");
    answer(&mut waiting).is_problem(Kind::Stopping);
    assert!(!lab.socket.exists(), "the socket is removed");
}
