//! Transactions (RFC 3261 section 17, with the accepted state of RFC 6026): the state machines alone. They
//! hold no table and send nothing; what is to be sent comes out as bytes.

use super::message::{Method, Request, Wire};
use std::fmt;
use std::time::{Duration, Instant};

/// Estimate of the round trip (RFC 3261 section 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest time between retransmissions of a request or of an answer to INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time that a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// How long a peer may stay silent: timers B, F, H, J and L.
pub const GIVE_UP: Duration = Duration::from_secs(32);
/// How long an INVITE may stay without any answer before `100 Trying` goes out (RFC 3261 section 17.2.1).
pub const TRYING_AFTER: Duration = Duration::from_millis(200);

/// Starts every branch made by RFC 3261.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// Names a server transaction (RFC 3261 section 17.2.3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerKey(String);

impl ServerKey {
    /// The transaction that `request` starts or repeats; an ACK belongs to that of its INVITE.
    pub fn of(request: &Request) -> Self {
        let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
        Self::with_method(request, method)
    }

    /// The INVITE transaction that `cancel` is about (RFC 3261 section 9.2).
    pub fn of_cancelled(cancel: &Request) -> Self {
        Self::with_method(cancel, &Method::Invite)
    }

    fn with_method(request: &Request, method: &Method) -> Self {
        let via = &request.essentials.via;
        let unique = via
            .branch()
            .filter(|branch| branch.strip_prefix(BRANCH_COOKIE).is_some_and(|rest| !rest.is_empty()));
        let key = match unique {
            Some(branch) => format!("{branch}\n{}:{:?}\n{}", via.host, via.port, method.as_str()),
            // From before RFC 3261. The tag of the To is left out: the ACK has one, its INVITE had none.
            None => format!(
                "\n{via}\n{}\n{:?}\n{}\n{}\n{}",
                request.uri.as_str(),
                request.essentials.from.tag(),
                request.call_id(),
                request.essentials.cseq.number,
                method.as_str()
            ),
        };
        Self(key.to_ascii_lowercase())
    }
}

/// Nothing of it: it may hold a Call-ID.
impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").finish_non_exhaustive()
    }
}

/// A message that goes out again, at growing intervals, until somebody answers it.
#[derive(Debug)]
pub struct Resend {
    bytes: Wire,
    at: Instant,
    after: Duration,
}

impl Resend {
    /// First repeats `bytes` after [`T1`], then after twice the last interval, [`T2`] at most.
    pub fn new(bytes: Wire, now: Instant) -> Self {
        Self { bytes, at: now + T1, after: T1 }
    }

    /// When it goes out next.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The message, if it is due.
    pub fn due(&mut self, now: Instant) -> Option<Wire> {
        if self.at > now {
            return None;
        }
        self.after = (self.after * 2).min(T2);
        self.at = now + self.after;
        Some(self.bytes.clone())
    }
}

/// What a timer did to a transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Tick {
    /// This goes out.
    Send(Wire),
    /// The peer said nothing for [`GIVE_UP`]; the transaction is over.
    TimedOut,
    /// The transaction is over.
    Done,
    /// Nothing.
    Quiet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    /// No final answer yet: `Trying` and `Proceeding` of the RFC.
    Proceeding,
    /// Final answer given, other than 2xx to INVITE.
    Completed,
    /// ACK received for it.
    Confirmed,
    /// 2xx to INVITE given, whose repetition is the dialog's work.
    Accepted,
}

/// A server transaction.
#[derive(Debug)]
pub struct ServerTransaction {
    invite: bool,
    reliable: bool,
    state: ServerState,
    last: Option<Wire>,
    resend: Option<Resend>,
    trying: Option<(Instant, Wire)>,
    end: Option<Instant>,
}

impl ServerTransaction {
    /// Of an INVITE; `trying` goes out if nothing else does within [`TRYING_AFTER`].
    pub fn invite(reliable: bool, trying: Wire, now: Instant) -> Self {
        Self { invite: true, trying: Some((now + TRYING_AFTER, trying)), ..Self::other(reliable) }
    }

    /// Of any other request.
    pub fn other(reliable: bool) -> Self {
        let state = ServerState::Proceeding;
        Self { invite: false, reliable, state, last: None, resend: None, trying: None, end: None }
    }

    /// Whether a final answer is still to come.
    pub fn is_open(&self) -> bool {
        self.state == ServerState::Proceeding
    }

    /// The request came again: what to say to that.
    pub fn repeated(&self) -> Option<Wire> {
        match self.state {
            ServerState::Proceeding | ServerState::Completed => self.last.clone(),
            ServerState::Confirmed | ServerState::Accepted => None,
        }
    }

    /// An answer goes out.
    pub fn answered(&mut self, status: u16, bytes: &Wire, now: Instant) {
        self.trying = None;
        self.last = Some(bytes.clone());
        match (self.invite, status) {
            (_, ..200) => {}
            (true, 200..300) => {
                self.state = ServerState::Accepted;
                self.end = Some(now + GIVE_UP);
            }
            (true, _) => {
                self.state = ServerState::Completed;
                self.resend = (!self.reliable).then(|| Resend::new(bytes.clone(), now));
                self.end = Some(now + GIVE_UP);
            }
            (false, _) => {
                self.state = ServerState::Completed;
                self.end = Some(if self.reliable { now } else { now + GIVE_UP });
            }
        }
    }

    /// An ACK came; `false` if none was due.
    pub fn acknowledged(&mut self, now: Instant) -> bool {
        match self.state {
            ServerState::Completed if self.invite => {
                self.state = ServerState::Confirmed;
                self.resend = None;
                self.end = Some(if self.reliable { now } else { now + T4 });
                true
            }
            ServerState::Confirmed => true,
            _ => false,
        }
    }

    /// When [`ServerTransaction::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let trying = self.trying.as_ref().map(|(at, _)| *at);
        earliest([self.end, self.resend.as_ref().map(Resend::at), trying])
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Tick {
        if self.end.is_some_and(|end| end <= now) {
            let silent = self.invite && self.state == ServerState::Completed;
            return if silent { Tick::TimedOut } else { Tick::Done };
        }
        if let Some((_, bytes)) = self.trying.take_if(|(at, _)| *at <= now) {
            self.last = Some(bytes.clone());
            return Tick::Send(bytes);
        }
        self.resend.as_mut().and_then(|resend| resend.due(now)).map_or(Tick::Quiet, Tick::Send)
    }
}

/// A client transaction of any method but INVITE, which Vouch never sends.
#[derive(Debug)]
pub struct ClientTransaction {
    reliable: bool,
    answered: bool,
    resend: Option<Resend>,
    end: Instant,
}

impl ClientTransaction {
    /// Of the request `bytes`, sent `now`.
    pub fn new(reliable: bool, bytes: Wire, now: Instant) -> Self {
        let resend = (!reliable).then(|| Resend::new(bytes, now));
        Self { reliable, answered: false, resend, end: now + GIVE_UP }
    }

    /// An answer came; whether it is the first final one.
    pub fn received(&mut self, status: u16, now: Instant) -> bool {
        if self.answered {
            return false;
        }
        if status < 200 {
            if let Some(resend) = &mut self.resend {
                resend.after = T2;
                resend.at = now + T2;
            }
            return false;
        }
        self.answered = true;
        self.resend = None;
        self.end = if self.reliable { now } else { now + T4 };
        true
    }

    /// When [`ClientTransaction::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        earliest([Some(self.end), self.resend.as_ref().map(Resend::at)])
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Tick {
        if self.end <= now {
            return if self.answered { Tick::Done } else { Tick::TimedOut };
        }
        self.resend.as_mut().and_then(|resend| resend.due(now)).map_or(Tick::Quiet, Tick::Send)
    }
}

/// The first of some deadlines.
pub fn earliest<const N: usize>(deadlines: [Option<Instant>; N]) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;
    use std::sync::LazyLock;

    static ANSWER: LazyLock<Wire> = LazyLock::new(|| Wire::from(&b"answer"[..]));
    static TRYING: LazyLock<Wire> = LazyLock::new(|| Wire::from(&b"trying"[..]));

    /// Runs a transaction by its own deadlines; gives what it sent, in milliseconds after `start`, and its end.
    fn run(start: Instant, mut deadline: impl FnMut() -> (Option<Instant>, Tick)) -> (Vec<u128>, Tick, u128) {
        let mut sent = Vec::new();
        loop {
            let (at, tick) = deadline();
            let at = at.map_or(0, |at| (at - start).as_millis());
            match tick {
                Tick::Send(_) => sent.push(at),
                Tick::Quiet => panic!("nothing to do at {at} ms"),
                end => return (sent, end, at),
            }
        }
    }

    fn run_server(transaction: &mut ServerTransaction, start: Instant) -> (Vec<u128>, Tick, u128) {
        run(start, || {
            let at = transaction.deadline();
            (at, transaction.tick(at.unwrap()))
        })
    }

    #[test]
    fn a_refused_invite_repeats_until_the_ack() {
        let start = Instant::now();
        let mut transaction = ServerTransaction::invite(false, TRYING.clone(), start);
        transaction.answered(486, &ANSWER, start);
        assert_eq!(transaction.repeated(), Some(ANSWER.clone()));
        let (sent, end, at) = run_server(&mut transaction, start);
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!((end, at), (Tick::TimedOut, 32_000));

        let mut transaction = ServerTransaction::invite(false, TRYING.clone(), start);
        transaction.answered(486, &ANSWER, start);
        assert!(transaction.acknowledged(start) && transaction.acknowledged(start));
        assert_eq!(transaction.repeated(), None);
        assert_eq!(run_server(&mut transaction, start), (vec![], Tick::Done, 5000));
    }

    #[test]
    fn nothing_repeats_over_tcp() {
        let start = Instant::now();
        let mut invite = ServerTransaction::invite(true, TRYING.clone(), start);
        invite.answered(486, &ANSWER, start);
        assert_eq!(run_server(&mut invite, start), (vec![], Tick::TimedOut, 32_000));
        let mut bye = ServerTransaction::other(true);
        bye.answered(200, &ANSWER, start);
        assert_eq!(run_server(&mut bye, start), (vec![], Tick::Done, 0));
    }

    #[test]
    fn an_accepted_invite_absorbs_its_repetitions_in_silence() {
        let start = Instant::now();
        let mut transaction = ServerTransaction::invite(false, TRYING.clone(), start);
        transaction.answered(180, &TRYING, start);
        assert_eq!(transaction.repeated(), Some(TRYING.clone()));
        transaction.answered(200, &ANSWER, start);
        assert_eq!((transaction.repeated(), transaction.acknowledged(start)), (None, false));
        assert_eq!(run_server(&mut transaction, start), (vec![], Tick::Done, 32_000));
    }

    #[test]
    fn trying_goes_out_only_when_the_answer_takes_long() {
        let start = Instant::now();
        let mut transaction = ServerTransaction::invite(false, TRYING.clone(), start);
        assert_eq!(transaction.repeated(), None);
        assert_eq!(transaction.deadline(), Some(start + TRYING_AFTER));
        assert_eq!(transaction.tick(start + TRYING_AFTER), Tick::Send(TRYING.clone()));
        assert_eq!((transaction.deadline(), transaction.repeated()), (None, Some(TRYING.clone())));
    }

    #[test]
    fn other_requests_are_answered_again_for_32_seconds() {
        let start = Instant::now();
        let mut transaction = ServerTransaction::other(false);
        assert_eq!((transaction.deadline(), transaction.repeated()), (None, None));
        transaction.answered(200, &ANSWER, start);
        assert_eq!(transaction.repeated(), Some(ANSWER.clone()));
        assert!(!transaction.acknowledged(start));
        assert_eq!(run_server(&mut transaction, start), (vec![], Tick::Done, 32_000));
    }

    #[test]
    fn our_requests_repeat_over_udp_until_answered() {
        let start = Instant::now();
        let mut silent = ClientTransaction::new(false, ANSWER.clone(), start);
        let (sent, end, at) = run(start, || {
            let at = silent.deadline();
            (at, silent.tick(at.unwrap()))
        });
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!((end, at), (Tick::TimedOut, 32_000));

        let mut slow = ClientTransaction::new(false, ANSWER.clone(), start);
        assert!(!slow.received(100, start));
        assert_eq!(slow.deadline(), Some(start + T2));
        assert!(slow.received(200, start) && !slow.received(200, start));
        assert_eq!(slow.deadline(), Some(start + T4));
        assert_eq!(slow.tick(start + T4), Tick::Done);

        let reliable = ClientTransaction::new(true, ANSWER.clone(), start);
        assert_eq!(reliable.deadline(), Some(start + GIVE_UP));
    }

    fn request(method: &str, via: &str, to: &str) -> Request {
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>{to}\r\n\
             Call-ID: x\r\nCSeq: 1 {method}\r\n\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_match_as_section_17_2_3_says() {
        for via in ["SIP/2.0/UDP h:5070;branch=z9hG4bK1", "SIP/2.0/UDP h", "SIP/2.0/UDP h;branch=z9hG4bK"] {
            let invite = ServerKey::of(&request("INVITE", via, ""));
            assert!(invite == ServerKey::of(&request("ACK", via, ";tag=9")), "{via}");
            assert!(invite == ServerKey::of_cancelled(&request("CANCEL", via, "")), "{via}");
            assert!(invite != ServerKey::of(&request("CANCEL", via, "")), "{via}");
            assert!(invite != ServerKey::of(&request("OPTIONS", via, "")), "{via}");
        }
        let key = |via| ServerKey::of(&request("INVITE", via, ""));
        let one = key("SIP/2.0/UDP h:5070;branch=z9hG4bK1");
        assert!(one != key("SIP/2.0/UDP h:5071;branch=z9hG4bK1"), "another sender");
        assert!(one != key("SIP/2.0/UDP h:5070;branch=z9hG4bK2"), "another branch");
    }
}
