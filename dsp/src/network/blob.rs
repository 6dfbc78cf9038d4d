//! The container of a model: header, layer table, arrays, checksum. `dsp/model/convert.py` describes and writes it.

use super::ModelError;
use super::crc::crc32;
use crate::kernel::{Conv, GROUP, I16s, I32s, INPUT_SPAN, INPUT_TAPS, InputConv, LANES, Norm, Requant};
use core::fmt::{self, Write};

const MAGIC: &[u8; 8] = b"VOUCHNET";
const FORMAT_VERSION: u32 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 64;
const NAME: usize = 32;
const CHECKSUM_AT: usize = 20;

/// Name of a layer, as the model's table has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LayerName([u8; NAME]);

impl LayerName {
    /// Formats a name; the longest one of this network has 16 bytes.
    pub(super) fn new(parts: fmt::Arguments<'_>) -> Self {
        let mut name = Filler { bytes: [0; NAME], used: 0 };
        // A name that does not fit is cut, then matches no layer, and that is reported.
        let _ = name.write_fmt(parts);
        Self(name.bytes)
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(NAME);
        f.write_str(core::str::from_utf8(&self.0[..end]).unwrap_or("?"))
    }
}

impl fmt::Debug for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Filler {
    bytes: [u8; NAME],
    used: usize,
}

impl Write for Filler {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used + text.len();
        self.bytes.get_mut(self.used..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// A blob whose header and checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob<'m> {
    bytes: &'m [u8],
    table: &'m [u8],
    pub(super) model_version: u32,
}

impl<'m> Blob<'m> {
    pub(super) fn check(bytes: &'m [u8]) -> Result<Self, ModelError> {
        let header = bytes
            .first_chunk::<HEADER>()
            .ok_or(ModelError::Truncated { needed: HEADER, found: bytes.len() })?;
        if !header.starts_with(MAGIC) {
            return Err(ModelError::NotAModel);
        }
        let field = |index: usize| word(header, 8 + 4 * index);
        if field(0) != FORMAT_VERSION {
            return Err(ModelError::UnknownFormat { found: field(0), known: FORMAT_VERSION });
        }
        let length = field(2) as usize;
        if bytes.len() < length {
            return Err(ModelError::Truncated { needed: length, found: bytes.len() });
        }
        if bytes.len() > length || checksum(bytes) != field(3) {
            return Err(ModelError::Damaged);
        }
        let table = (field(4) as usize).checked_mul(ENTRY).and_then(|size| bytes[HEADER..].get(..size));
        Ok(Self { bytes, table: table.ok_or(ModelError::Damaged)?, model_version: field(1) })
    }

    /// Reads the layers in order.
    pub(super) fn layers(&self) -> Layers<'m> {
        Layers { blob: *self, rest: self.table }
    }

    fn array(&self, at: usize, length: usize) -> Option<&'m [u8]> {
        self.bytes.get(at..)?.get(..length)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32(&[&bytes[..CHECKSUM_AT], &[0; 4], &bytes[CHECKSUM_AT + 4..]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Conv = 1,
    Norm = 2,
    Input = 3,
    Side = 4,
}

/// Shape that the network expects of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) taps: usize,
    pub(super) span: usize,
    pub(super) outputs: usize,
}

/// Reads the layer table front to back, refusing every entry that is not the expected one.
#[derive(Debug)]
pub(super) struct Layers<'m> {
    blob: Blob<'m>,
    rest: &'m [u8],
}

impl<'m> Layers<'m> {
    pub(super) fn conv(&mut self, name: LayerName, shape: Shape) -> Result<Conv<'m>, ModelError> {
        let Shape { taps, span, outputs } = shape;
        let entry = self.entry(name, Kind::Conv, shape)?;
        let packed = outputs.is_multiple_of(LANES) && span.is_multiple_of(GROUP);
        let weights = packed.then(|| self.blob.array(entry.arrays[0], taps * span * outputs)).flatten();
        let weights = weights.ok_or(ModelError::Layer(name))?;
        Ok(Conv { weights, requant: self.requant(name, &entry, outputs)?, taps, span, outputs })
    }

    pub(super) fn input(&mut self, name: LayerName, outputs: usize) -> Result<InputConv<'m>, ModelError> {
        let shape = Shape { taps: INPUT_TAPS, span: INPUT_SPAN, outputs };
        let entry = self.entry(name, Kind::Input, shape)?;
        let weights = self.halves(entry.arrays[0], INPUT_TAPS * INPUT_SPAN * outputs);
        let weights = weights.ok_or(ModelError::Layer(name))?;
        Ok(InputConv { weights, requant: self.requant(name, &entry, outputs)?, outputs })
    }

    pub(super) fn norm(&mut self, name: LayerName, channels: usize) -> Result<Norm<'m>, ModelError> {
        let entry = self.entry(name, Kind::Norm, Shape { taps: 1, span: 1, outputs: channels })?;
        let gain = self.halves(entry.arrays[0], channels).ok_or(ModelError::Layer(name))?;
        let offset = self.words(entry.arrays[1], channels).ok_or(ModelError::Layer(name))?;
        if entry.shift >= i32::BITS {
            return Err(ModelError::Layer(name));
        }
        Ok(Norm { gain, offset, shift: entry.shift })
    }

    pub(super) fn side(&mut self, name: LayerName, channels: usize) -> Result<I16s<'m>, ModelError> {
        let entry = self.entry(name, Kind::Side, Shape { taps: 1, span: 1, outputs: channels })?;
        self.halves(entry.arrays[0], channels).ok_or(ModelError::Layer(name))
    }

    fn entry(&mut self, name: LayerName, kind: Kind, shape: Shape) -> Result<Entry, ModelError> {
        let (entry, rest) = self.rest.split_first_chunk::<ENTRY>().ok_or(ModelError::Layer(name))?;
        self.rest = rest;
        let found = (
            usize::from(u16::from_le_bytes([entry[34], entry[35]])),
            word(entry, 36) as usize,
            word(entry, 40) as usize,
        );
        let right = entry.starts_with(&name.0)
            && entry[32] == kind as u8
            && found == (shape.taps, shape.span, shape.outputs);
        let arrays = [44, 48, 52].map(|at| word(entry, at) as usize);
        let entry = Entry { shift: u32::from(entry[33]), arrays };
        right.then_some(entry).ok_or(ModelError::Layer(name))
    }

    fn requant(&self, name: LayerName, entry: &Entry, outputs: usize) -> Result<Requant<'m>, ModelError> {
        let bias = self.words(entry.arrays[1], outputs).ok_or(ModelError::Layer(name))?;
        let multiplier = self.words(entry.arrays[2], outputs).ok_or(ModelError::Layer(name))?;
        if !(1..=32).contains(&entry.shift) {
            return Err(ModelError::Layer(name));
        }
        Ok(Requant { bias, multiplier, shift: entry.shift })
    }

    fn words(&self, at: usize, count: usize) -> Option<I32s<'m>> {
        Some(I32s(self.blob.array(at, count * 4)?.as_chunks().0))
    }

    fn halves(&self, at: usize, count: usize) -> Option<I16s<'m>> {
        Some(I16s(self.blob.array(at, count * 2)?.as_chunks().0))
    }
}

struct Entry {
    shift: u32,
    arrays: [usize; 3],
}
