//! SUBSCRIBE and NOTIFY (RFC 6665): subscriptions have dialogs of their own, which carry nothing else.

use super::super::dialog::{Dialog, DialogId};
use super::super::flow::Flow;
use super::super::message::{Method, Request};
use super::super::subscription::{
    Due, EVENT_PACKAGE, MIN_EXPIRES, NOTICE_TYPE, Notice, SubscribeFault, Subscription, Wish,
};
use super::super::transaction::{GIVE_UP, ServerKey};
use super::requests::RETRY_AFTER_FULL;
use super::{Agent, CommandError, Event, Purpose, Reply, RequestKey, TimerKey};
use std::time::Instant;

impl Agent {
    /// Tells a subscriber a state; the last one ends the subscription.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDialog`] when it has ended.
    pub fn notify(&mut self, id: DialogId, notice: Notice, now: Instant) -> Result<(), CommandError> {
        self.subscriptions.get_mut(&id).ok_or(CommandError::NoSuchDialog)?.put(notice);
        self.attend_subscription(id, now);
        Ok(())
    }

    /// Subscriptions in progress.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// A SUBSCRIBE outside any dialog.
    pub(super) fn take_subscribe(
        &mut self,
        request: &Request,
        key: ServerKey,
        (flow, now): (Flow, Instant),
    ) -> Result<(), Reply> {
        let wish = Wish::of(&request.headers).map_err(refusal)?;
        if self.subscriptions.len() >= self.config.max_subscriptions {
            return Err(Reply::new(503).header("Retry-After", RETRY_AFTER_FULL));
        }
        let id = DialogId(self.next_id());
        let tag = self.token(("tag", id));
        let dialog = Dialog::from_invite(request, &tag, flow).map_err(|error| {
            let reason = format!("Bad Request ({error})");
            Reply { reason: Some(reason), ..Reply::new(400) }
        })?;
        self.dialog_keys.insert(dialog.key.clone(), id);
        self.subscriptions.insert(id, Subscription::new(dialog, &wish, now));
        // Until the application admits it.
        self.timers.set(TimerKey::Subscription(id), Some(now + GIVE_UP));
        let transaction = self.open_server(request, key, (flow, now), Some(id));
        if let Some(request) = self.open_request(transaction) {
            let (key, call) = (RequestKey(transaction), wish.call);
            self.emit(Event::Subscribe { key, subscription: id, request, call, flow });
        }
        Ok(())
    }

    /// A request in the dialog of a subscription: SUBSCRIBE alone has a meaning there.
    pub(super) fn take_resubscribe(
        &mut self,
        id: DialogId,
        request: &Request,
        key: ServerKey,
        (flow, now): (Flow, Instant),
    ) -> Result<(), Reply> {
        if request.method != Method::Subscribe {
            return Err(Reply::new(481));
        }
        let wish = Wish::of(&request.headers).map_err(refusal)?;
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return Err(Reply::new(481)) };
        if !subscription.dialog.take_cseq(request.essentials.cseq.number) {
            return Err(Reply::new(500).header("Retry-After", RETRY_AFTER_FULL));
        }
        subscription.dialog.refresh(request, flow);
        subscription.refresh(&wish, now);
        // The state follows; where it does not, the end of an ended one is told without.
        self.timers.set(TimerKey::Subscription(id), Some(now + GIVE_UP));
        let mut reply = Reply::new(200);
        let secure = subscription.dialog.secure;
        reply.headers = self.granted(&wish, flow, secure);
        let transaction = self.open_server(request, key, (flow, now), Some(id));
        self.send_reply(transaction, &reply, now);
        self.emit(Event::Resubscribed { subscription: id });
        Ok(())
    }

    /// The application answers a SUBSCRIBE: what a 2xx says besides, or the end.
    pub(super) fn admit(&mut self, key: RequestKey, request: &Request, reply: &mut Reply) {
        let id = self.servers.get(&key.0).and_then(|server| server.dialog);
        let subscription = id.and_then(|id| self.subscriptions.get_mut(&id));
        let Some(subscription) = subscription.filter(|_| reply.status < 300) else { return };
        subscription.admitted = true;
        let (flow, secure) = (subscription.dialog.flow, subscription.dialog.secure);
        if let Ok(wish) = Wish::of(&request.headers) {
            reply.headers.extend(self.granted(&wish, flow, secure));
        }
    }

    /// Forgets a subscription that the application refused; its answer is out.
    pub(super) fn drop_refused(&mut self, id: Option<DialogId>) {
        if let Some(id) = id.filter(|id| self.subscriptions.get(id).is_some_and(|it| !it.admitted)) {
            self.forget_subscription(id);
        }
    }

    pub(super) fn tick_subscription(&mut self, id: DialogId, now: Instant) {
        match self.subscriptions.get(&id) {
            Some(subscription) if subscription.admitted => self.attend_subscription(id, now),
            // Nobody answered its SUBSCRIBE.
            _ => self.forget_subscription(id),
        }
    }

    /// A NOTIFY was answered, or not (408). A subscriber that does not take it has no subscription any more.
    pub(super) fn notified(&mut self, id: DialogId, status: u16, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        subscription.confirmed();
        if status < 300 {
            return self.attend_subscription(id, now);
        }
        self.forget_subscription(id);
        self.emit(Event::Unsubscribed { subscription: id });
    }

    /// Sends what is due, and comes back when more is.
    fn attend_subscription(&mut self, id: DialogId, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        match subscription.poll(now) {
            Due::Wait(at) => self.timers.set(TimerKey::Subscription(id), Some(at)),
            Due::Send(notice) => {
                let headers = subscription.headers(notice.end, now);
                let sent = self.request(id, Purpose::Notify, (&headers, notice.body.as_ref()), now);
                if sent.is_err() || notice.end.is_some() {
                    self.forget_subscription(id);
                    return self.emit(Event::Unsubscribed { subscription: id });
                }
                self.attend_subscription(id, now);
            }
        }
    }

    fn forget_subscription(&mut self, id: DialogId) {
        self.timers.set(TimerKey::Subscription(id), None);
        if let Some(subscription) = self.subscriptions.remove(&id) {
            self.dialog_keys.remove(&subscription.dialog.key);
        }
    }

    fn granted(&self, wish: &Wish, flow: Flow, secure: bool) -> Vec<(String, String)> {
        vec![
            ("Contact".to_owned(), self.contact(flow, secure)),
            ("Expires".to_owned(), wish.expires.to_string()),
            ("Allow-Events".to_owned(), EVENT_PACKAGE.to_owned()),
        ]
    }
}

fn refusal(fault: SubscribeFault) -> Reply {
    match fault {
        SubscribeFault::BadEvent => Reply::new(489).header("Allow-Events", EVENT_PACKAGE),
        SubscribeFault::NotAcceptable => Reply::new(406).header("Accept", NOTICE_TYPE),
        SubscribeFault::BadExpires => {
            Reply { reason: Some("Bad Request (Expires is no number)".to_owned()), ..Reply::new(400) }
        }
        SubscribeFault::TooBrief => Reply::new(423).header("Min-Expires", &MIN_EXPIRES.to_string()),
    }
}
