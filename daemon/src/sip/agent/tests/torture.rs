//! The torture messages: bodies of our own for the rules behind RFC 4475 and RFC 5118, and the messages of the
//! RFCs themselves where a copy is at hand.

use super::super::*;
use super::{Bench, Text};
use std::path::PathBuf;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The application gets it.
    Taken,
    /// It is answered with this status.
    Status(u16),
    /// Nothing happens.
    Dropped,
}
use Fate::{Dropped, Status, Taken};

fn fate(message: &[u8]) -> Fate {
    let mut bench = Bench::with(
        |config| config.peers = Peers::new(["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]),
        Transport::Udp,
    );
    bench.agent.receive(message, bench.flow, bench.now);
    let mut fate = Dropped;
    while let Some(output) = bench.agent.poll_output() {
        fate = match output {
            Output::Event(_) => Taken,
            Output::Send { bytes, .. } => {
                let text = String::from_utf8_lossy(&bytes);
                Status(text.split(' ').nth(1).unwrap().parse().unwrap())
            }
        };
    }
    fate
}

#[test]
fn valid_oddities_are_taken() {
    let plain = Text::new("OPTIONS").write();
    let cases = [
        ("", ""),
        ("Max-Forwards: 70", "mAx-fOrWaRdS   :  \r\n   0000"),
        ("CSeq: 1 OPTIONS", "cseq: 0001\r\n\t OPTIONS"),
        ("Via: SIP/2.0/UDP", "v :  SIP  /  2.0 \r\n / UDP  "),
        (
            "To: <sip:vouch@192.0.2.1>",
            "t: \"a \\\"<b>\\\\\" <sip:%76ouch@[2001:db8::1]:5060;x=%41> ; p = \"q;\\\"\"",
        ),
        ("From: <sip:gw@192.0.2.7>;tag=peer", "f: caller<sip:a;b=%40@example.com>;tag=peer"),
        ("From: <sip:gw@192.0.2.7>;tag=peer", "From: <isbn:2983792873>;tag=peer"),
        ("sip:vouch@192.0.2.1 SIP", "sip:~u!$(x)&?/;*:p@[2001:db8:::192.0.2.1];any SIP"),
        ("Contact:", "Unknown-Header: ;;,,;;,;\r\nX-\u{7}:\r\nContact:"),
        ("z9hG4bKoptions", "z9hG4bK"),
        (";branch=z9hG4bKoptions", ""),
        (" SIP/2.0\r\nVia", " SIP/2.0  \r\nVia"),
        ("OPTIONS sip", "\r\n\r\nOPTIONS sip"),
        ("Content-Length: 0\r\n\r\n", "L:0\r\n\r\nleft over"),
    ];
    for (from, to) in cases {
        let text = plain.replacen(from, to, 1);
        let expected = if to.contains('\u{7}') { Status(400) } else { Taken };
        assert_eq!(fate(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn invalid_messages_meet_their_fate() {
    let plain = Text::new("OPTIONS").write();
    let cases = [
        ("To: <sip:vouch@192.0.2.1>", "To: \"Mr. V <sip:vouch@192.0.2.1>", Status(400)),
        ("sip:vouch@192.0.2.1 SIP", "<sip:vouch@192.0.2.1> SIP", Status(400)),
        ("sip:vouch@192.0.2.1 SIP", "sip:vouch@192.0.2.1; lr SIP", Status(400)),
        ("sip:vouch@192.0.2.1 SIP", "sip:2001:db8::10 SIP", Status(400)),
        ("sip:vouch@192.0.2.1 SIP", "sip:v@192.0.2.1?Route=%3Csip:a%3E SIP", Status(400)),
        ("sip:vouch@192.0.2.1 SIP", "unknown:opaque SIP", Status(416)),
        ("branch=z9hG4bKoptions", ";,;,,", Status(400)),
        ("CSeq: 1 ", "CSeq: 36893488147419103232 ", Status(400)),
        ("Max-Forwards: 70", "Max-Forwards: 256", Status(400)),
        ("Content-Length: 0", "Content-Length: 9", Status(400)),
        ("Content-Length: 0", "Content-Length: 0\r\nl: 0", Status(400)),
        ("Call-ID: call-1\r\n", "Call-ID: call-1\r\nI: call-2\r\n", Status(400)),
        ("Call-ID: call-1\r\n", "", Status(400)),
        ("Call-ID: call-1\r\n", "Call-ID: call\u{1}1\r\n", Status(400)),
        ("Call-ID: call-1\r\n", "Call-ID: c\u{e9}ll-1\r\n", Status(400)),
        ("OPTIONS sip", "OPT\u{e9}ONS sip", Status(400)),
        ("OPTIONS sip", "REGISTER sip", Status(400)),
        ("Via: ", "Vib: ", Dropped),
        ("SIP/2.0\r\n", "SIP/2.1\r\n", Status(505)),
        ("SIP/2.0\r\n", "HTTP/1.1\r\n", Dropped),
    ];
    for (from, to, expected) in cases {
        let text = plain.replacen(from, to, 1);
        assert_eq!(fate(text.as_bytes()), expected, "{text}");
    }
}

/// RFC 4475, by section: valid (3.1.1), invalid (3.1.2), transaction layer and application (3.2 to 3.4). Where the
/// RFC leaves a choice, lenience wins. We are no registrar, so a good REGISTER gets 405; wsinv belongs to a dialog
/// (its To has a tag) that is not ours.
const RFC_4475: [(&str, Fate); 49] = [
    ("wsinv", Status(481)),
    ("intmeth", Status(405)),
    ("esc01", Taken),
    ("escnull", Status(405)),
    ("esc02", Status(405)),
    ("lwsdisp", Taken),
    ("longreq", Taken),
    ("dblreq", Status(405)),
    ("semiuri", Taken),
    ("transports", Taken),
    ("mpart01", Status(405)),
    ("unreason", Dropped),
    ("noreason", Dropped),
    ("badinv01", Status(400)),
    ("clerr", Status(400)),
    ("ncl", Status(400)),
    ("scalar02", Status(400)),
    ("scalarlg", Dropped),
    ("quotbal", Status(400)),
    ("ltgtruri", Status(400)),
    ("lwsruri", Status(400)),
    ("lwsstart", Taken),
    ("trws", Taken),
    ("escruri", Status(400)),
    ("baddate", Taken),
    ("regbadct", Status(405)),
    ("badaspec", Taken),
    ("badvers", Status(505)),
    ("mismatch01", Status(400)),
    ("mismatch02", Status(400)),
    ("bigcode", Dropped),
    ("badbranch", Taken),
    ("insuf", Status(400)),
    ("unkscm", Status(416)),
    ("novelsc", Status(416)),
    ("unksm2", Status(405)),
    ("bext01", Status(420)),
    ("invut", Status(415)),
    ("regaut01", Status(405)),
    ("multi01", Status(400)),
    ("mcl01", Status(400)),
    ("bcast", Dropped),
    ("zeromf", Taken),
    ("cparam01", Status(405)),
    ("cparam02", Status(405)),
    ("regescrt", Status(405)),
    ("sdp01", Status(406)),
    ("inv2543", Taken),
    ("baddn", Taken),
];

/// RFC 5118, section 4. REGISTER gets 405, BYE outside a dialog 481.
const RFC_5118: [(&str, Fate); 12] = [
    ("ipv6-good", Status(405)),
    ("ipv6-bad", Status(400)),
    ("port-ambiguous", Status(405)),
    ("port-unambiguous", Status(405)),
    ("via-received-param-with-delim", Status(481)),
    ("via-received-param-no-delim", Taken),
    ("ipv6-in-sdp", Taken),
    ("mult-ip-in-header", Status(481)),
    ("mult-ip-in-sdp", Taken),
    ("ipv4-mapped-ipv6", Taken),
    ("ipv6-bug-abnf-3-colons", Taken),
    ("ipv6-correct-abnf-2-colons", Taken),
];

#[test]
fn the_messages_of_the_rfcs_meet_their_fate() {
    let shared = std::env::var_os("VOUCH_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("siptests");
    if !folder.is_dir() {
        eprintln!("skipped: no torture messages at {}; set VOUCH_SHARED", folder.display());
        return;
    }
    let named = |rfc: &str, suffix: &str, name: &str| folder.join(rfc).join(format!("{name}{suffix}"));
    let first = RFC_4475.iter().map(|&(name, fate)| (named("rfc4475", ".dat", name), fate));
    let second = RFC_5118.iter().map(|&(name, fate)| (named("rfc5118", "", name), fate));
    let mut wrong = Vec::new();
    for (path, expected) in first.chain(second) {
        let mut message = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Some copies end without the empty line that the RFC has.
        if !message.windows(4).any(|end| end == b"\r\n\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        let seen = fate(&message);
        if seen != expected {
            wrong.push(format!("{}: {seen:?}, not {expected:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
