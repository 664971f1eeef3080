//! `keyward environment`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_plugin::{Environment, ModuleReport, create_environment};
use keyward_policy::Policy;
use serde_json::json;

use super::{WRONG, interpreter, load, on_path, shown};
use crate::args;
use crate::data_dir::DataDir;

pub(crate) async fn environment(command: args::Environment) -> anyhow::Result<ExitCode> {
    match command {
        args::Environment::Create { name, dir, python } => create(&name, &dir, python).await,
        args::Environment::List { policy, json } => list(&policy, json).await,
        args::Environment::Check { environment, policy, json } => {
            check(environment, policy.as_deref(), json).await
        }
    }
}

async fn create(name: &str, dir: &Path, python: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let python = match python {
        Some(python) => interpreter(python)?,
        None => chosen(name)?,
    };
    let made = create_environment(&python, dir, |line| eprintln!("{}", shown(line))).await?;
    println!("{}", describe(&made));
    show(&made.modules().await?);
    println!("\nIn the policy document:\n");
    println!("[[environment]]\nname = \"{name}\"\npython = \"{}\"", made.python.display());
    Ok(ExitCode::SUCCESS)
}

/// The interpreter that an environment of this name is made from.
fn chosen(name: &str) -> anyhow::Result<PathBuf> {
    if name != "python2" {
        return on_path("python3");
    }
    on_path("python2.7").or_else(|_| on_path("python2")).ok().context(
        "no python2.7 is on the PATH: name one with --python /path/to/python2.7 (Debian 11 is the last to have it: `apt-get install python2.7`)",
    )
}

async fn check(environment: PathBuf, policy: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let python = match policy {
        Some(policy) => named(&environment, policy).await?,
        None => interpreter(environment)?,
    };
    let found = Environment::probe("checked", &python).await?;
    let modules = found.modules().await?;
    let lacks_ldap = modules.iter().any(|report| report.module.name == "ldap" && report.problem.is_some());
    let native = if lacks_ldap { found.missing_native_packages().await? } else { Vec::new() };
    let complete = modules.iter().all(|report| report.problem.is_none());
    if json {
        let told = json!({
            "ok": complete,
            "python": found.python,
            "version": found.version.to_string(),
            "sdk": found.sdk,
            "api": found.api.to_string(),
            "modules": modules,
            "missing_native_packages": native,
        });
        println!("{told}");
    } else {
        println!("{}", describe(&found));
        show(&modules);
        if !complete {
            eprintln!("keyward: {}", remedy(&modules, &native));
        }
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}

/// How what is missing can be had.
fn remedy(modules: &[ModuleReport], native: &[String]) -> String {
    let missing = modules.iter().filter(|report| report.problem.is_some());
    let names: Vec<&str> =
        missing.map(|report| report.module.package.unwrap_or(report.module.name)).collect();
    let mut text = format!(
        "plugins may expect {}: `keyward environment create` makes an environment that has it",
        names.join(", ")
    );
    if !native.is_empty() {
        text += &format!(
            "; python-ldap is built by it, for which `apt-get install {}` comes first",
            native.join(" ")
        );
    }
    text
}

/// The interpreter of an environment that the gateway would use.
async fn named(name: &Path, policy: &Path) -> anyhow::Result<PathBuf> {
    let all = all(&load(policy).await?)?;
    let known: Vec<&str> = all.keys().map(String::as_str).collect();
    match name.to_str().and_then(|name| all.get(name)) {
        Some(python) => Ok(python.clone()),
        None if known.is_empty() => {
            bail!("the gateway has no environment yet: `keyward environment create` makes one")
        }
        None => bail!("the gateway has no environment {}: it has {}", name.display(), known.join(", ")),
    }
}

async fn list(policy: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    for (name, python) in all(&load(policy).await?)? {
        let probed = Environment::probe(&name, &python).await;
        rows.push((name, python, probed));
    }
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, python, probed)| {
                let found = probed.as_ref().ok();
                json!({
                    "name": name,
                    "python": python,
                    "version": found.map(|found| found.version.to_string()),
                    "sdk": found.and_then(|found| found.sdk.as_deref()),
                    "api": found.map(|found| found.api.to_string()),
                    "error": probed.as_ref().err().map(ToString::to_string),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        println!("The gateway has no environment yet: `keyward environment create python3 DIR` makes one.");
    }
    for (name, _, probed) in rows {
        match probed {
            Ok(found) => println!("{name:<16} {}", describe(&found)),
            Err(error) => println!("{name:<16} {}", shown(&error.to_string())),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the policy names, and what is found in the data folder beside it, each with its interpreter.
fn all(policy: &Policy) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut all = DataDir(policy.node.data_dir.clone()).environments()?;
    all.extend(
        policy.environments.iter().map(|(name, environment)| (name.clone(), environment.python.clone())),
    );
    Ok(all)
}

fn describe(environment: &Environment) -> String {
    let sdk = match (&environment.sdk, environment.version.major) {
        (Some(version), _) => format!("with the Plugin SDK {version}"),
        // There is none for it.
        (None, 2) => "for plugins without entry_point".to_owned(),
        (None, _) => "without the Plugin SDK".to_owned(),
    };
    format!("{}: Python {} {sdk}, API {}", environment.python.display(), environment.version, environment.api)
}

/// A line for each module that plugins may expect.
fn show(modules: &[ModuleReport]) {
    for report in modules {
        let state = match (&report.problem, &report.version) {
            (Some(problem), _) => format!("missing: {problem}"),
            (None, Some(version)) => version.clone(),
            (None, None) => "there".to_owned(),
        };
        println!("  {:<28} {}", report.module.name, shown(&state));
    }
}
