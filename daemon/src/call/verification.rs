//! One verification after another on a call: each has its own result number, window and answer.

use crate::decision::Judgement;
use crate::verdict::Status;
use jiff::Timestamp;

/// The current verification.
#[derive(Debug)]
pub struct Verification {
    number: u32,
    first: u64,
    job: Option<u64>,
    judgement: Judgement,
    audio_from: Option<Timestamp>,
    audio_to: Option<Timestamp>,
}

impl Verification {
    pub(super) fn new() -> Self {
        Self {
            number: 0,
            first: 0,
            job: None,
            judgement: Judgement::bare(Status::Pending, None),
            audio_from: None,
            audio_to: None,
        }
    }

    /// Number of the result on this call; the same number is always the same answer.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The answer so far.
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// When the first and the last speech of the window was heard.
    pub fn audio(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.audio_from, self.audio_to)
    }

    /// Opens the next result with what can be said at once; its window starts at frame `first`.
    pub(super) fn open(&mut self, judgement: Judgement, first: u64) {
        self.number += 1;
        self.first = first;
        self.job = None;
        self.judgement = judgement;
        self.audio_from = None;
        self.audio_to = None;
    }

    /// Notes the time of speech in the window.
    pub(super) fn mark_speech(&mut self, frames: u64, now: Timestamp) {
        if self.judgement.status == Status::Pending && frames > self.first {
            self.audio_from.get_or_insert(now);
            self.audio_to = Some(now);
        }
    }

    /// First frame of the window, once there is enough speech for an embedding that nobody asked for yet.
    pub(super) fn due(&self, frames: u64, needed: u64) -> Option<u64> {
        let open = self.judgement.status == Status::Pending && self.job.is_none();
        (open && frames >= self.first + needed).then_some(self.first)
    }

    pub(super) fn wait_for(&mut self, tag: u64) {
        self.job = Some(tag);
    }

    pub(super) fn awaits(&self, tag: u64) -> bool {
        self.job == Some(tag)
    }

    pub(super) fn is_embedding(&self) -> bool {
        self.job.is_some()
    }

    pub(super) fn conclude(&mut self, judgement: Judgement, now: Timestamp) {
        self.job = None;
        self.judgement = judgement;
        if self.audio_from.is_some() {
            self.audio_to = Some(now);
        }
    }
}
