//! What of the confinement this kernel, and the rights of the gateway, do not give.

use std::fmt;

use super::filter;
use super::group::Groups;
use crate::runtime::spawn;

/// A part of the confinement that is missing here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gap {
    /// No landlock.
    Files,
    /// A landlock that does not know `truncate` (before ABI 3, Linux 6.2).
    Truncation,
    /// A landlock that does not know signals (before ABI 6, Linux 6.12), and no users that would keep them apart.
    Signals,
    /// No seccomp filters, or none for this machine.
    SystemCalls,
    /// No users of their own.
    Users,
    /// No group of processes (cgroup v2) for each plugin instance.
    Groups,
}

/// What can be had, found out once.
#[derive(Debug)]
pub(in crate::runtime) struct Kernel {
    landlock: u32,
    pub(super) filters: bool,
    pub(in crate::runtime) asking: bool,
    pub(in crate::runtime) groups: Option<Groups>,
}

const SECCOMP_RET_ERRNO: u32 = 0x0005_0000;
const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc0_0000;

impl Kernel {
    pub(in crate::runtime) fn probe() -> Self {
        let known = filter::program(filter::Sockets::Open).is_some();
        Self {
            landlock: spawn::landlock_version(),
            filters: known && spawn::filters_can(SECCOMP_RET_ERRNO),
            asking: known && spawn::filters_can(SECCOMP_RET_USER_NOTIF),
            groups: Groups::find(),
        }
    }

    pub(super) fn has_landlock(&self) -> bool {
        self.landlock > 0
    }

    /// What is missing; `own_users`: whether instances have users of their own.
    pub(in crate::runtime) fn gaps(&self, own_users: bool) -> Vec<Gap> {
        let missing = [
            (Gap::Files, self.landlock == 0),
            (Gap::Truncation, (1..3).contains(&self.landlock) && !own_users),
            (Gap::Signals, self.landlock < 6 && !own_users),
            (Gap::SystemCalls, !self.filters),
            (Gap::Users, !own_users),
            (Gap::Groups, self.groups.is_none()),
        ];
        missing.into_iter().filter(|(_, missing)| *missing).map(|(gap, _)| gap).collect()
    }
}

impl Gap {
    /// What it is called in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "landlock",
            Self::Truncation => "landlock ABI 3",
            Self::Signals => "landlock ABI 6",
            Self::SystemCalls => "seccomp",
            Self::Users => "users of their own",
            Self::Groups => "cgroup v2",
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Files => {
                "plugins may read and write what their user may (Linux 5.13 or later, with landlock among the `lsm=`, has it)"
            }
            Self::Truncation => {
                "plugins may empty files that their user may write (Linux 6.2 or later has it)"
            }
            Self::Signals => {
                "plugins may signal processes of the gateway's user (Linux 6.12 or later has it)"
            }
            Self::SystemCalls => {
                "plugins may make any system call, namespaces and tracing included (a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64, has it)"
            }
            Self::Users => {
                "plugins run as the gateway's user, without a limit on processes that holds at once (run the gateway as root, with `plugin-user-base` in the policy)"
            }
            Self::Groups => {
                "what a plugin starts and then hides by ending its interpreter may go on (Linux 5.14 or later has it; a systemd service needs `Delegate=yes`)"
            }
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}: {}", self.name(), self.consequence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_part_is_named() {
        let bare = Kernel { landlock: 0, filters: false, asking: false, groups: None };
        let all = [Gap::Files, Gap::Signals, Gap::SystemCalls, Gap::Users, Gap::Groups];
        assert_eq!(bare.gaps(false), all);
        let old = Kernel { landlock: 2, filters: true, asking: true, groups: None };
        assert_eq!(old.gaps(false), [Gap::Truncation, Gap::Signals, Gap::Users, Gap::Groups]);
        assert_eq!(old.gaps(true), [Gap::Groups], "another user can be neither signalled nor written over");
    }
}
