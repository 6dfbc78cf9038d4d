//! What can go wrong in `vouchctl`, and what to do about it.

use crate::api::problem::{Kind, Problem};
use crate::tap::replay::ReplayError;
use crate::trials::OfflineError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nothing is at the path of the socket.
    #[error(
        "there is no socket at {}: is vouchd running? See `systemctl status vouchd`, or name another socket with --socket",
        .0.display()
    )]
    NoSocket(PathBuf),
    /// A socket without a daemon behind it.
    #[error("nobody answers on {}: vouchd has stopped. Start it with `systemctl start vouchd`", .0.display())]
    NobodyThere(PathBuf),
    /// The system does not let this user connect.
    #[error(
        "permission denied on {}: only members of group vouch may use it. `sudo usermod -aG vouch {user}`, then log in \
         again", .socket.display()
    )]
    NoAccess {
        /// Path of the socket.
        socket: PathBuf,
        /// Who asked.
        user: String,
    },
    /// Connecting failed in another way.
    #[error("the daemon cannot be reached on {}: {source}", .socket.display())]
    Unreachable {
        /// Path of the socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon did not answer in time.
    #[error("the daemon on {} did not answer within {} s", .socket.display(), .limit.as_secs())]
    Silent {
        /// Path of the socket.
        socket: PathBuf,
        /// How long the tool waited.
        limit: Duration,
    },
    /// The daemon refused.
    #[error("{}: {}", .0.title, .0.detail)]
    Problem(Problem),
    /// What came back is no answer of vouchd.
    #[error("this is no answer of vouchd: {0}. Is it of the same version as vouchctl?")]
    Foreign(String),
    /// A file given on the command line.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An offline command failed.
    #[error(transparent)]
    Offline(OfflineError),
    /// A replay failed.
    #[error(transparent)]
    Replay(ReplayError),
    /// Standard output failed.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// The system gave no thread or timer.
    #[error("vouchctl cannot start: {0}")]
    Start(#[source] io::Error),
}

impl CtlError {
    /// 1 failed, 3 daemon not reachable, 4 not found, 5 refused; wrong use (2) is found while parsing.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSocket(_) | Self::NobodyThere(_) | Self::Unreachable { .. } | Self::Silent { .. } => 3,
            Self::NoAccess { .. } => 5,
            Self::Problem(problem) if problem.status == 404 => 4,
            Self::Problem(problem)
                if [Kind::Forbidden, Kind::OptedOut, Kind::ConsentRequired]
                    .iter()
                    .any(|kind| problem.is(*kind)) =>
            {
                5
            }
            Self::Problem(problem) if problem.is(Kind::Stopping) => 3,
            Self::Problem(_)
            | Self::Foreign(_)
            | Self::File { .. }
            | Self::Offline(_)
            | Self::Replay(_)
            | Self::Output(_)
            | Self::Start(_) => 1,
        }
    }

    /// The error as the document that `--json` prints; the daemon's own problems as they came.
    pub fn to_problem(&self) -> Problem {
        let (kind, title) = match self {
            Self::Problem(problem) => return problem.clone(),
            Self::NoSocket(_) | Self::NobodyThere(_) | Self::Unreachable { .. } | Self::Silent { .. } => {
                ("urn:vouch:problem:unreachable", "The daemon cannot be reached")
            }
            Self::NoAccess { .. } => ("urn:vouch:problem:forbidden", "Not allowed"),
            _ => ("urn:vouch:problem:failed", "The command failed"),
        };
        // No HTTP answer stands behind these, so there is no status to tell.
        Problem { kind: kind.into(), title: title.into(), status: 0, detail: self.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_contract() {
        let code = |kind| CtlError::Problem(Problem::new(kind, "")).exit_code();
        assert_eq!([Kind::NoSuchCall, Kind::NoSuchSpeaker, Kind::NoSuchRoute].map(code), [4; 3]);
        assert_eq!([Kind::Forbidden, Kind::OptedOut, Kind::ConsentRequired].map(code), [5; 3]);
        assert_eq!([Kind::Conflict, Kind::Invalid, Kind::StoreFault, Kind::Busy].map(code), [1; 4]);
        assert_eq!(code(Kind::Stopping), 3);
        assert_eq!(CtlError::NoSocket("/x".into()).exit_code(), 3);
        assert_eq!(CtlError::NoAccess { socket: "/x".into(), user: "ann".into() }.exit_code(), 5);
    }

    #[test]
    fn errors_name_the_path_and_the_remedy() {
        let text = CtlError::NoSocket("/run/x.sock".into()).to_string();
        assert!(text.contains("/run/x.sock") && text.contains("systemctl status vouchd"), "{text}");
        let text = CtlError::NoAccess { socket: "/run/x.sock".into(), user: "ann".into() }.to_string();
        assert!(text.contains("usermod -aG vouch ann"), "{text}");
    }
}
