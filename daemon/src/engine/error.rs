//! What goes wrong in the engine.

use super::MAX_STREAMS;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use vouch_dsp::network::EmbedError;

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not a number of calls that a pool can have.
    #[error("a pool of {0} calls is not possible")]
    MaxCalls(usize),
    /// No pair of ports in the range.
    #[error("the ports {}-{} hold no even port followed by an odd one", .0.start(), .0.end())]
    NoPorts(RangeInclusive<u16>),
    /// The system gave no thread.
    #[error("the engine cannot start: {0}")]
    Start(#[source] io::Error),
    /// All slots are taken.
    #[error("all {0} call slots are taken")]
    PoolFull(usize),
    /// The handle is of a call that ended.
    #[error("this call has ended")]
    NoSuchCall,
    /// The call has as many streams as it can.
    #[error("a call has at most {MAX_STREAMS} streams")]
    TooManyStreams,
    /// Every port of the range is taken, here or by other programs.
    #[error("no free pair of ports is left on {0}")]
    NoFreePort(IpAddr),
    /// The system refused the sockets.
    #[error("no media socket on {local}: {cause}")]
    Socket {
        /// Address that was to be bound.
        local: IpAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Two embeddings of this call wait or were not fetched yet.
    #[error("two embeddings of this call are already under way")]
    Busy,
    /// The window is not among the speech heard, or too short or too long for an embedding.
    #[error("this window is not among the {held} frames heard, or no embedding can be made of so many")]
    NoSuchSpeech {
        /// Frames heard so far.
        held: u64,
    },
    /// The engine failed on this call earlier.
    #[error("the engine failed on this call")]
    Faulted,
}

/// Why no embedding was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedFault {
    /// The network refused the frames.
    #[error("the network refused the speech: {0:?}")]
    Refused(EmbedError),
    /// The network failed; a bug.
    #[error("the network failed")]
    Panicked,
}
