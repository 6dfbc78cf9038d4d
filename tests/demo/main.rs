//! `make demo`: real calls with recorded human voices against the real daemon, for people to watch.
#![allow(clippy::print_stdout, reason = "a demonstration prints")]

mod acts;
mod show;

use acts::{Act, Outcome};
use common::clients::sipp_is_there;
use common::daemon::Daemon;
use common::voices::Person;
use std::process::ExitCode;

fn main() -> ExitCode {
    if !sipp_is_there() || Person::Allison.talk(0, 1.0).is_none() {
        return ExitCode::FAILURE;
    }
    let daemon = Daemon::start();
    show::opening(&daemon);
    let mut outcomes = Vec::new();

    show::heading("1. Somebody calls for the first time; the agent asks for a voiceprint");
    outcomes.extend(play(&daemon, &[acts::ENROLLMENT]));

    show::heading("2. Somebody else does not want a voiceprint at all");
    println!("  $ vouchctl speaker opt-out 1003");
    daemon.ask(&["speaker", "opt-out", "1003"]);

    show::heading("3. Five calls at once");
    outcomes.extend(play(&daemon, &acts::FIVE_CALLS));

    show::table(&outcomes);
    if outcomes.iter().all(Outcome::is_right) {
        println!("All {} answers are right.", outcomes.len());
        return ExitCode::SUCCESS;
    }
    println!("Not all answers are right. The log of vouchd:\n{}", daemon.log());
    ExitCode::FAILURE
}

/// Plays the acts side by side and gives their outcomes in order.
fn play(daemon: &Daemon, acts: &[Act]) -> Vec<Outcome> {
    std::thread::scope(|stage| {
        let playing: Vec<_> = acts.iter().map(|act| stage.spawn(|| act.play(daemon))).collect();
        playing.into_iter().map(|act| act.join().expect("an act ends with its outcome")).collect()
    })
}
