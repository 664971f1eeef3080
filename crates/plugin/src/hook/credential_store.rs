//! Credential store plugins (contract section 5).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use keyward_model::{ClientAddr, ConnectionName, Protocol, Secret, SessionId, TargetAddr};
use serde_json::{Map, Value, json};

use super::Cookies;
use super::reading::{dict, list, text, type_of, wrong};
use crate::CallError;

/// What the hooks that look for credentials are told.
#[derive(Clone, Copy, Debug)]
pub struct CredentialFacts<'a> {
    pub session_id: &'a SessionId,
    pub protocol: Protocol,
    pub client: ClientAddr,
    pub client_hostname: Option<&'a str>,
    pub gateway_username: Option<&'a str>,
    /// `None` where the gateway never saw one: the plugin gets `""`.
    pub gateway_password: Option<&'a Secret>,
    pub gateway_groups: Option<&'a [String]>,
    pub gateway_domain: Option<&'a str>,
    pub server_username: &'a str,
    pub server: &'a TargetAddr,
    pub server_domain: Option<&'a str>,
    pub cookies: &'a Cookies,
}

/// A private key as a plugin offers it; nothing about it is checked yet.
#[derive(Clone)]
pub struct OfferedKey {
    /// `ssh-rsa` or `ssh-dss` by contract.
    pub kind: String,
    pub pem: Secret,
}

impl fmt::Debug for OfferedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfferedKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A one-time code that the target may be given.
#[derive(Clone, Debug)]
pub struct TotpCode {
    /// Seconds since 1970, the start of the code's validity.
    pub unix_time: i64,
    /// Seconds.
    pub period: u64,
    pub code: Secret,
}

impl TotpCode {
    /// One that begins at 0 has no time: the SDK puts that where a plugin does not say.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let begin = u64::try_from(self.unix_time).unwrap_or(0);
        begin == 0 || (begin <= now && now < begin.saturating_add(self.period))
    }
}

/// What a RemoteApp is to be launched with, as a plugin tells it.
#[derive(Clone)]
pub struct RemoteAppCredentials {
    pub account: Option<String>,
    pub asset: Option<String>,
    /// In the order in which they are to be tried.
    pub passwords: Vec<Secret>,
    /// The plugin needs to be told account or asset first; nothing else counts then.
    pub need_info: bool,
    /// The program and its arguments, in order.
    pub launch_information: Vec<String>,
    /// For the program that is launched; may hold secrets.
    pub additional_information: Map<String, Value>,
}

impl fmt::Debug for RemoteAppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAppCredentials")
            .field("account", &self.account)
            .field("asset", &self.asset)
            .field("passwords", &self.passwords.len())
            .field("need_info", &self.need_info)
            .finish_non_exhaustive()
    }
}

/// The arguments of `get_password_list`, `get_private_key_list` and `get_totp_codes`.
pub fn credential_arguments(facts: &CredentialFacts<'_>) -> Map<String, Value> {
    let ip = facts.server.addr.ip().to_canonical().to_string();
    let hostname = facts.server.hostname.as_ref();
    let port = facts.server.addr.port();
    let values = [
        ("session_id", json!(facts.session_id.as_str())),
        ("protocol", json!(facts.protocol.as_str())),
        ("client_ip", json!(facts.client.0.ip().to_canonical().to_string())),
        ("client_hostname", json!(facts.client_hostname)),
        ("gateway_username", json!(facts.gateway_username)),
        ("gateway_password", json!(facts.gateway_password.map_or("", Secret::expose))),
        ("gateway_groups", json!(facts.gateway_groups)),
        ("gateway_domain", json!(facts.gateway_domain)),
        ("server_username", json!(facts.server_username)),
        ("server_ip", json!(ip)),
        ("server_hostname", json!(hostname)),
        ("server_port", json!(port)),
        ("server_domain", json!(facts.server_domain)),
        ("target_username", json!(facts.server_username)),
        ("target_host", json!(hostname.unwrap_or(&ip))),
        ("target_port", json!(port)),
        ("target_domain", json!(facts.server_domain)),
    ];
    let mut arguments: Map<String, Value> =
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    facts.cookies.put_into(&mut arguments);
    arguments
}

/// The arguments of `authentication_completed`.
pub fn authentication_completed_arguments(session: &SessionId, cookies: &Cookies) -> Map<String, Value> {
    super::session_ended_arguments(session, cookies)
}

/// The arguments of `get_remote_app_credentials`.
pub fn remote_app_arguments(
    facts: &CredentialFacts<'_>,
    connection_name: &ConnectionName,
    asset: Option<&str>,
) -> Map<String, Value> {
    let mut arguments = credential_arguments(facts);
    arguments.insert("asset".into(), json!(asset));
    arguments.insert("connection_name".into(), json!(connection_name.as_str()));
    arguments
}

/// The `passwords` of a result, in order; empty when nothing was found.
///
/// # Errors
/// Anything but a list of str, named by its place and type, never by its text.
pub fn passwords(result: &Value) -> Result<Vec<Secret>, CallError> {
    let read = |(n, item): (usize, &Value)| match item {
        Value::String(password) => Ok(Secret::new(password.clone())),
        other => Err(wrong(format!("\"passwords\"[{n}] is {}: it must be a str", type_of(other)))),
    };
    list(result, "passwords")?.iter().enumerate().map(read).collect()
}

/// The `private_keys` of a result, in order; empty when nothing was found.
///
/// # Errors
/// Anything but a list of `[type, PEM]`.
pub fn private_keys(result: &Value) -> Result<Vec<OfferedKey>, CallError> {
    let read = |(n, item): (usize, &Value)| match item.as_array().map(Vec::as_slice) {
        Some([Value::String(kind), Value::String(pem)]) => {
            Ok(OfferedKey { kind: kind.clone(), pem: Secret::new(pem.clone()) })
        }
        Some(parts) => {
            let types: Vec<&str> = parts.iter().take(4).map(type_of).collect();
            Err(wrong(format!("\"private_keys\"[{n}] is [{}]: it must be [type, PEM]", types.join(", "))))
        }
        None => Err(wrong(format!("\"private_keys\"[{n}] is {}: it must be [type, PEM]", type_of(item)))),
    };
    list(result, "private_keys")?.iter().enumerate().map(read).collect()
}

/// The `totp_codes` of a result, in order; empty when nothing was found.
///
/// # Errors
/// Anything but a list of `{unix_time, period, code}`.
pub fn totp_codes(result: &Value) -> Result<Vec<TotpCode>, CallError> {
    let read = |(n, item): (usize, &Value)| {
        let code = match item.get("code") {
            Some(Value::String(code)) => Some(code.clone()),
            Some(Value::Number(code)) if code.is_u64() => Some(code.to_string()),
            Some(_) | None => None,
        };
        match (item.get("unix_time").and_then(seconds), item.get("period").and_then(Value::as_u64), code) {
            (Some(unix_time), Some(period), Some(code)) => {
                Ok(TotpCode { unix_time, period, code: Secret::new(code) })
            }
            (_, _, _) => Err(wrong(format!(
                "\"totp_codes\"[{n}] is {}: it must be a dict of unix_time (int), period (int) and code (str)",
                type_of(item)
            ))),
        }
    };
    list(result, "totp_codes")?.iter().enumerate().map(read).collect()
}

/// What `get_remote_app_credentials` returned; `None` when nothing was found.
///
/// # Errors
/// A key whose value is not of its type (contract section 5), named with the type that it has, never with its text.
pub fn remote_app_credentials(result: &Value) -> Result<Option<RemoteAppCredentials>, CallError> {
    let Some(map) = dict(result)? else { return Ok(None) };
    // Cookies alone are no credentials.
    if !REMOTE_APP_KEYS.iter().any(|key| map.contains_key(*key)) {
        return Ok(None);
    }
    let need_info = match map.get("need_info") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(needed)) => *needed,
        Some(other) => {
            return Err(wrong(format!("\"need_info\" is {}: it must be a bool", type_of(other))));
        }
    };
    let additional_information = match map.get("additional_information") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(other) => {
            return Err(wrong(format!(
                "\"additional_information\" is {}: it must be a dict",
                type_of(other)
            )));
        }
    };
    Ok(Some(RemoteAppCredentials {
        account: text(map, "account")?.map(str::to_owned),
        asset: text(map, "asset")?.map(str::to_owned),
        passwords: passwords(result)?,
        need_info,
        launch_information: launch_information(result)?,
        additional_information,
    }))
}

const REMOTE_APP_KEYS: [&str; 6] =
    ["account", "asset", "passwords", "need_info", "launch_information", "additional_information"];

/// The SDK puts `None` where a plugin names no program.
fn launch_information(result: &Value) -> Result<Vec<String>, CallError> {
    let key = "launch_information";
    let read = |(n, item): (usize, &Value)| match item {
        Value::Null => None,
        Value::String(part) => Some(Ok(part.clone())),
        other => Some(Err(wrong(format!("{key:?}[{n}] is {}: it must be a str", type_of(other))))),
    };
    list(result, key)?.iter().enumerate().filter_map(read).collect()
}

/// Whole seconds; `time.time()` gives a float.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::new([1; 16], &ConnectionName::try_from("db").unwrap(), 1)
    }

    #[test]
    fn what_is_given_is_what_the_table_names_and_an_unseen_password_is_empty() {
        let (id, cookies) = (id(), Cookies::default());
        let server = TargetAddr { addr: "10.0.0.9:22".parse().unwrap(), hostname: None };
        let unseen = CredentialFacts {
            session_id: &id,
            protocol: Protocol::Ssh,
            client: ClientAddr("10.1.2.3:4711".parse().unwrap()),
            client_hostname: None,
            gateway_username: None,
            gateway_password: None,
            gateway_groups: None,
            gateway_domain: None,
            server_username: "root",
            server: &server,
            server_domain: None,
            cookies: &cookies,
        };
        let arguments = credential_arguments(&unseen);
        let mut table = crate::Hook::GetPasswordList.arguments(crate::PluginKind::CredentialStore);
        table.sort_unstable();
        let mut names: Vec<&str> = arguments.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, table);
        for (name, value) in [
            ("protocol", json!("ssh")),
            ("gateway_username", Value::Null),
            ("gateway_password", json!("")),
            ("gateway_groups", Value::Null),
            ("server_hostname", Value::Null),
            ("target_username", json!("root")),
            ("target_host", json!("10.0.0.9")),
            ("target_port", json!(22)),
            ("cookie", json!({})),
            ("session_cookie", json!({})),
        ] {
            assert_eq!(arguments[name], value, "{name}");
        }
        let password = Secret::new("typed".into());
        let seen = CredentialFacts { gateway_password: Some(&password), ..unseen };
        assert_eq!(credential_arguments(&seen)["gateway_password"], "typed");
    }

    #[test]
    fn nothing_found_is_an_empty_list() {
        for result in [Value::Null, json!({}), json!({"passwords": []}), json!({"passwords": null})] {
            assert!(passwords(&result).unwrap().is_empty());
        }
    }

    #[test]
    fn an_error_names_the_place_and_never_the_text() {
        let error = passwords(&json!({"passwords": ["hunter2", 31337]})).unwrap_err();
        assert_eq!(error.message, "\"passwords\"[1] is an int: it must be a str");
        let error = private_keys(&json!({"private_keys": [["ssh-rsa", "PEM"], ["ssh-rsa"]]})).unwrap_err();
        assert_eq!(error.message, "\"private_keys\"[1] is [a str]: it must be [type, PEM]");
        assert!(passwords(&json!({"passwords": "hunter2"})).is_err());
        assert!(passwords(&json!("hunter2")).is_err());
    }

    #[test]
    fn keys_and_passwords_keep_their_order() {
        let result = json!({"private_keys": [["ssh-rsa", "A"], ["ssh-dss", "B"]], "passwords": ["x", "y"]});
        let keys: Vec<String> =
            private_keys(&result).unwrap().iter().map(|k| format!("{} {}", k.kind, k.pem.expose())).collect();
        assert_eq!(keys, ["ssh-rsa A", "ssh-dss B"]);
        let found: Vec<String> = passwords(&result).unwrap().iter().map(|p| p.expose().to_owned()).collect();
        assert_eq!(found, ["x", "y"]);
    }

    #[test]
    fn one_time_codes_are_read() {
        let result = json!({"totp_codes": [{"unix_time": 30.5, "period": 30, "code": "012345"}]});
        let codes = totp_codes(&result).unwrap();
        assert_eq!((codes[0].unix_time, codes[0].period, codes[0].code.expose()), (30, 30, "012345"));
        assert!(totp_codes(&json!({"totp_codes": [{"code": "012345"}]})).is_err());
        let error = totp_codes(&json!({"totp_codes": [[30, 30, "012345"]]})).unwrap_err();
        assert!(error.message.contains("\"totp_codes\"[0] is a list") && !error.message.contains("012345"));
    }

    #[test]
    fn credentials_of_a_remote_app_are_read_as_the_sdk_writes_them() {
        let written = json!({
            "account": "admin", "asset": "db1", "passwords": ["p1", "p2"], "need_info": false,
            "launch_information": [null, "--cmd", "run"], "additional_information": {"a": 1},
            "cookie": {}, "session_cookie": {},
        });
        let read = remote_app_credentials(&written).unwrap().unwrap();
        assert_eq!((read.account.as_deref(), read.asset.as_deref()), (Some("admin"), Some("db1")));
        assert_eq!(read.passwords.iter().map(Secret::expose).collect::<Vec<_>>(), ["p1", "p2"]);
        assert_eq!((read.need_info, read.launch_information), (false, vec!["--cmd".into(), "run".into()]));
        assert_eq!(read.additional_information, *json!({"a": 1}).as_object().unwrap());
        let asked = remote_app_credentials(&json!({"account": "", "asset": "", "need_info": true})).unwrap();
        assert!(asked.unwrap().need_info);
        for nothing in [json!(null), json!({}), json!({"cookie": {"a": 1}})] {
            assert!(remote_app_credentials(&nothing).unwrap().is_none(), "{nothing}");
        }
    }

    #[test]
    fn each_key_of_a_remote_app_has_its_type() {
        for (wrong, told) in [
            (json!({"account": 7}), "\"account\" is an int: it must be a str"),
            (json!({"asset": ["db1"]}), "\"asset\" is a list: it must be a str"),
            (json!({"passwords": "hunter2"}), "\"passwords\" is a str: it must be a list"),
            (json!({"need_info": "no"}), "\"need_info\" is a str: it must be a bool"),
            (json!({"launch_information": [1]}), "\"launch_information\"[0] is an int: it must be a str"),
            (
                json!({"additional_information": []}),
                "\"additional_information\" is a list: it must be a dict",
            ),
            (json!("hunter2"), "the result is a str: it must be a dict or None"),
        ] {
            assert_eq!(remote_app_credentials(&wrong).unwrap_err().message, told);
        }
        let secret =
            json!({"account": "a", "passwords": ["hunter2"], "additional_information": {"k": "hunter2"}});
        let shown = format!("{:?}", remote_app_credentials(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_remote_app_is_told_asset_and_connection_besides() {
        let names = |hook: crate::Hook| hook.arguments(crate::PluginKind::CredentialStore);
        let more = names(crate::Hook::GetRemoteAppCredentials);
        let less = names(crate::Hook::GetTotpCodes);
        assert_eq!(less, names(crate::Hook::GetPasswordList));
        let added: Vec<&str> = more.into_iter().filter(|name| !less.contains(name)).collect();
        assert_eq!(added, ["asset", "connection_name"]);
    }
}
