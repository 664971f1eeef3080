//! Which channels may open inside a session.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;
use keyward_model::{ClientAddr, TargetAddr};

use crate::connection::within;
use crate::{ContentPolicy, FileRules, HostPattern, TextPattern, TimeWindow};

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
    /// When a channel may open; `None`: always.
    pub window: Option<TimeWindow>,
    /// What may be run, of `exec`.
    pub commands: Vec<TextPattern>,
    /// Where forwards may lead, or listen, of `local-forward`, `dynamic` and `remote-forward`.
    pub hosts: Vec<HostPattern>,
    /// Which sockets may be reached, or made, of `streamlocal`.
    pub paths: Vec<TextPattern>,
    /// What may be done to which files, of `sftp` and `scp`.
    pub files: FileRules,
    /// What may be typed and shown, of `shell` and `exec`; `None`: nobody looks.
    pub content: Option<Arc<ContentPolicy>>,
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
    /// The client reaches a port through the target.
    LocalForward,
    /// The target listens for the client.
    RemoteForward,
    /// SOCKS at the client. What comes of it is the same on the wire as [`LocalForward`](Self::LocalForward), so a rule
    /// for either allows both.
    Dynamic,
    X11,
    /// The client's agent, on the target.
    Agent,
    /// Forwards of Unix sockets, in both directions.
    StreamLocal,
}

/// What of a channel its rule's patterns look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChannelSubject<'a> {
    Nothing,
    Command(&'a [u8]),
    /// Where a forward leads or listens, as its client wrote it: the target looks names up, not the gateway.
    Host {
        host: &'a str,
        port: u16,
    },
    Path(&'a str),
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
    pub subject: ChannelSubject<'a>,
    pub now: SystemTime,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ChannelDecision<'p> {
    /// By this rule.
    Allow(&'p ChannelRule),
    Refuse,
}

impl ChannelPolicy {
    /// The first rule that matches allows the channel; without one it is refused.
    pub fn decide(&self, query: &ChannelQuery<'_>) -> ChannelDecision<'_> {
        self.rules
            .iter()
            .find(|rule| rule.matches(query))
            .map_or(ChannelDecision::Refuse, ChannelDecision::Allow)
    }

    /// What may be done to files in a channel that [`decide`](Self::decide) allows. Nothing where it does not.
    pub fn files(&self, query: &ChannelQuery<'_>) -> FileRules {
        let rule = self.rules.iter().find(|rule| rule.matches(query));
        rule.map_or_else(|| FileRules::of(Vec::new()), |rule| rule.files.clone())
    }
}

impl ChannelRule {
    fn matches(&self, query: &ChannelQuery<'_>) -> bool {
        let TargetAddr { addr, hostname } = query.target;
        let is_target = |pattern: &HostPattern| pattern.matches(hostname.as_deref(), addr.ip(), addr.port());
        self.allows_kind(query.kind)
            && self.allows_subject(query.subject)
            && within(&self.from, query.client.0.ip().to_canonical())
            && (self.targets.is_empty() || self.targets.iter().any(is_target))
            && (self.groups.is_empty() || self.groups.iter().any(|group| query.groups.contains(group)))
            && (self.users.is_empty() || self.users.iter().any(|user| user == query.remote_user))
            && self.window.as_ref().is_none_or(|window| window.holds(query.now))
    }

    fn allows_kind(&self, kind: ChannelKind) -> bool {
        let also = match kind {
            ChannelKind::LocalForward => Some(ChannelKind::Dynamic),
            ChannelKind::Dynamic => Some(ChannelKind::LocalForward),
            _ => None,
        };
        self.kinds.contains(&kind) || also.is_some_and(|also| self.kinds.contains(&also))
    }

    fn allows_subject(&self, subject: ChannelSubject<'_>) -> bool {
        match subject {
            ChannelSubject::Nothing => true,
            ChannelSubject::Command(command) => {
                self.commands.is_empty() || self.commands.iter().any(|pattern| pattern.matches(command))
            }
            ChannelSubject::Host { host, port } => {
                self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches_text(host, port))
            }
            ChannelSubject::Path(path) => {
                self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path.as_bytes()))
            }
        }
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
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
