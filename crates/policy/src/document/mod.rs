//! From the text of a document to a policy: parse, don't validate.
//!
//! The tables are read key by key and not through serde, which would stop at the first fault, and would quote
//! secrets in what it says.

mod audit;
mod authentication;
mod channel;
mod connection;
mod content;
mod credential;
mod defined;
mod gateway;
mod key_text;
mod ldap;
mod lists;
mod nearest;
mod node;
mod object_store;
mod plugin;
mod report;
mod section;
mod time_window;
mod timestamps;
mod user;
mod value;

pub use key_text::fingerprint;

use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use self::connection::{Named, check_listeners};
use self::defined::Defined;
use self::report::{Report, syntax_problem};
use self::section::Section;
use self::value::{named, owned_line};
use crate::{ConfigurationPlace, GatewaySettings, NodeSettings, Policy, PolicyError};

/// Reads and checks a whole document. One from the store is for the node that is given.
pub(crate) fn read(
    text: &str,
    base: &Path,
    name: &str,
    node: Option<&NodeSettings>,
) -> Result<Policy, PolicyError> {
    if text.len() as u64 > Policy::MAX_BYTES {
        return Err(PolicyError::TooLarge(name.into()));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    // The parser tells the faults of headers before those of values, and after the first all may be its echo.
    if let Some(first) = errors.iter().min_by_key(|error| error.span().map_or(text.len(), |span| span.start))
    {
        return Err(PolicyError::Document(syntax_problem(text, name, first)));
    }
    let report = Report::new(text);
    let policy = policy(&Section::new(&report, "the document", table.get_ref(), 0), base, node);
    report.finish(name).map_err(PolicyError::Document)?;
    Ok(policy)
}

/// Where the report is empty, the policy is whole; else it lacks what had faults.
fn policy(root: &Section<'_>, base: &Path, node: Option<&NodeSettings>) -> Policy {
    let node = match node {
        Some(node) => {
            node::refuse_node(root);
            node.clone()
        }
        None => own_node(root, base),
    };
    let gateway = root.section("gateway", "[gateway]", "[gateway]");
    let mut settings = gateway.as_ref().map_or_else(GatewaySettings::default, gateway::gateway);

    let environments =
        kind(root, "environment", "[[environment]]", |s, name| plugin::environment(s, name, base));
    let users = kind(root, "user", "[[user]]", user::user);
    let credential_stores = kind(root, "local-credential-store", "[[local-credential-store]]", |s, _| {
        Some(credential::store(s, base))
    });
    let authorities = kind(root, "certificate-authority", "[[certificate-authority]]", |s, _| {
        credential::authority(s, base)
    });
    let user_lists = kind(root, "user-list", "[[user-list]]", |s, _| lists::user_list(s));
    let trusted_cas =
        kind(root, "trusted-ca-list", "[[trusted-ca-list]]", |s, _| Some(lists::trusted_cas(s, base)));
    settings.object_store = gateway
        .and_then(|section| section.section("object-store", "[gateway.object-store]", object_store::FORM))
        .and_then(|section| object_store::policy(&section, base, &trusted_cas))
        .map(Arc::new);
    let gateway = settings;
    let ldap_servers =
        kind(root, "ldap-server", "[[ldap-server]]", |s, _| ldap::server(s, base, &trusted_cas));
    let authentications = kind(root, "authentication", "[[authentication]]", |s, name| {
        authentication::authentication(s, name, base, &ldap_servers)
    });
    let windows = kind(root, "time-window", "[[time-window]]", |s, _| time_window::window(s));
    let contents =
        kind(root, "content-policy", "[[content-policy]]", |s, name| content::policy(s, name).map(Arc::new));
    let named_by_rules = channel::Named { windows: &windows, contents: &contents };
    let channel_policies =
        kind(root, "channel-policy", "[[channel-policy]]", |s, _| Some(channel::policy(s, &named_by_rules)));
    let usermappings = kind(root, "usermapping", "[[usermapping]]", |s, _| Some(user::usermapping(s)));
    let settings = kind(root, "settings", "[[settings]]", |s, _| Some(connection::settings(s)));
    let audits = kind(root, "audit-policy", "[[audit-policy]]", |s, _| {
        audit::policy(s, base, &trusted_cas).map(Arc::new)
    });

    let plugins = Defined::read(
        &root.sections("plugin", "[[plugin]]", "[[plugin]]"),
        "[[plugin]]",
        named,
        |section, name| plugin::instance(section, name, base, &environments),
    );
    let named = Named {
        authentications: &authentications,
        plugins: &plugins,
        credential_stores: &credential_stores,
        certificate_authorities: &authorities,
        usermappings: &usermappings,
        channel_policies: &channel_policies,
        settings: &settings,
        audits: &audits,
    };
    let connections = connection::connections(root, &named);
    check_listeners(root, &connections);

    Policy {
        node,
        gateway,
        connections: connections.into_iter().map(|item| Arc::new(item.value)).collect(),
        plugins: plugins.into_values().map(|(_, plugin)| (plugin.name.clone(), plugin)).collect(),
        environments: environments.into_values().collect(),
        users: users.into_values().collect(),
        credential_stores: credential_stores.into_values().collect(),
        certificate_authorities: authorities.into_values().collect(),
        user_lists: user_lists.into_values().collect(),
        ldap_servers: ldap_servers.into_values().collect(),
        trusted_cas: trusted_cas.into_values().collect(),
    }
}

fn own_node(root: &Section<'_>, base: &Path) -> NodeSettings {
    let node = root.section("node", "[node]", "[node]");
    let node = node.map_or_else(NodeSettings::default, |section| node::node(&section, base));
    if node.configuration == ConfigurationPlace::Store {
        node::refuse_policy(root);
    }
    node
}

/// All entries of a kind whose names are any text.
fn kind<'d, T>(
    root: &Section<'d>,
    key: &'static str,
    label: &'static str,
    read: impl Fn(&Section<'d>, Option<String>) -> Option<T>,
) -> Defined<T> {
    Defined::read(&root.sections(key, label, label), label, owned_line, read)
}
