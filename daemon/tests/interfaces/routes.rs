//! Every route, and every refusal.

use crate::lab::{Lab, wait_until};
use crate::script;
use serde_json::{Value, json};
use vouch::api::ApiConfig;
use vouch::api::problem::{Kind, Problem};
use vouch::ask::AskError;
use vouch::verdict::Status;
use vouch::view::{CallView, CaptureView, SpeakerView, StatusView};

#[test]
fn readers_routes_show_what_the_desk_knows() {
    let lab = Lab::new();
    let status: StatusView = serde_json::from_value(lab.get("/v1/status").json()).unwrap();
    assert_eq!((status.version.as_str(), status.max_calls), ("1.2.3", 100));
    let calls: Vec<CallView> = serde_json::from_value(lab.get("/v1/calls").json()).unwrap();
    assert_eq!(calls, [script::call("c1")]);
    let call: CallView = serde_json::from_value(lab.get("/v1/calls/c1").json()).unwrap();
    assert_eq!(call, calls[0]);
    assert_eq!(lab.get("/v1/calls/c1/result").json()["status"], "pending");
    assert_eq!(lab.get("/v1/calls/c1/speaker").json(), json!({"speaker_id": "anna"}));
    let speakers: Vec<SpeakerView> = serde_json::from_value(lab.get("/v1/speakers").json()).unwrap();
    assert_eq!(speakers, [script::speaker("anna", "enrolled")]);
    assert_eq!(lab.get("/v1/speakers/anna").json()["status"], "enrolled");
    let captures: Vec<CaptureView> = serde_json::from_value(lab.get("/v1/captures").json()).unwrap();
    assert_eq!((&captures, &captures), (&status.captures, &vec![script::capture("desk")]));
}

#[test]
fn a_result_has_the_fields_of_the_contract() {
    let lab = Lab::new();
    let result = lab.get("/v1/calls/c1/result").json();
    for field in [
        "status",
        "score",
        "threshold",
        "llr",
        "far_at_score",
        "result_id",
        "net_speech_s",
        "speaker_id",
        "audio_from",
        "audio_to",
        "reasons",
        "quality",
        "voiceprint_version",
        "fraud",
    ] {
        assert!(result.get(field).is_some(), "{field} is missing in {result}");
    }
}

#[test]
fn agents_routes_pass_on_what_they_were_told() {
    let lab = Lab::new();
    assert_eq!(lab.json("PUT", "/v1/calls/c1/speaker", r#"{"speaker_id":"bert"}"#).status, 200);
    assert_eq!(
        lab.json("POST", "/v1/calls/c1/enroll", r#"{"consent":"form 7"}"#).json()["state"],
        "collecting"
    );
    assert_eq!(lab.ask("POST", "/v1/calls/c1/enroll", "", b"").status, 200);
    assert_eq!(lab.json("POST", "/v1/calls/c1/evaluate", r#"{"start_new":true}"#).status, 200);
    assert_eq!(lab.json("POST", "/v1/calls/c1/evaluate", "null").status, 200);
    let started = lab.json("POST", "/v1/captures/desk/start", r#"{"speaker_id":"bert"}"#).json();
    assert_eq!((&started["state"], &started["call"]), (&json!("in-call"), &json!("c2")));
    assert_eq!(lab.ask("POST", "/v1/captures/desk/start", "", b"").status, 200);
    assert_eq!(lab.ask("POST", "/v1/captures/desk/stop", "", b"").json()["name"], "desk");
    lab.ask("POST", "/v1/captures/dusk/start", "", b"").is_problem(Kind::NoSuchDevice);
    lab.json("POST", "/v1/captures/desk/start", r#"{"speaker_id":""}"#).is_problem(Kind::Invalid);
    for asked in [
        "set-speaker c1 bert",
        "enroll c1 Some(\"form 7\")",
        "enroll c1 None",
        "evaluate c1 true",
        "evaluate c1 false",
        "start-capture desk Some(\"bert\")",
        "start-capture desk None",
        "stop-capture desk",
    ] {
        assert!(lab.script.was_asked(asked), "{asked}");
    }
    assert_eq!(lab.ask("POST", "/v1/speakers/anna/opt-out", "", b"").json()["status"], "opted-out");
    assert_eq!(lab.ask("POST", "/v1/speakers/anna/opt-in", "", b"").json()["status"], "not-enrolled");
    let deleted = lab.ask("DELETE", "/v1/speakers/anna", "", b"");
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    lab.ask("DELETE", "/v1/speakers/anna", "", b"").is_problem(Kind::NoSuchSpeaker);
}

#[test]
fn ids_may_hold_anything_when_percent_encoded() {
    let lab = Lab::new();
    lab.get("/v1/speakers/sip%3A%2B1555%2F1%40example.org%3Fx").is_problem(Kind::NoSuchSpeaker);
    assert!(lab.script.was_asked("speaker sip:+1555/1@example.org?x"));
    // 256 characters of four bytes each, the longest there is.
    let longest = "%F0%9F%93%9E".repeat(256);
    lab.get(&format!("/v1/speakers/{longest}")).is_problem(Kind::NoSuchSpeaker);
    assert!(lab.script.was_asked(&format!("speaker {}", "📞".repeat(256))));
    lab.get(&format!("/v1/speakers/{}", "x".repeat(257))).is_problem(Kind::Invalid);
    lab.get("/v1/speakers/a%0Ab").is_problem(Kind::Invalid);
    lab.get("/v1/speakers/%FF").is_problem(Kind::Invalid);
    lab.get(&format!("/v1/calls/{}", "x".repeat(600))).is_problem(Kind::NoSuchCall);
}

#[test]
fn what_the_desk_refuses_is_a_problem_of_its_own_kind() {
    let lab = Lab::new();
    for (refusal, kind) in [
        (AskError::NoSuchCall, Kind::NoSuchCall),
        (AskError::NoSuchSpeaker, Kind::NoSuchSpeaker),
        (AskError::NoSpeakerId, Kind::NoSpeakerId),
        (AskError::OptedOut, Kind::OptedOut),
        (AskError::ConsentRequired, Kind::ConsentRequired),
        (AskError::Conflict("ended".into()), Kind::Conflict),
        (AskError::Invalid("odd".into()), Kind::Invalid),
        (AskError::Store("disk full".into()), Kind::StoreFault),
        (AskError::Stopping, Kind::Stopping),
    ] {
        let detail = refusal.to_string();
        *lab.script.refusal.lock().unwrap() = Some(refusal);
        let answer = lab.ask("POST", "/v1/calls/c1/enroll", "", b"");
        answer.is_problem(kind);
        assert_eq!(answer.json()["detail"], detail);
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let lab = Lab::with(ApiConfig { max_json: 100, ..ApiConfig::default() });
    lab.get("/v1/nothing").is_problem(Kind::NoSuchRoute);
    lab.get("/").is_problem(Kind::NoSuchRoute);
    lab.get("/v1/calls/none").is_problem(Kind::NoSuchCall);
    let wrong_method = lab.ask("DELETE", "/v1/calls/c1", "", b"");
    wrong_method.is_problem(Kind::MethodNotAllowed);
    assert_eq!(wrong_method.header("allow"), Some("GET,HEAD"));
    lab.ask("BREW", "/v1/status", "", b"").is_problem(Kind::MethodNotAllowed);
    let speaker = "/v1/calls/c1/speaker";
    lab.ask("PUT", speaker, "", br#"{"speaker_id":"a"}"#).is_problem(Kind::UnsupportedMediaType);
    for body in
        ["{", "[]", "{}", r#"{"speaker_id":7}"#, r#"{"speaker_id":""}"#, r#"{"speaker":"a"}"#, "\u{0}"]
    {
        lab.json("PUT", speaker, body).is_problem(Kind::Invalid);
    }
    lab.json("PUT", speaker, &format!(r#"{{"speaker_id":"{}"}}"#, "x".repeat(100)))
        .is_problem(Kind::TooLarge);
    lab.json("POST", "/v1/calls/c1/enroll", r#"{"consent":"a\nb"}"#).is_problem(Kind::Invalid);
    lab.json("POST", "/v1/calls/c1/enroll", r#"{"consent":""}"#).is_problem(Kind::Invalid);
    for query in ["wait=12", "wait=soon", "wait=10m", "hold=1s"] {
        lab.get(&format!("/v1/calls/c1/result?{query}")).is_problem(Kind::Invalid);
    }
}

#[test]
fn a_waiting_request_is_answered_by_the_final_result() {
    let lab = Lab::new();
    std::thread::scope(|scope| {
        // By the id of the SIP call, as a dialplan asks; the script knows the call by both.
        let sip_id = script::call("c1").sip_call_id.unwrap();
        lab.script.calls.lock().unwrap().insert(sip_id.clone(), script::call("c1"));
        let waiting = scope.spawn(|| lab.get("/v1/calls/c1%40gateway%2F7/result?wait=1m").json());
        wait_until("the request waits", || lab.script.was_asked(&format!("call {sip_id}")));
        lab.script.change("progress", "c1", |call| call.result.net_speech_s = 9.0);
        lab.script.change("result", "c1", |call| {
            call.result.status = Status::Authenticated;
            call.result.score = Some(97.5);
        });
        let result = waiting.join().unwrap();
        assert_eq!((&result["status"], &result["score"]), (&json!("authenticated"), &json!(97.5)));
    });
}

#[test]
fn a_wait_that_ends_too_early_answers_as_things_are() {
    let lab = Lab::new();
    assert_eq!(lab.get("/v1/calls/c1/result?wait=20ms").json()["status"], "pending");
    lab.get("/v1/calls/none/result?wait=20ms").is_problem(Kind::NoSuchCall);
}

#[test]
fn recordings_are_taken_as_a_form() {
    let lab = Lab::new();
    let part = |name: &str, content: &[u8]| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let send = |parts: &[Vec<u8>]| {
        let body = [parts.concat(), b"--b--\r\n".to_vec()].concat();
        lab.ask(
            "POST",
            "/v1/speakers/anna/enroll",
            "Content-Type: multipart/form-data; boundary=b\r\n",
            &body,
        )
    };
    let recording = part("recording", &wav(8_000, 800));
    let sent = send(&[recording.clone(), part("consent", b"form 9"), part("recording", &wav(16_000, 160))]);
    assert_eq!(sent.status, 200, "{sent:?}");
    assert!(lab.script.was_asked("enroll-recordings anna [(800, 8000), (160, 16000)] Some(\"form 9\")"));

    let damaged = send(&[recording.clone(), part("recording", b"no sound at all")]);
    damaged.is_problem(Kind::UnusableRecording);
    assert!(damaged.json()["detail"].as_str().unwrap().starts_with("recording 2 is no WAV"), "{damaged:?}");
    send(&[]).is_problem(Kind::Invalid);
    send(&[part("consent", b"form 9")]).is_problem(Kind::Invalid);
    send(&[recording.clone(), part("colour", b"blue")]).is_problem(Kind::Invalid);
    send(&vec![recording; 33]).is_problem(Kind::Invalid);
    let form = "Content-Type: multipart/form-data; boundary=b\r\n";
    lab.ask("POST", "/v1/speakers/anna/enroll", form, b"--b\r\ncut off").is_problem(Kind::Invalid);
    lab.ask("POST", "/v1/speakers/anna/enroll", "Content-Type: audio/wav\r\n", &wav(8_000, 8))
        .is_problem(Kind::UnsupportedMediaType);
}

#[test]
fn an_upload_over_the_limit_is_refused() {
    let lab = Lab::with(ApiConfig { max_upload: 1000, ..ApiConfig::default() });
    let form = "Content-Type: multipart/form-data; boundary=b\r\n";
    lab.ask("POST", "/v1/speakers/anna/enroll", form, &[b'x'; 1001]).is_problem(Kind::TooLarge);
}

#[test]
fn metrics_count_requests_by_route_and_name_nobody() {
    let lab = Lab::new();
    lab.get("/v1/speakers/anna");
    lab.get("/v1/speakers/nobody-here");
    lab.ask("BREW", "/v1/nothing", "", b"");
    let metrics = lab.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some(vouch::metrics::CONTENT_TYPE));
    for line in [
        r#"vouch_api_requests_total{route="/v1/speakers/{id}",method="GET",code="200"} 1"#,
        r#"vouch_api_requests_total{route="/v1/speakers/{id}",method="GET",code="404"} 1"#,
        r#"vouch_api_requests_total{route="none",method="other",code="404"} 1"#,
    ] {
        assert!(metrics.body.contains(line), "{line} is missing in\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("anna") && !metrics.body.contains("nobody-here"));
}

/// The served description names every route and operation, each under a name of its own.
#[test]
fn the_description_fits_the_routes() {
    let lab = Lab::new();
    let description = lab.get("/openapi.json");
    assert_eq!(description.header("content-type"), Some("application/json"));
    let paths = description.json()["paths"].as_object().unwrap().clone();
    let mut names = Vec::new();
    for (path, operations) in &paths {
        for (method, operation) in operations.as_object().unwrap() {
            names.push(operation["operationId"].clone());
            if path == "/v1/events" {
                continue;
            }
            let answer = lab.ask(&method.to_uppercase(), &path.replace("{id}", "c1"), "", b"");
            let problem: Option<Problem> = serde_json::from_str(&answer.body).ok();
            let known = !problem.is_some_and(|p| p.is(Kind::NoSuchRoute) || p.is(Kind::MethodNotAllowed));
            assert!(known, "{method} {path} is described but not there");
        }
    }
    assert!(names.len() >= 17);
    let distinct: std::collections::BTreeSet<_> = names.iter().filter_map(Value::as_str).collect();
    assert_eq!(distinct.len(), names.len(), "operation ids are distinct");
}

/// A WAV file of `samples` samples.
pub(crate) fn wav(rate: u32, samples: u32) -> Vec<u8> {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, format).unwrap();
    for sample in 0..samples {
        writer.write_sample((sample % 100) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}
