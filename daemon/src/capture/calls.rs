//! What the calls of a device are to whoever reads it: begun, fed and ended. Behind it is the exchange, or a script in tests.

use crate::ask::AskError;
use crate::engine::Capture;
use crate::pii::SpeakerId;

/// The calls of a device, one after the other.
pub(crate) trait Calls {
    /// Whether the device may be listened to without a call.
    fn may_listen(&self) -> bool;

    /// Begins a call of `speaker`, or of whose device it is; gives its id.
    ///
    /// # Errors
    /// [`AskError`] says why there can be none.
    fn begin(&mut self, speaker: Option<SpeakerId>) -> Result<String, AskError>;

    /// Takes audio of the call.
    fn hear(&mut self, capture: &Capture<'_>);

    /// How the call is; `None` when it has ended without us.
    fn look(&mut self) -> Option<Look>;

    /// Ends the call, if there is one. `gone`: because the device is.
    fn end(&mut self, gone: bool);
}

/// A look at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Frames of net speech.
    pub(crate) speech: u64,
    /// Whether it is analysed: the speaker did not opt out.
    pub(crate) analysed: bool,
}
