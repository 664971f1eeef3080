//! Local users.

use keyward_model::Secret;

use crate::{PasswordHash, verify_nobody};

/// A person whom the gateway itself can authenticate: `[[user]]`.
#[derive(Clone, Debug)]
pub struct LocalUser {
    pub name: String,
    /// `None`: no password is right.
    pub password: Option<PasswordHash>,
    /// In OpenSSH's text form without comment: `ssh-ed25519 AAAA...`.
    pub public_keys: Vec<String>,
    pub groups: Vec<String>,
    /// Of certificates: one of these must be among those that a certificate lists. Never empty.
    pub principals: Vec<String>,
}

impl LocalUser {
    /// Whether the password is right.
    ///
    /// Slow on purpose: some 20 ms of one core and 19 MiB with the parameters that [`crate::hash_password`]
    /// uses, also for a user without a password. Not for a thread that serves others.
    pub fn verify_password(&self, password: &Secret) -> bool {
        match &self.password {
            Some(hash) => hash.verify(password),
            None => {
                verify_nobody(password);
                false
            }
        }
    }
}
