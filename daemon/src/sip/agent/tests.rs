//! The rules of RFC 3261 and its kin, an hour of them in milliseconds.

mod calls;
mod refusals;
mod subscriptions;
mod torture;

use super::*;
use crate::sip::message::{Method, Response};
use std::net::SocketAddr;

/// An agent, a clock, and a peer that writes messages.
pub(super) struct Bench {
    pub(super) agent: Agent,
    pub(super) now: Instant,
    pub(super) flow: Flow,
    start: Instant,
}

/// What came out: messages, those that cannot be read, and events.
#[derive(Default)]
pub(super) struct Out {
    pub(super) messages: Vec<(Flow, Message)>,
    pub(super) broken: Vec<String>,
    pub(super) events: Vec<Event>,
}

impl Out {
    /// Status codes and methods of the messages.
    pub(super) fn sent(&self) -> Vec<String> {
        let name = |message: &Message| match message {
            Message::Request(request) => request.method.as_str().to_owned(),
            Message::Response(response) => response.status.to_string(),
        };
        self.messages.iter().map(|(_, message)| name(message)).collect()
    }

    /// The only message, a response.
    pub(super) fn response(&self) -> &Response {
        match &self.messages[..] {
            [(_, Message::Response(response))] => response,
            _ => panic!("not one response but {:?}", self.sent()),
        }
    }

    /// The last message, a request.
    pub(super) fn request(&self) -> &Request {
        match self.messages.last() {
            Some((_, Message::Request(request))) => request,
            _ => panic!("no request but {:?}", self.sent()),
        }
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {}, Transport::Udp)
    }

    pub(super) fn with(change: impl FnOnce(&mut AgentConfig), transport: Transport) -> Self {
        let peers = Peers::new(["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let mut config = AgentConfig { peers, ..AgentConfig::default() };
        change(&mut config);
        let connection = transport.is_reliable().then_some(super::super::flow::ConnectionId(1));
        let flow =
            Flow { transport, local: addr("192.0.2.1:5060"), remote: addr("192.0.2.7:5060"), connection };
        let now = Instant::now();
        Self { agent: Agent::new(config, Arc::default()), now, flow, start: now }
    }

    pub(super) fn counters(&self) -> Arc<SipCounters> {
        Arc::clone(&self.agent.counters)
    }

    pub(super) fn out(&mut self) -> Out {
        let mut out = Out::default();
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { flow, bytes } => match Message::parse(&bytes) {
                    Ok(message) => out.messages.push((flow, message)),
                    // The answer to a broken request repeats what is broken.
                    Err(_) => out.broken.push(String::from_utf8_lossy(&bytes).into_owned()),
                },
                Output::Event(event) => out.events.push(event),
            }
        }
        out
    }

    pub(super) fn receive(&mut self, text: &str) -> Out {
        self.agent.receive(text.as_bytes(), self.flow, self.now);
        self.out()
    }

    /// Lets time pass, by the agent's own deadlines; gives what went out, each with its milliseconds since start.
    pub(super) fn pass(&mut self, duration: Duration) -> (Vec<(u128, String)>, Vec<Event>) {
        let until = self.now + duration;
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(at) = self.agent.timeout().filter(|&at| at <= until) {
            self.now = at;
            self.agent.tick(at);
            let out = self.out();
            sent.extend(out.sent().into_iter().map(|name| ((at - self.start).as_millis(), name)));
            events.extend(out.events);
        }
        self.now = until;
        (sent, events)
    }

    /// A call that is answered with 200 and acknowledged; gives its dialog and our tag.
    pub(super) fn call(&mut self, extra: &str) -> (DialogId, String) {
        let invite = Text::new("INVITE").extra(extra);
        let out = self.receive(&invite.write());
        let [Event::Invite { dialog, .. }] = out.events[..] else {
            panic!("{:?} {:?}", out.sent(), out.events)
        };
        self.agent.answer(dialog, Reply::new(200).body("application/sdp", "v=0\r\n"), self.now).unwrap();
        let tag = self.out().response().essentials.to.tag().unwrap().to_owned();
        let out = self.receive(&Text::new("ACK").branch("ack").tag(&tag).write());
        assert!(matches!(out.events[..], [Event::Acked { .. }]));
        (dialog, tag)
    }

    /// An UPDATE of the peer, answered with `reply`.
    pub(super) fn updated(&mut self, update: &str, reply: Reply) -> Out {
        let out = self.receive(update);
        let [Event::Update { key, .. }] = out.events[..] else { panic!("{:?} {:?}", out.sent(), out.events) };
        self.agent.respond(key, reply, self.now).unwrap();
        self.out()
    }

    /// A final or provisional response of the peer to `request`.
    pub(super) fn answer(&mut self, request: &Request, status: u16) -> Out {
        let bytes = Builder::response(status, None)
            .echo(&request.headers, Some(&request.essentials), "peer")
            .finish(None);
        self.agent.receive(&bytes, self.flow, self.now);
        self.out()
    }
}

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Text of a request of the peer.
#[derive(Clone)]
pub(super) struct Text {
    method: &'static str,
    branch: String,
    tag: String,
    cseq: u32,
    cseq_method: &'static str,
    extra: String,
    body: String,
}

impl Text {
    pub(super) fn new(method: &'static str) -> Self {
        let branch = method.to_ascii_lowercase();
        let empty = String::new;
        Self { method, branch, tag: empty(), cseq: 1, cseq_method: method, extra: empty(), body: empty() }
    }

    pub(super) fn branch(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.branch);
        self
    }

    pub(super) fn tag(mut self, tag: &str) -> Self {
        self.tag = format!(";tag={tag}");
        self
    }

    pub(super) fn cseq(mut self, number: u32) -> Self {
        self.cseq = number;
        self
    }

    pub(super) fn extra(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self
    }

    pub(super) fn body(mut self, content_type: &str, body: &str) -> Self {
        self.extra.push_str(&format!("Content-Type: {content_type}\r\n"));
        body.clone_into(&mut self.body);
        self
    }

    pub(super) fn write(&self) -> String {
        let Self { method, branch, tag, cseq, cseq_method, extra, body } = self;
        format!(
            "{method} sip:vouch@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:gw@192.0.2.7>;tag=peer\r\nTo: <sip:vouch@192.0.2.1>{tag}\r\n\
             Call-ID: call-1\r\nCSeq: {cseq} {cseq_method}\r\nContact: <sip:gw@192.0.2.7:5060>\r\n{extra}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

#[test]
fn nothing_is_left_after_an_hour() {
    let mut bench = Bench::new();
    for number in 0..50 {
        let renamed = |text: &str| text.replace("call-1", &format!("call-{number}"));
        let text = renamed(&Text::new("INVITE").branch(&format!("i{number}")).write());
        let out = bench.receive(&text);
        let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
        if number % 2 == 0 {
            bench
                .agent
                .answer(dialog, Reply::new(if number % 4 == 0 { 200 } else { 603 }), bench.now)
                .unwrap();
        }
        bench.receive(&renamed(&Text::new("OPTIONS").branch(&format!("o{number}")).write()));
        bench.pass(seconds(1));
    }
    assert!(bench.agent.transaction_count() > 0);
    bench.pass(seconds(3600));
    assert_eq!((bench.agent.dialog_count(), bench.agent.transaction_count()), (0, 0));
    let agent = &bench.agent;
    assert!(agent.server_keys.is_empty() && agent.merges.is_empty() && agent.dialog_keys.is_empty());
    assert!(agent.client_branches.is_empty() && agent.timeout().is_none());
}

#[test]
fn debug_shows_no_call() {
    let mut bench = Bench::new();
    bench.call("");
    let shown = format!("{:?}", bench.agent);
    assert!(!shown.contains("call-1") && !shown.contains("gw@"), "{shown}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Any order of messages, damaged ones too, answers and time: no panic, no endless life.
    #[test]
    fn any_conversation_is_survived(steps in proptest::collection::vec((0u8..12, 0u32..4, proptest::prelude::any::<u8>(), 0usize..300), 1..60)) {
        let mut bench = Bench::new();
        let mut tag = String::from("x");
        for (what, number, byte, at) in steps {
            let methods = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "SUBSCRIBE"];
            let method = methods[usize::from(what) % methods.len()];
            let mut text = Text::new(method).branch(&number.to_string()).cseq(number);
            if method == "SUBSCRIBE" {
                text = text.extra("Event: voice-id\r\n").extra(&format!("Expires: {}\r\n", u32::from(byte) * 20));
            }
            if byte & 1 == 1 {
                text = text.tag(&tag);
            }
            let mut bytes = text.write().into_bytes();
            if byte & 14 == 14 {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bench.agent.receive(&bytes, bench.flow, bench.now);
            let out = bench.out();
            for event in &out.events {
                match event {
                    Event::Invite { dialog, .. } | Event::Reinvite { dialog, .. } => {
                        let status = [200, 200, 486, 302][usize::from(byte % 4)];
                        let _ = bench.agent.answer(*dialog, Reply::new(status), bench.now);
                        let _ = bench.agent.send_info(*dialog, &[], None, bench.now);
                        if byte & 32 != 0 {
                            let _ = bench.agent.send_bye(*dialog, bench.now);
                        }
                    }
                    Event::Options { key, .. } | Event::Update { key, .. } => {
                        let _ = bench.agent.respond(*key, Reply::new(200), bench.now);
                    }
                    Event::Subscribe { key, subscription, .. } => {
                        let reply = Reply::new([200, 200, 404][usize::from(byte % 3)]);
                        let _ = bench.agent.respond(*key, reply, bench.now);
                        let notice = crate::sip::subscription::Notice { body: None, end: None };
                        let _ = bench.agent.notify(*subscription, notice, bench.now);
                    }
                    _ => {}
                }
            }
            for (_, message) in bench.out().messages {
                match message {
                    Message::Response(response)
                        if matches!(response.essentials.cseq.method, Method::Invite | Method::Subscribe) =>
                    {
                        tag = response.essentials.to.tag().unwrap_or("x").to_owned();
                    }
                    Message::Request(request) => drop(bench.answer(&request, 200 + u16::from(byte))),
                    Message::Response(_) => {}
                }
            }
            bench.pass(Duration::from_millis(u64::from(byte) * 20));
        }
        bench.pass(seconds(3600));
        // Only acknowledged calls live on.
        proptest::prop_assert_eq!(bench.agent.transaction_count(), 0);
        proptest::prop_assert!(bench.agent.timeout().is_none());
    }
}
