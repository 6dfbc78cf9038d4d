//! Who may do what: roles by the credentials of the peer's process.

use super::problem::{Kind, Problem};
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nix::errno::Errno;
use nix::sys::socket::UnixCredentials;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, getuid};
use std::ffi::CString;

/// What a peer may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing: in none of the groups.
    Nobody,
    /// See status, calls, results, speakers, events and metrics.
    Reader,
    /// Also set the speaker of a call, enroll, evaluate, opt out and in.
    Agent,
    /// Also delete speakers.
    Admin,
}

/// The groups that give a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupNames {
    /// Members are readers.
    pub reader: String,
    /// Members are agents.
    pub agent: String,
    /// Members are admins; so are root and the daemon's own user.
    pub admin: String,
}

impl Default for GroupNames {
    fn default() -> Self {
        Self { reader: "vouch".into(), agent: "vouch-agent".into(), admin: "vouch-admin".into() }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User id of the process.
    pub uid: u32,
    /// What it may do.
    pub role: Role,
}

/// Decides which role a peer has.
pub trait Gatekeeper: Send + Sync {
    /// Role of the process behind `peer` where that is known without asking anybody.
    fn own_role(&self, _peer: &UnixCredentials) -> Option<Role> {
        None
    }

    /// Role of the process behind `peer`; may ask the user database, so it may block.
    fn role(&self, peer: &UnixCredentials) -> Role;
}

/// Roles by the user and group databases of the system.
impl Gatekeeper for GroupNames {
    fn own_role(&self, peer: &UnixCredentials) -> Option<Role> {
        let uid = Uid::from_raw(peer.uid());
        (uid.is_root() || uid == getuid()).then_some(Role::Admin)
    }

    fn role(&self, peer: &UnixCredentials) -> Role {
        if let Some(role) = self.own_role(peer) {
            return role;
        }
        let uid = Uid::from_raw(peer.uid());
        match (Directory::look_up(self), groups_of(uid, Gid::from_raw(peer.gid()))) {
            (Ok(directory), Ok(groups)) => directory.role(&groups),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%uid, %error, "the groups of a peer cannot be looked up, so it is refused");
                Role::Nobody
            }
        }
    }
}

/// Ids of the groups; `None` for one that this system does not have.
struct Directory {
    reader: Option<Gid>,
    agent: Option<Gid>,
    admin: Option<Gid>,
}

impl Directory {
    fn look_up(names: &GroupNames) -> Result<Self, Errno> {
        let id = |name: &str| Ok::<_, Errno>(Group::from_name(name)?.map(|group| group.gid));
        Ok(Self { reader: id(&names.reader)?, agent: id(&names.agent)?, admin: id(&names.admin)? })
    }

    fn role(&self, groups: &[Gid]) -> Role {
        let member = |group: Option<Gid>| group.is_some_and(|group| groups.contains(&group));
        if member(self.admin) {
            Role::Admin
        } else if member(self.agent) {
            Role::Agent
        } else if member(self.reader) {
            Role::Reader
        } else {
            Role::Nobody
        }
    }
}

/// The group the process runs with and all groups of its user.
///
/// `SO_PEERCRED` tells one group only, the one the process had when it connected, so the supplementary ones come from
/// the user database. A process without an entry there has the one group.
fn groups_of(uid: Uid, gid: Gid) -> Result<Vec<Gid>, Errno> {
    let Some(user) = User::from_uid(uid)? else {
        return Ok(vec![gid]);
    };
    let name = CString::new(user.name).map_err(|_| Errno::EINVAL)?;
    let mut groups = getgrouplist(&name, user.gid)?;
    groups.push(gid);
    Ok(groups)
}

/// Middleware that lets a request pass when the role of the connection is at least `needed`.
pub(super) async fn require(
    State((needed, names)): State<(Role, GroupNames)>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if peer.role >= needed {
        return next.run(request).await;
    }
    let group = match needed {
        Role::Nobody | Role::Reader => &names.reader,
        Role::Agent => &names.agent,
        Role::Admin => &names.admin,
    };
    let detail = format!("this needs a member of group {group} (or a group above it), or root");
    Problem::new(Kind::Forbidden, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_group_counts_and_a_missing_group_gives_nothing() {
        let gid = Gid::from_raw;
        let directory = Directory { reader: Some(gid(10)), agent: Some(gid(11)), admin: None };
        assert_eq!(directory.role(&[gid(5), gid(10), gid(11)]), Role::Agent);
        assert_eq!(directory.role(&[gid(10)]), Role::Reader);
        assert_eq!(directory.role(&[gid(0), gid(12)]), Role::Nobody);
        assert_eq!(directory.role(&[]), Role::Nobody);
    }

    #[test]
    fn the_own_user_is_admin() {
        let (names, own) = (GroupNames::default(), UnixCredentials::new());
        assert_eq!((names.own_role(&own), names.role(&own)), (Some(Role::Admin), Role::Admin));
    }

    #[test]
    fn groups_of_a_user_include_the_primary_and_the_one_of_the_process() {
        let groups = groups_of(Uid::from_raw(0), Gid::from_raw(4321)).unwrap();
        assert!(groups.contains(&Gid::from_raw(0)) && groups.contains(&Gid::from_raw(4321)));
        let unknown = groups_of(Uid::from_raw(4_000_000_000), Gid::from_raw(7)).unwrap();
        assert_eq!(unknown, [Gid::from_raw(7)]);
    }

    #[test]
    fn roles_include_each_other() {
        assert!(Role::Nobody < Role::Reader && Role::Reader < Role::Agent && Role::Agent < Role::Admin);
    }
}
