//! Which channels may open inside a session.

use std::fmt;

use ipnet::IpNet;
use keyward_model::{ClientAddr, TargetAddr};

use crate::HostPattern;
use crate::connection::within;

/// Ordered rules: `[[channel-policy]]`. What no rule allows is refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelPolicy {
    pub rules: Vec<ChannelRule>,
}

/// Allows some kinds of channels. An empty list restricts nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChannelRule {
    /// Never empty.
    pub kinds: Vec<ChannelKind>,
    pub from: Vec<IpNet>,
    pub targets: Vec<HostPattern>,
    /// Gateway groups, one of which the person must be in.
    pub groups: Vec<String>,
    /// Users on the target.
    pub users: Vec<String>,
    pub record: bool,
}

/// A kind of SSH channel (gateway section 3). The kinds do not overlap: `exec` is no `scp`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChannelKind {
    /// A shell, with a terminal or without.
    Shell,
    /// A command that is no scp.
    Exec,
    /// The subsystem `sftp`.
    Sftp,
    /// A command that runs scp on the target.
    Scp,
    /// Any subsystem but `sftp`.
    Subsystem,
    LocalForward,
    RemoteForward,
    Dynamic,
    X11,
    Agent,
    StreamLocal,
}

/// What a channel is judged by at the moment it opens.
#[derive(Clone, Copy, Debug)]
pub struct ChannelQuery<'a> {
    pub kind: ChannelKind,
    pub client: ClientAddr,
    pub target: &'a TargetAddr,
    /// The gateway groups of the person.
    pub groups: &'a [String],
    pub remote_user: &'a str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ChannelDecision {
    Allow { record: bool },
    Refuse,
}

impl ChannelPolicy {
    /// The first rule that matches allows the channel; without one it is refused.
    pub fn decide(&self, query: &ChannelQuery<'_>) -> ChannelDecision {
        match self.rules.iter().find(|rule| rule.matches(query)) {
            Some(rule) => ChannelDecision::Allow { record: rule.record },
            None => ChannelDecision::Refuse,
        }
    }
}

impl ChannelRule {
    fn matches(&self, query: &ChannelQuery<'_>) -> bool {
        let TargetAddr { addr, hostname } = query.target;
        let is_target = |pattern: &HostPattern| pattern.matches(hostname.as_deref(), addr.ip(), addr.port());
        self.kinds.contains(&query.kind)
            && within(&self.from, query.client.0.ip().to_canonical())
            && (self.targets.is_empty() || self.targets.iter().any(is_target))
            && (self.groups.is_empty() || self.groups.iter().any(|group| query.groups.contains(group)))
            && (self.users.is_empty() || self.users.iter().any(|user| user == query.remote_user))
    }
}

impl ChannelKind {
    pub const ALL: [Self; 11] = [
        Self::Shell,
        Self::Exec,
        Self::Sftp,
        Self::Scp,
        Self::Subsystem,
        Self::LocalForward,
        Self::RemoteForward,
        Self::Dynamic,
        Self::X11,
        Self::Agent,
        Self::StreamLocal,
    ];

    /// The word of the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sftp => "sftp",
            Self::Scp => "scp",
            Self::Subsystem => "subsystem",
            Self::LocalForward => "local-forward",
            Self::RemoteForward => "remote-forward",
            Self::Dynamic => "dynamic",
            Self::X11 => "x11",
            Self::Agent => "agent",
            Self::StreamLocal => "streamlocal",
        }
    }

    /// Whether this release can carry such a channel; a rule that allows another one is an error.
    pub(crate) fn is_supported(self) -> bool {
        match self {
            Self::Shell | Self::Exec | Self::Sftp | Self::Scp | Self::Subsystem => true,
            Self::LocalForward
            | Self::RemoteForward
            | Self::Dynamic
            | Self::X11
            | Self::Agent
            | Self::StreamLocal => false,
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
