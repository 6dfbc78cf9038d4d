//! Subscriptions to results: begun, told, refreshed, ended.

use super::super::*;
use super::{Bench, Out, Text, seconds};
use crate::sip::message::Method;
use crate::sip::subscription::{MAX_EXPIRES, Notice};

const EVENT: &str = "Event: voice-id;call=abc@host\r\n";

fn subscribe(expires: &str) -> Text {
    Text::new("SUBSCRIBE").extra(EVENT).extra(expires)
}

fn notice(state: &str, end: Option<&'static str>) -> Notice {
    Notice { body: Some(Body::new("application/json", state)), end }
}

impl Bench {
    /// A subscription that is accepted; gives it and our tag.
    fn subscribe(&mut self, text: &Text) -> (DialogId, String) {
        let out = self.receive(&text.write());
        let [Event::Subscribe { key, subscription, ref call, .. }] = out.events[..] else {
            panic!("{:?} {:?}", out.sent(), out.events)
        };
        assert_eq!(call.as_deref(), Some("abc@host"));
        self.agent.respond(key, Reply::new(200), self.now).unwrap();
        let out = self.out();
        let ok = out.response();
        assert_eq!((ok.status, ok.headers.get("Allow-Events")), (200, Some("voice-id")));
        assert!(ok.headers.get("Contact").is_some());
        (subscription, ok.essentials.to.tag().unwrap().to_owned())
    }

    fn notify(&mut self, subscription: DialogId, state: &str, end: Option<&'static str>) -> Out {
        self.agent.notify(subscription, notice(state, end), self.now).unwrap();
        self.out()
    }
}

fn state(out: &Out) -> (Method, String, String) {
    let request = out.request();
    let state = request.headers.get("Subscription-State").unwrap().to_owned();
    (request.method.clone(), state, String::from_utf8(request.body.clone()).unwrap())
}

#[test]
fn a_subscriber_is_told_every_change_and_the_end() {
    let mut bench = Bench::new();
    let (subscription, _) = bench.subscribe(&subscribe("Expires: 600\r\n"));
    let first = bench.notify(subscription, "one", None);
    assert_eq!(state(&first), (Method::Notify, "active;expires=600".to_owned(), "one".to_owned()));
    let request = first.request();
    assert_eq!(request.headers.get("Event"), Some("voice-id;call=abc@host"));
    assert_eq!(request.headers.get("Content-Type"), Some("application/json"));
    bench.answer(request, 200);
    // Two changes within a second: the newer one is told, a second after the last.
    assert!(bench.notify(subscription, "two", None).sent().is_empty());
    assert!(bench.notify(subscription, "three", None).sent().is_empty());
    bench.now += seconds(1);
    bench.agent.tick(bench.now);
    let out = bench.out();
    assert_eq!(state(&out), (Method::Notify, "active;expires=599".to_owned(), "three".to_owned()));
    // The end waits for nobody.
    let last = bench.notify(subscription, "four", Some("noresource"));
    assert_eq!(state(&last), (Method::Notify, "terminated;reason=noresource".to_owned(), "four".to_owned()));
    assert!(matches!(last.events[..], [Event::Unsubscribed { subscription: it }] if it == subscription));
    assert_eq!(bench.agent.subscription_count(), 0);
    let late = bench.agent.notify(subscription, notice("five", None), bench.now);
    assert_eq!(late, Err(CommandError::NoSuchDialog));
}

#[test]
fn a_subscription_is_refreshed_or_ended_by_its_peer() {
    let mut bench = Bench::new();
    let (subscription, tag) = bench.subscribe(&subscribe("Expires: 600\r\n"));
    let refresh = bench.receive(&subscribe("Expires: 900\r\n").branch("r").tag(&tag).cseq(2).write());
    assert_eq!(refresh.response().headers.get("Expires"), Some("900"));
    assert!(matches!(refresh.events[..], [Event::Resubscribed { .. }]));
    let out = bench.notify(subscription, "one", None);
    assert_eq!(state(&out).1, "active;expires=900");
    bench.answer(out.request(), 200);
    let old = bench.receive(&subscribe("Expires: 900\r\n").branch("o").tag(&tag).cseq(2).write());
    assert_eq!(old.response().status, 500, "out of order");
    bench.receive(&subscribe("Expires: 0\r\n").branch("e").tag(&tag).cseq(3).write());
    let out = bench.notify(subscription, "two", None);
    assert_eq!((state(&out).1, state(&out).2), ("terminated;reason=timeout".to_owned(), "two".to_owned()));
    let gone = subscribe("Expires: 900\r\n").branch("g").tag(&tag).cseq(4).write();
    assert_eq!(bench.receive(&gone).response().status, 481);
}

#[test]
fn the_state_is_fetched_once() {
    let mut bench = Bench::new();
    let (subscription, _) = bench.subscribe(&subscribe("Expires: 0\r\n"));
    assert_eq!(state(&bench.notify(subscription, "one", None)).1, "terminated;reason=timeout");
    assert_eq!(bench.agent.subscription_count(), 0);
}

#[test]
fn an_unrefreshed_subscription_expires() {
    let mut bench = Bench::new();
    let (subscription, _) = bench.subscribe(&subscribe(""));
    let out = bench.notify(subscription, "one", None);
    assert_eq!(state(&out).1, format!("active;expires={MAX_EXPIRES}"));
    bench.answer(out.request(), 200);
    assert!(bench.pass(seconds(u64::from(MAX_EXPIRES) - 1)).0.is_empty());
    let (sent, events) = bench.pass(seconds(2));
    assert!(sent.iter().any(|(_, name)| name == "NOTIFY"));
    assert!(matches!(events[..], [Event::Unsubscribed { .. }]));
}

#[test]
fn a_subscriber_that_forgot_or_is_silent_is_forgotten() {
    let mut bench = Bench::new();
    let (subscription, _) = bench.subscribe(&subscribe(""));
    let out = bench.notify(subscription, "one", None);
    let events = bench.answer(out.request(), 481).events;
    assert!(matches!(events[..], [Event::Unsubscribed { .. }]));
    let (subscription, _) = bench.subscribe(&subscribe("").branch("again").cseq(2));
    bench.notify(subscription, "one", None);
    let (_, events) = bench.pass(seconds(33));
    assert!(matches!(events[..], [Event::Unsubscribed { .. }]));
    assert_eq!((bench.agent.subscription_count(), bench.agent.transaction_count()), (0, 0));
}

#[test]
fn what_cannot_be_subscribed_to_is_refused_with_what_can() {
    let mut bench = Bench::with(|config| config.max_subscriptions = 1, Transport::Udp);
    let presence = Text::new("SUBSCRIBE").extra("Event: presence\r\n");
    let refused = bench.receive(&presence.write());
    assert_eq!(
        (refused.response().status, refused.response().headers.get("Allow-Events")),
        (489, Some("voice-id"))
    );
    assert_eq!(bench.receive(&Text::new("SUBSCRIBE").branch("n").write()).response().status, 489);
    let brief = bench.receive(&subscribe("Expires: 59\r\n").branch("b").write());
    assert_eq!((brief.response().status, brief.response().headers.get("Min-Expires")), (423, Some("60")));
    assert_eq!(bench.receive(&subscribe("Expires: x\r\n").branch("x").write()).response().status, 400);
    let xml = subscribe("Accept: application/pidf+xml\r\n").branch("a").write();
    assert_eq!(bench.receive(&xml).response().status, 406);
    assert_eq!(bench.receive(&subscribe("").branch("t").tag("none").write()).response().status, 481);
    assert_eq!(bench.receive(&Text::new("NOTIFY").extra(EVENT).write()).response().status, 405);
    assert_eq!(bench.agent.subscription_count(), 0);
    // The application refuses: no such call.
    let out = bench.receive(&subscribe("").branch("s").write());
    let [Event::Subscribe { key, .. }] = out.events[..] else { panic!("{:?}", out.events) };
    bench.agent.respond(key, Reply::new(404), bench.now).unwrap();
    assert_eq!((bench.out().response().status, bench.agent.subscription_count()), (404, 0));
    // All room is taken.
    bench.subscribe(&subscribe("").branch("f").cseq(2));
    let full = bench.receive(&subscribe("").branch("g").cseq(3).write());
    assert_eq!((full.response().status, full.response().headers.get("Retry-After")), (503, Some("5")));
}

#[test]
fn an_unanswered_subscription_is_forgotten() {
    let mut bench = Bench::new();
    bench.receive(&subscribe("").write());
    assert_eq!(bench.agent.subscription_count(), 1);
    bench.pass(seconds(64));
    assert_eq!((bench.agent.subscription_count(), bench.agent.transaction_count()), (0, 0));
}

#[test]
fn subscriptions_and_calls_do_not_share_dialogs() {
    let mut bench = Bench::new();
    let (_, tag) = bench.call("");
    let inside = subscribe("").tag(&tag).cseq(2).write();
    assert_eq!(bench.receive(&inside).response().status, 481);
    let (_, tag) = bench.subscribe(&subscribe("").branch("s").cseq(9));
    let bye = Text::new("BYE").branch("y").tag(&tag).cseq(10).write();
    assert_eq!(bench.receive(&bye).response().status, 481);
    let shown = format!("{:?}", bench.agent);
    assert!(!shown.contains("abc@host"), "{shown}");
}

#[test]
fn a_subscription_over_tls_ends_with_its_connection() {
    let mut bench = Bench::with(|_| {}, Transport::Tls);
    let (subscription, _) = bench.subscribe(&subscribe(""));
    bench.agent.closed(ConnectionId(1));
    let out = bench.notify(subscription, "{}", None);
    assert!(out.messages.is_empty());
    assert!(matches!(out.events[..], [Event::Unsubscribed { .. }]), "{:?}", out.events);
    assert_eq!(bench.agent.subscription_count(), 0);
}
