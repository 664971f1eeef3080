//! What a template is confined to before it imports anything of a plugin; its workers inherit it.

mod disk;
mod filter;
mod group;
mod kernel;
mod reach;
mod watch;

use std::io;
use std::os::fd::OwnedFd;

pub(super) use disk::Disk;
pub(super) use group::{Group, Groups};
pub use kernel::Gap;
pub(super) use kernel::Kernel;
pub(super) use reach::{Reach, environment_folders};
pub(super) use watch::{Allowance, overrun};

use super::spawn::{Confinement, Limits};

/// How one plugin instance is confined.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) limits: Limits,
    pub(super) uid: Option<u32>,
    pub(super) reach: Reach,
}

impl Rules {
    /// What the next template starts with, and the group that it lives in where there are groups.
    ///
    /// # Errors
    /// When the kernel refuses what it said it has.
    pub(super) fn prepare(&self, kernel: &Kernel) -> io::Result<(Confinement, Option<Group>)> {
        let ruleset: Option<OwnedFd> = if kernel.has_landlock() { self.reach.ruleset()? } else { None };
        let group = kernel.groups.as_ref().map(Groups::make).transpose()?;
        let filter = if kernel.filters { filter::program(filter::Sockets::Open) } else { None };
        let confinement = Confinement {
            limits: self.limits,
            uid: self.uid,
            group: group.as_ref().map(Group::processes).transpose()?,
            ruleset,
            filter,
            asked: None,
        };
        Ok((confinement, group))
    }
}
