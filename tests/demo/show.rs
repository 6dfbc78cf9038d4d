//! What the audience sees.

use crate::acts::{Act, Outcome};
use common::daemon::Daemon;
use serde_json::Value;

/// Says what runs.
pub(crate) fn opening(daemon: &Daemon) {
    let status = daemon.ask(&["status"]);
    println!(
        "vouchd {} runs with a fresh encrypted store; SIP on 127.0.0.1:{}, voice model {}, kernel {}.",
        status["version"].as_str().unwrap_or("?"),
        daemon.sip_port(),
        status["model_version"],
        status["kernel"].as_str().unwrap_or("?"),
    );
    println!(
        "The gateway is sipp; the callers are people who recorded telephone prompts for Debian's Asterisk."
    );
}

/// A line between the parts.
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

/// One line about a call in progress, in steps of five seconds of net speech.
pub(crate) fn progress(act: &Act, view: &Value) -> String {
    let speech = (view["net_speech_s"].as_f64().unwrap_or(0.0) / 5.0).floor() * 5.0;
    let status = view["result"]["status"].as_str().unwrap_or("?");
    let score =
        view["result"]["score"].as_f64().map(|score| format!(", score {score:.0}")).unwrap_or_default();
    let enrollment = match view["enrollment"]["state"].as_str() {
        Some("none") | None => String::new(),
        Some(state) => format!(", enrollment {state}"),
    };
    format!("  {:<34} net speech {speech:>3.0} s  {status}{score}{enrollment}", act.story)
}

/// The headers that the gateway saw, and all answers in one table.
pub(crate) fn table(outcomes: &[Outcome]) {
    heading("What the gateway saw (SIP headers of vouchd's messages, in order)");
    for outcome in outcomes {
        println!("  {}:", outcome.act.story);
        outcome.headers.iter().for_each(|header| println!("      {header}"));
    }
    heading("Answers");
    println!(
        "  {:<34} {:<6} {:>6} {:>6}  {:<18} {:<18}",
        "call", "claims", "speech", "score", "Vouch says", "right is"
    );
    for outcome in outcomes {
        let speech = outcome.speech_s;
        let score =
            outcome.result["score"].as_f64().map_or_else(|| "-".to_owned(), |score| format!("{score:.0}"));
        let mark = if outcome.is_right() { "ok" } else { "WRONG" };
        println!(
            "  {:<34} {:<6} {speech:>4.1} s {score:>6}  {:<18} {:<18} {mark}",
            outcome.act.story,
            outcome.act.claim(),
            outcome.answer,
            outcome.expected(),
        );
    }
    println!();
}
