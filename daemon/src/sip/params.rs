//! Lexical pieces that SIP headers and URIs share (RFC 3261 section 25.1): tokens, parameters, lists.

use std::fmt;

/// What is wrong with a piece of a message; where stands beside it, in
/// [`MessageError`](super::message::MessageError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A quoted string has no end.
    #[error("unbalanced quote")]
    UnbalancedQuote,
    /// Something stands between a quoted string and the next separator.
    #[error("text after a quoted string")]
    TextAfterQuote,
    /// Two semicolons with nothing between them.
    #[error("empty parameter")]
    EmptyParameter,
    /// A parameter's name is no token.
    #[error("bad parameter name")]
    BadParameter,
    /// The parameter `tag` says nothing.
    #[error("tag without a value")]
    TagWithoutValue,
    /// `<` without `>`.
    #[error("unbalanced angle bracket")]
    UnbalancedBracket,
    /// A URI has no scheme.
    #[error("no URI scheme")]
    NoScheme,
    /// A character that no URI has, such as a space.
    #[error("bad character in URI")]
    BadUriCharacter,
    /// Host is neither a name nor an address.
    #[error("bad host")]
    BadHost,
    /// Port is no number up to 65535.
    #[error("bad port")]
    BadPort,
    /// URI headers where RFC 3261 section 19.1.1 allows none.
    #[error("URI headers not allowed")]
    UriHeaders,
    /// Not `SIP/2.0/TRANSPORT host`.
    #[error("bad sent-protocol")]
    BadProtocol,
    /// No number, or one out of range.
    #[error("number out of range")]
    BadNumber,
    /// A method that is no token.
    #[error("bad method")]
    BadMethod,
    /// Method of the CSeq is not that of the request.
    #[error("method mismatch")]
    MethodMismatch,
    /// A header that must be there is not.
    #[error("missing")]
    Missing,
    /// A header that may be there once is there again.
    #[error("given more than once")]
    Duplicate,
    /// A header without content that needs some.
    #[error("empty")]
    Empty,
    /// The line is no `name: value`, or the start line is none of SIP.
    #[error("syntax error")]
    Syntax,
    /// Not the protocol version `SIP/2.0`.
    #[error("version not supported")]
    Version,
    /// The message ends before it is complete.
    #[error("message cut off")]
    CutOff,
    /// More than is accepted here.
    #[error("too large")]
    TooLarge,
}

/// Parameters of a header or URI: names without case, in the order they came.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads `;name=value;name...`, white space allowed around every separator, a trailing semicolon too.
    ///
    /// # Errors
    /// The [`Fault`] of the first parameter that is none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut params = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            rest = rest.strip_prefix(';').ok_or(Fault::Syntax)?.trim_start();
            if rest.is_empty() {
                break;
            }
            let (name, after) = split_at_any(rest, &[';', '=']);
            let name = name.trim_end();
            if name.is_empty() {
                return Err(Fault::EmptyParameter);
            }
            if !is_token(name) {
                return Err(Fault::BadParameter);
            }
            let (value, after) = match after.strip_prefix('=') {
                Some(after) => parse_value(after.trim_start()).map(|(value, rest)| (Some(value), rest))?,
                None => (None, after),
            };
            params.push((name.to_owned(), value));
            rest = after;
        }
        Ok(Self(params))
    }

    /// Value of the parameter `name`: `Some(None)` when it stands without one.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_deref())
    }

    /// Value of the parameter `name`; `None` when it is absent or has none.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Whether the parameter `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets the parameter `name`, in place if it is there, else at the end.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some(param) => param.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// Writes the parameters as they go on the wire, quoting where they must be.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(f, ";{name}")?;
            match value {
                Some(value) if needs_quotes(value) => write!(f, "=\"{}\"", Quoted(value))?,
                Some(value) => write!(f, "={value}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Names only: values may identify people.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether `text` is a `token` of RFC 3261.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// The elements of a comma-separated header value, trimmed; commas in quotes and angle brackets do not count.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find_outside(text, ',');
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim())
    })
    .filter(|element| !element.is_empty())
}

/// Position of the first `wanted` that stands outside quotes and angle brackets.
pub fn find_outside(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracket) = (false, false, false);
    for (position, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = c == '\\';
            quoted = c != '"';
        } else if c == wanted && !bracket {
            return Some(position);
        } else {
            match c {
                '"' => quoted = !bracket,
                '<' => bracket = true,
                '>' => bracket = false,
                _ => {}
            }
        }
    }
    None
}

/// Reads a quoted string at the start of `text`: its content without escapes, and what follows it.
///
/// # Errors
/// [`Fault::UnbalancedQuote`] where it does not end.
pub fn take_quoted(text: &str) -> Result<(String, &str), Fault> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((position, c)) = characters.next() {
        match c {
            '"' => return Ok((content, &text[position + 1..])),
            '\\' => content.push(characters.next().ok_or(Fault::UnbalancedQuote)?.1),
            c => content.push(c),
        }
    }
    Err(Fault::UnbalancedQuote)
}

/// Content of a quoted string, escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        Ok(())
    }
}

/// Reads a parameter's value: a quoted string, or everything up to the next semicolon.
fn parse_value(text: &str) -> Result<(String, &str), Fault> {
    if !text.starts_with('"') {
        let (value, rest) = split_at_any(text, &[';']);
        let value = value.trim_end();
        return if value.contains('"') { Err(Fault::UnbalancedQuote) } else { Ok((value.to_owned(), rest)) };
    }
    let (value, rest) = take_quoted(text)?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with(';') { Ok((value, rest)) } else { Err(Fault::TextAfterQuote) }
}

fn split_at_any<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(separators).unwrap_or(text.len()))
}

/// Tokens and hosts (IPv6 in brackets included) go bare, everything else in quotes.
fn needs_quotes(value: &str) -> bool {
    value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~[]:/&$".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_allow_white_space_quotes_and_a_trailing_semicolon() {
        let params = Params::parse(" ; tag = 98asjd8 ;Lr; note = \"a;\\\"b\" ;").unwrap();
        assert_eq!(params.value("TAG"), Some("98asjd8"));
        assert_eq!(params.get("lr"), Some(None));
        assert_eq!(params.value("note"), Some("a;\"b"));
        assert_eq!(params.get("absent"), None);
        assert_eq!(params.to_string(), ";tag=98asjd8;Lr;note=\"a;\\\"b\"");
        assert_eq!(format!("{params:?}"), "[\"tag\", \"Lr\", \"note\"]");
    }

    #[test]
    fn broken_parameters_are_named() {
        assert_eq!(Params::parse(";;a=1"), Err(Fault::EmptyParameter));
        assert_eq!(Params::parse(";=1"), Err(Fault::EmptyParameter));
        assert_eq!(Params::parse(";a b=1"), Err(Fault::BadParameter));
        assert_eq!(Params::parse("a=1"), Err(Fault::Syntax));
        assert_eq!(Params::parse(";a=\"1"), Err(Fault::UnbalancedQuote));
        assert_eq!(Params::parse(";a=1\"2"), Err(Fault::UnbalancedQuote));
        assert_eq!(Params::parse(";a=\"1\"2"), Err(Fault::TextAfterQuote));
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let value = "\"A, \\\"B\" <sip:a,b@c>;x=1 , <sip:d@e>,, f";
        let elements: Vec<&str> = split_list(value).collect();
        assert_eq!(elements, ["\"A, \\\"B\" <sip:a,b@c>;x=1", "<sip:d@e>", "f"]);
        assert_eq!(split_list(" ").count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(values in prop::collection::vec(("[a-z]{1,8}", prop::option::of("\\PC{0,12}")), 0..5)) {
            let mut params = Params::default();
            for (name, value) in &values {
                params.set(name, value.as_deref());
            }
            prop_assert_eq!(Params::parse(&params.to_string()), Ok(params));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Params::parse(&text);
            let _ = take_quoted(&text);
            let joined: usize = split_list(&text).map(str::len).sum();
            prop_assert!(joined <= text.len());
        }
    }
}
