//! One INVITE dialog of others, followed from outside.
//!
//! A call goes through several hops, and a tap may see it on each of them, with other addresses of its media. Only one
//! hop is followed, the one next to the caller: that is the hop of the first INVITE seen. What is said on the others says
//! nothing new, except that the call is over.

use super::plan::{self, TappedLine};
use crate::sip::message::{Method, Request, Response};
use crate::sip::siprec::Bodies;
use crate::wire::sdp::Description;
use std::net::SocketAddr;
use std::time::Duration;

/// Branches of a forked call that are told apart.
const MAX_FORKS: usize = 8;
/// Requests with descriptions that wait for their answers.
const MAX_PENDING: usize = 4;
/// How long a caller may take to try again after a refusal that asks for it.
const RETRY: Duration = Duration::from_secs(32);
/// How long it may ring.
const RINGING: Duration = Duration::from_secs(600);

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where the INVITE came from.
    Caller,
    /// Where it went.
    Callee,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Media,
    Over,
}

/// What is known of a dialog. It holds tags, which are nobody's business: no `Debug`.
pub(super) struct Dialog {
    caller_tag: String,
    /// Signalling addresses of the hop.
    caller: SocketAddr,
    next: SocketAddr,
    invite: Transaction,
    state: State,
    /// Tag of the side that answered.
    answered_by: Option<String>,
    /// Newest descriptions of both sides.
    offered: Option<Description>,
    answered: Option<Description>,
    /// Descriptions of branches before one of them answered.
    forks: Vec<(String, Description)>,
    pending: Vec<Pending>,
    /// The caller's side has offered again.
    offered_again: bool,
    /// It is a recording session, whose client only sends.
    recording: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing(Duration),
    Refused(Duration),
    Confirmed,
}

#[derive(Clone, PartialEq, Eq)]
struct Transaction {
    number: u32,
    branch: Option<String>,
}

struct Pending {
    method: Method,
    transaction: Transaction,
    from: Side,
    description: Option<Description>,
}

impl Dialog {
    /// The dialog that an INVITE without a tag in its To starts.
    pub(super) fn new(invite: &Request, (caller, next): (SocketAddr, SocketAddr), at: Duration) -> Self {
        let bodies = bodies(invite.content_type(), &invite.body);
        Self {
            caller_tag: tag(invite.essentials.from.tag()),
            caller,
            next,
            invite: transaction(invite),
            state: State::Ringing(at),
            answered_by: None,
            offered: sdp(invite.content_type(), &invite.body),
            answered: None,
            forks: Vec::new(),
            pending: Vec::new(),
            offered_again: false,
            recording: bodies.metadata.is_some() || invite.headers.lists_token("Require", "siprec"),
        }
    }

    /// Whether a message of this From and To tag belongs to the dialog; which side sent it, if it is a request.
    pub(super) fn side_of(&self, from_tag: Option<&str>, to_tag: Option<&str>) -> Option<Side> {
        let is_caller = |it: Option<&str>| tag(it) == self.caller_tag;
        if is_caller(from_tag) {
            return Some(Side::Caller);
        }
        (to_tag.is_some() && is_caller(to_tag)).then_some(Side::Callee)
    }

    /// Whether somebody answered.
    pub(super) fn is_confirmed(&self) -> bool {
        self.state == State::Confirmed
    }

    /// Signalling address of a side.
    pub(super) fn signalling(&self, side: Side) -> SocketAddr {
        match side {
            Side::Caller => self.caller,
            Side::Callee => self.next,
        }
    }

    /// Whether the time for an answer, or for another try, is over.
    pub(super) fn is_given_up(&self, at: Duration) -> bool {
        match self.state {
            State::Ringing(since) => at.saturating_sub(since) > RINGING,
            State::Refused(since) => at.saturating_sub(since) > RETRY,
            State::Confirmed => false,
        }
    }

    /// Newest description of a side.
    pub(super) fn descriptions(&self, side: Side) -> impl Iterator<Item = &Description> {
        let newest = match side {
            Side::Caller => self.offered.iter(),
            Side::Callee => self.answered.iter(),
        };
        let forks =
            self.forks.iter().filter(move |_| side == Side::Callee).map(|(_, description)| description);
        newest.chain(forks)
    }

    /// The lines of audio in use.
    pub(super) fn lines(&self) -> Vec<TappedLine> {
        let held_by_sending = self.offered_again && !self.recording;
        plan::lines(self.offered.as_ref(), self.answered.as_ref(), held_by_sending)
    }

    /// Takes a request within the dialog, or the INVITE again.
    pub(super) fn request(
        &mut self,
        request: &Request,
        way: (SocketAddr, SocketAddr),
        side: Side,
        at: Duration,
    ) -> Change {
        match request.method {
            Method::Bye if side == Side::Caller && self.is_of_other_branch(request.essentials.to.tag()) => {
                Change::Nothing
            }
            Method::Bye if side == Side::Callee && self.is_of_other_branch(request.essentials.from.tag()) => {
                Change::Nothing
            }
            Method::Bye => Change::Over,
            _ if !self.is_near(way) => Change::Nothing,
            Method::Cancel if self.invite == transaction(request) && !self.is_confirmed() => {
                self.state = State::Refused(at);
                Change::Nothing
            }
            Method::Invite if request.essentials.to.tag().is_none() => self.tried_again(request, way, at),
            Method::Ack => self.acknowledged(request, side),
            Method::Invite | Method::Update => self.offered_in_dialog(request, side),
            _ if request.method.as_str() == "PRACK" => self.offered_in_dialog(request, side),
            _ => Change::Nothing,
        }
    }

    /// Takes a response to a request of `side`.
    pub(super) fn response(&mut self, response: &Response, side: Side, at: Duration) -> Change {
        let to = Transaction {
            number: response.essentials.cseq.number,
            branch: response.essentials.via.branch().map(str::to_owned),
        };
        let method = &response.essentials.cseq.method;
        let description = sdp(response.headers.get("Content-Type"), &response.body);
        if *method == Method::Invite && to == self.invite && side == Side::Caller {
            return self.invite_answered(response, description, at);
        }
        let waits = |pending: &Pending| {
            pending.method == *method && pending.transaction == to && pending.from == side
        };
        let Some(place) = self.pending.iter().position(waits) else { return Change::Nothing };
        match response.status {
            100..200 => Change::Nothing,
            200..300 => {
                let pending = self.pending.remove(place);
                self.agreed(pending, description)
            }
            _ => {
                self.pending.remove(place);
                Change::Nothing
            }
        }
    }

    /// A new try after a refusal: with credentials, another timer, or to another target.
    fn tried_again(&mut self, invite: &Request, way: (SocketAddr, SocketAddr), at: Duration) -> Change {
        let transaction = transaction(invite);
        if self.is_confirmed() || transaction.number <= self.invite.number {
            return Change::Nothing;
        }
        *self = Self::new(invite, way, at);
        Change::Media
    }

    fn invite_answered(
        &mut self,
        response: &Response,
        description: Option<Description>,
        at: Duration,
    ) -> Change {
        let by = tag(response.essentials.to.tag());
        match response.status {
            100 => Change::Nothing,
            101..200 => {
                let Some(description) = description else { return Change::Nothing };
                if self.is_confirmed() {
                    return Change::Nothing;
                }
                self.answered = Some(description.clone());
                self.forks.retain(|(tag, _)| *tag != by);
                if self.forks.len() < MAX_FORKS {
                    self.forks.push((by, description));
                }
                Change::Media
            }
            // The first branch that answers has the call; the caller says BYE to the others.
            200..300 if self.is_confirmed() => Change::Nothing,
            200..300 => {
                let early =
                    self.forks.drain(..).find(|(tag, _)| *tag == by).map(|(_, description)| description);
                self.answered = description.or(early).or(self.answered.take());
                self.answered_by = Some(by);
                self.state = State::Confirmed;
                Change::Media
            }
            _ if self.is_confirmed() => Change::Nothing,
            300..=399 | 401 | 407 | 422 | 491 | 494 => {
                self.state = State::Refused(at);
                Change::Nothing
            }
            _ => Change::Over,
        }
    }

    /// An ACK answers the offer of a 2xx to an INVITE that had none.
    fn acknowledged(&mut self, ack: &Request, side: Side) -> Change {
        let Some(description) = sdp(ack.content_type(), &ack.body) else { return Change::Nothing };
        self.set(side, description);
        Change::Media
    }

    fn offered_in_dialog(&mut self, request: &Request, side: Side) -> Change {
        let description = sdp(request.content_type(), &request.body);
        let transaction = transaction(request);
        if description.is_none() && request.method != Method::Invite
            || self.pending.iter().any(|pending| pending.transaction == transaction)
        {
            return Change::Nothing;
        }
        if self.pending.len() == MAX_PENDING {
            self.pending.remove(0);
        }
        self.pending.push(Pending { method: request.method.clone(), transaction, from: side, description });
        // What is offered waits for its answer; who takes part in a recorded call is told at once.
        let tells = self.recording && bodies(request.content_type(), &request.body).metadata.is_some();
        if tells && side == Side::Caller { Change::Media } else { Change::Nothing }
    }

    /// Both sides agreed on something new.
    fn agreed(&mut self, pending: Pending, answer: Option<Description>) -> Change {
        let Pending { from, description, .. } = pending;
        if description.is_none() && answer.is_none() {
            return Change::Nothing;
        }
        self.offered_again |= description.is_some() && from == Side::Caller;
        description.into_iter().for_each(|description| self.set(from, description));
        answer.into_iter().for_each(|answer| self.set(from.other(), answer));
        Change::Media
    }

    fn set(&mut self, side: Side, description: Description) {
        match side {
            Side::Caller => self.offered = Some(description),
            Side::Callee => self.answered = Some(description),
        }
    }

    fn is_of_other_branch(&self, callee_tag: Option<&str>) -> bool {
        self.answered_by.as_ref().is_some_and(|by| *by != tag(callee_tag))
    }

    /// Whether a message is on the hop next to the caller. Its port may change, with a connection or a translation;
    /// but where both ends share an address, as in tests on one machine, the port alone tells them apart.
    pub(super) fn is_near(&self, (from, to): (SocketAddr, SocketAddr)) -> bool {
        let shared = self.caller.ip() == self.next.ip();
        let is_caller = |it: SocketAddr| it == self.caller || !shared && it.ip() == self.caller.ip();
        is_caller(from) || is_caller(to)
    }
}

fn transaction(request: &Request) -> Transaction {
    let essentials = &request.essentials;
    Transaction { number: essentials.cseq.number, branch: essentials.via.branch().map(str::to_owned) }
}

/// A tag for comparing; tokens have no case.
fn tag(tag: Option<&str>) -> String {
    tag.unwrap_or_default().to_ascii_lowercase()
}

/// The description in a body.
pub(super) fn sdp(content_type: Option<&str>, body: &[u8]) -> Option<Description> {
    bodies(content_type, body).sdp.and_then(|sdp| Description::parse(sdp).ok())
}

/// What of a body matters; a body that cannot be split says nothing.
fn bodies<'a>(content_type: Option<&str>, body: &'a [u8]) -> Bodies<'a> {
    match content_type {
        Some(content_type) if !body.is_empty() => Bodies::find(content_type, body).unwrap_or_default(),
        _ => Bodies::default(),
    }
}
