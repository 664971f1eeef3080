//! Where plugins are tried: a host of their own, and folders that are gone afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use keyward_model::InstanceName;
use keyward_plugin::{
    Bounds, Bundle, Environment, HostConfig, Instance, InstanceConfig, PluginHost, PythonMajor, ServiceData,
    Start, UnpackedBundle, read_archive,
};
use keyward_policy::Policy;
use keyward_session::service_data;
use tempfile::TempDir;

use crate::command::{load, on_path};

/// A plugin host whose folders are temporary.
#[derive(Debug)]
pub(crate) struct Workshop {
    host: PluginHost,
    scratch: TempDir,
}

/// What is to be loaded.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) name: InstanceName,
    pub(crate) bundle: UnpackedBundle,
    /// `None`: the bundle's `default.cfg`.
    pub(crate) configuration: Option<String>,
    pub(crate) environment: Environment,
    pub(crate) start: Start,
    pub(crate) idle_workers: usize,
    /// `None`: one that is gone afterwards.
    pub(crate) state_dir: Option<PathBuf>,
}

impl Workshop {
    /// `policy` is whose credential stores, user lists, CA lists and settings serve the calls.
    pub(crate) fn open(policy: Option<&Policy>, max_calls: usize) -> anyhow::Result<Self> {
        let scratch =
            tempfile::Builder::new().prefix("keyward-").tempdir().context("a temporary folder is needed")?;
        let ca_dir = scratch.path().join("trusted-ca");
        let host = PluginHost::start(HostConfig {
            worker_dir: scratch.path().join("worker"),
            max_calls,
            min_free_memory: 0,
            memory: None,
            services: match policy {
                Some(policy) => service_data(policy, ca_dir),
                None => ServiceData { ca_dir, ..ServiceData::default() },
            },
            own_user_base: None,
            strict: false,
        })?;
        Ok(Self { host, scratch })
    }

    /// A folder of this workshop that does not exist yet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Unpacks a bundle (`.zip`, or the folder of one) for the instance `name`.
    pub(crate) fn unpack(&self, bundle: &Path, name: &str) -> anyhow::Result<UnpackedBundle> {
        let archive = read_archive(bundle).map_err(anyhow::Error::new)?;
        let root = self.path(&format!("{name}-bundle"));
        Bundle::unpack(&archive, &root).with_context(|| bundle.display().to_string())
    }

    pub(crate) async fn load(&self, piece: Piece) -> anyhow::Result<Instance> {
        let Piece { name, bundle, configuration, environment, start, idle_workers, state_dir } = piece;
        let wanted = bundle.bundle.manifest.api;
        if !environment.api.accepts(wanted) {
            bail!(
                "the bundle wants API {wanted}, and environment {} offers {}",
                environment.name,
                environment.api
            );
        }
        let place = |what: &str| self.path(&format!("{name}-{what}"));
        // The plugin runs in a folder of its own, from which a relative path would lead elsewhere.
        let state_dir = std::path::absolute(state_dir.unwrap_or_else(|| place("state")))?;
        let (ephemeral_dir, temp) = (place("ephemeral"), place("tmp"));
        let configuration =
            configuration.or_else(|| bundle.bundle.default_configuration.clone()).unwrap_or_default();
        let config = InstanceConfig {
            name,
            bundle,
            configuration,
            environment,
            start,
            idle_workers,
            memory_limit: 512 * 1024 * 1024,
            processes: 64,
            state_dir,
            ephemeral_dir,
            temp,
            bounds: Bounds::default(),
        };
        Ok(self.host.load(config).await?)
    }

    /// Ends every process, then removes the folders.
    pub(crate) async fn close(self) {
        self.host.shutdown().await;
    }
}

/// How the commands of the kit find an interpreter.
#[derive(Debug, Default)]
pub(crate) struct Interpreters {
    /// `NAME=PATH` of the command line.
    pub(crate) given: Option<String>,
    /// By name, from a policy document.
    pub(crate) of_policy: Vec<(String, PathBuf)>,
}

impl Interpreters {
    /// Without one on the command line, the variable `KEYWARD_ENVIRONMENT` names one in the same form.
    pub(crate) fn new(given: Option<String>, policy: Option<&Policy>) -> Self {
        let given =
            given.or_else(|| std::env::var("KEYWARD_ENVIRONMENT").ok().filter(|text| !text.is_empty()));
        let environments = policy.into_iter().flat_map(|policy| &policy.environments);
        let of_policy = environments.map(|(name, found)| (name.clone(), found.python.clone())).collect();
        Self { given, of_policy }
    }

    /// Whether somebody has said which interpreter stands for the gateway's.
    pub(crate) fn is_named(&self) -> bool {
        self.given.is_some() || !self.of_policy.is_empty()
    }

    /// The interpreter for bundles of this Python: of the command line, of the policy, of the search path.
    pub(crate) async fn find(&self, major: PythonMajor) -> anyhow::Result<Environment> {
        let wanted = match major {
            PythonMajor::Three => "python3",
            PythonMajor::Two => "python2",
        };
        if let Some(text) = &self.given {
            let (name, path) = text.split_once('=').context("--environment takes NAME=PATH")?;
            if name == wanted || major == PythonMajor::Three {
                return Ok(Environment::probe(name, Path::new(path)).await?);
            }
        }
        if let Some((name, python)) = self.of_policy.iter().find(|(name, _)| name == wanted) {
            return Ok(Environment::probe(name, python).await?);
        }
        match major {
            PythonMajor::Two => {
                let python = on_path("python2.7").or_else(|_| on_path("python2")).ok().context(
                    "the bundle has no entry_point, so it is a Python 2 plugin, and there is no environment python2: \
                     name one with --environment python2=/path/to/python2.7",
                )?;
                Ok(Environment::probe(wanted, &python).await?)
            }
            PythonMajor::Three => Ok(Environment::probe(wanted, &on_path("python3")?).await?),
        }
    }
}

/// The policy document that `--policy` names.
pub(crate) async fn policy(path: Option<&Path>) -> anyhow::Result<Option<Policy>> {
    match path {
        Some(path) => load(path).await.map(Some),
        None => Ok(None),
    }
}
