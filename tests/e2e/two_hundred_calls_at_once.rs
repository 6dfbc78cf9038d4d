//! Two hundred recording sessions at once, of callers who are right, wrong, unknown and opted out: each gets its own answer.

use crate::five_callers_over_siprec::enroll_file;
use common::crowd::{Gateway, Media, Stream};
use common::daemon::Daemon;
use common::voices::{Person, mulaw};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: usize = 200;
/// Calls placed in a second.
const RATE: u32 = 50;
/// Longest time until the last answer, where others want the processor, too, and the build is not optimised.
const PATIENCE: Duration = Duration::from_mins(5);
/// Below the ports that Linux hands out, four a call.
const RTP_PORTS: &str = "12000-12999";

/// Those who are enrolled; a fifth person opted out.
const ENROLLED: [(Person, &str); 4] =
    [(Person::Allison, "2001"), (Person::June, "2002"), (Person::Carlo, "2003"), (Person::Menardi, "2004")];
const OPTED_OUT: (Person, &str) = (Person::Russian, "2005");

/// Who speaks on a call, who they say they are, and what Vouch must answer.
struct Part {
    person: Person,
    claim: &'static str,
    expected: &'static str,
}

/// Of ten calls six are genuine, two by impostors, one by somebody who is not enrolled, and one by who opted out.
fn part(number: usize) -> Part {
    let (person, claim) = ENROLLED[number % ENROLLED.len()];
    match number % 10 {
        3 | 6 => {
            let other = ENROLLED[(number + 1 + number / 10 % 3) % ENROLLED.len()].1;
            Part { person, claim: other, expected: "not-authenticated" }
        }
        8 => Part { person, claim: "nobody", expected: "not-enrolled" },
        9 => Part { person: OPTED_OUT.0, claim: OPTED_OUT.1, expected: "opted-out" },
        _ => Part { person, claim, expected: "authenticated" },
    }
}

/// Statuses by Call-ID.
fn statuses(daemon: &Daemon) -> HashMap<String, String> {
    let calls = daemon.ask(&["calls"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let one = |call: &Value| Some((text(&call["sip_call_id"])?, text(&call["result"]["status"])?));
    calls.as_array().into_iter().flatten().filter_map(one).collect()
}

#[test]
fn each_of_two_hundred_calls_is_decided_correctly() {
    let people = ENROLLED.map(|(person, _)| person).into_iter().chain([OPTED_OUT.0]);
    let talks: Option<Vec<(Person, Arc<[u8]>)>> =
        people.map(|person| Some((person, mulaw(&person.talk(1, 60.0)?).into()))).collect();
    let Some(talks) = talks else { return };
    let daemon = Daemon::start_from(|_, config| with_room(&config));
    for (person, speaker) in ENROLLED {
        enroll_file(&daemon, speaker, &person.talk(0, 60.0).expect("present above"));
    }
    daemon.ask(&["speaker", "opt-out", OPTED_OUT.1]);

    let (mut gateway, media) = (Gateway::new(daemon.sip_port()), Media::start());
    let start = Instant::now();
    for number in 0..CALLS {
        gateway.attend(start + Duration::from_secs(number as u64) / RATE);
        let part = part(number);
        let [target, _] = gateway.place(part.claim, media.port());
        let (_, talk) = talks.iter().find(|(person, _)| *person == part.person).expect("everybody talks");
        // Calls begin at different words.
        let from = number * 7919 * 160 % talk.len();
        media.add(Stream { target, ssrc: number as u32, talk: Arc::clone(talk), from });
    }
    assert_eq!(daemon.ask(&["status"])["calls"], CALLS, "all at once");

    let deadline = Instant::now() + PATIENCE;
    let mut answers = statuses(&daemon);
    while Instant::now() < deadline && answers.values().any(|status| status == "pending") {
        gateway.attend(Instant::now() + Duration::from_secs(1));
        answers = statuses(&daemon);
    }
    let wrong: Vec<String> = (0..CALLS)
        .filter_map(|number| {
            let (part, answer) = (part(number), answers.get(gateway.call_id(number)));
            let is_right = answer.is_some_and(|answer| answer == part.expected);
            (!is_right).then(|| format!("{number}: {:?} as {}: {answer:?}", part.person, part.claim))
        })
        .collect();
    assert_eq!(wrong, [""; 0], "of {CALLS} calls");
    assert_eq!(daemon.ask(&["status"])["calls"], CALLS, "nobody was hung up on");
    gateway.hang_up();
}

/// The configuration with room for the calls.
fn with_room(config: &str) -> String {
    let room = |line: &str| match line.split(" = ").next() {
        Some("max-calls") => format!("max-calls = {CALLS}\n"),
        Some("rtp-ports") => format!("rtp-ports = \"{RTP_PORTS}\"\n"),
        _ => format!("{line}\n"),
    };
    config.lines().map(room).collect()
}
