//! Cuts a byte stream into SIP messages (RFC 3261 section 18.3) and keep-alives (RFC 5626 section 3.5.1).

use super::message::{
    Headers, MAX_MESSAGE, MessageError, Place, Wire, content_length, find_head_end, skip_line_ends,
};
use super::params::Fault;
use bytes::{Buf, BytesMut};

/// Most bytes before the end of the headers.
pub const MAX_HEAD: usize = 32_768;

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message, headers and body.
    Message(Wire),
    /// `CRLF CRLF`: the peer asks whether we are there, and one [`PONG`] says so.
    Ping,
}

/// Answer to [`Piece::Ping`].
pub const PONG: &[u8] = b"\r\n";

/// The stream cannot be cut any further and must be closed. `head` holds what came of the broken message: taken
/// as a message it says, in an answer where one is possible, what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub error: MessageError,
    /// The message as far as it came.
    pub head: Wire,
}

/// Collects what arrives on one connection.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Position up to which no end of the headers was found.
    searched: usize,
}

impl Framer {
    /// Room for reading from the connection.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether part of a message is waiting for the rest.
    pub fn is_partial(&self) -> bool {
        !skip_line_ends(&self.buffer).is_empty()
    }

    /// The next complete piece; `None` until there is one.
    ///
    /// # Errors
    /// [`Broken`] where Content-Length is wrong, or the message too large.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, Broken> {
        if let Some(piece) = self.skip_line_ends() {
            return Ok(Some(piece));
        }
        // The end may have been cut in two: look again at the three bytes before.
        let from = self.searched.saturating_sub(3);
        let Some(end) = find_head_end(&self.buffer[from..]).map(|end| from + end) else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > MAX_HEAD {
                Err(self.broken(Place::Message, Fault::TooLarge))
            } else {
                Ok(None)
            };
        };
        let length = match self.body_length(end) {
            Ok(length) => length,
            Err(error) => return Err(Broken { error, head: self.buffer.split().freeze().into() }),
        };
        if end.saturating_add(length) > MAX_MESSAGE {
            return Err(self.broken(Place::Message, Fault::TooLarge));
        }
        self.searched = end;
        if self.buffer.len() < end + length {
            return Ok(None);
        }
        self.searched = 0;
        Ok(Some(Piece::Message(self.buffer.split_to(end + length).freeze().into())))
    }

    /// Drops line ends between messages; two in a row are a ping.
    fn skip_line_ends(&mut self) -> Option<Piece> {
        loop {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                self.searched = 0;
                return Some(Piece::Ping);
            }
            match self.buffer[..] {
                // The second half of a ping may still be under way.
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                [b'\r', b'\n', ..] => self.buffer.advance(2),
                [b'\n', ..] => self.buffer.advance(1),
                _ => return None,
            }
            self.searched = 0;
        }
    }

    fn body_length(&self, end: usize) -> Result<usize, MessageError> {
        let head = &self.buffer[..end];
        let first = head.iter().position(|&byte| byte == b'\n').map_or(end, |first| first + 1);
        let (headers, _) = Headers::parse(&head[first..]);
        // RFC 3261 section 20.14 demands the header over a stream; without it there is no way to know of a body,
        // and those who leave it out have none.
        Ok(content_length(&headers)?.unwrap_or(0))
    }

    fn broken(&mut self, place: Place, fault: Fault) -> Broken {
        Broken { error: MessageError::new(place, fault), head: self.buffer.split().freeze().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &str) -> String {
        format!("INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\nl: {}\r\n\r\n{body}", body.len())
    }

    fn pieces(framer: &mut Framer) -> Vec<Piece> {
        std::iter::from_fn(|| framer.next_piece().unwrap()).collect()
    }

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let (first, second) = (message("one\r\n\r\ntwo"), message(""));
        let stream = format!("\r\n\r\n{first}\r\n{second}");
        for chunk in 1..stream.len() {
            let mut framer = Framer::default();
            let mut seen = Vec::new();
            for part in stream.as_bytes().chunks(chunk) {
                framer.buffer().extend_from_slice(part);
                seen.extend(pieces(&mut framer));
            }
            let expected =
                [Piece::Ping, Piece::Message(first.clone().into()), Piece::Message(second.clone().into())];
            assert_eq!(seen, expected, "in chunks of {chunk}");
            assert!(!framer.is_partial());
        }
    }

    #[test]
    fn a_stream_that_cannot_be_cut_is_broken() {
        let cases = [
            (message("").replace("l: 0", "l: -1"), Place::Header("Content-Length"), Fault::BadNumber),
            (message("").replace("l: 0", "l: 0\r\nl: 1"), Place::Header("Content-Length"), Fault::Duplicate),
            (message("").replace("l: 0", "l: 4294967295"), Place::Message, Fault::TooLarge),
            ("x".repeat(MAX_HEAD + 1), Place::Message, Fault::TooLarge),
        ];
        for (text, place, fault) in cases {
            let mut framer = Framer::default();
            framer.buffer().extend_from_slice(text.as_bytes());
            let broken = framer.next_piece().unwrap_err();
            assert_eq!(broken.error, MessageError::new(place, fault));
            assert_eq!(&broken.head[..], text.as_bytes());
        }
    }

    #[test]
    fn without_content_length_there_is_no_body() {
        let text = message("").replace("l: 0\r\n", "");
        let mut framer = Framer::default();
        framer.buffer().extend_from_slice(text.as_bytes());
        assert_eq!(pieces(&mut framer), [Piece::Message(text.into())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_broken(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
            let mut framer = Framer::default();
            for chunk in &chunks {
                framer.buffer().extend_from_slice(chunk);
                while let Ok(Some(_)) = framer.next_piece() {}
            }
        }
    }
}
