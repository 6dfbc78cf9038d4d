//! Tests with bodies in the shape of each recording client, and over real ones where they are at hand.

use super::*;
use crate::sip::offer_answer::{KeySeed, Leg, Negotiation, SrtpRule, Told};
use crate::wire::sdp::Description;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::PathBuf;

/// The plans for an offer with one audio line for each label; an empty label is none.
fn lines(labels: &[&str]) -> Vec<MediaPlan> {
    let mut sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    for (index, label) in labels.iter().enumerate() {
        write!(sdp, "m=audio {} RTP/AVP 0\r\na=sendonly\r\n", 4000 + 2 * index).unwrap();
        if !label.is_empty() {
            write!(sdp, "a=label:{label}\r\n").unwrap();
        }
    }
    plans(sdp.as_bytes())
}

fn plans(sdp: &[u8]) -> Vec<MediaPlan> {
    let offer = Description::parse(sdp).unwrap();
    let negotiation = Negotiation::new(&offer, Leg::Siprec, SrtpRule::Accept).unwrap();
    let ports: Vec<u16> = (40000..).step_by(2).take(negotiation.accepted().len()).collect();
    negotiation.answer("192.0.2.9".parse().unwrap(), &ports, &mut Told::new(2, KeySeed::fixed())).plans
}

fn metadata(text: &str) -> Recording {
    Recording::parse(text.as_bytes()).unwrap()
}

/// Line, user part of the caller, and why.
type Outcome<'a> = Result<(usize, &'a str, ChosenBy), Reason>;

fn outcome(found: &Result<CallerChoice, Reason>) -> Outcome<'_> {
    found
        .as_ref()
        .map_err(|reason| *reason)
        .map(|choice| (choice.m_line, choice.aor.as_ref().map_or("", |aor| aor.reveal().as_str()), choice.by))
}

/// Two parties, `sip:ann@gw` first and `sip:bob@pbx` second, with the ids of
/// the streams each sends; `-` for no association.
fn rfc(first: &str, second: &str) -> String {
    let streams = "<stream stream_id=\"s1\"><label>1</label></stream><stream stream_id=\"s0\"><label>0</label></stream>";
    let one = |id: &str, aor: &str, sends: &str| {
        let send =
            |all: &str| all.split_whitespace().map(|id| format!("<send>{id}</send>")).collect::<String>();
        let association = match sends {
            "-" => String::new(),
            sends => format!(
                "<participantstreamassoc participant_id=\"{id}\">{}</participantstreamassoc>",
                send(sends)
            ),
        };
        format!("<participant participant_id=\"{id}\"><nameID aor=\"{aor}\"/></participant>{association}")
    };
    let (first, second) = (one("a", "sip:ann@gw", first), one("b", "sip:bob@pbx", second));
    format!(
        "<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\"><datamode>complete</datamode>{first}{streams}{second}</recording>"
    )
}

const ORACLE: &str = r#"<recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>complete</datamode><session id="S=="/>
    <participant id="p1==" session="S=="><nameID aor="sip:bob@pbx"><name>"Bob" "B"</name></nameID><send>s1==</send>
     <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:callingParty>false</apkt:callingParty></extensiondata></participant>
    <participant id="p2==" session="S=="><nameID aor="sip:ann@gw"/><send>s2==</send>
     <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:callingParty>true</apkt:callingParty></extensiondata></participant>
    <stream id="s1==" session="S=="><label>16777227</label><mode>separate</mode></stream>
    <stream id="s2==" session="S=="><label>16777228</label><mode>separate</mode></stream></recording>"#;

const SONUS: &str = r#"<tns:recording xmlns:tns='urn:ietf:params:xml:ns:recording'><tns:datamode>complete</tns:datamode>
    <tns:group group_id="g"><callData xmlns='urn:ietf:params:xml:ns:callData'><fromhdr>"Ann" &lt;sip:ann@192.0.2.1&gt;;tag=x</fromhdr><callid>c-1</callid></callData></tns:group>
    <tns:participant participant_id="b"><tns:nameID aor="bob@pbx"/></tns:participant>
    <tns:participant participant_id="a"><tns:nameID aor="ann@gw"/></tns:participant>
    <tns:stream stream_id="s1"><tns:label>1</tns:label></tns:stream><tns:stream stream_id="s2"><tns:label>2</tns:label></tns:stream>
    <tns:participantstreamassoc participant_id="a"><tns:send>s2</tns:send><tns:recv>s1</tns:recv></tns:participantstreamassoc>
    <tns:participantstreamassoc participant_id="b"><tns:send>s1</tns:send><tns:recv>s2</tns:recv></tns:participantstreamassoc></tns:recording>"#;

const AUDIOCODES: &str = r#"<recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>complete</datamode>
    <session id="S"><ac:AvayaUCID xmlns="urn:ietf:params:xml:ns:Avaya">FA08</ac:AvayaUCID></session>
    <participant id="1056" session="S"><nameID aor="1056@gw"/><send>s1</send><recv>s2</recv></participant>
    <participant id="182" session="S"><nameID aor="182@gw"/><send>s2</send><recv>s1</recv></participant>
    <stream id="s1" session="S"><label>1</label></stream><stream id="s2" session="S"><label>2</label></stream></recording>"#;

#[test]
fn each_client_names_its_caller() {
    let avaya = rfc("s1", "s0")
        .replace("<label>1<", "<label>10<")
        .replace("<label>0<", "<label>20<")
        .replace("datamode", "dataMode");
    let broadworks = rfc("s1", "s1");
    let mixed_mode = rfc("s1", "s0").replace("<label>1</label>", "<label>1</label><mode>mixed</mode>");
    let unlabelled = rfc("s1", "s0").replace("<label>1</label>", "");
    let both_called = ORACLE.replace(">false<", ">true<");
    let first = ChosenBy::FirstParticipant;
    let cases: [(&str, &[&str], &str, Outcome<'_>); 16] = [
        ("OpenSIPS with rtpengine", &["1", "0"], &rfc("s1", "s0"), Ok((0, "sip:ann@gw", first))),
        ("the same, lines the other way round", &["0", "1"], &rfc("s1", "s0"), Ok((1, "sip:ann@gw", first))),
        ("OpenSIPS with rtpproxy", &["1", "2"], &rfc("-", "-"), Err(Reason::CallerUnknown)),
        ("Oracle", &["16777227", "16777228"], ORACLE, Ok((1, "sip:ann@gw", ChosenBy::CallingParty))),
        ("two callers", &["16777227", "16777228"], &both_called, Err(Reason::CallerUnknown)),
        ("Cisco", &["1", "0"], &rfc("s1", "s0"), Ok((0, "sip:ann@gw", first))),
        ("Cisco, inactive", &["1", "0"], &rfc("", ""), Err(Reason::CallerUnknown)),
        ("Sonus", &["1", "2"], SONUS, Ok((1, "ann@gw", ChosenBy::FromHeader))),
        ("AudioCodes", &["1", "2"], AUDIOCODES, Ok((0, "1056@gw", first))),
        ("Avaya", &["10", "20"], &avaya, Ok((0, "sip:ann@gw", first))),
        ("BroadWorks", &["1"], &broadworks, Err(Reason::MixedStream)),
        ("Metaswitch", &["1"], &rfc("s1", "-"), Err(Reason::MixedStream)),
        ("a stream that says it is mixed", &["1", "0"], &mixed_mode, Err(Reason::MixedStream)),
        ("one line, the other party elsewhere", &["1"], &rfc("s1", "s0"), Ok((0, "sip:ann@gw", first))),
        ("one line, the agent's", &["0"], &rfc("s1", "s0"), Err(Reason::CallerUnknown)),
        ("a stream without label", &["1", "0"], &unlabelled, Err(Reason::CallerUnknown)),
    ];
    for (client, labels, text, expected) in cases {
        let found = choose_caller(&CallerRule::Auto, &lines(labels), Some(&metadata(text)), None);
        assert_eq!(outcome(&found), expected, "{client}");
    }
}

#[test]
fn without_metadata_only_a_rule_may_choose() {
    let rule = |rule: &CallerRule, labels: &[&str]| {
        outcome(&choose_caller(rule, &lines(labels), None, None)).map(|it| it.0)
    };
    let two = ["a_leg", "b_leg"];
    assert_eq!(rule(&CallerRule::Auto, &two), Err(Reason::CallerUnknown), "Cisco network recording");
    assert_eq!(rule(&CallerRule::Auto, &["1"]), Err(Reason::MixedStream));
    assert_eq!(rule(&CallerRule::Auto, &[]), Err(Reason::CallerUnknown));
    assert_eq!(rule(&CallerRule::First, &two), Ok(0));
    assert_eq!(rule(&CallerRule::Second, &two), Ok(1));
    assert_eq!(rule(&CallerRule::Label("b_leg".into()), &two), Ok(1));
    assert_eq!(rule(&CallerRule::Label("c_leg".into()), &two), Err(Reason::CallerUnknown));
    assert_eq!(rule(&CallerRule::Second, &["1"]), Err(Reason::CallerUnknown));
    assert_eq!(
        rule(&CallerRule::First, &["1"]),
        Ok(0),
        "the administrator says that the one line is the caller's"
    );
}

#[test]
fn the_rule_of_a_peer_comes_first() {
    let labels = lines(&["1", "0"]);
    let choose = |rule: &CallerRule, text: &str| {
        let found = choose_caller(rule, &labels, Some(&metadata(text)), None);
        outcome(&found).map(|(line, aor, by)| (line, aor.to_owned(), by))
    };
    let ok = |line, aor: &str, by| Ok((line, aor.to_owned(), by));
    let (rule, first) = (ChosenBy::PeerRule, ChosenBy::FirstParticipant);
    assert_eq!(
        choose(&CallerRule::Second, &rfc("s1", "s0")),
        ok(1, "sip:bob@pbx", rule),
        "the line's own participant"
    );
    assert_eq!(
        choose(&CallerRule::First, &rfc("-", "-")),
        ok(0, "sip:ann@gw", rule),
        "rtpproxy: by convention"
    );
    assert_eq!(
        choose(&CallerRule::Swapped, &rfc("s0", "s1")),
        ok(0, "sip:ann@gw", first),
        "names right, streams crosswise"
    );
    assert_eq!(choose(&CallerRule::Swapped, &rfc("s0", "-")), Err(Reason::CallerUnknown));
    assert_eq!(
        choose(&CallerRule::First, &rfc("s1", "s1")),
        Err(Reason::MixedStream),
        "no rule makes two voices one"
    );
    for text in ["auto", "swapped", "first", "second", "label:16777227"] {
        assert_eq!(text.parse::<CallerRule>().unwrap().to_string(), text);
    }
    for text in ["", "First", "label:", "label: ", "3"] {
        assert_eq!(text.parse::<CallerRule>(), Err(UnknownRule(text.to_owned())));
    }
}

#[test]
fn hold_and_transfer_do_not_change_who_called() {
    let labels = lines(&["1", "0"]);
    let choose = |text: &str, earlier: Option<&CallerChoice>| {
        choose_caller(&CallerRule::Auto, &labels, Some(&metadata(text)), earlier)
    };
    let began = choose(&rfc("s1", "s0"), None).unwrap();
    let earlier = Some(&began);
    assert_eq!(
        outcome(&choose(&rfc("", ""), earlier)),
        Ok((0, "sip:ann@gw", ChosenBy::Earlier)),
        "hold empties the associations"
    );
    assert_eq!(
        outcome(&choose(&rfc("", "s0"), earlier)),
        Ok((0, "sip:ann@gw", ChosenBy::Earlier)),
        "or one of them"
    );
    assert_eq!(outcome(&choose(&rfc("s1", "s0"), earlier)), Ok((0, "sip:ann@gw", ChosenBy::Earlier)));
    assert_eq!(
        outcome(&choose(&rfc("", "s1"), earlier)),
        Err(Reason::CallerUnknown),
        "the line went to somebody else"
    );
    let transferred =
        rfc("s0", "s1").replace("sip:ann@gw", "sip:carol@pbx").replace("sip:bob@pbx", "sip:ann@gw");
    let new_ids = transferred.replace("\"a\"", "\"x\"").replace("\"b\"", "\"y\"");
    assert_eq!(
        outcome(&choose(&new_ids, earlier)),
        Ok((0, "sip:ann@gw", ChosenBy::Earlier)),
        "known by the address"
    );
    let without_line = choose_caller(&CallerRule::Auto, &[], Some(&metadata(&rfc("", ""))), earlier);
    assert_eq!(outcome(&without_line), Err(Reason::CallerUnknown));
}

/// The choice by `later` of those who called by `first`.
fn then(rule: &CallerRule, first: &str, later: &str) -> [Result<CallerChoice, Reason>; 2] {
    let labels = lines(&["1", "0"]);
    let began = choose_caller(rule, &labels, Some(&metadata(first)), None);
    let mut recording = metadata(first);
    recording.update(metadata(later));
    let then = choose_caller(rule, &labels, Some(&recording), began.as_ref().ok());
    [began, then]
}

/// Says that participant `a` left, and that `who` came, who sends on the stream `sends`.
fn replaced(who: &str, sends: &str) -> String {
    format!(
        "<recording><datamode>partial</datamode>\
         <participantsessionassoc participant_id=\"a\" session_id=\"s\"><disassociate-time>x</disassociate-time></participantsessionassoc>\
         <participant participant_id=\"c\"><nameID aor=\"{who}\"/></participant>\
         <participantstreamassoc participant_id=\"c\"><send>{sends}</send></participantstreamassoc></recording>"
    )
}

#[test]
fn who_comes_to_the_line_of_a_caller_who_left_is_a_new_caller() {
    let auto = CallerRule::Auto;
    let [began, then_] = then(&auto, &rfc("s1", "s0"), &replaced("sip:dave@gw", "s1"));
    assert_eq!(outcome(&then_), Ok((0, "sip:dave@gw", ChosenBy::Successor)));
    assert_eq!(began.unwrap().followed_by(&then_.unwrap()), Succession::Replaced);

    let [_, on_the_agents_line] = then(&auto, &rfc("s1", "s0"), &replaced("sip:dave@gw", "s0"));
    assert_eq!(outcome(&on_the_agents_line), Err(Reason::CallerUnknown), "an agent more");
    let gone = rfc("s1", "s0").replace("\"a\"", "\"x\"").replace("sip:ann@gw", "sip:dave@gw");
    let alone = gone.replace("<send>s0</send>", "");
    let [_, alone] = then(&auto, &rfc("s1", "s0"), &alone);
    assert_eq!(outcome(&alone), Err(Reason::CallerUnknown), "the line may have become the agent's");
    let [_, complete] = then(&auto, &rfc("s1", "s0"), &gone);
    assert_eq!(
        outcome(&complete),
        Ok((0, "sip:dave@gw", ChosenBy::Successor)),
        "a complete document says the same"
    );
}

#[test]
fn with_swapped_streams_the_successor_is_on_the_callers_line_of_the_metadata() {
    let [began, then_] = then(&CallerRule::Swapped, &rfc("s1", "s0"), &replaced("sip:dave@gw", "s1"));
    assert_eq!(outcome(&began), Ok((1, "sip:ann@gw", ChosenBy::FirstParticipant)));
    assert_eq!(outcome(&then_), Ok((1, "sip:dave@gw", ChosenBy::Successor)));
}

#[test]
fn a_rule_for_the_line_names_who_sends_on_it_now() {
    let [began, then_] = then(&CallerRule::First, &rfc("s1", "s0"), &replaced("sip:dave@gw", "s1"));
    assert_eq!(outcome(&began), Ok((0, "sip:ann@gw", ChosenBy::PeerRule)));
    assert_eq!(outcome(&then_), Ok((0, "sip:dave@gw", ChosenBy::PeerRule)));
    assert_eq!(began.unwrap().followed_by(&then_.unwrap()), Succession::Replaced);
}

#[test]
fn agents_who_come_and_go_leave_the_caller_alone() {
    let change = "<recording><datamode>partial</datamode>\
         <participantsessionassoc participant_id=\"b\" session_id=\"s\"><disassociate-time>x</disassociate-time></participantsessionassoc>\
         <participant participant_id=\"c\"><nameID aor=\"sip:carol@pbx\"/></participant>\
         <participantstreamassoc participant_id=\"c\"><send>s0</send></participantstreamassoc></recording>";
    for rule in [CallerRule::Auto, CallerRule::Swapped, CallerRule::First] {
        let [began, then_] = then(&rule, &rfc("s1", "s0"), change);
        let (began, then_) = (began.unwrap(), then_.unwrap());
        assert_eq!(began.m_line, then_.m_line, "{rule}");
        assert_eq!(began.followed_by(&then_), Succession::Same, "{rule}");
    }
}

#[test]
fn a_caller_is_the_same_by_name_or_by_id_where_a_name_is_missing() {
    let choice = |id: &str, aor: &str| CallerChoice {
        m_line: 0,
        participant: (!id.is_empty()).then(|| id.to_owned()),
        aor: (!aor.is_empty()).then(|| Pii::new(aor.to_owned())),
        by: ChosenBy::Earlier,
    };
    for (before, after, same) in [
        (("a", "sip:ann@gw"), ("a", "sip:ann@gw"), true),
        (("a", "sip:ann@gw"), ("x", "sip:ann@10.0.0.1:5070"), true),
        (("a", "sip:ann@gw"), ("a", "sip:dave@gw"), false),
        (("a", "sip:ann@gw"), ("x", "sip:dave@gw"), false),
        (("a", ""), ("a", "sip:ann@gw"), true),
        (("a", "sip:ann@gw"), ("a", ""), true),
        (("a", "sip:ann@gw"), ("x", ""), false),
        (("a", "sip:anonymous@anonymous.invalid"), ("x", "sip:anonymous@anonymous.invalid"), false),
        (("", ""), ("a", "sip:ann@gw"), true),
        (("", ""), ("", ""), true),
    ] {
        let succession = choice(before.0, before.1).followed_by(&choice(after.0, after.1));
        assert_eq!(succession == Succession::Same, same, "{before:?} {after:?}");
    }
}

#[test]
fn bodies_are_found_whatever_their_order_and_company() {
    let part = |headers: &str, body: &str| format!("--b\r\n{headers}\r\n\r\n{body}\r\n");
    let sdp = part("Content-Type: application/sdp\r\nContent-Disposition: session;handling=required", "v=0");
    let other =
        part("Content-Type: application/gtd\r\nContent-Disposition: signal;handling=optional", "IAM,");
    for headers in [
        "Content-Type: application/rs-metadata+xml\r\nContent-Length: 9",
        "Content-type: application/rs-metadata;charset=UTF-8",
        "Content-Disposition: Recording-Session\r\nContent-Type: application/ +xml",
    ] {
        let xml = part(headers, "<recording/>");
        for parts in [[&sdp, &xml, &other], [&xml, &other, &sdp], [&other, &sdp, &xml]] {
            let body = format!("{}{}{}--b--\r\n", parts[0], parts[1], parts[2]);
            let found = Bodies::find("Multipart/Mixed; boundary=\"b\"", body.as_bytes()).unwrap();
            assert_eq!(found, Bodies { sdp: Some(b"v=0"), metadata: Some(b"<recording/>") }, "{headers}");
        }
    }
    let alone = |content_type: &str| Bodies::find(content_type, b"x").unwrap();
    assert_eq!(alone("application/sdp;charset=x"), Bodies { sdp: Some(b"x"), metadata: None });
    assert_eq!(alone("application/rs-metadata+xml"), Bodies { sdp: None, metadata: Some(b"x") });
    assert_eq!(alone("text/plain"), Bodies::default());
    assert_eq!(Bodies::find("multipart/mixed", b"x"), Err(MultipartError::NoBoundary));
}

/// Real bodies of recording clients, which are not part of this repository.
fn real_body(name: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let shared = std::env::var_os("VOUCH_SHARED").map_or(beside, PathBuf::from);
    let found = std::fs::read(shared.join("siptests/siprec-bodies").join(name)).ok();
    if found.is_none() {
        eprintln!("skipped: no {name} under {}", shared.display());
    }
    found
}

#[test]
fn real_bodies_name_their_callers() {
    let first = ChosenBy::FirstParticipant;
    let cases: [(&str, usize, Outcome<'_>); 10] = [
        ("acme-siprec-offer.txt", 2, Ok((0, "sip:9000@192.168.50.102", ChosenBy::CallingParty))),
        ("broadworks-offer.txt", 1, Err(Reason::MixedStream)),
        ("broadworks-offer-2.txt", 2, Ok((0, "sip:9878942259@212.188.68.145", first))),
        ("cisco-siprec-offer.txt", 2, Ok((0, "sip:7301@35.162.237.204", first))),
        ("connectel-offer.txt", 2, Err(Reason::CallerUnknown)),
        ("connectel-offer2.txt", 2, Err(Reason::CallerUnknown)),
        ("connectel-offer3.txt", 2, Err(Reason::CallerUnknown)),
        ("inactive-sdp-offer.txt", 2, Err(Reason::CallerUnknown)),
        ("procomm-siprec-offer.txt", 2, Ok((0, "sip:016190200@87.252.209.116", first))),
        ("sonus-siprec-offer.txt", 2, Ok((1, "2249888500@172.16.198.55", ChosenBy::FromHeader))),
    ];
    for (name, count, expected) in cases {
        let Some(body) = real_body(name) else { continue };
        let text = String::from_utf8_lossy(&body);
        let boundary = text.lines().find_map(|line| line.trim().strip_prefix("--")).unwrap();
        let found = Bodies::find(&format!("multipart/mixed;boundary=\"{boundary}\""), &body).unwrap();
        let lines = plans(found.sdp.unwrap());
        assert_eq!(lines.len(), count, "{name}");
        let recording = Recording::parse(found.metadata.unwrap()).ok();
        let chosen = choose_caller(&CallerRule::Auto, &lines, recording.as_ref(), None);
        assert_eq!(outcome(&chosen), expected, "{name}");
        let by_rule = choose_caller(&CallerRule::First, &lines, recording.as_ref(), None);
        let shared_line = name == "broadworks-offer.txt" && recording.is_some();
        assert!(by_rule.is_ok_and(|it| it.m_line == 0) || shared_line, "{name}: a rule can choose");
    }
}

#[test]
fn real_descriptions_are_answered() {
    for name in ["non-siprec-payload.txt", "sample-sdp2.txt", "sample-sdp3.txt", "sample-sdps.txt"] {
        let Some(body) = real_body(name) else { continue };
        for sdp in String::from_utf8_lossy(&body).split("__split_here__") {
            let offer = Description::parse(sdp.as_bytes()).unwrap();
            for leg in [Leg::Plain, Leg::Siprec] {
                let answer = Negotiation::new(&offer, leg, SrtpRule::Accept).unwrap().answer(
                    "::1".parse().unwrap(),
                    &[40000],
                    &mut Told::new(2, KeySeed::fixed()),
                );
                assert_eq!(answer.plans.len(), 1, "{name}");
                assert!(answer.plans[0].remote.is_some() && answer.plans[0].codec.is_some(), "{name}");
            }
        }
    }
}

fn any_recording() -> impl Strategy<Value = Recording> {
    let participant = (
        "[abc]?",
        "(sip:ann@gw|sip:bob@pbx)?",
        proptest::option::of(proptest::collection::vec("s[012]", 0..3)),
        proptest::option::weighted(0.2, any::<bool>()),
    );
    let stream = ("s[012]", proptest::option::of("[012]"), proptest::bool::weighted(0.1));
    let all = (
        proptest::collection::vec(participant, 0..4),
        proptest::collection::vec(stream, 0..4),
        proptest::option::of("sip:(ann|bob)@x"),
    );
    all.prop_map(|(participants, streams, from)| Recording {
        participants: participants
            .into_iter()
            .map(|(id, aor, sends, calling)| Participant {
                id,
                aor: Some(Pii::new(aor)),
                name: None,
                sends,
                calling,
                left: None,
            })
            .collect(),
        streams: streams
            .into_iter()
            .map(|(id, label, mixed)| crate::wire::rs_metadata::Stream { id, label, mixed })
            .collect(),
        from_header: from.map(Pii::new),
        ..Recording::default()
    })
}

proptest! {
    /// Whatever a client sends, the line chosen exists, is nobody else's, and is not shared.
    #[test]
    fn nobody_else_is_ever_chosen(
        recording in any_recording(),
        later in any_recording(),
        count in 0_usize..4,
        rule in "(auto|first|second|label:1)",
    ) {
        let rule: CallerRule = rule.parse().unwrap();
        let lines = lines(&["0", "1", "2"][..count.min(3)]);
        let began = choose_caller(&rule, &lines, Some(&recording), None);
        let then = choose_caller(&rule, &lines, Some(&later), began.as_ref().ok());
        for (chosen, recording) in [(began, &recording), (then, &later)] {
            let Ok(chosen) = chosen else { continue };
            let line = lines.iter().find(|line| line.m_line == chosen.m_line);
            prop_assert!(line.is_some());
            let scene = Scene { lines: &lines, recording };
            let senders: Vec<_> = scene.senders(line.unwrap()).collect();
            prop_assert!(senders.len() <= 1);
            prop_assert!(senders.iter().all(|sender| sender.aor == chosen.aor));
        }
    }

    #[test]
    fn any_body_is_split_or_refused(
        content_type in "(multipart/mixed;boundary=b|application/sdp|.{0,20})",
        body in proptest::collection::vec("(--b\r\n|Content-Type: application/sdp\r\n|\r\n|v=0|.{0,9})", 0..20),
    ) {
        let body = body.concat();
        if let Ok(found) = Bodies::find(&content_type, body.as_bytes()) {
            let _ = found.sdp.map(Description::parse);
            let _ = found.metadata.map(Recording::parse);
        }
    }
}
