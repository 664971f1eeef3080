//! What of the contract the table must speak of: each heading of its sections 1 to 5 and 7, each numbered rule,
//! and each name in the first column of a table.

use super::table::Table;

const SECTIONS: [&str; 6] = ["1.", "2.", "3.", "4.", "5.", "7."];

/// A heading and what stands below it up to the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    heading: String,
    items: Vec<u32>,
    names: Vec<String>,
}

pub(super) fn parts(contract: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut inside = false;
    for line in contract.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            inside = SECTIONS.iter().any(|number| title.starts_with(number));
        }
        if !inside {
            continue;
        }
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            parts.push(Part { heading: title.to_owned(), ..Part::default() });
        } else if let Some(part) = parts.last_mut() {
            part.items.extend(number(line));
            part.names.extend(row_names(line));
        }
    }
    parts
}

/// The number of `7. A rule`.
fn number(line: &str) -> Option<u32> {
    line.split_once(". ").and_then(|(number, _)| number.parse().ok())
}

/// What is set as code in the first column.
fn row_names(line: &str) -> Vec<String> {
    let first = line.strip_prefix("| ").and_then(|row| row.split('|').next()).unwrap_or_default();
    first.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the table leaves out, and headings of it that the contract does not have.
pub(super) fn uncovered(parts: &[Part], table: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    for part in parts {
        let Some(told) = table.parts.iter().find(|told| told.heading == part.heading) else {
            findings.push(format!("\"{}\" of the contract is missing: add a [[part]]", part.heading));
            continue;
        };
        if told.rules.is_empty() {
            findings.push(format!("{}: there is no rule", part.heading));
        }
        let without_item =
            part.items.iter().filter(|item| told.rules.iter().all(|rule| rule.item != Some(**item)));
        findings.extend(without_item.map(|item| format!("{}: no rule has `item = {item}`", part.heading)));
        let unnamed = part.names.iter().filter(|name| {
            let code = format!("`{name}`");
            told.rules.iter().all(|rule| !rule.rule.contains(&code))
        });
        findings.extend(unnamed.map(|name| format!("{}: no rule speaks of `{name}`", part.heading)));
    }
    let foreign = table.parts.iter().filter(|told| parts.iter().all(|part| part.heading != told.heading));
    findings.extend(foreign.map(|told| format!("the contract has no heading \"{}\"", told.heading)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "\
# The contract
## 1. The bundle
| key | rule |
| --- | --- |
| `a`, `b` | not `c` |
### More
7. A rule, with 10. in it
## 6. Left out
| `d` | x |
";

    #[test]
    fn headings_numbers_and_names_must_all_be_spoken_of() {
        let parts = parts(CONTRACT);
        let read = |text: &str| uncovered(&parts, &Table::read(text).unwrap());
        let rule =
            |item: &str, rule: &str| format!("[[part.rule]]\n{item}rule = \"{rule}\"\nlacks = \"x\"\n");
        let first = format!("[[part]]\nheading = \"1. The bundle\"\n{}", rule("", "the key `a`"));
        let more = format!("[[part]]\nheading = \"More\"\n{}", rule("item = 7\n", "x"));
        let whole = format!("{first}{}{more}", rule("", "the key `b`"));
        assert_eq!(read(&whole), [""; 0]);
        assert_eq!(
            read(&first),
            ["1. The bundle: no rule speaks of `b`", "\"More\" of the contract is missing: add a [[part]]"]
        );
        assert_eq!(read(&whole.replace("item = 7", "item = 8")), ["More: no rule has `item = 7`"]);
        let added = format!("{whole}[[part]]\nheading = \"6. Left out\"\n");
        assert_eq!(read(&added), ["the contract has no heading \"6. Left out\""]);
    }
}
