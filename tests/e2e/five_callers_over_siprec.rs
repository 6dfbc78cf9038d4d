//! The same five callers, as a recording client forks them: two streams, the caller's and the agent's.

use common::clients::{Recorder, Session};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::{Person, mulaw, write_wav};
use serde_json::Value;

/// Records a call between `speaker` and an agent; gives its last result.
pub(crate) fn record(daemon: &Daemon, speaker: &str, talk: &[i16], faults: Faults) -> Value {
    // The agent is a person with a voiceprint, too: were the streams mixed up, the answer would be wrong.
    let agent = Person::Carlo.talk(2, talk.len() as f32 / 8000.0).expect("as present as the caller's voice");
    let mut recorder = Recorder::new(daemon.sip_port());
    recorder.run(&Session { speaker, caller: &mulaw(talk), agent: &mulaw(&agent), faults });
    daemon.wait_for(&["result", recorder.call_id()], |answer| answer["status"] != "pending")
}

/// Enrolls `speaker` from a recording, as an administrator does with `vouchctl enroll-file`.
pub(crate) fn enroll_file(daemon: &Daemon, speaker: &str, talk: &[i16]) -> Value {
    let file = daemon.folder().join(format!("{speaker}.wav"));
    write_wav(&file, talk);
    daemon.ask(&["enroll-file", speaker, &file.display().to_string(), "--consent", "recorded"])
}

#[test]
fn five_callers_get_the_five_right_answers() {
    let (Some(allison), Some(carlo)) = (Person::Allison.talk(0, 55.0), Person::Carlo.talk(0, 55.0)) else {
        return;
    };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &allison);
    enroll_file(&daemon, "1002", &carlo);
    daemon.ask(&["speaker", "opt-out", "1003"]);

    let talk = |person: Person, seconds| person.talk(1, seconds).expect("present above");
    let status =
        |speaker: &str, talk: &[i16]| record(&daemon, speaker, talk, Faults::default())["status"].clone();
    std::thread::scope(|callers| {
        callers.spawn(|| assert_eq!(status("1001", &talk(Person::Allison, 22.0)), "authenticated"));
        callers.spawn(|| assert_eq!(status("1002", &talk(Person::Carlo, 22.0)), "authenticated"));
        callers.spawn(|| assert_eq!(status("1002", &talk(Person::Menardi, 22.0)), "not-authenticated"));
        callers.spawn(|| assert_eq!(status("1003", &talk(Person::June, 10.0)), "opted-out"));
        callers.spawn(|| assert_eq!(status("1001", &talk(Person::Allison, 4.0)), "inconclusive"));
    });
}
