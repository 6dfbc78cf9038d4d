//! Answers of the daemon as tables for people.

use super::table::{Table, duration, local_clock, local_time};
use crate::verdict::{Reason, Verdict};
use crate::view::{
    CallView, CaptureView, EnrollmentState, EnrollmentView, GatewayWarning, SpeakerView, StatusView,
};
use jiff::tz::TimeZone;

/// State of the daemon.
pub(super) fn status(view: &StatusView) -> String {
    let mut table = Table::default();
    table.pair("health", Some(view.health.clone()));
    for warning in &view.warnings {
        table.pair("warning", Some(gateway_warning(warning)));
    }
    table.pair("calls", Some(format!("{} of {}", view.calls, view.max_calls)));
    table.pair("speakers", Some(view.speakers.to_string()));
    table.pair("listening", Some(view.listeners.join(", ")));
    for tap in &view.tap {
        let figures =
            format!("{}: {} packets, {} dropped while capturing", tap.interface, tap.packets, tap.dropped);
        table.pair("tap", Some(figures));
    }
    for view in &view.captures {
        let fault = view.fault.as_ref().map_or_else(String::new, |fault| format!(": {fault}"));
        table.pair("capture", Some(format!("{}: {}{fault}", view.name, view.state.as_str())));
    }
    table.pair("uptime", Some(duration(view.uptime_s)));
    table.pair("version", Some(view.version.clone()));
    table.pair("model", Some(format!("version {}, {} kernel", view.model_version, view.kernel)));
    table.pair("calibration", Some(view.calibration.clone()));
    table.pair("codecs", Some(view.codecs.join(", ")));
    table.text()
}

/// What is wrong with a gateway, and what to do.
pub(super) fn gateway_warning(warning: &GatewayWarning) -> String {
    let GatewayWarning { peer, standing, one_voice, speakers, remedy, .. } = warning;
    if !standing {
        return format!("peer {peer}: no longer one voice for several speakers");
    }
    format!("peer {peer}: one voice in the calls of {one_voice} of {speakers} speakers; {remedy}")
}

/// A list of capture devices.
pub(super) fn captures(views: &[CaptureView]) -> String {
    if views.is_empty() {
        return "no capture devices are configured\n".to_owned();
    }
    let mut table =
        Table::with_headings(&["DEVICE", "STATE", "CALL", "RATE", "OVERRUNS", "LOST", "PCM", "FAULT"]);
    for view in views {
        table.row(&[
            view.name.clone(),
            view.state.as_str().to_owned(),
            view.call.clone().unwrap_or_else(|| "-".into()),
            view.rate_hz.map_or_else(|| "-".into(), |rate| format!("{rate} Hz")),
            view.overruns.to_string(),
            lost(view),
            view.device.clone(),
            view.fault.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    table.text()
}

/// One capture device.
pub(super) fn capture(view: &CaptureView) -> String {
    let mut table = Table::default();
    table.pair("device", Some(view.name.clone()));
    table.pair("PCM", Some(format!("{}, channel {}", view.device, view.channel)));
    table.pair("state", Some(view.state.as_str().to_owned()));
    table.pair("fault", view.fault.clone());
    table.pair("call", view.call.clone());
    table.pair("rate", view.rate_hz.map(|rate| format!("{rate} Hz")));
    table.pair("overruns", (view.overruns > 0).then(|| view.overruns.to_string()));
    table.pair("lost", (view.lost_ms > 0).then(|| lost(view)));
    table.text()
}

fn lost(view: &CaptureView) -> String {
    format!("{:.1} s", view.lost_ms as f64 / 1000.0)
}

/// A list of calls.
pub(super) fn calls(views: &[CallView], zone: &TimeZone) -> String {
    if views.is_empty() {
        return "no calls\n".to_owned();
    }
    call_table(views.iter(), zone).text()
}

/// A table of calls.
pub(super) fn call_table<'a>(views: impl Iterator<Item = &'a CallView>, zone: &TimeZone) -> Table {
    let mut table = Table::with_headings(&[
        "CALL",
        "SINCE",
        "SPEAKER",
        "STATUS",
        "SCORE",
        "SPEECH",
        "ENROLLMENT",
        "PEER",
    ]);
    for view in views {
        table.row(&[
            view.id.clone(),
            local_clock(&view.started, zone),
            view.speaker_id.clone().unwrap_or_else(|| "-".into()),
            status_and_reasons(&view.result),
            view.result.score.map_or_else(|| "-".into(), |score| format!("{score:.1}")),
            format!("{:.1} s", view.net_speech_s),
            enrollment_in_short(&view.enrollment),
            view.peer.clone(),
        ]);
    }
    table
}

/// Status, with the reasons behind it.
pub(super) fn status_and_reasons(verdict: &Verdict) -> String {
    if verdict.reasons.is_empty() {
        return verdict.status.to_string();
    }
    let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.as_str()).collect();
    format!("{} ({})", verdict.status, reasons.join(", "))
}

fn enrollment_in_short(view: &EnrollmentView) -> String {
    match view.state {
        EnrollmentState::None => "-".to_owned(),
        EnrollmentState::Collecting => format!("{:.0} of {:.0} s", view.net_speech_s, view.needed_s),
        EnrollmentState::Complete => "complete".to_owned(),
        EnrollmentState::Failed => "failed".to_owned(),
    }
}

/// One call.
pub(super) fn call(view: &CallView, zone: &TimeZone) -> String {
    let mut table = Table::default();
    table.pair("call", Some(view.id.clone()));
    table.pair("SIP Call-ID", view.sip_call_id.clone());
    table.pair("source", serde_json::to_value(view.source).ok().and_then(|v| v.as_str().map(str::to_owned)));
    table.pair("peer", Some(view.peer.clone()));
    table.pair("started", Some(local_time(&view.started, zone)));
    table.pair("ended", view.ended.as_deref().map(|time| local_time(time, zone)));
    table.pair("codec", view.codec.clone());
    table.pair("net speech", Some(format!("{:.1} s", view.net_speech_s)));
    add_enrollment(&mut table, &view.enrollment);
    add_result(&mut table, &view.result, zone);
    table.text()
}

/// One result.
pub(super) fn result(verdict: &Verdict, zone: &TimeZone) -> String {
    let mut table = Table::default();
    add_result(&mut table, verdict, zone);
    table.pair("net speech", Some(format!("{:.1} s", verdict.net_speech_s)));
    table.text()
}

/// One enrollment.
pub(super) fn enrollment(view: &EnrollmentView) -> String {
    let mut table = Table::default();
    add_enrollment(&mut table, view);
    table.text()
}

fn add_enrollment(table: &mut Table, view: &EnrollmentView) {
    let version =
        view.voiceprint_version.map_or_else(String::new, |version| format!(", voiceprint version {version}"));
    let text = match view.state {
        EnrollmentState::None => "none".to_owned(),
        EnrollmentState::Collecting => {
            format!("collecting, {:.1} of {:.0} s of speech", view.net_speech_s, view.needed_s)
        }
        EnrollmentState::Complete => format!("complete{version}"),
        EnrollmentState::Failed => format!("failed: {}", view.problem.as_deref().unwrap_or("see the log")),
    };
    table.pair("enrollment", Some(text));
}

fn add_result(table: &mut Table, verdict: &Verdict, zone: &TimeZone) {
    let quality = &verdict.quality;
    table.pair("speaker", verdict.speaker_id.clone());
    table.pair("status", Some(verdict.status.to_string()));
    for reason in &verdict.reasons {
        table.pair("", Some(format!("{}: {}", reason.as_str(), explain(*reason))));
    }
    table
        .pair("score", verdict.score.map(|score| format!("{score:.1} (threshold {:.1})", verdict.threshold)));
    table.pair("likelihood", verdict.llr.map(|llr| format!("{llr:+.2} (natural log ratio)")));
    table.pair("false accepts", verdict.far_at_score.map(|far| format!("{} at this score", percent(far))));
    table.pair("audio from", verdict.audio_from.as_deref().map(|time| local_time(time, zone)));
    table.pair("audio to", verdict.audio_to.as_deref().map(|time| local_time(time, zone)));
    table.pair("SNR", quality.snr_db.map(|snr| format!("{snr:.0} dB")));
    table.pair("level", quality.level_dbfs.map(|level| format!("{level:.0} dBFS")));
    table.pair("loss", (quality.loss > 0.0).then(|| percent(quality.loss)));
    table.pair("clipping", (quality.clipping > 0.0).then(|| percent(quality.clipping)));
    table.pair("voiceprint", verdict.voiceprint_version.map(|version| format!("version {version}")));
    if !verdict.fraud.risk.is_empty() && verdict.fraud.risk != "none" {
        let signs = verdict.fraud.indicators.join(", ");
        table.pair("fraud risk", Some(format!("{} ({signs})", verdict.fraud.risk)));
    }
    table.pair("result", Some(verdict.result_id.clone()));
}

/// A share as a percentage, with two digits that mean something.
fn percent(share: f32) -> String {
    let percent = share * 100.0;
    if percent >= 1.0 || percent <= 0.0 { format!("{percent:.1} %") } else { format!("{percent:.2} %") }
}

/// A list of speakers.
pub(super) fn speakers(views: &[SpeakerView], zone: &TimeZone) -> String {
    if views.is_empty() {
        return "no speakers\n".to_owned();
    }
    let mut table = Table::with_headings(&["SPEAKER", "STATUS", "VOICEPRINT", "SPEECH", "SINCE"]);
    for view in views {
        let since = view.opted_out_at.as_deref().or(view.enrolled_at.as_deref());
        table.row(&[
            view.id.clone(),
            view.status.clone(),
            view.voiceprint_version.map_or_else(|| "-".into(), |version| format!("version {version}")),
            view.net_speech_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1} s")),
            since.map_or_else(|| "-".into(), |time| local_time(time, zone)),
        ]);
    }
    table.text()
}

/// One speaker.
pub(super) fn speaker(view: &SpeakerView, zone: &TimeZone) -> String {
    let mut table = Table::default();
    table.pair("speaker", Some(view.id.clone()));
    table.pair("status", Some(view.status.clone()));
    table.pair("voiceprint", view.voiceprint_version.map(|version| format!("version {version}")));
    table.pair("model", view.model_version.map(|version| format!("version {version}")));
    table.pair("net speech", view.net_speech_s.map(|seconds| format!("{seconds:.1} s")));
    table.pair("enrolled", view.enrolled_at.as_deref().map(|time| local_time(time, zone)));
    table.pair("opted out", view.opted_out_at.as_deref().map(|time| local_time(time, zone)));
    table.pair("consent", view.consent.clone());
    table.text()
}

/// What a reason means for the technician.
const fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::TooLittleSpeech => "the caller did not speak long enough",
        Reason::NoAudio => "no packet of the caller's stream arrived; look at firewall and signalled address",
        Reason::UnsupportedCodec => "the caller's codec is not decoded here; offer PCMU or PCMA",
        Reason::Encrypted => "the caller's stream is encrypted and its keys are not known here",
        Reason::PacketLoss => "much of the caller's audio was lost on the way",
        Reason::SrtpKey => {
            "the caller's packets do not fit the SRTP key of the SDP; look at the peer's SRTP set-up"
        }
        Reason::LowSnr => "noise covers the speech",
        Reason::Clipping => "the caller's audio is clipped; lower the gain before it",
        Reason::LowLevel => "the caller is very quiet",
        Reason::SeveralVoices => "more than one voice was heard on the caller's side",
        Reason::CallerUnknown => "nothing says which stream is the caller's; configure it for this peer",
        Reason::MixedStream => "caller and agent come mixed in one stream; have the peer send two",
        Reason::SwappedStreams => {
            "the same voice calls as several speakers: the agent's, it seems; see `vouchctl status`"
        }
        Reason::NoSpeakerId => "nothing says who the caller claims to be",
        Reason::ModelMismatch => "the voiceprint was made by another model; enroll the speaker again",
        Reason::StoreFault => "the voiceprint could not be read; see the log",
        Reason::EngineFault => "the voice engine failed; see the log",
        Reason::DeviceGone => "the capture device went away; see `vouchctl capture list`",
        Reason::UnknownCall => "the call asked about is not heard here",
        Reason::AmbiguousCall => "the question fits several calls; ask by X-Voice-ID-Call",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_their_meaning() {
        assert_eq!([0.0, 0.0005, 0.001, 0.052].map(percent), ["0.0 %", "0.05 %", "0.10 %", "5.2 %"]);
    }
}
