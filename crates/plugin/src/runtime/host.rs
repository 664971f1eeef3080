//! The plugin host: what all plugin instances share, and how one is loaded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::budget::Budget;
use super::confinement::{Allowance, Disk, Doors, Kernel, Network, Reach, Rules, Tasks, environment_folders};
use super::instance::{Inner as InstanceInner, kind_name};
use super::keeper::Keeper;
use super::launch::Launch;
use super::pool::Pool;
use super::spawn::Limits;
use super::template::{Started, Template};
use super::user::{Contents, Users, prepare};
use super::way::Way;
use super::{Gap, Instance, InstanceConfig, PluginError, Start, worker_files};
use crate::service::{ServiceData, Services, ServicesError};
use crate::{PluginKind, PythonMajor};

/// What all plugin instances share.
#[derive(Debug)]
pub struct HostConfig {
    /// Where the Python side is written, mode 0755; made when missing. It lies in the gateway's data folder.
    pub worker_dir: PathBuf,
    /// How many calls may run at once. One more is refused when it would begin a session, and waits otherwise.
    pub max_calls: usize,
    /// Bytes of memory that the machine must have left for a call that would begin a session; 0: it is not looked at.
    pub min_free_memory: u64,
    /// What the templates of all instances and their idle workers may hold together, in bytes; `None`: a quarter of the
    /// machine's memory. Past it, the instance that was used the longest ago has none until its next call.
    pub memory: Option<u64>,
    pub services: ServiceData,
    /// As root only: the first uid of a range of 10,000, of which each instance gets one. `None`: no change.
    ///
    /// With it, others may pass (not list) the data folder and the folders in it that lead to what plugins need.
    pub own_user_base: Option<u32>,
    /// Whether a start is refused where a part of the confinement is missing; otherwise a warning names it.
    pub strict: bool,
}

/// Runs plugins. A clone is the same host.
#[derive(Clone, Debug)]
pub struct PluginHost {
    host: Arc<Inner>,
    /// For the instances that are loaded by this handle.
    services: Arc<Services>,
}

#[derive(Debug)]
struct Inner {
    main: PathBuf,
    admission: Arc<Admission>,
    budget: Arc<Budget>,
    users: Mutex<Users>,
    /// Where instances have users of their own.
    way: Option<Way>,
    kernel: Arc<Kernel>,
    /// The gateway's data folder.
    data: PathBuf,
    /// Where trusted CA lists lie, which plugins read as files.
    ca_dir: PathBuf,
    keepers: TaskTracker,
    stop: CancellationToken,
}

impl PluginHost {
    /// # Errors
    /// When the Python side or the directories of trusted CAs cannot be written, users of plugins cannot reach them,
    /// or an LDAP server policy cannot be used; where a part of the confinement is missing that the caller insists on.
    pub fn start(config: HostConfig) -> Result<Self, PluginError> {
        let own_user_base = config.own_user_base.filter(|_| rustix::process::geteuid().is_root());
        let kernel = Arc::new(Kernel::probe());
        judge(kernel.gaps(own_user_base.is_some()), config.strict)?;
        let main = worker_files::write(&config.worker_dir)?;
        let way = own_user_base.map(|_| open_way(&config)).transpose()?;
        let data = config.worker_dir.parent().unwrap_or(Path::new("/")).to_owned();
        let ca_dir = config.services.ca_dir.clone();
        let services = Services::new(config.services).map_err(no_services)?;
        let host = Inner {
            main,
            admission: Arc::new(Admission::new(config.max_calls, config.min_free_memory)),
            budget: Budget::new(config.memory),
            users: Mutex::new(Users::new(own_user_base)),
            way,
            kernel,
            data,
            ca_dir,
            keepers: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok(Self { host: Arc::new(host), services: Arc::new(services) })
    }

    /// The same host with other data for the services of the instances that this handle loads. The others keep theirs;
    /// all share the memory cache and the locks.
    ///
    /// # Errors
    /// When the directories of trusted CAs cannot be written, users of plugins cannot reach them, or an LDAP server
    /// policy cannot be used.
    pub fn with_services(&self, data: ServiceData) -> Result<Self, PluginError> {
        if let Some(way) = self.host.way.as_ref().filter(|_| !data.trusted_cas.is_empty()) {
            way.lead_to(&data.ca_dir.join("list"))?;
        }
        let services = self.services.renewed(data).map_err(no_services)?;
        Ok(Self { host: Arc::clone(&self.host), services: Arc::new(services) })
    }

    /// Imports a warm instance and forks its first workers. Loading a name again makes a second instance, for the
    /// sessions to come; the first one ends with its last clone.
    ///
    /// # Errors
    /// When a warm instance cannot be imported, or no interpreter can be started for it.
    pub async fn load(&self, config: InstanceConfig) -> Result<Instance, PluginError> {
        if self.host.stop.is_cancelled() {
            return Err(PluginError::ShutDown);
        }
        check(&config)?;
        let mut launch = self.launch(&config)?;
        let template = self.first_template(&mut launch).await?;
        let hooks = launch.warm.then(|| template.hooks.clone());
        let processes = processes(&config);
        let folders = launch.rules.reach.write.clone();
        let disk = Disk::new(folders, config.bounds.disk);
        disk.measure_soon();
        let (pool, stop) = (Arc::new(Pool::default()), self.host.stop.child_token());
        let manifest = config.bundle.bundle.manifest;
        let instance = Instance(Arc::new(InstanceInner {
            name: config.name,
            kind: manifest.kind,
            manifest,
            checksum: config.bundle.bundle.checksum,
            warm: launch.warm,
            hooks,
            pool: Arc::clone(&pool),
            services: Arc::clone(&self.services),
            admission: Arc::clone(&self.host.admission),
            allowance: Allowance {
                memory: config.memory_limit,
                processes,
                together: launch.user.as_ref().map(|_| processes),
            },
            tasks: Tasks::default(),
            disk: disk.clone(),
            doors: launch.rules.doors.clone(),
            _keeper: stop.clone().drop_guard(),
        }));
        let keeper = Keeper {
            launch,
            pool,
            services: Arc::clone(&self.services),
            idle_workers: config.idle_workers,
            template: Some(template),
            failures: 0,
            refusals: 0,
            orphans: HashSet::new(),
            old_groups: Vec::new(),
            disk,
            dying: false,
            looked: Instant::now(),
            started: Instant::now(),
            replace: false,
            replaced: None,
            part: self.host.budget.part(),
            held: None,
        };
        self.host.keepers.spawn(keeper.run(stop));
        Ok(instance)
    }

    /// A warm template, or a cold one where the import leaves something that a fork would break.
    async fn first_template(&self, launch: &mut Launch) -> Result<Template, PluginError> {
        match Template::start(launch, &self.services).await? {
            Started::Ready(template) => return Ok(*template),
            Started::Unforkable(obstacle) => {
                tracing::warn!(plugin = %launch.name, obstacle, "the plugin cannot be forked: it is started cold for each call");
                launch.warm = false;
            }
        }
        match Template::start(launch, &self.services).await? {
            Started::Ready(template) => Ok(*template),
            Started::Unforkable(what) => Err(PluginError::Protocol { instance: launch.name.clone(), what }),
        }
    }

    fn launch(&self, config: &InstanceConfig) -> Result<Launch, PluginError> {
        let (user, first) = self
            .host
            .users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .assign(&config.name, &config.state_dir)?;
        let passing = if first { Contents::Emptied } else { Contents::Kept };
        let uid = user.as_ref().map(|user| user.uid);
        if let Some(way) = &self.host.way {
            for place in [&config.bundle.root, &config.state_dir, &config.ephemeral_dir, &config.temp] {
                way.lead_to(place)?;
            }
        }
        prepare(&config.state_dir, uid, Contents::Kept)?;
        prepare(&config.ephemeral_dir, uid, passing)?;
        prepare(&config.temp, uid, passing)?;
        let rules = self.rules(config, uid)?;
        let bundle = &config.bundle.bundle;
        Ok(Launch {
            name: config.name.clone(),
            kind: bundle.manifest.kind,
            python: config.environment.python.clone(),
            language: bundle.python,
            main: self.host.main.clone(),
            root: config.bundle.root.clone(),
            entry: bundle.entry.clone(),
            configuration: config.configuration.clone().into(),
            state_dir: config.state_dir.clone(),
            ephemeral_dir: config.ephemeral_dir.clone(),
            temp: config.temp.clone(),
            rules,
            kernel: Arc::clone(&self.host.kernel),
            user,
            warm: config.start == Start::Warm,
            settings: self.services.settings(),
        })
    }

    fn rules(&self, config: &InstanceConfig, uid: Option<u32>) -> Result<Rules, PluginError> {
        let mut read = environment_folders(&config.environment.python);
        read.push(config.bundle.root.clone());
        // The package, and the folder that it is found in.
        read.extend(self.host.main.parent().and_then(Path::parent).map(Path::to_owned));
        read.push(self.host.ca_dir.clone());
        let write = vec![config.state_dir.clone(), config.ephemeral_dir.clone(), config.temp.clone()];
        let reach = Reach { read, write };
        if let Some(folder) = reach.exposes(&self.host.data) {
            return Err(PluginError::Exposed { instance: config.name.clone(), folder });
        }
        let limits = Limits {
            memory: config.memory_limit,
            processes: uid.map(|_| of_user(config)),
            cpu: config.bounds.cpu_seconds,
            file_size: config.bounds.file_size,
        };
        let doors = match &config.bounds.network {
            Network::Open => None,
            Network::Only(_) if !self.host.kernel.asking => {
                return Err(PluginError::NetworkOpen { instance: config.name.clone() });
            }
            Network::Only(rules) => Some(Arc::new(Doors::new(rules.clone()))),
        };
        Ok(Rules { limits, uid, reach, doors })
    }

    /// Waits for running calls, 10 seconds at most, then kills what is left. No process remains.
    pub async fn shutdown(&self) {
        self.host.stop.cancel();
        self.host.keepers.close();
        self.host.keepers.wait().await;
    }
}

/// Names what is missing, or refuses to go on without it.
fn judge(gaps: Vec<Gap>, strict: bool) -> Result<(), PluginError> {
    if strict && !gaps.is_empty() {
        return Err(PluginError::Unconfined(gaps));
    }
    for gap in gaps {
        tracing::warn!(missing = gap.name(), "plugins are confined without a part: {gap}");
    }
    Ok(())
}

fn processes(config: &InstanceConfig) -> usize {
    usize::try_from(config.processes).unwrap_or(usize::MAX)
}

/// Processes and threads that the user of an instance may have: those of its calls, and two templates of an update with
/// their idle workers and one on its way. So a call can go past its own bound, and be found.
fn of_user(config: &InstanceConfig) -> u64 {
    let templates = 2 * config.idle_workers.saturating_add(2);
    processes(config).saturating_add(templates) as u64
}

fn no_services(error: ServicesError) -> PluginError {
    match error {
        ServicesError::TrustedCas(path, source) => {
            PluginError::File { what: "cannot write trusted CAs to", path, source }
        }
        ServicesError::Ldap(name, fault) => PluginError::LdapServer { name, fault: fault.to_string() },
    }
}

/// The way for users of plugins, as far as what they all share.
fn open_way(config: &HostConfig) -> Result<Way, PluginError> {
    let way = Way::open(config.worker_dir.parent().unwrap_or(Path::new("/")))?;
    if !config.services.trusted_cas.is_empty() {
        way.lead_to(&config.services.ca_dir.join("list"))?;
    }
    Ok(way)
}

fn check(config: &InstanceConfig) -> Result<(), PluginError> {
    let bundle = &config.bundle.bundle;
    match bundle.manifest.kind {
        PluginKind::Aa | PluginKind::CredentialStore => {}
        kind @ (PluginKind::SigningCa | PluginKind::ConfigurationSync) => {
            return Err(PluginError::KindNotSupported {
                instance: config.name.clone(),
                kind: kind_name(kind).to_owned(),
            });
        }
    }
    let needed = match bundle.python {
        PythonMajor::Three => 3,
        PythonMajor::Two => 2,
    };
    let version = config.environment.version;
    if version.major == needed {
        return Ok(());
    }
    Err(PluginError::WrongPython {
        instance: config.name.clone(),
        environment: config.environment.name.clone(),
        needs: format!("Python {needed}"),
        has: format!("Python {}.{}", version.major, version.minor),
    })
}
