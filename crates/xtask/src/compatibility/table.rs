//! The table as people write it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use super::catalogue::Catalogue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(rename = "part")]
    pub(super) parts: Vec<Part>,
}

/// A heading of the contract with the rules below it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) heading: String,
    #[serde(rename = "rule", default)]
    pub(super) rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Its number in the contract, where it has one.
    pub(super) item: Option<u32>,
    /// The rule, in a few words of our own.
    pub(super) rule: String,
    /// Full names of the tests that prove it.
    #[serde(default)]
    pub(super) tests: Vec<String>,
    /// What no test proves yet: of a rule without tests the reason, of others the rest.
    pub(super) lacks: Option<String>,
}

/// How well a rule is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Proven,
    InPart,
    NoTestYet,
}

impl Rule {
    pub(super) fn status(&self) -> Status {
        match (self.tests.is_empty(), &self.lacks) {
            (true, _) => Status::NoTestYet,
            (false, Some(_)) => Status::InPart,
            (false, None) => Status::Proven,
        }
    }
}

impl Table {
    pub(super) fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What does not hold, each with the rule that it is about.
    pub(super) fn findings(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut findings = Vec::new();
        for part in &self.parts {
            for rule in &part.rules {
                let faults = faults(rule, catalogue).into_iter();
                findings.extend(faults.map(|fault| format!("{}: \"{}\": {fault}", part.heading, rule.rule)));
            }
        }
        findings
    }

    pub(super) fn count(&self) -> Count {
        let mut count = Count::default();
        let mut tests = BTreeSet::new();
        for rule in self.parts.iter().flat_map(|part| &part.rules) {
            tests.extend(&rule.tests);
            match rule.status() {
                Status::Proven => count.proven += 1,
                Status::InPart => count.in_part += 1,
                Status::NoTestYet => count.no_test_yet += 1,
            }
        }
        count.tests = tests.len();
        count
    }
}

fn faults(rule: &Rule, catalogue: &Catalogue) -> Vec<String> {
    let mut faults = Vec::new();
    if rule.tests.is_empty() && rule.lacks.is_none() {
        faults
            .push("it has no test: name one in `tests`, or say in `lacks` why there is none yet".to_owned());
    }
    for (at, name) in rule.tests.iter().enumerate() {
        match catalogue.get(name) {
            None => faults.push(format!("there is no test {name}{}", namesakes(name, catalogue))),
            Some(test) if test.ignored => faults.push(format!("the test {name} is not run: it is ignored")),
            Some(_) if rule.tests[..at].contains(name) => faults.push(format!("{name} is there twice")),
            Some(_) => {}
        }
    }
    faults
}

/// Tests of the same name elsewhere: it may have moved.
fn namesakes(name: &str, catalogue: &Catalogue) -> String {
    let last = |name: &str| name.rsplit("::").next().map(str::to_owned);
    let found: Vec<&str> =
        catalogue.keys().filter(|other| last(other) == last(name)).map(String::as_str).collect();
    match found.is_empty() {
        true => String::new(),
        false => format!("; there is {}", found.join(", ")),
    }
}

#[derive(Default)]
pub(super) struct Count {
    proven: usize,
    in_part: usize,
    no_test_yet: usize,
    tests: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proven, in_part, no_test_yet, tests } = self;
        let rules = proven + in_part + no_test_yet;
        write!(
            f,
            "{rules} rules: {proven} proven, {in_part} in part, {no_test_yet} with no test yet; {tests} tests"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Test;
    use super::*;

    fn findings(rule: &str) -> Vec<String> {
        let test = |ignored| Test { file: "a.rs".to_owned(), ignored };
        let catalogue = [("a::b::good".to_owned(), test(false)), ("a::slow".to_owned(), test(true))].into();
        let text = format!("[[part]]\nheading = \"1. X\"\n[[part.rule]]\nrule = \"r\"\n{rule}\n");
        Table::read(&text).unwrap().findings(&catalogue)
    }

    #[test]
    fn a_test_that_is_not_there_or_not_run_is_told() {
        assert_eq!(findings("tests = [\"a::b::good\"]"), [""; 0]);
        assert_eq!(findings("lacks = \"nobody can run it\""), [""; 0]);
        assert_eq!(
            findings("tests = [\"a::good\"]"),
            ["1. X: \"r\": there is no test a::good; there is a::b::good"]
        );
        assert_eq!(findings("tests = [\"a::bad\"]"), ["1. X: \"r\": there is no test a::bad"]);
        assert!(findings("tests = [\"a::slow\"]")[0].ends_with("the test a::slow is not run: it is ignored"));
        assert!(findings("tests = [\"a::b::good\", \"a::b::good\"]")[0].ends_with("is there twice"));
        assert!(findings("")[0].contains("it has no test"));
    }
}
