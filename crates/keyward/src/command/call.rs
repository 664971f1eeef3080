//! `keyward plugin call`: one hook, by the code that runs in the gateway.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::InstanceName;
use keyward_plugin::{
    Bounds, Bundle, Call, CallError, CallReport, Cookies, Environment, Hook, HostConfig, Instance,
    InstanceConfig, PluginHost, PythonMajor, ServiceData, Start, UnpackedBundle, check_result, read_archive,
};
use keyward_session::service_data;
use serde_json::{Map, Value, json};

use super::{load, on_path};
use crate::args::PluginCall;

/// The plugin failed, as opposed to wrong usage.
const PLUGIN_FAILED: u8 = 1;
/// Arguments larger than this are a mistake.
const MAX_ARGS: u64 = 8 * 1024 * 1024;
/// A year: longer than anyone waits, and no clock overflows by it.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

pub(crate) async fn call(arguments: PluginCall) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::tempdir().context("a temporary folder is needed")?;
    let hook: Hook = arguments.hook.parse()?;
    let given = arguments.args.as_deref().map(read_arguments).transpose()?.unwrap_or_default();
    let mut cookies = given_cookies(&given)?;
    let unpacked = Bundle::unpack(&read_archive(&arguments.bundle)?, &scratch.path().join("bundle"))?;
    if !hook.belongs_to(unpacked.bundle.manifest.kind) {
        bail!("{hook} is no hook of a plugin of type {}", unpacked.bundle.manifest.kind.as_str());
    }
    let host = PluginHost::start(HostConfig {
        worker_dir: scratch.path().join("worker"),
        max_calls: 1,
        services: services(arguments.policy.as_deref(), scratch.path())?,
        own_user_base: None,
        strict: false,
    })?;
    let config = instance_config(&arguments, unpacked, scratch.path()).await?;
    let instance = host.load(config).await?;
    let time_limit = Duration::from_secs(arguments.time_limit.min(MAX_SECONDS));
    let report = run(&instance, hook, given, time_limit).await;
    host.shutdown().await;
    let result = report.outcome.as_ref().map_err(Clone::clone);
    let result = result.and_then(|value| {
        cookies.absorb(value)?;
        check_result(hook, value)?;
        Ok(value)
    });
    if arguments.json {
        println!("{}", as_json(&report, &result, &cookies));
    } else {
        show(&report, &result);
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(PLUGIN_FAILED) })
}

fn read_arguments(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_ARGS).read_to_string(&mut text).context("standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("--args {}", path.display()))?;
        file.take(MAX_ARGS)
            .read_to_string(&mut text)
            .with_context(|| format!("--args {}", path.display()))?;
    }
    serde_json::from_str(&text).context("--args must hold one JSON object, the hook's arguments by name")
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

fn services(policy: Option<&Path>, scratch: &Path) -> anyhow::Result<ServiceData> {
    let ca_dir = scratch.join("trusted-ca");
    Ok(match policy {
        Some(path) => service_data(&load(path)?, ca_dir),
        None => ServiceData { ca_dir, ..ServiceData::default() },
    })
}

async fn instance_config(
    arguments: &PluginCall,
    bundle: UnpackedBundle,
    scratch: &Path,
) -> anyhow::Result<InstanceConfig> {
    let configuration = match &arguments.configuration {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("--configuration {}", path.display()))?
        }
        None => bundle.bundle.default_configuration.clone().unwrap_or_default(),
    };
    let environment = environment(arguments, bundle.bundle.python).await?;
    if !environment.api.accepts(bundle.bundle.manifest.api) {
        bail!(
            "the bundle wants API {}, and environment {} offers {}",
            bundle.bundle.manifest.api,
            environment.name,
            environment.api
        );
    }
    Ok(InstanceConfig {
        name: InstanceName::try_from("call")?,
        bundle,
        configuration,
        environment,
        // One call is faster from cold: nothing forks ahead of a need that never comes.
        start: Start::Cold,
        idle_workers: 1,
        memory_limit: 512 * 1024 * 1024,
        processes: 64,
        // The plugin runs in a folder of its own, from which a relative path would lead elsewhere.
        state_dir: std::path::absolute(arguments.state_dir.clone().unwrap_or_else(|| scratch.join("state")))?,
        ephemeral_dir: scratch.join("ephemeral"),
        temp: scratch.join("tmp"),
        bounds: Bounds::default(),
    })
}

async fn environment(arguments: &PluginCall, major: PythonMajor) -> anyhow::Result<Environment> {
    let wanted = match major {
        PythonMajor::Three => "python3",
        PythonMajor::Two => "python2",
    };
    if let Some(text) = &arguments.environment {
        let (name, path) = text.split_once('=').context("--environment takes NAME=PATH")?;
        if name == wanted || major == PythonMajor::Three {
            return Ok(Environment::probe(name, Path::new(path)).await?);
        }
    }
    if let Some(path) = &arguments.policy
        && let Some(configured) = load(path)?.environments.get(wanted)
    {
        return Ok(Environment::probe(wanted, &configured.python).await?);
    }
    match major {
        PythonMajor::Two => bail!(
            "the bundle has no entry_point, so it is a Python 2 plugin, and no environment {wanted} is configured"
        ),
        PythonMajor::Three => Ok(Environment::probe(wanted, &on_path("python3")?).await?),
    }
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

fn show(report: &CallReport, result: &Result<&Value, CallError>) {
    for line in &report.log {
        println!("{}: {}", line.stream.as_str(), line.line);
    }
    match result {
        Ok(value) => println!("{value:#}"),
        Err(error) => {
            if let Some(traceback) = &error.traceback {
                eprintln!("{}", traceback.trim_end());
            }
            eprintln!("keyward: {}: {}", error.kind.as_str(), error.message);
        }
    }
    println!("took {:.1} ms", report.duration.as_secs_f64() * 1000.0);
}
