//! `vouchctl replay`: a capture file, and what Vouch would have said of its calls.

use super::args::ReplayArgs;
use super::error::CtlError;
use super::output::{print, print_line};
use super::show::status_and_reasons;
use super::table::{Table, local_time};
use crate::tap::replay::{self, Request, Summary};
use crate::view::CallView;
use jiff::tz::TimeZone;
use serde_json::json;

/// Replays a capture file and prints its calls: as JSON each when it has ended, for people as a table with what is to be
/// known of the capture below it.
pub(super) fn run(args: ReplayArgs, as_json: bool) -> Result<(), CtlError> {
    let ReplayArgs { file, config, enroll, speaker } = args;
    let request = Request { file, config, enroll, speaker };
    let (zone, mut table, mut calls, mut printed) = (TimeZone::system(), headings(), 0_u64, Ok(()));
    let outcome = replay::run(&request, &mut |view| {
        calls += 1;
        if !as_json {
            row(&mut table, &view, &zone);
        } else if printed.is_ok() {
            printed = print_line(&json!(view).to_string());
        }
    });
    printed?;
    match (outcome, as_json) {
        (Ok(summary), true) => {
            // Standard output has nothing but calls.
            eprintln!("{}", capture_as_json(&summary));
            Ok(())
        }
        (outcome, true) => outcome.map(drop).map_err(CtlError::Replay),
        (outcome, false) => {
            print(&if calls == 0 { "no calls\n".to_owned() } else { table.text() })?;
            let summary = outcome.map_err(CtlError::Replay)?;
            print(&format!("\n{}", capture_as_text(&summary)))
        }
    }
}

fn headings() -> Table {
    Table::with_headings(&["STARTED", "SPEAKER", "STATUS", "SCORE", "SPEECH", "CODEC", "LOST", "CALL-ID"])
}

fn row(table: &mut Table, view: &CallView, zone: &TimeZone) {
    let dash = || "-".to_owned();
    table.row(&[
        local_time(&view.started, zone),
        view.speaker_id.clone().unwrap_or_else(dash),
        status_and_reasons(&view.result),
        view.result.score.map_or_else(dash, |score| format!("{score:.1}")),
        format!("{:.1} s", view.net_speech_s),
        view.codec.clone().unwrap_or_else(dash),
        format!("{:.1} %", view.result.quality.loss * 100.0),
        view.sip_call_id.clone().unwrap_or_else(dash),
    ]);
}

fn capture_as_json(summary: &Summary) -> serde_json::Value {
    let (capture, tap) = (&summary.capture, &summary.tap);
    json!({ "capture": {
        "packets": capture.packets,
        "seconds": summary.span.as_secs_f64(),
        "dropped": capture.dropped,
        "truncated_file": capture.truncated,
        "unknown_links": capture.unknown_links,
        "cut_packets": tap.cut,
        "duplicates": tap.duplicates,
        "incomplete_datagrams": tap.incomplete,
        "missed_tcp_bytes": tap.missed_bytes,
        "sip_messages": tap.sip,
        "malformed_sip": tap.malformed,
        "messages_of_unknown_calls": tap.unknown_calls,
        "calls_not_followed": tap.refused,
        "media_packets": tap.media,
        "rtp_of_other_hops": tap.other_hops,
        "unmatched_rtp": tap.unmatched,
        "unfinished_calls": summary.unfinished,
    }})
}

/// What is to be known of the capture: what is no fault of a call, and what explains a call that is missing.
fn capture_as_text(summary: &Summary) -> String {
    let (capture, tap) = (&summary.capture, &summary.tap);
    let mut table = Table::default();
    let seconds = summary.span.as_secs_f64();
    table.pair("capture", Some(format!("{} packets in {seconds:.1} s", capture.packets)));
    table.pair(
        "capture loss",
        Some(match capture.dropped {
            Some(dropped) => format!("{dropped} packets dropped while capturing"),
            None => "the file does not say what was dropped while capturing".to_owned(),
        }),
    );
    let facts = [
        ("bytes of SIP over TCP missed", tap.missed_bytes, "the other side had them"),
        ("datagrams incomplete", tap.incomplete, "fragments were missing or overlapped"),
        ("packets cut", tap.cut, "capture with a longer snap length"),
        ("packets not read", capture.unknown_links, "of a kind of network that is not read here"),
        ("packets seen twice", tap.duplicates, "as on a mirror port; counted once"),
        ("SIP not read", tap.malformed, "messages that look like SIP"),
        ("calls without a start", tap.unknown_calls, "messages of calls that began before the capture"),
        ("calls not followed", tap.refused, "too many went on at once"),
        ("RTP of further hops", tap.other_hops, "copies of calls, behind a proxy or relay"),
        ("RTP of no call", tap.unmatched, "its signalling is not in the capture"),
        ("calls going on", summary.unfinished, "at the end of the capture"),
    ];
    for (name, count, remark) in facts {
        table.pair(name, (count > 0).then(|| format!("{count} ({remark})")));
    }
    table.pair("end of file", capture.truncated.then(|| "within a packet".to_owned()));
    table.text()
}
