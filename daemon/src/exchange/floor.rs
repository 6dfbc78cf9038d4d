//! The floor of the exchange: the lines in use, and those whose calls ended a while ago.

use super::line::Line;
use crate::engine::CallSlot;
use crate::pii::SpeakerId;
use crate::sip::dialog::DialogId;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// All lines. Calls in progress are few hundred at most, so looking through them is fast enough.
#[derive(Debug, Default)]
pub(super) struct Floor {
    active: Vec<Line>,
    ended: VecDeque<Line>,
}

impl Floor {
    /// Adds a call in progress.
    pub(super) fn add(&mut self, line: Line) {
        self.active.push(line);
    }

    /// Calls in progress.
    pub(super) fn active(&self) -> &[Line] {
        &self.active
    }

    /// All calls that can be asked for, those in progress first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Line> {
        self.active.iter().chain(self.ended.iter().rev())
    }

    /// The call that goes by `name`; of several, one in progress, then the latest.
    pub(super) fn find(&self, name: &str) -> Option<&Line> {
        self.all().find(|line| line.is_called(name))
    }

    /// The same, to change it.
    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Line> {
        let active = self.active.iter_mut();
        active.chain(self.ended.iter_mut().rev()).find(|line| line.is_called(name))
    }

    /// The call in progress of this dialog.
    pub(super) fn of_dialog(&mut self, dialog: DialogId) -> Option<&mut Line> {
        self.active.iter_mut().find(|line| line.dialog() == Some(dialog))
    }

    /// The call in progress of this id.
    pub(super) fn of_id(&mut self, id: &str) -> Option<&mut Line> {
        self.active.iter_mut().find(|line| line.id == id)
    }

    /// Takes out the calls that ended.
    pub(super) fn take_ended(&mut self) -> Vec<Line> {
        self.ended.drain(..).collect()
    }

    /// The call whose audio is in this slot.
    pub(super) fn of_slot(&mut self, slot: CallSlot) -> Option<&mut Line> {
        self.active.iter_mut().find(|line| line.slot == Some(slot))
    }

    /// Calls in progress whose caller claims to be `speaker`.
    pub(super) fn of_speaker<'a>(&'a mut self, speaker: &'a SpeakerId) -> impl Iterator<Item = &'a mut Line> {
        self.active.iter_mut().filter(move |line| line.call.speaker() == Some(speaker))
    }

    /// Calls in progress, to go through them all.
    pub(super) fn active_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.active.iter_mut()
    }

    /// Puts calls aside that ended and whose last answer is there; gives back the slots they held.
    pub(super) fn put_settled_aside(&mut self) -> Vec<CallSlot> {
        let mut slots = Vec::new();
        for mut line in self.active.extract_if(.., |line| line.is_over()) {
            slots.extend(line.slot.take());
            self.ended.push_back(line);
        }
        slots
    }

    /// Forgets calls that ended before `retention` ago.
    pub(super) fn forget_old(&mut self, now: Timestamp, retention: SignedDuration) {
        let old = |line: &Line| line.ended.is_some_and(|ended| now.duration_since(ended) > retention);
        while self.ended.front().is_some_and(old) {
            self.ended.pop_front();
        }
    }
}
