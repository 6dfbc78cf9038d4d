//! Lists of trials as CSV, read and written back with figures.

use super::OfflineError;
use csv::StringRecord;
use std::path::Path;
use vouch_dsp::score::Comparison;

/// Columns that [`TrialList::write_scores`] adds.
const ADDED: [&str; 6] = ["score", "llr", "cosine", "enroll_net_speech", "test_net_speech", "decision"];

/// One comparison to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Files of the enrollment, separated by `;`.
    pub enroll: String,
    /// Files of the test, separated by `;`.
    pub test: String,
    /// Whether both are the same person.
    pub target: bool,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Figures, where both sides had enough speech.
    pub comparison: Option<Comparison>,
    /// Whether the score reached the threshold.
    pub accepted: bool,
    /// Net speech used of the enrollment, in seconds.
    pub enroll_s: f32,
    /// Net speech used of the test, in seconds.
    pub test_s: f32,
}

impl Outcome {
    /// Word for the decision, as in `X-Voice-ID-Status`.
    pub const fn decision(&self) -> &'static str {
        match (self.comparison, self.accepted) {
            (None, _) => "inconclusive",
            (Some(_), true) => "authenticated",
            (Some(_), false) => "not-authenticated",
        }
    }
}

/// A list of trials with all columns of its file.
#[derive(Clone, Debug)]
pub struct TrialList {
    header: StringRecord,
    rows: Vec<StringRecord>,
    trials: Vec<Trial>,
}

impl TrialList {
    /// Reads a list. The header names the columns; `enroll`, `test` and `target` must be there.
    ///
    /// # Errors
    /// [`OfflineError`] names the line and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, OfflineError> {
        let file =
            std::fs::File::open(path).map_err(|error| OfflineError::File { path: path.to_owned(), error })?;
        Self::parse(file).map_err(|(line, problem)| OfflineError::List {
            path: path.to_owned(),
            line,
            problem,
        })
    }

    fn parse(source: impl std::io::Read) -> Result<Self, (u64, String)> {
        let at = |error: csv::Error| (error.position().map_or(1, csv::Position::line), error.to_string());
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
        let header = reader.headers().map_err(at)?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|column| column == name);
            found.ok_or_else(|| (1, format!("there is no column `{name}`")))
        };
        let columns = [column("enroll")?, column("test")?, column("target")?];
        let (mut rows, mut trials) = (Vec::new(), Vec::new());
        for row in reader.records() {
            let row = row.map_err(at)?;
            let line = row.position().map_or(1, csv::Position::line);
            trials.push(Trial::parse(columns.map(|column| &row[column])).map_err(|problem| (line, problem))?);
            rows.push(row);
        }
        if trials.is_empty() {
            return Err((1, "there is no trial in the list".to_owned()));
        }
        Ok(Self { header, rows, trials })
    }

    /// The trials in the order of the file.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Number of each trial's two speakers. Sides that target trials join are one speaker; sides that none
    /// joins count as a speaker each.
    pub fn speakers(&self) -> Vec<(usize, usize)> {
        let mut groups = Groups::default();
        for trial in self.trials.iter().filter(|trial| trial.target) {
            let (enroll, test) = (groups.number(&trial.enroll), groups.number(&trial.test));
            groups.join(enroll, test);
        }
        let mut numbers = Vec::with_capacity(self.trials.len());
        for trial in &self.trials {
            numbers.push((groups.number(&trial.enroll), groups.number(&trial.test)));
        }
        let roots = numbers.into_iter().map(|(a, b)| (groups.root(a), groups.root(b)));
        let mut dense = std::collections::HashMap::new();
        let mut number = |root| {
            let next = dense.len();
            *dense.entry(root).or_insert(next)
        };
        roots.map(|(a, b)| (number(a), number(b))).collect()
    }

    /// Writes the list with the figures of each trial beside it.
    ///
    /// # Errors
    /// [`OfflineError::File`] when the file cannot be written.
    pub fn write_scores(&self, path: &Path, outcomes: &[Outcome]) -> Result<(), OfflineError> {
        let failed = |error| OfflineError::File { path: path.to_owned(), error };
        let file = std::fs::File::create(path).map_err(failed)?;
        self.write(file, outcomes).map_err(|error| failed(error.into()))
    }

    fn write(&self, target: impl std::io::Write, outcomes: &[Outcome]) -> csv::Result<()> {
        let mut writer = csv::Writer::from_writer(target);
        writer.write_record(self.header.iter().chain(ADDED))?;
        for (row, outcome) in self.rows.iter().zip(outcomes) {
            let figures = match outcome.comparison {
                Some(c) => [format!("{:.2}", c.score), format!("{:.4}", c.llr), format!("{:.5}", c.cosine)],
                None => Default::default(),
            };
            let speech = [outcome.enroll_s, outcome.test_s].map(|seconds| format!("{seconds:.2}"));
            let added = figures.iter().chain(&speech).map(String::as_str).chain([outcome.decision()]);
            writer.write_record(row.iter().chain(added))?;
        }
        writer.flush()?;
        Ok(())
    }
}

impl Trial {
    fn parse([enroll, test, target]: [&str; 3]) -> Result<Self, String> {
        for (name, side) in [("enroll", enroll), ("test", test)] {
            if side.split(';').any(|file| file.trim().is_empty()) {
                return Err(format!("`{name}` names no file, or an empty one between `;`"));
            }
        }
        let target = match target {
            "1" => true,
            "0" => false,
            other => return Err(format!("`target` is 1 or 0, not `{other}`")),
        };
        Ok(Self { enroll: enroll.to_owned(), test: test.to_owned(), target })
    }
}

/// Union-find over side names.
#[derive(Default)]
struct Groups<'s> {
    numbers: std::collections::HashMap<&'s str, usize>,
    parents: Vec<usize>,
}

impl<'s> Groups<'s> {
    fn number(&mut self, side: &'s str) -> usize {
        let next = self.parents.len();
        let number = *self.numbers.entry(side).or_insert(next);
        if number == next {
            self.parents.push(next);
        }
        number
    }

    fn root(&self, mut number: usize) -> usize {
        while self.parents[number] != number {
            number = self.parents[number];
        }
        number
    }

    /// The root of `a` becomes that of `b` too; chains stay short because `a`'s is looked up first.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[b] = a;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vouch_dsp::features::Band;

    const LIST: &str = "note,enroll,test,target\nx,a.wav,b.wav,1\n\"y, z\",a.wav;c.wav, d.flac ,0\n";

    #[test]
    fn columns_are_found_by_name_and_kept() {
        let list = TrialList::parse(LIST.as_bytes()).unwrap();
        assert_eq!(list.trials().len(), 2);
        assert_eq!(
            list.trials()[1],
            Trial { enroll: "a.wav;c.wav".into(), test: "d.flac".into(), target: false }
        );
        let figures =
            Comparison { band: Band::Narrow, cosine: 0.5, llr: 3.25, score: 91.256, far_at_score: 0.0005 };
        let scored = Outcome { comparison: Some(figures), accepted: true, enroll_s: 30.0, test_s: 10.0 };
        let without = Outcome { comparison: None, accepted: false, enroll_s: 30.0, test_s: 2.5 };
        let mut written = Vec::new();
        list.write(&mut written, &[scored, without]).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "note,enroll,test,target,score,llr,cosine,enroll_net_speech,test_net_speech,decision\n\
             x,a.wav,b.wav,1,91.26,3.2500,0.50000,30.00,10.00,authenticated\n\
             \"y, z\",a.wav;c.wav,d.flac,0,,,,30.00,2.50,inconclusive\n"
        );
    }

    #[test]
    fn problems_name_their_line() {
        let problem = |text: &str| TrialList::parse(text.as_bytes()).unwrap_err();
        assert_eq!(problem("enroll,test\na,b\n"), (1, "there is no column `target`".to_owned()));
        assert_eq!(problem("enroll,test,target\na,b,1\na,b,yes\n").0, 3);
        assert_eq!(problem("enroll,test,target\na;,b,1\n").0, 2);
        assert_eq!(problem("enroll,test,target\na,b,1\na,b\n").0, 3);
        assert_eq!(problem("enroll,test,target\n").1, "there is no trial in the list");
    }

    #[test]
    fn target_trials_join_sides_into_speakers() {
        let text = "enroll,test,target\na,a1,1\na,a2,1\nb,b1,1\na,b1,0\nb,a2,0\na,x,0\n";
        let speakers = TrialList::parse(text.as_bytes()).unwrap().speakers();
        assert_eq!(speakers, [(0, 0), (0, 0), (1, 1), (0, 1), (1, 0), (0, 2)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = TrialList::parse([b"enroll,test,target\n".as_slice(), &bytes].concat().as_slice());
        }

        #[test]
        fn target_trials_stay_inside_a_speaker(trials in proptest::collection::vec((0..9u8, 0..9u8, any::<bool>()), 1..40)) {
            let rows: String = trials.iter().map(|(e, t, target)| format!("e{e},t{t},{}\n", u8::from(*target))).collect();
            let list = TrialList::parse(format!("enroll,test,target\n{rows}").as_bytes()).unwrap();
            for (trial, (a, b)) in list.trials().iter().zip(list.speakers()) {
                prop_assert!(!trial.target || a == b);
            }
        }
    }
}
