//! The master key and what is derived from it.

use std::path::PathBuf;
use std::str::FromStr;

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A systemd credential of this name, written `credential:vouch-master-key`.
    Credential(String),
    /// A file, written `file:/var/lib/vouch/master.key`.
    File(PathBuf),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is neither `credential:NAME` nor `file:/PATH`");
        match text.split_once(':').ok_or_else(form)? {
            ("credential", name) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
                Ok(Self::Credential(name.to_owned()))
            }
            ("file", path) if path.starts_with('/') => Ok(Self::File(PathBuf::from(path))),
            _ => Err(form()),
        }
    }
}
