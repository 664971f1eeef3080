//! What a hook call of an SDK-based plugin costs: time warm, against a cold interpreter and a bare fork of the same
//! one; memory of idle workers; 500 calls that wait at the same time; the first call after an upload.
//!
//! `cargo xtask bench hooks [CALLS [SECONDS]]` builds and runs it. `KEYWARD_TEST_PYTHON` is an interpreter with Plugin
//! SDK 1.9.1 and requests. CALLS is how many calls a row has, 1000 when left out; SECONDS how long the 500
//! calls wait all at once, 10 when left out. Times are in milliseconds.
#![expect(clippy::print_stdout, reason = "its table is what the program is for")]

mod memory;
mod setting;
mod waiting;

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward_plugin::{Call, Hook, Instance};
use serde_json::json;

use setting::{PLUGIN, Setting, arguments};

type Failure = Box<dyn Error + Send + Sync>;

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
    let calls = std::env::args().nth(1).map_or(Ok(1000), |calls| calls.parse::<usize>())?.max(100);
    let wait = Duration::from_secs(std::env::args().nth(2).map_or(Ok(10), |seconds| seconds.parse())?);
    let setting = Setting::new(std::path::absolute(python)?)?;

    println!("{:<34}{:>9}{:>9}{:>11}", "", "p50 ms", "p99 ms", "calls/s");
    let speed = speed(&setting, calls).await?;
    let imports = uploads(&setting).await?;
    let further = memory::idle(&setting).await?;
    println!();
    let waited = waiting::wait(&setting, wait).await?;

    let Speed { cold, warm, slowest, best } = speed;
    println!();
    told("a call with an idle worker, p50 ms, at most 2", warm, warm <= 2.0);
    told("the same, p99 ms, at most 8", slowest, slowest <= 8.0);
    told("cold starts in the time of a warm call, at least 60", cold / warm, cold / warm >= 60.0);
    told("calls/s with parallel callers, at least 300", best, best >= 300.0);
    told("imports that calls after an upload wait for, at most 1", imports as f64, imports <= 1);
    told("MiB of a further idle worker, at most 3", further, further <= 3.0);
    told("of 500 calls that wait on a socket, answered", waited.answered as f64, waited.answered == 500);
    told("of these, waiting at the same moment", waited.at_once as f64, waited.at_once == 500);
    told("MiB of each, at most 6", waited.memory, waited.memory <= 6.0);
    let slower = waited.meanwhile / waited.quiet;
    told("p50 of another plugin meanwhile, times its own, at most 1.5", slower, slower <= 1.5);
    Ok(())
}

/// Prints what came of an aim. A measurement that there is none of is NaN, and misses.
fn told(aim: &str, measured: f64, reached: bool) {
    println!("{aim:<62}{measured:>9.2}  {}", if reached { "reached" } else { "MISSED" });
}

/// Milliseconds, and calls in a second.
struct Speed {
    cold: f64,
    warm: f64,
    /// The 99th percentile of warm calls.
    slowest: f64,
    best: f64,
}

async fn speed(setting: &Setting, calls: usize) -> Result<Speed, Failure> {
    let host = setting.host(0)?;
    // Its import is done before anything is measured beside it.
    let instance = setting.load(&host, "bench", PLUGIN, 2).await?;
    let (python, dir) = (&setting.python, setting.dir.path());
    let cold = row("cold interpreter per call", cold(python, dir, (calls / 20).max(10))?, None);
    row("bare fork", forks(python, dir, calls)?, None);
    let times = warm(&instance, calls / 2, Duration::from_millis(20)).await?;
    let slowest = percentile(&times, 0.99);
    let warm = row("warm, one each 20 ms", times, None);
    let mut best: f64 = 0.0;
    for at_once in [1, 2, 8, 50] {
        let (times, total) = parallel(&instance, calls, at_once).await?;
        let rate = times.len() as f64 / total.as_secs_f64();
        row(&format!("warm, {at_once} at once"), times, Some(rate));
        best = best.max(rate);
    }
    drop(instance);
    host.shutdown().await;
    Ok(Speed { cold, warm, slowest, best })
}

/// How often a plugin is imported until eight calls that come at once after its upload are answered, at most.
async fn uploads(setting: &Setting) -> Result<usize, Failure> {
    let host = setting.host(0)?;
    let (mut loading, mut first) = (Vec::new(), Vec::new());
    let mut most = 0;
    for n in 0..5 {
        let name = format!("upload{n}");
        let begin = Instant::now();
        let instance = setting.load(&host, &name, PLUGIN, 2).await?;
        loading.push(begin.elapsed().as_secs_f64() * 1000.0);
        let (times, _) = parallel(&instance, 8, 8).await?;
        first.extend(times);
        most = most.max(setting.imports(&name)?);
    }
    row("upload, until it can be called", loading, None);
    row("the first 8 calls, at once", first, None);
    host.shutdown().await;
    Ok(most)
}

/// Prints a row and gives its median.
fn row(what: &str, times: Vec<f64>, rate: Option<f64>) -> f64 {
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
    let median = percentile(&times, 0.5);
    println!("{what:<34}{median:>9.2}{:>9.2}{rate:>11}", percentile(&times, 0.99));
    median
}

fn percentile(times: &[f64], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index is small and positive"
    )]
    let place = ((times.len() as f64 - 1.0) * share).round() as usize;
    times.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "the cold start that workers are compared with")]
fn cold(python: &Path, dir: &Path, calls: usize) -> Result<Vec<f64>, Failure> {
    let arguments = serde_json::to_string(&arguments())?;
    let mut times = Vec::new();
    for _ in 0..calls {
        let begin = Instant::now();
        let mut command = Command::new(python);
        command
            .args(["-I", "-c", COLD])
            .arg(dir.join("bench/bundle"))
            .arg(&arguments)
            .arg(dir.join("worker"));
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
    command
        .args(["-I", "-c", FORK])
        .arg(dir.join("bench/bundle"))
        .arg(calls.to_string())
        .arg(dir.join("worker"));
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
        time_limit: Duration::from_secs(300),
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
