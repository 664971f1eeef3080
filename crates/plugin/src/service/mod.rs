//! What a running plugin may ask the gateway for (contract section 7).
//!
//! A request is `{"service": name, "arguments": {...}}`, its answer `{"value": ...}` or `{"kind": ..., "message": ...}`.

mod cache;
mod data;
mod locks;
mod trusted_ca;
mod x509_name;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::Secret;
use serde_json::{Map, Value, json};

use cache::Cache;
use locks::Locks;

pub use data::{CaList, HttpProxy, ServiceData, StoreRow, StoredCredential, UserList};

/// The services of a host. Memory cache and locks are one for all plugins, by contract.
#[derive(Debug)]
pub(crate) struct Services {
    data: ServiceData,
    trusted_cas: Value,
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
    services: Arc<Services>,
}

/// Why a request is refused.
enum Refusal {
    NotFound(String),
    Refused(String),
}

impl Services {
    /// # Errors
    /// When the directories of trusted CAs cannot be written.
    pub(crate) fn new(data: ServiceData) -> Result<Self, (PathBuf, io::Error)> {
        trusted_ca::clear(&data.ca_dir)?;
        Self::with(data, Arc::default())
    }

    /// The services of instances that are loaded from now on: other data, the same cache and locks.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn renewed(&self, data: ServiceData) -> Result<Self, (PathBuf, io::Error)> {
        Self::with(data, Arc::clone(&self.shared))
    }

    fn with(data: ServiceData, shared: Arc<Shared>) -> Result<Self, (PathBuf, io::Error)> {
        let trusted_cas = trusted_ca::write(&data.trusted_cas, &data.ca_dir)?;
        Ok(Self { data, trusted_cas, shared })
    }

    pub(crate) fn owner(self: &Arc<Self>) -> Owner {
        let id = self.shared.last_owner.fetch_add(1, Ordering::Relaxed) + 1;
        Owner { id, services: Arc::clone(self) }
    }

    /// What never changes for an instance, told to workers at their start.
    pub(crate) fn settings(&self) -> Value {
        let proxy = self.data.http_proxy.as_ref().map(|proxy| {
            let password = proxy.password.as_ref().map(Secret::expose);
            json!([proxy.server, proxy.port, proxy.username, password])
        });
        json!({"gateway_fqdn": self.data.host_name, "http_proxy": proxy})
    }

    pub(crate) fn answer(&self, owner: &Owner, request: &Value) -> Value {
        let none = Map::new();
        let name = request.get("service").and_then(Value::as_str).unwrap_or_default();
        let arguments = Arguments(request.get("arguments").and_then(Value::as_object).unwrap_or(&none));
        match self.serve(owner, name, &arguments) {
            Ok(value) => json!({"value": value}),
            Err(Refusal::NotFound(message)) => json!({"kind": "not-found", "message": message}),
            Err(Refusal::Refused(message)) => json!({"kind": "refused", "message": message}),
        }
    }

    fn serve(&self, owner: &Owner, name: &str, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        match name {
            "credential_store.open" => self.store(arguments).map(|_| Value::Null),
            "credential_store.query_one" => self.query_one(arguments),
            "credential_store.query_all" => self.query_all(arguments),
            "user_list" => self.user_list(arguments),
            "memory_cache.get" => self.cache_get(arguments),
            "memory_cache.set" => self.cache_set(arguments),
            "box_config.starling_join" => Ok(json!(self.data.starling_join.as_ref().map(Secret::expose))),
            "box_config.trusted_ca_lists" => Ok(self.trusted_cas.clone()),
            "lockfile.try_acquire" => self.try_acquire(owner, arguments),
            "lockfile.release" => self.release(owner, arguments),
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

    fn try_acquire(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        self.shared
            .locks
            .try_acquire(owner.id, arguments.text("path")?)
            .map(Value::Bool)
            .map_err(Refusal::Refused)
    }

    fn release(&self, owner: &Owner, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
        self.shared
            .locks
            .release(owner.id, arguments.text("path")?)
            .map(|()| Value::Null)
            .map_err(Refusal::Refused)
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

    fn ask(owner: &Owner, service: &str, arguments: Value) -> Value {
        owner.services.answer(owner, &json!({"service": service, "arguments": arguments}))
    }

    #[test]
    fn credentials_are_found_by_host_and_user() {
        let owner = services().owner();
        let found = ask(
            &owner,
            "credential_store.query_one",
            json!({"name": "local", "host": "db1", "user": "root"}),
        );
        assert_eq!(found, json!({"value": ["pw", {"type": "ssh-rsa", "key": "PEM"}]}));
        let none =
            ask(&owner, "credential_store.query_one", json!({"name": "local", "host": "db1", "user": "x"}));
        assert_eq!(none, json!({"value": []}));
        let missing = ask(&owner, "credential_store.open", json!({"name": "other"}));
        assert_eq!(missing["kind"], "not-found");
    }

    #[test]
    fn a_dead_owners_lock_is_free() {
        let services = services();
        let (first, second) = (services.owner(), services.owner());
        let take = |owner: &Owner| ask(owner, "lockfile.try_acquire", json!({"path": "/x"}))["value"].clone();
        assert_eq!(take(&first), json!(true));
        assert_eq!(take(&second), json!(false));
        assert_eq!(ask(&second, "lockfile.release", json!({"path": "/x"}))["kind"], "refused");
        drop(first);
        assert_eq!(take(&second), json!(true));
    }

    #[test]
    fn a_hostile_request_is_refused_in_words() {
        let owner = services().owner();
        for (service, arguments) in [
            ("os.system", json!({})),
            ("user_list", json!({"name": 7})),
            ("user_list", json!(null)),
            ("memory_cache.set", json!({"key": "k", "value": "*", "ttl": 1})),
        ] {
            let answer = ask(&owner, service, arguments);
            assert_eq!(answer["kind"], "refused", "{answer}");
        }
        assert_eq!(owner.services.answer(&owner, &json!([1]))["kind"], "refused");
    }
}
