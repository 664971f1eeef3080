//! What makes a channel one that nobody can follow.

/// A side does not keep to the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("a line is no line of scp")]
    Line,
    #[error("a line or a path is too long")]
    TooLong,
    #[error("something came before its turn")]
    OutOfTurn,
}
