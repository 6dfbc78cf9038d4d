//! Tests of reading.

use super::*;
use crate::wire::sdp::{CryptoError, Transport};
use proptest::prelude::*;

/// In the shape of OpenSIPS with rtpengine: no session `c=`, labels 1 and 0.
const PER_MEDIA: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=a session\r\nt=0 0\r\n\
    m=audio 30000 RTP/AVP 0 8 101\r\nc=IN IP4 192.0.2.5\r\na=label:1\r\na=sendonly\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp:30001\r\n\
    m=audio 30002 RTP/AVP 0\r\nc=IN IP4 192.0.2.6\r\na=label:0\r\na=inactive\r\na=rtcp:40003 IN IP4 192.0.2.7\r\n";

#[test]
fn each_line_keeps_its_own_values() {
    for text in [PER_MEDIA.to_owned(), PER_MEDIA.replace("\r\n", "\n"), PER_MEDIA.replace("\r\n", " \r\r\n")]
    {
        let read = description(text.as_bytes()).unwrap();
        let [one, two] = &read.media[..] else { panic!("two m= lines") };
        assert_eq!((one.label.as_deref(), two.label.as_deref()), (Some("1"), Some("0")));
        assert_eq!((one.direction, two.direction), (Direction::SendOnly, Direction::Inactive));
        assert_eq!(one.rtp_address(), Some("192.0.2.5:30000".parse().unwrap()));
        assert_eq!(one.rtcp_address(), Some("192.0.2.5:30001".parse().unwrap()));
        assert_eq!(two.rtcp_address(), Some("192.0.2.7:40003".parse().unwrap()));
        assert_eq!((one.ptime_ms, two.ptime_ms), (Some(20), None));
        let names: Vec<_> =
            one.payloads.iter().map(|it| (it.number, it.encoding.as_str(), it.clock_rate)).collect();
        assert_eq!(names, [(0, "PCMU", 8000), (8, "PCMA", 8000), (101, "telephone-event", 8000)]);
        assert_eq!(one.payloads[2].fmtp.as_deref(), Some("0-15"));
        assert_eq!((two.payloads[0].encoding.as_str(), two.payloads[0].rtpmap.as_deref()), ("PCMU", None));
    }
}

#[test]
fn real_oddities_are_no_reason_to_miss_a_call() {
    let read = |text: &str| description(text.as_bytes()).unwrap();
    assert!(read("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n").media.is_empty(), "no m= line");
    assert!(read("\r\nv=0\r\n\r\nm=audio  4  RTP/AVP   0\t8 \r\n").media[0].formats == ["0", "8"]);
    for (connection, expected) in [
        ("", None),
        ("c=IN IP4 0.0.0.0\r\n", None),
        ("c=IN IP6 ::\r\n", None),
        ("c=IN IP4 media.example.com\r\n", None),
        ("c=IN IP4 X.X.X.X\r\n", None),
        ("c=IN IP4 224.2.1.1/127\r\n", None),
        ("c=IN IP4 192.0.2.9/127\r\n", Some("192.0.2.9")),
        ("c=IN IP6 2001:db8::9\r\n", Some("2001:db8::9")),
        ("c=IN  IP4  192.0.2.9 \r\n", Some("192.0.2.9")),
    ] {
        let text = format!("v=0\r\n{connection}m=audio 4 RTP/AVP 0\r\n");
        assert_eq!(read(&text).media[0].address, expected.map(|it| it.parse().unwrap()), "{connection}");
    }
    // A hold in the style of RFC 2543 takes the address away, even where the session names one.
    assert_eq!(
        read("v=0\nc=IN IP4 192.0.2.9\nm=audio 4 RTP/AVP 0\nc=IN IP4 0.0.0.0\n").media[0].address,
        None
    );
    // Lines that Vouch does not use may be broken: two origins, a bad bandwidth, a name in Latin-1.
    let broken = b"v=0\r\no=a b c d e f g h\r\no=x\r\ns=Caf\xe9\r\nb=:x\r\nt=\r\nr=1\r\nxyz\r\na=tool:\xff\r\na=sendonly\r\nm=audio 4 RTP/AVP 0\r\n";
    let read = description(broken).unwrap();
    assert_eq!(read.media[0].direction, Direction::SendOnly, "the session's direction is the default");
}

#[test]
fn secure_offers_are_recognised() {
    let mut text = String::from("v=0\r\na=fingerprint:sha-256 AA:BB\r\nm=audio 4 RTP/SAVP 0 8\r\n");
    for tag in 1..=12 {
        text.push_str(&format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n"));
    }
    let media = &description(text.as_bytes()).unwrap().media[0];
    assert_eq!((media.transport(), media.crypto.len(), media.has_fingerprint), (Transport::Srtp, 12, true));
    assert!(media.crypto.iter().all(|line| *line == Err(CryptoError::Key)), "they are too short");
    assert_eq!(media.payloads.len(), 2);
}

#[test]
fn payload_types_are_read_with_care() {
    let text = "v=0\nm=audio 4 RTP/AVP 0 128 x 9 96 97 13 19 20\na=rtpmap:96 opus/48000/2\na=rtpmap:97 PCMA\na=fmtp:96 useinbandfec=1; x\na=ptime:0\n";
    let media = &description(text.as_bytes()).unwrap().media[0];
    let all: Vec<_> = media
        .payloads
        .iter()
        .map(|it| (it.number, it.encoding.as_str(), it.clock_rate, it.channels))
        .collect();
    let expected = [
        (0, "PCMU", 8000, 1),
        (9, "G722", 8000, 1),
        (96, "opus", 48000, 2),
        (97, "PCMA", 0, 1),
        (13, "CN", 8000, 1),
        (19, "CN", 8000, 1),
        (20, "", 0, 1),
    ];
    assert_eq!(all, expected);
    assert_eq!(media.payloads[2].fmtp.as_deref(), Some("useinbandfec=1; x"));
    assert_eq!((media.formats.len(), media.ptime_ms), (9, None));
}

#[test]
fn faults_name_the_line() {
    let line = |line, field, trouble| SdpError::Line { line, field, trouble };
    let many_lines = "a=x\n".repeat(MAX_LINES);
    let many_media = format!("v=0\n{}", "m=audio 4 RTP/AVP 0\n".repeat(MAX_MEDIA + 1));
    let many_formats = format!("v=0\nm=audio 4 RTP/AVP{}\n", " 0".repeat(MAX_FORMATS + 1));
    for (text, expected) in [
        ("", SdpError::NoVersion),
        ("o=- 1 1 IN IP4 0.0.0.0\n", SdpError::NoVersion),
        ("v=1\n", line(1, "version", Trouble::Format)),
        ("v=0\ns=-\nm=audio\n", line(3, "Media port", Trouble::Missing)),
        ("v=0\ns=-\nm=audio 70000 RTP/AVP 0\n", line(3, "Media port", Trouble::Format)),
        ("v=0\nm=audio 7 RTP/AVP\n", line(2, "Media fmt", Trouble::Missing)),
        ("v=0\nc=IN IP4\n", line(2, "Connection connection-address", Trouble::Missing)),
        ("v=0\nc=IN IP4 a b\n", line(2, "Connection", Trouble::Trailing)),
        ("v=0\nc=IN IP4 a\nc=IN IP4 b\n", line(3, "connection", Trouble::Repeated)),
        ("v=0\nc=IN IP4 a\0\n", line(2, "Line contains NUL or CR", Trouble::Format)),
        (&many_lines, SdpError::TooManyLines),
        (&many_media, SdpError::TooManyMedia(MAX_MEDIA + 2)),
        (&many_formats, SdpError::TooManyFormats(2)),
    ] {
        assert_eq!(description(text.as_bytes()), Err(expected), "{:.60}", text);
    }
    let bytes = b"v=0\nm=audio 4 RTP/AVP \xff\n";
    assert_eq!(description(bytes), Err(line(2, "Media fmt", Trouble::Encoding)));
    assert_eq!(description(&vec![b'x'; MAX_SDP + 1]), Err(SdpError::TooLong(MAX_SDP + 1)));
    assert_eq!(
        line(3, "Media port", Trouble::Missing).to_string(),
        "line 3: Media port: missing",
        "the text names line and cause"
    );
}

const LINE: &str = "(v=0|m=|c=IN IP4 |a=rtpmap:|a=rtcp:|a=ptime:|a=fmtp:|a=label:)[ -~]{0,20}";

proptest! {
    #[test]
    fn anything_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = description(&bytes);
    }

    #[test]
    fn damaged_offers_are_read_or_refused(at in 0..PER_MEDIA.len(), byte: u8, cut in 0..PER_MEDIA.len()) {
        let mut bytes = PER_MEDIA.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = description(&bytes);
        if let Ok(read) = description(&PER_MEDIA.as_bytes()[..cut]) {
            prop_assert!(read.media.len() <= 2);
        }
    }

    #[test]
    fn lines_of_any_content_are_read_or_refused(lines in proptest::collection::vec(LINE, 0..20)) {
        let text = format!("v=0\n{}", lines.join("\n"));
        if let Ok(read) = description(text.as_bytes()) {
            for media in &read.media {
                let _ = (media.rtp_address(), media.rtcp_address(), media.transport());
                prop_assert!(media.payloads.len() <= media.formats.len());
            }
        }
    }
}
