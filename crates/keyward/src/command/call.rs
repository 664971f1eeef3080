//! `keyward plugin call`: one hook, by the code that runs in the gateway.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::InstanceName;
use keyward_plugin::{Call, CallError, CallReport, Cookies, Hook, Instance, PluginKind, Start, check_result};
use serde_json::{Map, Value, json};

use crate::args::PluginCall;
use crate::kit::{Failure, Interpreters, Piece, Place, Workshop, policy};

/// The plugin failed, as opposed to wrong usage.
const PLUGIN_FAILED: u8 = 1;
/// Arguments larger than this are a mistake.
const MAX_ARGS: u64 = 8 * 1024 * 1024;
/// A year: longer than anyone waits, and no clock overflows by it.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

pub(crate) async fn call(arguments: PluginCall) -> anyhow::Result<ExitCode> {
    let policy = policy(arguments.policy.as_deref()).await?;
    let workshop = Workshop::open(policy.as_ref(), 1)?;
    let unpacked = workshop.unpack(&arguments.bundle, "call")?;
    let kind = unpacked.bundle.manifest.kind;
    if !kind.is_called() {
        bail!(
            "plugins of type {} are checked and stored, but calling them is not supported yet",
            kind.as_str()
        );
    }
    let hook: Hook = arguments.hook.parse()?;
    if !hook.belongs_to(kind) {
        bail!("{hook} is no hook of a plugin of type {}", kind.as_str());
    }
    let given = read_arguments(arguments.args.as_deref(), kind)?;
    let mut cookies = given_cookies(&given)?;
    let place = Place::new(&unpacked.root);
    let interpreters = Interpreters::new(arguments.environment.clone(), policy.as_ref());
    let environment = interpreters.find(unpacked.bundle.python).await?;
    let configuration = arguments.configuration.as_deref().map(read_configuration).transpose()?;
    let piece = Piece {
        name: InstanceName::try_from("call")?,
        bundle: unpacked,
        configuration,
        environment,
        // One call is faster from cold: nothing forks ahead of a need that never comes.
        start: Start::Cold,
        idle_workers: 1,
        state_dir: arguments.state_dir.clone(),
    };
    let instance = workshop.load(piece).await?;
    let time_limit = Duration::from_secs(arguments.time_limit.min(MAX_SECONDS));
    let report = run(&instance, hook, given, time_limit).await;
    let result = report.outcome.as_ref().map_err(Clone::clone);
    let result = result.and_then(|value| {
        cookies.absorb(value)?;
        check_result(hook, value)?;
        Ok(value)
    });
    if arguments.json {
        println!("{}", as_json(&report, &result, &cookies));
    } else {
        show(&report, &result, |error| explain(error, hook, kind, &place));
    }
    let ok = result.is_ok();
    workshop.close().await;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(PLUGIN_FAILED) })
}

fn read_configuration(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("--configuration {}", path.display()))
}

/// What the error means to the plugin's author. Needs the unpacked bundle, for a line of its source.
fn explain(error: &CallError, hook: Hook, plugin: PluginKind, place: &Place) -> String {
    let failure = Failure {
        kind: error.kind.as_str(),
        message: &error.message,
        traceback: error.traceback.as_deref(),
        hook: Some(hook),
        plugin,
    };
    failure.explain(place)
}

/// The arguments in the file that `--args` names, or on standard input: those of any hook of any plugin, so that one file
/// serves all of them. A name that no hook knows is misspelt.
pub(crate) fn read_arguments(path: Option<&Path>, kind: PluginKind) -> anyhow::Result<Map<String, Value>> {
    let Some(path) = path else { return Ok(Map::new()) };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_ARGS).read_to_string(&mut text).context("standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("--args {}", path.display()))?;
        file.take(MAX_ARGS)
            .read_to_string(&mut text)
            .with_context(|| format!("--args {}", path.display()))?;
    }
    let given: Map<String, Value> = serde_json::from_str(&text)
        .context("--args must hold one JSON object, the hook's arguments by name")?;
    let known = [Hook::family(PluginKind::Aa), Hook::family(PluginKind::CredentialStore)].concat();
    match given.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => bail!(
            "--args has {unknown:?}, which is no argument of any hook: those of a plugin of type {kind} are {}",
            Hook::family(kind).join(", ")
        ),
        None => Ok(given),
    }
}

fn given_cookies(arguments: &Map<String, Value>) -> anyhow::Result<Cookies> {
    let mut cookies = Cookies::default();
    cookies
        .absorb(&Value::Object(
            arguments
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        ))
        .context("--args")?;
    Ok(cookies)
}

async fn run(
    instance: &Instance,
    hook: Hook,
    arguments: Map<String, Value>,
    time_limit: Duration,
) -> CallReport {
    let log_prefix = match arguments.get("session_id") {
        Some(Value::String(id)) => id.clone(),
        Some(_) | None => "call".to_owned(),
    };
    instance.call(Call { log_prefix, hook, arguments, time_limit }).await
}

fn as_json(report: &CallReport, result: &Result<&Value, CallError>, cookies: &Cookies) -> Value {
    let error = result.as_ref().err();
    json!({
        "result": result.as_ref().ok(),
        "cookie": cookies.cookie,
        "session_cookie": cookies.session_cookie,
        "log": report.log.iter().map(|l| json!({"stream": l.stream.as_str(), "line": l.line})).collect::<Vec<_>>(),
        "duration_ms": report.duration.as_secs_f64() * 1000.0,
        "error": error.map(|e| json!({"kind": e.kind.as_str(), "message": e.message, "traceback": e.traceback})),
    })
}

fn show(report: &CallReport, result: &Result<&Value, CallError>, explain: impl FnOnce(&CallError) -> String) {
    for line in &report.log {
        println!("{}: {}", line.stream.as_str(), line.line);
    }
    match result {
        Ok(value) => println!("{value:#}"),
        Err(error) => eprint!("{}", explain(error)),
    }
    println!("took {:.1} ms", report.duration.as_secs_f64() * 1000.0);
}
