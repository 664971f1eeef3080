//! The table as a page.

use std::fmt::Write;

use super::catalogue::Catalogue;
use super::table::{Rule, Status, Table};

const START: &str = "\
<!-- Written by `cargo xtask compatibility` from plugin-compatibility.toml. Change that file. -->
# Plugin compatibility

Each rule of sections 1 to 5 and 7 of [the plugin contract](plugin-contract.md) with the tests that prove it. `cargo xtask ci`
checks that the page is up to date and that each test exists and is run. A test is written as nextest names it: the binary, then
the path in it. `cargo xtask test NAME` runs it, where `NAME` is the last part.
";

/// Every test of the table must be in the catalogue.
pub(super) fn page(table: &Table, catalogue: &Catalogue) -> String {
    let mut page = format!("{START}\n**{}.**\n", table.count());
    for part in &table.parts {
        let level = if part.heading.starts_with(|c: char| c.is_ascii_digit()) { "##" } else { "###" };
        let (heading, anchor) = (&part.heading, anchor(&part.heading));
        let _ = write!(
            page,
            "\n{level} {heading}\n\n[In the contract](plugin-contract.md#{anchor})\n\n| rule | proven by |\n| --- | --- |\n"
        );
        for rule in &part.rules {
            let number = rule.item.map(|item| format!("{item}. ")).unwrap_or_default();
            let _ = writeln!(
                page,
                "| {} | {} |",
                cell(&format!("{number}{}", rule.rule)),
                proof(rule, catalogue)
            );
        }
    }
    page
}

fn proof(rule: &Rule, catalogue: &Catalogue) -> String {
    let lacks = rule.lacks.as_deref().map(cell).unwrap_or_default();
    let lacks = match rule.status() {
        Status::Proven => None,
        Status::InPart => Some(format!("**In part**: {lacks}")),
        Status::NoTestYet => Some(format!("**No test yet**: {lacks}")),
    };
    let linked = rule.tests.iter().map(|name| match catalogue.get(name) {
        Some(test) => format!("[`{name}`](../{})", test.file),
        None => format!("`{name}`"),
    });
    linked.chain(lacks).collect::<Vec<_>>().join("<br>")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// As the usual viewers of Markdown name a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Test;
    use super::*;

    #[test]
    fn what_is_not_proven_is_seen_and_counted() {
        let text = "\
[[part]]
heading = \"4. Plugins (`aa`)\"
[[part.rule]]
item = 1
rule = \"a | b\"
tests = [\"k::one\"]
[[part.rule]]
rule = \"half\"
tests = [\"k::one\"]
lacks = \"the rest\"
[[part.rule]]
rule = \"none\"
lacks = \"no peer\"
";
        let catalogue =
            [("k::one".to_owned(), Test { file: "crates/k/src/lib.rs".to_owned(), ignored: false })].into();
        let page = page(&Table::read(text).unwrap(), &catalogue);
        for expected in [
            "**3 rules: 1 proven, 1 in part, 1 with no test yet; 1 tests.**",
            "## 4. Plugins (`aa`)\n\n[In the contract](plugin-contract.md#4-plugins-aa)",
            "| 1. a \\| b | [`k::one`](../crates/k/src/lib.rs) |",
            "| half | [`k::one`](../crates/k/src/lib.rs)<br>**In part**: the rest |",
            "| none | **No test yet**: no peer |",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }
}
