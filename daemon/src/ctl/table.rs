//! Aligned text for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Space between columns.
const GAP: &str = "  ";

/// Rows of cells, aligned by column. Cells are made [`printable`].
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table under these headings.
    pub(super) fn with_headings(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: &[String; N]) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// Adds a row of a name and a value, unless there is no value.
    pub(super) fn pair(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.row(&[name.to_owned(), value]);
        }
    }

    /// The lines of the table.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join(GAP).trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// The table as text, each line ended.
    pub(super) fn text(&self) -> String {
        self.lines().into_iter().map(|line| line + "\n").collect()
    }
}

/// `text` without what a terminal would obey: names of calls and peers come from the network.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An RFC 3339 time as date and time of day on this box.
pub(super) fn local_time(text: &str, zone: &TimeZone) -> String {
    format_time(text, zone, "%Y-%m-%d %H:%M:%S")
}

/// An RFC 3339 time as time of day on this box.
pub(super) fn local_clock(text: &str, zone: &TimeZone) -> String {
    format_time(text, zone, "%H:%M:%S")
}

fn format_time(text: &str, zone: &TimeZone, format: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_zoned_datetime(zone.clone()).strftime(format).to_string(),
        // Better what the daemon said than nothing.
        Err(_) => text.to_owned(),
    }
}

/// Seconds as people say them.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_gone() {
        let mut table = Table::with_headings(&["CALL", "SPEAKER"]);
        table.row(&["c1".into(), "Zoë\x1b[2J".into()]);
        table.row(&["call-22".into(), String::new()]);
        assert_eq!(table.text(), "CALL     SPEAKER\nc1       Zoë\u{fffd}[2J\ncall-22\n");
    }

    #[test]
    fn times_are_shown_in_the_zone_of_the_box() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(local_time("2026-11-23T22:30:05.25Z", &zone), "2026-11-24 00:30:05");
        assert_eq!(local_clock("2026-11-23T22:30:05Z", &zone), "00:30:05");
        assert_eq!(local_time("yesterday", &zone), "yesterday");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!([59, 61, 3_660, 90_000].map(duration), ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
