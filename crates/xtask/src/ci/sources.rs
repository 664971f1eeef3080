//! Rules on the text of the files themselves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Findings, Subject};

/// What holds nothing of ours.
const SKIPPED: [&str; 6] = [".git", "target", ".venv", "__pycache__", "node_modules", "scratch"];
/// The one crate that may hold unsafe code, in one module.
const UNSAFE_CRATE: &str = "crates/plugin/";

// Written in pieces, so that this file does not find itself.
const LEFT_OVERS: [&str; 6] = [
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("db", "g!("),
    concat!("FIX", "ME"),
    concat!("X", "XX:"),
    concat!("break", "point()"),
];
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/opt/wh", "eels")];
const UNSAFE: [&str; 5] = [
    concat!("unsafe", " {"),
    concat!("unsafe", " fn"),
    concat!("unsafe", " impl"),
    concat!("unsafe", " extern"),
    concat!("unsafe", "("),
];

/// All text files, by their path from the root.
pub(crate) struct Sources {
    pub(crate) root: PathBuf,
    files: Vec<(String, String)>,
}

impl Sources {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut sources = Self { root: root.to_owned(), files: Vec::new() };
        sources.read_folder(root)?;
        sources.files.sort();
        Ok(sources)
    }

    fn read_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // In a second working tree, `.git` is a file.
            if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(&entry.path())?;
            } else if kind.is_file() {
                self.read_file(&entry.path())?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        if let Ok(text) = String::from_utf8(bytes) {
            self.files.push((path.strip_prefix(&self.root)?.to_string_lossy().into_owned(), text));
        }
        Ok(())
    }

    /// What the file holds, unless there is none or it is no text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let at = self.files.binary_search_by(|(found, _)| found.as_str().cmp(path)).ok()?;
        self.files.get(at).map(|(_, text)| text.as_str())
    }

    #[cfg(test)]
    pub(crate) fn of_texts<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mut sources = Self { root: PathBuf::new(), files: files.collect() };
        sources.files.sort();
        sources
    }

    /// Files below `start` whose name ends so.
    pub(crate) fn of<'a>(
        &'a self,
        start: &'a str,
        ending: &'a str,
    ) -> impl Iterator<Item = &'a (String, String)> {
        self.files.iter().filter(move |(path, _)| path.starts_with(start) && path.ends_with(ending))
    }
}

pub(super) fn left_overs(subject: &Subject) -> Result<Findings> {
    let endings = [".rs", ".py", ".sh", ".toml", ".sql"];
    let files = endings.iter().flat_map(|ending| subject.sources.of("", ending));
    Ok(files.flat_map(|(path, text)| lines_with(path, text, &LEFT_OVERS)).collect())
}

pub(super) fn machine_paths(subject: &Subject) -> Result<Findings> {
    let files = subject.sources.of("", "");
    Ok(files.flat_map(|(path, text)| lines_where(path, text, &MACHINE_PATHS, begins_a_path)).collect())
}

pub(super) fn one_unsafe_module(subject: &Subject) -> Result<Findings> {
    let mut findings = Findings::new();
    let mut modules = Vec::new();
    for (path, text) in subject.sources.of("crates/", ".rs") {
        let found = lines_with(path, text, &UNSAFE);
        if found.is_empty() {
            continue;
        }
        match path.starts_with(UNSAFE_CRATE) {
            true => modules.push(path.as_str()),
            false => findings.extend(found),
        }
    }
    if modules.len() > 1 {
        findings.push(format!("{} files of plugin have unsafe code: {}", modules.len(), modules.join(", ")));
    }
    Ok(findings)
}

pub(super) fn lints(subject: &Subject) -> Result<Findings> {
    let mut findings = Findings::new();
    for (path, text) in subject.sources.of("crates/", "/Cargo.toml") {
        let takes_all = text.contains("[lints]\nworkspace = true");
        let own = path.starts_with(UNSAFE_CRATE) && text.contains("unsafe_code = \"deny\"");
        if !takes_all && !own {
            findings.push(format!("{path}: no `[lints] workspace = true`"));
        }
    }
    if !subject.sources.of("Cargo.toml", "").any(|(_, text)| text.contains("unsafe_code = \"forbid\"")) {
        findings.push("Cargo.toml: the workspace's lints do not forbid unsafe code".to_owned());
    }
    Ok(findings)
}

fn lines_with(path: &str, text: &str, words: &[&str]) -> Findings {
    lines_where(path, text, words, |line, word| line.contains(word))
}

fn lines_where(path: &str, text: &str, words: &[&str], holds: impl Fn(&str, &str) -> bool) -> Findings {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .filter_map(|(at, line)| {
            let word = words.iter().find(|word| holds(line, word))?;
            Some(format!("{path}:{}: {word}", at + 1))
        })
        .collect()
}

/// Whether the line has this path from the root, and not only as a part of a longer one.
fn begins_a_path(line: &str, path: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-.}/".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::{LEFT_OVERS, begins_a_path, lines_with};

    #[test]
    fn a_finding_names_file_line_and_word() {
        let text = ["fn main() {", LEFT_OVERS[0], "}"].join("\n");
        assert_eq!(lines_with("a.rs", &text, &LEFT_OVERS), [format!("a.rs:2: {}", LEFT_OVERS[0])]);
    }

    #[test]
    fn a_path_inside_another_is_not_one_from_the_root() {
        assert!(begins_a_path("data = \"/srv/x\"", "/srv/"));
        assert!(!begins_a_path("cp $near/srv/x", "/srv/"));
    }
}
