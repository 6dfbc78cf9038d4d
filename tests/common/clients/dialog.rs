//! A client's side of a dialog: what the answers to its INVITE say of the way to the server.

use std::net::SocketAddr;

/// A dialog, or the INVITE that will make one.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// CSeq of the last INVITE or UPDATE.
    pub(super) number: u32,
    to: String,
    target: String,
    /// Header lines.
    route: String,
}

impl Dialog {
    /// With the server at this address, until an answer says more.
    pub(super) fn with(server: SocketAddr, call_id: String) -> Self {
        let target = format!("sip:recorder@{server}");
        Self { call_id, number: 0, to: format!("<{target}>"), target, route: String::new() }
    }

    /// Takes tag, target and route set from the 2xx (RFC 3261 section 12.1.2): the proxies that want to stay in the way
    /// stand in it in reverse order.
    pub(super) fn learn(&mut self, answer: &str) {
        self.to = header(answer, "To").expect("a response has a To").to_owned();
        let contact = header(answer, "Contact").and_then(|it| it.strip_prefix('<')?.split_once('>'));
        if let Some((target, _)) = contact {
            self.target = target.to_owned();
        }
        let recorded = answer.lines().filter_map(|line| line.strip_prefix("Record-Route: "));
        let routes: Vec<&str> = recorded.flat_map(|value| value.split(',')).map(str::trim).collect();
        self.route = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
    }

    /// A request over `transport` from `local`; `headers` are further lines.
    pub(super) fn request(
        &self,
        (number, method): (u32, &str),
        (transport, local): (&str, SocketAddr),
        (headers, body): (&str, &str),
    ) -> String {
        let Self { call_id, to, target, route, .. } = self;
        format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch=z9hG4bK{call_id}{number}{method}\r\n\
             {route}Max-Forwards: 70\r\n\
             From: <sip:src@{local}>;tag=src\r\n\
             To: {to}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:src@{local}>;+sip.src\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, INFO\r\n\
             Recv-Info: voice-id\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Value of the first header of this name.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The 200 that accepts `request`.
pub fn accepted(request: &str) -> String {
    let copied =
        |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let headers: Vec<&str> = request.lines().filter(copied).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"))
}
