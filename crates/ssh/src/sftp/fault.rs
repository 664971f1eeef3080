//! What makes a stream one that nobody can follow.

use crate::wire::Malformed;

/// A peer does not keep to the protocol, or not to the part of it that can be followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("a packet is longer than any should be")]
    TooLong,
    #[error("a packet is malformed")]
    Malformed(#[from] Malformed),
    #[error("a path has a zero byte in it")]
    ZeroByte,
    #[error("a packet came out of turn")]
    OutOfTurn,
    #[error("two requests have the same number")]
    SameNumber,
    #[error("an answer to no request")]
    Unasked,
    #[error("a handle that is in use was given again")]
    SameHandle,
    #[error("too many requests wait for an answer")]
    TooManyRequests,
    #[error("a version other than 3")]
    Version,
}
