//! Authentication and authorization plugins (contract section 4).

use std::fmt;

use keyward_model::{ClientAddr, ConnectionName, KeyValuePairs, Protocol, Secret, SessionId, TargetAddr};
use serde_json::{Map, Value, json};

use super::reading::{dict, text, type_of, wrong};
use super::{Cookies, Hook};
use crate::CallError;
use crate::mask::Masks;

/// What `authenticate` and `authorize` are told.
#[derive(Clone, Copy, Debug)]
pub struct AaFacts<'a> {
    pub session_id: &'a SessionId,
    pub protocol: Protocol,
    pub connection_name: &'a ConnectionName,
    pub client: ClientAddr,
    /// `None` when reverse DNS fails.
    pub client_hostname: Option<&'a str>,
    pub gateway_user: Option<&'a str>,
    pub gateway_domain: Option<&'a str>,
    /// `authorize` only.
    pub gateway_groups: Option<&'a [String]>,
    pub server_username: Option<&'a str>,
    pub server_domain: Option<&'a str>,
    /// The settled destination; `authorize` only.
    pub server: Option<&'a TargetAddr>,
    pub key_value_pairs: &'a KeyValuePairs,
    pub cookies: &'a Cookies,
}

/// What the plugin decided, and what it wants stored with the session.
#[derive(Clone, Debug, PartialEq)]
pub struct AaReply {
    pub decision: AaDecision,
    /// Stored with the session, searchable.
    pub additional_metadata: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum AaDecision {
    /// Go on. What is set overrides the session's gateway user and groups from now on.
    Accept { gateway_user: Option<String>, gateway_groups: Option<Vec<String>> },
    /// End the session; `reason` is for the person who connects.
    Deny { reason: Option<String> },
    /// Ask, put the answer into `key_value_pairs`, and call the same hook again.
    NeedInfo(Question),
    /// From `authenticate` only: the plugin did no gateway authentication, the session goes on without.
    NoDecision,
}

impl AaReply {
    /// Without `secrets` in what goes to the log and the record: the reason and the metadata.
    #[must_use]
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        let masks = Masks::new(secrets.iter().map(Secret::expose));
        let hide = |text: String| masks.mask(&text);
        let decision = match self.decision {
            AaDecision::Deny { reason } => AaDecision::Deny { reason: reason.map(hide) },
            other @ (AaDecision::Accept { .. } | AaDecision::NeedInfo(_) | AaDecision::NoDecision) => other,
        };
        Self { decision, additional_metadata: self.additional_metadata.map(hide) }
    }
}

/// A question for the person who connects.
#[derive(Clone, Eq, PartialEq)]
pub struct Question {
    /// The key that the answer gets in `key_value_pairs`.
    pub key: String,
    /// May have several lines.
    pub prompt: String,
    pub disable_echo: bool,
}

impl fmt::Debug for Question {
    /// Prompts may hold a challenge.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("key", &self.key).field("disable_echo", &self.disable_echo).finish()
    }
}

pub fn authenticate_arguments(facts: &AaFacts<'_>) -> Map<String, Value> {
    arguments_of_both(facts)
}

pub fn authorize_arguments(facts: &AaFacts<'_>) -> Map<String, Value> {
    let mut arguments = arguments_of_both(facts);
    let ip = facts.server.map(|server| server.addr.ip().to_canonical().to_string());
    let hostname = facts.server.and_then(|server| server.hostname.clone());
    let port = facts.server.map(|server| server.addr.port());
    let host = hostname.clone().or_else(|| ip.clone());
    let more = [
        ("gateway_groups", json!(facts.gateway_groups)),
        ("server_ip", json!(ip)),
        ("server_hostname", json!(hostname)),
        ("server_port", json!(port)),
        ("target_server", json!(host)),
        ("target_host", json!(host)),
        ("target_port", json!(port)),
    ];
    arguments.extend(more.map(|(name, value)| (name.to_owned(), value)));
    arguments
}

fn arguments_of_both(facts: &AaFacts<'_>) -> Map<String, Value> {
    let pairs: Map<String, Value> =
        facts.key_value_pairs.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let values = [
        ("session_id", json!(facts.session_id.as_str())),
        ("protocol", json!(facts.protocol.as_str())),
        ("connection_name", json!(facts.connection_name.as_str())),
        ("client_ip", json!(facts.client.0.ip().to_canonical().to_string())),
        ("client_port", json!(facts.client.0.port())),
        ("client_hostname", json!(facts.client_hostname)),
        ("gateway_user", json!(facts.gateway_user)),
        ("gateway_domain", json!(facts.gateway_domain)),
        ("server_username", json!(facts.server_username)),
        ("server_domain", json!(facts.server_domain)),
        ("target_username", json!(facts.server_username)),
        ("target_domain", json!(facts.server_domain)),
        ("key_value_pairs", Value::Object(pairs)),
    ];
    let mut arguments: Map<String, Value> =
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    facts.cookies.put_into(&mut arguments);
    arguments
}

impl AaReply {
    /// Reads the result of `authenticate` or `authorize`. Its cookies are for [`Cookies::absorb`].
    ///
    /// # Errors
    /// Anything that the contract does not name is [`crate::CallErrorKind::WrongResult`], with the key and the rule.
    pub fn read(hook: Hook, result: &Value) -> Result<Self, CallError> {
        let Some(map) = dict(result)? else {
            return Ok(Self { decision: undecided(hook, "the result is None")?, additional_metadata: None });
        };
        let decision = match text(map, "verdict")? {
            None => undecided(hook, "\"verdict\" is None")?,
            Some("NONE") => undecided(hook, "\"verdict\" is NONE")?,
            Some("ACCEPT") => {
                AaDecision::Accept { gateway_user: gateway_user(map)?, gateway_groups: gateway_groups(map)? }
            }
            Some("DENY") => AaDecision::Deny { reason: reason(map)? },
            Some("NEEDINFO") => AaDecision::NeedInfo(question(map)?),
            Some(other) => return Err(wrong(unknown_verdict(other))),
        };
        let additional_metadata = bounded(text(map, "additional_metadata")?, "additional_metadata")?;
        Ok(Self { decision, additional_metadata })
    }
}

/// No verdict is an answer of `authenticate`; from `authorize` it is a refusal.
fn undecided(hook: Hook, what: &str) -> Result<AaDecision, CallError> {
    match hook {
        Hook::Authenticate => Ok(AaDecision::NoDecision),
        Hook::Authorize => Ok(AaDecision::Deny { reason: None }),
        Hook::SessionEnded
        | Hook::GetPasswordList
        | Hook::GetPrivateKeyList
        | Hook::AuthenticationCompleted
        | Hook::GetTotpCodes
        | Hook::GetRemoteAppCredentials => Err(wrong(format!("{what}, and {hook} has no verdict"))),
    }
}

fn unknown_verdict(verdict: &str) -> String {
    let shown: String = verdict.chars().take(40).collect();
    format!("\"verdict\" is {shown:?}: it must be ACCEPT, DENY, NEEDINFO, NONE or None")
}

fn gateway_user(map: &Map<String, Value>) -> Result<Option<String>, CallError> {
    let user = bounded(text(map, "gateway_user")?, "gateway_user")?;
    Ok(user.filter(|user| !user.is_empty()))
}

fn gateway_groups(map: &Map<String, Value>) -> Result<Option<Vec<String>>, CallError> {
    let groups = match map.get("gateway_groups") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(groups)) => groups,
        Some(other) => {
            return Err(wrong(format!("\"gateway_groups\" is {}: it must be a list of str", type_of(other))));
        }
    };
    let names = groups.iter().enumerate().map(|(n, group)| match group {
        Value::String(name) => Ok(name.clone()),
        other => Err(wrong(format!("\"gateway_groups\"[{n}] is {}: it must be a str", type_of(other)))),
    });
    names.collect::<Result<_, _>>().map(Some)
}

/// `"N/A"` is what the SDK writes where there is none.
fn reason(map: &Map<String, Value>) -> Result<Option<String>, CallError> {
    let reason = bounded(text(map, "reason")?, "reason")?;
    Ok(reason.filter(|reason| !reason.is_empty() && reason != "N/A"))
}

fn question(map: &Map<String, Value>) -> Result<Question, CallError> {
    const RULE: &str = "it must be [key, prompt] or [key, prompt, disable_echo]";
    let parts = match map.get("question") {
        None => return Err(wrong(format!("\"verdict\" is NEEDINFO and there is no \"question\": {RULE}"))),
        Some(Value::Array(parts)) => parts.as_slice(),
        Some(other) => return Err(wrong(format!("\"question\" is {}: {RULE}", type_of(other)))),
    };
    let (key, prompt, disable_echo) = match parts {
        [Value::String(key), Value::String(prompt)] => (key, prompt, false),
        [Value::String(key), Value::String(prompt), Value::Bool(disable_echo)] => {
            (key, prompt, *disable_echo)
        }
        [Value::String(key), Value::String(prompt), Value::Null] => (key, prompt, false),
        others => {
            let types: Vec<&str> = others.iter().take(4).map(type_of).collect();
            return Err(wrong(format!("\"question\" is [{}]: {RULE}", types.join(", "))));
        }
    };
    if key.is_empty() {
        return Err(wrong(format!("the key of \"question\" is empty: {RULE}")));
    }
    bounded(Some(prompt), "question")?;
    bounded(Some(key), "question")?;
    Ok(Question { key: key.clone(), prompt: prompt.clone(), disable_echo })
}

fn bounded(text: Option<&str>, key: &str) -> Result<Option<String>, CallError> {
    match text {
        Some(text) if text.len() > MAX_TEXT => {
            Err(wrong(format!("{key:?} has {} bytes: {MAX_TEXT} are allowed", text.len())))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

/// Bytes of a prompt, a reason, a name or the metadata of a session.
const MAX_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hook: Hook, result: Value) -> Result<AaDecision, String> {
        AaReply::read(hook, &result).map(|reply| reply.decision).map_err(|error| error.message)
    }

    const ACCEPT: AaDecision = AaDecision::Accept { gateway_user: None, gateway_groups: None };

    #[test]
    fn no_verdict_from_authenticate_is_no_decision() {
        for result in [Value::Null, json!({}), json!({"verdict": null}), json!({"verdict": "NONE"})] {
            assert_eq!(read(Hook::Authenticate, result), Ok(AaDecision::NoDecision));
        }
    }

    #[test]
    fn no_verdict_from_authorize_is_a_refusal() {
        for result in [Value::Null, json!({}), json!({"verdict": null}), json!({"verdict": "NONE"})] {
            assert_eq!(read(Hook::Authorize, result), Ok(AaDecision::Deny { reason: None }));
        }
    }

    #[test]
    fn an_unknown_verdict_is_an_error_of_the_plugin() {
        for verdict in ["accept", "OK", "", "ACCEPT "] {
            assert!(read(Hook::Authenticate, json!({"verdict": verdict})).is_err(), "{verdict}");
        }
        assert_eq!(
            read(Hook::Authorize, json!({"verdict": true})).unwrap_err(),
            "\"verdict\" is a bool: it must be a str"
        );
        assert_eq!(
            read(Hook::Authorize, json!([1])).unwrap_err(),
            "the result is a list: it must be a dict or None"
        );
    }

    #[test]
    fn accept_may_override_the_gateway_user_and_groups() {
        let result =
            json!({"verdict": "ACCEPT", "gateway_user": "ann", "gateway_groups": ["a", "b"], "else": 1});
        let expected = AaDecision::Accept {
            gateway_user: Some("ann".into()),
            gateway_groups: Some(vec!["a".into(), "b".into()]),
        };
        assert_eq!(read(Hook::Authenticate, result), Ok(expected));
        assert_eq!(read(Hook::Authenticate, json!({"verdict": "ACCEPT"})), Ok(ACCEPT));
        assert!(read(Hook::Authenticate, json!({"verdict": "ACCEPT", "gateway_groups": "a"})).is_err());
        assert!(read(Hook::Authenticate, json!({"verdict": "ACCEPT", "gateway_groups": [1]})).is_err());
        assert!(read(Hook::Authenticate, json!({"verdict": "ACCEPT", "gateway_user": 7})).is_err());
    }

    #[test]
    fn a_reason_of_not_available_is_none() {
        let deny = |reason: &str| read(Hook::Authorize, json!({"verdict": "DENY", "reason": reason}));
        assert_eq!(deny("N/A"), Ok(AaDecision::Deny { reason: None }));
        assert_eq!(deny("no ticket"), Ok(AaDecision::Deny { reason: Some("no ticket".into()) }));
    }

    #[test]
    fn a_question_shows_its_echo_unless_told_not_to() {
        let ask = |question: Value| {
            read(Hook::Authenticate, json!({"verdict": "NEEDINFO", "question": question})).map(|decision| {
                match decision {
                    AaDecision::NeedInfo(question) => question.disable_echo,
                    AaDecision::Accept { .. } | AaDecision::Deny { .. } | AaDecision::NoDecision => panic!(),
                }
            })
        };
        assert_eq!(ask(json!(["otp", "Code: "])), Ok(false));
        assert_eq!(ask(json!(["otp", "Code: ", true])), Ok(true));
        assert_eq!(
            ask(json!(["otp", 3])).unwrap_err(),
            "\"question\" is [a str, an int]: it must be [key, prompt] or [key, prompt, disable_echo]"
        );
        assert!(ask(json!("otp")).is_err());
        assert!(ask(json!(["", "Code: "])).is_err());
        assert!(read(Hook::Authenticate, json!({"verdict": "NEEDINFO"})).is_err());
    }

    #[test]
    fn arguments_have_old_and_new_names() {
        let id = SessionId::new([1; 16], &ConnectionName::try_from("db").unwrap(), 1);
        let connection = ConnectionName::try_from("db").unwrap();
        let server = TargetAddr { addr: "10.0.0.9:22".parse().unwrap(), hostname: None };
        let facts = AaFacts {
            session_id: &id,
            protocol: Protocol::Ssh,
            connection_name: &connection,
            client: ClientAddr("[::ffff:10.1.2.3]:4711".parse().unwrap()),
            client_hostname: None,
            gateway_user: None,
            gateway_domain: None,
            gateway_groups: None,
            server_username: Some("root"),
            server_domain: None,
            server: Some(&server),
            key_value_pairs: &KeyValuePairs::default(),
            cookies: &Cookies::default(),
        };
        let arguments = authorize_arguments(&facts);
        for (name, value) in [
            ("client_ip", json!("10.1.2.3")),
            ("server_username", json!("root")),
            ("target_username", json!("root")),
            ("server_hostname", Value::Null),
            ("target_server", json!("10.0.0.9")),
            ("target_host", json!("10.0.0.9")),
            ("target_port", json!(22)),
            ("key_value_pairs", json!({})),
            ("cookie", json!({})),
        ] {
            assert_eq!(arguments[name], value, "{name}");
        }
        assert!(!authenticate_arguments(&facts).contains_key("server_ip"));
        let names = |arguments: &Map<String, Value>| {
            let mut names: Vec<String> = arguments.keys().cloned().collect();
            names.sort();
            names
        };
        let mut table: Vec<String> =
            Hook::Authorize.arguments(crate::PluginKind::Aa).into_iter().map(str::to_owned).collect();
        table.sort();
        assert_eq!(names(&arguments), table);
    }
}
