//! Whose packet it is: calls by the addresses that their descriptions name, found by hash.

use super::dialog::Side;
use super::event::{CallId, StreamKey};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Calls at one address: two legs that a gateway without media of its own connects, and some more.
const MAX_SHARED: usize = 4;

/// Addresses of media and whose they are.
#[derive(Debug, Default)]
pub(super) struct Bindings(HashMap<SocketAddr, heapless::Vec<Binding, MAX_SHARED>>);

/// Says that an address belongs to one side of a line of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) call: CallId,
    pub(super) line: u8,
    pub(super) side: Side,
    /// Whether the description names the address, and it is not only guessed behind an address translation.
    pub(super) named: bool,
}

impl Bindings {
    /// Binds an address. `outlives` says of another call there whether it keeps its hold: a call that was set up
    /// before the new one began has been forgotten by its peers, or its end was not seen.
    pub(super) fn bind(&mut self, address: SocketAddr, binding: Binding, outlives: impl Fn(CallId) -> bool) {
        let here = self.0.entry(address).or_default();
        if binding.named {
            here.retain(|other| other.call == binding.call || other.named && outlives(other.call));
        }
        let taken = !binding.named && here.iter().any(|other| other.call != binding.call);
        if taken || here.contains(&binding) {
            return;
        }
        if here.is_full() {
            here.remove(0);
        }
        // There is room: made above.
        let _ = here.push(binding);
    }

    /// Addresses that are anybody's.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes an address from a call.
    pub(super) fn release(&mut self, address: SocketAddr, call: CallId) {
        if let Some(here) = self.0.get_mut(&address) {
            here.retain(|binding| binding.call != call);
            if here.is_empty() {
                self.0.remove(&address);
            }
        }
    }

    /// The streams that a packet belongs to. Where it goes says most: whoever sends to the address that one side gave
    /// is the other side, whatever address translation made of its own. Only where that is nobody's, such as in front
    /// of another translation, it is believed by where it comes from.
    pub(super) fn find(
        &self,
        (source, target): (SocketAddr, SocketAddr),
    ) -> heapless::Vec<StreamKey, MAX_SHARED> {
        let stream = |binding: &Binding, side| StreamKey { call: binding.call, line: binding.line, side };
        match (self.0.get(&target), self.0.get(&source)) {
            (Some(there), _) => there.iter().map(|binding| stream(binding, binding.side.other())).collect(),
            (None, Some(here)) => here.iter().map(|binding| stream(binding, binding.side)).collect(),
            (None, None) => heapless::Vec::new(),
        }
    }
}
