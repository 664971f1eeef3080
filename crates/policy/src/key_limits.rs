//! What a key or a certificate restricts its holder to, beside the channel policy.

use crate::ChannelKind;

/// The restrictions of one log-in; by default there are none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyLimits {
    /// What is run, whatever the person asks to run.
    pub forced_command: Option<String>,
    pub denied: Vec<KeyPermission>,
}

/// What OpenSSH's keys and certificates may permit (`permit-pty` and so on).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyPermission {
    Terminal,
    /// Of ports and of Unix sockets.
    Forwarding,
    AgentForwarding,
    X11Forwarding,
}

impl KeyPermission {
    pub const ALL: [Self; 4] = [Self::Terminal, Self::Forwarding, Self::AgentForwarding, Self::X11Forwarding];

    /// What a certificate has that gives the permission (PROTOCOL.certkeys).
    pub fn extension(self) -> &'static str {
        match self {
            Self::Terminal => "permit-pty",
            Self::Forwarding => "permit-port-forwarding",
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::X11Forwarding => "permit-X11-forwarding",
        }
    }
}

impl KeyLimits {
    /// Of a certificate with these extensions: what none of them permits is denied.
    pub fn of_certificate(forced_command: Option<String>, extensions: &[String]) -> Self {
        let is_missing = |permission: &KeyPermission| {
            !extensions.iter().any(|extension| extension == permission.extension())
        };
        Self { forced_command, denied: KeyPermission::ALL.into_iter().filter(is_missing).collect() }
    }

    pub fn allow(&self, permission: KeyPermission) -> bool {
        !self.denied.contains(&permission)
    }

    /// Whether channels of this kind may be asked for at all. Programs may: which ones, the forced command says.
    pub fn allow_kind(&self, kind: ChannelKind) -> bool {
        match kind {
            ChannelKind::Shell
            | ChannelKind::Exec
            | ChannelKind::Sftp
            | ChannelKind::Scp
            | ChannelKind::Subsystem => true,
            ChannelKind::LocalForward
            | ChannelKind::RemoteForward
            | ChannelKind::Dynamic
            | ChannelKind::StreamLocal => self.allow(KeyPermission::Forwarding),
            ChannelKind::Agent => self.allow(KeyPermission::AgentForwarding),
            ChannelKind::X11 => self.allow(KeyPermission::X11Forwarding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_does_not_permit_is_denied() {
        let none = KeyLimits::of_certificate(None, &[]);
        assert!(KeyPermission::ALL.into_iter().all(|permission| !none.allow(permission)));
        for kind in ChannelKind::ALL {
            let is_program = matches!(
                kind,
                ChannelKind::Shell
                    | ChannelKind::Exec
                    | ChannelKind::Sftp
                    | ChannelKind::Scp
                    | ChannelKind::Subsystem
            );
            assert_eq!(none.allow_kind(kind), is_program, "{kind}");
            assert!(KeyLimits::default().allow_kind(kind), "{kind}");
        }
        let some = KeyLimits::of_certificate(None, &["permit-pty".into(), "permit-x11-forwarding".into()]);
        assert_eq!(
            some.denied,
            [KeyPermission::Forwarding, KeyPermission::AgentForwarding, KeyPermission::X11Forwarding]
        );
    }
}
