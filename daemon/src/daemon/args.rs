//! Arguments of `vouchd`.

use clap::Parser;
use std::path::PathBuf;

/// Where the configuration is when nothing else is said.
pub const DEFAULT_CONFIG: &str = "/etc/vouch/vouchd.toml";

/// Real-time caller authentication for SIP gateways.
///
/// Listens to calls that a gateway forks to it, verifies callers by their voice, and tells the gateway through SIP
/// headers and everybody on the box through a Unix socket; see vouchctl(1).
#[derive(Debug, Parser)]
#[command(name = "vouchd", version, max_term_width = 100)]
pub struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Check the configuration, say what is wrong with it, and exit.
    #[arg(long)]
    pub check_config: bool,
    /// What to log: error, warn, info, debug, trace, or a list such as `info,vouch::sip=debug`.
    #[arg(long, value_name = "LEVEL", env = "VOUCH_LOG", hide_env_values = true, default_value = crate::log::DEFAULT_FILTER)]
    pub log: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
