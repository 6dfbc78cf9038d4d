//! Hardware phones on sound cards: alsa-lib's own plugins bring recorded voices to a real vouchd.
//!
//! The `file` plugin over `null` reads a file as a capture device, as fast as it is asked, and then gives silence.

use crate::five_callers_over_siprec::enroll_file;
use common::daemon::Daemon;
use common::voices::Person;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use vouch_dsp::codec::g722::G722;

/// Interleaved channels as raw samples, little end first.
fn write_raw(file: &Path, channels: &[&[i16]]) {
    let frames = channels.iter().map(|channel| channel.len()).max().unwrap_or(0);
    let sample = |frame: usize| channels.iter().map(move |pcm| pcm.get(frame).copied().unwrap_or(0));
    let bytes: Vec<u8> = (0..frames).flat_map(sample).flat_map(i16::to_le_bytes).collect();
    std::fs::write(file, bytes).expect("the recording fits on the disk");
}

/// A vouchd with these capture devices: name, channels that its file holds, and more settings.
fn daemon(devices: &[(&str, &[&[i16]], &str)]) -> Daemon {
    Daemon::start_from(|folder, mut config| {
        let mut sounds = "</usr/share/alsa/alsa.conf>\n".to_owned();
        for (name, channels, settings) in devices {
            let file = folder.join(format!("{name}.raw"));
            if !channels.is_empty() {
                write_raw(&file, channels);
            }
            sounds += &format!(
                "pcm.{name} {{ type file slave.pcm \"null\" file \"/dev/null\" infile \"{}\" format \"raw\" }}\n",
                file.display()
            );
            config += &format!("[[alsa]]\nname = \"{name}\"\n{settings}\n");
            if !settings.contains("device") {
                config += &format!("device = \"{name}\"\n");
            }
        }
        std::fs::write(folder.join("asound.conf"), sounds).expect("the file fits on the disk");
        config
    })
}

/// Captures on a device until there is an answer; gives the call after its end.
fn capture(daemon: &Daemon, arguments: &[&str]) -> Value {
    let device = daemon.ask(&[&["capture", "start"], arguments].concat());
    let id = device["call"].as_str().unwrap_or_else(|| panic!("no call: {device}")).to_owned();
    let answer = daemon.wait_for(&["result", &id], |answer| answer["status"] != "pending");
    daemon.ask(&["capture", "stop", arguments[0]]);
    let call = daemon.wait_for(&["call", &id], |call| call["ended"].is_string());
    assert_eq!(call["result"]["result_id"], answer["result_id"], "the end changes nothing: {call}");
    assert_eq!((&call["source"], &call["peer"]), (&"alsa".into(), &arguments[0].into()), "{call}");
    call
}

#[test]
fn callers_on_sound_cards_get_the_right_answers() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let talk = |person: Person| person.talk(1, 22.0).expect("present above");
    let (genuine, impostor) = (talk(Person::Allison), talk(Person::June));
    let daemon = daemon(&[
        ("genuine", &[&genuine], "speaker = \"1001\""),
        // Were the other channel heard, the answer would be wrong.
        ("impostor", &[&genuine, &impostor], "channel = 2"),
        ("silent", &[&genuine], "speaker = \"+15557654321\""),
        ("off", &[&genuine], "enabled = false"),
        ("absent", &[], "device = \"hw:31,0\""),
    ]);
    enroll_file(&daemon, "1001", &allison);
    daemon.ask(&["speaker", "opt-out", "+15557654321"]);

    let call = capture(&daemon, &["genuine"]);
    let result = &call["result"];
    assert_eq!((&result["status"], &call["codec"]), (&"authenticated".into(), &"L16".into()), "{call}");
    assert_eq!(capture(&daemon, &["impostor", "--speaker", "1001"])["result"]["status"], "not-authenticated");
    let call = capture(&daemon, &["silent"]);
    assert_eq!((&call["result"]["status"], &call["net_speech_s"]), (&"opted-out".into(), &0.0.into()));

    for (device, code, cause) in [
        ("absent", 1, "absent cannot be used: hw:31,0: cannot be opened: No such"),
        ("off", 1, "off is switched off"),
        ("nowhere", 4, "no capture device of this name"),
    ] {
        let refused = daemon.ctl(&["capture", "start", device]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{said}");
        assert!(said.contains(cause), "{said}");
    }
    let status = daemon.ask(&["status"]);
    let states: Vec<&str> = status["captures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|view| view["state"].as_str())
        .collect();
    assert_eq!(states, ["idle", "idle", "idle", "off", "absent"], "{status}");
    assert!(!daemon.log().contains("5557654321") && !daemon.log().contains("ALSA lib"), "{}", daemon.log());
}

#[test]
fn a_phone_that_somebody_speaks_on_begins_and_ends_its_call_by_itself() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let mut talk = vec![0; 5 * 8000];
    talk.extend(Person::Allison.talk(1, 20.0).expect("present above"));
    let settings = "speaker = \"1001\"\nauto-start = true\nsilence = \"4s\"";
    let mut daemon = daemon(&[("phone", &[], settings)]);
    enroll_file(&daemon, "1001", &allison);
    // The file is read from its beginning when the daemon starts.
    daemon.kill();
    write_raw(&daemon.folder().join("phone.raw"), &[&talk]);
    daemon.restart();
    let calls = daemon.wait_for(&["calls"], |calls| {
        calls[0]["ended"].is_string() && calls[0]["result"]["status"] != "pending"
    });
    let call = &calls[0];
    assert_eq!((&call["source"], &call["result"]["status"]), (&"alsa".into(), &"authenticated".into()));
    assert!(call["net_speech_s"].as_f64().is_some_and(|speech| speech > 10.0), "{call}");
    let device = &daemon.ask(&["capture", "list"])[0];
    assert_eq!((&device["state"], &device["call"]), (&"listening".into(), &Value::Null), "{device}");
    assert_eq!(calls.as_array().map(Vec::len), Some(1), "silence begins nothing: {calls}");
}

#[test]
fn an_opt_out_ends_the_call_that_a_phone_began_by_itself() {
    let Some(talk) = Person::June.talk(1, 20.0) else { return };
    let settings = "speaker = \"1003\"\nauto-start = true\nsilence = \"1h\"";
    let daemon = daemon(&[("phone", &[&talk], settings)]);
    daemon.wait_for(&["calls"], |calls| calls[0]["speaker_id"] == "1003");
    daemon.ask(&["speaker", "opt-out", "1003"]);
    let calls = daemon.wait_for(&["calls"], |calls| calls[0]["ended"].is_string());
    assert_eq!(calls[0]["result"]["status"], "opted-out", "{calls}");
    let list = daemon.wait_for(&["capture", "list"], |list| list[0]["state"] == "opted-out");
    assert_eq!(list[0]["call"], Value::Null, "{list}");
}

#[test]
fn a_wideband_phone_enrolls_and_verifies() {
    let wide = |person: Person, take, seconds| {
        let coded = person.g722(take, seconds)?;
        let mut pcm = vec![0; 2 * coded.len()];
        let samples = G722::new().decode_into(&coded, &mut pcm);
        pcm.truncate(samples);
        Some(pcm)
    };
    let Some(enrolled) = wide(Person::Carlo, 0, 60.0) else { return };
    let talk = |person, take| wide(person, take, 22.0).expect("present above");
    let (genuine, impostor) = (talk(Person::Carlo, 2), talk(Person::Allison, 1));
    let daemon = daemon(&[
        ("enroller", &[&enrolled], "rate = 16000"),
        ("genuine", &[&genuine], "rate = 16000\nspeaker = \"1002\""),
        ("impostor", &[&impostor], "rate = 16000\nspeaker = \"1002\""),
        // The same voice as a telephone brings it, which the same voiceprint serves.
        ("narrow", &[&Person::Carlo.talk(2, 22.0).expect("present above")], "speaker = \"1002\""),
    ]);
    let device = daemon.ask(&["capture", "start", "enroller"]);
    let call = device["call"].as_str().expect("a call");
    assert_eq!(device["rate_hz"], 16_000, "{device}");
    daemon.ask(&["set-speaker", call, "1002"]);
    daemon.ask(&["enroll", call, "--consent", "form 7"]);
    daemon.wait_for(&["call", call], |call| call["enrollment"]["state"] == "complete");
    daemon.ask(&["capture", "stop", "enroller"]);
    for (device, status) in
        [("genuine", "authenticated"), ("impostor", "not-authenticated"), ("narrow", "authenticated")]
    {
        let call = capture(&daemon, &[device]);
        assert_eq!(call["result"]["status"], status, "{device}: {call}");
    }
}

#[test]
fn a_device_whose_driver_never_answers_keeps_nobody_waiting() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let genuine = Person::Allison.talk(1, 22.0).expect("present above");
    let mut daemon =
        daemon(&[("stuck", &[], "speaker = \"1001\""), ("phone", &[&genuine], "speaker = \"1001\"")]);
    enroll_file(&daemon, "1001", &allison);
    daemon.kill();
    // To open a pipe that nobody writes to takes for ever.
    let pipe = daemon.folder().join("stuck.raw");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a pipe");
    daemon.restart();
    let refused = daemon.ctl(&["capture", "start", "stuck"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stuck does not answer"), "{refused:?}");
    let list = daemon.wait_for(&["capture", "list"], |list| list[0]["state"] == "absent");
    assert!(list[0]["fault"].as_str().is_some_and(|fault| fault.contains("has not answered")), "{list}");
    assert_eq!(capture(&daemon, &["phone"])["result"]["status"], "authenticated");

    // Once there is a writer the device is usable, and what nobody waits for any more was not begun.
    let writer = std::fs::File::options().write(true).open(&pipe).expect("the pipe opens for both");
    daemon.wait_for(&["capture", "list"], |list| list[0]["state"] == "idle");
    assert_eq!(daemon.ask(&["calls"]).as_array().map(Vec::len), Some(1));
    drop(writer);

    // A daemon that is told to end does not wait for the device either.
    daemon.ctl(&["capture", "start", "stuck"]);
    let ended = Instant::now();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(daemon.pid() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("our own process can be told to end");
    while daemon.ctl(&["status"]).status.success() {
        assert!(ended.elapsed() < Duration::from_secs(30), "it does not stop:\n{}", daemon.log());
    }
}
