//! A plain HTTP client that can misbehave.

use crate::lab::{HANG, Lab};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use vouch::api::problem::{Kind, Problem};

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| {
            let (key, _) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(key.len() + 1)
        };
        self.head.lines().find_map(|line| value(line).map(|at| line[at..].trim()))
    }

    /// Panics unless this is a problem document of `kind`.
    pub(crate) fn is_problem(&self, kind: Kind) {
        let expected = Problem::new(kind, "");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status, problem.kind), (expected.status, expected.kind), "{}", problem.detail);
        assert_eq!(problem.status, self.status);
    }
}

impl Lab {
    /// An open connection.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    /// A request with a JSON body.
    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, "Content-Type: application/json\r\n", body.as_bytes())
    }

    /// A request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: vouch\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses early need not read the body.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }
}

/// Everything until the server closes, which it has to.
pub(crate) fn read_to_end(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// The answer on a connection that the server closes after it.
pub(crate) fn answer(stream: &mut UnixStream) -> Answer {
    let text = String::from_utf8(read_to_end(stream)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
