//! Bytes as a row of choices, written so that seeds can be typed: steps are letters, their arguments any characters.

/// The choices not yet made.
#[derive(Debug)]
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next step, a letter in lower case or one of `` ` { | } ~ \x7f ``, until the bytes end.
    pub(crate) fn step(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first & 0x1f | 0x60)
    }

    /// The next byte; 0 behind the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next byte as a number: digits and letters count from 0 on.
    pub(crate) fn number(&mut self) -> u8 {
        self.byte().wrapping_sub(b'0')
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
