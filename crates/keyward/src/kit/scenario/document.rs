//! A scenario as its file says it (`docs/plugin-kit.md` is the reference).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use keyward_model::{Protocol, Verdict};
use keyward_plugin::{Hook, UnknownHook};
use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Document {
    /// What it shows, in words; the file's name where it is left out.
    pub(crate) title: Option<String>,
    /// The plugin that the scenario belongs to.
    #[serde(default)]
    pub(crate) plugin: PluginTable,
    /// Another plugin beside it, in the role that it has.
    pub(crate) aa: Option<PluginTable>,
    pub(crate) credential_store: Option<PluginTable>,
    pub(crate) client: Client,
    pub(crate) gateway_user: Option<GatewayUser>,
    /// Keys of `[[connection]]` of a policy document, and `timeout`.
    #[serde(default)]
    pub(crate) connection: toml::Table,
    #[serde(default)]
    pub(crate) target: Target,
    /// Tables of a policy document: what serves the plugins' calls.
    #[serde(default)]
    pub(crate) policy: toml::Table,
    #[serde(default)]
    pub(crate) step: Vec<Spanned<Step>>,
    pub(crate) expect: Expect,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PluginTable {
    /// The folder or the `.zip`; without it the nearest folder above that has a MANIFEST.
    pub(crate) bundle: Option<PathBuf>,
    /// The text; without both the bundle's `default.cfg`.
    pub(crate) configuration: Option<String>,
    pub(crate) configuration_file: Option<PathBuf>,
    /// Files of the state directory at the beginning: name and text.
    #[serde(default)]
    pub(crate) state: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Client {
    pub(crate) login: String,
    #[serde(default)]
    pub(crate) address: Option<ClientAddress>,
    /// Without it reverse DNS fails.
    pub(crate) hostname: Option<String>,
    #[serde(default = "yes")]
    pub(crate) can_ask: bool,
}

/// With a port or without.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ClientAddress {
    Whole(SocketAddr),
    Ip(IpAddr),
}

/// Gateway authentication before the plugin is asked (gateway section 1, step 4).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GatewayUser {
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Without it the person has authenticated by a key, and the gateway saw no password.
    pub(crate) password: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Target {
    /// The one server of the connection; without it the login string names one.
    pub(crate) fixed: Option<String>,
    /// What every name of a server is looked up to.
    pub(crate) address: Option<IpAddr>,
    /// Other addresses by name; an empty text: no such name.
    #[serde(default)]
    pub(crate) hosts: HashMap<String, String>,
    #[serde(default)]
    pub(crate) outcome: Outcome,
    /// What it asks for, in any order.
    pub(crate) asks: Option<Vec<Asks>>,
    /// The one password that it accepts; without it any.
    pub(crate) password: Option<String>,
    /// The one one-time code that it accepts; without it any that is valid now.
    pub(crate) code: Option<String>,
}

/// What the target makes of the connection and the log-in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    #[default]
    Accepts,
    Refuses,
    Unreachable,
    UnknownHostKey,
    ChangedHostKey,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asks {
    Key,
    Password,
    /// After the password, where it asks for one.
    OneTimeCode,
}

/// A hook call with the question that comes of it, or a question of the gateway's own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    pub(crate) hook: Option<HookWord>,
    /// `aa` or `credential-store`, where both have such a hook.
    pub(crate) of: Option<Role>,
    /// As the plugin returned it; `none`: it returned none.
    pub(crate) verdict: Option<String>,
    /// The kind of error that the call ends with.
    pub(crate) error: Option<String>,
    pub(crate) passwords: Option<Vec<String>>,
    /// Of `get_totp_codes`, whenever they are valid.
    pub(crate) codes: Option<Vec<String>>,
    /// The types of the private keys.
    pub(crate) keys: Option<Vec<String>>,
    /// Each must be a part of some line that the call printed.
    #[serde(default)]
    pub(crate) log: Vec<String>,
    pub(crate) prompt: Option<String>,
    /// Whether the person sees what they type.
    pub(crate) echo: Option<bool>,
    pub(crate) answer: Option<String>,
    /// In the place of an answer: the person goes away.
    #[serde(default)]
    pub(crate) leaves: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expect {
    /// The verdict of the session (`accept`, `deny`, `plugin-error`, ...).
    pub(crate) verdict: Verdict,
    /// What the person is told, whole.
    pub(crate) message: Option<String>,
    /// A part of the reason in the session's record.
    pub(crate) reason: Option<String>,
    pub(crate) gateway_user: Option<String>,
    pub(crate) gateway_groups: Option<Vec<String>>,
    pub(crate) remote_user: Option<String>,
    /// `address:port`.
    pub(crate) target: Option<SocketAddr>,
    /// `additional_metadata`, whole.
    pub(crate) metadata: Option<String>,
    /// A file with the whole transcript.
    pub(crate) transcript: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

/// The name of a hook.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HookWord(pub(crate) Hook);

impl TryFrom<String> for HookWord {
    type Error = UnknownHook;

    fn try_from(word: String) -> Result<Self, UnknownHook> {
        word.parse().map(Self)
    }
}

/// What a plugin is in a scenario; also the name of its instance.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Aa,
    CredentialStore,
}

impl ClientAddress {
    pub(crate) fn socket(self) -> SocketAddr {
        match self {
            Self::Whole(address) => address,
            Self::Ip(ip) => SocketAddr::new(ip, 50_000),
        }
    }
}

/// What of a connection the scenario itself decides on.
pub(crate) const DEFAULT_CONNECTION: &str = "scenario";

/// A word of the protocol key.
pub(crate) fn protocol(word: &str) -> Result<Protocol, String> {
    word.parse().map_err(|error: keyward_model::UnknownProtocol| error.to_string())
}
