//! Key exchange (RFC 4253 section 8): the methods, the shared secret, the keys derived from it.

mod curve;
mod finite;
mod hybrid;
mod method;
mod primes;
mod secret;
mod sntrup;
#[cfg(test)]
mod tests;

use std::fmt;

use curve::{Curve, KeyPair};
pub(crate) use finite::DhGroup;
use finite::Exponent;
use hybrid::KeyPairs;
pub(crate) use method::Hash;
pub use method::Method;
#[cfg(test)]
pub(crate) use primes::GROUP_14 as PRIME_14;
pub(crate) use secret::{SharedSecret, derive};

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KexError {
    #[error("the peer's public value is none that this key exchange allows")]
    Public,
    #[error("the server's group is not one of 2048 to 8192 bits with a generator")]
    Group,
    #[error("the key exchange method does not begin this way")]
    Method,
    #[error("the crypto library failed")]
    Library,
}

/// The client's side of an exchange that waits for the server's reply.
pub(crate) struct Initiator(Waiting);

enum Waiting {
    Hybrid(Box<KeyPairs>),
    Sntrup(Box<sntrup::KeyPairs>),
    Curve(KeyPair),
    Finite(Box<Exponent>),
}

impl Initiator {
    /// The client's public value comes with it: the contents of the string (or `mpint`: both are a length and
    /// these bytes) of `SSH_MSG_KEX*_INIT`. Not for a group exchange: see [`start_in_group`](Self::start_in_group).
    pub(crate) fn start(method: Method) -> Result<(Self, Vec<u8>), KexError> {
        match kind(method) {
            Kind::Hybrid => {
                let (keys, public) = KeyPairs::generate()?;
                Ok((Self(Waiting::Hybrid(Box::new(keys))), public))
            }
            Kind::Sntrup => {
                let (keys, public) = sntrup::KeyPairs::generate()?;
                Ok((Self(Waiting::Sntrup(Box::new(keys))), public))
            }
            Kind::Curve(curve) => {
                let (key, public) = KeyPair::generate(curve)?;
                Ok((Self(Waiting::Curve(key)), public))
            }
            Kind::Finite { prime } => Self::start_in_group(DhGroup::known(prime)?),
            Kind::GroupExchange => Err(KexError::Method),
        }
    }

    /// As [`start`](Self::start), in a group that the server sent.
    pub(crate) fn start_in_group(group: DhGroup) -> Result<(Self, Vec<u8>), KexError> {
        let (exponent, public) = Exponent::generate(group)?;
        Ok((Self(Waiting::Finite(Box::new(exponent))), public))
    }

    /// `reply` is the server's public value: the contents of the string or `mpint`.
    pub(crate) fn finish(self, reply: &[u8]) -> Result<SharedSecret, KexError> {
        match self.0 {
            Waiting::Hybrid(keys) => keys.finish(reply),
            Waiting::Sntrup(keys) => keys.finish(reply),
            Waiting::Curve(key) => Ok(SharedSecret::from_number(&key.agree(reply)?)),
            Waiting::Finite(exponent) => exponent.agree(reply),
        }
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").finish_non_exhaustive()
    }
}

/// The server's side, all of it: its public value, and K. `init` is what [`Initiator::start`] gave the client.
///
/// Not for a group exchange, which our server does not offer.
pub(crate) fn respond(method: Method, init: &[u8]) -> Result<(Vec<u8>, SharedSecret), KexError> {
    match kind(method) {
        Kind::Hybrid => hybrid::respond(init),
        Kind::Sntrup => sntrup::respond(init),
        Kind::Curve(curve) => {
            let (key, public) = KeyPair::generate(curve)?;
            Ok((public, SharedSecret::from_number(&key.agree(init)?)))
        }
        Kind::Finite { prime } => {
            let (exponent, public) = Exponent::generate(DhGroup::known(prime)?)?;
            Ok((public, exponent.agree(init)?))
        }
        Kind::GroupExchange => Err(KexError::Method),
    }
}

enum Kind {
    Hybrid,
    Sntrup,
    Curve(Curve),
    Finite { prime: &'static str },
    GroupExchange,
}

fn kind(method: Method) -> Kind {
    match method {
        Method::MlKem768X25519 => Kind::Hybrid,
        Method::Sntrup761X25519 | Method::Sntrup761X25519OpenSsh => Kind::Sntrup,
        Method::Curve25519 | Method::Curve25519LibSsh => Kind::Curve(Curve::X25519),
        Method::EcdhP256 => Kind::Curve(Curve::P256),
        Method::EcdhP384 => Kind::Curve(Curve::P384),
        Method::EcdhP521 => Kind::Curve(Curve::P521),
        Method::DhGroup18 => Kind::Finite { prime: primes::GROUP_18 },
        Method::DhGroup16 => Kind::Finite { prime: primes::GROUP_16 },
        Method::DhGroup14Sha256 | Method::DhGroup14Sha1 => Kind::Finite { prime: primes::GROUP_14 },
        Method::DhGroup1Sha1 => Kind::Finite { prime: primes::GROUP_1 },
        Method::GroupExchangeSha256 | Method::GroupExchangeSha1 => Kind::GroupExchange,
    }
}
