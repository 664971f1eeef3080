//! Cookies: what a plugin keeps from one call of a session to the next (contract section 3, "Cookies").

use std::fmt;

use serde_json::{Map, Value};

use super::reading::{type_of, wrong};
use crate::CallError;

/// The cookies of one plugin in one session; `session_cookie` is shared by all plugins of the session.
#[derive(Clone, PartialEq)]
pub struct Cookies {
    /// A JSON object.
    pub cookie: Value,
    /// A JSON object.
    pub session_cookie: Value,
}

impl Default for Cookies {
    /// `{}` and `{}`.
    fn default() -> Self {
        Self { cookie: Value::Object(Map::new()), session_cookie: Value::Object(Map::new()) }
    }
}

impl Cookies {
    /// The limit on each cookie, in bytes of JSON.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Takes over what a hook returned: a dict replaces the stored one, an absent key (or `None`) leaves it.
    ///
    /// # Errors
    /// A cookie that is not a dict or is too large. Neither cookie has changed then.
    pub fn absorb(&mut self, result: &Value) -> Result<(), CallError> {
        let cookie = returned(result, "cookie")?;
        let session_cookie = returned(result, "session_cookie")?;
        if let Some(cookie) = cookie {
            self.cookie = cookie.clone();
        }
        if let Some(session_cookie) = session_cookie {
            self.session_cookie = session_cookie.clone();
        }
        Ok(())
    }

    pub(super) fn put_into(&self, arguments: &mut Map<String, Value>) {
        arguments.insert("cookie".into(), self.cookie.clone());
        arguments.insert("session_cookie".into(), self.session_cookie.clone());
    }
}

fn returned<'a>(result: &'a Value, key: &str) -> Result<Option<&'a Value>, CallError> {
    match result.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) if !value.is_object() => {
            Err(wrong(format!("{key:?} is {}: it must be a dict", type_of(value))))
        }
        Some(value) => {
            let bytes = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
            if bytes > Cookies::MAX_BYTES {
                return Err(wrong(format!(
                    "{key:?} is {bytes} bytes of JSON: {} are allowed",
                    Cookies::MAX_BYTES
                )));
            }
            Ok(Some(value))
        }
    }
}

impl fmt::Debug for Cookies {
    /// Plugins keep tokens in cookies: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookies(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_returned_dict_replaces_and_an_absent_one_leaves() {
        let mut cookies = Cookies::default();
        cookies.absorb(&json!({"cookie": {"a": 1}, "session_cookie": {"s": 1}})).unwrap();
        cookies.absorb(&json!({"cookie": {"b": 2}})).unwrap();
        cookies.absorb(&Value::Null).unwrap();
        cookies.absorb(&json!({"cookie": null})).unwrap();
        assert_eq!(cookies.cookie, json!({"b": 2}));
        assert_eq!(cookies.session_cookie, json!({"s": 1}));
    }

    #[test]
    fn a_cookie_that_is_no_dict_changes_nothing() {
        let mut cookies = Cookies::default();
        let error = cookies.absorb(&json!({"cookie": {"a": 1}, "session_cookie": [1]})).unwrap_err();
        assert_eq!(error.message, "\"session_cookie\" is a list: it must be a dict");
        assert_eq!(cookies, Cookies::default());
    }

    #[test]
    fn a_cookie_over_a_megabyte_is_refused() {
        let mut cookies = Cookies::default();
        assert!(cookies.absorb(&json!({"cookie": {"a": "x".repeat(Cookies::MAX_BYTES - 8)}})).is_ok());
        assert!(cookies.absorb(&json!({"cookie": {"a": "x".repeat(Cookies::MAX_BYTES)}})).is_err());
    }
}
