//! `[[content-policy]]`.

use toml::de::DeValue;

use super::report::Fault;
use super::section::{Item, Section};
use super::value::{choice, expression_text, owned_line};
use crate::{ContentAction, ContentPolicy, ContentRule, Sought};

/// Patterns of one policy; each of them costs time for everything that is shown.
const MOST_PATTERNS: usize = 256;

/// A rule as the document has it.
struct Written<'d> {
    rule: ContentRule,
    commands: Vec<Item<&'d str>>,
    screen: Vec<Item<&'d str>>,
}

pub(super) fn policy(section: &Section<'_>, name: Option<String>) -> Option<ContentPolicy> {
    let label = "[[content-policy.rule]]";
    let sections = section.required_sections("rule", label, label);
    let rules: Vec<_> = sections.iter().enumerate().map(|(n, section)| rule(section, n + 1)).collect();
    let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
    let commands = sought(section, &rules, |rule| &rule.commands);
    let screen = sought(section, &rules, |rule| &rule.screen);
    let rules = rules.into_iter().map(|written| written.rule).collect();
    Some(ContentPolicy::new(name?, rules, commands?, screen?))
}

fn rule<'d>(section: &Section<'d>, number: usize) -> Option<Written<'d>> {
    section.not_yet(&["file-names"]);
    let name = section.optional("name", owned_line);
    let commands = patterns(section, "commands");
    let screen = patterns(section, "screen");
    let action =
        section.required("action", choice(&ContentAction::ALL.map(|action| (action.as_str(), action))));
    if !section.has("commands") && !section.has("screen") {
        let fault = Fault::new("this rule looks for nothing");
        section.fault(fault.hint("write patterns in `commands`, in `screen`, or in both"));
    }
    let name = name.map_or_else(|| format!("rule {number}"), |item| item.value);
    Some(Written { rule: ContentRule { name, action: action?.value }, commands, screen })
}

fn patterns<'d>(section: &Section<'d>, key: &'static str) -> Vec<Item<&'d str>> {
    let fault = Fault::new(format!("`{key}` is empty, which looks for nothing"));
    section.refuse_empty(key, fault.hint("leave it out, or write some patterns"));
    section.list(key, expression)
}

/// All patterns of one kind as one.
fn sought<'w, 'd: 'w>(
    section: &Section<'_>,
    rules: &'w [Written<'d>],
    of: impl Fn(&'w Written<'d>) -> &'w Vec<Item<&'d str>>,
) -> Option<Sought> {
    let numbered =
        rules.iter().enumerate().flat_map(|(n, rule)| of(rule).iter().map(move |item| (n, item.value)));
    let numbered: Vec<_> = numbered.collect();
    if numbered.len() > MOST_PATTERNS {
        section.fault(Fault::new(format!("a content policy has at most {MOST_PATTERNS} patterns of a kind")));
        return None;
    }
    let together = Sought::parse(numbered);
    if together.is_err() {
        let fault = Fault::new("the patterns of this content policy are too large together");
        section.fault(fault.hint("write fewer or simpler ones"));
    }
    together.ok()
}

fn expression<'d>(value: &'d DeValue<'d>) -> Result<&'d str, Fault> {
    let text = expression_text(value)?;
    let alone = Sought::parse([(0, text)]).map_err(|error| {
        // The last line of the library's account says what is wrong, the others draw where.
        let account = error.to_string();
        let why = account.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let fault = Fault::new(format!("{text:?} is no regular expression: {why}"));
        fault.hint("it is looked for anywhere in a line")
    })?;
    if alone.find("").is_empty() {
        Ok(text)
    } else {
        let fault = Fault::new(format!("{text:?} is in every line, also in an empty one"));
        Err(fault.hint("write a pattern that must match something"))
    }
}
