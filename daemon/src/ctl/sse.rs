//! Reading server-sent events (WHATWG HTML, section 9.2.6), as far as vouchd sends them.

/// Most bytes of a line; a longer one is dropped.
const MAX_LINE: usize = 1 << 20;

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: Option<u64>,
    /// Its content.
    pub data: String,
}

/// Cuts bytes, in pieces of any size, into messages.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    id: Option<u64>,
    data: Vec<String>,
}

impl Parser {
    /// The messages that `bytes` complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                messages.extend(self.end_line());
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
        messages
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        self.line.clear();
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let id = self.id.take();
            return (!data.is_empty()).then(|| Message { id, data: data.join("\n") });
        }
        // A comment has an empty name and falls through, like fields unknown here.
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => self.data.push(value.to_owned()),
            "id" => self.id = value.parse().ok(),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b": heartbeat\n\nid: 7\nevent: result\ndata: {\"a\":1}\n\nid:8\r\ndata: x\r\ndata:y\r\n\r\nretry: 3\n\n";

    fn expected() -> Vec<Message> {
        vec![Message { id: Some(7), data: r#"{"a":1}"#.into() }, Message { id: Some(8), data: "x\ny".into() }]
    }

    #[test]
    fn messages_are_read_and_comments_skipped() {
        assert_eq!(Parser::default().feed(STREAM), expected());
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(size in 1usize..20) {
            let mut parser = Parser::default();
            let messages: Vec<Message> = STREAM.chunks(size).flat_map(|piece| parser.feed(piece)).collect();
            prop_assert_eq!(messages, expected());
        }

        #[test]
        fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Parser::default().feed(&bytes);
        }
    }
}
