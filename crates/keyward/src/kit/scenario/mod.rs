//! `keyward plugin scenario`: a whole session by script, through the stages that sessions take.

mod document;
mod judge;
mod junit;
mod play;
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

/// A scenario did not pass, as opposed to wrong usage.
const FAILED: u8 = 1;
/// A longer file is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

pub(crate) async fn scenario(arguments: PluginScenario) -> anyhow::Result<ExitCode> {
    let policy = policy(arguments.policy.as_deref())?;
    let interpreters = Interpreters::new(arguments.environment.clone(), policy.as_ref());
    let files = files(&arguments.files)?;
    let settings = settings(&arguments.set)?;
    let mut cases = Vec::new();
    for file in &files {
        let case = run_file(file, &settings, &interpreters, arguments.update).await;
        report(&case, arguments.quiet);
        cases.push(case);
    }
    if let Some(path) = &arguments.junit {
        fs::write(path, junit::junit(&cases)).with_context(|| path.display().to_string())?;
    }
    let failed = cases.iter().filter(|case| !case.result.has_passed()).count();
    match failed {
        0 => println!("{} passed.", counted(cases.len())),
        n => println!("{n} of {} did not pass.", counted(cases.len())),
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn counted(n: usize) -> String {
    if n == 1 { "1 scenario".to_owned() } else { format!("{n} scenarios") }
}

/// The scenario files that are meant: files as they are, of folders each `.toml` in `tests/`, or in the folder itself.
pub(crate) fn files(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
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

async fn run_file(file: &Path, settings: &[Setting], interpreters: &Interpreters, update: bool) -> Case {
    let started = Instant::now();
    let mut case = Case {
        title: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        file: file.display().to_string(),
        took: Duration::ZERO,
        transcript: String::new(),
        result: Outcome::Passed,
    };
    if let Err(error) = try_file(file, settings, interpreters, update, &mut case).await {
        case.result = Outcome::Error(format!("{error:#}"));
    }
    case.took = started.elapsed();
    case
}

async fn try_file(
    file: &Path,
    settings: &[Setting],
    interpreters: &Interpreters,
    update: bool,
    case: &mut Case,
) -> anyhow::Result<()> {
    let text = read(file)?;
    let text = settings.iter().fold(text, |text, set| text.replace(&set.mark, &set.value));
    let document: Document = toml::from_str(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Some(title) = &document.title {
        case.title.clone_from(title);
    }
    let base = file.parent().unwrap_or(Path::new(""));
    let played = play::play(&document, base, interpreters, script(&document)).await?;
    // What was put in is taken out again, so that a port or a folder of today is no difference.
    let undo = |text: String, set: &Setting| match set.value.len() {
        0..4 => text,
        _ => text.replace(&set.value, &set.mark),
    };
    let transcript = transcript::transcript(&case.title, &document, &played);
    case.transcript = settings.iter().fold(transcript, undo);
    let mut wrong = found_wrong(&document, &text, &played, file);
    if let Some(golden) = &document.expect.transcript {
        wrong.extend(compare(&base.join(golden), &case.transcript, update)?);
    }
    if !wrong.is_empty() {
        case.result = Outcome::Failed(wrong);
    }
    Ok(())
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

/// Compares with the transcript that is kept, or keeps this one.
fn compare(golden: &Path, came: &str, update: bool) -> anyhow::Result<Option<String>> {
    if update {
        if let Some(folder) = golden.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(golden, came).with_context(|| golden.display().to_string())?;
        return Ok(None);
    }
    let name = golden.display();
    let Ok(wanted) = fs::read_to_string(golden) else {
        return Ok(Some(format!("{name} cannot be read: `--update` writes it from what happens now")));
    };
    let (mut wanted_lines, mut came_lines) = (wanted.lines(), came.lines());
    for line in 1.. {
        match (wanted_lines.next(), came_lines.next()) {
            (None, None) => break,
            (wanted, came) if wanted == came => {}
            (wanted, came) => {
                let shown =
                    |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("{line:?}"));
                return Ok(Some(format!(
                    "{name}:{line}: the transcript has changed: expected {}, it was {} (`--update` keeps the new one)",
                    shown(wanted),
                    shown(came)
                )));
            }
        }
    }
    Ok(None)
}

fn report(case: &Case, quiet: bool) {
    if !quiet || !case.result.has_passed() {
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
        Outcome::Error(why) => println!("CANNOT BE PLAYED: {} ({})\n{why}\n", case.title, case.file),
    }
}
