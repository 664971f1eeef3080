//! Steps 3 and 4: the login string is read; who is it that connects?

use std::sync::Arc;

use keyward_model::{Grammar, LoginError, LoginString, Protocol, Secret, TargetMode};
use keyward_policy::{Authentication, Connection, Method, Policy, Target};

use crate::core::Core;
use crate::{Conversation, Ended, Identified, Reason};

/// The login string is known, and the ledger has a row.
#[derive(Debug)]
pub struct Named {
    pub(crate) core: Box<Core>,
    pub(crate) login: LoginString,
}

/// That somebody has proven who they are by the policy's means, or that the policy asks for no proof.
///
/// Only [`Named`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Proof {
    pub(crate) user: Option<ProvenUser>,
}

/// A public key that a local user may use, offered by somebody who need not hold the private one.
#[derive(Debug)]
#[must_use]
pub struct KnownKey {
    owner: ProvenUser,
}

impl KnownKey {
    /// The proof, once the protocol has verified a signature of this connection with the private key
    /// (RFC 4252 section 7). Each call is a place to look at in a review.
    pub fn signed(self) -> Proof {
        Proof { user: Some(self.owner) }
    }
}

#[derive(Debug)]
pub(crate) struct ProvenUser {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    /// The password, where the gateway saw one: credential store plugins get it.
    pub(crate) password: Option<Secret>,
}

impl Named {
    pub fn connection(&self) -> &Connection {
        &self.core.connection
    }

    /// The methods by which the person may prove who they are, in order; empty where the policy leaves that
    /// to the AA plugin alone.
    pub fn methods(&self) -> &[Method] {
        self.core.connection.authentication.as_ref().map_or(&[], |authentication| &authentication.methods)
    }

    /// The proof where the policy asks for none; `None` where it does.
    pub fn unauthenticated(&self) -> Option<Proof> {
        self.core.connection.authentication.is_none().then_some(Proof { user: None })
    }

    /// Checks a password of a local user, which takes a while on purpose, and as long for unknown users.
    pub async fn check_password(&self, password: &Secret) -> Option<Proof> {
        self.accepts(&[Method::Password, Method::KeyboardInteractive])?;
        let name = self.claimed_user()?.to_owned();
        let user = self.policy().users.get(&name).cloned();
        let (given, typed) = (password.clone(), password.clone());
        // Argon2 takes tens of milliseconds of a core: not on the threads that relay, and not on all at once.
        let place = Arc::clone(&self.core.shared.password_checks).acquire_owned().await.ok()?;
        let groups = tokio::task::spawn_blocking(move || {
            let _place = place;
            match user {
                Some(user) => user.verify_password(&given).then_some(user.groups),
                None => {
                    keyward_policy::verify_nobody(&given);
                    None
                }
            }
        })
        .await
        .ok()??;
        Some(Proof { user: Some(ProvenUser { name, groups, password: Some(typed) }) })
    }

    /// Whether a local user may use this public key, in OpenSSH's text form (`type base64 [comment]`).
    ///
    /// Says nothing yet about who holds the private key, so it is no [`Proof`].
    pub fn check_public_key(&self, key: &str) -> Option<KnownKey> {
        self.accepts(&[Method::PublicKey])?;
        let user = self.policy().users.get(self.claimed_user()?)?;
        let known = user.public_keys.iter().any(|line| same_key(line, key));
        known.then(|| KnownKey {
            owner: ProvenUser { name: user.name.clone(), groups: user.groups.clone(), password: None },
        })
    }

    /// Step 5: the AA plugin's `authenticate`, with as many questions as it has.
    pub async fn identify<C: Conversation>(
        self,
        proof: Proof,
        conversation: &mut C,
    ) -> Result<Identified, Ended> {
        Identified::reach(self, proof, conversation).await
    }

    /// The person could not prove who they are.
    pub fn fail(self, why: &str) -> Ended {
        self.core.end(&Reason::Authentication(why.to_owned()))
    }

    /// `gu=` of the login string, or else the remote user.
    fn claimed_user(&self) -> Option<&str> {
        self.login.gateway_user().or(self.login.user.as_deref())
    }

    fn accepts(&self, methods: &[Method]) -> Option<&Authentication> {
        let authentication = self.core.connection.authentication.as_ref()?;
        authentication.methods.iter().any(|method| methods.contains(method)).then_some(authentication)
    }

    fn policy(&self) -> &Policy {
        &self.core.policy
    }
}

/// Step 3, in the grammar of the connection's protocol.
pub(crate) fn parse(connection: &Connection, login: &[u8]) -> Result<LoginString, LoginError> {
    let grammar = match connection.protocol {
        Protocol::Ssh | Protocol::Telnet | Protocol::Vnc | Protocol::Http => Grammar::Terminal,
        Protocol::Rdp => Grammar::Rdp,
    };
    let mode = match connection.target {
        Target::Fixed { .. } => TargetMode::Fixed,
        Target::Inband(_) => TargetMode::Inband,
    };
    LoginString::parse(login, grammar, mode)
}

/// Compares type and base64 text; comments differ freely.
fn same_key(line: &str, key: &str) -> bool {
    let mut known = line.split_ascii_whitespace();
    let mut offered = key.split_ascii_whitespace();
    match (known.next(), known.next(), offered.next(), offered.next()) {
        (Some(kind), Some(text), Some(offered_kind), Some(offered_text)) => {
            kind == offered_kind && text == offered_text
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_type_and_text_whatever_its_comment() {
        assert!(same_key("ssh-ed25519 AAAA alice@laptop", "ssh-ed25519 AAAA"));
        assert!(!same_key("ssh-ed25519 AAAA", "ssh-ed25519 AAAB"));
        assert!(!same_key("ssh-ed25519 AAAA", "ssh-rsa AAAA"));
        assert!(!same_key("", ""));
        assert!(!same_key("ssh-ed25519", "ssh-ed25519"));
    }
}
