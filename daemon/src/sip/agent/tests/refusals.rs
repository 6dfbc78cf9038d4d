//! What is refused, absorbed or dropped, and how.

use super::super::*;
use super::{Bench, Text, addr, seconds};

#[test]
fn strangers_get_403_and_their_acks_nothing() {
    let mut bench = Bench::new();
    bench.flow.remote = addr("203.0.113.9:5060");
    for method in ["INVITE", "OPTIONS", "BYE", "CANCEL", "REGISTER"] {
        let out = bench.receive(&Text::new(method).write());
        assert_eq!((out.response().status, out.events.len()), (403, 0), "{method}");
        assert_eq!(out.messages[0].0.remote, addr("203.0.113.9:5060"));
    }
    assert!(bench.receive(&Text::new("ACK").write()).messages.is_empty());
    assert!(bench.receive("nonsense").messages.is_empty());
    assert_eq!(bench.counters().refused_peers.get(), 7);
    assert_eq!(bench.agent.transaction_count(), 0);
}

#[test]
fn requests_that_cannot_be_met_are_refused_with_what_could() {
    let cases = [
        (Text::new("REGISTER"), 405, "Allow", super::super::ALLOW),
        (
            Text::new("INVITE").extra("Require: timer, nothing, 100rel, none\r\n"),
            420,
            "Unsupported",
            "nothing, none",
        ),
        (Text::new("OPTIONS").extra("Require: foo\r\n"), 420, "Unsupported", "foo"),
        (Text::new("INVITE").body("application/x", "y"), 415, "Accept", "application/sdp, multipart/mixed"),
        (Text::new("INVITE").extra("Accept: text/x\r\n"), 406, "Accept", "application/sdp, multipart/mixed"),
        (
            Text::new("INVITE").extra("Content-Encoding: gzip\r\n").body("application/sdp", "v"),
            415,
            "Accept-Encoding",
            "identity",
        ),
        (Text::new("INVITE").extra("Supported: timer\r\nSession-Expires: 60\r\n"), 422, "Min-SE", "90"),
    ];
    for (text, status, name, value) in cases {
        let mut bench = Bench::new();
        let out = bench.receive(&text.write());
        let response = out.response();
        assert_eq!((response.status, response.headers.get(name), out.events.len()), (status, Some(value), 0));
        assert_eq!(bench.agent.transaction_count(), 0);
        let again = bench.receive(&text.write());
        assert_eq!(again.response().essentials.to, response.essentials.to, "the same tag again");
    }
}

#[test]
fn bodies_of_known_or_optional_types_are_taken() {
    for text in [
        Text::new("INVITE").body("Application/SDP; charset=utf-8", "v=0"),
        Text::new("INVITE").extra("Accept: */*;q=0.1\r\n").body("multipart/mixed;boundary=x", "--x--"),
        Text::new("INVITE").extra("Content-Disposition: session;handling=optional\r\n").body("text/x", "y"),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.receive(&text.write()).events.len(), 1, "{}", text.write());
    }
}

#[test]
fn malformed_requests_are_told_why() {
    let mut bench = Bench::new();
    let text = Text::new("INVITE").write();
    let out = bench.receive(&text.replace("<sip:gw@192.0.2.7>;tag=peer", "\"<sip:gw@192.0.2.7>"));
    assert!(
        out.broken[0].starts_with("SIP/2.0 400 Bad Request (From: unbalanced quote)\r\n"),
        "{:?}",
        out.broken
    );
    let out = bench.receive(&text.replace("CSeq: 1", "CSeq: x"));
    assert!(
        out.broken[0].starts_with("SIP/2.0 400 Bad Request (CSeq: number out of range)\r\n"),
        "{:?}",
        out.broken
    );
    assert_eq!((out.events.len(), bench.agent.transaction_count()), (0, 0));
    assert!(bench.receive(&text.replace("Via:", "Vie:")).messages.is_empty());
    assert!(bench.receive("\r\n\r\n").messages.is_empty());
    let counters = bench.counters();
    assert_eq!((counters.malformed.get(), counters.received.get()), (3, 3));
    let out = bench.receive(&text.replace("sip:vouch@192.0.2.1 SIP/2.0", "sip:vouch@192.0.2.1 SIP/3.0"));
    assert_eq!(out.response().status, 505);
    let out = bench.receive(&text.replace("<sip:gw@192.0.2.7:5060>", "<sip:gw@192.0.2.7:5060"));
    assert_eq!((out.response().status, bench.agent.dialog_count()), (400, 0));
}

#[test]
fn unknown_schemes_get_416() {
    let mut bench = Bench::new();
    let text = Text::new("OPTIONS").write();
    assert_eq!(
        bench
            .receive(&text.replace("sip:vouch@192.0.2.1 SIP", "soap.beep://192.0.2.103 SIP"))
            .response()
            .status,
        416
    );
    assert_eq!(bench.receive(&text.replace("sip:vouch@192.0.2.1 SIP", "tel:+15550100 SIP")).events.len(), 1);
}

#[test]
fn requests_in_unknown_dialogs_get_481() {
    let mut bench = Bench::new();
    for text in [
        Text::new("BYE").tag("none"),
        Text::new("INVITE").tag("none"),
        Text::new("OPTIONS").tag("none"),
        Text::new("BYE"),
        Text::new("INFO"),
        Text::new("UPDATE"),
    ] {
        assert_eq!(bench.receive(&text.write()).response().status, 481);
    }
    assert!(bench.receive(&Text::new("ACK").tag("none").write()).messages.is_empty());
    assert_eq!((bench.counters().stray.get(), bench.counters().refused_requests.get()), (1, 6));
}

#[test]
fn numbers_out_of_order_get_500() {
    let mut bench = Bench::new();
    let (_, tag) = bench.call("");
    assert_eq!(
        bench.receive(&Text::new("INFO").branch("a").tag(&tag).cseq(9).write()).response().status,
        200
    );
    assert_eq!(
        bench.receive(&Text::new("INFO").branch("b").tag(&tag).cseq(8).write()).response().status,
        500
    );
    assert_eq!(
        bench.receive(&Text::new("BYE").branch("c").tag(&tag).cseq(10).write()).response().status,
        200
    );
}

#[test]
fn a_request_that_comes_by_two_ways_gets_482_on_the_second() {
    let mut bench = Bench::new();
    assert_eq!(bench.receive(&Text::new("INVITE").branch("one").write()).events.len(), 1);
    let out = bench.receive(&Text::new("INVITE").branch("two").write());
    assert_eq!((out.response().status, out.events.len()), (482, 0));
    bench.pass(seconds(120));
    assert_eq!(bench.receive(&Text::new("INVITE").branch("three").write()).events.len(), 1);
}

#[test]
fn full_tables_refuse_with_retry_after() {
    let mut bench = Bench::with(|config| config.max_dialogs = 1, Transport::Udp);
    bench.call("");
    let out = bench.receive(&Text::new("INVITE").branch("two").cseq(2).write().replace("call-1", "call-2"));
    assert_eq!((out.response().status, out.response().headers.get("Retry-After")), (503, Some("5")));

    let mut bench = Bench::with(|config| config.max_transactions = 1, Transport::Udp);
    let (_, tag) = bench.call("");
    assert_eq!(bench.receive(&Text::new("OPTIONS").write()).response().status, 503);
    assert_eq!(
        bench.receive(&Text::new("BYE").tag(&tag).cseq(2).write()).response().status,
        200,
        "still hangs up"
    );
    assert_eq!(bench.counters().refused_full.get(), 1);
}

#[test]
fn a_flood_of_options_leaves_room_for_calls() {
    let mut bench = Bench::with(|config| config.max_transactions = 4, Transport::Udp);
    let poll = |number: u32| {
        let text = Text::new("OPTIONS").branch(&format!("poll-{number}")).cseq(number);
        text.write().replace("call-1", &format!("poll-{number}"))
    };
    let taken = |bench: &mut Bench, text: String| bench.receive(&text).events.len();
    assert_eq!((0..4).map(|number| taken(&mut bench, poll(number))).collect::<Vec<_>>(), [1, 1, 0, 0]);
    assert_eq!(bench.counters().refused_full.get(), 2);
    bench.call("");
}

#[test]
fn answers_go_where_the_via_says() {
    let cases = [
        ("192.0.2.7:5070", "192.0.2.7:40000", "192.0.2.7:5070", None),
        ("192.0.2.7:5070;rport", "192.0.2.7:40000", "192.0.2.7:40000", Some("192.0.2.7")),
        ("10.0.0.7", "192.0.2.7:40000", "192.0.2.7:5060", Some("192.0.2.7")),
        ("gw.example.com:5070", "192.0.2.7:5060", "192.0.2.7:5070", Some("192.0.2.7")),
        ("[2001:db8::7]:5070", "[2001:db8::7]:9", "[2001:db8::7]:5070", None),
    ];
    for (sent_by, remote, expected, received) in cases {
        let mut bench = Bench::new();
        bench.flow.remote = addr(remote);
        let out =
            bench.receive(&Text::new("BYE").write().replacen("192.0.2.7:5060;", &format!("{sent_by};"), 1));
        assert_eq!(out.messages[0].0.remote, addr(expected), "{sent_by}");
        assert_eq!(out.response().essentials.via.params.value("received"), received, "{sent_by}");
    }
    let mut bench = Bench::with(|_| {}, Transport::Tcp);
    let out = bench.receive(&Text::new("BYE").write());
    assert_eq!(out.messages[0].0.connection, bench.flow.connection);
}

#[test]
fn responses_that_match_nothing_are_stray() {
    let mut bench = Bench::new();
    let (dialog, _) = bench.call("");
    bench.agent.send_info(dialog, &[], None, bench.now).unwrap();
    let out = bench.out();
    let info = out.request();
    let text = |method: &str, vias: &str| {
        let branch = info.essentials.via.branch().unwrap();
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\n{vias}From: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: call-1\r\nCSeq: 1 {method}\r\n\r\n"
        )
    };
    assert!(bench.receive(&text("BYE", "")).events.is_empty(), "another method");
    assert!(
        bench.receive(&text("INFO", "Via: SIP/2.0/UDP 192.0.2.9\r\n")).events.is_empty(),
        "not ours alone"
    );
    assert!(
        bench.receive(&text("INFO", "").replace("z9hG4bK", "z9hG4bKx")).events.is_empty(),
        "no such branch"
    );
    assert_eq!(bench.counters().stray.get(), 3);
    assert_eq!(bench.receive(&text("INFO", "")).events.len(), 1);
}

#[test]
fn answers_with_a_status_that_is_none_are_not_sent() {
    let mut bench = Bench::new();
    let out = bench.receive(&Text::new("INVITE").write());
    let [Event::Invite { dialog, .. }] = out.events[..] else { panic!() };
    assert_eq!(bench.agent.answer(dialog, Reply::new(180), bench.now), Err(CommandError::BadStatus(180)));
    assert_eq!(bench.agent.answer(dialog, Reply::new(700), bench.now), Err(CommandError::BadStatus(700)));
    assert!(bench.out().messages.is_empty());
}
