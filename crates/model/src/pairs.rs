//! The key-value pairs of a session (`key_value_pairs` of the plugin contract, section 4).

use std::collections::BTreeMap;
use std::fmt;

/// What the user said by name: pairs of the login string, then answers to questions.
///
/// Values may be one-time codes or passwords, so `Debug` shows the keys only.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct KeyValuePairs(BTreeMap<String, String>);

impl KeyValuePairs {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets `key`; an earlier value is overwritten.
    pub fn insert(&mut self, key: String, value: String) {
        self.0.insert(key, value);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for KeyValuePairs {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl fmt::Debug for KeyValuePairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
