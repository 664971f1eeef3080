//! A table of the document, read key by key.

use std::cell::RefCell;

use keyward_model::Secret;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::report::{Fault, Report};
use super::value::text;

/// A value and the place where the document has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// One table. Every fault goes to the report, and reading goes on, so that one run finds them all.
///
/// When it is dropped, it reports the keys that nobody has asked for: to forget that is not possible.
pub(super) struct Section<'d> {
    report: &'d Report<'d>,
    /// What people call the table: `[[connection]]`.
    label: &'static str,
    table: &'d DeTable<'d>,
    at: usize,
    asked: RefCell<Vec<&'static str>>,
}

type Value<'d> = Spanned<DeValue<'d>>;

impl<'d> Section<'d> {
    pub(super) fn new(
        report: &'d Report<'d>,
        label: &'static str,
        table: &'d DeTable<'d>,
        at: usize,
    ) -> Self {
        Self { report, label, table, at, asked: RefCell::default() }
    }

    /// A fault of the table as a whole.
    pub(super) fn fault(&self, fault: Fault) {
        self.report.add(self.at, fault);
    }

    pub(super) fn fault_at(&self, at: usize, fault: Fault) {
        self.report.add(at, fault);
    }

    /// How many faults the whole document has so far: none was found in what was read between two equal counts.
    pub(super) fn faults_so_far(&self) -> usize {
        self.report.count()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.keys().any(|name| name.get_ref() == key)
    }

    pub(super) fn is_table(&self, key: &'static str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_table())
    }

    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Option<Item<T>> {
        self.read(self.value(key)?, read)
    }

    pub(super) fn required<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Option<Item<T>> {
        self.need(key);
        self.optional(key, read)
    }

    /// Like `required`, where `hint` says how a missing key is written.
    pub(super) fn required_with_hint<T>(
        &self,
        key: &'static str,
        hint: &str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Option<Item<T>> {
        if !self.has(key) {
            self.fault(self.missing(key).hint(hint));
        }
        self.optional(key, read)
    }

    /// The elements of an array; a key that is not there is an empty array.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Vec<Item<T>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let fault = Fault::new(format!("`{key}` must be a list"));
            self.report.add(value.span().start, fault.hint("put it into brackets: [ ]"));
            return Vec::new();
        };
        items.iter().filter_map(|item| self.read(item, &read)).collect()
    }

    /// The elements of an array that must have one.
    pub(super) fn required_list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Vec<Item<T>> {
        self.need(key);
        self.refuse_empty(key, Fault::new(format!("`{key}` must not be empty")));
        self.list(key, read)
    }

    /// The elements of an array that restricts something where it is there. An empty one looks as if it allowed
    /// nothing, and would allow everything.
    pub(super) fn restriction<T>(
        &self,
        key: &'static str,
        read: impl Fn(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Vec<Item<T>> {
        let fault = Fault::new(format!("`{key}` is empty, which would restrict nothing"));
        self.refuse_empty(key, fault.hint("leave it out to allow all, or write some"));
        self.list(key, read)
    }

    /// Reports an array without elements.
    pub(super) fn refuse_empty(&self, key: &'static str, fault: Fault) {
        if let Some(value) = self.value(key)
            && value.get_ref().as_array().is_some_and(|items| items.is_empty())
        {
            self.report.add(value.span().start, fault);
        }
    }

    pub(super) fn secret(&self, key: &'static str) -> Option<Item<Secret>> {
        self.hide(key);
        self.optional(key, read_secret)
    }

    pub(super) fn secrets(&self, key: &'static str) -> Vec<Item<Secret>> {
        self.hide(key);
        self.list(key, read_secret)
    }

    /// Keeps the value of this key out of every excerpt.
    pub(super) fn hide(&self, key: &'static str) {
        if let Some(value) = self.value(key) {
            self.report.hide(value);
        }
    }

    /// The table below this key. `form` says how it is written.
    pub(super) fn section(&self, key: &'static str, label: &'static str, form: &str) -> Option<Section<'d>> {
        let value = self.value(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(self.report, label, table, value.span().start)),
            None => {
                self.wrong_form(value, key, form);
                None
            }
        }
    }

    /// The tables of an array that must have one.
    pub(super) fn required_sections(
        &self,
        key: &'static str,
        label: &'static str,
        form: &str,
    ) -> Vec<Section<'d>> {
        self.need(key);
        self.refuse_empty(key, Fault::new(format!("`{key}` must not be empty")));
        self.sections(key, label, form)
    }

    /// The tables of the array below this key. `form` says how they are written.
    pub(super) fn sections(&self, key: &'static str, label: &'static str, form: &str) -> Vec<Section<'d>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_form(value, key, form);
            return Vec::new();
        };
        let section = |item: &'d Value<'d>| match item.get_ref().as_table() {
            Some(table) => Some(Section::new(self.report, label, table, item.span().start)),
            None => {
                self.wrong_form(item, key, form);
                None
            }
        };
        items.iter().filter_map(section).collect()
    }

    /// Keys of the specification that this release cannot honour: to ignore them would be a false promise.
    pub(super) fn not_yet(&self, keys: &[&'static str]) {
        for key in keys {
            if let Some(value) = self.value(key) {
                self.report.hide(value);
                let fault = Fault::new(format!("`{key}` is not supported yet"));
                self.report.add(self.key_at(key), fault.hint("leave it out"));
            }
        }
    }

    /// Reports the first key that is not `kept`.
    pub(super) fn refuse_first_beside(&self, kept: &str, fault: Fault) {
        let others = self.table.keys().filter(|name| name.get_ref() != kept);
        if let Some(first) = others.map(|name| name.span().start).min() {
            self.report.add(first, fault);
        }
    }

    /// Where the value of this key begins.
    pub(super) fn place_of(&self, key: &'static str) -> usize {
        self.value(key).map_or(self.at, |value| value.span().start)
    }

    /// Reports the key when it is not there.
    pub(super) fn need(&self, key: &'static str) {
        if !self.has(key) {
            self.asked.borrow_mut().push(key);
            self.fault(self.missing(key));
        }
    }

    fn missing(&self, key: &str) -> Fault {
        Fault::new(format!("this {} has no `{key}`", self.label))
    }

    fn value(&self, key: &'static str) -> Option<&'d Value<'d>> {
        self.asked.borrow_mut().push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn key_at(&self, key: &str) -> usize {
        self.table.keys().find(|name| name.get_ref() == key).map_or(self.at, |name| name.span().start)
    }

    fn read<T>(
        &self,
        value: &'d Value<'d>,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Fault>,
    ) -> Option<Item<T>> {
        let at = value.span().start;
        match read(value.get_ref()) {
            Ok(value) => Some(Item { value, at }),
            Err(fault) => {
                self.report.add(at, fault);
                None
            }
        }
    }

    /// What stands where a table should may be anything, a secret too.
    fn wrong_form(&self, value: &Value<'_>, key: &str, form: &str) {
        self.report.hide(value);
        let at = if value.get_ref().is_table() { self.key_at(key) } else { value.span().start };
        self.report.add(at, Fault::new(format!("`{key}` has the wrong form")).hint(format!("write {form}")));
    }
}

fn read_secret(value: &DeValue<'_>) -> Result<Secret, Fault> {
    let text = text(value)?;
    if text.is_empty() { Err(Fault::new("this is empty")) } else { Ok(Secret::new(text.to_owned())) }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let asked = self.asked.get_mut();
        asked.sort_unstable();
        asked.dedup();
        for (name, value) in self.table.iter() {
            let key: &str = name.get_ref();
            if asked.contains(&key) {
                continue;
            }
            // A misspelt `password` is a password all the same.
            self.report.hide(value);
            let hint = match nearest(key, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", asked.join(", ")),
            };
            let fault = Fault::new(format!("{} has no key {key:?}", self.label)).hint(hint);
            self.report.add(name.span().start, fault);
        }
    }
}
