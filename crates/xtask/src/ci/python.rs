//! The Python side of the plugin workers, and of the kit: any Python from 3.6.7 on, and nothing but its standard library.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Findings, Subject};
use crate::{program, python};

const FOLDERS: [&str; 2] = ["python/keyward_worker/", "python/keyward_kit/"];
const PACKAGE: &str = "keyward_worker";

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
