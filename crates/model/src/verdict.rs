//! How a session went, in one word for the record and one sentence for the person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The verdict of a session (gateway section 1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum Verdict {
    /// The session ran to its end.
    Accept,
    /// The session ran, and the gateway ended it: an administrator, a limit, a content rule.
    AcceptTerminated,
    /// A plugin or a policy said no.
    Deny,
    /// The gateway could not authenticate the user.
    AuthFail,
    /// No usermapping policy allows this gateway user to be that remote user.
    MappingFail,
    /// The target's host key is unknown or has changed.
    KeyError,
    /// The target did not let the gateway log in.
    TargetAuthFail,
    /// The target could not be reached.
    ConnectFail,
    /// A plugin failed, crashed, or ran out of time.
    PluginError,
    /// The session was idle or open for longer than its settings allow.
    Timeout,
    /// The gateway could not do its part: ledger, recording or the directory of its users failed before the session was
    /// open.
    GatewayError,
    /// The gateway died while the session was open.
    Lost,
}

impl Verdict {
    pub const ALL: [Self; 12] = [
        Self::Accept,
        Self::AcceptTerminated,
        Self::Deny,
        Self::AuthFail,
        Self::MappingFail,
        Self::KeyError,
        Self::TargetAuthFail,
        Self::ConnectFail,
        Self::PluginError,
        Self::Timeout,
        Self::GatewayError,
        Self::Lost,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptTerminated => "accept-terminated",
            Self::Deny => "deny",
            Self::AuthFail => "auth-fail",
            Self::MappingFail => "mapping-fail",
            Self::KeyError => "key-error",
            Self::TargetAuthFail => "target-auth-fail",
            Self::ConnectFail => "connect-fail",
            Self::PluginError => "plugin-error",
            Self::Timeout => "timeout",
            Self::GatewayError => "gateway-error",
            Self::Lost => "lost",
        }
    }

    /// What the person who connects is told: no host, plugin or path in it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Accept => "The session has ended.",
            Self::AcceptTerminated => "The session was ended by the gateway.",
            Self::Deny => "Access denied.",
            Self::AuthFail => "Authentication failed.",
            Self::MappingFail => "You may not use this account.",
            Self::KeyError => "The server could not prove its identity.",
            Self::TargetAuthFail => "The gateway could not log in on the server.",
            Self::ConnectFail => "The server cannot be reached.",
            Self::PluginError | Self::GatewayError => "The gateway cannot serve this session now.",
            Self::Timeout => "The session has timed out.",
            Self::Lost => "The session was lost.",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no verdict")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Self, UnknownVerdict> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| UnknownVerdict(text.to_owned()))
    }
}
