//! What can go wrong in the protocol, by whose fault it is.

use crate::cipher::CipherError;
use crate::kex::KexError;
use crate::key::KeyError;
use crate::message::Disconnect;
use crate::wire::Malformed;

/// A connection that cannot go on. `Display` is for a log; nothing of it is a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer's: it is no SSH peer, or of another century.
    #[error("the peer is no SSH 2.0: it says {0:?}")]
    NotSsh(String),
    #[error("the peer talks for too long before it says that it is SSH")]
    EndlessBanner,
    #[error("malformed")]
    Malformed(#[from] Malformed),
    #[error("a message of type {number} does not belong here")]
    Unexpected { number: u8 },
    #[error("the peer begins key exchanges all the time")]
    ExchangeFlood,
    #[error("the peer wants answers and does not read them")]
    AnswerFlood,
    #[error("the peer does not take part in the key exchange that is due")]
    OldKeys,
    #[error("no {what} in common: the peer has {theirs}")]
    NothingInCommon { what: &'static str, theirs: String },
    #[error("a packet was damaged, or is no packet")]
    Packet(#[from] CipherError),
    #[error("the key exchange failed")]
    Kex(#[from] KexError),
    /// The peer's, or a man in the middle's.
    #[error("the host key did not sign the key exchange")]
    HostKeySignature(#[source] KeyError),
    #[error("the host key changed during the connection")]
    HostKeyChanged,
    #[error("the host key was refused")]
    HostKeyRefused,
    /// Ours: the configuration has no key for what it offered.
    #[error("the host key cannot sign")]
    Sign(#[source] KeyError),
    #[error("no random numbers")]
    Random,
}

impl Error {
    /// The reason to give to the peer.
    pub fn disconnect(&self) -> Disconnect {
        match self {
            Self::NotSsh(_)
            | Self::EndlessBanner
            | Self::Malformed(_)
            | Self::Unexpected { .. }
            | Self::ExchangeFlood
            | Self::AnswerFlood
            | Self::OldKeys
            | Self::Packet(_) => Disconnect::ProtocolError,
            Self::NothingInCommon { .. } | Self::Kex(_) | Self::Sign(_) | Self::Random => {
                Disconnect::KeyExchangeFailed
            }
            Self::HostKeySignature(_) | Self::HostKeyChanged | Self::HostKeyRefused => {
                Disconnect::HostKeyNotVerifiable
            }
        }
    }
}
