//! How a session comes to an end, and what each side is told of it.

use std::borrow::Cow;
use std::io;

use keyward_model::{InstanceName, LoginError, TargetAddr, Verdict};
use keyward_plugin::CallError;
use keyward_store::{StoreError, Termination};

use crate::activity::EndCause;
use crate::core::Ending;
use crate::{ClientGone, HostKeyProblem};

/// Why a session did not go on. `Display` is for the record and the log.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    Client(#[from] ClientGone),
    #[error("the login string cannot be read")]
    Login(#[from] LoginError),
    #[error("gateway authentication failed: {0}")]
    Authentication(String),
    #[error("LDAP server {server} gave no answer about the gateway user: {error}")]
    Directory { server: String, error: String },
    #[error("{instance} said no in {hook}{}", said(reason.as_deref()))]
    Denied { instance: InstanceName, hook: &'static str, reason: Option<String> },
    #[error("{instance} asked in {hook}, but this connection cannot ask")]
    CannotAsk { instance: InstanceName, hook: &'static str },
    #[error("{instance} asked more than {limit} questions in {hook}")]
    TooManyQuestions { instance: InstanceName, hook: &'static str, limit: u32 },
    #[error("{instance} failed in {hook}: {}", error.message)]
    Plugin { instance: InstanceName, hook: &'static str, error: CallError },
    #[error("plugin instance {0} is not loaded")]
    NotLoaded(InstanceName),
    #[error("the login string names no {0}, and it cannot be asked for")]
    Missing(&'static str),
    #[error("{0} cannot be looked up")]
    Lookup(String),
    #[error("{target} is not an allowed target: {why}")]
    TargetRefused { target: TargetAddr, why: String },
    #[error("gateway user {gateway_user:?} may not be {remote_user:?} on the target")]
    Mapping { gateway_user: String, remote_user: String },
    #[error("{by} did not approve the session{}", said(comment.as_deref()))]
    NotApproved { by: String, comment: Option<String> },
    #[error("nobody approved the session within {0} s")]
    NobodyApproved(u64),
    #[error("{target} cannot be reached")]
    Connect { target: TargetAddr, source: io::Error },
    #[error("the host key of {target} is not accepted")]
    HostKey { target: TargetAddr, source: HostKeyProblem },
    #[error("the target refused the log-in: {0}")]
    TargetLogin(String),
    #[error("the target broke the connection: {0}")]
    Target(String),
    #[error("no answer within {0} s")]
    NoAnswer(u64),
    #[error("not logged in on the target within {0} s (`log-in-timeout`)")]
    LogInTimeout(u64),
    #[error("recording failed: {0}")]
    Recording(String),
    #[error("the ledger cannot be written")]
    Ledger(#[from] StoreError),
}

fn said(reason: Option<&str>) -> String {
    reason.map(|text| format!(": {text}")).unwrap_or_default()
}

impl Reason {
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Login(_) | Self::Authentication(_) | Self::Client(_) => Verdict::AuthFail,
            Self::Denied { .. } | Self::CannotAsk { .. } | Self::TooManyQuestions { .. } => Verdict::Deny,
            Self::Missing(_) | Self::TargetRefused { .. } | Self::NotApproved { .. } => Verdict::Deny,
            Self::Plugin { .. } | Self::NotLoaded(_) => Verdict::PluginError,
            Self::Mapping { .. } => Verdict::MappingFail,
            Self::Lookup(_) | Self::Connect { .. } | Self::Target(_) => Verdict::ConnectFail,
            Self::HostKey { .. } => Verdict::KeyError,
            Self::TargetLogin(_) => Verdict::TargetAuthFail,
            Self::NoAnswer(_) | Self::LogInTimeout(_) | Self::NobodyApproved(_) => Verdict::Timeout,
            Self::Recording(_) | Self::Ledger(_) | Self::Directory { .. } => Verdict::GatewayError,
        }
    }

    /// The one calm sentence for the person: the verdict's, and what a plugin or an approver wrote for them.
    fn client_message(&self) -> String {
        let sentence = self.verdict().sentence();
        match self {
            Self::Denied { reason: Some(words), .. } | Self::NotApproved { comment: Some(words), .. } => {
                format!("{sentence} {}", shown(words))
            }
            // The text names nothing but what the person typed.
            Self::Login(error) => format!("{sentence} ({})", shown(&error.to_string())),
            Self::Client(_)
            | Self::Authentication(_)
            | Self::Directory { .. }
            | Self::Denied { reason: None, .. }
            | Self::CannotAsk { .. }
            | Self::TooManyQuestions { .. }
            | Self::Plugin { .. }
            | Self::NotLoaded(_)
            | Self::Missing(_)
            | Self::Lookup(_)
            | Self::TargetRefused { .. }
            | Self::Mapping { .. }
            | Self::Connect { .. }
            | Self::HostKey { .. }
            | Self::TargetLogin(_)
            | Self::Target(_)
            | Self::NoAnswer(_)
            | Self::LogInTimeout(_)
            | Self::NotApproved { comment: None, .. }
            | Self::NobodyApproved(_)
            | Self::Recording(_)
            | Self::Ledger(_) => sentence.to_owned(),
        }
    }
}

/// Somebody's words on their way to a terminal: bounded, and without control characters that could act on it.
fn shown(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A session that is over before anyone was logged in. The ledger already knows.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    pub verdict: Verdict,
    message: String,
}

impl Ended {
    pub(crate) fn new(reason: &Reason) -> Self {
        Self { verdict: reason.verdict(), message: reason.client_message() }
    }

    /// What the person who connects is told: no host, plugin or path in it.
    pub fn client_message(&self) -> &str {
        &self.message
    }
}

impl EndCause {
    /// The one calm sentence for the person, and what an administrator wrote for them.
    pub fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Terminated(Termination { message, .. }) => {
                let message = message.as_deref().map(|message| format!(" {}", shown(message)));
                format!("The session was terminated by an administrator.{}", message.unwrap_or_default())
                    .into()
            }
            Self::Idle | Self::UserIdle | Self::TooLong => Verdict::Timeout.sentence().into(),
            Self::Stopping | Self::Recording(_) | Self::Content(_) | Self::Unjudged(_) | Self::Closed => {
                Verdict::AcceptTerminated.sentence().into()
            }
        }
    }
}

/// The ending of a session that was open. The gateway's own cause comes before `why`, whatever the proxy saw of it.
pub(crate) fn ending(cause: Option<EndCause>, why: &str) -> Ending {
    let (verdict, reason) = match cause {
        None | Some(EndCause::Closed) => (Verdict::Accept, why.to_owned()),
        Some(EndCause::Idle) => (Verdict::Timeout, "nothing passed for the network timeout".to_owned()),
        Some(EndCause::UserIdle) => (Verdict::Timeout, "the user was idle for too long".to_owned()),
        Some(EndCause::TooLong) => (Verdict::Timeout, "the session was open for too long".to_owned()),
        Some(EndCause::Stopping) => (Verdict::AcceptTerminated, "the gateway was stopped".to_owned()),
        Some(EndCause::Terminated(Termination { by, message })) => {
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            (Verdict::AcceptTerminated, format!("terminated by {by}{message}"))
        }
        Some(EndCause::Recording(error)) => (Verdict::AcceptTerminated, format!("recording failed: {error}")),
        Some(EndCause::Content(rule)) => {
            (Verdict::AcceptTerminated, format!("the content rule {rule:?} ended the session"))
        }
        Some(EndCause::Unjudged(error)) => {
            (Verdict::AcceptTerminated, format!("content could not be judged: {error}"))
        }
    };
    Ending { verdict, reason }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_reason_cannot_act_on_the_terminal() {
        let reason = Reason::Denied {
            instance: InstanceName::try_from("otp").unwrap(),
            hook: "authorize",
            reason: Some("not\x1b[2J today\r\n".into()),
        };
        assert_eq!(Ended::new(&reason).client_message(), "Access denied. not [2J today  ");
    }

    #[test]
    fn the_person_is_told_neither_host_nor_plugin() {
        let target = TargetAddr { addr: "10.1.2.3:22".parse().unwrap(), hostname: Some("db1".into()) };
        let reason = Reason::TargetRefused { target, why: "not in the allow list".into() };
        assert_eq!(Ended::new(&reason).client_message(), "Access denied.");
    }
}
