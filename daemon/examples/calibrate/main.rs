//! Derives the constants of `dsp/src/score/constants.rs` from speech, with the engine that they are for.
//!
//! `cargo run --release -p vouch --example calibrate -- --corpora DIR [--voices DIR] [--cache FILE] --out FILE`
//!
//! That is all: nothing is done by hand, before or after. It takes `sox` (with GSM and AMR) and `ffmpeg` (with Opus),
//! and about five minutes of two cores without a cache. A new model or speech detector needs a new cache.
//!
//! Speech: LibriSpeech (one utterance of each of many people, `dev-speech/librispeech-train-clean-100` in the
//! corpora folder, CC BY 4.0) and Debian's Asterisk prompts (a few people, much speech of each, CC BY-SA 3.0),
//! through simulated telephone lines, rooms and codecs with the noise of the corpora folder (`lines.rs`). Only
//! statistics over all of them are written. None of these people is in the development trials, which measure the result.
//!
//! How, and why so:
//! - *Cohort mean*: of all LibriSpeech tests over all lines of the band.
//! - *Nuisance directions*: where lines, noise and the noisy copy of an enrollment move the same people's embeddings on
//!   average (`nuisance.rs`).
//! - *Slope and offset*: logistic regression of target trials, enrolled over the clean line and tested over any, or over
//!   one, and of the non-target trials of people who are alike over one line. Target trials are two halves of one
//!   utterance or prompts of one person, so they share a session, which makes the ratio surer of itself than it may be;
//!   that half of them are short works the other way.
//! - *Score*: its anchors are false-accept rates, measured on the non-target trials, of which there are enough, among
//!   people who are alike over telephone lines, and raised by what the worst pair of lines has more than all together.
//!   Rates too small to count are extrapolated as a normal tail. The highest scores are anchored on the target trials.
//! - *Duration term*: what keeps rare false accepts as rare with shorter tests.

mod anchors;
mod codec;
mod embed;
mod line;
mod lines;
mod nuisance;
mod speech;
mod write;

use clap::Parser;
use std::path::PathBuf;
use vouch_dsp::features::Band;

/// Derives the scoring constants from speech.
#[derive(Parser)]
struct Arguments {
    /// Folder of the development corpora.
    #[arg(long)]
    corpora: PathBuf,
    /// Folder of Debian's Asterisk prompts.
    #[arg(long, default_value = "/usr/share/asterisk/sounds")]
    voices: PathBuf,
    /// Where to keep embeddings between runs of this program.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Rust file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Everything here ends the program: it is run by a developer, who reads the error.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let corpus = speech::Corpus::load(&arguments.corpora, &arguments.voices)?;
    let mut embedder = embed::Embedder::new(arguments.cache)?;
    let narrow = embedder.all(&corpus, Band::Narrow)?;
    let wide = embedder.all(&corpus, Band::Wide)?;
    let impostors = anchors::Impostors::of(&narrow);
    let derived = [
        anchors::derive(Band::Narrow, &narrow, &impostors)?,
        anchors::derive(Band::Wide, &wide, &impostors)?,
    ];
    let head = write::head(&corpus, &impostors, embedder.model_version());
    std::fs::write(&arguments.out, head + &write::source(&derived, embedder.model_version()))?;
    Ok(())
}
