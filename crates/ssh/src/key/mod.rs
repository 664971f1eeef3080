//! Host keys and user keys: reading them, signing with them, checking their signatures.
//!
//! [`PublicKey`] and [`Certificate`] read what a peer sent, [`SigningKey`] what a store holds, in whatever
//! text. All of them bound what they read before they compute with it.

mod algorithm;
mod certificate;
mod dsa_numbers;
mod error;
mod form;
mod issue;
mod pem;
mod public;
mod signing;
mod verify;

pub use algorithm::SignatureAlgorithm;
pub use certificate::{Certificate, CertificateOptions, Purpose};
pub use error::KeyError;
pub use issue::UserCertificate;
pub use public::PublicKey;
pub use signing::{KeyKind, SigningKey};
pub use verify::Presence;

#[cfg(test)]
mod tests;
