//! `[[channel-policy]]`.

use std::sync::Arc;

use toml::de::DeValue;

use super::defined::Defined;
use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{choice, expression_text, flag, network, owned_line, pattern, text};
use crate::{
    ChannelKind, ChannelPolicy, ChannelRule, ContentPolicy, FileOperation, FileRule, FileRules, PatternPort,
    TextPattern, TimeWindow,
};

/// What a rule may refer to by name.
pub(super) struct Named<'a> {
    pub(super) windows: &'a Defined<TimeWindow>,
    pub(super) contents: &'a Defined<Arc<ContentPolicy>>,
}

pub(super) fn policy(section: &Section<'_>, named: &Named<'_>) -> ChannelPolicy {
    let label = "[[channel-policy.rule]]";
    let rules = section.required_sections("rule", label, label);
    ChannelPolicy { rules: rules.iter().filter_map(|section| rule(section, named)).collect() }
}

/// `None` where a name leads nowhere, which has been reported.
fn rule(section: &Section<'_>, named: &Named<'_>) -> Option<ChannelRule> {
    section.not_yet(&["four-eyes"]);
    let kinds = values(section.required_list("types", kind));
    nothing_else(section, &kinds, "commands", &[ChannelKind::Exec]);
    let forwards = [ChannelKind::LocalForward, ChannelKind::Dynamic, ChannelKind::RemoteForward];
    nothing_else(section, &kinds, "hosts", &forwards);
    nothing_else(section, &kinds, "paths", &[ChannelKind::StreamLocal]);
    nothing_else(section, &kinds, "files", &[ChannelKind::Sftp, ChannelKind::Scp]);
    nothing_else(section, &kinds, "content-policy", &[ChannelKind::Shell, ChannelKind::Exec]);
    let window = refer(section, "time-window", named.windows);
    let content = refer(section, "content-policy", named.contents);
    Some(ChannelRule {
        kinds,
        from: values(section.restriction("from", network)),
        // The connection has settled which ports may be reached.
        targets: values(section.restriction("targets", pattern(PatternPort::Any))),
        groups: values(section.restriction("groups", owned_line)),
        users: values(section.restriction("remote-users", owned_line)),
        commands: values(section.restriction("commands", expression)),
        hosts: values(section.restriction("hosts", pattern(PatternPort::Any))),
        paths: values(section.restriction("paths", expression)),
        files: files(section),
        // Who says nothing about it is recorded.
        record: section.optional("record", flag).is_none_or(|item| item.value),
        window: window?,
        content: content?,
    })
}

/// What other types carry is not judged by this key, so a rule for them must not look as if it were.
fn nothing_else(section: &Section<'_>, kinds: &[ChannelKind], key: &'static str, of: &[ChannelKind]) {
    if let Some(other) = kinds.iter().find(|kind| !of.contains(kind)).filter(|_| section.has(key)) {
        let names: Vec<_> = of.iter().map(|kind| kind.as_str()).collect();
        let types = match names.split_last() {
            Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
            _ => names.concat(),
        };
        let fault = Fault::new(format!("`{key}` is for channels of type {types}, not {other}"));
        section.fault_at(section.place_of(key), fault.hint("write a rule of its own for the other types"));
    }
}

/// The entry that the key names, if the key is there. `None` where there is no such entry, which has been reported.
fn refer<T: Clone>(section: &Section<'_>, key: &'static str, entries: &Defined<T>) -> Option<Option<T>> {
    let found = section.optional(key, text).and_then(|name| entries.find(section, &name).cloned());
    if section.has(key) { found.map(Some) } else { Some(None) }
}

fn files(section: &Section<'_>) -> FileRules {
    let form = "a list of tables: [{ operations = [\"download\"], paths = [\"/srv/.*\"] }]";
    let rules: Vec<FileRule> = section.sections("files", FILES, form).iter().map(file_rule).collect();
    if !section.has("files") {
        return FileRules::default();
    }
    if rules.is_empty() {
        let fault = Fault::new("`files` allows nothing".to_owned());
        section.fault_at(section.place_of("files"), fault.hint("leave it out to allow every operation"));
    }
    FileRules::of(rules)
}

const FILES: &str = "entry of `files`";

fn file_rule(section: &Section<'_>) -> FileRule {
    let operations = FileOperation::ALL.map(|operation| (operation.as_str(), operation));
    FileRule {
        operations: values(section.restriction("operations", choice(&operations))),
        paths: values(section.restriction("paths", expression)),
        allow: section.optional("allow", flag).is_none_or(|item| item.value),
    }
}

fn kind(value: &DeValue<'_>) -> Result<ChannelKind, Fault> {
    choice(&ChannelKind::ALL.map(|kind| (kind.as_str(), kind)))(value)
}

fn expression(value: &DeValue<'_>) -> Result<TextPattern, Fault> {
    let text = expression_text(value)?;
    TextPattern::parse(text).map_err(|error| {
        // The last line of the library's account says what is wrong, the others draw where.
        let account = error.to_string();
        let why = account.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let fault = Fault::new(format!("{text:?} is no regular expression: {why}"));
        fault.hint("the whole command or path must match it")
    })
}
