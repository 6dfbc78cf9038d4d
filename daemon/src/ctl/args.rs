//! The commands of `vouchctl`, from which help, man pages and completions are made.

use crate::api::DEFAULT_SOCKET;
use crate::config::parse_duration;
use crate::pii::SpeakerId;
use crate::trials::DEFAULT_THRESHOLD;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Exit codes, for the help text and the man page.
const EXIT_CODES: &str = "Exit codes:\n  \
    0  done\n  \
    1  failed\n  \
    2  wrong use\n  \
    3  daemon not reachable\n  \
    4  not found\n  \
    5  refused (permission, opted out, consent)";

/// See and steer caller authentication on this box.
///
/// Most commands talk to the daemon vouchd through its Unix socket; `compare`, `trials`, `thresholds`, `capacity`
/// and `replay` need no daemon. CALL is an id that `vouchctl calls` shows, or the Call-ID of the SIP call.
#[derive(Debug, Parser)]
#[command(name = "vouchctl", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Ctl {
    /// Socket of the daemon.
    #[arg(long, global = true, env = "VOUCH_SOCKET", hide_env_values = true, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Print JSON, errors as well (on standard error).
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the state of the daemon.
    Status,
    /// List the calls in progress.
    Calls,
    /// Show one call.
    Call {
        /// The call.
        call: String,
    },
    /// Show calls as they happen: net speech growing, status changing.
    Watch,
    /// Set who the caller of a call claims to be.
    SetSpeaker {
        /// The call.
        call: String,
        /// The speaker id.
        #[arg(value_parser = SpeakerId::new)]
        speaker: SpeakerId,
    },
    /// Enroll the caller of a call, as soon as there is enough speech.
    Enroll {
        /// The call.
        call: String,
        /// Reference of the speaker's consent, kept with the voiceprint.
        #[arg(long, value_name = "REF")]
        consent: Option<String>,
    },
    /// Verify the caller of a call from the speech heard so far.
    Evaluate {
        /// The call.
        call: String,
        /// Forget the speech heard so far and start anew.
        #[arg(long)]
        start_new: bool,
    },
    /// Print where the verification of a call stands.
    Result(ResultArgs),
    /// Begin and end calls on capture devices, for hardware phones.
    Capture {
        /// What to do.
        #[command(subcommand)]
        command: CaptureCommand,
    },
    /// Show and change what is known of speakers.
    Speaker {
        /// What to do.
        #[command(subcommand)]
        command: SpeakerCommand,
    },
    /// Enroll a speaker from recordings of the speaker alone (WAV or FLAC).
    EnrollFile {
        /// The speaker id.
        #[arg(value_parser = SpeakerId::new)]
        speaker: SpeakerId,
        /// The recordings.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Reference of the speaker's consent, kept with the voiceprint.
        #[arg(long, value_name = "REF")]
        consent: Option<String>,
    },
    /// Compare the voices of two recordings (no daemon needed).
    Compare(CompareArgs),
    /// Measure error rates on a list of recordings (no daemon needed).
    Trials(TrialsArgs),
    /// Print the false-accept and false-reject rate of every threshold (no daemon needed).
    Thresholds(ThresholdsArgs),
    /// Measure how many calls this box carries (no daemon needed).
    Capacity,
    /// Hear the calls in a capture file, pcap or pcapng, and say what vouchd would have said (no daemon needed).
    Replay(ReplayArgs),
}

/// Arguments of `result`.
#[derive(Debug, Args)]
pub struct ResultArgs {
    /// The call.
    pub call: String,
    /// Wait this long for a final result, such as `12s`, and for a call that has yet to begin; then print it as it is.
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub wait: Option<Duration>,
    /// How to print it: `plain` is the status alone, for dialplans.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How to print a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The status alone on a line.
    Plain,
    /// The answer of the daemon.
    Json,
    /// For people.
    Table,
}

/// What to do about speakers.
#[derive(Debug, Subcommand)]
pub enum SpeakerCommand {
    /// List the speakers known here.
    List,
    /// Show one speaker.
    Show(SpeakerArgs),
    /// Delete the voiceprint and analyse no call of the speaker from now on.
    OptOut(SpeakerArgs),
    /// Take an opt-out back; the speaker can be enrolled again.
    OptIn(SpeakerArgs),
    /// Forget the speaker; the voiceprint cannot be read any more, in backups neither.
    Delete(SpeakerArgs),
}

/// What to do about capture devices.
#[derive(Debug, Subcommand)]
pub enum CaptureCommand {
    /// List the devices: what they do, and what is wrong with them.
    List,
    /// Begin a call on a device.
    Start {
        /// The device, by its name in the configuration.
        device: String,
        /// Who the caller claims to be; whose device it is where not given.
        #[arg(long, value_name = "ID", value_parser = SpeakerId::new)]
        speaker: Option<SpeakerId>,
    },
    /// End the call on a device.
    Stop {
        /// The device.
        device: String,
    },
}

/// Which speaker.
#[derive(Debug, Args)]
pub struct SpeakerArgs {
    /// The speaker id.
    #[arg(value_parser = SpeakerId::new)]
    pub speaker: SpeakerId,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Recording of a known speaker (WAV or FLAC).
    #[arg(value_name = "A")]
    pub enroll: PathBuf,
    /// Recording to compare with it.
    #[arg(value_name = "B")]
    pub test: PathBuf,
    /// Hear wideband recordings as a telephone would.
    #[arg(long)]
    pub narrowband: bool,
    /// Score from which the voices count as one.
    #[arg(long, value_name = "SCORE", default_value_t = DEFAULT_THRESHOLD, value_parser = score)]
    pub threshold: f32,
    /// Score by this calibration instead of the shipped one.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
}

/// Arguments of `thresholds`.
#[derive(Debug, Args)]
pub struct ThresholdsArgs {
    /// Print the rates of this calibration instead of the shipped one.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
}

/// Arguments of `trials`.
#[derive(Debug, Args)]
pub struct TrialsArgs {
    /// List of trials: CSV with the columns `enroll`, `test` (files, several separated by `;`) and `target` (1 or 0).
    #[arg(value_name = "FILE.csv")]
    pub list: PathBuf,
    /// Folder that the files of the list are relative to.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Write the list with the score of every trial to this file.
    #[arg(long, value_name = "OUT.csv")]
    pub scores: Option<PathBuf>,
    /// Hear wideband recordings as a telephone would.
    #[arg(long)]
    pub narrowband: bool,
    /// Most seconds of net speech used for an enrollment.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub enroll_speech: u32,
    /// Most seconds of net speech used for a test.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub test_speech: u32,
    /// Score from which the voices of a trial count as one.
    #[arg(long, value_name = "SCORE", default_value_t = DEFAULT_THRESHOLD, value_parser = score)]
    pub threshold: f32,
    /// Score by this calibration instead of the shipped one.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Make a calibration of these trials, write it to this new file, and print what it changes.
    #[arg(long, value_name = "OUT.toml", conflicts_with = "calibration")]
    pub calibrate: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The capture file.
    #[arg(value_name = "FILE.pcap")]
    pub file: PathBuf,
    /// Configuration to go by, such as /etc/vouch/vouchd.toml; the defaults where it is not given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Enroll speaker ID from a recording first (WAV or FLAC); kept for this replay only. May be repeated.
    #[arg(long, value_name = "ID=FILE", value_parser = enrollment)]
    pub enroll: Vec<(SpeakerId, PathBuf)>,
    /// Take every caller to claim this speaker id; otherwise the signalling says who calls.
    #[arg(long, value_name = "ID", value_parser = SpeakerId::new)]
    pub speaker: Option<SpeakerId>,
}

/// Reads `ID=FILE`.
fn enrollment(text: &str) -> Result<(SpeakerId, PathBuf), String> {
    let (id, file) = text.split_once('=').ok_or("is not of the form ID=FILE")?;
    let id = SpeakerId::new(id).map_err(|error| error.to_string())?;
    if file.is_empty() { Err("names no file".to_owned()) } else { Ok((id, PathBuf::from(file))) }
}

/// Reads a score.
fn score(text: &str) -> Result<f32, String> {
    let score = text.parse::<f32>().ok().filter(|score| (0.0..=100.0).contains(score));
    score.ok_or_else(|| "a score is a number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Ctl::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let ctl = Ctl::try_parse_from(["vouchctl", "calls", "--json", "--socket", "/x"]).unwrap();
        assert!(ctl.json && ctl.socket.as_os_str() == "/x");
    }

    #[test]
    fn bad_values_are_wrong_use() {
        let long = "x".repeat(257);
        for arguments in [
            &["vouchctl", "result", "c1", "--wait", "soon"][..],
            &["vouchctl", "set-speaker", "c1", &long],
            &["vouchctl", "speaker", "show", ""],
            &["vouchctl", "trials", "t.csv", "--root", ".", "--test-speech", "0"],
            &["vouchctl", "compare", "a.wav", "b.wav", "--threshold", "101"],
            &["vouchctl", "enroll-file", "anna"],
            &["vouchctl", "capture", "start"],
            &["vouchctl", "capture", "start", "desk", "--speaker", ""],
            &["vouchctl", "replay"],
            &["vouchctl", "replay", "x.pcap", "--enroll", "anna"],
            &["vouchctl", "replay", "x.pcap", "--enroll", "=x.wav"],
        ] {
            assert_eq!(Ctl::try_parse_from(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
