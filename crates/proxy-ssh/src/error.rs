//! What can go wrong beside the session's own reasons, by whose fault it is.

use std::io;

use keyward_ssh::KeyError;
use keyward_ssh::wire::Malformed;

/// A failure of the SSH proxy. `Display` is for the log; people are told by the session.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The peer's, or the network's.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer left: {0:?}")]
    Left(String),
    #[error("the SSH connection failed")]
    Protocol(#[from] keyward_ssh::Error),
    #[error("a message is malformed")]
    Malformed(#[from] Malformed),
    #[error("a message came out of turn")]
    OutOfTurn,
    /// RFC 4252 section 5 lets a client do that; a session has one login string.
    #[error("the client changed its user name during authentication")]
    UserChanged,
    #[error("the client's answer is too long")]
    AnswerTooLong,
    #[error("the client makes too many requests")]
    TooManyRequests,
    #[error("the peer sent more than it may")]
    WindowExceeded,
    #[error("two channels have the same number")]
    SameChannel,
    /// The configuration's: the stored host key at this place, counted from one.
    #[error("host key {number} cannot be read")]
    HostKey { number: usize, source: KeyError },
    #[error("there is no host key")]
    NoHostKey,
    /// Ours, or the system's.
    #[error("the host key cannot be written down")]
    WriteHostKey(#[source] KeyError),
    #[error("no host key can be made")]
    MakeHostKey(#[source] KeyError),
    /// The configuration's: the key of a certificate authority.
    #[error("the certificate authority cannot be used")]
    Issue(#[source] KeyError),
    #[error("the key cannot sign")]
    Sign(#[source] KeyError),
}

/// An error and its causes on one line, for a log field.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
