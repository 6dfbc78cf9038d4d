//! What the API asks of the daemon.

use crate::ask::AskError;
use crate::audio::Recording;
use crate::events::Subscription;
use crate::exchange::Exchange;
use crate::pii::SpeakerId;
use crate::verdict::Verdict;
use crate::view::{CallView, CaptureView, EnrollmentView, SpeakerView, StatusView};
use std::future::Future;
use std::pin::Pin;

/// An answer on its way.
pub type Ask<'a, T> = Pin<Box<dyn Future<Output = Result<T, AskError>> + Send + 'a>>;

/// The desk where requests are handed in: the [`Exchange`], or a script in tests.
///
/// Object safe, so that routes and their OpenAPI description need no type parameter.
#[expect(missing_docs, reason = "each method is the request of the same name at the exchange")]
pub trait Desk: Send + Sync {
    fn status(&self) -> Ask<'_, StatusView>;
    fn calls(&self) -> Ask<'_, Vec<CallView>>;
    fn call<'a>(&'a self, call: &'a str) -> Ask<'a, CallView>;
    fn result<'a>(&'a self, call: &'a str) -> Ask<'a, Verdict>;
    fn set_speaker<'a>(&'a self, call: &'a str, speaker: SpeakerId) -> Ask<'a, CallView>;
    fn enroll<'a>(&'a self, call: &'a str, consent: Option<String>) -> Ask<'a, EnrollmentView>;
    fn evaluate<'a>(&'a self, call: &'a str, start_new: bool) -> Ask<'a, Verdict>;
    fn captures(&self) -> Ask<'_, Vec<CaptureView>>;
    fn start_capture<'a>(&'a self, device: &'a str, speaker: Option<SpeakerId>) -> Ask<'a, CaptureView>;
    fn stop_capture<'a>(&'a self, device: &'a str) -> Ask<'a, CaptureView>;
    fn speakers(&self) -> Ask<'_, Vec<SpeakerView>>;
    fn speaker(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView>;
    fn opt_out(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView>;
    fn opt_in(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView>;
    fn delete(&self, speaker: SpeakerId) -> Ask<'_, ()>;
    fn enroll_recordings(
        &self,
        speaker: SpeakerId,
        recordings: Vec<Recording>,
        consent: Option<String>,
    ) -> Ask<'_, SpeakerView>;
    fn events(&self, last: Option<u64>) -> Subscription;
}

impl Desk for Exchange {
    fn status(&self) -> Ask<'_, StatusView> {
        Box::pin(Self::status(self))
    }
    fn calls(&self) -> Ask<'_, Vec<CallView>> {
        Box::pin(Self::calls(self))
    }
    fn call<'a>(&'a self, call: &'a str) -> Ask<'a, CallView> {
        Box::pin(Self::call(self, call))
    }
    fn result<'a>(&'a self, call: &'a str) -> Ask<'a, Verdict> {
        Box::pin(Self::result(self, call))
    }
    fn set_speaker<'a>(&'a self, call: &'a str, speaker: SpeakerId) -> Ask<'a, CallView> {
        Box::pin(Self::set_speaker(self, call, speaker))
    }
    fn enroll<'a>(&'a self, call: &'a str, consent: Option<String>) -> Ask<'a, EnrollmentView> {
        Box::pin(Self::enroll(self, call, consent))
    }
    fn evaluate<'a>(&'a self, call: &'a str, start_new: bool) -> Ask<'a, Verdict> {
        Box::pin(Self::evaluate(self, call, start_new))
    }
    fn captures(&self) -> Ask<'_, Vec<CaptureView>> {
        Box::pin(Self::captures(self))
    }
    fn start_capture<'a>(&'a self, device: &'a str, speaker: Option<SpeakerId>) -> Ask<'a, CaptureView> {
        Box::pin(Self::start_capture(self, device, speaker))
    }
    fn stop_capture<'a>(&'a self, device: &'a str) -> Ask<'a, CaptureView> {
        Box::pin(Self::stop_capture(self, device))
    }
    fn speakers(&self) -> Ask<'_, Vec<SpeakerView>> {
        Box::pin(Self::speakers(self))
    }
    fn speaker(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        Box::pin(Self::speaker(self, speaker))
    }
    fn opt_out(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        Box::pin(Self::opt_out(self, speaker))
    }
    fn opt_in(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        Box::pin(Self::opt_in(self, speaker))
    }
    fn delete(&self, speaker: SpeakerId) -> Ask<'_, ()> {
        Box::pin(Self::delete(self, speaker))
    }
    fn enroll_recordings(
        &self,
        speaker: SpeakerId,
        recordings: Vec<Recording>,
        consent: Option<String>,
    ) -> Ask<'_, SpeakerView> {
        Box::pin(Self::enroll_recordings(self, speaker, recordings, consent))
    }
    fn events(&self, last: Option<u64>) -> Subscription {
        Self::events(self, last)
    }
}
