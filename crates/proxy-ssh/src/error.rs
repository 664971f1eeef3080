//! What can go wrong beside the session's own reasons, by whose fault it is.

use russh::keys::ssh_key;

/// A failure of the SSH proxy. `Display` is for the log; people are told by the session.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The peer's, or the network's.
    #[error("the SSH connection failed")]
    Connection(#[from] russh::Error),
    /// RFC 4252 section 5 lets a client do that; a session has one login string.
    #[error("the client changed its user name during authentication")]
    UserChanged,
    #[error("the client's answer is too long")]
    AnswerTooLong,
    /// The session's: it has ended while the client was still being served.
    #[error("the session is over")]
    Over,
    /// The configuration's: the stored host key at this place, counted from one.
    #[error("host key {number} cannot be read")]
    HostKey { number: usize, source: ssh_key::Error },
    #[error("there is no host key")]
    NoHostKey,
    /// Ours, or the system's.
    #[error("the host key cannot be written down")]
    WriteHostKey(#[source] ssh_key::Error),
    #[error("no host key can be made")]
    MakeHostKey(#[source] ssh_key::Error),
}

/// An error and its causes on one line, for a log field.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
