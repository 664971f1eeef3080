//! The SSH protocol (RFC 4250 to 4254) without I/O, for both of its sides.
//!
//! [`Transport`] is one side of one connection. [`auth`] and [`channel`] are the messages of the layers above it,
//! [`agent`], [`sftp`] and [`scp`] are what runs in channels, [`wire`] the data types that all are made of.

pub mod agent;
pub mod auth;
pub mod channel;
mod cipher;
mod error;
mod kex;
mod key;
pub mod message;
mod negotiate;
mod pool;
pub mod scp;
pub mod sftp;
mod transport;
pub mod wire;

pub use cipher::{Cipher, Mac};
pub use error::Error;
pub use kex::Method as KexMethod;
pub use key::{
    Certificate, CertificateOptions, KeyError, KeyKind, Presence, PublicKey, Purpose, SignatureAlgorithm,
    SigningKey, UserCertificate,
};
pub use message::Disconnect;
pub use negotiate::{Preferences, Protection, Role};
pub use pool::Pool;
pub use transport::{Config, Event, Farewell, HostKey, Transport};
