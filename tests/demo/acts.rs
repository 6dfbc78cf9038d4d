//! The calls of the demonstration.

use crate::show;
use common::clients::{Leg, LegCall};
use common::daemon::Daemon;
use common::voices::{Person, mulaw};
use serde_json::Value;
use std::time::{Duration, Instant};

/// One call: who speaks, who they say they are, and what Vouch should answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    /// What happens, for the audience.
    pub(crate) story: &'static str,
    voice: Person,
    take: usize,
    seconds: f32,
    claim: &'static str,
    enroll: bool,
    expected: &'static str,
}

/// Allison enrolls.
pub(crate) const ENROLLMENT: Act = Act {
    story: "Allison enrolls",
    voice: Person::Allison,
    take: 0,
    seconds: 60.0,
    claim: "1001",
    enroll: true,
    expected: "enrolled",
};

/// Everything else that can happen to a caller.
pub(crate) const FIVE_CALLS: [Act; 5] = [
    Act {
        story: "Allison calls again, other words",
        voice: Person::Allison,
        take: 1,
        seconds: 22.0,
        claim: "1001",
        enroll: false,
        expected: "authenticated",
    },
    Act {
        story: "June says that she is Allison",
        voice: Person::June,
        take: 1,
        seconds: 22.0,
        claim: "1001",
        enroll: false,
        expected: "not-authenticated",
    },
    Act {
        story: "Allison hangs up after 4 seconds",
        voice: Person::Allison,
        take: 2,
        seconds: 4.0,
        claim: "1001",
        enroll: false,
        expected: "inconclusive",
    },
    Act {
        story: "Carlo opted out",
        voice: Person::Carlo,
        take: 0,
        seconds: 8.0,
        claim: "1003",
        enroll: false,
        expected: "opted-out",
    },
    Act {
        story: "a caller nobody enrolled",
        voice: Person::Menardi,
        take: 0,
        seconds: 8.0,
        claim: "1009",
        enroll: false,
        expected: "not-enrolled",
    },
];

/// What came of an act.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The act.
    pub(crate) act: Act,
    /// What Vouch said.
    pub(crate) answer: String,
    /// Last result of the call.
    pub(crate) result: Value,
    /// Net speech that the answer rests on, in seconds.
    pub(crate) speech_s: f64,
    /// `X-Voice-ID-*` lines that the gateway received.
    pub(crate) headers: Vec<String>,
}

impl Outcome {
    /// Whether Vouch said what it should.
    pub(crate) fn is_right(&self) -> bool {
        self.answer == self.act.expected
    }

    /// What it should have said.
    pub(crate) fn expected(&self) -> &'static str {
        self.act.expected
    }
}

impl Act {
    /// The claimed speaker id.
    pub(crate) fn claim(&self) -> &'static str {
        self.claim
    }

    /// Places the call with sipp, shows what happens while it happens, and waits for the end.
    pub(crate) fn play(self, daemon: &Daemon) -> Outcome {
        let talk = self.voice.talk(self.take, self.seconds).expect("checked at the start");
        let leg = Leg {
            speaker: self.claim,
            mulaw: &mulaw(&talk),
            extra: "",
            transport: "u1",
            port: daemon.sip_port(),
        };
        let mut call = leg.place();
        self.watch(daemon, &mut call);
        let result = daemon.wait_for(&["result", call.call_id()], |answer| {
            answer["status"].as_str().is_some_and(|status| status != "pending")
        });
        let (answer, speech) = if self.enroll {
            enrollment(daemon, &call)
        } else {
            (word(&result["status"]), result["net_speech_s"].clone())
        };
        let speech_s = speech.as_f64().unwrap_or(0.0);
        Outcome { act: self, answer, result, speech_s, headers: call.voice_id_headers() }
    }

    fn watch(self, daemon: &Daemon, call: &mut LegCall) {
        let deadline = Instant::now() + Duration::from_secs_f32(self.seconds + 1.0);
        let mut asked = !self.enroll;
        let mut last = String::new();
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(250));
            let output = daemon.ctl(&["call", call.call_id()]);
            let Ok(view) = serde_json::from_slice::<Value>(&output.stdout) else { continue };
            if !asked {
                asked = true;
                println!("  $ vouchctl enroll {} --consent recorded", call.call_id());
                daemon.ask(&["enroll", call.call_id(), "--consent", "recorded"]);
            }
            let line = show::progress(&self, &view);
            if line != last {
                println!("{line}");
                last = line;
            }
            if !view["ended"].is_null() || self.enroll && view["enrollment"]["state"] == "complete" {
                return;
            }
        }
        call.finish();
    }
}

/// How the enrollment ended, and the net speech of the voiceprint.
fn enrollment(daemon: &Daemon, call: &LegCall) -> (String, Value) {
    let enrollment = &daemon.ask(&["call", call.call_id()])["enrollment"];
    let complete = enrollment["state"] == "complete";
    let answer = if complete { "enrolled".to_owned() } else { word(enrollment) };
    (answer, enrollment["net_speech_s"].clone())
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
