//! What a client asks to open, and why it may be refused.

use std::fmt;

use keyward_content::Modes;
use keyward_policy::{ChannelKind, ChannelSubject};
use keyward_trail::Terminal;

/// What a client wants of a channel.
#[derive(Clone, Debug)]
pub struct ChannelRequest {
    pub kind: ChannelKind,
    pub subject: Subject,
    /// What is known of the terminal, where there is one.
    pub terminal: Option<Terminal<'static>>,
    /// How that terminal is to take what is typed.
    pub modes: Modes,
}

impl ChannelRequest {
    /// In the words of the record.
    pub(crate) fn named(&self) -> String {
        match &self.subject {
            Subject::Nothing | Subject::Command(_) | Subject::Subsystem(_) => self.kind.to_string(),
            Subject::Host { .. } | Subject::Path(_) => format!("{} ({})", self.kind, self.subject),
        }
    }
}

/// What a channel is for, beside its kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    Nothing,
    Command(Vec<u8>),
    Subsystem(String),
    /// Where a forward leads, or listens.
    Host {
        host: String,
        port: u16,
    },
    /// A Unix socket.
    Path(String),
}

impl Subject {
    /// In the words of the channel policy.
    pub(crate) fn judged(&self) -> ChannelSubject<'_> {
        match self {
            Self::Nothing | Self::Subsystem(_) => ChannelSubject::Nothing,
            Self::Command(command) => ChannelSubject::Command(command),
            Self::Host { host, port } => ChannelSubject::Host { host, port: *port },
            Self::Path(path) => ChannelSubject::Path(path),
        }
    }

    /// As the recording has it.
    pub(crate) fn recorded(&self) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => None,
            Self::Command(command) => Some(command.clone()),
            Self::Subsystem(name) => Some(name.clone().into_bytes()),
            Self::Host { .. } | Self::Path(_) => Some(self.to_string().into_bytes()),
        }
    }
}

/// For a note: what a peer wrote cannot make a line of its own.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Command(_) | Self::Subsystem(_) => Ok(()),
            Self::Host { host, port } if host.contains(':') => write!(f, "[{}]:{port}", host.escape_debug()),
            Self::Host { host, port } => write!(f, "{}:{port}", host.escape_debug()),
            Self::Path(path) => write!(f, "{}", path.escape_debug()),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChannelRefused {
    #[error("the channel policy does not allow it")]
    Policy,
    #[error("the certificate does not permit it")]
    Certificate,
    #[error("the session has ended")]
    Over,
}
