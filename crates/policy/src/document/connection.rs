//! `[[connection]]` and `[[settings]]`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{ConnectionName, Host, InstanceName, Protocol};
use toml::de::DeValue;

use super::defined::Defined;
use super::key_text::{AUTHORITY_TYPES, HOST_KEY_TYPES, checked_fingerprint, fingerprint, public_key};
use super::report::Fault;
use super::section::{Item, Section};
use super::user::values;
use super::value::{choice, flag, limit, line, listener, named, network, pattern, seconds, text};
use crate::{
    Algorithms, AuditPolicy, Authentication, CertificateAuthority, ChannelPolicy, Connection,
    CredentialSource, HostKeyCheck, HostKeyKnowledge, HostPattern, Inband, KnownHostKey,
    LocalCredentialStore, LogInMeans, PatternHost, PatternPort, PluginInstance, RateLimit, Settings, Target,
    Usermapping,
};

/// What a connection may refer to by name.
pub(super) struct Named<'a> {
    pub(super) authentications: &'a Defined<Authentication>,
    pub(super) plugins: &'a Defined<PluginInstance>,
    pub(super) credential_stores: &'a Defined<LocalCredentialStore>,
    pub(super) certificate_authorities: &'a Defined<CertificateAuthority>,
    pub(super) usermappings: &'a Defined<Vec<Usermapping>>,
    pub(super) channel_policies: &'a Defined<ChannelPolicy>,
    pub(super) settings: &'a Defined<Settings>,
    pub(super) audits: &'a Defined<Arc<AuditPolicy>>,
}

/// All connections in the order of the document, with the places of their listeners.
pub(super) fn connections(root: &Section<'_>, named_things: &Named<'_>) -> Vec<Item<Connection>> {
    let in_order = RefCell::new(Vec::new());
    let sections = root.sections("connection", "[[connection]]", "[[connection]]");
    // `Defined` looks after the names; it does not keep the order.
    Defined::read(&sections, "[[connection]]", named, |section, name| {
        let value = connection(section, name, named_things)?;
        let at = section.place_of("listen");
        in_order.borrow_mut().push(Item { value, at });
        Some(())
    });
    in_order.into_inner()
}

/// One address cannot speak two protocols.
pub(super) fn check_listeners(root: &Section<'_>, connections: &[Item<Connection>]) {
    for (n, Item { value: connection, at }) in connections.iter().enumerate() {
        for listener in &connection.listen {
            let earlier = connections.iter().take(n).map(|item| &item.value);
            let other = earlier
                .filter(|other| other.listen.contains(listener))
                .find(|other| other.protocol != connection.protocol);
            if let Some(other) = other {
                let fault = Fault::new(format!(
                    "{listener} is a listener of the connection \"{}\" too, which speaks {} and not {}",
                    other.name, other.protocol, connection.protocol
                ));
                root.fault_at(*at, fault.hint("give each protocol a port of its own"));
            }
        }
    }
}

fn connection(section: &Section<'_>, name: Option<ConnectionName>, named: &Named<'_>) -> Option<Connection> {
    let protocol = section.required("protocol", text).and_then(|word| protocol(section, &word));
    let listen = values(section.required_list("listen", listener));
    let from = values(section.restriction("from", network));
    let target = target(section, protocol.unwrap_or(Protocol::Ssh));
    let authentication = refer(section, "authentication", named.authentications);
    let aa_plugin = section.optional("aa-plugin", text).and_then(|name| plugin(section, &name, named));
    let credential_store = credential_source(section, named);
    let usermapping = refer(section, "usermapping", named.usermappings);
    section.need("channel-policy");
    let channels = refer(section, "channel-policy", named.channel_policies);
    let settings = refer(section, "settings", named.settings);
    let audit = refer(section, "audit-policy", named.audits);
    let check =
        choice(&[("known", HostKeyCheck::Known), ("trust-on-first-use", HostKeyCheck::TrustOnFirstUse)]);
    let host_key_check = section.optional("host-key-check", check);
    let known_host_keys = known_host_keys(section, protocol.unwrap_or(Protocol::Ssh));
    let active = section.optional("active", flag);
    let log_in = log_in(section);
    let settings = settings.unwrap_or_default();
    let four_eyes = four_eyes(section, &settings);
    let max_sessions = section.optional("max-sessions", limit(1_000_000));
    let rate_limit = section.optional("rate-limit", limit(1_000_000));
    refuse_credentials_for_anybody(section);
    if let Some(Target::Inband(Inband { jump_host: true, .. })) = &target {
        need_authentication_to_jump(section);
    }
    Some(Connection {
        name: name?,
        protocol: protocol?,
        active: active.is_none_or(|item| item.value),
        listen,
        from,
        target: target?,
        authentication,
        aa_plugin,
        credential_store: credential_store?,
        usermapping: usermapping.unwrap_or_default(),
        channels: channels?,
        settings,
        audit,
        host_key_check: host_key_check.map_or(HostKeyCheck::Known, |item| item.value),
        known_host_keys,
        log_in,
        four_eyes,
        max_sessions: max_sessions.map(|item| item.value),
        rate_limit: rate_limit.map(|item| RateLimit { per_minute: item.value }),
    })
}

/// How long an approver has. `true` is for the usual time.
fn four_eyes(section: &Section<'_>, settings: &Settings) -> Option<Duration> {
    const KEY: &str = "four-eyes";
    const USUAL: Duration = Duration::from_secs(180);
    let wait = if section.is_table(KEY) {
        let own = section.section(KEY, "connection.four-eyes", "four-eyes = { wait = 180 }")?;
        own.optional("wait", seconds).map_or(USUAL, |item| item.value)
    } else {
        const HINT: &str = "write true, or { wait = 180 } for the seconds that an approver has";
        section
            .optional(KEY, |value| flag(value).map_err(|fault| fault.hint(HINT)))?
            .value
            .then_some(USUAL)?
    };
    if wait >= settings.log_in_timeout {
        let (wait, all) = (wait.as_secs(), settings.log_in_timeout.as_secs());
        let fault = Fault::new(format!("an approver has {wait} s, and the log-in is over after {all} s"));
        let hint = "let `wait` be shorter than `log-in-timeout` of the connection's settings";
        section.fault_at(section.place_of(KEY), fault.hint(hint));
    }
    Some(wait)
}

/// An unsupported protocol is a fault, but still one to compare listeners by.
fn protocol(section: &Section<'_>, word: &Item<&str>) -> Option<Protocol> {
    match word.value.parse() {
        Ok(Protocol::Ssh) => Some(Protocol::Ssh),
        Ok(protocol @ (Protocol::Http | Protocol::Rdp | Protocol::Telnet | Protocol::Vnc)) => {
            let fault = Fault::new(format!("the protocol \"{protocol}\" is not supported yet"));
            section.fault_at(word.at, fault.hint("the protocol of this release is \"ssh\""));
            Some(protocol)
        }
        Err(unknown) => {
            section.fault_at(word.at, Fault::new(format!("{unknown}")));
            None
        }
    }
}

/// The entry that the key names; `None` also when the key is not there.
fn refer<T: Clone>(section: &Section<'_>, key: &'static str, entries: &Defined<T>) -> Option<T> {
    let name = section.optional(key, text)?;
    entries.find(section, &name).cloned()
}

fn plugin(section: &Section<'_>, name: &Item<&str>, named: &Named<'_>) -> Option<InstanceName> {
    named.plugins.find(section, name).map(|plugin| plugin.name.clone())
}

fn credential_source(section: &Section<'_>, named: &Named<'_>) -> Option<CredentialSource> {
    let form = "credential-store = { plugin = \"...\" }, { local = \"...\" } or { authority = \"...\" }";
    let source = section.section("credential-store", "credential-store", form);
    if !section.has("credential-store") {
        return Some(CredentialSource::None);
    }
    let source = source?;
    let from_plugin = source.optional("plugin", text);
    let local = source.optional("local", text);
    let authority = source.optional("authority", text);
    match (from_plugin, local, authority) {
        (Some(name), None, None) => plugin(&source, &name, named).map(CredentialSource::Plugin),
        (None, Some(name), None) => {
            named.credential_stores.find(&source, &name)?;
            Some(CredentialSource::Local(name.value.to_owned()))
        }
        (None, None, Some(name)) => {
            named.certificate_authorities.find(&source, &name)?;
            Some(CredentialSource::Authority(name.value.to_owned()))
        }
        _ => {
            source.fault(
                Fault::new("a credential store is one of `plugin`, `local` and `authority`")
                    .hint(format!("write {form}")),
            );
            None
        }
    }
}

/// `ask-target-password = true` is the usual order with the question at its end.
fn log_in(section: &Section<'_>) -> Vec<LogInMeans> {
    let words = [
        ("keys", LogInMeans::Keys),
        ("passwords", LogInMeans::Passwords),
        ("ask", LogInMeans::Ask),
        ("agent", LogInMeans::Agent),
    ];
    let asks = section.optional("ask-target-password", flag);
    if !section.has("log-in") {
        let question = asks.filter(|item| item.value).map(|_| LogInMeans::Ask);
        return [LogInMeans::Keys, LogInMeans::Passwords].into_iter().chain(question).collect();
    }
    if let Some(asks) = asks {
        let fault = Fault::new("`log-in` says already whether the person is asked for the target's password");
        section.fault_at(asks.at, fault.hint("leave this out, and put \"ask\" into `log-in`, or not"));
    }
    let order = section.required_list("log-in", choice(&words));
    for (n, means) in order.iter().enumerate() {
        if order.iter().take(n).any(|earlier| earlier.value == means.value) {
            section.fault_at(means.at, Fault::new("this stands before").hint("write each word once"));
        }
        let is_let_in = order.iter().take(n).any(|earlier| earlier.value == LogInMeans::Agent);
        if means.value == LogInMeans::Ask && is_let_in {
            let fault = Fault::new("nothing can be asked any more once the client was let in for its agent");
            section.fault_at(means.at, fault.hint("write \"ask\" before \"agent\""));
        }
    }
    values(order)
}

/// Injected credentials without anybody who says for whom would open the targets to the whole network.
fn refuse_credentials_for_anybody(section: &Section<'_>) {
    let somebody_decides = section.has("authentication") || section.has("aa-plugin");
    if section.has("credential-store") && !somebody_decides {
        let fault = Fault::new("this connection would hand out credentials to whoever connects");
        section.fault(fault.hint("add `authentication` or `aa-plugin`"));
    }
}

/// Only the gateway authenticates at a jump host: the AA plugin is asked for each hop, and by then the person is in.
fn need_authentication_to_jump(section: &Section<'_>) {
    if !section.has("authentication") {
        let fault = Fault::new("`jump-host = true` would let in whoever connects");
        section.fault(fault.hint("add `authentication`: it is what a jump host asks for"));
    }
}

fn target(section: &Section<'_>, protocol: Protocol) -> Option<Target> {
    let form = "target = { fixed = \"db1:22\" }, or a table [connection.target.inband]";
    section.need("target");
    let target = section.section("target", "target", form)?;
    let fixed = target.optional("fixed", |value| fixed(value, protocol));
    let limits = target.section("inband", "[connection.target.inband]", "[connection.target.inband]");
    let inband = limits.map(|limits| inband(&limits, protocol));
    if target.has("fixed") == target.has("inband") {
        target.fault(Fault::new("a target is one of `fixed` and `inband`").hint(format!("write {form}")));
        return None;
    }
    fixed.map(|item| item.value).or(inband.map(Target::Inband))
}

fn fixed(value: &DeValue<'_>, protocol: Protocol) -> Result<Target, Fault> {
    let HostPattern { host, port, .. } = pattern(PatternPort::Only(protocol.default_port()))(value)?;
    let host = match host {
        PatternHost::Name(name) => Some(Host::Name(name)),
        PatternHost::Address(address) => Some(Host::Ip(address)),
        PatternHost::Below(_) | PatternHost::Network(_) => None,
    };
    match (host, port) {
        (Some(host), PatternPort::Only(port)) => Ok(Target::Fixed { host, port }),
        (None, PatternPort::Only(_)) | (_, PatternPort::Any) => {
            Err(Fault::new("a fixed target is one server")
                .hint("write a name or an address, with a port: \"db1:22\""))
        }
    }
}

fn inband(section: &Section<'_>, protocol: Protocol) -> Inband {
    let suffix = |value| {
        let suffix = line(value)?;
        let domain = suffix.strip_prefix('.').unwrap_or(suffix);
        if crate::pattern::is_host_name(domain) {
            Ok(domain.to_ascii_lowercase())
        } else {
            Err(Fault::new(format!("{suffix:?} is no domain")).hint("write it as \"example.com\""))
        }
    };
    section.not_yet(&["dns-server"]);
    Inband {
        allow: values(section.required_list("allow", pattern(PatternPort::Only(protocol.default_port())))),
        deny: values(section.list("deny", pattern(PatternPort::Any))),
        dns_suffixes: values(section.list("dns-suffixes", suffix)),
        jump_host: section.optional("jump-host", flag).is_some_and(|item| item.value),
    }
}

fn known_host_keys(section: &Section<'_>, protocol: Protocol) -> Vec<KnownHostKey> {
    let form = "known-host-keys = [{ host = \"db1\", key = \"ssh-ed25519 AAAA...\" }]";
    let known = |entry: &Section<'_>| {
        // As in a deny list: what is taken back is so on every port, where none is written.
        let default = match entry.has("revoked") {
            true => PatternPort::Any,
            false => PatternPort::Only(protocol.default_port()),
        };
        let host = entry.required("host", pattern(default));
        let knowledge = host_key_knowledge(entry);
        Some(KnownHostKey { pattern: host?.value, knowledge: knowledge? })
    };
    section.sections("known-host-keys", "known host key", form).iter().filter_map(known).collect()
}

fn host_key_knowledge(entry: &Section<'_>) -> Option<HostKeyKnowledge> {
    let key = |types| move |value| public_key(text(value)?, types);
    let mut all = [
        entry.optional("key", key(HOST_KEY_TYPES)).map(|item| HostKeyKnowledge::Key(item.value)),
        entry.optional("fingerprint", pinned).map(|item| item.value),
        entry.optional("authority", key(AUTHORITY_TYPES)).map(|item| HostKeyKnowledge::Authority(item.value)),
        entry.optional("revoked", revoked).map(|item| item.value),
    ];
    let keys = ["key", "fingerprint", "authority", "revoked"];
    if keys.iter().filter(|key| entry.has(key)).count() != 1 {
        let fault = Fault::new("a known host key is one of `key`, `fingerprint`, `authority` and `revoked`");
        entry.fault(fault.hint("write each as an entry of its own"));
        return None;
    }
    all.iter_mut().find_map(Option::take)
}

/// The fingerprint, or the type before it.
fn pinned(value: &DeValue<'_>) -> Result<HostKeyKnowledge, Fault> {
    let text = text(value)?.trim();
    let (kind, digest) = match text.split_once(' ') {
        Some((kind, digest)) if HOST_KEY_TYPES.contains(&kind) => (Some(kind.to_owned()), digest),
        Some(_) | None => (None, text),
    };
    Ok(HostKeyKnowledge::Fingerprint { kind, fingerprint: checked_fingerprint(digest)? })
}

fn revoked(value: &DeValue<'_>) -> Result<HostKeyKnowledge, Fault> {
    let text = text(value)?;
    let fingerprint = match text.trim().starts_with("SHA256:") {
        true => checked_fingerprint(text)?,
        false => fingerprint(&public_key(text, HOST_KEY_TYPES)?)
            .ok_or_else(|| Fault::new("this is no public key"))?,
    };
    Ok(HostKeyKnowledge::Revoked(fingerprint))
}

pub(super) fn settings(section: &Section<'_>) -> Settings {
    section.not_yet(&["greeting"]);
    refuse_algorithms_of_both_sides(section);
    let default = Settings::default();
    let time = |key| section.optional(key, seconds).map(|item| item.value);
    let timeout = time("timeout").unwrap_or(default.timeout);
    // Whoever gives plugins more time gives it to log-ins too.
    let log_in_timeout = default.log_in_timeout.max(timeout.saturating_mul(2));
    Settings {
        timeout,
        user_idle_timeout: time("user-idle-timeout"),
        session_timeout: time("session-timeout"),
        login_grace: time("login-grace").unwrap_or(default.login_grace),
        log_in_timeout: time("log-in-timeout").unwrap_or(log_in_timeout),
        banner: section.optional("banner", banner).map(|item| item.value),
        client_algorithms: algorithms(section, "client-algorithms"),
        target_algorithms: algorithms(section, "target-algorithms"),
    }
}

fn algorithms(section: &Section<'_>, key: &'static str) -> Algorithms {
    let words = choice(&[("modern", Algorithms::Modern), ("legacy", Algorithms::Legacy)]);
    section.optional(key, words).map_or_else(Algorithms::default, |item| item.value)
}

/// An old target is no reason to let old clients in.
fn refuse_algorithms_of_both_sides(section: &Section<'_>) {
    if let Some(both) = section.optional("algorithms", text) {
        let fault = Fault::new("the algorithms towards clients and towards targets are set one by one");
        section.fault_at(both.at, fault.hint("write `target-algorithms` or `client-algorithms`"));
    }
}

/// Terminals obey control characters, so that a banner has none but the ends of its lines and tabs.
fn banner(value: &DeValue<'_>) -> Result<String, Fault> {
    const MAX_BYTES: usize = 8 * 1024;
    let banner = text(value)?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if banner.len() > MAX_BYTES || !banner.chars().all(is_plain) {
        return Err(Fault::new(format!("a banner is {MAX_BYTES} bytes at most, without control characters")));
    }
    Ok(banner.to_owned())
}
