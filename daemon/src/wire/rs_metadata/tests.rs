use super::*;
use proptest::prelude::*;

const COMPLETE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
 <dataMode>complete</dataMode>
 <session session_id="S"><sipSessionID>ab01;remote=cd02</sipSessionID></session>
 <participantstreamassoc participant_id="P2"><send>T2</send><recv>T1</recv></participantstreamassoc>
 <participant participant_id="P1"><nameID aor="sip:+15550100@gw.example"><name xml:lang="en">"Ann" &lt;A&gt;</name></nameID></participant>
 <participant participant_id="P2"><nameID aor="sip:200@pbx.example"/></participant>
 <stream stream_id="T1" session_id="S"><label>1</label></stream>
 <stream stream_id="T2" session_id="S"><label>2</label><mode>mixed</mode></stream>
 <participantstreamassoc participant_id="P1"><send>T1</send><send>T1</send></participantstreamassoc>
</recording>"#;

/// Id, address and streams of each participant.
fn summary(recording: &Recording) -> Vec<(&str, &str, Option<Vec<&str>>)> {
    recording
        .participants
        .iter()
        .map(|it| {
            let aor = it.aor.as_ref().map_or("", |aor| aor.reveal().as_str());
            (it.id.as_str(), aor, it.sends.as_ref().map(|all| all.iter().map(String::as_str).collect()))
        })
        .collect()
}

#[test]
fn the_rfc_form_is_read() {
    let read = Recording::parse(COMPLETE.as_bytes()).unwrap();
    let expected = [
        ("P1", "sip:+15550100@gw.example", Some(vec!["T1"])),
        ("P2", "sip:200@pbx.example", Some(vec!["T2"])),
    ];
    assert_eq!(
        summary(&read),
        expected,
        "an association in front of its participants does not change their order"
    );
    assert_eq!(read.participants[0].name.as_ref().unwrap().reveal(), "\"Ann\" <A>");
    assert_eq!(read.sip_session_ids, ["ab01;remote=cd02"]);
    let streams: Vec<_> =
        read.streams.iter().map(|it| (it.id.as_str(), it.label.as_deref(), it.mixed)).collect();
    assert_eq!(streams, [("T1", Some("1"), false), ("T2", Some("2"), true)]);
    assert!(!read.partial);
    assert!(!format!("{read:?}").contains("555"), "no number reaches a log");
}

#[test]
fn other_spellings_say_the_same() {
    let expected = Recording::parse(COMPLETE.as_bytes()).unwrap();
    let prefixed = COMPLETE
        .replace("<?", "\u{1}")
        .replace("</", "\u{2}")
        .replace('<', "<tns:")
        .replace('\u{2}', "</tns:")
        .replace('\u{1}', "<?")
        .replace("xmlns=", "xmlns:tns=");
    let cases = [
        COMPLETE.replace("recording:1", "recording"),
        COMPLETE.replace(" xmlns=\"urn:ietf:params:xml:ns:recording:1\"", ""),
        COMPLETE.replace("participant_id", "id").replace("stream_id", "id").replace("session_id", "session"),
        COMPLETE.replace("participantstreamassoc", "participantStreamAssoc").replace("dataMode", "datamode"),
        COMPLETE.replace("sipSessionID", "sipsessionid").replace("nameID", "nameid"),
        COMPLETE.replace('\n', "\r\n"),
        format!("\u{feff}\r\n {COMPLETE}\r\n\0"),
        prefixed,
    ];
    for text in cases {
        assert_eq!(Recording::parse(text.as_bytes()).as_ref(), Ok(&expected), "{text}");
    }
}

#[test]
fn extensions_are_read() {
    let text = r#"<recording xmlns='urn:ietf:params:xml:ns:recording'><session id="S">
            <ac:AvayaUCID xmlns="urn:x">FA08</ac:AvayaUCID><zz:other/>
            <extensiondata><apkt:ucid>00FA08;encoding=hex</apkt:ucid><apkt:header label="X-Orig-Call-ID"><value>a@b</value></apkt:header>
            <apkt:header label="Subject"><value>no</value></apkt:header></extensiondata></session>
            <callData><fromhdr>"A" &lt;sip:1@x&gt;;tag=2</fromhdr><callid>c-1</callid><callid/></callData>
            <participant id="P"><nameID aor=""/><nameID aor="tel:+1555"/><send>T</send><extensiondata><apkt:callingParty> TRUE </apkt:callingParty></extensiondata></participant>
            <participant id="Q"><send> </send><apkt:callingParty>0</apkt:callingParty></participant></recording>"#;
    let read = Recording::parse(text.as_bytes()).unwrap();
    assert_eq!(read.call_ids, ["FA08", "00FA08", "a@b", "c-1"]);
    assert_eq!(read.from_header.as_ref().unwrap().reveal(), "\"A\" <sip:1@x>;tag=2");
    assert_eq!(summary(&read), [("P", "tel:+1555", Some(vec!["T"])), ("Q", "", None)]);
    assert_eq!((read.participants[0].calling, read.participants[1].calling), (Some(true), Some(false)));
}

#[test]
fn partial_updates_change_what_they_name() {
    let mut recording = Recording::parse(COMPLETE.as_bytes()).unwrap();
    let held =
        r#"<recording><datamode>partial</datamode><participantstreamassoc participant_id="P1"/></recording>"#;
    recording.update(Recording::parse(held.as_bytes()).unwrap());
    assert_eq!(
        recording.participants[0].sends.as_deref(),
        Some(&["T1".to_owned()][..]),
        "hold keeps the streams"
    );
    let changed = r#"<recording><datamode>Partial</datamode><participant participant_id="P3"><nameID aor="sip:300@x"/></participant>
            <stream stream_id="T1"><label>9</label></stream><stream stream_id="T3"><label>3</label></stream>
            <participantstreamassoc participant_id="P3"><send>T3</send></participantstreamassoc></recording>"#;
    recording.update(Recording::parse(changed.as_bytes()).unwrap());
    assert_eq!(summary(&recording).iter().map(|it| it.0).collect::<Vec<_>>(), ["P1", "P2", "P3"]);
    assert_eq!(recording.streams[0].label.as_deref(), Some("9"));
    assert_eq!(recording.streams.len(), 3);
    assert_eq!(recording.sip_session_ids.len(), 1, "what is not named stays");
    recording.update(Recording::parse(b"<recording/>").unwrap());
    assert_eq!(recording, Recording::default(), "a complete document replaces all");
}

#[test]
fn ended_associations_do_not_count() {
    let text = r#"<recording><participantstreamassoc participant_id="P"><send>A</send><send>B</send></participantstreamassoc>
            <participantstreamassoc participant_id="P"><send>A</send><disassociate-time>x</disassociate-time></participantstreamassoc></recording>"#;
    assert_eq!(summary(&Recording::parse(text.as_bytes()).unwrap()), [("P", "", Some(vec!["B"]))]);
}

#[test]
fn who_left_every_session_has_left_until_they_come_back() {
    let assoc = |session: &str, left: bool| {
        let end = if left { "<disassociate-time>x</disassociate-time>" } else { "" };
        format!(
            "<participantsessionassoc participant_id=\"P1\" session_id=\"{session}\">{end}</participantsessionassoc>"
        )
    };
    let partial = |what: &str| format!("<recording><datamode>partial</datamode>{what}</recording>");
    let mut recording = Recording::parse(COMPLETE.as_bytes()).unwrap();
    let mut left_after = |what: &str| {
        recording.update(Recording::parse(partial(what).as_bytes()).unwrap());
        recording.participants[0].left
    };
    assert_eq!(left_after(&assoc("s1", true)), Some(true));
    assert_eq!(left_after(&assoc("s2", false)), Some(false), "back in another session");
    assert_eq!(left_after(&(assoc("s2", true) + &assoc("s3", false))), Some(false), "moved");
    assert_eq!(left_after(&(assoc("s4", false) + &assoc("s3", true))), Some(false), "whatever the order");
    assert_eq!(left_after(""), Some(false), "what is not named stays");
}

#[test]
fn faults_are_named() {
    let many = format!("<recording>{}</recording>", "<a/>".repeat(5000));
    let prefixes: String = (0..9).map(|n| format!("<p{n}:a/>")).collect();
    for (text, expected) in [
        ("", MetadataError::Malformed { line: 1, column: 1 }),
        ("<other/>", MetadataError::NotRecording),
        ("<recording>\n <a>", MetadataError::Malformed { line: 1, column: 1 }),
        ("<recording>\n <a aor=\"&nope;\"/></recording>", MetadataError::Malformed { line: 2, column: 10 }),
        ("<!DOCTYPE r [<!ENTITY a \"b\">]><recording>&a;</recording>", MetadataError::Dtd),
        (&many, MetadataError::TooManyNodes),
        (&format!("<recording>{prefixes}</recording>"), MetadataError::Malformed { line: 1, column: 1 }),
    ] {
        let found = Recording::parse(text.as_bytes());
        match (found, expected) {
            (Err(MetadataError::Malformed { line, .. }), MetadataError::Malformed { line: wanted, .. }) => {
                assert!(line >= wanted, "{text}");
            }
            (found, expected) => assert_eq!(found, Err(expected), "{text:.60}"),
        }
    }
    let long = vec![b' '; MAX_METADATA + 1];
    assert_eq!(Recording::parse(&long), Err(MetadataError::TooLong(MAX_METADATA + 1)));
    let deep = format!("<recording>{}", "<a>".repeat(20_000));
    assert!(Recording::parse(deep.as_bytes()).is_err(), "depth costs no stack");
}

const TAG: &str = "(<|</|<tns:)(recording|participant|stream|send|nameID|label|participantstreamassoc)\
        ( id='a')?( xmlns:q='x')?(/>|>)";

proptest! {
    #[test]
    fn anything_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Recording::parse(&bytes);
    }

    #[test]
    fn damaged_metadata_is_read_or_refused(at in 0..COMPLETE.len(), byte: u8, cut in 0..COMPLETE.len()) {
        let mut bytes = COMPLETE.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = Recording::parse(&bytes);
        prop_assert!(Recording::parse(&COMPLETE.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn any_tree_is_read_or_refused(tags in proptest::collection::vec(TAG, 0..30)) {
        let _ = Recording::parse(tags.concat().as_bytes());
        let _ = Recording::parse(format!("<recording>{}</recording>", tags.concat()).as_bytes());
    }
}

#[test]
fn what_is_known_of_a_session_stays_bounded_however_often_it_changes() {
    let mut known = Recording::parse(b"<recording><participant/><participant id='a'/></recording>").unwrap();
    for number in 0..1000 {
        let update = format!(
            "<recording><datamode>partial</datamode><participant/><participant id='p{number}'/>\
             <stream id='s{number}'/><sipSessionID>{number}</sipSessionID><callid>{number}</callid></recording>"
        );
        known.update(Recording::parse(update.as_bytes()).unwrap());
    }
    assert_eq!((known.participants.len(), known.streams.len()), (MAX_KNOWN, MAX_KNOWN));
    assert_eq!((known.sip_session_ids.len(), known.call_ids.len()), (MAX_KNOWN, MAX_KNOWN));
    let unnamed = known.participants.iter().filter(|participant| participant.id.is_empty());
    assert_eq!(unnamed.count(), 1, "nobody knows whom a participant without an id changes");
}
