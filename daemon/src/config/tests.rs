use super::*;
use crate::call::identity::IdentitySource;
use crate::sip::offer_answer::SrtpRule;
use crate::sip::siprec::CallerRule;
use proptest::prelude::*;
use std::time::Duration;

const SHIPPED: &str = include_str!("../../../config/vouchd.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("vouchd.toml"))
}

/// Problems of a text, as a user sees them.
fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Err(ConfigError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("no problems in {text:?}: {other:?}"),
    }
}

#[test]
fn the_shipped_file_says_the_defaults() {
    assert_eq!(parse(SHIPPED).unwrap(), Config::default());
    assert_eq!(parse("version = 1").unwrap(), Config::default());
}

/// Every key that vouchd knows stands in the shipped file, commented out where it has no default.
#[test]
fn the_shipped_file_shows_every_key() {
    let uncommented: String = SHIPPED
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => key,
            Some(table) if table.starts_with("[[") => table,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let with_options = parse(&uncommented).unwrap();
    assert_eq!(
        with_options.sip.media_user.as_deref(),
        Some("listen"),
        "the optional keys are shown as they work"
    );
    // An unknown key makes the program list those it knows: each must stand in the file.
    for section in [
        "sip",
        "tap",
        "[alsa]",
        "identity",
        "authentication",
        "enrollment",
        "voice",
        "store",
        "api",
        "retention",
        "limits",
    ] {
        let fault = problems(&format!("version = 1\n[{section}]\nzzzzzzzzzzzzzzzzzzzzzz = 1")).join("");
        let known = fault.split_once("valid here: ").unwrap().1;
        for key in known.split(", ") {
            assert!(
                uncommented.contains(&format!("\n{key} = ")),
                "{section}.{key} is not in the shipped file"
            );
        }
    }
}

#[test]
fn a_tap_names_its_interfaces() {
    let tap = parse("version = 1\n[tap]\ninterfaces = [\"span0\", \"br0.7\"]\nsip-ports = [5060, 5080]\n")
        .unwrap()
        .tap;
    assert_eq!((tap.interfaces.len(), &tap.sip_ports[..], tap.promiscuous), (2, &[5060, 5080][..], true));
    assert!(Config::default().tap.interfaces.is_empty(), "nothing is overheard unless somebody decides so");
    for (line, fault) in [
        (
            "interfaces = [\"a/b\"]",
            "vouchd.toml:3: tap.interfaces: `a/b` cannot be the name of a network interface",
        ),
        ("interfaces = [\"span0\", \"span0\"]", "vouchd.toml:3: tap.interfaces: `span0` is listed twice"),
        ("sip-ports = [0]", "vouchd.toml:3: tap.sip-ports: `0` is no port"),
    ] {
        assert_eq!(problems(&format!("version = 1\n[tap]\n{line}\n")), [fault]);
    }
}

#[test]
fn capture_devices_are_named_and_there_are_none_by_default() {
    let text = "version = 1\n[[alsa]]\nname = \"desk\"\ndevice = \"hw:1,0\"\n[[alsa]]\nname = \"lab\"\n\
                device = \"plughw:CARD=Device,DEV=0\"\nchannel = 2\nrate = 48000\nspeaker = \"1001\"\n\
                auto-start = true\nsilence = \"10s\"\nenabled = false\n";
    let devices = parse(text).unwrap().alsa;
    let desk = &devices[0];
    assert_eq!(
        (desk.name.as_str(), desk.device.as_str(), desk.channel, desk.rate),
        ("desk", "hw:1,0", 1, 8000)
    );
    assert!(desk.speaker.is_none() && !desk.auto_start && desk.enabled);
    let lab = &devices[1];
    assert_eq!((lab.channel, lab.rate, lab.silence), (2, 48_000, Duration::from_secs(10)));
    assert!(lab.speaker.as_ref().is_some_and(|speaker| speaker.reveal() == "1001"));
    assert!(lab.auto_start && !lab.enabled);
    assert!(Config::default().alsa.is_empty());
    let table = "version = 1\n[[alsa]]\nname = \"a\"\ndevice = \"null\"\n";
    for (line, fault) in [
        ("channel = 0", "vouchd.toml:5: alsa[0].channel: must be 1 to 64"),
        ("rate = 4000", "vouchd.toml:5: alsa[0].rate: must be 8000 to 192000"),
        ("silence = \"1s\"", "vouchd.toml:5: alsa[0].silence: must be 2s to 3600s"),
        ("speaker = \"\"", "vouchd.toml:5: alsa[0].speaker: a speaker id needs at least one character"),
        ("channels = 2", "vouchd.toml:5: alsa[0].channels: unknown key; did you mean `channel`?"),
        (
            "[[alsa]]\nname = \"a\"\ndevice = \"default\"",
            "vouchd.toml:2: alsa: two of them are called `a`; logs could not tell them apart",
        ),
    ] {
        assert_eq!(problems(&format!("{table}{line}\n")), [fault]);
    }
    assert_eq!(
        problems("version = 1\n[[alsa]]\nname = \"a b\"\n"),
        [
            "vouchd.toml:2: alsa[0].device: missing",
            "vouchd.toml:3: alsa[0].name: must be one word of at most 32 letters, digits, `-` or `.`",
        ]
    );
}

#[test]
fn defaults_listen_on_loopback_only() {
    let config = Config::default();
    assert!(config.sip.listen.iter().all(|listen| listen.address.ip().is_loopback()));
    assert!(!config.peers.iter().any(|peer| peer.is_at("192.0.2.1".parse().unwrap())));
    assert!(config.peers.iter().any(|peer| peer.is_at("127.0.0.1".parse().unwrap())));
}

#[test]
fn every_fault_is_reported_with_its_line() {
    let text = "version = 1\n[sip]\nlisen = [\"udp:127.0.0.1:5060\"]\nrtp-ports = \"1-2\"\n\n[authentication]\n\
                threshold = 101\nnet-speech = 10\n[enrolment]\n";
    assert_eq!(
        problems(text),
        [
            "vouchd.toml:3: sip.lisen: unknown key; did you mean `listen`?",
            "vouchd.toml:4: sip.rtp-ports: `1-2`: ports below 1024 are not for media",
            "vouchd.toml:7: authentication.threshold: must be 0 to 100",
            "vouchd.toml:8: authentication.net-speech: must be a duration such as \"10s\", not integer `10`",
            "vouchd.toml:9: enrolment: unknown key; did you mean `enrollment`?",
        ]
    );
}

#[test]
fn a_wrong_entry_of_a_list_is_reported_on_its_own_line() {
    let text = "version = 1\n[sip]\nlisten = [\n  \"udp:127.0.0.1:5060\",\n  \"udp:nowhere\",\n]\n";
    assert!(
        problems(text)[0].starts_with("vouchd.toml:5: sip.listen: `udp:nowhere`"),
        "{:?}",
        problems(text)
    );
}

#[test]
fn syntax_errors_have_a_line() {
    let found = problems("version = 1\n[sip\nlisten = 3\n");
    assert!(found[0].starts_with("vouchd.toml:2: "), "{found:?}");
}

#[test]
fn the_version_is_checked() {
    assert_eq!(
        problems("[sip]\n"),
        ["vouchd.toml:1: version: missing; write `version = 1` at the top of the file"]
    );
    assert!(problems("version = 2")[0].contains("reads version 1 of the configuration, not 2"));
    assert!(problems("version = \"1\"")[0].contains("must be a whole number"));
}

#[test]
fn peers_replace_the_default() {
    let text = "version = 1\n[[peers]]\nname = \"sbc\"\naddress = [\"192.0.2.0/28\"]\ncaller = \"label:2\"\n\
                info = \"never\"\nmay-claim = false\nheaders = false\n[[peers]]\nname = \"pbx\"\naddress = [\"::1\"]\n";
    let peers = parse(text).unwrap().peers;
    assert_eq!(peers.len(), 2);
    assert!(peers[0].is_at("192.0.2.15".parse().unwrap()) && !peers[0].is_at("127.0.0.1".parse().unwrap()));
    assert_eq!((&peers[0].caller, peers[0].info), (&CallerRule::Label("2".to_owned()), InfoRule::Never));
    assert!(!peers[0].may_claim && !peers[0].headers.any() && peers[1].may_claim && peers[1].headers.any());
    let found = problems("version = 1\n[[peers]]\ncaller = \"left\"\n");
    assert_eq!(
        found,
        [
            "vouchd.toml:2: peers[0].address: missing",
            "vouchd.toml:2: peers[0].name: missing",
            "vouchd.toml:3: peers[0].caller: `left` does not say which line is the caller's; use auto, swapped, first, \
             second or label:N",
        ]
    );
    assert_eq!(problems("version = 1\n[peers]\n"), ["vouchd.toml:2: peers: is a list: write [[peers]]"]);
}

#[test]
fn a_peer_says_what_it_is_told_and_how() {
    use crate::sip::headers::HeaderPrefix;
    use crate::sip::verification::{ServiceAnswer, ServiceUser, UnknownCall};
    use crate::verdict::Status;
    let peer = |keys: &str| format!("version = 1\n[[peers]]\nname = \"a\"\naddress = [\"::1\"]\n{keys}");
    let text = peer(
        "headers = [\"status\", \"reason\"]\nheader-prefix = \"P-Bank\"\nverify = \"503\"\n\
                     verify-block = [\"not-authenticated\"]\nverify-unknown = \"inconclusive\"\nheaders-in-contact = true\n",
    );
    let config = parse(&text).unwrap();
    let found = &config.peers[0];
    assert!(found.headers.has("reason") && !found.headers.has("speaker"));
    assert_eq!(found.header_style(&HeaderPrefix::default()).prefix.name("Call"), "P-Bank-Call");
    assert_eq!(found.service.answer, ServiceAnswer::Unavailable);
    assert!(found.service.blocks(Status::NotAuthenticated) && !found.service.blocks(Status::Pending));
    assert_eq!(found.service.unknown, UnknownCall::Inconclusive);
    assert!(found.service.headers_in_contact);
    assert_eq!(config.sip.verify_user, ServiceUser::Named("verify".to_owned()));
    for (keys, wanted) in [
        ("headers = [\"points\"]\n", "`points` is none of `status`"),
        ("headers = 1\n", "must be true, false or a list of header words"),
        ("verify = \"301\"\n", "did you mean `302`?"),
        ("verify-block = [\"authenticated\"]\n", "`authenticated` cannot be blocked"),
        ("verify-unknown = \"error\"\n", "`error` is none of `pending`, `inconclusive`"),
    ] {
        let faults = problems(&peer(keys));
        assert!(faults[0].contains(wanted), "{faults:?}");
    }
    assert!(
        problems("version = 1\n[sip]\nverify-user = \"a b\"\n")[0]
            .contains("cannot stand in a SIP user part")
    );
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let text = "version = 1\n[sip]\nlisten = [\"tls:127.0.0.1:5061\"]\ntls-certificate = \"/etc/sip.pem\"\n";
    assert_eq!(
        problems(text),
        ["vouchd.toml:3: sip.listen: `tls:127.0.0.1:5061` needs tls-certificate and tls-key"]
    );
    let config = parse(&format!("{text}tls-key = \"/etc/sip.key\"\n")).unwrap();
    assert_eq!(config.sip.tls_files().unwrap().client_ca, None);
    assert_eq!(Config::default().sip.tls_files(), None);
}

#[test]
fn a_peer_may_have_to_use_srtp() {
    let peer = "version = 1\n[[peers]]\nname = \"sbc\"\naddress = [\"192.0.2.1\"]\nsrtp = ";
    assert_eq!(parse(&format!("{peer}\"require\"\n")).unwrap().peers[0].srtp, SrtpRule::Require);
    let found = problems(&format!("{peer}\"required\"\n"));
    assert_eq!(
        found,
        ["vouchd.toml:5: peers[0].srtp: `required` is not known here; did you mean `require`?"]
    );
}

#[test]
fn two_peers_of_one_name_are_refused() {
    let peer = "[[peers]]\nname = \"pbx\"\naddress = [\"192.0.2.1\"]\n";
    let found = problems(&format!("version = 1\n{peer}{peer}"));
    assert_eq!(found, ["vouchd.toml:2: peers: two of them are called `pbx`; logs could not tell them apart"]);
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    for (text, wanted) in [
        ("[limits]\nmax-calls = 501", "vouchd.toml:3: limits.max-calls: 501 calls need 2004 RTP ports"),
        (
            "[sip]\nrtp-ports = \"40000-40003\"",
            "vouchd.toml:3: limits.max-calls: 100 calls need 400 RTP ports",
        ),
        ("[identity]\nextra-header = \"X-C\"", "vouchd.toml:3: identity.extra-header: "),
        (
            "[identity]\nsources = [\"header:a b\"]",
            "vouchd.toml:3: identity.sources: `header:a b` is no identity",
        ),
        (
            "[store]\nkey = \"file:/var/lib/vouch/store/key\"",
            "vouchd.toml:3: store.key: lies inside the store",
        ),
        (
            "[sip]\nlisten = [\"udp:[::1]:5\", \"udp:[::1]:5\"]",
            "vouchd.toml:3: sip.listen: `udp:[::1]:5` is listed twice",
        ),
    ] {
        let found = problems(&format!("version = 1\n{text}\n"));
        assert!(found[0].starts_with(wanted), "{found:?}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for line in [
        "[sip]\nlisten = []",
        "[sip]\nadvertise = \"0.0.0.0\"",
        "[sip]\nmedia-user = \"a@b\"",
        "[sip]\nmedia-user = \"\"",
        "[sip]\nuser-agent = \"a\\r\\nb\"",
        "[sip]\nheader-prefix = \"X Voice\"",
        "[identity]\nsources = [\"form\"]",
        "[authentication]\nthreshold = nan",
        "[authentication]\nnet-speech = \"31s\"",
        "[enrollment]\nnet-speech = \"9s\"",
        "[enrollment]\nconsent-required = \"no\"",
        "[voice]\nworkers = -1",
        "[voice]\nworkers = 257",
        "[store]\npath = \"store\"",
        "[store]\nkey = \"plain:00\"",
        "[api]\nmax-connections = 0",
        "[api]\nbody-limit = \"1KiB\"",
        "[api]\nrequest-deadline = \"0s\"",
        "[api]\nread-group = \"a b\"",
        "[retention]\ncalls = \"25h\"",
        "[limits]\nmax-calls = 0",
        "[limits]\nmedia-timeout = \"9s\"",
        "sip = 3",
    ] {
        assert_eq!(problems(&format!("version = 1\n{line}\n")).len(), 1, "{line}");
    }
    let socket = format!("version = 1\n[api]\nsocket = \"/{}\"", "s".repeat(107));
    assert!(problems(&socket)[0].contains("at most 107"));
}

#[test]
fn good_values_are_taken() {
    let text = "version = 1\n[sip]\nadvertise = \"198.51.100.7\"\nmedia-user = \"listen\"\n\
                [identity]\nsources = [\"header:X-Customer\", \"from\"]\n\
                [authentication]\nthreshold = 82.5\nnet-speech = \"6s\"\n\
                [store]\nkey = \"credential:vouch-master-key\"\n";
    let config = parse(text).unwrap();
    assert_eq!(config.sip.media_user.as_deref(), Some("listen"));
    assert_eq!(
        config.authentication,
        Authentication { threshold: 82.5, net_speech: Duration::from_secs(6), calibration: None }
    );
    let customer = IdentitySource::Header("X-Customer".to_owned());
    assert_eq!(config.identity.rules.sources, [customer, IdentitySource::From]);
    assert_eq!(config.store.key, crate::store::KeySource::Credential("vouch-master-key".to_owned()));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let fault = Config::load(Path::new("/nonexistent/vouchd.toml")).unwrap_err();
    assert!(fault.to_string().starts_with("/nonexistent/vouchd.toml: "), "{fault}");
}

proptest! {
    /// Damaged files end in a configuration or in problems that lie within the file.
    #[test]
    fn no_damage_panics(place in 0..SHIPPED.len(), length in 0_usize..40, patch in "[ -~\n]{0,12}") {
        let (mut from, mut to) = (place, (place + length).min(SHIPPED.len()));
        while !SHIPPED.is_char_boundary(from) { from -= 1; }
        while !SHIPPED.is_char_boundary(to) { to += 1; }
        let damaged = format!("{}{patch}{}", &SHIPPED[..from], &SHIPPED[to..]);
        if let Err(ConfigError::Invalid(problems)) = parse(&damaged) {
            prop_assert!(!problems.is_empty());
            let last = damaged.lines().count() + 1;
            prop_assert!(problems.iter().all(|p| (1..=last).contains(&p.line) && !p.reason.is_empty()));
        }
    }
}
