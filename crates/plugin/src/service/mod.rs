//! What a running plugin may ask the gateway for (contract section 7).
//!
//! A request is `{"service": name, "arguments": {...}}`, its answer `{"value": ...}` or `{"kind": ..., "message": ...}`.

mod cache;
mod data;
mod ldap;
mod locks;
mod trusted_ca;
mod x509_name;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{InstanceName, Secret};
use serde_json::{Map, Value, json};

use cache::Cache;
use ldap::{Directory, LdapError};
use locks::Locks;

pub(crate) use ldap::LdapConfigError;
pub use ldap::{
    DirectoryError, DirectoryPerson, LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls, PeopleDirectory,
};

pub use data::{CaList, HttpProxy, ServiceData, StoreRow, StoredCredential, UserList};

/// The services of a host. Memory cache and locks are one for all plugins, by contract.
#[derive(Debug)]
pub(crate) struct Services {
    data: ServiceData,
    trusted_cas: Value,
    directories: BTreeMap<String, Directory>,
    shared: Arc<Shared>,
}

/// What outlasts a change of the data: plugins keep it for as long as the host lives.
#[derive(Debug, Default)]
struct Shared {
    cache: Cache,
    locks: Locks,
    last_owner: AtomicU64,
}

/// Whoever asks: a call, or a template during its import. Its locks are free once it is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    id: u64,
    instance: InstanceName,
    services: Arc<Services>,
}

/// Why a request is refused.
enum Refusal {
    NotFound(String),
    Refused(String),
}

/// Why there are no services.
#[derive(Debug)]
pub(crate) enum ServicesError {
    /// The directories of trusted CAs cannot be written.
    TrustedCas(PathBuf, io::Error),
    /// An LDAP server policy of that name cannot be used.
    Ldap(String, LdapConfigError),
}

impl Services {
    pub(crate) fn new(data: ServiceData) -> Result<Self, ServicesError> {
        trusted_ca::clear(&data.ca_dir).map_err(|(path, error)| ServicesError::TrustedCas(path, error))?;
        Self::with(data, Arc::default())
    }

    /// The services of instances that are loaded from now on: other data, the same cache and locks.
    pub(crate) fn renewed(&self, data: ServiceData) -> Result<Self, ServicesError> {
        Self::with(data, Arc::clone(&self.shared))
    }

    fn with(data: ServiceData, shared: Arc<Shared>) -> Result<Self, ServicesError> {
        let trusted_cas = trusted_ca::write(&data.trusted_cas, &data.ca_dir)
            .map_err(|(path, error)| ServicesError::TrustedCas(path, error))?;
        let directory = |(name, policy): (&String, &LdapServer)| match Directory::new(policy) {
            Ok(directory) => Ok((name.clone(), directory)),
            Err(error) => Err(ServicesError::Ldap(name.clone(), error)),
        };
        let directories = data.ldap_servers.iter().map(directory).collect::<Result<_, _>>()?;
        Ok(Self { data, trusted_cas, directories, shared })
    }

    /// Somebody new who asks, of this plugin instance.
    pub(crate) fn owner(self: &Arc<Self>, instance: &InstanceName) -> Owner {
        let id = self.shared.last_owner.fetch_add(1, Ordering::Relaxed) + 1;
        Owner { id, instance: instance.clone(), services: Arc::clone(self) }
    }

    /// What never changes for an instance, told to workers at their start.
    pub(crate) fn settings(&self) -> Value {
        let proxy = self.data.http_proxy.as_ref().map(|proxy| {
            let password = proxy.password.as_ref().map(Secret::expose);
            json!([proxy.server, proxy.port, proxy.username, password])
        });
        json!({"gateway_fqdn": self.data.host_name, "http_proxy": proxy})
    }

    /// Answers a request, at once or, where an LDAP server is to be asked, in the time of its policy. Cancel-safe.
    pub(crate) async fn answer(&self, owner: &Owner, request: &Value) -> Value {
        let none = Map::new();
        let name = request.get("service").and_then(Value::as_str).unwrap_or_default();
        let arguments = Arguments(request.get("arguments").and_then(Value::as_object).unwrap_or(&none));
        match self.serve(owner, name, &arguments).await {
            Ok(value) => json!({"value": value}),
            Err(Refusal::NotFound(message)) => json!({"kind": "not-found", "message": message}),
            Err(Refusal::Refused(message)) => json!({"kind": "refused", "message": message}),
        }
    }

    async fn serve(&self, owner: &Owner, name: &str, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        match name {
            "credential_store.open" => self.store(arguments).map(|_| Value::Null),
            "credential_store.query_one" => self.query_one(arguments),
            "credential_store.query_all" => self.query_all(arguments),
            "user_list" => self.user_list(arguments),
            "memory_cache.get" => self.cache_get(arguments),
            "memory_cache.set" => self.cache_set(arguments),
            "box_config.starling_join" => Ok(json!(self.data.starling_join.as_ref().map(Secret::expose))),
            "box_config.trusted_ca_lists" => Ok(self.trusted_cas.clone()),
            "lockfile.try_acquire" => self.try_acquire(owner, arguments).await,
            "lockfile.release" => self.release(owner, arguments),
            "ldap_server.attributes" => self.ldap_attributes(owner, arguments).await,
            "ldap_server.groups" => self.ldap_groups(owner, arguments).await,
            other => Err(Refusal::Refused(format!("there is no service {:?}", shortened(other)))),
        }
    }

    fn store(&self, arguments: &Arguments<'_>) -> Result<&[StoreRow], Refusal> {
        let name = arguments.text("name")?;
        let missing = || Refusal::NotFound(format!("there is no credential store {:?}", shortened(name)));
        self.data.credential_stores.get(name).map(Vec::as_slice).ok_or_else(missing)
    }

    fn query_one(&self, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let (host, user) = (arguments.text("host")?, arguments.text("user")?);
        let rows = self.store(arguments)?.iter();
        let found = rows.filter(|row| row.host.eq_ignore_ascii_case(host) && row.user == user);
        Ok(found.map(|row| credential(&row.credential)).collect())
    }

    fn query_all(&self, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let rows = self.store(arguments)?.iter();
        Ok(rows.map(|row| json!([row.user, row.host, credential(&row.credential)])).collect())
    }

    fn user_list(&self, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let name = arguments.text("name")?;
        let missing = || Refusal::NotFound(format!("there is no user list {:?}", shortened(name)));
        let list = self.data.user_lists.get(name).ok_or_else(missing)?;
        Ok(json!([list.names, if list.all_users { "all_users" } else { "no_user" }]))
    }

    fn cache_get(&self, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let found = self.shared.cache.get(arguments.text("key")?, Instant::now());
        Ok(found.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into()))
    }

    fn cache_set(&self, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let value = STANDARD
            .decode(arguments.text("value")?)
            .map_err(|error| Refusal::Refused(format!("the value is no base64: {error}")))?;
        let seconds = arguments.0.get("ttl").and_then(Value::as_f64).unwrap_or(0.0);
        let ttl = (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let kept = self.shared.cache.set(arguments.text("key")?, value, ttl, Instant::now());
        kept.map(|()| Value::Null).map_err(Refusal::Refused)
    }

    async fn try_acquire(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let taken = self.shared.locks.try_acquire(owner.id, &owner.instance, arguments.text("path")?).await;
        taken.map(Value::Bool).map_err(Refusal::Refused)
    }

    fn release(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let released = self.shared.locks.release(owner.id, &owner.instance, arguments.text("path")?);
        released.map(|()| Value::Null).map_err(Refusal::Refused)
    }

    async fn ldap_attributes(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let user = arguments.text("user")?;
        let attributes = arguments.texts("attributes")?;
        let answer = self.directory(arguments)?.attributes(user, attributes).await;
        answer.map_err(|error| refused_by_ldap(owner, arguments, error))
    }

    async fn ldap_groups(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        let user = arguments.text("user")?;
        let groups = arguments.texts("groups")?;
        let answer = self.directory(arguments)?.groups(user, groups).await;
        answer.map_err(|error| refused_by_ldap(owner, arguments, error))
    }

    fn directory(&self, arguments: &Arguments<'_>) -> Result<&Directory, Refusal> {
        let name = arguments.text("policy")?;
        let missing = || Refusal::Refused(format!("there is no LDAP server policy {:?}", shortened(name)));
        self.directories.get(name).ok_or_else(missing)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.services.shared.locks.release_all(self.id);
    }
}

/// The arguments of a request, from a worker that may send anything.
struct Arguments<'a>(&'a Map<String, Value>);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.0.get(name).and_then(Value::as_str);
        text.ok_or_else(|| Refusal::Refused(format!("the argument {name} must be a str")))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let texts = self.0.get(name).and_then(Value::as_array);
        let texts = texts.and_then(|all| all.iter().map(|text| text.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| Refusal::Refused(format!("the argument {name} must be a list of str")))
    }
}

/// What went wrong with a server is the log's matter too: the plugin may keep it to itself.
fn refused_by_ldap(owner: &Owner, arguments: &Arguments<'_>, error: LdapError) -> Refusal {
    let policy = arguments.text("policy").map(shortened).unwrap_or_default();
    match error {
        LdapError::UserNotFound => Refusal::NotFound(error.to_string()),
        LdapError::Question(_) | LdapError::NotText(_) => Refusal::Refused(error.to_string()),
        LdapError::Ambiguous
        | LdapError::Unreachable(_)
        | LdapError::Late(_)
        | LdapError::Io(_)
        | LdapError::Closed
        | LdapError::Tls(_)
        | LdapError::Refused(..)
        | LdapError::TooMuch(_)
        | LdapError::Malformed(_)
        | LdapError::Broken(_) => {
            tracing::warn!(plugin = %owner.instance, ldap_server = policy, %error, "an LDAP server gave no answer");
            Refusal::Refused(error.to_string())
        }
    }
}

/// In the form that the SDK knows (contract section 7).
fn credential(credential: &StoredCredential) -> Value {
    match credential {
        StoredCredential::Password(password) => password.expose().into(),
        StoredCredential::Key { kind, key, cert: None } => json!({"type": kind, "key": key.expose()}),
        StoredCredential::Key { kind, key, cert: Some(cert) } => {
            json!({"type": kind, "key": key.expose(), "cert": cert})
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Arc<Services> {
        let rows = vec![
            StoreRow {
                host: "DB1".into(),
                user: "root".into(),
                credential: StoredCredential::Password(Secret::new("pw".into())),
            },
            StoreRow {
                host: "db1".into(),
                user: "root".into(),
                credential: StoredCredential::Key {
                    kind: "ssh-rsa".into(),
                    key: Secret::new("PEM".into()),
                    cert: None,
                },
            },
        ];
        let data = ServiceData {
            host_name: "gw.example".into(),
            credential_stores: [("local".to_owned(), rows)].into(),
            ..ServiceData::default()
        };
        Arc::new(Services::new(data).unwrap())
    }

    fn owner(services: &Arc<Services>, instance: &str) -> Owner {
        services.owner(&InstanceName::try_from(instance).unwrap())
    }

    async fn ask(owner: &Owner, service: &str, arguments: Value) -> Value {
        owner.services.answer(owner, &json!({"service": service, "arguments": arguments})).await
    }

    #[tokio::test]
    async fn credentials_are_found_by_host_and_user() {
        let owner = owner(&services(), "p");
        let found = ask(
            &owner,
            "credential_store.query_one",
            json!({"name": "local", "host": "db1", "user": "root"}),
        )
        .await;
        assert_eq!(found, json!({"value": ["pw", {"type": "ssh-rsa", "key": "PEM"}]}));
        let none =
            ask(&owner, "credential_store.query_one", json!({"name": "local", "host": "db1", "user": "x"}))
                .await;
        assert_eq!(none, json!({"value": []}));
        let missing = ask(&owner, "credential_store.open", json!({"name": "other"})).await;
        assert_eq!(missing["kind"], "not-found");
    }

    async fn take(owner: &Owner) -> Value {
        ask(owner, "lockfile.try_acquire", json!({"path": "/x"})).await["value"].clone()
    }

    #[tokio::test]
    async fn a_dead_owners_lock_is_free() {
        let services = services();
        let (first, second) = (owner(&services, "p"), owner(&services, "p"));
        assert_eq!(take(&first).await, json!(true));
        assert_eq!(take(&second).await, json!(false));
        assert_eq!(ask(&second, "lockfile.release", json!({"path": "/x"})).await["kind"], "refused");
        drop(first);
        assert_eq!(take(&second).await, json!(true));
    }

    #[tokio::test]
    async fn a_plugin_does_not_hinder_another_with_its_locks() {
        let services = services();
        let (one, other) = (owner(&services, "one"), owner(&services, "other"));
        assert_eq!(take(&one).await, json!(true));
        assert_eq!(take(&other).await, json!(true));
        assert_eq!(ask(&one, "lockfile.release", json!({"path": "/x"})).await["value"], json!(null));
        assert_eq!(take(&owner(&services, "other")).await, json!(false));
    }

    #[tokio::test]
    async fn a_hostile_request_is_refused_in_words() {
        let owner = owner(&services(), "p");
        for (service, arguments) in [
            ("os.system", json!({})),
            ("user_list", json!({"name": 7})),
            ("user_list", json!(null)),
            ("memory_cache.set", json!({"key": "k", "value": "*", "ttl": 1})),
            ("ldap_server.attributes", json!({"policy": "ad", "user": "u", "attributes": ["cn"]})),
            ("ldap_server.attributes", json!({"policy": "ad", "user": "u", "attributes": [7]})),
            ("ldap_server.groups", json!({"policy": "ad", "user": null, "groups": []})),
        ] {
            let answer = ask(&owner, service, arguments).await;
            assert_eq!(answer["kind"], "refused", "{answer}");
        }
        assert_eq!(owner.services.answer(&owner, &json!([1])).await["kind"], "refused");
    }
}
