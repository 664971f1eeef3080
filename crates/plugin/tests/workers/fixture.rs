//! A plugin host with one plugin, written to a temporary directory.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

pub(super) struct Plugin {
    pub(super) dir: tempfile::TempDir,
    pub(super) source: String,
    pub(super) kind: PluginKind,
    pub(super) configuration: String,
    pub(super) start: Start,
    pub(super) idle_workers: usize,
    pub(super) max_calls: usize,
    pub(super) memory_limit: u64,
    pub(super) own_user_base: Option<u32>,
    pub(super) processes: u32,
    pub(super) bounds: Bounds,
    pub(super) strict: bool,
    pub(super) services: ServiceData,
    pub(super) python: PathBuf,
}

/// A loaded plugin, and its host.
pub(super) struct Loaded {
    pub(super) host: PluginHost,
    pub(super) instance: Instance,
    pub(super) dir: tempfile::TempDir,
}

impl Plugin {
    pub(super) fn new(source: &str) -> Self {
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
            memory_limit: 1 << 30,
            own_user_base: None,
            processes: 64,
            bounds: Bounds::default(),
            strict: false,
            python: python(),
        }
    }

    pub(super) fn host(&self) -> PluginHost {
        PluginHost::start(HostConfig {
            worker_dir: self.dir.path().join("worker"),
            max_calls: self.max_calls,
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
            bundle: bundle(self.kind, root),
            configuration: self.configuration.clone(),
            environment: Environment {
                name: "python3".into(),
                python: self.python.clone(),
                version: PythonVersion { major: 3, minor: 11, micro: 0 },
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

    pub(super) async fn load(self) -> Loaded {
        let host = self.host();
        let instance = host.load(self.config()).await.unwrap();
        Loaded { host, instance, dir: self.dir }
    }
}

fn bundle(kind: PluginKind, root: PathBuf) -> UnpackedBundle {
    UnpackedBundle {
        bundle: Bundle {
            manifest: Manifest {
                name: PluginName::try_from("Test").unwrap(),
                kind,
                version: "1.0".into(),
                api: "1.0".parse().unwrap(),
                description: "a plugin under test".into(),
                entry_point: Some("main.py".into()),
                min_version: None,
                max_version: None,
                author_email: None,
            },
            default_configuration: None,
            warnings: Vec::new(),
            checksum: "00".into(),
            python: PythonMajor::Three,
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

/// Waits until `condition` holds, and fails when it does not within ten seconds.
pub(super) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within ten seconds: {what}");
}

pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
