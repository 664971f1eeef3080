//! The named entries of one kind, and references to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;

use toml::de::DeValue;

use super::nearest::nearest;
use super::report::Fault;
use super::section::{Item, Section};
use super::value::quoted;

/// Everything that `[[kind]]` defines. An entry with faults keeps its name, so that references to it are no
/// faults besides.
pub(super) struct Defined<T> {
    label: &'static str,
    entries: BTreeMap<String, Option<T>>,
}

impl<T> Defined<T> {
    /// Reads all entries; `name` checks their names, which must be unique.
    ///
    /// `read` gets no name where that is the fault, so that it can find the others.
    pub(super) fn read<'d, N: Display>(
        sections: &[Section<'d>],
        label: &'static str,
        name: impl Fn(&'d DeValue<'d>) -> Result<N, Fault>,
        read: impl Fn(&Section<'d>, Option<N>) -> Option<T>,
    ) -> Self {
        let mut entries = BTreeMap::new();
        for section in sections {
            let name = section.required("name", &name);
            let place = name.as_ref().map(|name| (name.value.to_string(), name.at));
            let value = read(section, name.map(|name| name.value));
            let Some((name, at)) = place else { continue };
            match entries.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(entry) => section.fault_at(at, twice(label, entry.key())),
            }
        }
        Self { label, entries }
    }

    /// The entry that a key of `section` names; a name that is not there is a fault.
    pub(super) fn find(&self, section: &Section<'_>, name: &Item<&str>) -> Option<&T> {
        match self.entries.get(name.value) {
            Some(entry) => entry.as_ref(),
            None => {
                let fault = Fault::new(format!("no {} is named {:?}", self.label, name.value));
                section.fault_at(name.at, fault.hint(self.suggestion(name.value)));
                None
            }
        }
    }

    fn suggestion(&self, name: &str) -> String {
        let names = || self.entries.keys().map(String::as_str);
        if let Some(near) = nearest(name, names()) {
            return format!("did you mean {near:?}?");
        }
        match self.entries.len() {
            0 => format!("this document has no {}: add one", self.label),
            1..=10 => format!("the names are {}", quoted(names())),
            _ => format!("add a {} with this name", self.label),
        }
    }

    /// The entries without faults.
    pub(super) fn into_values(self) -> impl Iterator<Item = (String, T)> {
        self.entries.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

pub(super) fn twice(label: &str, name: &str) -> Fault {
    Fault::new(format!("a {label} named {name:?} stands above")).hint("give each a name of its own")
}
