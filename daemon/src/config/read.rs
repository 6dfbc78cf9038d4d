//! Walks a TOML document section by section, and notes every fault with its line.

use super::Problem;
use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of the document and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// What is wrong with a value: the place in the text, and the reason.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) reason: String,
}

impl Fault {
    /// A fault of the whole `value`.
    pub(super) fn at(value: &Value<'_>, reason: impl Into<String>) -> Self {
        Self { span: value.span(), reason: reason.into() }
    }
}

/// A type that a value of the document can be turned into.
pub(super) trait FromToml: Sized {
    /// Reads the value, or says why it cannot be one.
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault>;
}

/// The text being read, and the faults found in it.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    path: &'t Path,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Reader<'t> {
    /// Parses the text as far as it goes; faults of the syntax are the first problems.
    pub(super) fn new(text: &'t str, path: &'t Path) -> (Spanned<DeTable<'t>>, Self) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let reader = Self { text, path, problems: RefCell::default() };
        for error in errors {
            reader.note(error.span().unwrap_or_default(), String::new(), error.message().to_owned());
        }
        (document, reader)
    }

    /// The problems, in order of lines.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        problems
    }

    fn note(&self, span: Range<usize>, key: String, reason: String) {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        self.problems.borrow_mut().push(Problem { file: self.path.to_owned(), line, key, reason });
    }
}

/// One table of the document while it is read: notes which keys were asked for, so that
/// [`Section::finish`] can refuse the others.
#[derive(Debug)]
pub(super) struct Section<'r, 't> {
    reader: &'r Reader<'t>,
    table: &'r DeTable<'t>,
    prefix: String,
    start: usize,
    known: Vec<&'static str>,
}

impl<'r, 't> Section<'r, 't> {
    /// The document itself.
    pub(super) const fn root(reader: &'r Reader<'t>, table: &'r DeTable<'t>) -> Self {
        Self { reader, table, prefix: String::new(), start: 0, known: Vec::new() }
    }

    /// Reads `key` into `target`, which keeps its default when the key is absent.
    pub(super) fn read<T: FromToml>(&mut self, key: &'static str, target: &mut T) {
        self.read_if(key, target, |_| Ok(()));
    }

    /// Reads `key` into `target` if `check` finds nothing wrong with it.
    pub(super) fn read_if<T: FromToml>(
        &mut self,
        key: &'static str,
        target: &mut T,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) {
        self.known.push(key);
        let Some(value) = self.table.get(key) else { return };
        let read = T::from_toml(value)
            .and_then(|read| check(&read).map(|()| read).map_err(|reason| Fault::at(value, reason)));
        match read {
            Ok(read) => *target = read,
            Err(fault) => self.reader.note(fault.span, self.name(key), fault.reason),
        }
    }

    /// Reads `key` into `target` like [`Section::read_if`]; a table without it is at fault.
    pub(super) fn require<T: FromToml>(
        &mut self,
        key: &'static str,
        target: &mut T,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) {
        self.read_if(key, target, check);
        if !self.table.contains_key(key) {
            self.fault(key, "missing");
        }
    }

    /// Demands `version = expected`.
    pub(super) fn version(&mut self, expected: i64) {
        let mut found = expected;
        self.read_if("version", &mut found, |&version| match version {
            _ if version == expected => Ok(()),
            _ => Err(format!("this vouchd reads version {expected} of the configuration, not {version}")),
        });
        if !self.table.contains_key("version") {
            self.fault("version", format!("missing; write `version = {expected}` at the top of the file"));
        }
    }

    /// Reads the table `key`, where there is one.
    pub(super) fn section(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'r, 't>)) {
        self.known.push(key);
        let Some(value) = self.table.get(key) else { return };
        match value.get_ref() {
            DeValue::Table(table) => {
                let mut section = self.inner(self.name(key), value, table);
                read(&mut section);
                section.finish();
            }
            _ => self.reader.note(value.span(), self.name(key), format!("is a section: write [{key}]")),
        }
    }

    /// Reads the array of tables `key` into `target`, each table from what `blank` makes.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        target: &mut Vec<T>,
        blank: impl Fn() -> T,
        read: impl Fn(&mut T, &mut Section<'r, 't>),
    ) {
        self.known.push(key);
        let Some(value) = self.table.get(key) else { return };
        let Some(array) = value.get_ref().as_array() else {
            return self.reader.note(value.span(), self.name(key), format!("is a list: write [[{key}]]"));
        };
        target.clear();
        for (index, value) in array.iter().enumerate() {
            let name = format!("{key}[{index}]");
            let DeValue::Table(table) = value.get_ref() else {
                self.reader.note(value.span(), name, format!("is a table: write [[{key}]]"));
                continue;
            };
            let mut section = self.inner(name, value, table);
            let mut item = blank();
            read(&mut item, &mut section);
            section.finish();
            target.push(item);
        }
    }

    /// Notes a fault at `key`, or at the head of the section when the key is absent.
    pub(super) fn fault(&self, key: &str, reason: impl Into<String>) {
        let span = self.table.get(key).map_or(self.start..self.start, Spanned::span);
        self.reader.note(span, self.name(key), reason.into());
    }

    /// Notes a fault that concerns two keys at the first of them that the file has.
    pub(super) fn fault_at(&self, first: &[&str; 2], second: &[&str; 2], reason: impl Into<String>) {
        let span =
            |path: &[&str; 2]| self.table.get(path[0])?.get_ref().as_table()?.get(path[1]).map(Spanned::span);
        let place = span(first).or_else(|| span(second)).unwrap_or_default();
        self.reader.note(place, first.join("."), reason.into());
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let word = key.get_ref().as_ref();
            if !self.known.contains(&word) {
                let hint = nearest(word, &self.known).map_or_else(
                    || format!("; valid here: {}", self.known.join(", ")),
                    |near| format!("; did you mean `{near}`?"),
                );
                self.reader.note(key.span(), self.name(word), format!("unknown key{hint}"));
            }
        }
    }

    fn inner(&self, prefix: String, value: &Value<'_>, table: &'r DeTable<'t>) -> Section<'r, 't> {
        Section { reader: self.reader, table, prefix, start: value.span().start, known: Vec::new() }
    }

    fn name(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", self.prefix) }
    }
}

/// The word of `known` that `word` is most likely a slip of.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let limit = (word.chars().count() / 3).max(2);
    known
        .iter()
        .map(|&candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Fewest single-character insertions, deletions and replacements from `a` to `b` (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(nearest("lisen", &["listen", "rtp-ports"]), Some("listen"));
        assert_eq!(nearest("rtp_ports", &["listen", "rtp-ports"]), Some("rtp-ports"));
        assert_eq!(nearest("colour", &["listen", "rtp-ports"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    proptest! {
        #[test]
        fn distance_is_a_metric(a in "[a-d]{0,8}", b in "[a-d]{0,8}", c in "[a-d]{0,8}") {
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }
}
