use super::*;
use crate::audio::Recording;
use crate::config::Config;
use crate::engine::{Engine, EngineConfig};
use crate::exchange::Parts;
use crate::metrics::Metrics;
use crate::store::{MasterKey, Store};
use crate::verdict::Verdict;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vouch_dsp::features::Band;
use vouch_dsp::network::Network;

/// An exchange with room for one call, and the folder of its store.
fn exchange() -> (Exchange, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.limits.max_calls = 1;
    config.enrollment.net_speech = Duration::from_secs(10);
    let size = EngineConfig { max_calls: 1, ports: 40_000..=40_003, workers: 1, receivers: 1 };
    let engine = Engine::start(&size, Network::load(crate::model::BLOB).unwrap()).unwrap();
    let store = Store::open(&folder.path().join("store"), &MasterKey::from_bytes([7; 32])).unwrap();
    let metrics = Arc::new(Metrics::new("0", 0));
    let parts =
        Parts { config: Arc::new(config), engine, store: Arc::new(store), metrics, calibration: None };
    (Exchange::new(parts), folder)
}

fn line(exchange: &Exchange, speaker: &str) -> CaptureLine {
    let speaker = Some(SpeakerId::new(speaker).unwrap());
    let device = Alsa {
        name: "desk".to_owned(),
        device: "null".to_owned(),
        channel: 1,
        rate: 8000,
        speaker,
        auto_start: true,
        silence: Duration::from_secs(30),
        enabled: true,
    };
    CaptureLine::new(exchange.clone(), &device)
}

fn hear(line: &mut CaptureLine, pcm: &[i16]) {
    line.hear(&Capture { pcm, band: Band::Narrow, lost: 0, at: Instant::now() });
}

/// Half a minute of one person's prompts, or `None`, with a line, where they are not installed.
fn talk() -> Option<Recording> {
    let file = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav");
    let read = Recording::read(file).ok();
    if read.is_none() {
        eprintln!("skipped: {} is not there; `make setup` installs it", file.display());
    }
    read
}

/// The answer about a call, once there is one.
async fn settled(exchange: &Exchange, call: &str) -> Verdict {
    exchange.settle().await;
    exchange.result(call).await.unwrap()
}

#[tokio::test]
async fn a_device_that_goes_away_is_the_reason_for_an_answer_that_was_still_to_come() {
    let Some(talk) = talk() else { return };
    let (exchange, _folder) = exchange();
    let speaker = SpeakerId::new("1001").unwrap();
    let pcm = talk.pcm.clone();
    exchange.enroll_recordings(speaker, vec![talk], Some("form 7".to_owned())).await.unwrap();
    let mut line = line(&exchange, "1001");

    let id = line.begin(None).unwrap();
    hear(&mut line, &pcm[..3 * 8000]);
    assert_eq!(exchange.result(&id).await.unwrap().status, Status::Pending);
    line.end(true);
    let verdict = settled(&exchange, &id).await;
    assert_eq!((verdict.status, &verdict.reasons[..]), (Status::Inconclusive, &[Reason::DeviceGone][..]));

    let id = line.begin(None).unwrap();
    hear(&mut line, &pcm[..20 * 8000]);
    let verdict = settled(&exchange, &id).await;
    assert_eq!(verdict.status, Status::Authenticated, "{verdict:?}");
    line.end(true);
    assert_eq!(settled(&exchange, &id).await.result_id, verdict.result_id, "an answer stays");
}

#[tokio::test]
async fn of_a_speaker_who_opted_out_nothing_is_heard_before_and_within_a_call() {
    let Some(talk) = talk() else { return };
    let (exchange, _folder) = exchange();
    let mut line = line(&exchange, "1003");
    assert!(line.may_listen(), "somebody who is not known may be listened to");
    let id = line.begin(None).unwrap();
    assert_eq!(line.look(), Some(Look { speech: 0, analysed: true }));
    exchange.opt_out(SpeakerId::new("1003").unwrap()).await.unwrap();
    assert!(!line.may_listen());
    hear(&mut line, &talk.pcm);
    assert_eq!(line.look(), Some(Look { speech: 0, analysed: false }));
    let call = exchange.call(&id).await.unwrap();
    assert_eq!((call.result.status, call.source, call.sip_call_id), (Status::OptedOut, Source::Alsa, None));
    assert_eq!((call.peer.as_str(), call.net_speech_s), ("desk", 0.0));
}

#[tokio::test]
async fn a_full_exchange_refuses_a_capture_and_an_ended_call_makes_room() {
    let (exchange, _folder) = exchange();
    let (mut first, mut second) = (line(&exchange, "1001"), line(&exchange, "1002"));
    let id = first.begin(Some(SpeakerId::new("1009").unwrap())).unwrap();
    assert_eq!(exchange.call(&id).await.unwrap().speaker_id.as_deref(), Some("1009"), "whom the start names");
    let Err(AskError::Conflict(cause)) = second.begin(None) else { panic!("there is no room") };
    assert!(cause.contains("limits.max-calls"), "{cause}");
    first.end(false);
    assert_eq!(first.look(), None);
    assert!(second.begin(None).is_ok());
}
