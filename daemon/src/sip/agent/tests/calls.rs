//! Calls that are placed, changed, cancelled, ended.

use super::super::*;
use super::{Bench, Text, addr, seconds};
use crate::sip::message::Method;

#[test]
fn a_call_is_answered_acknowledged_and_ended() {
    let mut bench = Bench::new();
    let extra = "Record-Route: <sip:192.0.2.5;lr>\r\nX-Voice-ID-Speaker: 17\r\n";
    let out = bench.receive(&Text::new("INVITE").extra(extra).body("application/sdp", "v=0\r\n").write());
    assert!(out.messages.is_empty(), "no 100 before 200 ms");
    let [Event::Invite { dialog, ref request, flow }] = out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!((request.headers.get("x-voice-id-speaker"), flow), (Some("17"), bench.flow));

    let reply = Reply::new(200).header("X-Voice-ID-Status", "pending").body("application/sdp", "v=0 answer");
    bench.agent.answer(dialog, reply, bench.now).unwrap();
    let out = bench.out();
    let ok = out.response();
    assert_eq!(
        (ok.status, &ok.body[..], out.messages[0].0.remote),
        (200, &b"v=0 answer"[..], addr("192.0.2.7:5060"))
    );
    assert_eq!(ok.headers.get("Contact"), Some("<sip:vouch@192.0.2.1:5060>"));
    assert_eq!(ok.headers.get("Record-Route"), Some("<sip:192.0.2.5;lr>"));
    assert_eq!(ok.headers.get("X-Voice-ID-Status"), Some("pending"));
    assert!(ok.headers.lists_token("Allow", "INFO") && ok.headers.lists_token("Supported", "siprec"));

    let tag = ok.essentials.to.tag().unwrap().to_owned();
    let out =
        bench.receive(&Text::new("ACK").branch("a").tag(&tag).body("application/sdp", "v=0 late").write());
    let [Event::Acked { body: Some(body), .. }] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!(body.bytes, b"v=0 late");
    assert!(bench.receive(&Text::new("ACK").branch("a").tag(&tag).write()).events.is_empty());

    let bye = Text::new("BYE").tag(&tag).cseq(2).write();
    let out = bench.receive(&bye);
    assert_eq!(out.response().status, 200);
    assert!(matches!(out.events[..], [Event::Ended { why: EndReason::Bye, .. }]));
    assert_eq!(bench.receive(&bye).response().status, 200, "the repeated BYE gets the same answer");
    assert_eq!(bench.agent.send_bye(dialog, bench.now), Err(CommandError::NoSuchDialog));
}

#[test]
fn trying_goes_out_after_200_ms_and_repeated_invites_are_absorbed() {
    let mut bench = Bench::new();
    let invite = Text::new("INVITE").extra("Timestamp: 54\r\n").write();
    assert_eq!(bench.receive(&invite).events.len(), 1);
    assert!(bench.receive(&invite).sent().is_empty());
    bench.now += Duration::from_millis(200);
    bench.agent.tick(bench.now);
    let out = bench.out();
    let trying = out.response();
    assert_eq!((trying.status, trying.headers.get("Timestamp")), (100, Some("54")));
    assert_eq!(trying.essentials.to.tag(), None);
    let out = bench.receive(&invite);
    assert_eq!((out.sent(), out.events.len()), (vec!["100".to_owned()], 0));
    assert_eq!(bench.counters().absorbed.get(), 2);
}

#[test]
fn a_2xx_repeats_until_acknowledged_also_over_tcp() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::with(|_| {}, transport);
        let out = bench.receive(&Text::new("INVITE").write());
        let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
        bench.agent.answer(dialog, Reply::new(200), bench.now).unwrap();
        bench.out();
        let (sent, events) = bench.pass(seconds(33));
        let times: Vec<u128> = sent.iter().filter(|(_, name)| name == "200").map(|(at, _)| *at).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(sent.iter().find(|(_, name)| name == "BYE").map(|(at, _)| *at), Some(32_000));
        assert!(matches!(events[..], [Event::Ended { why: EndReason::NoAck, .. }]));
        assert_eq!(bench.agent.dialog_count(), 0);
    }
}

#[test]
fn a_refusal_repeats_over_udp_until_its_ack() {
    let mut bench = Bench::new();
    let invite = Text::new("INVITE").write();
    let out = bench.receive(&invite);
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    bench.agent.answer(dialog, Reply::new(302).header("X-Voice-ID-Status", "pending"), bench.now).unwrap();
    let refusal = bench.out();
    let tag = refusal.response().essentials.to.tag().unwrap().to_owned();
    assert_eq!(bench.receive(&invite).response().status, 302);
    assert_eq!(bench.pass(seconds(1)).0, [(500, "302".to_owned())]);
    let out = bench.receive(&Text::new("ACK").branch("invite").tag(&tag).write());
    assert!(out.messages.is_empty() && out.events.is_empty());
    assert!(bench.pass(seconds(60)).0.is_empty());
    assert_eq!(bench.agent.answer(dialog, Reply::new(200), bench.now), Err(CommandError::NoSuchDialog));
    assert_eq!(bench.counters().stray.get(), 0);
}

#[test]
fn a_cancel_ends_an_unanswered_call() {
    let mut bench = Bench::new();
    let out = bench.receive(&Text::new("INVITE").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    let cancel = Text::new("CANCEL").branch("invite").write();
    let out = bench.receive(&cancel);
    assert_eq!(out.sent(), ["200", "487"]);
    assert!(matches!(out.events[..], [Event::Cancelled { dialog: gone }] if gone == dialog));
    assert_eq!(bench.agent.answer(dialog, Reply::new(200), bench.now), Err(CommandError::NoSuchDialog));
    assert_eq!(bench.receive(&cancel).sent(), ["200"], "a repeated CANCEL");

    let out = bench.receive(&Text::new("CANCEL").branch("unknown").write());
    assert_eq!(out.response().status, 481);
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut bench = Bench::new();
    bench.call("");
    let out = bench.receive(&Text::new("CANCEL").branch("invite").write());
    assert_eq!((out.sent(), out.events.len(), bench.agent.dialog_count()), (vec!["200".to_owned()], 0, 1));
}

#[test]
fn a_bye_before_the_answer_ends_the_call_too() {
    let mut bench = Bench::new();
    let out = bench.receive(&Text::new("INVITE").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    bench.agent.ring(dialog, bench.now).unwrap();
    let out = bench.out();
    let tag = out.response().essentials.to.tag().unwrap().to_owned();
    assert_eq!(out.response().status, 180);
    let out = bench.receive(&Text::new("BYE").tag(&tag).cseq(2).write());
    assert_eq!(out.sent(), ["200", "487"]);
    assert!(matches!(out.events[..], [Event::Ended { why: EndReason::Bye, .. }]));
}

#[test]
fn peers_that_require_reliable_provisional_answers_get_none() {
    let mut bench = Bench::new();
    let out = bench.receive(&Text::new("INVITE").extra("Require: 100rel\r\n").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!("{:?}", out.sent()) };
    bench.agent.ring(dialog, bench.now).unwrap();
    assert!(bench.out().messages.is_empty());
    bench.agent.answer(dialog, Reply::new(200), bench.now).unwrap();
    assert_eq!(bench.out().sent(), ["200"]);
}

#[test]
fn sessions_change_by_reinvite() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.call("");
    let hold = Text::new("INVITE").branch("hold").tag(&tag).cseq(2);
    let moved = hold.write().replace("gw@192.0.2.7:5060", "gw@192.0.2.8:5080");
    let out = bench.receive(&moved);
    assert!(matches!(out.events[..], [Event::Reinvite { dialog: same, .. }] if same == dialog));

    let overlapping = bench.receive(&Text::new("INVITE").branch("second").tag(&tag).cseq(3).write());
    assert_eq!(overlapping.response().status, 500);
    assert!(overlapping.response().headers.get("Retry-After").is_some());

    bench.agent.answer(dialog, Reply::new(200).body("application/sdp", "v=0"), bench.now).unwrap();
    assert_eq!(bench.out().response().essentials.to.tag(), Some(tag.as_str()));
    let unacknowledged = bench.receive(&Text::new("INVITE").branch("third").tag(&tag).cseq(3).write());
    assert_eq!(unacknowledged.response().status, 491, "our offer is not answered");
    let acked = bench.receive(&Text::new("ACK").branch("ack2").tag(&tag).cseq(2).write());
    assert!(matches!(acked.events[..], [Event::Acked { .. }]));

    bench.agent.send_bye(dialog, bench.now).unwrap();
    let out = bench.out();
    assert_eq!(out.messages[0].0.remote, addr("192.0.2.8:5080"), "the target was refreshed");
}

#[test]
fn a_reinvite_after_a_lost_ack_goes_through() {
    let mut bench = Bench::new();
    let offer = |branch: &str| Text::new("INVITE").branch(branch).body("application/sdp", "v=0");
    let out = bench.receive(&offer("one").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    bench.agent.answer(dialog, Reply::new(200).body("application/sdp", "v=0"), bench.now).unwrap();
    let tag = bench.out().response().essentials.to.tag().unwrap().to_owned();
    let out = bench.receive(&offer("two").tag(&tag).cseq(2).write());
    assert!(matches!(out.events[..], [Event::Reinvite { .. }]));
    bench.agent.answer(dialog, Reply::new(200).body("application/sdp", "v=0"), bench.now).unwrap();
    bench.out();
    let ack = |cseq: u32| Text::new("ACK").branch(&format!("ack{cseq}")).tag(&tag).cseq(cseq).write();
    assert!(bench.receive(&ack(1)).events.is_empty(), "late and of no interest");
    assert!(matches!(bench.receive(&ack(2)).events[..], [Event::Acked { .. }]));
    assert!(bench.pass(seconds(60)).1.is_empty());
}

#[test]
fn a_refused_or_cancelled_reinvite_leaves_the_call_alone() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.call("");
    bench.receive(&Text::new("INVITE").branch("two").tag(&tag).cseq(2).write());
    bench.agent.answer(dialog, Reply::new(488), bench.now).unwrap();
    assert_eq!(bench.out().sent(), ["488"]);
    bench.receive(&Text::new("INVITE").branch("three").tag(&tag).cseq(3).write());
    let out = bench.receive(&Text::new("CANCEL").branch("three").tag(&tag).cseq(3).write());
    assert_eq!((out.sent(), out.events.len()), (vec!["200".to_owned(), "487".to_owned()], 0));
    assert_eq!(bench.agent.answer(dialog, Reply::new(200), bench.now), Err(CommandError::NothingToAnswer));
    assert_eq!(bench.agent.dialog_count(), 1);
}

#[test]
fn info_options_and_update_are_answered_inside_a_call() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.call("");
    let info = Text::new("INFO").tag(&tag).cseq(2).body("application/dtmf-relay", "Signal=5").write();
    let out = bench.receive(&info);
    assert_eq!(out.response().status, 200);
    assert!(matches!(&out.events[..], [Event::Info { request, .. }] if request.body == b"Signal=5"));
    let out = bench.receive(&info);
    assert_eq!((out.sent(), out.events.len()), (vec!["200".to_owned()], 0));
    let package = Text::new("INFO").branch("p").tag(&tag).cseq(3).extra("Info-Package: x\r\n").write();
    assert_eq!(bench.receive(&package).response().status, 469);

    let out = bench.receive(&Text::new("OPTIONS").tag(&tag).cseq(4).write());
    let [Event::Options { key, dialog: Some(inside), .. }] = out.events[..] else {
        panic!("{:?}", out.events)
    };
    assert_eq!(inside, dialog);
    bench.agent.respond(key, Reply::new(200), bench.now).unwrap();
    assert!(bench.out().response().headers.lists_token("Accept", "application/sdp"));
    assert_eq!(bench.agent.respond(key, Reply::new(200), bench.now), Err(CommandError::NothingToAnswer));

    let update = bench.updated(&Text::new("UPDATE").tag(&tag).cseq(5).write(), Reply::new(200));
    assert!(update.response().headers.get("Contact").is_some());
    let offer = Text::new("UPDATE").branch("u2").tag(&tag).cseq(6).body("application/sdp", "v=0").write();
    let reply = Reply::new(200).header("X-Voice-ID-Status", "pending").body("application/sdp", "v=0 answer");
    let out = bench.updated(&offer, reply);
    assert_eq!((out.response().status, &out.response().body[..]), (200, &b"v=0 answer"[..]));
    assert_eq!(out.response().headers.get("X-Voice-ID-Status"), Some("pending"));
    assert_eq!(bench.receive(&offer).sent(), ["200"], "the repeated UPDATE gets the same answer");
    let picture = Text::new("UPDATE").branch("u3").tag(&tag).cseq(7).body("image/png", "x").write();
    assert_eq!(bench.receive(&picture).response().status, 415);
}

#[test]
fn an_update_waits_while_an_offer_is_open() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.call("");
    let offer = |branch| Text::new("UPDATE").branch(branch).tag(&tag).body("application/sdp", "v=0");
    bench.receive(&Text::new("INVITE").branch("r").tag(&tag).cseq(2).write());
    assert_eq!(bench.receive(&offer("u1").cseq(3).write()).response().status, 500);
    bench.agent.answer(dialog, Reply::new(200).body("application/sdp", "our offer"), bench.now).unwrap();
    bench.out();
    assert_eq!(bench.receive(&offer("u2").cseq(4).write()).response().status, 491);
}

#[test]
fn a_question_gets_its_final_answer_alone() {
    let mut bench = Bench::new();
    let invite = Text::new("INVITE").extra("Route: <sip:verify@192.0.2.1;lr>\r\n").write();
    let out = bench.receive(&invite);
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!("{:?}", out.events) };
    let contact = "<sip:bob@pbx?X-Voice-ID-Status=pending>";
    bench.agent.answer(dialog, Reply::new(302).header("Contact", contact), bench.now).unwrap();
    let out = bench.out();
    assert_eq!((out.sent(), out.response().headers.get("Contact")), (vec!["302".to_owned()], Some(contact)));
    let ack = Text::new("ACK").branch("invite").tag(out.response().essentials.to.tag().unwrap()).write();
    assert!(bench.receive(&ack).events.is_empty());
    assert!(bench.pass(seconds(40)).0.is_empty(), "neither a 100 nor a repetition");
    assert_eq!((bench.agent.dialog_count(), bench.agent.transaction_count()), (0, 0));
}

#[test]
fn our_info_is_repeated_and_its_silence_hurts_nothing() {
    let mut bench = Bench::new();
    let (dialog, _) = bench.call("");
    let headers = [("X-Voice-ID-Status".to_owned(), "authenticated".to_owned())];
    bench.agent.send_info(dialog, &headers, None, bench.now).unwrap();
    let out = bench.out();
    let info = out.request();
    assert_eq!((&info.method, info.essentials.to.tag()), (&Method::Info, Some("peer")));
    assert_eq!(info.headers.get("X-Voice-ID-Status"), Some("authenticated"));
    let out = bench.answer(info, 200);
    assert!(matches!(out.events[..], [Event::InfoAnswered { status: 200, .. }]));

    bench.agent.send_info(dialog, &headers, None, bench.now).unwrap();
    bench.out();
    let (sent, events) = bench.pass(seconds(40));
    assert_eq!(sent.len(), 10);
    assert!(matches!(events[..], [Event::InfoAnswered { status: 408, .. }]));
    assert_eq!(bench.agent.dialog_count(), 1);

    bench.agent.send_info(dialog, &headers, None, bench.now).unwrap();
    let out = bench.out();
    let out = bench.answer(out.request(), 481);
    assert!(matches!(
        out.events[..],
        [Event::InfoAnswered { .. }, Event::Ended { why: EndReason::PeerForgot, .. }]
    ));
}

#[test]
fn hanging_up_waits_for_the_ack() {
    let mut bench = Bench::new();
    let out = bench.receive(&Text::new("INVITE").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    bench.agent.answer(dialog, Reply::new(200), bench.now).unwrap();
    let tag = bench.out().response().essentials.to.tag().unwrap().to_owned();
    bench.agent.send_bye(dialog, bench.now).unwrap();
    assert!(bench.out().messages.is_empty());
    let out = bench.receive(&Text::new("ACK").branch("a").tag(&tag).write());
    assert_eq!(out.sent(), ["BYE"]);
    assert!(matches!(out.events[..], [Event::Acked { .. }, Event::Ended { why: EndReason::HungUp, .. }]));
    assert!(bench.answer(out.request(), 200).events.is_empty());
    assert!(bench.pass(seconds(5)).0.is_empty(), "the BYE is answered");

    let out = bench.receive(&Text::new("INVITE").branch("other").cseq(9).write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!("{:?}", out.sent()) };
    bench.agent.send_bye(dialog, bench.now).unwrap();
    assert_eq!(bench.out().sent(), ["480"]);
}

#[test]
fn an_unanswered_invite_gets_an_answer_anyway() {
    for (extra, after, status) in [("", 32_000, "500"), ("Expires: 3\r\n", 3000, "487")] {
        let mut bench = Bench::new();
        bench.receive(&Text::new("INVITE").extra(extra).write());
        let (sent, events) = bench.pass(Duration::from_millis(after));
        assert_eq!(sent, [(200, "100".to_owned()), (u128::from(after), status.to_owned())]);
        assert!(matches!(events[..], [Event::Ended { why: EndReason::Unanswered, .. }]));
    }
}

#[test]
fn an_unrefreshed_session_ends() {
    let mut bench = Bench::new();
    let timer = "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n";
    let (_, tag) = bench.call(timer);
    bench.pass(seconds(1700));
    let update = Text::new("UPDATE").tag(&tag).cseq(2).extra(timer).write();
    let out = bench.updated(&update, Reply::new(200));
    assert_eq!(out.response().headers.get("Session-Expires"), Some("1800;refresher=uac"));
    assert!(bench.pass(seconds(1767)).1.is_empty());
    let (sent, events) = bench.pass(seconds(1));
    assert_eq!(sent.len(), 1);
    assert!(matches!(events[..], [Event::Ended { why: EndReason::SessionExpired, .. }]));
}

#[test]
fn we_refresh_where_the_peer_asks_us_to() {
    let mut bench = Bench::new();
    let timer = "Allow: INVITE, UPDATE\r\nSupported: timer\r\nSession-Expires: 200;refresher=uas\r\n";
    bench.call(timer);
    bench.now += seconds(100);
    bench.agent.tick(bench.now);
    let out = bench.out();
    assert_eq!(out.request().method, Method::Update);
    assert_eq!(out.request().headers.get("Session-Expires"), Some("200;refresher=uac"));
    bench.answer(out.request(), 200);
    let (sent, events) = bench.pass(seconds(133));
    assert_eq!(sent.first().map(|(_, name)| name.as_str()), Some("UPDATE"));
    assert_eq!(sent.last().map(|(_, name)| name.as_str()), Some("BYE"), "nobody answered the second one");
    assert!(matches!(events[..], [Event::Ended { why: EndReason::SessionExpired, .. }]));
}

#[test]
fn a_call_over_tls_outlives_its_connection() {
    let mut bench = Bench::with(|_| {}, Transport::Tls);
    let timer = "Allow: INVITE, UPDATE\r\nSupported: timer\r\nSession-Expires: 200;refresher=uas\r\n";
    let (dialog, tag) = bench.call(timer);
    bench.agent.closed(ConnectionId(1));
    assert_eq!(bench.agent.send_info(dialog, &[], None, bench.now), Err(CommandError::NotConnected));
    let (sent, events) = bench.pass(seconds(350));
    assert!(sent.is_empty() && events.is_empty(), "{sent:?} {events:?}");
    assert_eq!(bench.counters().send_failures.get(), 4, "the INFO, and three refreshes");

    // The peer comes back by another connection.
    bench.flow.connection = Some(ConnectionId(2));
    bench.updated(&Text::new("UPDATE").tag(&tag).cseq(2).extra(timer).write(), Reply::new(200));
    bench.agent.send_info(dialog, &[], None, bench.now).unwrap();
    let out = bench.out();
    assert_eq!((&out.request().method, out.messages[0].0), (&Method::Info, bench.flow));
    bench.agent.closed(ConnectionId(2));
    bench.agent.send_bye(dialog, bench.now).unwrap();
    let out = bench.out();
    assert!(out.messages.is_empty(), "nobody is there to be told");
    assert!(matches!(out.events[..], [Event::Ended { why: EndReason::HungUp, .. }]));
}
