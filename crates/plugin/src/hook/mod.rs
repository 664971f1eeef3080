//! The hooks of a plugin: their names, their arguments, and how their results are read (contract sections 3 to 5).
//!
//! Everything here is a function from values to values; the processes are in `runtime`.

mod aa;
mod cookies;
mod credential_store;
mod reading;

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

pub use aa::{AaDecision, AaFacts, AaReply, Question, authenticate_arguments, authorize_arguments};
pub use cookies::Cookies;
pub use credential_store::{
    CredentialFacts, OfferedKey, RemoteAppCredentials, TotpCode, authentication_completed_arguments,
    credential_arguments, passwords, private_keys, remote_app_arguments, remote_app_credentials, totp_codes,
};

use crate::{CallError, PluginKind};
use keyward_model::SessionId;

/// A method of a plugin that the gateway calls.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hook {
    Authenticate,
    Authorize,
    SessionEnded,
    GetPasswordList,
    GetPrivateKeyList,
    AuthenticationCompleted,
    GetTotpCodes,
    GetRemoteAppCredentials,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no hook: authenticate, authorize, session_ended, get_password_list, get_private_key_list, \
     authentication_completed, get_totp_codes and get_remote_app_credentials are"
)]
pub struct UnknownHook(String);

impl Hook {
    pub const ALL: [Self; 8] = [
        Self::Authenticate,
        Self::Authorize,
        Self::SessionEnded,
        Self::GetPasswordList,
        Self::GetPrivateKeyList,
        Self::AuthenticationCompleted,
        Self::GetTotpCodes,
        Self::GetRemoteAppCredentials,
    ];

    /// The name of the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::SessionEnded => "session_ended",
            Self::GetPasswordList => "get_password_list",
            Self::GetPrivateKeyList => "get_private_key_list",
            Self::AuthenticationCompleted => "authentication_completed",
            Self::GetTotpCodes => "get_totp_codes",
            Self::GetRemoteAppCredentials => "get_remote_app_credentials",
        }
    }

    /// Whether a plugin of this kind has the hook (contract sections 4 and 5).
    pub fn belongs_to(self, kind: PluginKind) -> bool {
        match kind {
            PluginKind::Aa => matches!(self, Self::Authenticate | Self::Authorize | Self::SessionEnded),
            PluginKind::CredentialStore => !matches!(self, Self::Authenticate | Self::Authorize),
            PluginKind::SigningCa | PluginKind::ConfigurationSync => false,
        }
    }

    /// Whether the result holds credentials, which are then masked in what the plugin prints.
    pub(crate) fn returns_credentials(self) -> bool {
        match self {
            Self::GetPasswordList
            | Self::GetPrivateKeyList
            | Self::GetTotpCodes
            | Self::GetRemoteAppCredentials => true,
            Self::Authenticate | Self::Authorize | Self::SessionEnded | Self::AuthenticationCompleted => {
                false
            }
        }
    }

    /// The arguments that the hook is given by name (the tables of contract sections 4 and 5).
    pub fn arguments(self, kind: PluginKind) -> Vec<&'static str> {
        let own: &[&[&str]] = match (self, kind) {
            (Self::Authenticate, _) => &[AA_BOTH],
            (Self::Authorize, _) => &[AA_BOTH, AA_AUTHORIZE],
            (Self::SessionEnded | Self::AuthenticationCompleted, _) => &[],
            (Self::GetPasswordList | Self::GetPrivateKeyList | Self::GetTotpCodes, _) => &[CREDENTIALS],
            (Self::GetRemoteAppCredentials, _) => &[CREDENTIALS, REMOTE_APP],
        };
        ALWAYS.iter().chain(own.iter().copied().flatten()).copied().collect()
    }

    /// Every argument name of the plugin's kind: one that a hook declares without being given it is `None`.
    pub fn family(kind: PluginKind) -> Vec<&'static str> {
        let tables: &[&[&str]] = match kind {
            PluginKind::Aa => &[ALWAYS, AA_BOTH, AA_AUTHORIZE],
            PluginKind::CredentialStore => &[ALWAYS, CREDENTIALS, REMOTE_APP],
            PluginKind::SigningCa | PluginKind::ConfigurationSync => &[],
        };
        tables.iter().copied().flatten().copied().collect()
    }
}

const ALWAYS: &[&str] = &["session_id", "cookie", "session_cookie"];

const AA_BOTH: &[&str] = &[
    "protocol",
    "connection_name",
    "client_ip",
    "client_port",
    "client_hostname",
    "gateway_user",
    "gateway_domain",
    "server_username",
    "server_domain",
    "key_value_pairs",
    "target_username",
    "target_domain",
];

const AA_AUTHORIZE: &[&str] = &[
    "gateway_groups",
    "server_ip",
    "server_hostname",
    "server_port",
    "target_server",
    "target_host",
    "target_port",
];

const CREDENTIALS: &[&str] = &[
    "protocol",
    "client_ip",
    "client_hostname",
    "gateway_username",
    "gateway_password",
    "gateway_groups",
    "gateway_domain",
    "server_username",
    "server_ip",
    "server_hostname",
    "server_port",
    "server_domain",
    "target_username",
    "target_host",
    "target_port",
    "target_domain",
];

const REMOTE_APP: &[&str] = &["asset", "connection_name"];

/// The arguments of `session_ended`, for plugins of both kinds.
pub fn session_ended_arguments(session: &SessionId, cookies: &Cookies) -> Map<String, Value> {
    let mut arguments = Map::new();
    arguments.insert("session_id".into(), session.as_str().into());
    cookies.put_into(&mut arguments);
    arguments
}

/// Fills in what `arguments` leaves out: `None`, and `{}` for what is never `None` (contract section 3, rules 3 and 4).
pub(crate) fn complete(hook: Hook, kind: PluginKind, arguments: &mut Map<String, Value>) {
    for name in hook.arguments(kind) {
        let value = arguments.entry(name).or_insert(Value::Null);
        if value.is_null() {
            *value = match name {
                "cookie" | "session_cookie" | "key_value_pairs" => Value::Object(Map::new()),
                "gateway_password" => Value::String(String::new()),
                _ => Value::Null,
            };
        }
    }
}

/// Reads `result` as the gateway does, for whoever only wants to know whether it would.
///
/// # Errors
/// Anything that the contract does not name is [`crate::CallErrorKind::WrongResult`], with the key and the rule.
pub fn check_result(hook: Hook, result: &Value) -> Result<(), CallError> {
    match hook {
        Hook::Authenticate | Hook::Authorize => AaReply::read(hook, result).map(drop),
        Hook::GetPasswordList => passwords(result).map(drop),
        Hook::GetPrivateKeyList => private_keys(result).map(drop),
        Hook::GetTotpCodes => totp_codes(result).map(drop),
        Hook::GetRemoteAppCredentials => remote_app_credentials(result).map(drop),
        // Nothing but their cookies is read, which are for [`Cookies::absorb`].
        Hook::SessionEnded | Hook::AuthenticationCompleted => Ok(()),
    }
}

/// Shows `each` credential in the result of a hook that returns them.
pub(crate) fn credentials(result: &Value, each: &mut dyn FnMut(&str)) {
    let items = |key: &str| result.get(key).and_then(Value::as_array).into_iter().flatten();
    items("passwords").filter_map(Value::as_str).for_each(&mut *each);
    items("private_keys").filter_map(|key| key.get(1)?.as_str()).for_each(&mut *each);
    items("totp_codes").filter_map(|code| code.get("code")?.as_str()).for_each(each);
}

/// Wipes the texts of `value`: arguments hold answers and passwords.
pub(crate) fn forget(value: Value) {
    match value {
        Value::String(mut text) => zeroize::Zeroize::zeroize(&mut text),
        Value::Array(items) => items.into_iter().for_each(forget),
        Value::Object(map) => map.into_iter().for_each(|(_, value)| forget(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Hook {
    type Err = UnknownHook;

    fn from_str(text: &str) -> Result<Self, UnknownHook> {
        Self::ALL.into_iter().find(|hook| hook.name() == text).ok_or_else(|| UnknownHook(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_leaves_out_is_none_and_cookies_are_empty() {
        let mut arguments = Map::new();
        complete(Hook::Authorize, PluginKind::Aa, &mut arguments);
        assert_eq!(arguments["gateway_groups"], Value::Null);
        assert_eq!(arguments["cookie"], serde_json::json!({}));
        assert_eq!(arguments["session_cookie"], serde_json::json!({}));
        assert_eq!(arguments["key_value_pairs"], serde_json::json!({}));
        assert_eq!(arguments["target_host"], Value::Null);
    }

    /// The tables of contract sections 4 and 5, written out once more.
    #[test]
    fn each_hook_is_told_what_the_contract_lists() {
        let told = |hook: Hook, kind| {
            let mut names = hook.arguments(kind);
            names.sort_unstable();
            names.join(" ")
        };
        let sorted = |names: &str| {
            let mut names: Vec<&str> = names.split_whitespace().collect();
            names.sort_unstable();
            names.join(" ")
        };
        let always = "session_id cookie session_cookie";
        let authenticate = format!(
            "{always} protocol connection_name client_ip client_port client_hostname gateway_user gateway_domain \
             server_username server_domain key_value_pairs target_username target_domain"
        );
        let authorize = format!(
            "{authenticate} gateway_groups server_ip server_hostname server_port target_server target_host target_port"
        );
        let credentials = format!(
            "{always} protocol client_ip client_hostname gateway_username gateway_password gateway_groups \
             gateway_domain server_username server_ip server_hostname server_port server_domain target_username \
             target_host target_port target_domain"
        );
        let remote_app = format!("{credentials} asset connection_name");
        for (kind, hook, expected) in [
            (PluginKind::Aa, Hook::Authenticate, &*authenticate),
            (PluginKind::Aa, Hook::Authorize, &authorize),
            (PluginKind::Aa, Hook::SessionEnded, always),
            (PluginKind::CredentialStore, Hook::GetPasswordList, &credentials),
            (PluginKind::CredentialStore, Hook::GetPrivateKeyList, &credentials),
            (PluginKind::CredentialStore, Hook::GetTotpCodes, &credentials),
            (PluginKind::CredentialStore, Hook::GetRemoteAppCredentials, &remote_app),
            (PluginKind::CredentialStore, Hook::AuthenticationCompleted, always),
            (PluginKind::CredentialStore, Hook::SessionEnded, always),
        ] {
            assert_eq!(told(hook, kind), sorted(expected), "{hook}");
        }
    }

    #[test]
    fn a_result_is_checked_by_the_hook_that_it_comes_from() {
        let taken = |hook, result: Value| check_result(hook, &result).is_ok();
        for hook in Hook::ALL {
            assert!(taken(hook, Value::Null), "{hook}");
        }
        assert!(!taken(Hook::Authorize, serde_json::json!(["ACCEPT"])));
        assert!(!taken(Hook::GetPasswordList, serde_json::json!({"passwords": "one"})));
        assert!(!taken(Hook::GetPrivateKeyList, serde_json::json!({"private_keys": ["PEM"]})));
        assert!(!taken(Hook::GetTotpCodes, serde_json::json!({"totp_codes": ["012345"]})));
        assert!(!taken(Hook::GetRemoteAppCredentials, serde_json::json!("secret")));
        assert!(!taken(Hook::GetRemoteAppCredentials, serde_json::json!({"passwords": "one"})));
        assert!(taken(Hook::SessionEnded, serde_json::json!("bye")));
        assert!(taken(Hook::AuthenticationCompleted, serde_json::json!(1)));
    }

    #[test]
    fn a_hook_reads_back_from_its_name() {
        for hook in Hook::ALL {
            assert_eq!(hook.name().parse(), Ok(hook));
        }
        assert!("Authorize".parse::<Hook>().is_err());
    }
}
