//! Captures made by hand: a hold, an encrypted call, a call without an end, and a file that is cut off.

use crate::a_replay_decides_as_the_live_call::replay;
use common::clients::session_offer;
use common::daemon::program;
use common::sniffer::Pcap;
use common::srtp::Srtp;
use common::voices::{Person, mulaw, write_wav};
use common::wire::{Script, sdp};
use serde_json::Value;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

const PHONE: (&str, &str) = ("192.0.2.10:5060", "192.0.2.10:4000");
const PBX: (&str, &str) = ("198.51.100.5:5060", "198.51.100.5:30000");

fn at(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

/// A call from the phone to the PBX; what is said in it is up to `talk`, which may hang up.
fn call(script: &mut Script, id: &str, (transport, more): (&str, &str), talk: impl FnOnce(&mut Script)) {
    let (phone, pbx) = (at(PHONE.0), at(PBX.0));
    let offer = sdp(at(PHONE.1), transport, more);
    script.sip((phone, pbx), "INVITE sip:agent@pbx.test SIP/2.0", (id, "1 INVITE"), "", &offer);
    let answer = sdp(at(PBX.1), transport, more);
    script.sip((pbx, phone), "SIP/2.0 200 OK", (id, "1 INVITE"), ";tag=b", &answer);
    script.sip((phone, pbx), "ACK sip:agent@pbx.test SIP/2.0", (id, "1 ACK"), ";tag=b", "");
    talk(script);
}

fn hang_up(script: &mut Script, id: &str) {
    script.sip((at(PHONE.0), at(PBX.0)), "BYE sip:agent@pbx.test SIP/2.0", (id, "9 BYE"), ";tag=b", "");
}

fn find<'a>(calls: &'a [Value], id: &str) -> &'a Value {
    calls
        .iter()
        .find(|call| call["sip_call_id"] == id)
        .unwrap_or_else(|| panic!("{id} is not among {calls:?}"))
}

#[test]
fn what_cannot_be_heard_is_said_and_the_rest_is_decided() {
    let Some(enrolled) = Person::Allison.talk(0, 55.0) else { return };
    let folder = tempfile::tempdir().expect("a folder for the capture");
    let (file, wav) = (folder.path().join("calls.pcap"), folder.path().join("1001.wav"));
    write_wav(&wav, &enrolled);
    let voice = mulaw(&Person::Allison.talk(1, 24.0).expect("present above"));
    let stranger = mulaw(&Person::Carlo.talk(1, 24.0).expect("present above"));

    let mut script = Script::new(Pcap::create(&file));
    let (ours, theirs) = (at(PHONE.1), at(PBX.1));
    // Six seconds of the caller, then a hold in which somebody else is on the line, then the caller again.
    call(&mut script, "held", ("RTP/AVP", ""), |script| {
        script.talk(ours, theirs, &voice[..48_000]);
        change(script, 2, "sendonly", "recvonly");
        script.talk(ours, theirs, &stranger);
        change(script, 3, "sendrecv", "sendrecv");
        script.talk(ours, theirs, &voice[48_000..]);
        hang_up(script, "held");
    });
    call(&mut script, "secret", ("UDP/TLS/RTP/SAVP", ""), |script| {
        script.talk(ours, theirs, &stranger);
        hang_up(script, "secret");
    });
    // The keys of both sides stand in the signalling: the same here, which nothing forbids.
    let (srtp, mut index) = (Srtp::new(7), 0);
    let keys = format!("a=crypto:{}\r\n", srtp.offer());
    call(&mut script, "keyed", ("RTP/SAVP", &keys), |script| {
        script.talk_as(ours, theirs, &voice, |packet| {
            index += 1;
            srtp.protect(packet, index - 1)
        });
        hang_up(script, "keyed");
    });
    call(&mut script, "endless", ("RTP/AVP", ""), |script| script.talk(ours, theirs, &voice[..40_000]));
    drop(script);
    let whole = std::fs::read(&file).expect("just written");
    std::fs::write(&file, &whole[..whole.len() - 30]).expect("the capture fits on the disk");

    let (calls, summary) = replay(&file, &[format!("1001={}", wav.display())]);
    let result = |id| &find(&calls, id)["result"];
    assert_eq!(result("held")["status"], "authenticated", "{}", find(&calls, "held"));
    assert_eq!(
        (&result("secret")["status"], &result("secret")["reasons"][0]),
        (&"inconclusive".into(), &"encrypted".into())
    );
    assert_eq!(result("keyed")["status"], "authenticated", "{}", find(&calls, "keyed"));
    assert_eq!(find(&calls, "secret")["net_speech_s"], 0.0, "noise is not listened to");
    assert_eq!(
        (&result("endless")["status"], &result("endless")["reasons"][0]),
        (&"inconclusive".into(), &"too-little-speech".into())
    );
    let capture = &summary["capture"];
    assert_eq!(
        (&capture["truncated_file"], &capture["unfinished_calls"]),
        (&true.into(), &1.into()),
        "{summary}"
    );
    for_people(&file);
}

/// A re-INVITE of the phone to another direction.
fn change(script: &mut Script, number: u32, offer: &str, answer: &str) {
    let (phone, pbx, cseq) = (at(PHONE.0), at(PBX.0), format!("{number} INVITE"));
    let offer = sdp(at(PHONE.1), "RTP/AVP", &format!("a={offer}\r\n"));
    script.sip((phone, pbx), "INVITE sip:agent@pbx.test SIP/2.0", ("held", &cseq), ";tag=b", &offer);
    let answer = sdp(at(PBX.1), "RTP/AVP", &format!("a={answer}\r\n"));
    script.sip((pbx, phone), "SIP/2.0 200 OK", ("held", &cseq), ";tag=b", &answer);
}

/// The same as a table, with everybody claimed to be somebody unknown.
fn for_people(file: &Path) {
    let output =
        Command::new(program("vouchctl")).arg("replay").arg(file).args(["--speaker", "nobody"]).output();
    let text = String::from_utf8(output.expect("vouchctl starts").stdout).expect("text");
    let row = text.lines().find(|line| line.ends_with("  held")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("  nobody   not-enrolled  "), "{text}");
    for line in ["calls going on", "end of file     within a packet", "does not say what was dropped"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// A recording client tells that somebody else has taken the caller's place.
#[test]
fn whoever_takes_the_callers_place_is_judged_anew() {
    let (Some(allison), Some(carlo)) = (Person::Allison.talk(0, 55.0), Person::Carlo.talk(0, 55.0)) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the capture");
    let file = folder.path().join("recording.pcap");
    let enroll = [("1001", &allison), ("1002", &carlo)].map(|(id, talk)| {
        let wav = folder.path().join(format!("{id}.wav"));
        write_wav(&wav, talk);
        format!("{id}={}", wav.display())
    });
    let voice = mulaw(&Person::Allison.talk(1, 38.0).expect("present above"));
    let (first, second) = voice.split_at(voice.len() / 2);

    let recorded = |changes: bool| {
        let mut script = Script::new(Pcap::create(&file));
        let (client, server) = (at("127.0.0.1:5070"), at("127.0.0.1:5060"));
        let media = (at("127.0.0.1:4000"), at("127.0.0.1:40000"));
        let invite = |script: &mut Script, cseq: &str, to: &str, speaker: &str| {
            let body = session_offer(speaker, [4000, 4002], ("recorded", "sendonly"));
            let line = "INVITE sip:recorder@vouch.test SIP/2.0";
            script.multipart((client, server), line, ("recorded", cseq), to, &body);
            let line =
                |port: u16, label| format!("m=audio {port} RTP/AVP 0\r\na=recvonly\r\na=label:{label}\r\n");
            let answer = format!("v=0\r\nc=IN IP4 127.0.0.1\r\n{}{}", line(40000, 1), line(40002, 2));
            script.sip((server, client), "SIP/2.0 200 OK", ("recorded", cseq), ";tag=b", &answer);
        };
        invite(&mut script, "1 INVITE", "", "1001");
        script.talk(media.0, media.1, first);
        if changes {
            invite(&mut script, "2 INVITE", ";tag=b", "1002");
        }
        script.talk(media.0, media.1, second);
        script.sip(
            (client, server),
            "BYE sip:recorder@vouch.test SIP/2.0",
            ("recorded", "9 BYE"),
            ";tag=b",
            "",
        );
        drop(script);
        let (calls, _) = replay(&file, &enroll);
        let result = &find(&calls, "recorded")["result"];
        (result["speaker_id"].clone(), result["status"].clone())
    };
    assert_eq!(recorded(false), ("1001".into(), "authenticated".into()));
    assert_eq!(recorded(true), ("1002".into(), "not-authenticated".into()));
}

#[test]
fn what_is_no_capture_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.pcap");
    std::fs::write(&file, "meet Anna at ten").expect("the notes fit on the disk");
    let output =
        Command::new(program("vouchctl")).arg("replay").arg(&file).output().expect("vouchctl starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("notes.pcap: is neither a pcap nor a pcapng file"), "{error}");
}
