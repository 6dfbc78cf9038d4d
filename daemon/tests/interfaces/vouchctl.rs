//! `vouchctl` as a program.

use crate::lab::{HANG, Lab, wait_until};
use crate::routes::wav;
use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use vouch::api::ApiConfig;
use vouch::api::roles::Role;
use vouch::ask::AskError;
use vouch::verdict::{Reason, Status};
use vouch::view::EnrollmentState;

/// What a command printed, and its exit code.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin("vouchctl"));
    command.args(arguments).env("TZ", "UTC").env_remove("VOUCH_SOCKET").timeout(HANG);
    command
}

fn run(arguments: &[&str]) -> Ran {
    let output = command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Lab {
    fn ctl(&self, arguments: &[&str]) -> Ran {
        run(&[&["--socket", self.socket.to_str().unwrap()], arguments].concat())
    }

    /// What a command that succeeds prints.
    fn prints(&self, arguments: &[&str]) -> String {
        let ran = self.ctl(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
        ran.out
    }
}

#[test]
fn answers_are_tables_for_people() {
    let lab = Lab::new();
    let status = lab.prints(&["status"]);
    assert!(status.starts_with("health       ready\ncalls        1 of 100\n"), "{status}");
    assert!(status.contains("uptime       1 h 1 min\n"), "{status}");
    assert!(status.contains("capture      desk: absent: cannot be opened: No such device\n"), "{status}");
    assert_eq!(
        lab.prints(&["capture", "list"]),
        "DEVICE  STATE   CALL  RATE  OVERRUNS  LOST   PCM     FAULT\n\
         desk    absent  -     -     2         1.3 s  hw:1,0  cannot be opened: No such device\n"
    );
    let calls = lab.prints(&["calls"]);
    assert_eq!(
        calls,
        "CALL  SINCE     SPEAKER  STATUS   SCORE  SPEECH  ENROLLMENT  PEER\n\
         c1    22:00:00  anna     pending  -      4.2 s   -           192.0.2.7:5060\n"
    );
    lab.script.change("result", "c1", |call| {
        call.result.status = Status::Inconclusive;
        call.result.reasons = vec![Reason::TooLittleSpeech];
        call.ended = Some("2026-11-23T22:01:00Z".into());
    });
    let call = lab.prints(&["call", "c1"]);
    assert!(call.contains("ended        2026-11-23 22:01:00\n"), "{call}");
    assert!(call.contains("too-little-speech: the caller did not speak long enough\n"), "{call}");
    lab.script.calls.lock().unwrap().clear();
    assert_eq!(lab.prints(&["calls"]), "no calls\n");
}

#[test]
fn json_is_what_the_daemon_said() {
    let lab = Lab::new();
    let calls: Value = serde_json::from_str(&lab.prints(&["--json", "calls"])).unwrap();
    assert_eq!(calls, lab.get("/v1/calls").json());
    let result: Value = serde_json::from_str(&lab.prints(&["result", "c1", "--format", "json"])).unwrap();
    assert_eq!(result, lab.get("/v1/calls/c1/result").json());
}

#[test]
fn commands_of_agents_reach_the_desk() {
    let lab = Lab::new();
    lab.prints(&["set-speaker", "c1", "+1 555/1"]);
    assert_eq!(
        lab.prints(&["enroll", "c1", "--consent", "form 7"]),
        "enrollment  collecting, 4.2 of 30 s of speech\n"
    );
    assert!(lab.prints(&["evaluate", "c1", "--start-new"]).contains("status      pending\n"));
    for asked in ["set-speaker c1 +1 555/1", "enroll c1 Some(\"form 7\")", "evaluate c1 true"] {
        assert!(lab.script.was_asked(asked), "{asked}");
    }
    let started = lab.prints(&["capture", "start", "desk", "--speaker", "+1 555/1"]);
    assert!(started.contains("state     in-call\n") && started.contains("call      c2\n"), "{started}");
    assert!(lab.prints(&["capture", "stop", "desk"]).contains("lost      1.3 s\n"));
    assert!(lab.script.was_asked("start-capture desk Some(\"+1 555/1\")"));
    assert_eq!(lab.ctl(&["capture", "start", "dusk"]).code, 4);
    assert!(
        lab.prints(&["speaker", "list"])
            .contains("anna     enrolled  version 3   31.5 s  2026-11-20 08:00:00\n")
    );
    assert!(lab.prints(&["speaker", "opt-out", "x/y z"]).contains("status      opted-out\n"));
    assert!(lab.prints(&["speaker", "show", "x/y z"]).contains("speaker     x/y z\n"));
    assert!(lab.prints(&["speaker", "opt-in", "x/y z"]).contains("status      not-enrolled\n"));
    assert_eq!(lab.prints(&["speaker", "delete", "x/y z"]), "deleted\n");
    assert_eq!(lab.ctl(&["speaker", "delete", "x/y z"]).code, 4);
}

#[test]
fn recordings_are_sent_whole() {
    let lab = Lab::new();
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.wav", "b.wav"].map(|name| folder.path().join(name));
    std::fs::write(&first, wav(8_000, 8_000)).unwrap();
    std::fs::write(&second, wav(16_000, 16_000)).unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    assert!(
        lab.prints(&["enroll-file", "anna", first, second, "--consent", "c"])
            .contains("status      enrolled\n")
    );
    assert!(lab.script.was_asked("enroll-recordings anna [(8000, 8000), (16000, 16000)] Some(\"c\")"));
    let missing = lab.ctl(&["enroll-file", "anna", "/nonexistent.wav"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.starts_with("vouchctl: /nonexistent.wav: No such file"), "{}", missing.err);
}

#[test]
fn a_recording_over_the_limit_is_told_so() {
    let lab = Lab::with(ApiConfig { max_upload: 1 << 20, ..ApiConfig::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    // Far more than the buffers between hold, so the tool is still sending when the daemon refuses.
    std::fs::write(&path, wav(8_000, 8_000_000)).unwrap();
    let ran = lab.ctl(&["enroll-file", "anna", path.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("at most 1048576 bytes"), "{}", ran.err);
}

#[test]
fn a_dialplan_gets_the_status_alone() {
    let lab = Lab::new();
    assert_eq!(lab.prints(&["result", "c1", "--format", "plain"]), "pending\n");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lab.prints(&["result", "c1", "--wait", "1m", "--format", "plain"]));
        wait_until("the tool waits", || lab.script.asked.lock().unwrap().len() >= 3);
        lab.script.change("result", "c1", |call| call.result.status = Status::NotAuthenticated);
        assert_eq!(waiting.join().unwrap(), "not-authenticated\n");
    });
}

#[test]
fn a_dialplan_may_ask_before_the_call_is_there() {
    let lab = Lab::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lab.prints(&["result", "c9", "--wait", "1m", "--format", "plain"]));
        wait_until("the tool waits", || lab.script.was_asked("call c9"));
        lab.script.arrive("c9");
        wait_until("the tool looks again", || {
            lab.script.asked.lock().unwrap().iter().filter(|asked| *asked == "call c9").count() > 1
        });
        // Its last answer comes with its end.
        lab.script.change("call-ended", "c9", |call| call.result.status = Status::Inconclusive);
        assert_eq!(waiting.join().unwrap(), "inconclusive\n");
    });
    let never = lab.ctl(&["result", "c8", "--wait", "20ms", "--format", "plain"]);
    assert_eq!((never.code, never.out.as_str()), (4, ""));
}

#[test]
fn the_exit_code_and_the_message_name_the_cause() {
    let mut lab = Lab::new();
    let unknown = lab.ctl(&["call", "none"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (4, ""));
    assert!(unknown.err.contains("`vouchctl calls` lists those in progress"), "{}", unknown.err);
    for (refusal, code) in [
        (AskError::OptedOut, 5),
        (AskError::ConsentRequired, 5),
        (AskError::Conflict("the call has ended".into()), 1),
        (AskError::Store("disk full".into()), 1),
        (AskError::Stopping, 3),
    ] {
        *lab.script.refusal.lock().unwrap() = Some(refusal.clone());
        let ran = lab.ctl(&["enroll", "c1"]);
        assert_eq!(ran.code, code, "{refusal}");
        assert!(ran.err.contains(&refusal.to_string()), "{}", ran.err);
    }
    lab.set_role(Role::Reader);
    let forbidden = lab.ctl(&["speaker", "delete", "anna"]);
    assert_eq!(forbidden.code, 5);
    assert!(forbidden.err.contains("group vouch-admin"), "{}", forbidden.err);
    lab.stop();
    let gone = lab.ctl(&["status"]);
    assert_eq!(gone.code, 3);
    assert!(gone.err.contains("vouch.sock: is vouchd running?"), "{}", gone.err);
    let json: Value = serde_json::from_str(&lab.ctl(&["--json", "status"]).err).unwrap();
    assert_eq!(json["type"], "urn:vouch:problem:unreachable");
    drop(std::os::unix::net::UnixListener::bind(&lab.socket).unwrap());
    let dead = lab.ctl(&["status"]);
    assert_eq!(dead.code, 3);
    assert!(dead.err.contains("systemctl start vouchd"), "{}", dead.err);
    std::fs::remove_file(&lab.socket).unwrap();
}

#[test]
fn wrong_use_is_told_before_anybody_is_asked() {
    for arguments in [
        &[][..],
        &["dance"],
        &["call"],
        &["result", "c1", "--wait", "soon"],
        &["speaker", "show", ""],
        &["trials", "list.csv"],
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!ran.err.is_empty());
    }
    assert_eq!(run(&["--version"]).out, format!("vouchctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_socket_may_come_from_the_environment() {
    let lab = Lab::new();
    let output = command(&["calls"]).env("VOUCH_SOCKET", &lab.socket).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let lab = Lab::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = std::process::Command::new(cargo_bin("vouchctl"))
        .args(["--socket", lab.socket.to_str().unwrap(), "calls"])
        .stdout(writer)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn watch_shows_events_as_lines() {
    let lab = Lab::new();
    let mut watch = std::process::Command::new(cargo_bin("vouchctl"))
        .args(["--socket", lab.socket.to_str().unwrap(), "watch"])
        .env("TZ", "UTC")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    wait_until("it watches", || lab.script.was_asked("events"));
    lab.script.change("progress", "c1", |call| {
        call.net_speech_s = 7.5;
        call.enrollment.state = EnrollmentState::Collecting;
    });
    lab.script.change("result", "c1", |call| {
        call.result.status = Status::Authenticated;
        call.result.score = Some(97.5);
    });
    assert_eq!(lines.next().unwrap(), "22:00:00  progress      c1  anna  pending  speech 7.5 s  enrolling");
    assert_eq!(
        lines.next().unwrap(),
        "22:00:00  result        c1  anna  authenticated  score 97.5  speech 7.5 s  enrolling"
    );
    watch.kill().unwrap();
    watch.wait().unwrap();
}
