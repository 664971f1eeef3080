//! From a scenario to what its gateway is made of: the policy, and the script of the world outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::{Grammar, InstanceName, LoginString, PluginName, Protocol, Secret, TargetMode};
use keyward_policy::{Connection, CredentialSource, Policy, Target, hash_password};
use keyward_session::{Mapping, Script};
use toml::{Table, Value};

use super::document::{DEFAULT_CONNECTION, Document, protocol};

/// What every server is looked up to, unless the scenario says otherwise: an address of documentation (RFC 5737).
const ANY_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
/// Where the client comes from, unless the scenario says otherwise (RFC 5737).
pub(crate) const ANY_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 50_000);
/// What the one connection listens on; nothing does.
pub(crate) const LISTENER: &str = "127.0.0.1:2222";
/// The channel policy of the connection. Nothing is recorded, since no channel opens.
const CHANNELS: &str = "scenario-channels";
const CREDENTIAL_USER: &str = "scenario-user";
/// The public half of a key that nobody has: it stands for the person's own.
pub(crate) const USER_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// The plugins of a scenario, by the roles that they play.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    pub(crate) aa: Option<PluginName>,
    pub(crate) credential_store: Option<PluginName>,
}

pub(crate) const AA: &str = "aa";
pub(crate) const CREDENTIAL_STORE: &str = "credential-store";

/// The policy of the gateway that plays the scenario: the tables of `[policy]`, and one connection.
pub(crate) fn policy(document: &Document, cast: &Cast, base: &Path, data: &Path) -> anyhow::Result<Policy> {
    let mut tables = document.policy.clone();
    for ours in ["connection", "plugin"] {
        if tables.contains_key(ours) {
            bail!("[policy] has the table `{ours}`: a scenario has its own; write [{ours}] instead");
        }
    }
    let data = Table::from_iter([("data-dir".into(), data.to_string_lossy().into_owned().into())]);
    if tables.insert("node".into(), Value::Table(data)).is_some() {
        bail!("[policy] has the table `node`: a scenario has its own, which is not kept");
    }
    push(&mut tables, "channel-policy", channels())?;
    for (role, bundle) in [(AA, &cast.aa), (CREDENTIAL_STORE, &cast.credential_store)] {
        if let Some(bundle) = bundle {
            push(&mut tables, "plugin", table([("name", role.into()), ("bundle", bundle.as_str().into())]))?;
        }
    }
    let mut connection = document.connection.clone();
    let overrides = Overrides::take(&mut connection)?;
    let user = authenticated(document, overrides.protocol)?;
    if let Some(user) = user {
        push(&mut tables, "user", user)?;
        let methods = Value::Array(vec!["public-key".into(), "password".into()]);
        let by = table([("name", CREDENTIAL_USER.into()), ("methods", methods)]);
        push(&mut tables, "authentication", by)?;
        connection.insert("authentication".into(), CREDENTIAL_USER.into());
    }
    if cast.aa.is_some() {
        connection.insert("aa-plugin".into(), AA.into());
    }
    complete(&mut connection, document);
    push(&mut tables, "connection", connection)?;
    let text = toml::to_string(&tables).context("the policy of the scenario")?;
    let mut policy = Policy::parse(&text, base, "the policy that the scenario makes")?;
    for connection in &mut policy.connections {
        *connection = Arc::new(overrides.apply(Connection::clone(connection), cast)?);
    }
    Ok(policy)
}

/// What the world outside answers.
pub(crate) fn script(document: &Document) -> anyhow::Result<Script> {
    let target = &document.target;
    let address = |(name, text): (&String, &String)| {
        let address = match text.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().with_context(|| {
                format!("[target] hosts: {name} = {text:?} is no address; an empty text says that there is no such name")
            })?),
        };
        Ok::<_, anyhow::Error>((name.clone(), address))
    };
    Ok(Script {
        client_hostname: document.client.hostname.clone(),
        addresses: target.hosts.iter().map(address).collect::<Result<_, _>>()?,
        any_other: Some(target.address.unwrap_or(ANY_SERVER)),
        mapping: match document.connection.contains_key("usermapping") {
            true => Mapping::Policy,
            false => Mapping::Anybody,
        },
    })
}

/// Who the person says they are, as the gateway reads it of the login string.
pub(crate) fn claimed_user(document: &Document, protocol: Protocol) -> anyhow::Result<Option<String>> {
    let grammar = match protocol {
        Protocol::Rdp => Grammar::Rdp,
        Protocol::Http | Protocol::Ssh | Protocol::Telnet | Protocol::Vnc => Grammar::Terminal,
    };
    let mode = match document.target.fixed {
        Some(_) => TargetMode::Fixed,
        None => TargetMode::Inband,
    };
    let login = LoginString::parse(document.client.login.as_bytes(), grammar, mode)?;
    Ok(login.gateway_user().map(str::to_owned).or(login.user))
}

/// Keys of `[connection]` that a policy document has elsewhere, or that only a rehearsal can have.
struct Overrides {
    protocol: Protocol,
    timeout: Option<Duration>,
}

impl Overrides {
    fn take(connection: &mut Table) -> anyhow::Result<Self> {
        let word = connection.remove("protocol");
        let word = word.as_ref().map(|word| word.as_str().context("[connection] protocol must be a text"));
        let protocol = word.transpose()?.map_or(Ok(Protocol::Ssh), protocol).map_err(anyhow::Error::msg)?;
        let timeout = match connection.remove("timeout") {
            None => None,
            Some(Value::Integer(seconds @ 1..=86_400)) => Some(Duration::from_secs(seconds.unsigned_abs())),
            Some(_) => {
                bail!("[connection] timeout must be whole seconds, 1 to 86400; a hook call gets half of it")
            }
        };
        Ok(Self { protocol, timeout })
    }

    fn apply(&self, connection: Connection, cast: &Cast) -> anyhow::Result<Connection> {
        let mut settings = connection.settings.clone();
        settings.timeout = self.timeout.unwrap_or(settings.timeout);
        let credential_store = match (&cast.credential_store, &connection.credential_store) {
            (Some(_), CredentialSource::None) => {
                CredentialSource::Plugin(InstanceName::try_from(CREDENTIAL_STORE)?)
            }
            (_, source) => source.clone(),
        };
        // A written port stays; a default one is the protocol's.
        let target = match connection.target {
            Target::Fixed { host, port } if port == Protocol::Ssh.default_port() => {
                Target::Fixed { host, port: self.protocol.default_port() }
            }
            target @ (Target::Fixed { .. } | Target::Inband(_)) => target,
        };
        Ok(Connection { protocol: self.protocol, settings, credential_store, target, ..connection })
    }
}

/// What a connection must have and the scenario left out.
fn complete(connection: &mut Table, document: &Document) {
    let target = match &document.target.fixed {
        Some(server) => table([("fixed", server.as_str().into())]),
        None => table([(
            "inband",
            table([("allow", Value::Array(vec!["0.0.0.0/0:*".into(), "[::/0]:*".into()]))]).into(),
        )]),
    };
    let defaults: [(&str, Value); 5] = [
        ("name", DEFAULT_CONNECTION.into()),
        ("protocol", Protocol::Ssh.as_str().into()),
        ("listen", Value::Array(vec![LISTENER.into()])),
        ("target", target.into()),
        ("channel-policy", CHANNELS.into()),
    ];
    for (key, value) in defaults {
        connection.entry(key).or_insert(value);
    }
}

/// The local user that `[gateway-user]` stands for.
fn authenticated(document: &Document, protocol: Protocol) -> anyhow::Result<Option<Table>> {
    let Some(user) = &document.gateway_user else { return Ok(None) };
    let name = claimed_user(document, protocol)?.context(
        "[gateway-user] needs a name, which the gateway takes from the login string: write `gu=NAME@...` in [client] login",
    )?;
    let groups = user.groups.iter().map(|group| Value::from(group.as_str())).collect();
    let mut entry = table([
        ("name", name.into()),
        ("groups", Value::Array(groups)),
        ("public-keys", Value::Array(vec![USER_KEY.into()])),
    ]);
    if let Some(password) = &user.password {
        let hash = hash_password(&Secret::new(password.clone()), [7; 16]);
        entry.insert("password".into(), hash.into());
    }
    Ok(Some(entry))
}

fn channels() -> Table {
    let rule = table([("types", Value::Array(vec!["shell".into()])), ("record", false.into())]);
    table([("name", CHANNELS.into()), ("rule", Value::Array(vec![rule.into()]))])
}

fn push(tables: &mut Table, key: &str, entry: Table) -> anyhow::Result<()> {
    let list = tables.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(list) = list else {
        bail!("[policy] has `{key}`, which must be a list of tables: [[policy.{key}]]")
    };
    list.push(entry.into());
    Ok(())
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
