//! A tracing layer that writes entries with their fields to the systemd journal.

use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes every event, with its own fields and those of the spans around it.
pub(super) struct JournalLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JournalLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut entry = Entry::default();
        attributes.record(&mut entry);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(entry);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(entry) = span.extensions_mut().get_mut::<Entry>()
        {
            values.record(entry);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let entry = gather(event, &context);
        let fields = entry.journal_fields(event.metadata());
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        if systemd::journal::send(&fields).is_err() {
            // Standard error leads to the same journal, one line a time.
            eprintln!("<{}>{}", priority(*event.metadata().level()), entry.line());
        }
    }
}

/// The event with the fields of the spans around it.
fn gather<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> Entry {
    let mut entry = Entry::default();
    event.record(&mut entry);
    for span in context.event_scope(event).into_iter().flatten() {
        if let Some(outer) = span.extensions().get::<Entry>() {
            entry.add_outer(outer);
        }
    }
    entry
}

/// Message and fields of one event or span.
#[derive(Default)]
struct Entry {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Entry {
    /// Adds the fields of a span around this entry; the inner value of a name wins.
    fn add_outer(&mut self, outer: &Self) {
        for (name, value) in &outer.fields {
            if !self.fields.iter().any(|(known, _)| known == name) {
                self.fields.push((name, value.clone()));
            }
        }
    }

    /// The entry as one line for readers: the message, then `name=value`.
    fn line(&self) -> String {
        let mut line = self.message.clone();
        for (name, value) in &self.fields {
            // Writing into a String cannot fail.
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    /// Fields as `sd_journal_send` takes them: `NAME=value`.
    fn journal_fields(&self, metadata: &tracing::Metadata<'_>) -> Vec<String> {
        let mut fields = vec![
            format!("PRIORITY={}", priority(*metadata.level())),
            "SYSLOG_IDENTIFIER=vouchd".to_owned(),
            format!("VOUCH_TARGET={}", metadata.target()),
            format!("MESSAGE={}", self.line()),
        ];
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            fields.extend([format!("CODE_FILE={file}"), format!("CODE_LINE={line}")]);
        }
        fields.extend(self.fields.iter().map(|(name, value)| format!("{}={value}", journal_name(name))));
        fields
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Upper case with our prefix: journal names take A-Z, 0-9 and underscores (systemd.journal-fields(7)).
fn journal_name(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "VOUCH_".chars().chain(letters).collect()
}

/// Priority of syslog(3) for a level.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::prelude::*;

    /// Collects what the journal layer would send.
    #[derive(Clone, Default)]
    struct Collect(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collect {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            JournalLayer.on_new_span(attributes, id, context);
        }

        fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
            JournalLayer.on_record(id, values, context);
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.0.lock().unwrap().extend(gather(event, &context).journal_fields(event.metadata()));
        }
    }

    #[test]
    fn fields_of_the_event_and_its_spans_become_journal_fields() {
        let sent = Collect::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(sent.clone()), || {
            let outer = tracing::info_span!("call", call = "c1", codec = tracing::field::Empty);
            outer.record("codec", "PCMU");
            let _outer = outer.enter();
            let _inner = tracing::info_span!("leg", leg = 2, call = "c2").entered();
            tracing::warn!(net_speech = 4.5, "speech\nends");
        });
        let fields = sent.0.lock().unwrap().clone();
        assert_eq!(fields[0], "PRIORITY=4");
        assert_eq!(fields[3], "MESSAGE=speech\nends net_speech=4.5 leg=2 call=c2 codec=PCMU");
        assert_eq!(fields[6..], ["VOUCH_NET_SPEECH=4.5", "VOUCH_LEG=2", "VOUCH_CALL=c2", "VOUCH_CODEC=PCMU"]);
    }

    #[test]
    fn names_suit_the_journal() {
        assert_eq!(journal_name("peer.addr-é"), "VOUCH_PEER_ADDR__");
    }
}
