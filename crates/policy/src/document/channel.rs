//! `[[channel-policy]]`.

use toml::de::DeValue;

use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{choice, flag, network, owned_line, pattern};
use crate::{ChannelKind, ChannelPolicy, ChannelRule, PatternPort};

pub(super) fn policy(section: &Section<'_>) -> ChannelPolicy {
    section.need("rule");
    let label = "[[channel-policy.rule]]";
    ChannelPolicy { rules: section.sections("rule", label, label).iter().map(rule).collect() }
}

fn rule(section: &Section<'_>) -> ChannelRule {
    section.not_yet(&["time-window", "four-eyes", "content-policy", "commands"]);
    ChannelRule {
        kinds: values(section.required_list("types", kind)),
        from: values(section.list("from", network)),
        // The connection has settled which ports may be reached.
        targets: values(section.list("targets", pattern(PatternPort::Any))),
        groups: values(section.list("groups", owned_line)),
        users: values(section.list("remote-users", owned_line)),
        // Who says nothing about it is recorded.
        record: section.optional("record", flag).is_none_or(|item| item.value),
    }
}

fn kind(value: &DeValue<'_>) -> Result<ChannelKind, Fault> {
    let kind = choice(&ChannelKind::ALL.map(|kind| (kind.as_str(), kind)))(value)?;
    if kind.is_supported() {
        return Ok(kind);
    }
    let fault = Fault::new(format!("channels of type \"{kind}\" are not supported yet"));
    Err(fault.hint("leave it out: what no rule allows is refused"))
}
