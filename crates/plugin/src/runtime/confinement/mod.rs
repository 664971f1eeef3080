//! What a template is confined to before it imports anything of a plugin; its workers inherit it.

mod broker;
mod disk;
mod filter;
mod group;
mod kernel;
mod network;
mod reach;
mod watch;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

pub(super) use broker::serve;
pub(super) use disk::Disk;
pub(super) use group::{Group, Groups};
pub use kernel::Gap;
pub(super) use kernel::Kernel;
pub(super) use network::Doors;
pub use network::{Network, Reachable, ReachableHost};
pub(super) use reach::{Reach, Stamp, environment_folders};
pub(super) use watch::{Allowance, Tasks, overrun};

use super::spawn::{Confinement, Limits};

/// How one plugin instance is confined.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) limits: Limits,
    pub(super) uid: Option<u32>,
    pub(super) reach: Reach,
    /// `None`: the network is open.
    pub(super) doors: Option<Arc<Doors>>,
}

/// What goes with a template that is about to start.
#[derive(Debug)]
pub(super) struct Companions {
    /// Where the kernel has groups.
    pub(super) group: Option<Group>,
    /// Where the descriptor comes that the filter asks by.
    pub(super) asking: Option<UnixStream>,
}

impl Rules {
    /// What the next template starts with, and what goes with it.
    ///
    /// # Errors
    /// When the kernel refuses what it said it has.
    pub(super) fn prepare(&self, kernel: &Kernel) -> io::Result<(Confinement, Companions)> {
        let ruleset: Option<OwnedFd> = if kernel.has_landlock() { self.reach.ruleset()? } else { None };
        let group = kernel.groups.as_ref().map(Groups::make).transpose()?;
        let sockets = if self.doors.is_some() { filter::Sockets::Asked } else { filter::Sockets::Open };
        let filter = if kernel.filters { filter::program(sockets) } else { None };
        let (asking, asked) = match self.doors {
            Some(_) => UnixStream::pair().map(|(ours, theirs)| (Some(ours), Some(OwnedFd::from(theirs))))?,
            None => (None, None),
        };
        let confinement = Confinement {
            limits: self.limits,
            uid: self.uid,
            group: group.as_ref().map(Group::processes).transpose()?,
            ruleset,
            filter,
            asked,
        };
        Ok((confinement, Companions { group, asking }))
    }
}
