//! Embeddings of the sides of trial lists, for comparing ways to score them (`benches/scoring/compare.py`).
//!
//! `cargo run --release -p vouch --example embeddings -- --root DIR [--test-speech 10] --out FILE LIST.csv`
//!
//! Each line of the output is one side: `enroll` or `test`, the files as the list names them, net speech in ms, and the
//! 192 values; tabs between. With `--features FILE`, the log mel frames behind the embeddings are written to that file in
//! the order of the lines, 80 values of 16 bits each (Q9, little endian); enrollments are then made without their noisy copy.

use clap::Parser;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use vouch::trials::list::TrialList;
use vouch::trials::voice::{Bands, Voice, Wanted};

/// Writes the embeddings of the sides of a trial list.
#[derive(Parser)]
struct Arguments {
    /// The list.
    list: PathBuf,
    /// Folder that the paths in the list start from.
    #[arg(long)]
    root: PathBuf,
    /// Net seconds of enrollments.
    #[arg(long, default_value_t = 30.0)]
    enroll_speech: f32,
    /// Net seconds of tests.
    #[arg(long, default_value_t = 10.0)]
    test_speech: f32,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// File for the features behind the embeddings.
    #[arg(long)]
    features: Option<PathBuf>,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let list = TrialList::read(&arguments.list)?;
    let enrolled = list.trials().iter().map(|trial| (trial.enroll.as_str(), "enroll"));
    let tested = list.trials().iter().map(|trial| (trial.test.as_str(), "test"));
    let sides: Vec<_> = enrolled.chain(tested).collect::<BTreeSet<_>>().into_iter().collect();
    let (next, made) = (AtomicUsize::new(0), Mutex::new((String::new(), Vec::new())));
    let work = || -> Outcome<()> {
        let mut voice = Voice::new()?;
        while let Some((files, role)) = sides.get(next.fetch_add(1, Ordering::Relaxed)) {
            let paths: Vec<PathBuf> = files.split(';').map(|file| arguments.root.join(file.trim())).collect();
            let speech_s = if *role == "test" { arguments.test_speech } else { arguments.enroll_speech };
            let enrollment = *role == "enroll" && arguments.features.is_none();
            let wanted = Wanted { speech_s, telephone: false, bands: Bands::Telephone, enrollment };
            let side = voice.side(&paths, wanted)?;
            let mut line = format!("{role}\t{files}\t{}", side.speech_ms);
            for (_, embedding) in &side.embeddings {
                embedding.0.iter().try_for_each(|value| write!(line, "\t{value}"))?;
            }
            let mut made = made.lock().map_err(|_| "a thread died")?;
            made.0.push_str(&(line + "\n"));
            if arguments.features.is_some() {
                made.1.extend(voice.frames().iter().flatten().flat_map(|value| value.to_le_bytes()));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Outcome<()> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread died")?)
    })?;
    let (text, features) = made.into_inner().map_err(|_| "a thread died")?;
    std::fs::write(&arguments.out, text)?;
    if let Some(path) = &arguments.features {
        std::fs::write(path, features)?;
    }
    Ok(())
}
