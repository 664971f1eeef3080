//! `keyward plugin bench`: how long each hook takes, over the whole way from the gateway to the plugin and back.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::{
    ClientAddr, ConnectionName, InstanceName, KeyValuePairs, Protocol, SessionId, TargetAddr,
};
use keyward_plugin::{
    AaFacts, Call, CallError, Cookies, CredentialFacts, Hook, Instance, PluginKind, Start,
    authenticate_arguments, authorize_arguments, check_result, credential_arguments, remote_app_arguments,
    session_ended_arguments,
};
use serde_json::{Map, Value, json};

use super::explain::{Failure, load_error};
use super::place::Place;
use super::workshop::{Interpreters, Piece, Workshop, policy};
use crate::args::PluginBench;
use crate::command::read_arguments;

/// A hook failed, as opposed to wrong usage.
const FAILED: u8 = 1;
/// Calls that come before those which are measured.
const WARM_UP: u32 = 5;
const LIMIT: Duration = Duration::from_secs(300);

/// What is measured of one hook.
struct Row {
    hook: Hook,
    warm: Figures,
    cold: Figures,
    /// What the last call came to.
    result: Result<String, CallError>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    p50: f64,
    p90: f64,
    p99: f64,
}

pub(crate) async fn bench(arguments: PluginBench) -> anyhow::Result<ExitCode> {
    let policy = policy(arguments.policy.as_deref()).await?;
    let workshop = Workshop::open(policy.as_ref(), 4)?;
    let warm_bundle = workshop.unpack(&arguments.bundle, "warm")?;
    let cold_bundle = workshop.unpack(&arguments.bundle, "cold")?;
    let (kind, place) = (warm_bundle.bundle.manifest.kind, Place::new(&warm_bundle.root));
    let wanted = hooks(&arguments, kind)?;
    let environment = Interpreters::new(arguments.environment.clone(), policy.as_ref())
        .find(warm_bundle.bundle.python)
        .await?;
    let text = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("--configuration {}", path.display()))
    };
    let configuration = arguments.configuration.as_deref().map(text).transpose()?;
    let given = read_arguments(arguments.args.as_deref(), kind)?;
    let piece = |name, bundle, start| {
        Ok::<_, anyhow::Error>(Piece {
            name: InstanceName::try_from(name)?,
            bundle,
            configuration: configuration.clone(),
            environment: environment.clone(),
            start,
            idle_workers: 2,
            state_dir: None,
        })
    };
    let warm = workshop.load(piece("warm", warm_bundle, Start::Warm)?).await.map_err(|error| {
        anyhow::anyhow!(
            "{} cannot be loaded\n{}",
            arguments.bundle.display(),
            load_error(&error, kind, &place).trim_end()
        )
    })?;
    let cold = workshop.load(piece("cold", cold_bundle, Start::Cold)?).await?;
    let mut rows = Vec::new();
    for hook in wanted {
        if warm.has_hook(hook) == Some(false) {
            continue;
        }
        let mut arguments_of_hook = invented(hook)?;
        arguments_of_hook.extend(given.clone());
        eprintln!("{hook}: {} calls warm, {} cold", arguments.calls, arguments.cold_calls);
        // Before anything is measured, and where it fails nothing is.
        let (_, mut result) = measure(&warm, hook, &arguments_of_hook, WARM_UP).await;
        let (mut of_warm, mut of_cold) = (Vec::new(), Vec::new());
        if result.is_ok() {
            (of_warm, result) = measure(&warm, hook, &arguments_of_hook, arguments.calls).await;
            (of_cold, _) = measure(&cold, hook, &arguments_of_hook, arguments.cold_calls).await;
        }
        rows.push(Row { hook, warm: Figures::of(of_warm), cold: Figures::of(of_cold), result });
    }
    if arguments.json {
        println!("{:#}", as_json(&rows, warm.is_warm()));
    } else {
        show(&rows, &warm, kind, &place);
    }
    workshop.close().await;
    let failed = rows.iter().any(|row| row.result.is_err());
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn hooks(arguments: &PluginBench, kind: PluginKind) -> anyhow::Result<Vec<Hook>> {
    if arguments.hooks.is_empty() {
        return Ok(Hook::ALL.into_iter().filter(|hook| hook.belongs_to(kind)).collect());
    }
    let one = |word: &String| {
        let hook: Hook = word.parse()?;
        if !hook.belongs_to(kind) {
            bail!("{hook} is no hook of a plugin of type {kind}");
        }
        Ok(hook)
    };
    arguments.hooks.iter().map(one).collect()
}

/// Calls one after the other; the duration of each, and what the last one came to. A failing one ends it.
async fn measure(
    instance: &Instance,
    hook: Hook,
    arguments: &Map<String, Value>,
    calls: u32,
) -> (Vec<Duration>, Result<String, CallError>) {
    let mut durations = Vec::new();
    let mut result = Ok(String::new());
    for _ in 0..calls {
        let call =
            Call { log_prefix: "bench".to_owned(), hook, arguments: arguments.clone(), time_limit: LIMIT };
        let report = instance.call(call).await;
        durations.push(report.duration);
        let outcome = report.outcome.and_then(|value| check_result(hook, &value).map(|()| value));
        result = outcome.map(|value| word(&value));
        if result.is_err() {
            break;
        }
    }
    (durations, result)
}

/// The verdict, or that there was a result; never a credential.
fn word(result: &Value) -> String {
    match result.get("verdict").and_then(Value::as_str) {
        Some(verdict) => verdict.to_owned(),
        None if result.is_null() => "None".to_owned(),
        None => "a result".to_owned(),
    }
}

impl Figures {
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        Self {
            p50: percentile(&durations, 50),
            p90: percentile(&durations, 90),
            p99: percentile(&durations, 99),
        }
    }

    fn as_json(self) -> Value {
        json!({"p50_ms": self.p50, "p90_ms": self.p90, "p99_ms": self.p99})
    }
}

/// By nearest rank, in milliseconds; of nothing it is 0.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

/// The arguments of the hook in a session that never was (addresses of RFC 5737).
fn invented(hook: Hook) -> anyhow::Result<Map<String, Value>> {
    let connection = ConnectionName::try_from("bench")?;
    let id = SessionId::new([0; 16], &connection, 1);
    let server = TargetAddr { addr: "192.0.2.10:22".parse()?, hostname: Some("db1".to_owned()) };
    let client = ClientAddr("203.0.113.7:50000".parse()?);
    let (pairs, cookies) = (KeyValuePairs::default(), Cookies::default());
    let groups = ["staff".to_owned()];
    let aa = AaFacts {
        session_id: &id,
        protocol: Protocol::Ssh,
        connection_name: &connection,
        client,
        client_hostname: None,
        gateway_user: Some("alice"),
        gateway_domain: None,
        gateway_groups: Some(&groups),
        server_username: Some("root"),
        server_domain: None,
        server: Some(&server),
        key_value_pairs: &pairs,
        cookies: &cookies,
    };
    let credential = CredentialFacts {
        session_id: &id,
        protocol: Protocol::Ssh,
        client,
        client_hostname: None,
        gateway_username: Some("alice"),
        gateway_password: None,
        gateway_groups: Some(&groups),
        gateway_domain: None,
        server_username: "root",
        server: &server,
        server_domain: None,
        cookies: &cookies,
    };
    Ok(match hook {
        Hook::Authenticate => authenticate_arguments(&aa),
        Hook::Authorize => authorize_arguments(&aa),
        Hook::GetPasswordList | Hook::GetPrivateKeyList | Hook::GetTotpCodes => {
            credential_arguments(&credential)
        }
        Hook::GetRemoteAppCredentials => remote_app_arguments(&credential, &connection, None),
        Hook::AuthenticationCompleted | Hook::SessionEnded => session_ended_arguments(&id, &cookies),
    })
}

fn as_json(rows: &[Row], is_warm: bool) -> Value {
    let row = |row: &Row| {
        json!({
            "hook": row.hook.name(),
            "warm": row.warm.as_json(),
            "cold": row.cold.as_json(),
            "result": row.result.as_ref().ok(),
            "error": row.result.as_ref().err().map(|error| json!({"kind": error.kind.as_str(), "message": error.message})),
        })
    };
    json!({"forked_from_warm": is_warm, "hooks": rows.iter().map(row).collect::<Vec<_>>()})
}

fn show(rows: &[Row], warm: &Instance, kind: PluginKind, place: &Place) {
    println!("{:28}{:^30}{:^30}", "milliseconds", "warm", "cold");
    println!(
        "{:26}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}  result",
        "hook", "p50", "p90", "p99", "p50", "p90", "p99"
    );
    for row in rows {
        let Row { hook, warm, cold, result } = row;
        let result = result.as_ref().map_or_else(|error| format!("error: {}", error.kind), Clone::clone);
        let figures = [warm.p50, warm.p90, warm.p99, cold.p50, cold.p90, cold.p99];
        let figures = figures.map(|ms| if ms > 0.0 { format!("{ms:>10.2}") } else { format!("{:>10}", "-") });
        println!("{:26}{}  {result}", hook.name(), figures.concat());
    }
    if !warm.is_warm() {
        println!(
            "\nThe plugin cannot be forked once it is imported, so that its warm calls are cold ones too."
        );
    }
    for row in rows {
        if let Err(error) = &row.result {
            let failure = Failure {
                kind: error.kind.as_str(),
                message: &error.message,
                traceback: error.traceback.as_deref(),
                hook: Some(row.hook),
                plugin: kind,
            };
            eprintln!("\n{} was not measured, since it fails:\n{}", row.hook, failure.explain(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_measured_values() {
        let durations: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(Figures::of(durations), Figures { p50: 50.0, p90: 90.0, p99: 99.0 });
        assert_eq!(Figures::of(vec![Duration::from_millis(7)]), Figures { p50: 7.0, p90: 7.0, p99: 7.0 });
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn an_invented_session_has_every_argument_that_a_session_has() {
        for kind in [PluginKind::Aa, PluginKind::CredentialStore] {
            for hook in Hook::ALL.into_iter().filter(|hook| hook.belongs_to(kind)) {
                let arguments = invented(hook).unwrap();
                for name in hook.arguments(kind) {
                    assert!(arguments.contains_key(name), "{hook} {name}");
                }
            }
        }
    }
}
