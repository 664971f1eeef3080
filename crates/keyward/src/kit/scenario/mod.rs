//! `keyward plugin scenario`: a whole session by script, through the stages that sessions take.

mod document;
mod judge;
mod junit;
mod play;
mod record;
mod setting;
mod talk;
mod terminal;
mod transcript;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use self::document::Document;
use self::junit::{Case, Outcome};
use self::play::Played;
use self::talk::Answers;
use super::workshop::{Interpreters, policy};
use crate::args::PluginScenario;
use crate::command::counted;

/// A scenario did not pass, as opposed to wrong usage.
const FAILED: u8 = 1;
/// A longer file is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

pub(crate) async fn scenario(arguments: PluginScenario) -> anyhow::Result<ExitCode> {
    let policy = policy(arguments.policy.as_deref()).await?;
    let interpreters = Interpreters::new(arguments.environment.clone(), policy.as_ref());
    if let Some(file) = &arguments.record {
        return record::record(file, arguments.bundle.as_deref(), &interpreters).await;
    }
    let verbosity = if arguments.quiet { Verbosity::Failures } else { Verbosity::Everything };
    let mut run = Run::new(&arguments.set, &interpreters, verbosity)?;
    run.golden = if arguments.update { Golden::Keep } else { Golden::Compare };
    let cases = run.play_all(&arguments.files).await?;
    if let Some(path) = &arguments.junit {
        fs::write(path, junit::junit(&cases)).with_context(|| path.display().to_string())?;
    }
    run.conclude(&cases);
    let passed = cases.iter().all(|case| case.result.has_passed());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Scenarios that are played one after the other, and reported as they end.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    settings: Vec<Setting>,
    interpreters: &'r Interpreters,
    verbosity: Verbosity,
    golden: Golden,
}

/// Which transcripts are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verbosity {
    Everything,
    /// Of those that do not pass.
    Failures,
}

/// What becomes of the transcripts that `[expect] transcript` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Golden {
    Compare,
    Keep,
}

impl<'r> Run<'r> {
    pub(crate) fn new(
        set: &[String],
        interpreters: &'r Interpreters,
        verbosity: Verbosity,
    ) -> anyhow::Result<Self> {
        Ok(Self { settings: settings(set)?, interpreters, verbosity, golden: Golden::Compare })
    }

    /// Plays the scenarios that `given` means.
    ///
    /// # Errors
    /// A folder without scenarios. A scenario that cannot be played is a case of its own.
    pub(crate) async fn play_all(&self, given: &[PathBuf]) -> anyhow::Result<Vec<Case>> {
        let mut cases = Vec::new();
        for file in files(given)? {
            let case = self.play_file(&file).await;
            self.report(&case, cases.last());
            cases.push(case);
        }
        Ok(cases)
    }

    pub(crate) fn conclude(&self, cases: &[Case]) {
        match cases.iter().filter(|case| !case.result.has_passed()).count() {
            0 => println!("{} passed.", counted(cases.len(), "scenario")),
            failed => println!("{failed} of {} did not pass.", counted(cases.len(), "scenario")),
        }
    }

    async fn play_file(&self, file: &Path) -> Case {
        let started = Instant::now();
        let mut case = Case {
            title: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            file: file.display().to_string(),
            took: Duration::ZERO,
            transcript: String::new(),
            result: Outcome::Passed,
        };
        if let Err(error) = self.try_file(file, &mut case).await {
            case.result = Outcome::Error(format!("{error:#}"));
        }
        case.took = started.elapsed();
        case
    }

    async fn try_file(&self, file: &Path, case: &mut Case) -> anyhow::Result<()> {
        let text = read(file)?;
        let text = self.settings.iter().fold(text, |text, set| text.replace(&set.mark, &set.value));
        let document: Document =
            toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
        if let Some(title) = &document.title {
            case.title.clone_from(title);
        }
        let base = file.parent().unwrap_or(Path::new(""));
        let played = play::play(&document, base, self.interpreters, script(&document)).await?;
        // What was put in is taken out again, so that a port or a folder of today is no difference.
        let undo = |text: String, set: &Setting| match set.value.len() {
            0..4 => text,
            _ => text.replace(&set.value, &set.mark),
        };
        let transcript = transcript::transcript(&case.title, &document, &played);
        case.transcript = self.settings.iter().fold(transcript, undo);
        let mut wrong = found_wrong(&document, &text, &played, file);
        if let Some(golden) = &document.expect.transcript {
            wrong.extend(self.golden.judge(&base.join(golden), &case.transcript)?);
        }
        if !wrong.is_empty() {
            case.result = Outcome::Failed(wrong);
        }
        Ok(())
    }

    fn report(&self, case: &Case, before: Option<&Case>) {
        if self.verbosity == Verbosity::Everything || !case.result.has_passed() {
            print!("{}", case.transcript);
        }
        match &case.result {
            Outcome::Passed => println!("ok: {} ({})\n", case.title, case.file),
            Outcome::Failed(lines) => {
                println!("FAILED: {} ({})", case.title, case.file);
                for line in lines {
                    println!("  {line}");
                }
                println!();
            }
            Outcome::Error(why) => {
                // A plugin that cannot be imported keeps all of its scenarios from being played.
                let same = before
                    .is_some_and(|before| matches!(&before.result, Outcome::Error(other) if other == why));
                let why = if same { "for the same reason as the one before" } else { why };
                println!("CANNOT BE PLAYED: {} ({})\n{why}\n", case.title, case.file);
            }
        }
    }
}

impl Golden {
    /// What differs from the transcript that is kept in `file`.
    fn judge(self, file: &Path, came: &str) -> anyhow::Result<Option<String>> {
        match self {
            Self::Compare => Ok(compare(file, came)),
            Self::Keep => {
                if let Some(folder) = file.parent() {
                    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
                }
                fs::write(file, came).with_context(|| file.display().to_string())?;
                Ok(None)
            }
        }
    }
}

/// The first line that differs.
fn compare(golden: &Path, came: &str) -> Option<String> {
    let name = golden.display();
    let Ok(wanted) = fs::read_to_string(golden) else {
        return Some(format!("{name} cannot be read: `--update` writes it from what happens now"));
    };
    if wanted == came {
        return None;
    }
    let line = wanted.lines().zip(came.lines()).take_while(|(wanted, came)| wanted == came).count();
    let shown =
        |text: &str| text.lines().nth(line).map_or_else(|| "the end".to_owned(), |line| format!("{line:?}"));
    Some(format!(
        "{name}:{}: the transcript has changed: expected {}, it was {} (`--update` keeps the new one)",
        line + 1,
        shown(&wanted),
        shown(came)
    ))
}

/// The scenario files that are meant: files as they are, of folders each `.toml` in `tests/`, or in the folder itself.
fn files(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let tests = path.join("tests");
        let folder = if tests.is_dir() { &tests } else { path };
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
            .collect();
        if found.is_empty() {
            bail!("{} has no scenario: a file of TOML, such as tests/first.toml", folder.display());
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// `KEY=VALUE` for each `@KEY@` of a scenario's file.
#[derive(Clone, Debug)]
struct Setting {
    mark: String,
    value: String,
}

fn settings(given: &[String]) -> anyhow::Result<Vec<Setting>> {
    let one = |text: &String| {
        let (key, value) = text.split_once('=').context("--set takes KEY=VALUE")?;
        Ok(Setting { mark: format!("@{key}@"), value: value.to_owned() })
    };
    given.iter().map(one).collect()
}

fn read(file: &Path) -> anyhow::Result<String> {
    let size = fs::metadata(file).with_context(|| file.display().to_string())?.len();
    if size > MAX_FILE {
        bail!("{} is larger than {} KiB: a scenario is one session", file.display(), MAX_FILE / 1024);
    }
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn script(document: &Document) -> Answers {
    let steps = document.step.iter().map(|step| step.get_ref()).filter(|step| step.asks());
    Answers::Script(steps.map(document::Step::reply).collect::<VecDeque<_>>())
}

fn found_wrong(document: &Document, text: &str, played: &Played, file: &Path) -> Vec<String> {
    let place = |line: Option<usize>| match line {
        Some(line) => format!("{}:{line}: ", file.display()),
        None => format!("{}: ", file.display()),
    };
    judge::judge(document, text, played).into_iter().map(|wrong| place(wrong.line) + &wrong.text).collect()
}
