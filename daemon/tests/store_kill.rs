//! What was acknowledged survives `kill -9` at any moment, and a full disk loses nothing.
//!
//! The test binary runs itself again as the process that is killed, or that runs out of room.

use jiff::Timestamp;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use vouch::pii::{Pii, SpeakerId};
use vouch::store::{MasterKey, NewVoiceprint, SpeakerRecord, Store, StoreError, StoredEmbedding};
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;

/// Directory of the store, for the process that writes into it.
const STORE: &str = "VOUCH_TEST_STORE";
/// First number that the process writes.
const FIRST: &str = "VOUCH_TEST_FIRST";

/// Speakers that take turns, so that most writes replace a voiceprint.
const SPEAKERS: u32 = 7;

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &MasterKey::from_bytes([7; 32]))
}

fn speaker(number: u32) -> SpeakerId {
    SpeakerId::new(&format!("speaker-{}", number % SPEAKERS)).unwrap()
}

/// A voiceprint that carries its number.
fn voiceprint(number: u32) -> NewVoiceprint {
    let stored = StoredEmbedding {
        embedding: Pii::new(Embedding(std::array::from_fn(|i| (number as i16) ^ (i as i16 * 31)))),
        band: Band::Narrow,
        net_speech_ms: number,
        snr_db: None,
    };
    let made_at = Timestamp::from_second(1_700_000_000).unwrap();
    NewVoiceprint { embeddings: vec![stored], model_version: 1, consent: None, made_at }
}

/// Every ninth change is an opt-out and every ninth after that an opt-in; the rest are enrollments.
fn change(store: &Store, number: u32) -> Result<(), StoreError> {
    match number % 9 {
        4 => store.opt_out(&speaker(number), Timestamp::UNIX_EPOCH),
        _ => {
            store.opt_in(&speaker(number))?;
            store.enroll(&speaker(number), voiceprint(number)).map(|_| ())
        }
    }
}

/// Whether the store holds what change `number` made.
fn holds(store: &Store, number: u32) -> bool {
    match store.lookup(&speaker(number)).unwrap() {
        Some(SpeakerRecord::OptedOut { .. }) => number % 9 == 4,
        Some(SpeakerRecord::Enrolled(voiceprint)) => voiceprint.content == self::voiceprint(number),
        None => false,
    }
}

/// The body of the other process: not a test by itself.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = open(Path::new(&path)).unwrap();
    for number in first.. {
        match change(&store, number) {
            Ok(()) => eprintln!("ack {number}"),
            Err(error) => {
                eprintln!("fault {error}");
                // Once stopped, always stopped; and what was there can still be read.
                assert!(matches!(change(&store, number + 1), Err(StoreError::Stopped)), "{error}");
                assert!(number < first + 2 || holds(&store, number - 1));
                return eprintln!("end");
            }
        }
    }
}

/// Starts the writer; its acknowledgements come line by line.
fn start(path: &Path, first: u32, shell: &str) -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("{shell} exec \"$0\" --exact writer --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(STORE, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

/// The number in `ack NUMBER`.
fn acknowledged(line: &str) -> Option<u32> {
    line.strip_prefix("ack ")?.trim().parse().ok()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut next = 0;
    for round in 0..25 {
        let (mut child, lines) = start(&path, next, "");
        // Another number of changes each time, so that the kill meets other steps of the one after.
        let enough = next + 1 + round * 3 % 17;
        let mut acknowledged_until = None;
        let mut killed = false;
        for line in lines.lines().map(Result::unwrap) {
            if let Some(number) = acknowledged(&line) {
                acknowledged_until = Some(number);
                if number >= enough && !killed {
                    child.kill().unwrap();
                    killed = true;
                }
            }
        }
        child.wait().unwrap();
        let last = acknowledged_until.expect("the writer acknowledged something");
        assert!(last >= enough);
        let store = open(&path).unwrap();
        // Of each speaker the last acknowledged change is there, or one that was not acknowledged any more.
        for number in last.saturating_sub(SPEAKERS - 1)..=last {
            let newer = last + 1;
            let overtaken = newer % SPEAKERS == number % SPEAKERS;
            assert!(
                holds(&store, number) || overtaken && (holds(&store, newer) || !known(&store, newer)),
                "round {round}: change {number} of {last} is lost"
            );
        }
        assert_eq!(store.check().unwrap().damaged, 0);
        next = last + 1;
    }
}

/// Whether anything is known of the speaker of change `number`: between opt-in and enrollment nothing is.
fn known(store: &Store, number: u32) -> bool {
    store.lookup(&speaker(number)).unwrap().is_some()
}

#[test]
fn a_full_disk_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // No file may grow beyond 600 kB: the database meets that as it would meet a full disk.
    let (mut child, lines) = start(&path, 0, "trap '' XFSZ; ulimit -f 1200;");
    let lines: Vec<String> = lines.lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let last = lines.iter().rev().find_map(|line| acknowledged(line)).expect("some changes had room");
    assert!(lines.iter().any(|line| line.starts_with("fault ")), "{:?}", lines.last());
    assert_eq!(lines.last().map(String::as_str), Some("end"), "{lines:?}");
    let store = open(&path).unwrap();
    for number in last.saturating_sub(SPEAKERS - 2)..=last {
        assert!(holds(&store, number), "change {number} of {last} is lost");
    }
    store.enroll(&SpeakerId::new("later").unwrap(), voiceprint(1)).unwrap();
}

#[test]
fn a_second_process_is_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let (mut child, mut lines) = start(&path, 0, "");
    let mut line = String::new();
    while !line.starts_with("ack ") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the writer ended");
    }
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    open(&path).unwrap();
}
