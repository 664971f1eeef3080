//! The Python side of the plugin workers (any Python from 3.6.7 on or from 2.6.5 on) and of the kit (from 3.6.7 on), and
//! nothing but its standard library.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Findings, Subject};
use crate::{program, python};

const WORKER: &str = "python/keyward_worker/";
const KIT: &str = "python/keyward_kit/";
const FOLDERS: [&str; 2] = [WORKER, KIT];
const PACKAGE: &str = "keyward_worker";
/// What Python 2 never imports.
const ONLY_3: [&str; 6] = ["memory.py", "network.py", "outlet.py", "pages.py", "python3.py", "services.py"];
/// What Python 3 never imports.
const ONLY_2: [&str; 1] = ["python2.py"];

/// Compiles without writing anything; prints a line for each file that does not compile.
const COMPILE: &str = r#"
import sys
if sys.version_info < (3, 6, 7):
    sys.exit(0)
for path in sys.argv[1:]:
    try:
        with open(path, encoding="utf-8") as source:
            compile(source.read(), path, "exec")
    except SyntaxError as error:
        print("%s:%s: Python %d.%d: %s" % ((path, error.lineno) + sys.version_info[:2] + (error.msg,)))
"#;

/// Prints a line for each import of something that Python does not bring itself.
const IMPORTS: &str = r#"
import ast, sys
known = set(sys.stdlib_module_names) | {sys.argv[1]}
# Inside a function, the SDK may be asked for the exceptions of the services that we put in place for it.
later = known | {"safeguard"}
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read(), path)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            if name.split(".")[0] not in (later if node.col_offset else known):
                print("%s:%d: imports %s" % (path, node.lineno, name))
"#;

pub(super) fn compiles(subject: &Subject) -> Result<Findings> {
    let interpreters = python::interpreters();
    if interpreters.is_empty() {
        return Ok(vec!["no Python 3 found on this machine".to_owned()]);
    }
    let mut findings = Findings::new();
    for interpreter in interpreters {
        findings.extend(ask(subject, &interpreter, &["-c", COMPILE])?);
    }
    Ok(findings)
}

pub(super) fn standard_library_only(subject: &Subject) -> Result<Findings> {
    // The list of its own modules comes with Python 3.10.
    let knows_itself = |python: &&Path| {
        program::succeeds(Command::new(python).args(["-c", "import sys; sys.stdlib_module_names"]))
    };
    let interpreters = python::interpreters();
    let interpreter = interpreters.iter().map(|path| path.as_path()).find(knows_itself);
    let interpreter = interpreter.context("this check needs a Python of version 3.10 or later")?;
    ask(subject, interpreter, &["-c", IMPORTS, PACKAGE])
}

/// Python 2.6 is tried by nobody any more, so a tool has to know what it had.
pub(super) fn oldest_versions(subject: &Subject) -> Result<Findings> {
    let (mut both, mut only_2, mut only_3) = (Vec::new(), Vec::new(), Vec::new());
    only_3.extend(subject.sources.of(KIT, ".py").map(|(path, _)| path.as_str()));
    for (path, _) in subject.sources.of(WORKER, ".py") {
        match path.trim_start_matches(WORKER) {
            name if ONLY_2.contains(&name) => only_2.push(path.as_str()),
            name if ONLY_3.contains(&name) => only_3.push(path.as_str()),
            _ => both.push(path.as_str()),
        }
    }
    let mut findings = Findings::new();
    for (files, targets) in [(both, ["2.6-", "3.6-"].as_slice()), (only_2, &["2.6-"]), (only_3, &["3.6-"])] {
        findings.extend(vermin(subject, &files, targets)?);
    }
    Ok(findings)
}

/// What it says about `files`, which must run on all of `targets` and what came after them.
fn vermin(subject: &Subject, files: &[&str], targets: &[&str]) -> Result<Findings> {
    let mut tool = Command::new(&subject.vermin);
    tool.args(["--no-config-file", "--violations", "--quiet"]);
    tool.args(targets.iter().map(|target| format!("--target={target}"))).args(files);
    let output = tool.current_dir(&subject.sources.root).stdin(Stdio::null()).output().context("vermin")?;
    if output.status.success() {
        return Ok(Findings::new());
    }
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok(said.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// The lines that the interpreter prints about our files.
fn ask(subject: &Subject, interpreter: &Path, arguments: &[&str]) -> Result<Findings> {
    let mut files: Vec<&String> = Vec::new();
    for folder in FOLDERS {
        let before = files.len();
        files.extend(subject.sources.of(folder, ".py").map(|(path, _)| path));
        if files.len() == before {
            return Ok(vec![format!("there is no Python file below {folder}")]);
        }
    }
    let mut question = Command::new(interpreter);
    question.arg("-I").args(arguments).args(files).current_dir(&subject.sources.root);
    Ok(program::read(&mut question)?.lines().map(str::to_owned).collect())
}
