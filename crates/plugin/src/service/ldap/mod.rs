//! LDAP servers, as plugins may ask them: text attributes of a user, and which of some groups a user is in.
//!
//! A question takes a connection of its own, which ends with the answer: nothing is shared between questions, and a
//! server that was restarted is a matter of the next one. Everything is bounded: connections, time, bytes, entries.

mod connect;
mod entry;
mod error;
mod groups;
mod guard;
mod person;
mod server;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, Scope, SearchOptions, ldap_escape};
use rustls::ClientConfig;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use entry::Entry;

pub(crate) use error::LdapConfigError;
pub(super) use error::LdapError;
pub use person::{DirectoryError, DirectoryPerson, PeopleDirectory};
pub use server::{LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls};

/// Connections to one server at once; a question more waits for one.
const MAX_CONNECTIONS: usize = 32;
/// Attributes, or groups, of one question.
const MAX_ASKED: usize = 1000;
/// Bytes of a user's name.
const MAX_USER: usize = 1024;
/// Bytes of a group's name or DN.
const MAX_GROUP: usize = 4096;
/// Bytes of an attribute's name.
const MAX_ATTRIBUTE: usize = 256;

/// An LDAP server policy that can be asked.
#[derive(Debug)]
pub(super) struct Directory {
    server: Arc<Server>,
    connections: Arc<Semaphore>,
}

#[derive(Debug)]
struct Server {
    addresses: Vec<LdapAddress>,
    tls: Tls,
    bind: Option<LdapBind>,
    base: String,
    user_filter: String,
    groups: LdapGroups,
    timeout: Duration,
}

#[derive(Debug)]
enum Tls {
    None,
    Start(Arc<ClientConfig>),
    Direct(Arc<ClientConfig>),
}

/// What a plugin wants to know of a user.
enum Question {
    Attributes(Vec<String>),
    Groups(Vec<String>),
}

impl Directory {
    /// # Errors
    /// When the policy's filters or certificates cannot be used.
    pub(super) fn new(policy: &LdapServer) -> Result<Self, LdapConfigError> {
        let tls = match &policy.tls {
            LdapTls::None => Tls::None,
            LdapTls::StartTls(list) => Tls::Start(tls::client_config(list)?),
            LdapTls::Direct(list) => Tls::Direct(tls::client_config(list)?),
        };
        for filter in [&policy.user_filter.replace(USER, "x"), &policy.groups.filter] {
            ldap3::parse_filter(filter).map_err(|_| LdapConfigError::Filter(filter.clone()))?;
        }
        let server = Server {
            addresses: policy.addresses.clone(),
            tls,
            bind: policy.bind.clone(),
            base: policy.base.clone(),
            user_filter: policy.user_filter.clone(),
            groups: policy.groups.clone(),
            timeout: policy.timeout,
        };
        Ok(Self { server: Arc::new(server), connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)) })
    }

    /// The text values of each attribute, by the name that it was asked for; none where the user lacks it.
    /// Cancel-safe.
    pub(super) async fn attributes(&self, user: &str, attributes: Vec<String>) -> Result<Value, LdapError> {
        if let Some(bad) = attributes.iter().find(|name| !is_attribute(name)) {
            let shown: String = bad.chars().take(100).collect();
            return Err(LdapError::Question(format!("{shown:?} is no name of an attribute")));
        }
        self.ask(user, Question::Attributes(attributes)).await
    }

    /// Those of `groups` (names or DNs) that the user is in, directly or through other groups. Cancel-safe.
    pub(super) async fn groups(&self, user: &str, groups: Vec<String>) -> Result<Value, LdapError> {
        if groups.iter().any(|group| group.len() > MAX_GROUP) {
            return Err(LdapError::Question(format!("a group's name is over {MAX_GROUP} bytes")));
        }
        self.ask(user, Question::Groups(groups)).await
    }

    async fn ask(&self, user: &str, question: Question) -> Result<Value, LdapError> {
        if user.len() > MAX_USER {
            return Err(LdapError::Question(format!("the user's name is over {MAX_USER} bytes")));
        }
        let (Question::Attributes(asked) | Question::Groups(asked)) = &question;
        if asked.len() > MAX_ASKED {
            return Err(LdapError::Question(format!("{MAX_ASKED} names may be asked for at once")));
        }
        let user = user.to_owned();
        self.converse(|mut link| async move {
            match question {
                Question::Attributes(names) => attributes(&mut link, &user, names).await,
                Question::Groups(groups) => groups::filter(&mut link, &user, groups).await.map(Value::from),
            }
        })
        .await
    }

    /// Runs `work` on a bound connection of its own, in the time of the policy. Cancel-safe.
    async fn converse<T, F>(&self, work: impl FnOnce(Link) -> F + Send + 'static) -> Result<T, LdapError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LdapError>> + Send + 'static,
    {
        let late = || LdapError::Late(self.server.timeout.as_secs());
        timeout(self.server.timeout, self.converse_unhurried(work)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn converse_unhurried<T, F>(
        &self,
        work: impl FnOnce(Link) -> F + Send + 'static,
    ) -> Result<T, LdapError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LdapError>> + Send + 'static,
    {
        let closed = |_| LdapError::Broken("the gateway is shutting down".into());
        let _permit = self.connections.acquire().await.map_err(closed)?;
        // A task of its own, since the library panics where a server breaks the protocol in certain ways.
        let task = tokio::spawn(on_link(Arc::clone(&self.server), work));
        let answered = AbortOnDropHandle::new(task).await;
        answered.unwrap_or_else(|_| Err(LdapError::Broken("a message cannot be understood".into())))
    }
}

async fn on_link<T, F>(server: Arc<Server>, work: impl FnOnce(Link) -> F) -> Result<T, LdapError>
where
    F: Future<Output = Result<T, LdapError>>,
{
    let stream = connect::connect(&server).await?;
    connect::converse(stream, |ldap| async move {
        let is_anonymous = server.bind.is_none();
        let mut link = Link { ldap, server };
        if !is_anonymous {
            link.bind().await?;
        }
        work(link).await
    })
    .await
}

async fn attributes(link: &mut Link, user: &str, names: Vec<String>) -> Result<Value, LdapError> {
    let entry = link.user(user, &names).await?;
    let values = names.into_iter().map(|name| Ok((name.clone(), entry.values(&name)?.into())));
    values.collect::<Result<Map<_, _>, LdapError>>().map(Value::Object)
}

/// A bound connection.
struct Link {
    ldap: Ldap,
    server: Arc<Server>,
}

/// Stands for the user's name in a filter.
const USER: &str = "{user}";
/// Asks for no attribute (RFC 4511 section 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";

impl Link {
    /// As the gateway. After somebody else has bound, also where the gateway is anonymous.
    async fn bind(&mut self) -> Result<(), LdapError> {
        let server = Arc::clone(&self.server);
        let (dn, password) = server.bind.as_ref().map_or(("", ""), |bind| (&bind.dn, bind.password.expose()));
        let result = self.ldap.simple_bind(dn, password).await.map_err(connect::of_library)?;
        connect::accepted("the bind", &result)
    }

    /// The one entry of this user.
    async fn user(&mut self, user: &str, attributes: &[String]) -> Result<Entry, LdapError> {
        let filter = self.server.user_filter.replace(USER, &ldap_escape(user));
        let mut found = self.search("the search for the user", &filter, attributes, 2).await?.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Err(LdapError::UserNotFound),
            (Some(entry), None) => Ok(entry),
            (Some(_), Some(_)) => Err(LdapError::Ambiguous),
        }
    }

    /// The entries below the base that match; `limit` of 0: as many as the server gives.
    async fn search(
        &mut self,
        what: &'static str,
        filter: &str,
        attributes: &[String],
        limit: i32,
    ) -> Result<Vec<Entry>, LdapError> {
        const SIZE_LIMIT_EXCEEDED: u32 = 4;
        let seconds = i32::try_from(self.server.timeout.as_secs().max(1)).unwrap_or(i32::MAX);
        let options = SearchOptions::new().sizelimit(limit).timelimit(seconds);
        let wanted: Vec<&str> = match attributes {
            [] => vec![NO_ATTRIBUTES],
            names => names.iter().map(String::as_str).collect(),
        };
        let searched =
            self.ldap.with_search_options(options).search(&self.server.base, Scope::Subtree, filter, wanted);
        let ldap3::SearchResult(found, result) = searched.await.map_err(connect::of_library)?;
        let entries = found.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        let broken = || LdapError::Broken("an entry cannot be understood".into());
        let entries: Vec<Entry> =
            entries.map(|entry| Entry::read(entry).ok_or_else(broken)).collect::<Result<_, _>>()?;
        // A server with a lower limit of its own has left out what was asked for.
        let is_full = i32::try_from(entries.len()).is_ok_and(|count| limit > 0 && count >= limit);
        if result.rc != SIZE_LIMIT_EXCEEDED || !is_full {
            connect::accepted(what, &result)?;
        }
        Ok(entries)
    }
}

/// A name or an object identifier, with options (RFC 4512 section 2.5). `*` and `+`, which stand for many, are none.
fn is_attribute(name: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let mut parts = name.split(';');
    let base = parts.next().unwrap_or_default();
    let is_oid = base.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    let is_name = base.starts_with(|c: char| c.is_ascii_alphabetic()) && is_word(base);
    name.len() <= MAX_ATTRIBUTE && name != NO_ATTRIBUTES && (is_oid || is_name) && parts.all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CaList;

    fn policy(user_filter: &str, tls: LdapTls) -> LdapServer {
        let groups = LdapGroups {
            filter: "(objectClass=*)".into(),
            name: "cn".into(),
            members: Vec::new(),
            member_names: Vec::new(),
        };
        let (user_filter, timeout) = (user_filter.into(), Duration::from_secs(1));
        LdapServer {
            addresses: Vec::new(),
            tls,
            bind: None,
            base: "dc=x".into(),
            user_filter,
            groups,
            timeout,
        }
    }

    #[test]
    fn a_policy_that_cannot_work_is_refused_at_the_start() {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let certificate = LdapTls::Direct(CaList { certs: vec![pem("CERTIFICATE")], ..CaList::default() });
        let crl = LdapTls::StartTls(CaList { crls: vec![pem("X509 CRL")], ..CaList::default() });
        for (filter, tls, reason) in [
            ("(uid={user})", LdapTls::None, None),
            ("(uid~{user})", LdapTls::None, Some("the filter \"(uid~x)\" is no LDAP filter (RFC 4515)")),
            ("(uid={user})", certificate, Some("certificate 1 of its trusted CA list cannot be used")),
            ("(uid={user})", crl, Some("TLS cannot be set up")),
        ] {
            let said = Directory::new(&policy(filter, tls)).err().map(|error| error.to_string());
            match (said, reason) {
                (Some(said), Some(reason)) => assert!(said.starts_with(reason), "{said}"),
                (said, reason) => assert_eq!(said.as_deref(), reason),
            }
        }
    }

    #[test]
    fn only_single_attributes_can_be_asked_for() {
        for good in ["cn", "2.5.4.3", "userCertificate;binary", "x-ray"] {
            assert!(is_attribute(good), "{good}");
        }
        for bad in ["", "*", "+", "1.1", "cn)", "c n", "cn;", "2..3", "-cn", &"x".repeat(300)] {
            assert!(!is_attribute(bad), "{bad}");
        }
    }
}
