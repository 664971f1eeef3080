//! A plugin host with one plugin, written to a temporary directory.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyward_model::{InstanceName, PluginName};
use keyward_plugin::*;
use serde_json::{Value, json};

/// Which Python the tests run: one with SDK 1.9.1 and requests in it.
pub(super) fn python() -> PathBuf {
    std::env::var_os("KEYWARD_TEST_PYTHON")
        .expect(
            "set KEYWARD_TEST_PYTHON to the path of a python with Plugin SDK 1.9.1 and requests installed",
        )
        .into()
}

/// A Python 2.7.
pub(super) fn python2() -> PathBuf {
    let named = std::env::var_os("KEYWARD_TEST_PYTHON2").map(PathBuf::from);
    named
        .or_else(|| pyenv().into_iter().find(|(version, _)| version.starts_with("2.7")).map(|(_, path)| path))
        .expect("set KEYWARD_TEST_PYTHON2 to the path of a Python 2.7: `cargo xtask test` does")
}

/// Every interpreter that the tests may use, with its major version.
pub(super) fn all_pythons() -> Vec<(PythonMajor, PathBuf)> {
    let found = match std::env::var_os("KEYWARD_TEST_PYTHONS") {
        Some(paths) => std::env::split_paths(&paths).map(|path| (version_of(&path), path)).collect(),
        None => pyenv(),
    };
    let major = |version: &str| match version.starts_with("2.") {
        true => PythonMajor::Two,
        false => PythonMajor::Three,
    };
    found.into_iter().map(|(version, path)| (major(&version), path)).collect()
}

fn version_of(python: &Path) -> String {
    let question = "import sys; print('.'.join(map(str, sys.version_info[:3])))";
    let answer = std::process::Command::new(python).args(["-c", question]).output().unwrap();
    String::from_utf8(answer.stdout).unwrap()
}

/// The versions below pyenv's folder, where tests are started by hand.
fn pyenv() -> Vec<(String, PathBuf)> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    versions
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("bin/python")))
        .filter(|(_, python)| python.exists())
        .collect()
}

pub(super) struct Plugin {
    pub(super) dir: tempfile::TempDir,
    pub(super) source: String,
    pub(super) kind: PluginKind,
    pub(super) configuration: String,
    pub(super) start: Start,
    pub(super) idle_workers: usize,
    pub(super) max_calls: usize,
    pub(super) min_free_memory: u64,
    pub(super) memory: Option<u64>,
    pub(super) memory_limit: u64,
    pub(super) own_user_base: Option<u32>,
    pub(super) processes: u32,
    pub(super) bounds: Bounds,
    pub(super) strict: bool,
    pub(super) services: ServiceData,
    pub(super) python: PathBuf,
    pub(super) language: PythonMajor,
}

/// A loaded plugin, and its host.
pub(super) struct Loaded {
    pub(super) host: PluginHost,
    pub(super) instance: Instance,
    pub(super) dir: tempfile::TempDir,
}

impl Plugin {
    pub(super) fn new(source: &str) -> Self {
        Self::with(source, python())
    }

    fn with(source: &str, python: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            services: ServiceData { ca_dir: dir.path().join("ca"), ..ServiceData::default() },
            dir,
            source: source.to_owned(),
            kind: PluginKind::Aa,
            configuration: String::new(),
            start: Start::Warm,
            idle_workers: 2,
            max_calls: 500,
            min_free_memory: 0,
            memory: None,
            memory_limit: 1 << 30,
            own_user_base: None,
            processes: 64,
            bounds: Bounds::default(),
            strict: false,
            python,
            language: PythonMajor::Three,
        }
    }

    pub(super) fn host(&self) -> PluginHost {
        PluginHost::start(HostConfig {
            worker_dir: self.dir.path().join("worker"),
            max_calls: self.max_calls,
            min_free_memory: self.min_free_memory,
            memory: self.memory,
            services: self.services.clone(),
            own_user_base: self.own_user_base,
            strict: self.strict,
        })
        .unwrap()
    }

    pub(super) fn config(&self) -> InstanceConfig {
        let root = self.dir.path().join("bundle");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("main.py"), &self.source).unwrap();
        InstanceConfig {
            name: InstanceName::try_from("plugin").unwrap(),
            bundle: bundle(self.kind, self.language, root),
            configuration: self.configuration.clone(),
            environment: Environment {
                name: "test".into(),
                python: self.python.clone(),
                version: match self.language {
                    PythonMajor::Three => PythonVersion { major: 3, minor: 11, micro: 0 },
                    PythonMajor::Two => PythonVersion { major: 2, minor: 7, micro: 18 },
                },
                sdk: None,
                api: "1.9".parse().unwrap(),
            },
            start: self.start,
            idle_workers: self.idle_workers,
            memory_limit: self.memory_limit,
            processes: self.processes,
            state_dir: self.dir.path().join("state"),
            ephemeral_dir: self.dir.path().join("ephemeral"),
            temp: self.dir.path().join("temp"),
            bounds: self.bounds.clone(),
        }
    }

    /// The same for Python 2.
    pub(super) fn legacy(source: &str) -> Self {
        Self { python: python2(), language: PythonMajor::Two, ..Self::with(source, PathBuf::new()) }
    }

    pub(super) async fn load(self) -> Loaded {
        let host = self.host();
        let instance = host.load(self.config()).await.unwrap();
        Loaded { host, instance, dir: self.dir }
    }
}

fn bundle(kind: PluginKind, language: PythonMajor, root: PathBuf) -> UnpackedBundle {
    UnpackedBundle {
        bundle: Bundle {
            manifest: Manifest {
                name: PluginName::try_from("Test").unwrap(),
                kind,
                version: "1.0".into(),
                api: "1.0".parse().unwrap(),
                description: "a plugin under test".into(),
                entry_point: (language == PythonMajor::Three).then(|| "main.py".into()),
                min_version: None,
                max_version: None,
                author_email: None,
            },
            default_configuration: None,
            warnings: Vec::new(),
            checksum: "00".into(),
            python: language,
            entry: "main.py".into(),
        },
        root,
    }
}

pub(super) fn call(hook: Hook, arguments: Value) -> Call {
    Call {
        log_prefix: "svc/test/db:1".into(),
        hook,
        arguments: arguments.as_object().unwrap().clone(),
        time_limit: Duration::from_secs(20),
    }
}

impl Loaded {
    pub(super) async fn authorize(&self, arguments: Value) -> CallReport {
        self.instance.call(call(Hook::Authorize, arguments)).await
    }

    /// The result of `authorize` without arguments.
    pub(super) async fn result(&self) -> Value {
        self.authorize(json!({})).await.outcome.unwrap()
    }

    /// The error of `authorize` without arguments.
    pub(super) async fn error(&self) -> CallError {
        self.authorize(json!({})).await.outcome.unwrap_err()
    }

    /// Makes all calls at the same time, and gives their reports in the same order.
    pub(super) async fn at_once(&self, calls: impl IntoIterator<Item = Call>) -> Vec<CallReport> {
        let running: Vec<_> = calls
            .into_iter()
            .map(|call| {
                let instance = self.instance.clone();
                tokio::spawn(async move { instance.call(call).await })
            })
            .collect();
        let mut reports = Vec::new();
        for report in running {
            reports.push(report.await.unwrap());
        }
        reports
    }

    /// Waits for an idle worker, so that the time limit of a call is all the call's own.
    pub(super) async fn ready(self) -> Self {
        eventually("a worker is idle", || self.instance.idle_workers() > 0).await;
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A plugin whose `authorize` has this body; indented by eight spaces here.
pub(super) fn authorize(body: &str) -> Plugin {
    let body: String = body.lines().map(|line| format!("        {line}\n")).collect();
    Plugin::new(&format!(
        "import os, sys, time, json\n\nclass Plugin:\n    def authorize(self, **arguments):\n{body}"
    ))
}

/// Everything below this process.
pub(super) fn descendants() -> HashSet<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after = &stat[stat.rfind(')').unwrap() + 2..];
        parents.push((pid, after.split(' ').nth(1).unwrap().parse::<u32>().unwrap()));
    }
    let mut found = HashSet::from([std::process::id()]);
    loop {
        let before = found.len();
        for (pid, parent) in &parents {
            if found.contains(parent) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            found.remove(&std::process::id());
            return found;
        }
    }
}

/// Processes whose command line holds `mark`, wherever they are.
pub(super) fn with_mark(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// Processes of that user, wherever they are; dead ones count until they are reaped.
pub(super) fn of_user(user: u32) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user)).count()
}

pub(super) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The least of some looks: the disk is measured now and then, which opens folders, and pipes of what has ended are
/// closed a little later.
pub(super) async fn open_files_at_rest() -> usize {
    let mut least = usize::MAX;
    for _ in 0..20 {
        least = least.min(open_files());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    least
}

/// Whether there is a process of that number, dead ones that nobody has reaped included.
pub(super) fn is_there(pid: impl std::fmt::Display) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until `condition` holds, and fails when it does not within thirty seconds.
pub(super) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within thirty seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
