//! Who calls: recorded people, enrolled before the calls, each claiming to be somebody.

use crate::daemon::Daemon;
use common::voices::{Person, mulaw};
use std::sync::Arc;

/// The people and the speaker ids under which they are enrolled.
const PEOPLE: [(Person, &str); 5] = [
    (Person::Allison, "2001"),
    (Person::June, "2002"),
    (Person::Carlo, "2003"),
    (Person::Menardi, "2004"),
    (Person::Russian, "2005"),
];
/// Seconds that an enrollment is made of.
const ENROLLMENT_S: f32 = 60.0;
/// Seconds that a caller says before saying them again.
const TALK_S: f32 = 60.0;
/// One call of so many is by an impostor.
const IMPOSTOR_EVERY: usize = 10;

/// What each of the people says on the calls, mu-law at 8 kHz.
#[derive(Debug)]
pub(crate) struct Cast(Vec<Arc<[u8]>>);

/// One call's part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Who the caller claims to be.
    pub(crate) claim: &'static str,
    /// What Vouch should answer.
    pub(crate) expected: &'static str,
    /// What the caller says, and the agent.
    pub(crate) talks: [Arc<[u8]>; 2],
    /// Byte at which both begin.
    pub(crate) from: usize,
}

impl Cast {
    /// Reads the voices; `None`, with a line that says so, where they are not installed.
    pub(crate) fn new() -> Option<Self> {
        let talk = |(person, _): (Person, &str)| Some(mulaw(&person.talk(1, TALK_S)?).into());
        PEOPLE.into_iter().map(talk).collect::<Option<_>>().map(Self)
    }

    /// Enrolls everybody from recordings that no call repeats.
    pub(crate) fn enroll(&self, daemon: &Daemon) -> Option<()> {
        for (person, speaker) in PEOPLE {
            let file = daemon.folder().join(format!("{speaker}.wav"));
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut wav = hound::WavWriter::create(&file, spec).expect("the folder takes files");
            for sample in person.talk(0, ENROLLMENT_S)? {
                wav.write_sample(sample).expect("the folder has room");
            }
            wav.finalize().expect("the folder has room");
            daemon.enroll(speaker, &file);
        }
        Some(())
    }

    /// The part of call `number`.
    pub(crate) fn part(&self, number: usize) -> Part {
        let people = PEOPLE.len();
        let caller = number % people;
        let impostor = number % IMPOSTOR_EVERY == IMPOSTOR_EVERY - 1;
        let claimed =
            if impostor { (caller + 1 + number / IMPOSTOR_EVERY % (people - 1)) % people } else { caller };
        let talk = &self.0[caller];
        Part {
            claim: PEOPLE[claimed].1,
            expected: if impostor { "not-authenticated" } else { "authenticated" },
            talks: [Arc::clone(talk), Arc::clone(&self.0[(caller + 2) % people])],
            // Calls begin at different words.
            from: number * 7919 * 160 % talk.len(),
        }
    }
}
