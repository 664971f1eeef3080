//! Reading a plugin's result: what it is, or which key broke which rule.

use serde_json::{Map, Value};

use crate::{CallError, CallErrorKind};

pub(super) fn wrong(message: String) -> CallError {
    CallError { kind: CallErrorKind::WrongResult, message, traceback: None }
}

/// The type of `value` in the words of Python, never its text: it may be a secret.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "None",
        Value::Bool(_) => "a bool",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an int",
        Value::String(_) => "a str",
        Value::Array(_) => "a list",
        Value::Object(_) => "a dict",
    }
}

/// A result that may be `None`, which then has no keys.
pub(super) fn dict(result: &Value) -> Result<Option<&Map<String, Value>>, CallError> {
    match result {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        other => Err(wrong(format!("the result is {}: it must be a dict or None", type_of(other)))),
    }
}

/// A key that may be missing or `None`.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, CallError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(format!("{key:?} is {}: it must be a str", type_of(other)))),
    }
}

/// A list under `key`; missing or `None` is an empty one.
pub(super) fn list<'a>(result: &'a Value, key: &str) -> Result<&'a [Value], CallError> {
    let Some(map) = dict(result)? else { return Ok(&[]) };
    match map.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.len() > MAX_ITEMS => {
            Err(wrong(format!("{key:?} has {} items: {MAX_ITEMS} are allowed", items.len())))
        }
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(format!("{key:?} is {}: it must be a list", type_of(other)))),
    }
}

/// More credentials than any target lets a client try.
const MAX_ITEMS: usize = 1000;
