//! Tests of offer and answer.

use super::*;
use crate::wire::srtp::{MasterKey, Suite};
use proptest::prelude::*;

const US: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

fn read(text: &str) -> Description {
    Description::parse(text.as_bytes()).unwrap()
}

fn plain(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}")
}

fn told(session_id: u64) -> Told {
    Told::new(session_id, KeySeed::fixed())
}

/// The answer's media section, and its plans.
fn answer(offer: &str, leg: Leg, ports: &[u16]) -> Result<(String, Vec<MediaPlan>), Refusal> {
    let offer = read(offer);
    let answer = Negotiation::new(&offer, leg, SrtpRule::Accept)?.answer(US, ports, &mut told(14));
    let head = "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    let media = answer.sdp.strip_prefix(head).unwrap_or_else(|| panic!("{}", answer.sdp));
    Ok((media.replace("\r\n", "\n"), answer.plans))
}

#[test]
fn a_plain_leg_gets_the_first_codec_that_we_decode() {
    let offer = plain(
        "m=video 4002 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 15 8 0 96 101 13\r\na=rtpmap:96 telephone-event/48000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\nm=audio 4004 RTP/AVP 0\r\n",
    );
    let (media, plans) = answer(&offer, Leg::Plain, &[40000]).unwrap();
    let expected = "m=video 0 RTP/AVP 96\nm=audio 40000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\n\
        a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:30\na=recvonly\nm=audio 0 RTP/AVP 0\n";
    assert_eq!(media, expected);
    let [plan] = &plans[..] else { panic!("one plan") };
    assert_eq!((plan.m_line, plan.local_port, plan.codec), (1, 40000, Some(Codec::Pcma)));
    assert_eq!(plan.remote, Some("192.0.2.1:4000".parse().unwrap()));
    assert_eq!(plan.remote_rtcp, Some("192.0.2.1:4001".parse().unwrap()));
    assert_eq!((plan.telephone_event, plan.comfort_noise, plan.ptime_ms), (Some(101), Some(13), Some(30)));
    assert_eq!(plan.payloads.get(101), Payload::TelephoneEvent { clock_khz: 8 });
    assert_eq!(plan.payloads.get(0), Payload::Audio(Codec::Pcmu), "what was not chosen may still come");
    assert!(plan.sending);
}

#[test]
fn a_recording_session_gets_the_whole_list_back() {
    let offer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 111 0 101 19\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=0\r\n\
        a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:19 CN/8000\r\na=label:10\r\na=sendonly\r\n\
        m=audio 4002 RTP/AVP 20 15\r\nc=IN IP4 0.0.0.0\r\na=label:20\r\na=inactive\r\n\
        m=audio 4004 RTP/AVP 0\r\na=label:30\r\nm=audio 0 RTP/AVP 0\r\nm=audio 4006 RTP/SAVP 0\r\n";
    let (media, plans) = answer(offer, Leg::Siprec, &[40000, 40002]).unwrap();
    let expected = "m=audio 40000 RTP/AVP 111 0 101 19\na=rtpmap:111 opus/48000/2\na=fmtp:111 stereo=0\na=rtpmap:0 PCMU/8000\n\
        a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=rtpmap:19 CN/8000\na=label:10\na=recvonly\n\
        m=audio 40002 RTP/AVP 20 15\na=rtpmap:15 G728/8000\na=label:20\na=inactive\n\
        m=audio 0 RTP/AVP 0\nm=audio 0 RTP/AVP 0\nm=audio 0 RTP/SAVP 0\n";
    assert_eq!(media, expected, "a line without a port of ours is refused");
    let summary: Vec<_> = plans
        .iter()
        .map(|it| (it.m_line, it.label.as_deref(), it.codec, it.remote.is_some(), it.sending))
        .collect();
    assert_eq!(
        summary,
        [(0, Some("10"), Some(Codec::Opus), true, true), (1, Some("20"), None, false, false)]
    );
    assert_eq!(plans[0].payloads.get(111), Payload::Audio(Codec::Opus));
    assert_eq!((plans[0].foreign, plans[1].foreign.map(Foreign::name)), (None, Some("G728")));
    assert!(matches!(plans[1].payloads.get(15), Payload::Foreign(codec) if codec.name() == "G728"));
}

#[test]
fn a_plain_leg_gets_each_codec_with_the_events_of_its_clock() {
    let events = "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n";
    for (formats, rtpmap, codec, answered) in [
        ("9 0 101 102", "", Codec::G722, "9 101"),
        ("97 0 101 102", "a=rtpmap:97 opus/48000/2\r\n", Codec::Opus, "97 102"),
        ("97 101", "a=rtpmap:97 opus/48000/2\r\n", Codec::Opus, "97 101"),
        ("3 102", "", Codec::Gsm, "3 102"),
        ("97 101", "a=rtpmap:97 L16/16000\r\n", Codec::L16Wide, "97 101"),
        ("97 101", "a=rtpmap:97 L16/8000/1\r\n", Codec::L16Narrow, "97 101"),
        ("97 15 8 101", "a=rtpmap:97 EVS/16000\r\n", Codec::Pcma, "8 101"),
    ] {
        let offer = plain(&format!("m=audio 4000 RTP/AVP {formats}\r\n{rtpmap}{events}"));
        let (media, plans) = answer(&offer, Leg::Plain, &[40000]).unwrap();
        assert!(media.starts_with(&format!("m=audio 40000 RTP/AVP {answered}\n")), "{formats}: {media}");
        assert_eq!((plans[0].codec, plans[0].foreign), (Some(codec), None), "{formats}");
    }
}

#[test]
fn codecs_of_libraries_are_taken_where_the_build_has_them() {
    let aligned = "a=fmtp:97 octet-align=1\r\n";
    for (formats, attributes, codec) in [
        ("18 101", "", Codec::G729),
        ("97 101", "a=rtpmap:97 AMR/8000\r\n", Codec::Amr(Rate::Narrow, Packing::Dense)),
        ("97", &format!("a=rtpmap:97 AMR-WB/16000\r\n{aligned}"), Codec::Amr(Rate::Wide, Packing::Aligned)),
    ] {
        let offer = plain(&format!("m=audio 4000 RTP/AVP {formats}\r\n{attributes}"));
        let plain = answer(&offer, Leg::Plain, &[40000]);
        let (media, recorded) = answer(&offer, Leg::Siprec, &[40000]).unwrap();
        assert!(media.contains(&attributes.replace("\r\n", "\n")), "{media}");
        if Codec::decoded().any(|it| it == codec) {
            assert_eq!(plain.unwrap().1[0].codec, Some(codec));
            assert_eq!((recorded[0].codec, recorded[0].foreign), (Some(codec), None));
        } else {
            assert_eq!(plain, Err(Refusal::NoCodec));
            assert_eq!(
                (recorded[0].codec, recorded[0].foreign.map(Foreign::name)),
                (None, Some(codec.name()))
            );
        }
    }
    let (text, names) = (Refusal::NoCodec.to_string(), "PCMU, PCMA, G722, opus, GSM, L16");
    assert!(text.contains(names), "{text}");
    assert_eq!(text.contains("AMR, AMR-WB"), cfg!(feature = "amr"), "{text}");
}

#[test]
fn a_line_without_payload_types_is_refused_beside_one_that_has_some() {
    let offer = plain("m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP none\r\n");
    let (media, plans) = answer(&offer, Leg::Siprec, &[40000]).unwrap();
    assert!(media.ends_with("m=audio 0 RTP/AVP none\n"), "{media}");
    assert_eq!(plans.len(), 1);
    let alone = plain("m=audio 4002 RTP/AVP none\r\n");
    assert_eq!(answer(&alone, Leg::Siprec, &[]).unwrap_err(), Refusal::NoAudio);
}

#[test]
fn directions_are_answered_in_kind() {
    for (offered, answered, sending) in [
        ("", "recvonly", true),
        ("a=sendrecv\r\n", "recvonly", true),
        ("a=sendonly\r\n", "recvonly", true),
        ("a=recvonly\r\n", "inactive", false),
        ("a=inactive\r\n", "inactive", false),
    ] {
        for leg in [Leg::Plain, Leg::Siprec] {
            let (media, plans) =
                answer(&plain(&format!("m=audio 4000 RTP/AVP 0\r\n{offered}")), leg, &[40000]).unwrap();
            assert!(media.ends_with(&format!("a={answered}\n")), "{offered} {media}");
            assert_eq!(plans[0].sending, sending, "{offered}");
        }
    }
}

#[test]
fn refusals_say_why() {
    for (media, plain_leg, siprec) in [
        ("", Some(Refusal::NoAudio), None),
        ("m=video 4000 RTP/AVP 96\r\n", Some(Refusal::NoAudio), None),
        ("m=audio 0 RTP/AVP 0\r\n", None, None),
        (
            "m=audio 4000 RTP/AVP 15 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            Some(Refusal::NoCodec),
            None,
        ),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000\r\n", Some(Refusal::NoCodec), None),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000/2\r\n", Some(Refusal::NoCodec), None),
        ("m=audio 4000 RTP/SAVP 0\r\n", Some(Refusal::NoKeys), Some(Refusal::NoKeys)),
        (
            "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-1 00\r\n",
            Some(Refusal::Dtls),
            Some(Refusal::Dtls),
        ),
        ("m=audio 4000 TCP/MRCPv2 1\r\n", Some(Refusal::NoAudio), Some(Refusal::NoAudio)),
        ("m=audio 4000 RTP/AVPF 96\r\na=rtpmap:96 pcma/8000/1\r\n", None, None),
    ] {
        for (leg, expected) in [(Leg::Plain, plain_leg), (Leg::Siprec, siprec)] {
            assert_eq!(answer(&plain(media), leg, &[40000]).err(), expected, "{leg:?} {media}");
        }
    }
    assert_eq!(
        Refusal::Dtls.warning(),
        "302 vouch \"SRTP with keys by DTLS is not supported; offer a=crypto (SDES) or RTP/AVP\""
    );
}

#[test]
fn the_version_grows_with_what_the_answer_says() {
    let talk = plain("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n");
    let hold = talk.replace("sendonly", "inactive");
    let mut told = told(u64::MAX);
    let mut version = |offer: &str, port| {
        let offer = read(offer);
        let sdp = Negotiation::new(&offer, Leg::Plain, SrtpRule::Accept)
            .unwrap()
            .answer(US, &[port], &mut told)
            .sdp;
        let origin = sdp.lines().nth(1).unwrap().to_owned();
        origin.strip_prefix("o=- 9223372036854775807 ").unwrap().split(' ').next().unwrap().to_owned()
    };
    let versions =
        [version(&talk, 4), version(&talk, 4), version(&hold, 4), version(&talk, 4), version(&talk, 6)];
    assert_eq!(versions, ["1", "1", "2", "3", "4"]);
}

#[test]
fn an_invite_without_an_offer_gets_ours() {
    let mut told = told(2);
    let offer = told.offer(US, 40000, SrtpRule::Accept);
    assert_eq!(told.offer(US, 5, SrtpRule::Accept), offer, "asked again, we say the same");
    let ours = read(&offer);
    let offered = ours.media[0].payloads.iter().filter_map(decoded).count();
    let linked =
        [Codec::G729, Codec::Amr(Rate::Narrow, Packing::Dense), Codec::Amr(Rate::Wide, Packing::Dense)];
    let linked = linked.into_iter().filter(|codec| Codec::decoded().any(|it| it == *codec)).count();
    assert_eq!((ours.media[0].port, offered), (40000, 5 + linked));
    let answered = |text: &str| told.accept(&read(&plain(text)), SrtpRule::Accept);
    let plans = answered("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n")
        .unwrap();
    assert_eq!((plans[0].codec, plans[0].local_port, plans[0].sending), (Some(Codec::Pcma), 40000, true));
    assert_eq!(answered("m=audio 0 RTP/AVP 8\r\n"), Err(Refusal::NoAudio));
    assert_eq!(answered(""), Err(Refusal::NoAudio));
    assert_eq!(answered("m=audio 4000 RTP/AVP 15\r\n"), Err(Refusal::NoCodec));
}

#[test]
fn answers_speak_ipv6_too() {
    let offer = read("v=0\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\n");
    let us = "2001:db8::2".parse().unwrap();
    let answer =
        Negotiation::new(&offer, Leg::Plain, SrtpRule::Accept).unwrap().answer(us, &[40000], &mut told(2));
    assert!(answer.sdp.contains("\r\nc=IN IP6 2001:db8::2\r\n"), "{}", answer.sdp);
    assert_eq!(answer.plans[0].remote, Some("[2001:db8::1]:4000".parse().unwrap()));
}

/// A secured line with these `a=crypto` values.
fn secured(protocol: &str, lines: &[String]) -> String {
    let crypto: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    plain(&format!("m=audio 4000 {protocol} 0\r\na=fingerprint:sha-1 00\r\n{crypto}"))
}

fn key(suite: Suite, seed: u8) -> MasterKey {
    MasterKey::new(suite, &vec![seed; MasterKey::length(suite)]).unwrap()
}

#[test]
fn the_first_key_that_we_can_use_is_answered_under_its_tag() {
    // As rtpengine offers: many suites, beside a fingerprint.
    let long = "A".repeat(60);
    let offered = [
        format!("1 AES_256_CM_HMAC_SHA1_80 inline:{long}"),
        format!("{} UNENCRYPTED_SRTP", Crypto::write(2, &key(Suite::AesCm128HmacSha1With80, 2))),
        Crypto::write(3, &key(Suite::AeadAes256Gcm, 3)),
        Crypto::write(4, &key(Suite::AesCm128HmacSha1With80, 4)),
    ];
    for protocol in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP"] {
        for leg in [Leg::Plain, Leg::Siprec] {
            let (media, plans) = answer(&secured(protocol, &offered), leg, &[40000]).unwrap();
            let head = format!("m=audio 40000 {protocol} 0\na=crypto:3 AEAD_AES_256_GCM inline:");
            assert!(media.starts_with(&head), "{media}");
            assert_eq!(media.matches("a=crypto").count(), 1);
            assert_eq!(plans[0].crypto.as_ref().unwrap().key, key(Suite::AeadAes256Gcm, 3));
            assert!(
                !offered[2].ends_with(media.lines().nth(1).unwrap().rsplit(':').next().unwrap()),
                "our own key"
            );
        }
    }
    let nothing = &offered[..2];
    assert_eq!(answer(&secured("RTP/SAVP", nothing), Leg::Siprec, &[4]).unwrap_err(), Refusal::NoSuite);
    let ignored = secured("RTP/AVP", &offered);
    let (media, plans) = answer(&ignored, Leg::Plain, &[40000]).unwrap();
    assert!(
        !media.contains("crypto") && plans[0].crypto.is_none(),
        "keys of a line in the clear mean nothing"
    );
}

#[test]
fn a_rule_of_the_peer_decides_what_is_taken() {
    let keyed = secured("RTP/SAVP", &[Crypto::write(1, &key(Suite::AesCm128HmacSha1With32, 1))]);
    let clear = plain("m=audio 4000 RTP/AVP 0\r\n");
    let taken =
        |offer: &str, rule| Negotiation::new(&read(offer), Leg::Siprec, rule).map(|it| it.accepted().len());
    assert_eq!(taken(&keyed, SrtpRule::Require), Ok(1));
    assert_eq!(taken(&clear, SrtpRule::Require), Err(Refusal::SrtpRequired));
    assert_eq!(taken(&keyed, SrtpRule::Refuse), Err(Refusal::SrtpRefused));
    assert_eq!(taken(&clear, SrtpRule::Refuse), Ok(1));
    let both = format!("{clear}{}", &keyed[keyed.find("m=").unwrap()..]);
    assert_eq!(taken(&both, SrtpRule::Accept), Ok(2));
    assert_eq!((taken(&both, SrtpRule::Require), taken(&both, SrtpRule::Refuse)), (Ok(1), Ok(1)));
}

#[test]
fn an_answer_changes_with_the_keys_and_only_then() {
    let offer = |seed| secured("RTP/SAVP", &[Crypto::write(1, &key(Suite::AesCm128HmacSha1With80, seed))]);
    let mut told = told(2);
    let mut say = |seed| {
        let offer = read(&offer(seed));
        Negotiation::new(&offer, Leg::Plain, SrtpRule::Accept).unwrap().answer(US, &[4], &mut told).sdp
    };
    let (first, again, rekeyed) = (say(1), say(1), say(2));
    assert!(first == again && first != rekeyed);
    let ours = |sdp: &str| read(sdp).media[0].crypto[0].clone().unwrap().key;
    assert!(ours(&first) != ours(&rekeyed));
}

#[test]
fn an_invite_without_an_offer_gets_a_secured_one_where_it_must() {
    let mut told = told(2);
    let ours = read(&told.offer(US, 40000, SrtpRule::Require)).media.remove(0);
    assert_eq!((ours.protocol.as_str(), ours.crypto.len()), ("RTP/SAVP", 4));
    let theirs = Crypto::write(2, &key(Suite::AesCm128HmacSha1With32, 9));
    let plans = told.accept(&read(&secured("RTP/SAVP", &[theirs])), SrtpRule::Require).unwrap();
    assert_eq!(plans[0].crypto.as_ref().unwrap().key, key(Suite::AesCm128HmacSha1With32, 9));
    let in_the_clear = read(&plain("m=audio 4000 RTP/AVP 0\r\n"));
    assert_eq!(told.accept(&in_the_clear, SrtpRule::Require), Err(Refusal::SrtpRequired));
}

/// Kind, port, transport, payload types and an attribute.
fn any_line() -> impl Strategy<Value = (String, u16, String, Vec<u8>, String)> {
    let attribute = "(sendonly|inactive|label:[ -~]{0,9}|ptime:2|rtcp:9)";
    ("(audio|video)", 0..3_u16, "RTP/(AVP|SAVP|AVPF)", proptest::collection::vec(0..128_u8, 1..6), attribute)
}

/// Payload types of a line, in order of their numbers.
fn numbers(media: &Media) -> Vec<u8> {
    let mut all: Vec<_> = media.payloads.iter().map(|it| it.number).collect();
    all.sort_unstable();
    all
}

proptest! {
    /// RFC 3264 section 6: as many lines as offered, in their order; and of a recording session, all payload
    /// types.
    #[test]
    fn every_answer_fits_its_offer(
        lines in proptest::collection::vec(any_line(), 0..6),
        siprec: bool,
        ports in proptest::collection::vec(1..9_u16, 0..6),
    ) {
        let mut text = plain("");
        for (kind, port, protocol, formats, attribute) in &lines {
            let formats = formats.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
            text.push_str(&format!("m={kind} {port} {protocol} {formats}\r\na={attribute}\r\n"));
        }
        let offer = read(&text);
        let leg = if siprec { Leg::Siprec } else { Leg::Plain };
        let Ok(negotiation) = Negotiation::new(&offer, leg, SrtpRule::Accept) else { return Ok(()) };
        let answer = negotiation.answer(US, &ports, &mut told(2));
        let answered = read(&answer.sdp);
        prop_assert_eq!(answered.media.len(), offer.media.len());
        for (ours, theirs) in answered.media.iter().zip(&offer.media) {
            prop_assert_eq!((&ours.kind, &ours.protocol), (&theirs.kind, &theirs.protocol));
            prop_assert!(!ours.direction.sends() || ours.port == 0);
            if siprec && ours.port != 0 {
                prop_assert_eq!(numbers(ours), numbers(theirs));
                prop_assert_eq!(&ours.label, &theirs.label);
            }
        }
        let in_use = (0..answered.media.len()).filter(|&line| answered.media[line].port != 0);
        prop_assert!(in_use.eq(answer.plans.iter().map(|plan| plan.m_line)));
    }
}
