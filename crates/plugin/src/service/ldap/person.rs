//! People who log in on the gateway: is this their password, which keys and groups have they?
//!
//! The same connections, bounds and guard as for the questions of plugins, but none of their places.

use keyward_model::Secret;
use ldap3::LdapResult;

use super::error::LdapError;
use super::{Directory, Entry, LdapConfigError, LdapServer, Link, MAX_USER, connect, groups, is_attribute};

/// Of a user.
const MAX_KEYS: usize = 256;
/// Bytes of a password. The protocol has no limit, servers have.
const MAX_PASSWORD: usize = 1024;

/// An LDAP server that knows who may log in on the gateway.
#[derive(Debug)]
pub struct PeopleDirectory(Directory);

/// Somebody whom the directory knows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DirectoryPerson {
    /// The names of all groups, those within groups too, as the directory writes them.
    pub groups: Vec<String>,
    /// The values of the attribute that was asked for.
    pub public_keys: Vec<String>,
}

/// Why the directory has no answer. For the log, not for the person; no secret is in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct DirectoryError(String);

impl DirectoryError {
    /// There is a policy for the server, but it cannot be used; the log has said why.
    pub fn unusable() -> Self {
        Self("its policy cannot be used".into())
    }
}

impl PeopleDirectory {
    /// # Errors
    /// When the policy's filters or certificates cannot be used.
    pub fn new(policy: &LdapServer) -> Result<Self, DirectoryError> {
        let unusable = |error: LdapConfigError| DirectoryError(error.to_string());
        if compared(&policy.user_filter).is_empty() {
            return Err(DirectoryError("its user filter compares no attribute with {user}".into()));
        }
        Directory::new(policy).map(Self).map_err(unusable)
    }

    /// Whom the server's user filter finds; that it finds two is an error. Cancel-safe.
    pub async fn person(
        &self,
        user: &str,
        keys_attribute: &str,
    ) -> Result<Option<DirectoryPerson>, DirectoryError> {
        let (name, keys_attribute) = (user.to_owned(), keys_attribute.to_owned());
        self.ask(user, |mut link| async move {
            let entry = named(&mut link, &name, std::slice::from_ref(&keys_attribute)).await?;
            let mut public_keys = entry.values(&keys_attribute)?;
            public_keys.truncate(MAX_KEYS);
            let groups = groups::all(&mut link, &name, entry.dn).await?.into_names();
            Ok(DirectoryPerson { groups, public_keys })
        })
        .await
    }

    /// The person without keys, if the password is theirs: the directory lets them bind with it. `None` where it does
    /// not, for whatever reason, and where there is no such person. Cancel-safe.
    pub async fn check_password(
        &self,
        user: &str,
        password: &Secret,
    ) -> Result<Option<DirectoryPerson>, DirectoryError> {
        // With an empty password a bind succeeds and proves nothing (RFC 4513 section 5.1.2).
        if password.is_empty() || password.expose().len() > MAX_PASSWORD {
            return Ok(None);
        }
        let (name, password) = (user.to_owned(), password.clone());
        self.ask(user, |mut link| async move {
            let entry = named(&mut link, &name, &[]).await?;
            if entry.dn.is_empty() {
                return Err(LdapError::UserNotFound);
            }
            let bound = link.ldap.simple_bind(&entry.dn, password.expose()).await;
            if !is_right(&bound.map_err(connect::of_library)?)? {
                return Err(LdapError::UserNotFound);
            }
            // What the gateway may see of the groups is not for the person to decide.
            link.bind().await?;
            let groups = groups::all(&mut link, &name, entry.dn).await?.into_names();
            Ok(DirectoryPerson { groups, public_keys: Vec::new() })
        })
        .await
    }

    async fn ask<F>(
        &self,
        user: &str,
        question: impl FnOnce(Link) -> F + Send + 'static,
    ) -> Result<Option<DirectoryPerson>, DirectoryError>
    where
        F: Future<Output = Result<DirectoryPerson, LdapError>> + Send + 'static,
    {
        if user.is_empty() || user.len() > MAX_USER {
            return Ok(None);
        }
        match self.0.converse(question).await {
            Ok(person) => Ok(Some(person)),
            Err(LdapError::UserNotFound) => Ok(None),
            Err(error) => Err(DirectoryError(error.to_string())),
        }
    }
}

/// The person of exactly this name.
///
/// A directory compares without regard to case, spaces and often accents; everything behind the log-in (groups by name,
/// user mappings, lists, plugins) compares exactly. Whoever is known under another spelling would choose what holds for
/// them.
async fn named(link: &mut Link, name: &str, more: &[String]) -> Result<Entry, LdapError> {
    let names = compared(&link.server.user_filter);
    let wanted: Vec<String> = names.iter().chain(more).cloned().collect();
    let entry = link.user(name, &wanted).await?;
    for attribute in &names {
        if entry.values(attribute)?.iter().any(|value| value == name) {
            return Ok(entry);
        }
    }
    Err(LdapError::UserNotFound)
}

/// The attributes that a filter compares with the name (RFC 4515): `uid` of `(uid={user})`.
fn compared(filter: &str) -> Vec<String> {
    let attribute = |part: &str| {
        let written = part.rsplit('(').next().unwrap_or_default();
        // A matching rule may be named behind the attribute.
        let name = written.split(':').next().unwrap_or_default();
        is_attribute(name).then(|| name.to_owned())
    };
    filter.match_indices("={user})").filter_map(|(at, _)| attribute(filter.get(..at)?)).collect()
}

/// Whether a bind as the person succeeded. The directory's other reasons to refuse somebody (a locked account, an expired
/// password) are no fault of the server's.
fn is_right(result: &LdapResult) -> Result<bool, LdapError> {
    const CONSTRAINT_VIOLATION: u32 = 19;
    const NO_SUCH_OBJECT: u32 = 32;
    const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    const INVALID_CREDENTIALS: u32 = 49;
    const INSUFFICIENT_ACCESS_RIGHTS: u32 = 50;
    const UNWILLING_TO_PERFORM: u32 = 53;
    match result.rc {
        0 => Ok(true),
        CONSTRAINT_VIOLATION
        | NO_SUCH_OBJECT
        | INAPPROPRIATE_AUTHENTICATION
        | INVALID_CREDENTIALS
        | INSUFFICIENT_ACCESS_RIGHTS
        | UNWILLING_TO_PERFORM => Ok(false),
        _ => connect::accepted("the bind as the person", result).map(|()| false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_that_a_filter_compares_with_the_name_are_known() {
        for (filter, attributes) in [
            ("(uid={user})", &["uid"][..]),
            ("(&(objectClass=person)(|(uid={user})(mail={user})))", &["uid", "mail"]),
            ("(&(cn:caseExactMatch:={user})(!(locked=1)))", &["cn"]),
            ("(uid={user}*)", &[]),
            ("(uid~={user})", &[]),
            ("(objectClass=person)", &[]),
        ] {
            assert_eq!(compared(filter), attributes, "{filter}");
        }
    }
}
