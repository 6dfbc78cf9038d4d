//! Capture files: pcap and pcapng, block by block, with what the capturing program says that it lost.
//!
//! The only module that knows `pcap-parser`.

use super::{Frame, Link};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGOption, create_reader};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes read at once; grows up to [`MAX_BLOCK`] for a block that is longer.
const BUFFER: usize = 1 << 18;
/// Longest block. Offloading network cards make packets of 64 KiB, and nothing of use is longer.
const MAX_BLOCK: usize = 1 << 24;
/// Type of a section header of pcapng, which its files begin with; it reads the same in both byte orders.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Type of a block about a process, and the shortest block there can be: its type, and twice its length.
const PROCESS: u32 = 0x8000_0001;
const SHORTEST_BLOCK: u32 = 12;
/// What is said of a block that cannot be one.
const BROKEN: &str = "its header or its length is broken";
/// Interfaces of a file.
const MAX_INTERFACES: usize = 1024;

/// Why a capture file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{}: {source}", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("{}: is neither a pcap nor a pcapng file", .0.display())]
    NoCapture(PathBuf),
    /// A block is broken.
    #[error("{}: block {block} at byte {offset}: {cause}", .file.display())]
    Block {
        /// The file.
        file: PathBuf,
        /// Which, from 1.
        block: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        cause: String,
    },
}

/// What a capture file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Packets in it.
    pub packets: u64,
    /// Packets that the capturing program or its interface dropped, as far as the file says.
    pub dropped: Option<u64>,
    /// Packets of interfaces whose kind is not known.
    pub unknown_links: u64,
    /// Whether the file ends within a packet.
    pub truncated: bool,
}

/// A capture file, open for reading.
pub struct Capture {
    file: PathBuf,
    reader: Box<dyn PcapReaderIterator + Send>,
    is_pcapng: bool,
    /// Interfaces of the current section; of a pcap file the one that its header tells of.
    interfaces: Vec<Interface>,
    block: u64,
    counts: CaptureCounts,
    drops: Vec<u64>,
    /// Time of the newest packet, for those that have none.
    last: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Option<Link>,
    unit: Unit,
    /// Seconds to add.
    offset: i64,
    /// Longest piece of a packet that is captured; 0 for no limit.
    snap_length: u32,
}

/// What the timestamps count.
#[derive(Clone, Copy, Debug)]
struct Unit {
    per_second: u128,
}

impl Unit {
    const MICROSECONDS: Self = Self { per_second: 1_000_000 };
    const NANOSECONDS: Self = Self { per_second: 1_000_000_000 };

    /// `if_tsresol` of pcapng: a power of ten, or with the highest bit of two.
    fn of(resolution: u8) -> Option<Self> {
        let exponent = u32::from(resolution & 0x7f);
        let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
        let per_second = base.checked_pow(exponent).filter(|unit| *unit <= 1 << 100)?;
        Some(Self { per_second })
    }

    fn time(self, count: u64, offset: i64) -> Duration {
        let nanos = u128::from(count) / self.per_second * 1_000_000_000
            + u128::from(count) % self.per_second * 1_000_000_000 / self.per_second;
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds.saturating_add_signed(offset), (nanos % 1_000_000_000) as u32)
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture")
            .field("file", &self.file)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens a capture file.
    ///
    /// # Errors
    /// [`CaptureError`] when it cannot be opened or is none.
    pub fn open(file: &Path) -> Result<Self, CaptureError> {
        let opened =
            File::open(file).map_err(|source| CaptureError::Open { file: file.to_owned(), source })?;
        let directory = io::Error::from(io::ErrorKind::IsADirectory);
        if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(CaptureError::Open { file: file.to_owned(), source: directory });
        }
        Self::from_bytes(file, opened)
    }

    /// Reads a capture from anything; errors call it `file`.
    ///
    /// # Errors
    /// [`CaptureError::NoCapture`] when it is none.
    pub fn from_bytes(file: &Path, bytes: impl io::Read + Send + 'static) -> Result<Self, CaptureError> {
        let reader =
            create_reader(BUFFER, Filling(bytes)).map_err(|_| CaptureError::NoCapture(file.to_owned()))?;
        Ok(Self {
            file: file.to_owned(),
            is_pcapng: reader.data().starts_with(&SECTION),
            reader,
            interfaces: Vec::new(),
            block: 0,
            counts: CaptureCounts::default(),
            drops: Vec::new(),
            last: Duration::ZERO,
        })
    }

    /// What the file said of itself so far.
    pub fn counts(&self) -> CaptureCounts {
        let told = self.drops.iter().copied().reduce(u64::saturating_add);
        CaptureCounts { dropped: told, ..self.counts.clone() }
    }

    /// Reads all packets in their order.
    ///
    /// # Errors
    /// [`CaptureError`] names the block that is broken; what stood before it was given to `take`. A last packet that is
    /// cut off is no error, see [`CaptureCounts::truncated`].
    pub fn read(&mut self, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), CaptureError> {
        loop {
            if self.is_pcapng && is_short_process_block(self.reader.data()) {
                self.block += 1;
                return Err(self.error(BROKEN.to_owned()));
            }
            let step = match self.reader.next() {
                Ok((length, block)) => {
                    self.block += 1;
                    let section = Section {
                        interfaces: &mut self.interfaces,
                        counts: &mut self.counts,
                        drops: &mut self.drops,
                        last: &mut self.last,
                    };
                    section.block(block, take).map(|()| Step::Over(length))
                }
                Err(PcapError::Eof) => return Ok(()),
                Err(PcapError::UnexpectedEof) => Ok(Step::CutOff),
                Err(PcapError::Incomplete(_)) => Ok(Step::Refill),
                Err(PcapError::BufferTooSmall) => Ok(Step::Grow),
                Err(error) => Err(cause(&error)),
            };
            match step {
                Ok(Step::Over(length)) => self.reader.consume(length),
                Ok(Step::CutOff) => {
                    self.counts.truncated = true;
                    return Ok(());
                }
                Ok(Step::Refill) => self.refill()?,
                Ok(Step::Grow) => self.grow()?,
                Err(cause) => {
                    self.block += u64::from(!cause.counted);
                    return Err(self.error(cause.text));
                }
            }
        }
    }

    fn refill(&mut self) -> Result<(), CaptureError> {
        let before = self.reader.data().len();
        let refilled = self.reader.refill().is_ok();
        if !refilled {
            self.block += 1;
            return Err(self.error("the file cannot be read on".to_owned()));
        }
        let gained = self.reader.data().len() > before;
        // A full buffer takes nothing more: only a larger one helps.
        if !gained && !self.reader.reader_exhausted() {
            return self.grow();
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), CaptureError> {
        let larger = (self.reader.data().len() * 2).max(BUFFER * 2);
        if larger > 2 * MAX_BLOCK {
            self.block += 1;
            return Err(self.error(format!("it claims to be longer than {} MiB", MAX_BLOCK >> 20)));
        }
        self.reader.grow(larger);
        let _ = self.reader.refill();
        Ok(())
    }

    fn error(&self, cause: String) -> CaptureError {
        let offset = self.reader.consumed() as u64;
        CaptureError::Block { file: self.file.clone(), block: self.block, offset, cause }
    }
}

/// Fills what it reads into, as long as there is more: the parser takes the first read for all of the first block, and a
/// pipe gives what is there.
struct Filling<R>(R);

impl<R: io::Read> io::Read for Filling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What came before it counts; it comes again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

enum Step {
    Over(usize),
    CutOff,
    Refill,
    Grow,
}

/// What is wrong with a block, and whether it has been counted.
struct Cause {
    text: String,
    counted: bool,
}

/// Whether the block that `data` begins with is one about a process and shorter than any block: the parser, which looks at the
/// length of all others, subtracts from that one's what it has not got.
fn is_short_process_block(data: &[u8]) -> bool {
    let Some((head, _)) = data.split_first_chunk::<8>() else { return false };
    let words = |of: fn([u8; 4]) -> u32| {
        let [a, b, c, d, e, f, g, h] = *head;
        of([a, b, c, d]) == PROCESS && of([e, f, g, h]) < SHORTEST_BLOCK
    };
    words(u32::from_le_bytes) || words(u32::from_be_bytes)
}

fn cause<T>(error: &PcapError<T>) -> Cause {
    let text = match error {
        PcapError::NomError(_, _) | PcapError::OwnedNomError(_, _) => BROKEN,
        PcapError::ReadError => "the file cannot be read on",
        _ => "it cannot be read",
    };
    Cause { text: text.to_owned(), counted: false }
}

/// The state of a section that its blocks change.
struct Section<'a> {
    interfaces: &'a mut Vec<Interface>,
    counts: &'a mut CaptureCounts,
    drops: &'a mut Vec<u64>,
    last: &'a mut Duration,
}

impl Section<'_> {
    fn block(self, block: PcapBlockOwned<'_>, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Cause> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let unit =
                    if header.is_nanosecond_precision() { Unit::NANOSECONDS } else { Unit::MICROSECONDS };
                // The upper bits say how long the check sums of the frames are.
                let link = Link::from_number(header.network.0 as u32 & 0x0fff_ffff);
                self.interfaces.push(Interface { link, unit, offset: 0, snap_length: 0 });
                Ok(())
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first().copied() else { return Ok(()) };
                let unit = interface.unit.per_second as u64;
                let count = u64::from(packet.ts_sec) * unit + u64::from(packet.ts_usec);
                let at = interface.unit.time(count, 0);
                self.packet(interface, at, packet.data, take);
                Ok(())
            }
            PcapBlockOwned::NG(block) => self.block_of_pcapng(block, take),
        }
    }

    fn block_of_pcapng(mut self, block: Block<'_>, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Cause> {
        match block {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(block) => {
                if self.interfaces.len() == MAX_INTERFACES {
                    return Err(fault(format!("more than {MAX_INTERFACES} interfaces")));
                }
                let unit = Unit::of(block.if_tsresol)
                    .ok_or_else(|| fault(format!("timestamps of resolution {}", block.if_tsresol)))?;
                let link = Link::from_number(block.linktype.0 as u32);
                let (offset, snap_length) = (block.if_tsoffset, block.snaplen);
                self.interfaces.push(Interface { link, unit, offset, snap_length });
            }
            Block::EnhancedPacket(block) => {
                let interface = self.interface(block.if_id)?;
                let count = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                let at = interface.unit.time(count, interface.offset);
                self.packet(interface, at, block.packet_data(), take);
            }
            Block::SimplePacket(block) => {
                let interface = self.interface(0)?;
                let limit = match interface.snap_length {
                    0 => block.origlen,
                    limit => block.origlen.min(limit),
                };
                let length = block.data.len().min(limit as usize);
                // It has no time: the packet counts as simultaneous with the one before.
                let at = *self.last;
                self.packet(interface, at, &block.data[..length], take);
            }
            Block::InterfaceStatistics(block) => {
                self.statistics(block.if_id, &block.options, block.block_type);
            }
            _ => {}
        }
        Ok(())
    }

    fn interface(&self, number: u32) -> Result<Interface, Cause> {
        let interface = self.interfaces.get(number as usize).copied();
        interface
            .ok_or_else(|| fault(format!("a packet of interface {number}, which the file does not describe")))
    }

    fn packet(self, interface: Interface, at: Duration, bytes: &[u8], take: &mut dyn FnMut(&Frame<'_>)) {
        self.counts.packets += 1;
        *self.last = at;
        match interface.link {
            Some(link) => take(&Frame { at, link, bytes }),
            None => self.counts.unknown_links += 1,
        }
    }

    /// Drops so far of an interface; each block of an interface tells the sum anew.
    fn statistics(&mut self, interface: u32, options: &[PcapNGOption<'_>], block_type: u32) {
        // The type of a block of the other byte order reads backwards.
        let little = block_type == STATISTICS;
        let told = options.iter().filter(|option| matches!(option.code, IF_DROPPED | OS_DROPPED));
        let told = told.filter_map(|option| {
            let bytes: [u8; 8] = option.value.get(..8)?.try_into().ok()?;
            Some(if little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
        });
        let Some(dropped) = told.reduce(u64::saturating_add) else { return };
        let place = interface as usize;
        if place < MAX_INTERFACES {
            self.drops.resize(self.drops.len().max(place + 1), 0);
            self.drops[place] = self.drops[place].max(dropped);
        }
    }
}

/// Type of an interface statistics block, and its options that tell of drops.
const STATISTICS: u32 = 5;
const IF_DROPPED: OptionCode = OptionCode(5);
const OS_DROPPED: OptionCode = OptionCode(7);

fn fault(text: String) -> Cause {
    Cause { text, counted: true }
}

#[cfg(test)]
mod tests;
