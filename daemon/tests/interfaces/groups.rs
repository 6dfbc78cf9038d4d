//! Roles by the groups of this system, with a real process of another user.

use crate::script::Script;
use assert_cmd::cargo::cargo_bin;
use nix::unistd::{Group, User, getuid};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use vouch::api::roles::GroupNames;
use vouch::api::socket::Socket;
use vouch::api::{Api, ApiConfig};
use vouch::metrics::Metrics;

/// `vouchctl` as `user` with `gid`, if this process may start it so.
fn ctl(user: &User, gid: u32, socket: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(cargo_bin("vouchctl"));
    command.arg("--socket").arg(socket).args(arguments).uid(user.uid.as_raw()).gid(gid).current_dir("/");
    command.output().ok()
}

#[test]
fn a_member_of_the_readers_group_reads_and_a_stranger_does_not() {
    let stranger = User::from_name("nobody").ok().flatten();
    let group = stranger.as_ref().and_then(|user| Group::from_gid(user.gid).ok().flatten());
    let (Some(user), Some(group), true) = (stranger, group, getuid().is_root()) else {
        eprintln!("skipped: becoming another user takes root and a user `nobody` with a group");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("vouch.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names = GroupNames { reader: group.name.clone(), ..GroupNames::default() };
    let api = Api::new(
        Script::new(),
        Arc::new(Metrics::new("1.2.3", 0)),
        ApiConfig { groups: names, ..ApiConfig::default() },
    );
    let socket = runtime.block_on(async { Socket::make(&path, &group.name).unwrap() });
    runtime.spawn(api.serve(socket, std::future::pending()));

    let Some(seen) = ctl(&user, group.gid.as_raw(), &path, &["status"]) else {
        eprintln!("skipped: `nobody` cannot reach the vouchctl of this build");
        return;
    };
    let error = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(seen.status.success(), "{}", error(&seen));
    let refused = ctl(&user, group.gid.as_raw(), &path, &["speaker", "opt-out", "anna"]).unwrap();
    assert_eq!(refused.status.code(), Some(5));
    assert!(error(&refused).contains("group vouch-agent"), "{}", error(&refused));

    // Not in the group of the socket: the system itself refuses.
    set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let outside = ctl(&user, group.gid.as_raw(), &path, &["status"]).unwrap();
    assert_eq!(outside.status.code(), Some(5));
    assert!(error(&outside).contains("sudo usermod -aG vouch nobody"), "{}", error(&outside));
}
