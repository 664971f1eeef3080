//! What may be typed and shown in a channel: `[[content-policy]]`.

use std::fmt;
use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Ordered rules. All of them are looked at, not the first alone: one may log what another ends the session for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentPolicy {
    pub name: String,
    pub rules: Vec<ContentRule>,
    /// Of commands, by the number of their rule.
    commands: Sought,
    /// Of what the screen shows.
    screen: Sought,
}

/// What to look for, and what to do then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentRule {
    /// What the record calls it.
    pub name: String,
    pub action: ContentAction,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ContentAction {
    /// A note in the session's record.
    Log,
    /// The same, and an alert in the gateway's log.
    Notify,
    /// The same, and the session ends before what was found is passed on.
    Terminate,
}

/// Many patterns that are looked for at once, anywhere in a line.
#[derive(Clone)]
pub struct Sought {
    /// Finds out whether there is anything at all, in one pass.
    any: RegexSet,
    each: Vec<(usize, Regex)>,
}

/// Memory of all compiled patterns of a policy of one kind, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// Memory of the states that one set keeps while it searches, in bytes.
const LARGEST_CACHE: usize = 1024 * 1024;

impl ContentPolicy {
    pub fn new(name: String, rules: Vec<ContentRule>, commands: Sought, screen: Sought) -> Self {
        Self { name, rules, commands, screen }
    }

    pub fn commands(&self) -> &Sought {
        &self.commands
    }

    pub fn screen(&self) -> &Sought {
        &self.screen
    }
}

impl Sought {
    /// Patterns, each with the number of its rule.
    ///
    /// Without flags, `^` and `$` are the ends of the line and upper case is not lower case; `(?i)` makes them one.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = (usize, &'a str)>) -> Result<Self, regex::Error> {
        let patterns: Vec<_> = patterns.into_iter().collect();
        let each = patterns.iter().map(|(rule, pattern)| Ok((*rule, one(pattern)?)));
        let each = each.collect::<Result<Vec<_>, regex::Error>>()?;
        let any = RegexSetBuilder::new(patterns.iter().map(|(_, pattern)| pattern))
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST_CACHE)
            .build()?;
        Ok(Self { any, each })
    }

    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Each pattern that is in the line: the number of its rule, and where the first place is.
    pub fn find(&self, line: &str) -> Vec<(usize, Range<usize>)> {
        if self.is_empty() || !self.any.is_match(line) {
            return Vec::new();
        }
        let place = |(rule, pattern): &(usize, Regex)| pattern.find(line).map(|found| (*rule, found.range()));
        self.each.iter().filter_map(place).collect()
    }
}

/// One pattern, with no more memory than a pattern of commands may have.
fn one(pattern: &str) -> Result<Regex, regex::Error> {
    const LARGEST: usize = 1024 * 1024;
    RegexBuilder::new(pattern).size_limit(LARGEST).dfa_size_limit(LARGEST_CACHE).build()
}

impl ContentAction {
    pub const ALL: [Self; 3] = [Self::Log, Self::Notify, Self::Terminate];

    /// The word of the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Notify => "notify",
            Self::Terminate => "terminate",
        }
    }
}

impl PartialEq for Sought {
    fn eq(&self, other: &Self) -> bool {
        let written = |(rule, pattern): &(usize, Regex)| (*rule, pattern.as_str().to_owned());
        self.each.iter().map(written).eq(other.each.iter().map(written))
    }
}

impl Eq for Sought {}

impl fmt::Debug for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.each.iter().map(|(rule, pattern)| (rule, pattern.as_str()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str], line: &str) -> Vec<usize> {
        let sought = Sought::parse(patterns.iter().copied().enumerate()).unwrap();
        sought.find(line).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn a_pattern_is_looked_for_anywhere_in_the_line() {
        assert_eq!(rules(&["reboot", "rm +-rf", r"\bsu\b"], "$ sudo rm  -rf /"), [1]);
        assert_eq!(rules(&["sudo", "rm"], "$ sudo rm"), [0, 1]);
        assert_eq!(rules(&["(?i)drop table", "drop table"], "DROP TABLE x"), [0]);
        assert_eq!(rules(&["^rm", "rm$"], "$ rm"), [1]);
        assert_eq!(rules(&[], "anything"), [] as [usize; 0]);
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        for wrong in ["(", "x{1000}{1000}{1000}", r"(a)\1"] {
            assert!(Sought::parse([(0, wrong)]).is_err(), "{wrong}");
        }
    }
}
