//! The plugins that are measured, and a host with as many instances of them as are wanted.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_model::{InstanceName, PluginName};
use keyward_plugin::{
    ApiVersion, Bounds, Bundle, Environment, HostConfig, Instance, InstanceConfig, Manifest, PluginHost,
    PluginKind, PythonMajor, PythonVersion, ServiceData, Start, UnpackedBundle,
};
use serde_json::{Map, Value, json};

use crate::Failure;

/// An AA plugin as most public ones are: the SDK's base class, a check of a code, some cookies. It notes each import.
pub(crate) const PLUGIN: &str = r#"#!/usr/bin/env pluginwrapper3
import os
from safeguard.sessions.plugin import AAPlugin, AAResponse

if "SCB_PLUGIN_STATE_DIRECTORY" in os.environ:
    with open(os.environ["SCB_PLUGIN_STATE_DIRECTORY"] + "/imports", "a") as imports:
        imports.write("import\n")

class Plugin(AAPlugin):
    def do_authenticate(self):
        if self.mfa_password != "123456":
            return AAResponse.deny("wrong code")
        self.cookie["seen"] = self.mfa_identity
        return AAResponse.accept("code accepted")
"#;

/// The same, where the code is checked by a server that takes its time. `{port}` is where that listens.
pub(crate) const WAITING_PLUGIN: &str = r#"#!/usr/bin/env pluginwrapper3
import socket
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        with socket.create_connection(("127.0.0.1", {port})) as server:
            if server.recv(1) != b"+":
                return AAResponse.deny("no answer")
        return AAResponse.accept("the server said yes")
"#;

/// One gateway's folders.
pub(crate) struct Setting {
    pub(crate) python: PathBuf,
    pub(crate) dir: tempfile::TempDir,
}

impl Setting {
    pub(crate) fn new(python: PathBuf) -> Result<Self, Failure> {
        Ok(Self { python, dir: tempfile::tempdir()? })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `more` calls than the default may run at once.
    pub(crate) fn host(&self, more: usize) -> Result<PluginHost, Failure> {
        Ok(PluginHost::start(HostConfig {
            worker_dir: self.path("worker"),
            max_calls: 500 + more,
            min_free_memory: 0,
            memory: None,
            services: ServiceData { ca_dir: self.path("ca"), ..ServiceData::default() },
            own_user_base: None,
            strict: false,
        })?)
    }

    /// Loads `source` as the instance `name`, with so many idle workers.
    pub(crate) async fn load(
        &self,
        host: &PluginHost,
        name: &str,
        source: &str,
        idle_workers: usize,
    ) -> Result<Instance, Failure> {
        let own = self.path(name);
        let root = own.join("bundle");
        fs::create_dir_all(&root)?;
        fs::write(root.join("main.py"), source)?;
        Ok(host.load(config(&self.python, name, &own, root, idle_workers)?).await?)
    }

    /// How often the plugin of that instance was imported.
    pub(crate) fn imports(&self, name: &str) -> Result<usize, Failure> {
        Ok(fs::read_to_string(self.path(name).join("state/imports"))?.lines().count())
    }
}

/// What `authenticate` is given.
pub(crate) fn arguments() -> Map<String, Value> {
    let given = json!({
        "cookie": {}, "session_cookie": {}, "session_id": "svc/0123456789012345678901/db:1", "protocol": "ssh",
        "connection_name": "db", "client_ip": "10.0.0.1", "client_port": 4711, "client_hostname": null,
        "gateway_user": "ann", "gateway_domain": null, "server_username": "root", "server_domain": null,
        "key_value_pairs": {"otp": "123456"},
    });
    given.as_object().cloned().unwrap_or_default()
}

fn config(
    python: &Path,
    name: &str,
    own: &Path,
    root: PathBuf,
    idle_workers: usize,
) -> Result<InstanceConfig, Failure> {
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
        name: InstanceName::try_from(name)?,
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
        idle_workers,
        memory_limit: 1 << 30,
        processes: 2048,
        state_dir: own.join("state"),
        ephemeral_dir: own.join("ephemeral"),
        temp: own.join("temp"),
        bounds: Bounds::default(),
    })
}
