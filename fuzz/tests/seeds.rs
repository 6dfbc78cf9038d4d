//! The seeds, and all that was ever found, through the functions that are fuzzed.

use std::fs;
use std::path::Path;

#[test]
fn every_seed_of_every_target_is_survived() {
    for (name, target) in vouch_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "no seeds of {name}");
        for path in paths {
            let seed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            println!("{}", path.display());
            target(&seed);
        }
    }
}
