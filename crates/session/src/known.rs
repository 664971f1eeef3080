//! Step 4: what the policy's backend, local users or a directory, knows of the person who connects.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use keyward_model::Secret;
use keyward_plugin::{DirectoryError, DirectoryPerson, PeopleDirectory};
use keyward_policy::{Authentication, Backend, KeyLimits, LocalUser, Method, is_from, verify_nobody};

use crate::proof::{Factor, KnownKey};
use crate::{Named, Reason};

/// Nobody can be judged now, since the backend does not answer. It ends the session, by
/// [`Named::unjudged`](crate::Named::unjudged).
#[derive(Debug)]
#[must_use]
pub struct Unjudged(pub(crate) Box<Reason>);

/// By which certificates the person may be known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateTerms {
    /// The keys of the authorities, in OpenSSH's text form.
    pub authorities: Vec<String>,
    /// A certificate must list one of these.
    pub principals: Vec<String>,
}

/// A user's certificate that the protocol has verified: it is signed by `authority`, it is for users, and for one of the
/// principals, its time is now, and it has no critical option that is not here.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedCertificate<'a> {
    /// The key that it certifies, and that of the authority, in OpenSSH's text form.
    pub key: &'a str,
    pub authority: &'a str,
    pub serial: u64,
    pub key_id: &'a str,
    pub force_command: Option<&'a str>,
    pub source_addresses: Option<&'a str>,
    pub extensions: &'a [String],
    /// From when on it is worth nothing any more.
    pub valid_before: Option<SystemTime>,
}

/// Why a certificate that was verified is not taken all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateRefused {
    #[error("no certificate is taken at this point")]
    NotTaken,
    #[error("its authority is not trusted")]
    Authority,
    #[error("it has been revoked")]
    Revoked,
    #[error("its key has been revoked")]
    KeyRevoked,
    #[error("it may not be used from this address")]
    Address,
}

/// Whom the backend knows under the claimed name. It is asked once, also about nobody.
#[derive(Debug, Default)]
pub(crate) enum LookedUp {
    #[default]
    NotYet,
    Nobody,
    Person(Known),
}

#[derive(Debug)]
pub(crate) struct Known {
    groups: Vec<String>,
    /// In OpenSSH's text form, perhaps with a comment.
    public_keys: Vec<String>,
    principals: Vec<String>,
}

impl Named {
    /// Checks a password, which takes a while on purpose, and for unknown local users as long as for others.
    /// `method` is how it came: as a password, or as the answer to a question.
    pub async fn check_password(
        &self,
        method: Method,
        password: &Secret,
    ) -> Result<Option<Factor>, Unjudged> {
        let Some((authentication, name)) = self.judged_by(method) else { return Ok(None) };
        let groups = match &authentication.backend {
            Backend::Local => self.check_local_password(name, password).await,
            Backend::Ldap { server, .. } => {
                let person = self.directory(server)?.check_password(name, password).await;
                found(server, person)?.map(|person| person.groups)
            }
        };
        let password = Some(password.clone());
        Ok(groups.map(|groups| {
            let limits = KeyLimits::default();
            Factor { method, groups, password, limits, valid_before: None }
        }))
    }

    /// The groups of the local user whose password this is.
    async fn check_local_password(&self, name: &str, password: &Secret) -> Option<Vec<String>> {
        let user = self.core.policy.users.get(name).cloned();
        let given = password.clone();
        // Argon2 takes tens of milliseconds of a core: not on the threads that relay, and not on all at once.
        let place = Arc::clone(&self.core.shared.password_checks).acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            match user {
                Some(user) => user.verify_password(&given).then_some(user.groups),
                None => {
                    verify_nobody(&given);
                    None
                }
            }
        })
        .await
        .ok()?
    }

    /// Whether the person may use this public key, in OpenSSH's text form (`type base64 [comment]`).
    ///
    /// Says nothing yet about who holds the private key, so it is no [`Factor`].
    pub async fn check_public_key(&mut self, key: &str) -> Result<Option<KnownKey>, Unjudged> {
        let Some((authentication, _)) = self.judged_by(Method::PublicKey) else { return Ok(None) };
        let is_revoked = authentication.has_revoked(key);
        let Some(known) = self.look_up().await? else { return Ok(None) };
        let may_use = !is_revoked && known.public_keys.iter().any(|line| same_key(line, key));
        Ok(may_use.then(|| {
            let limits = KeyLimits::default();
            KnownKey { groups: known.groups.clone(), limits, valid_before: None }
        }))
    }

    /// By which certificates the person may be known at this point; `None`: by none. Whom the backend does not know is
    /// known by no certificate either.
    pub async fn certificate_terms(&mut self) -> Result<Option<CertificateTerms>, Unjudged> {
        let Some((authentication, _)) = self.judged_by(Method::PublicKey) else { return Ok(None) };
        let authorities: Vec<String> = authentication.user_cas.iter().map(|ca| ca.key.clone()).collect();
        if authorities.is_empty() {
            return Ok(None);
        }
        let known = self.look_up().await?;
        Ok(known.map(|known| CertificateTerms { authorities, principals: known.principals.clone() }))
    }

    /// Whether the person may use the key of this certificate; the rest of what it says was verified by the terms of
    /// [`certificate_terms`](Self::certificate_terms).
    ///
    /// Says nothing yet about who holds the private key, so it is no [`Factor`].
    pub async fn check_certificate(
        &mut self,
        certificate: &VerifiedCertificate<'_>,
    ) -> Result<Result<KnownKey, CertificateRefused>, Unjudged> {
        let Some((authentication, _)) = self.judged_by(Method::PublicKey) else {
            return Ok(Err(CertificateRefused::NotTaken));
        };
        if let Err(refused) = judge(authentication, certificate, self.core.client.0.ip()) {
            return Ok(Err(refused));
        }
        let limits =
            KeyLimits::of_certificate(certificate.force_command.map(str::to_owned), certificate.extensions);
        let known = self.look_up().await?.ok_or(CertificateRefused::NotTaken);
        let valid_before = certificate.valid_before;
        Ok(known.map(|known| KnownKey { groups: known.groups.clone(), limits, valid_before }))
    }

    /// What the backend knows of the person; `None`: it does not know them.
    async fn look_up(&mut self) -> Result<Option<&Known>, Unjudged> {
        if let LookedUp::NotYet = self.looked_up {
            let Some((authentication, name)) = self.judged_by(Method::PublicKey) else { return Ok(None) };
            let known = match &authentication.backend {
                Backend::Local => self.core.policy.users.get(name).map(Known::from),
                Backend::Ldap { server, public_keys } => {
                    let person = self.directory(server)?.person(name, public_keys).await;
                    found(server, person)?.map(|person| Known::of(name, person))
                }
            };
            self.looked_up = known.map_or(LookedUp::Nobody, LookedUp::Person);
        }
        Ok(match &self.looked_up {
            LookedUp::Person(known) => Some(known),
            LookedUp::NotYet | LookedUp::Nobody => None,
        })
    }

    fn directory(&self, server: &str) -> Result<&PeopleDirectory, Unjudged> {
        let unusable = || unanswered(server, &DirectoryError::unusable());
        self.core.directory.as_deref().ok_or_else(unusable)
    }

    /// The policy's rules and the name that is claimed, where it is this method's turn.
    fn judged_by(&self, method: Method) -> Option<(&Authentication, &str)> {
        let authentication = self.core.connection.authentication.as_ref()?;
        self.progress.takes(method).then_some((authentication, self.claimed_user()?))
    }
}

/// What of a certificate is the policy's matter.
fn judge(
    authentication: &Authentication,
    certificate: &VerifiedCertificate<'_>,
    client: IpAddr,
) -> Result<(), CertificateRefused> {
    if !authentication.has_user_ca(certificate.authority) {
        return Err(CertificateRefused::Authority);
    }
    if authentication.has_revoked_certificate(certificate.authority, certificate.serial, certificate.key_id) {
        return Err(CertificateRefused::Revoked);
    }
    if authentication.has_revoked(certificate.key) {
        return Err(CertificateRefused::KeyRevoked);
    }
    match certificate.source_addresses.map(|list| is_from(list, client)) {
        None | Some(Some(true)) => Ok(()),
        // Neither from elsewhere, nor by a list that nobody can read.
        Some(Some(false) | None) => Err(CertificateRefused::Address),
    }
}

fn found(
    server: &str,
    person: Result<Option<DirectoryPerson>, DirectoryError>,
) -> Result<Option<DirectoryPerson>, Unjudged> {
    person.map_err(|error| unanswered(server, &error))
}

fn unanswered(server: &str, error: &DirectoryError) -> Unjudged {
    Unjudged(Box::new(Reason::Directory { server: server.to_owned(), error: error.to_string() }))
}

impl From<&LocalUser> for Known {
    fn from(user: &LocalUser) -> Self {
        Self {
            groups: user.groups.clone(),
            public_keys: user.public_keys.clone(),
            principals: user.principals.clone(),
        }
    }
}

impl Known {
    fn of(name: &str, person: DirectoryPerson) -> Self {
        Self { groups: person.groups, public_keys: person.public_keys, principals: vec![name.to_owned()] }
    }
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
