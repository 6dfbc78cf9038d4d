//! Files made from definitions in the code are the ones committed.

use crate::generate::derived_files;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const REMEDY: &str = "run `cargo run -p vouch --example generate`";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn derived_files_are_up_to_date() {
    for (path, content) in derived_files().unwrap() {
        let committed = std::fs::read(root().join(&path)).unwrap_or_default();
        assert!(committed == content, "{} is out of date: {REMEDY}", path.display());
    }
}

#[test]
fn no_page_or_completion_is_left_of_a_command_that_is_gone() {
    let derived: BTreeSet<PathBuf> = derived_files().unwrap().into_iter().map(|(path, _)| path).collect();
    for folder in ["packaging/man", "packaging/completions"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(derived.contains(&path), "{} is made from no command: remove it", path.display());
        }
    }
}
