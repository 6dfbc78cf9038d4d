use super::*;
use crate::sip::message::Message;

const WINDOW: Duration = Duration::from_secs(10);
const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
const B: &str = "47755a9de7794ba387653f2099600ef2";

fn parties(caller: &str, other: &str) -> Parties {
    let id = |text: &str| SpeakerId::new(text).unwrap();
    Parties { caller: Some(id(caller)), others: vec![id(other)] }
}

/// A call: id, names, caller and callee, whether ended, seconds since the beginning.
type Known<'a> = (&'a str, &'a [&'a str], [&'a str; 2], bool, u64);

fn seek(question: &Question, calls: &[Known<'_>]) -> Found {
    let held: Vec<(CallNames, Parties)> = calls
        .iter()
        .map(|(_, names, [caller, other], ..)| {
            (CallNames::collect(names.iter().copied(), None, None), parties(caller, other))
        })
        .collect();
    let candidates: Vec<Candidate<'_>> = calls
        .iter()
        .zip(&held)
        .map(|((id, _, _, ended, age), (names, parties))| Candidate {
            id,
            names,
            parties,
            ended: *ended,
            age: Duration::from_secs(*age),
        })
        .collect();
    question.seek(&candidates, WINDOW)
}

fn question(extra: &str, named: Option<&str>) -> Question {
    let text = format!(
        "INVITE sip:100@pbx SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:4711@gw>;tag=a\r\nTo: <sip:100@pbx>\r\nCall-ID: asked\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:4711@gw>\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    match Message::parse(text.as_bytes()).unwrap() {
        Message::Request(request) => Question::of(&request, named),
        Message::Response(_) => panic!("a response"),
    }
}

fn one(id: &str) -> Found {
    Found::One(id.to_owned())
}

#[test]
fn the_most_telling_name_decides() {
    let session = format!("Session-ID: {A};remote={B}\r\n");
    let asked = question(&session, Some("named"));
    let call_id = ("1", &["asked"][..], ["1", "2"], false, 60);
    let named = ("2", &["named"][..], ["1", "2"], false, 60);
    let by_session = ("3", &[B][..], ["1", "2"], false, 60);
    let by_parties = ("4", &["x"][..], ["4711", "100"], false, 5);
    assert_eq!(seek(&asked, &[by_parties, by_session, named, call_id]), one("1"));
    assert_eq!(seek(&asked, &[by_parties, by_session, named]), one("2"));
    assert_eq!(seek(&asked, &[by_parties, by_session]), one("3"));
    assert_eq!(seek(&asked, &[by_parties]), one("4"));
    assert_eq!(seek(&asked, &[]), Found::None);
}

#[test]
fn several_calls_are_ambiguous_and_never_the_first() {
    let asked = question("", None);
    let live = |id| (id, &["asked"][..], ["1", "2"], false, 60);
    let over = |id| (id, &["asked"][..], ["1", "2"], true, 60);
    assert_eq!(seek(&asked, &[live("1"), live("2")]), Found::Several);
    assert_eq!(seek(&asked, &[over("1"), over("2")]), Found::Several);
    assert_eq!(seek(&asked, &[over("1"), live("2")]), one("2"), "the one in progress");
    assert_eq!(seek(&asked, &[over("1")]), one("1"));
    let pair = |id| (id, &["x"][..], ["4711", "100"], false, 1);
    assert_eq!(seek(&asked, &[pair("1"), pair("2")]), Found::Several);
}

#[test]
fn caller_and_callee_tell_little_and_only_for_a_while() {
    let asked = question("", None);
    let call = |parties, ended, age| seek(&asked, &[("1", &["x"][..], parties, ended, age)]);
    assert_eq!(call(["4711", "100"], false, 10), one("1"));
    assert_eq!(call(["4711", "100"], false, 11), Found::None, "another call of the same two");
    assert_eq!(call(["4711", "100"], true, 1), Found::None, "an earlier call of the same two");
    assert_eq!(call(["100", "4711"], false, 1), Found::None);
    assert_eq!(call(["4711", "200"], false, 1), Found::None);
}

#[test]
fn the_nil_session_names_no_call() {
    let nil = "0".repeat(32);
    let asked = question(&format!("Session-ID: {nil};remote={nil}\r\n"), None);
    assert_eq!(seek(&asked, &[("1", &["x"][..], ["1", "2"], false, 1)]), Found::None);
}

#[test]
fn a_call_is_found_by_the_name_on_the_socket() {
    let call = ("5e1f", &["x"][..], ["1", "2"], false, 1);
    assert_eq!(seek(&Question::named("5e1f"), &[call]), one("5e1f"));
}

#[test]
fn what_is_not_heard_is_never_authenticated() {
    let pending = |standing: Option<Standing>| unheard(UnknownCall::Pending, standing.as_ref());
    assert_eq!(pending(None), (Status::Pending, None));
    assert_eq!(pending(Some(Standing::OptedOut)), (Status::OptedOut, None));
    assert_eq!(pending(Some(Standing::NotEnrolled)), (Status::NotEnrolled, None));
    assert_eq!(pending(Some(Standing::Unreadable)), (Status::Error, Some(Reason::StoreFault)));
    let known = unheard(UnknownCall::Inconclusive, Some(&Standing::NotEnrolled));
    assert_eq!(known, (Status::Inconclusive, Some(Reason::UnknownCall)));
}
