//! The tests of the workspace, by name, read from the sources: nothing is compiled for it.
//!
//! It relies on what `cargo fmt` does: an attribute, a `mod` and a `fn` begin a line, and a module ends with a
//! brace as far in as it began. A test that it cannot see is reported as missing, never taken for granted.

use std::collections::BTreeMap;

use crate::ci::sources::Sources;

/// A test function, as far as the table wants to know it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// From the root of the workspace.
    pub(super) file: String,
    /// Not run by `cargo xtask test`: it proves nothing.
    pub(super) ignored: bool,
}

/// By full name: the binary as nextest calls it, and the path in it
/// (`keyward-plugin::manifest::tests::x`, `keyward-plugin::workers::workers::calls::x`).
pub(super) type Catalogue = BTreeMap<String, Test>;

/// Every test of every crate below `crates/`.
pub(super) fn read(sources: &Sources) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (manifest, text) in sources.of("crates/", "/Cargo.toml") {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let Some(package) = text.lines().find_map(|line| line.strip_prefix("name = ")) else { continue };
        let package = package.trim_matches('"');
        for (path, _) in sources.of(folder, ".rs") {
            if let Some(binary) = binary(package, &path[folder.len()..]) {
                take_file(sources, path, &[binary], parent(path), &mut catalogue);
            }
        }
    }
    catalogue
}

/// The name of the binary that this file is the root of.
fn binary(package: &str, path: &str) -> Option<String> {
    match path {
        "src/lib.rs" => return Some(package.to_owned()),
        "src/main.rs" => return Some(format!("{package}::bin/{package}")),
        _ => {}
    }
    let name = path.strip_prefix("tests/")?.strip_suffix(".rs")?;
    let name = name.strip_suffix("/main").unwrap_or(name);
    (!name.contains('/')).then(|| format!("{package}::{name}"))
}

/// Takes the tests of a file and of the modules that it declares; `folder` is where those are.
fn take_file(sources: &Sources, path: &str, names: &[String], folder: &str, catalogue: &mut Catalogue) {
    let Some(text) = sources.text(path) else { return };
    for Item { modules, kind } in items(text) {
        let full = |name: String| [names, &modules, &[name]].concat();
        match kind {
            Kind::Test { name, ignored } => {
                catalogue.insert(full(name).join("::"), Test { file: path.to_owned(), ignored });
            }
            Kind::Module { name, elsewhere } => {
                let folder = [&[folder.to_owned()], &modules[..]].concat().join("/");
                for (path, below) in files_of(&folder, &name, elsewhere.as_deref()) {
                    take_file(sources, &path, &full(name.clone()), &below, catalogue);
                }
            }
        }
    }
}

/// Where a module may be, each with the folder of its own modules.
fn files_of(folder: &str, name: &str, elsewhere: Option<&str>) -> Vec<(String, String)> {
    match elsewhere {
        Some(elsewhere) => {
            let path = without_dots(&format!("{folder}/{elsewhere}"));
            let below = parent(&path).to_owned();
            vec![(path, below)]
        }
        None => {
            let below = format!("{folder}/{name}");
            vec![(format!("{below}.rs"), below.clone()), (format!("{below}/mod.rs"), below)]
        }
    }
}

/// What the catalogue looks for in a file.
struct Item {
    /// The modules of the same file that it is in.
    modules: Vec<String>,
    kind: Kind,
}

enum Kind {
    Test {
        name: String,
        ignored: bool,
    },
    /// A module in a file of its own.
    Module {
        name: String,
        /// What `#[path]` says.
        elsewhere: Option<String>,
    },
}

fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    // The modules that are open, and how far in each began.
    let mut open: Vec<(String, usize)> = Vec::new();
    let (mut test, mut ignored, mut elsewhere) = (false, false, None);
    for line in text.lines() {
        let code = line.trim_start();
        let depth = line.len() - code.len();
        if code.starts_with('}') && open.last().is_some_and(|(_, began)| *began == depth) {
            open.pop();
        } else if let Some(path) = code.strip_prefix("#[path = \"") {
            elsewhere = path.split('"').next().map(str::to_owned);
        } else if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            test = true;
        } else if code.starts_with("#[ignore") {
            ignored = true;
        } else if let Some((name, rest)) = named(code, "mod ") {
            match rest {
                rest if rest.starts_with(" {") && !rest.contains('}') => open.push((name.to_owned(), depth)),
                rest if rest.starts_with(';') => {
                    let kind = Kind::Module { name: name.to_owned(), elsewhere: elsewhere.take() };
                    items.push(Item { modules: names(&open), kind });
                }
                _ => {}
            }
        } else if let Some((name, _)) = named(code, "fn ") {
            if test {
                let kind = Kind::Test { name: name.to_owned(), ignored };
                items.push(Item { modules: names(&open), kind });
            }
            (test, ignored) = (false, false);
        }
    }
    items
}

fn names(open: &[(String, usize)]) -> Vec<String> {
    open.iter().map(|(name, _)| name.clone()).collect()
}

/// The name that a line declares with this keyword, and what follows it.
fn named<'a>(code: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (before, after) = code.split_once(keyword)?;
    let qualifier = |word: &str| word == "async" || word.starts_with("pub");
    if !before.split(' ').all(|word| word.is_empty() || qualifier(word)) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| after.split_at(end))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn without_dots(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "\
mod near;
#[cfg(test)]
mod tests {
    #[path = \"../../other/far.rs\"]
    mod far;
    mod inner {
        #[tokio::test(start_paused = true)]
        #[expect(clippy::unwrap_used)]
        pub(crate) async fn one() {}
    }
    proptest! {
        #[test]
        fn two(bytes: Vec<u8>) {}
    }
    #[test]
    #[ignore = \"a measurement\"]
    fn three() {}
    fn no_test() {}
}
";

    #[test]
    fn tests_are_found_in_modules_inside_and_outside_of_their_file() {
        let test = "#[test]\nfn it() {}\n";
        let sources = Sources::of_texts([
            ("crates/a/Cargo.toml", "[package]\nname = \"kw-a\"\n"),
            ("crates/a/src/lib.rs", ROOT),
            ("crates/a/src/near/mod.rs", "mod deep;\n"),
            ("crates/a/src/near/deep.rs", test),
            ("crates/a/other/far.rs", test),
            ("crates/a/src/forgotten.rs", test),
            ("crates/a/tests/whole.rs", test),
            ("crates/a/tests/suite/main.rs", "mod part;\n"),
            ("crates/a/tests/suite/part.rs", test),
        ]);
        let found: Vec<String> = read(&sources)
            .into_iter()
            .map(|(name, test)| format!("{name}{}", if test.ignored { " (ignored)" } else { "" }))
            .collect();
        let expected = [
            "kw-a::near::deep::it",
            "kw-a::suite::part::it",
            "kw-a::tests::far::it",
            "kw-a::tests::inner::one",
            "kw-a::tests::three (ignored)",
            "kw-a::tests::two",
            "kw-a::whole::it",
        ];
        assert_eq!(found, expected);
    }
}
