//! What the tap tells, and how it names calls and streams.

use super::dialog::Side;
use super::plan::TappedLine;
use crate::sip::message::Request;
use std::net::SocketAddr;

/// Names a call that is followed; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Names a stream of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// The call.
    pub call: CallId,
    /// Which `m=` line, from 0.
    pub line: u8,
    /// Who sends it.
    pub side: Side,
}

/// What the tap found.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Somebody calls.
    Began {
        /// The call.
        call: CallId,
        /// The INVITE.
        invite: &'a Request,
        /// Where it came from.
        from: SocketAddr,
    },
    /// What is known of a call's media has changed.
    Media {
        /// The call.
        call: CallId,
        /// The lines of audio in use.
        lines: &'a [TappedLine],
        /// The request of the caller's side that brought the change, if it did.
        request: Option<&'a Request>,
    },
    /// A packet, RTP or RTCP.
    Packet {
        /// Whose.
        stream: StreamKey,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A call is over.
    Ended(CallId),
}
