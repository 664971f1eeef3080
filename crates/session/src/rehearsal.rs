//! A gateway that rehearses: the same stages, ledger and plugins, with a script in the place of names and targets.
//! Nothing is looked up and no socket is opened.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

use crate::{Connected, Ended, HostKeyProblem, Located, Permit, Reason};

/// What a rehearsal knows of the world outside.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The name of every client's address; `None`: reverse DNS fails.
    pub client_hostname: Option<String>,
    /// The addresses of servers; `None`: the name is known not to exist.
    pub addresses: HashMap<String, Option<IpAddr>>,
    /// The address of every server that is not among them.
    pub any_other: Option<IpAddr>,
    pub mapping: Mapping,
}

/// Who decides which gateway user may be whom on the target (gateway section 1, step 8).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mapping {
    /// Everybody may be anybody: the rehearsal is about something else.
    #[default]
    Anybody,
    Policy,
}

/// How a scripted target takes the connection (step 10).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reached {
    #[default]
    Proven,
    UnknownHostKey,
    ChangedHostKey,
    Unreachable,
}

impl Script {
    pub(crate) fn address_of(&self, name: &str) -> Option<IpAddr> {
        self.addresses.get(name).copied().unwrap_or(self.any_other)
    }
}

impl Permit {
    /// Step 10 without a socket. Only in a gateway that rehearses: anywhere else the session ends.
    pub fn rehearse(self, reached: Reached) -> Result<Connected, Ended> {
        let Located { core, person, remote_user, remote_domain, target, .. } = self.into_stage();
        if core.shared.script.is_none() {
            let source = io::Error::other("this gateway does not rehearse");
            return Err(core.end(&Reason::Connect { target, source }));
        }
        let refused = |source| Reason::HostKey { target: target.clone(), source };
        let reason = match reached {
            Reached::Proven => {
                let host_key_accepted = AtomicBool::new(true);
                return Ok(Connected { core, person, remote_user, remote_domain, target, host_key_accepted });
            }
            Reached::UnknownHostKey => refused(HostKeyProblem::Unknown),
            Reached::ChangedHostKey => refused(HostKeyProblem::Changed {
                known: "another one".to_owned(),
                shown: "a key of the scenario".to_owned(),
            }),
            Reached::Unreachable => {
                let source = io::ErrorKind::ConnectionRefused.into();
                Reason::Connect { target: target.clone(), source }
            }
        };
        Err(core.end(&reason))
    }
}
