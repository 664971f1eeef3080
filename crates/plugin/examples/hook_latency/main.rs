//! How long a hook call of an SDK-based plugin takes: warm, against a cold interpreter and a bare fork of the same one.
//!
//! `cargo xtask bench hooks` builds and runs it. `KEYWARD_TEST_PYTHON` is an interpreter with Plugin SDK 1.9.1 and
//! requests; the one argument is how many calls. Times are in milliseconds.
#![expect(clippy::print_stdout, reason = "its table is what the program is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward_model::{InstanceName, PluginName};
use keyward_plugin::{
    ApiVersion, Bounds, Bundle, Call, Environment, Hook, HostConfig, Instance, InstanceConfig, Manifest,
    PluginHost, PluginKind, PythonMajor, PythonVersion, ServiceData, Start, UnpackedBundle,
};
use serde_json::json;

type Failure = Box<dyn Error + Send + Sync>;

/// An AA plugin as most public ones are: the SDK's base class, a check of a code, some cookies.
const PLUGIN: &str = r#"#!/usr/bin/env pluginwrapper3
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        if self.mfa_password != "123456":
            return AAResponse.deny("wrong code")
        self.cookie["seen"] = self.mfa_identity
        return AAResponse.accept("code accepted")
"#;

/// What SPS does for each call: a new interpreter, an import, a call. The SDK needs its host's modules.
const COLD: &str = r#"
import json, sys
sys.path.insert(0, sys.argv[3])
from keyward_worker import services
services.install()
services.bind(None, {})
sys.path.insert(0, sys.argv[1])
import main
print(json.dumps(main.Plugin("[auth]\n").authenticate(**json.loads(sys.argv[2]))))
"#;

/// The same interpreter with the plugin imported forks children that do nothing.
const FORK: &str = r#"
import gc, os, sys, time
sys.path.insert(0, sys.argv[3])
from keyward_worker import services
services.install()
sys.path.insert(0, sys.argv[1])
import main
gc.collect(); gc.disable(); getattr(gc, "freeze", int)()
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    print((time.perf_counter() - begin) * 1000)
"#;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let python = std::env::var_os("KEYWARD_TEST_PYTHON").ok_or("KEYWARD_TEST_PYTHON names no interpreter")?;
    let python = std::path::absolute(python)?;
    let calls = std::env::args().nth(1).map_or(Ok(1000), |calls| calls.parse::<usize>())?;
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("bundle");
    fs::create_dir(&root)?;
    fs::write(root.join("main.py"), PLUGIN)?;

    println!("{:<34}{:>9}{:>9}{:>11}", "", "p50 ms", "p99 ms", "calls/s");
    let host = host(dir.path())?;
    let cold = row("cold interpreter per call", cold(&python, dir.path(), (calls / 20).max(10))?, None);
    row("bare fork", forks(&python, dir.path(), calls)?, None);
    let instance = host.load(config(&python, dir.path(), root)?).await?;
    let warm =
        row("warm, one each 20 ms", warm(&instance, calls / 2, Duration::from_millis(20)).await?, None);
    let mut best: f64 = 0.0;
    for at_once in [1, 2, 8, 50] {
        let (times, total) = parallel(&instance, calls, at_once).await?;
        let rate = calls as f64 / total.as_secs_f64();
        row(&format!("warm, {at_once} at once"), times, Some(rate));
        best = best.max(rate);
    }
    host.shutdown().await;
    let reached = |yes: bool| if yes { "reached" } else { "MISSED" };
    println!();
    println!("a call with an idle worker, p50 {warm:.2} ms, at most 4: {}", reached(warm <= 4.0));
    println!("of the cold start, 1/{:.0}, at most 1/30: {}", cold / warm, reached(cold / warm >= 30.0));
    println!("calls/s with parallel callers, {best:.0}, at least 150: {}", reached(best >= 150.0));
    Ok(())
}

/// Prints a row and gives its median.
fn row(what: &str, mut times: Vec<f64>, rate: Option<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index is small and positive"
        )]
        let place = ((times.len() as f64 - 1.0) * share).round() as usize;
        times.get(place).copied().unwrap_or(f64::NAN)
    };
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
    println!("{what:<34}{:>9.2}{:>9.2}{rate:>11}", at(0.5), at(0.99));
    at(0.5)
}

fn arguments() -> serde_json::Map<String, serde_json::Value> {
    let given = json!({
        "cookie": {}, "session_cookie": {}, "session_id": "svc/0123456789012345678901/db:1", "protocol": "ssh",
        "connection_name": "db", "client_ip": "10.0.0.1", "client_port": 4711, "client_hostname": null,
        "gateway_user": "ann", "gateway_domain": null, "server_username": "root", "server_domain": null,
        "key_value_pairs": {"otp": "123456"},
    });
    given.as_object().cloned().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the cold start that workers are compared with")]
fn cold(python: &Path, dir: &Path, calls: usize) -> Result<Vec<f64>, Failure> {
    let arguments = serde_json::to_string(&arguments())?;
    let mut times = Vec::new();
    for _ in 0..calls {
        let begin = Instant::now();
        let mut command = Command::new(python);
        command.args(["-I", "-c", COLD]).arg(dir.join("bundle")).arg(&arguments).arg(dir.join("worker"));
        let output = command.env_clear().output()?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        if !String::from_utf8_lossy(&output.stdout).contains("ACCEPT") {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
    }
    Ok(times)
}

#[expect(clippy::disallowed_methods, reason = "the fork that workers are compared with")]
fn forks(python: &Path, dir: &Path, calls: usize) -> Result<Vec<f64>, Failure> {
    let mut command = Command::new(python);
    command.args(["-I", "-c", FORK]).arg(dir.join("bundle")).arg(calls.to_string()).arg(dir.join("worker"));
    let output = command.env_clear().stderr(Stdio::inherit()).output()?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::parse).collect::<Result<_, _>>()?)
}

async fn warm(instance: &Instance, calls: usize, pause: Duration) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::new();
    for _ in 0..calls {
        times.push(one(instance).await?);
        tokio::time::sleep(pause).await;
    }
    Ok(times)
}

async fn parallel(
    instance: &Instance,
    calls: usize,
    at_once: usize,
) -> Result<(Vec<f64>, Duration), Failure> {
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let instance = instance.clone();
        tasks.spawn(async move { warm(&instance, calls / at_once, Duration::ZERO).await });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    Ok((times, begin.elapsed()))
}

async fn one(instance: &Instance) -> Result<f64, Failure> {
    let call = Call {
        log_prefix: "bench".into(),
        hook: Hook::Authenticate,
        arguments: arguments(),
        time_limit: Duration::from_secs(30),
    };
    let begin = Instant::now();
    let report = instance.call(call).await;
    let elapsed = begin.elapsed().as_secs_f64() * 1000.0;
    let result = report.outcome?;
    if result.get("verdict") != Some(&json!("ACCEPT")) {
        return Err("the plugin did not accept".into());
    }
    Ok(elapsed)
}

fn host(dir: &Path) -> Result<PluginHost, Failure> {
    Ok(PluginHost::start(HostConfig {
        worker_dir: dir.join("worker"),
        max_calls: 500,
        services: ServiceData { ca_dir: dir.join("ca"), ..ServiceData::default() },
        own_user_base: None,
        strict: false,
    })?)
}

fn config(python: &Path, dir: &Path, root: PathBuf) -> Result<InstanceConfig, Failure> {
    let manifest = Manifest {
        name: PluginName::try_from("Bench")?,
        kind: PluginKind::Aa,
        version: "1.0".into(),
        api: ApiVersion::HOST,
        description: "measured".into(),
        entry_point: Some("main.py".into()),
        min_version: None,
        max_version: None,
        author_email: None,
    };
    let bundle = Bundle {
        manifest,
        default_configuration: None,
        warnings: Vec::new(),
        checksum: String::new(),
        python: PythonMajor::Three,
        entry: "main.py".into(),
    };
    Ok(InstanceConfig {
        name: InstanceName::try_from("bench")?,
        bundle: UnpackedBundle { bundle, root },
        configuration: "[auth]\n".into(),
        environment: Environment {
            name: "python3".into(),
            python: python.to_owned(),
            version: PythonVersion { major: 3, minor: 6, micro: 7 },
            sdk: None,
            api: ApiVersion::HOST,
        },
        start: Start::Warm,
        idle_workers: 2,
        memory_limit: 1 << 30,
        processes: 256,
        state_dir: dir.join("state"),
        ephemeral_dir: dir.join("ephemeral"),
        temp: dir.join("temp"),
        bounds: Bounds::default(),
    })
}
