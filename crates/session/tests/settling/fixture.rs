//! A gateway with an AA plugin and a credential store plugin, on a ledger in a temporary directory.

use std::collections::HashMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use keyward_model::{InstanceName, PluginName, Secret, SessionId, UnixMillis};
use keyward_plugin::*;
use keyward_policy::{Method, Policy, hash_password};
use keyward_session::{
    Accepted, Gateway, GatewayParts, Loading, NoOldVersions, NotLoadable, OldVersions, PluginVersion, Script,
    ShownCertificate, ShownHostKey, Silent, Standing,
};
use keyward_store::{PluginRevision, PluginState, RevisionId, SessionRecord, Store};
use keyward_trail::SigningKey;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The listener of connections with the default time limits.
pub(super) const LISTENER: &str = "127.0.0.1:4001";
/// The listener of connections whose plugins get four seconds.
pub(super) const HASTY: &str = "127.0.0.1:4002";

/// The listener of connections that ask for the gateway password of `root`, which is `gateway-word`.
pub(super) const PROVING: &str = "127.0.0.1:4003";

/// What both plugins begin with: they note each hook and its session in a file of their state directory.
const PRELUDE: &str = "
import json, os, time

def place(name):
    return os.path.join(os.environ['SCB_PLUGIN_STATE_DIRECTORY'], name)

def note(*words):
    with open(place('notes'), 'a') as notes:
        notes.write(' '.join(words) + chr(10))

def wait_for(name):
    while not os.path.exists(place(name)):
        time.sleep(0.01)
";

pub(super) const AA: &str = "
class Plugin:
    def authenticate(self, session_id):
        note('authenticate', session_id)
        return {'verdict': 'ACCEPT', 'cookie': {'seen': 1}}
    def authorize(self, session_id, cookie):
        note('authorize', session_id)
        return {'verdict': 'ACCEPT', 'cookie': {'seen': cookie['seen'] + 1}}
    def session_ended(self, session_id, cookie):
        note('session_ended', session_id, json.dumps(cookie))
";

pub(super) const VAULT: &str = "
class Plugin:
    def get_password_list(self, session_id):
        note('get_password_list', session_id)
        return {'passwords': ['secret'], 'cookie': {'lease': 7}}
    def get_private_key_list(self):
        return None
    def authentication_completed(self):
        return None
    def session_ended(self, session_id, cookie):
        note('session_ended', session_id, json.dumps(cookie))
";

/// All that outlasts a gateway.
pub(super) struct Site {
    pub(super) dir: TempDir,
    pub(super) host: PluginHost,
    pub(super) plugins: HashMap<InstanceName, Instance>,
    /// What was loaded so far, by the bundle's checksum.
    old: Arc<Mutex<HashMap<String, Instance>>>,
    target: TcpListener,
}

impl Site {
    pub(super) async fn new() -> Self {
        Self::with(AA, VAULT, 500).await
    }

    pub(super) async fn with(aa: &str, vault: &str, max_calls: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let host = PluginHost::start(HostConfig {
            worker_dir: dir.path().join("worker"),
            max_calls,
            min_free_memory: 0,
            memory: None,
            services: ServiceData { ca_dir: dir.path().join("ca"), ..ServiceData::default() },
            own_user_base: None,
            strict: false,
        })
        .unwrap();
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut site = Self { dir, host, plugins: HashMap::new(), old: Arc::default(), target };
        site.load("aa", "Aa", PluginKind::Aa, aa).await;
        site.load("vault", "Vault", PluginKind::CredentialStore, vault).await;
        site
    }

    /// Loads an instance in the place of the one that has the name.
    pub(super) async fn load(&mut self, name: &str, bundle_name: &str, kind: PluginKind, source: &str) {
        let folder = self.dir.path().join(name);
        let checksum = checksum(bundle_name, source);
        let root = folder.join(&checksum);
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("main.py"), format!("{PRELUDE}{source}")).unwrap();
        let config = InstanceConfig {
            name: instance(name),
            bundle: bundle(bundle_name, kind, root, checksum.clone()),
            configuration: String::new(),
            environment: Environment {
                name: "python3".into(),
                python: python(),
                version: PythonVersion { major: 3, minor: 11, micro: 0 },
                sdk: None,
                api: "1.9".parse().unwrap(),
            },
            start: Start::Warm,
            idle_workers: 2,
            memory_limit: 1 << 30,
            processes: 64,
            state_dir: folder.join("state"),
            ephemeral_dir: folder.join("ephemeral"),
            temp: folder.join("temp"),
            bounds: Bounds::default(),
        };
        let loaded = self.host.load(config).await.unwrap();
        self.old.lock().unwrap().insert(checksum, loaded.clone());
        self.plugins.insert(instance(name), loaded);
    }

    pub(super) async fn store(&self) -> Store {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Store::open(&self.dir.path().join("data")).await {
                Ok(store) => return store,
                // The tasks of a gateway that was dropped end a little later.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn gateway(&self) -> Gateway {
        let store = self.store().await;
        let parts = GatewayParts {
            policy: self.policy(""),
            plugins: self.versions(&store).await,
            old_versions: Arc::new(Earlier { store: store.clone(), instances: Arc::clone(&self.old) }),
            store,
            trails: self.dir.path().join("trails"),
            signer: Arc::new(SigningKey::generate().unwrap()),
            lines: None,
        };
        Gateway::start(parts).await.unwrap()
    }

    /// A gateway that rehearses with the same plugins.
    pub(super) async fn rehearsal(&self, script: Script) -> Gateway {
        let store = self.store().await;
        let parts = GatewayParts {
            policy: self.policy(""),
            plugins: self.versions(&store).await,
            old_versions: Arc::new(NoOldVersions),
            store,
            trails: self.dir.path().join("trails"),
            signer: Arc::new(SigningKey::generate().unwrap()),
            lines: None,
        };
        Gateway::rehearse(parts, script).await.unwrap()
    }

    /// Earlier versions are nowhere to be found any more.
    pub(super) fn lose_earlier_versions(&self) {
        self.old.lock().unwrap().clear();
    }

    /// Today's versions, as the ledger knows them.
    pub(super) async fn versions(&self, store: &Store) -> HashMap<InstanceName, PluginVersion> {
        let mut versions = HashMap::new();
        for (name, instance) in &self.plugins {
            let revision = PluginRevision {
                instance: name.clone(),
                bundle: instance.manifest().name.clone(),
                checksum: instance.checksum().to_owned(),
                environment: "python3".into(),
                configuration: Secret::default(),
            };
            let revision = Some(store.put_revision(&revision, UnixMillis(1)).await.unwrap());
            versions.insert(name.clone(), PluginVersion { instance: instance.clone(), revision });
        }
        versions
    }

    /// `aa` are more lines of the AA plugin's `[[plugin]]`.
    pub(super) fn policy(&self, aa: &str) -> Policy {
        let (target, python) = (self.target.local_addr().unwrap(), python());
        let connection = |name: &str, listener: &str, settings: &str| {
            format!(
                "[[connection]]\nname = {name:?}\nprotocol = \"ssh\"\nlisten = [{listener:?}]\n\
                 target = {{ fixed = \"{target}\" }}\naa-plugin = \"aa\"\n\
                 credential-store = {{ plugin = \"vault\" }}\nchannel-policy = \"work\"\nsettings = {settings:?}\n\
                 host-key-check = \"trust-on-first-use\"\n"
            )
        };
        let text = format!(
            "[node]\ndata-dir = \"data\"\n\
             [[environment]]\nname = \"python3\"\npython = {python:?}\n\
             [[plugin]]\nname = \"aa\"\nbundle = \"Aa\"\n{aa}\n\
             [[plugin]]\nname = \"vault\"\nbundle = \"Vault\"\n\
             [[channel-policy]]\nname = \"work\"\n[[channel-policy.rule]]\ntypes = [\"shell\"]\n\
             [[settings]]\nname = \"default\"\ntimeout = 60\n\
             [[settings]]\nname = \"hasty\"\ntimeout = 8\n\
             [[user]]\nname = \"root\"\npassword = {:?}\n\
             [[authentication]]\nname = \"word\"\nmethods = [\"password\"]\n{}{}{}authentication = \"word\"\n",
            hash_password(&Secret::new("gateway-word".into()), [7; 16]),
            connection("db", LISTENER, "default"),
            connection("quick", HASTY, "hasty"),
            connection("proving", PROVING, "default"),
        );
        Policy::parse(&text, self.dir.path(), "policy.toml").unwrap()
    }

    /// What the instance noted, line by line.
    pub(super) fn notes(&self, name: &str) -> Vec<String> {
        let path = self.dir.path().join(name).join("state/notes");
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// The notes of one hook in one session.
    pub(super) fn heard(&self, name: &str, hook: &str, session: &SessionId) -> Vec<String> {
        let start = format!("{hook} {session}");
        self.notes(name).into_iter().filter(|line| line.starts_with(&start)).collect()
    }

    /// What plugins wait for.
    pub(super) fn let_go(&self, name: &str, what: &str) {
        fs::write(self.dir.path().join(name).join("state").join(what), "").unwrap();
    }

    /// Changes the database beside the gateway, as no part of the gateway would.
    pub(super) fn sql(&self, sql: &str) {
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=20) as db: db.execute(sys.argv[2])";
        let database = self.dir.path().join("data/keyward.db");
        let status = Command::new(python()).args(["-c", script]).arg(database).arg(sql).status().unwrap();
        assert!(status.success());
    }
}

pub(super) fn instance(name: &str) -> InstanceName {
    InstanceName::try_from(name).unwrap()
}

/// Unlike that of other bundles of a test.
fn checksum(name: &str, source: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (name, source).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn python() -> PathBuf {
    std::env::var_os("KEYWARD_TEST_PYTHON").expect("set KEYWARD_TEST_PYTHON to the path of a python 3").into()
}

/// What was loaded before.
#[derive(Debug)]
struct Earlier {
    store: Store,
    instances: Arc<Mutex<HashMap<String, Instance>>>,
}

impl OldVersions for Earlier {
    fn load(&self, _: &InstanceName, revision: RevisionId) -> Loading {
        let (store, instances) = (self.store.clone(), Arc::clone(&self.instances));
        Box::pin(async move {
            let revision = store.revision(revision).await.unwrap();
            let revision = revision.ok_or_else(|| NotLoadable { error: "forgotten".into() })?;
            let known = instances.lock().unwrap().get(&revision.checksum).cloned();
            known.ok_or_else(|| NotLoadable { error: "not there".into() })
        })
    }
}

fn bundle(name: &str, kind: PluginKind, root: PathBuf, checksum: String) -> UnpackedBundle {
    UnpackedBundle {
        bundle: Bundle {
            manifest: Manifest {
                name: PluginName::try_from(name).unwrap(),
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
            checksum,
            python: PythonMajor::Three,
            entry: "main.py".into(),
        },
        root,
    }
}

pub(super) fn accept(gateway: &Gateway, listener: &str) -> Accepted {
    gateway.accept(listener.parse().unwrap(), "127.0.0.1:50000".parse().unwrap()).unwrap()
}

/// The right password proves who somebody is.
pub(super) async fn proof(stage: &mut keyward_session::Named, password: &str) -> keyward_session::Proof {
    let password = Secret::new(password.into());
    let factor = stage.check_password(Method::Password, &password).await.unwrap().unwrap();
    match stage.credit(factor, "").await.unwrap() {
        Standing::Proven(proof) => proof,
        Standing::More => panic!("the password is all that the policy asks for"),
    }
}

/// A session whose client said its login string.
pub(super) async fn named(gateway: &Gateway, listener: &str) -> (SessionId, keyward_session::Named) {
    let accepted = accept(gateway, listener);
    let id = accepted.id().clone();
    (id, accepted.name(b"root").await.unwrap())
}

pub(super) async fn located(gateway: &Gateway, listener: &str) -> (SessionId, keyward_session::Located) {
    let (id, named) = named(gateway, listener).await;
    let proof = named.unauthenticated().unwrap();
    let identified = named.identify(proof, &mut Silent).await.unwrap();
    (id, identified.locate(&mut Silent).await.unwrap())
}

pub(super) async fn connected(gateway: &Gateway, listener: &str) -> (SessionId, keyward_session::Connected) {
    let (id, located) = located(gateway, listener).await;
    (id, dialled(located.authorize(&mut Silent).await.unwrap()).await)
}

/// Connected to a target that has proven itself.
pub(super) async fn dialled(permit: keyward_session::Permit) -> keyward_session::Connected {
    let (connected, _stream) = permit.dial().await.unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let shown = ShownHostKey { key: key.to_owned(), certificate: ShownCertificate::None };
    connected.check_host_key(&shown).await.unwrap();
    connected
}

/// The outcome of a future that is dropped after so many steps. A step ends where it waits.
pub(super) async fn polled<T>(future: impl Future<Output = T>, mut steps: usize) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|waker| {
        if steps == 0 {
            return Poll::Ready(None);
        }
        steps -= 1;
        future.as_mut().poll(waker).map(Some)
    })
    .await
}

pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn record(store: &Store, session: &SessionId) -> SessionRecord {
    store.session(session).await.unwrap().unwrap()
}

/// The record of a session, once it has ended and nothing of it is owed.
pub(super) async fn settled(store: &Store, session: &SessionId) -> SessionRecord {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let record = record(store, session).await;
        let told = record.plugins.iter().all(|plugin| plugin.state == PluginState::Ended);
        if record.summary.ended.is_some() && told {
            return record;
        }
        assert!(Instant::now() < deadline, "not settled in time: {record:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
