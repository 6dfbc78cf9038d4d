//! What people ask of a device.

use super::super::calls::Calls;
use super::super::source::{DeviceFault, Source};
use super::Operator;
use crate::ask::AskError;
use crate::config::Alsa;
use crate::pii::SpeakerId;

impl<S: Source, C: Calls> Operator<S, C> {
    /// Begins a call, as somebody asked.
    ///
    /// # Errors
    /// [`AskError::Conflict`] says why not.
    pub(in crate::capture) fn start(&mut self, speaker: Option<SpeakerId>) -> Result<(), AskError> {
        let name = &self.settings.name;
        if !self.station.is_enabled() {
            return Err(AskError::Conflict(format!("{name} is switched off: it has `enabled = false`")));
        }
        if self.station.is_in_call() {
            return Err(AskError::Conflict(format!("a call goes on on {name} already; stop it first")));
        }
        if !self.station.is_open() {
            self.open();
        }
        let Alsa { name, device, .. } = &self.settings;
        let outcome = match self.station.fault() {
            Some(fault) => Err(AskError::Conflict(format!("{name} cannot be used: {device}: {fault}"))),
            None => self.begin(speaker, false),
        };
        self.trigger.reset(self.converter.band());
        self.show();
        outcome
    }

    /// Ends the call, as somebody asked.
    ///
    /// # Errors
    /// [`AskError::Conflict`] where there is none.
    pub(in crate::capture) fn stop(&mut self) -> Result<(), AskError> {
        if !self.station.is_in_call() {
            return Err(AskError::Conflict(format!("no call goes on on {}", self.settings.name)));
        }
        self.end(false);
        self.show();
        Ok(())
    }

    /// Ends everything.
    pub(in crate::capture) fn finish(&mut self) {
        if self.station.is_in_call() {
            self.end(false);
        }
        self.close();
    }

    /// Gives the device up after a bug; it is tried again.
    pub(in crate::capture) fn give_up(&mut self, fault: &str) {
        self.close();
        self.fail(DeviceFault::new(fault));
        self.show();
    }
}
