//! Writes the files that are made from definitions in the code: man pages, completions and the API description.
//!
//! `cargo run -p vouch --example generate` after changing a command or a route; a test tells when they differ.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};

/// Every derived file: its path from the root of the repository, and its content.
pub(crate) fn derived_files() -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let tool = vouch::ctl::args::Ctl::command();
    let mut files = vec![
        ("config/openapi.json".into(), vouch::api::openapi::json().into_bytes()),
        ("packaging/man/vouchd.8".into(), page(vouch::daemon::args::Args::command(), "8")?),
    ];
    for (shell, name) in
        [(Shell::Bash, "vouchctl.bash"), (Shell::Zsh, "_vouchctl"), (Shell::Fish, "vouchctl.fish")]
    {
        let mut script = Vec::new();
        generate(shell, &mut tool.clone(), "vouchctl", &mut script);
        files.push((Path::new("packaging/completions").join(name), script));
    }
    // Names of subcommands and their global options are filled in by `build`.
    let mut built = tool;
    built.build();
    add_pages(built, "vouchctl".to_owned(), &mut files)?;
    Ok(files)
}

/// The page of a command, and one for each of its subcommands.
fn add_pages(command: Command, name: String, files: &mut Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        add_pages(sub.clone(), format!("{name}-{}", sub.get_name()), files)?;
    }
    let path = PathBuf::from(format!("packaging/man/{name}.1"));
    files.push((path, page(command.display_name(name), "1")?));
    Ok(())
}

fn page(command: Command, section: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let command = command.disable_help_subcommand(true);
    Man::new(command)
        .section(section)
        .manual("Vouch")
        .source(concat!("Vouch ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)?;
    Ok(text)
}

#[allow(dead_code, reason = "the test that compares the files takes this one in as a module")]
fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, content) in derived_files()? {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content)?;
    }
    Ok(())
}
