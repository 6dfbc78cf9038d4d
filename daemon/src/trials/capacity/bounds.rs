//! What limits the number of calls beside the processor.

use crate::daemon::files;
use crate::engine::state_bytes_per_call;
use std::fs;

/// Calls for which there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In the memory that is free now.
    pub memory: u64,
    /// In the number of open files.
    pub files: u64,
    /// In the UDP ports above the privileged ones.
    pub ports: u64,
}

/// Why a box carries no more calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The processor, mostly for packets.
    Packets,
    /// The processor, mostly for embeddings.
    Embeddings,
    /// Memory.
    Memory,
    /// Open files.
    Files,
    /// UDP ports.
    Ports,
}

impl Reason {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Embeddings => "embeddings",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Ports => "ports",
        }
    }

    /// What to tell people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Packets => "the processor (packets)",
            Self::Embeddings => "the processor (embeddings)",
            Self::Memory => "memory",
            Self::Files => "open files: raise the hard limit (`ulimit -Hn`, LimitNOFILE= of vouchd.service)",
            Self::Ports => "UDP ports",
        }
    }
}

/// What SIP, the sockets and the exchange hold of a call, beside the engine's own: measured under load.
const MEMORY_BESIDE_ENGINE: u64 = 64 * 1024;
/// Ports that need no privilege.
const PORTS: u64 = 65_536 - 1024;

impl Bounds {
    /// Memory of one call with two streams.
    pub fn memory_per_call() -> u64 {
        state_bytes_per_call() as u64 + MEMORY_BESIDE_ENGINE
    }

    /// Those of this box.
    pub fn of_this_box() -> Self {
        Self {
            memory: available_memory() / Self::memory_per_call(),
            files: files::calls_within_limit(),
            ports: PORTS / files::PER_CALL,
        }
    }

    /// The lowest of all, and of one that somebody else found.
    pub(super) fn lowest(&self, other: (u64, Reason)) -> (u64, Reason) {
        let own = [(self.memory, Reason::Memory), (self.files, Reason::Files), (self.ports, Reason::Ports)];
        own.into_iter().fold(other, |lowest, bound| if bound.0 < lowest.0 { bound } else { lowest })
    }
}

/// Memory that programs can still have, in bytes, as Linux estimates it.
fn available_memory() -> u64 {
    let about = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = about.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    // A system that does not tell sets no bound.
    kib.map_or(u64::MAX, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_box_has_room_for_some_calls() {
        let bounds = Bounds::of_this_box();
        assert!(bounds.memory > 0 && bounds.memory < u64::MAX && bounds.files > 0);
        assert_eq!(bounds.ports, 16_128);
    }
}
