//! Gateways that subscribed to the results of a call (RFC 6665): each change is told, and the end.

use super::Exchange;
use super::floor::Floor;
use super::inquiry::{Found, Question};
use super::line::Line;
use crate::config::Peer;
use crate::sip::agent::{Reply, RequestKey};
use crate::sip::dialog::DialogId;
use crate::sip::flow::Flow;
use crate::sip::message::{Body, Request};
use crate::sip::subscription::{NOTICE_TYPE, Notice};
use crate::sip::transport::SipCommand;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who subscribed to which call.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<HashMap<DialogId, Subscriber>>);

#[derive(Debug)]
struct Subscriber {
    /// The call's name on the socket.
    line: String,
    peer: Peer,
}

impl Subscribers {
    /// A panic under the lock would be a bug in one notice; the others go on.
    fn all(&self) -> MutexGuard<'_, HashMap<DialogId, Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscription is over.
    pub(super) fn remove(&self, subscription: DialogId) {
        self.all().remove(&subscription);
    }
}

impl Exchange {
    /// Answers a SUBSCRIBE; the state of the call follows an acceptance.
    pub(super) fn subscribed(
        &self,
        (key, subscription): (RequestKey, DialogId),
        request: &Request,
        call: Option<String>,
        flow: Flow,
    ) -> SipCommand {
        let peer = self.0.config.peers.iter().find(|peer| peer.is_at(flow.remote.ip()));
        let Some(peer) = peer.filter(|peer| peer.headers.any()) else {
            return SipCommand::Respond(key, Reply::new(403));
        };
        let named = self.0.reception.style(peer).prefix.call();
        let named = call.or_else(|| request.headers.get(&named).map(|name| name.trim().to_owned()));
        let mut floor = self.floor();
        let found = named.map_or(Found::None, |name| self.seek(&floor, &Question::named(&name)));
        let line = match &found {
            Found::One(id) => floor.find_mut(id),
            _ => None,
        };
        let Some(line) = line else {
            let reason = if found == Found::Several { "Ambiguous Call" } else { "No Such Call" };
            return SipCommand::Respond(key, Reply { reason: Some(reason.to_owned()), ..Reply::new(404) });
        };
        let subscriber = Subscriber { line: line.id.clone(), peer: peer.clone() };
        self.0.reception.subscribers.all().insert(subscription, subscriber);
        // The answer goes out first: what is sent waits until this returns.
        self.send(SipCommand::Notify(subscription, notice(line, peer)));
        SipCommand::Respond(key, Reply::new(200))
    }

    /// A subscriber waits for the state, having refreshed or ended the subscription.
    pub(super) fn resubscribed(&self, subscription: DialogId) {
        let floor = self.floor();
        if let Some(subscriber) = self.0.reception.subscribers.all().get(&subscription)
            && let Some(line) = floor.find(&subscriber.line)
        {
            self.send(SipCommand::Notify(subscription, notice(line, &subscriber.peer)));
        }
    }

    /// Tells the subscribers of a call what changed.
    pub(super) fn tell_subscribers(&self, line: &Line) {
        for (&subscription, subscriber) in self.0.reception.subscribers.all().iter() {
            if subscriber.line == line.id {
                self.send(SipCommand::Notify(subscription, notice(line, &subscriber.peer)));
            }
        }
    }

    /// Tells the subscribers of calls that are over that nothing more comes.
    pub(super) fn dismiss_subscribers(&self, floor: &Floor) {
        floor.active().iter().filter(|line| line.is_over()).for_each(|line| self.tell_subscribers(line));
    }
}

/// The state of a call for a subscriber: the result as the socket gives it, without the speaker id for peers
/// that do not get that header. After the last answer of an ended call it is the last.
fn notice(line: &Line, peer: &Peer) -> Notice {
    let mut verdict = line.verdict();
    if !peer.headers.has("speaker") {
        verdict.speaker_id = None;
    }
    // A struct of plain values has a JSON form.
    let body = serde_json::to_vec(&verdict).ok().map(|json| Body::new(NOTICE_TYPE, json));
    Notice { body, end: line.is_over().then_some("noresource") }
}
