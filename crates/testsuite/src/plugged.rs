use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Account, Askpass, BundleFolder, Gateway, GatewayPlan, Lacking, PATIENCE, Run, SshClient, Sshd, keyward,
    plugin_python, until,
};

/// A plugin under test: its text, and what the policy says of it.
#[derive(Debug)]
pub struct Plug {
    instance: &'static str,
    kind: &'static str,
    main: String,
    configuration: String,
    settings: String,
    legacy: bool,
    version: &'static str,
}

impl Plug {
    /// The code of [`lets_anybody_in`](Self::lets_anybody_in).
    pub const ANYBODY: &str = r#"
class Plugin:
    def authenticate(self, server_username):
        return {"verdict": "ACCEPT", "gateway_user": server_username}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

    /// An authentication and authorization plugin for tests of something else.
    pub fn lets_anybody_in() -> Self {
        Self::aa(Self::ANYBODY)
    }

    /// An authentication and authorization plugin, the instance `aa`.
    ///
    /// Each plugin may `from notes import note`: `note(word, **facts)` keeps facts for [`Plugged::notes`].
    pub fn aa(main: &str) -> Self {
        Self::new("aa", "aa", main)
    }

    /// A credential store plugin, the instance `store`. With one, the server has an account with a password;
    /// without one, the gateway logs in with a key.
    pub fn store(main: &str) -> Self {
        Self::new("store", "credentialstore", main)
    }

    fn new(instance: &'static str, kind: &'static str, main: &str) -> Self {
        let (configuration, settings) = Default::default();
        Self {
            instance,
            kind,
            main: main.to_owned(),
            configuration,
            settings,
            legacy: false,
            version: "1.0.0",
        }
    }

    /// Its configuration text. `@user@` and `@password@` stand for the account on the server, `@key@` for the private
    /// key of [`Sshd::user`] there.
    pub fn configuration(self, text: &str) -> Self {
        Self { configuration: text.to_owned(), ..self }
    }

    /// For Python 2: its bundle names no entry point.
    pub fn legacy(self) -> Self {
        Self { legacy: true, ..self }
    }

    /// More lines of its `[[plugin]]`.
    pub fn settings(self, lines: &str) -> Self {
        Self { settings: lines.to_owned(), ..self }
    }

    /// The version that its MANIFEST has.
    pub fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    /// Its folder.
    pub fn bundle(&self) -> BundleFolder {
        let name = format!("{}_bundle", self.instance);
        let bundle = if self.legacy {
            BundleFolder::legacy(&name, self.kind, &self.main)
        } else {
            BundleFolder::of_version(&name, self.kind, self.version, &self.main)
        };
        bundle.add("notes.py", NOTES);
        bundle
    }

    fn table(&self, sshd: &Sshd, account: Option<&Account>) -> String {
        let Self { instance, configuration, settings, .. } = self;
        let configuration = &configuration.replace("@key@", &sshd.key().private());
        let filled = account.map(|account| {
            configuration.replace("@user@", &account.name).replace("@password@", &account.password)
        });
        let configuration = filled.as_ref().unwrap_or(configuration);
        format!(
            "[[plugin]]\nname = \"{instance}\"\nbundle = \"{instance}_bundle\"\nconfiguration = '''\n{configuration}'''\n{settings}\n"
        )
    }
}

const NOTES: &str = r#"
import json, os

def note(word, **facts):
    path = os.path.join(os.environ["SCB_PLUGIN_STATE_DIRECTORY"], "notes")
    with open(path, "a") as notes:
        notes.write(json.dumps([word, facts]) + "\n")
"#;

/// A server, and a gateway in front of it whose decisions come from plugins under test.
#[derive(Debug)]
pub struct Plugged {
    pub gateway: Gateway,
    pub sshd: Sshd,
    account: Option<Account>,
    data: PathBuf,
    /// The data folder where it is not the gateway fixture's own; dropped after the gateway.
    _open_folder: Option<TempDir>,
}

/// What is to be put together.
#[derive(Debug)]
pub struct PluggedPlan {
    plugs: Vec<Plug>,
    gateway: String,
    connection: String,
    channel_rule: String,
    more: String,
    own_users: bool,
    lacking: Vec<Lacking>,
}

impl PluggedPlan {
    pub fn new(plugs: impl IntoIterator<Item = Plug>) -> Self {
        Self {
            plugs: plugs.into_iter().collect(),
            gateway: String::new(),
            connection: String::new(),
            channel_rule: "types = [\"shell\", \"exec\"]\nrecord = true".to_owned(),
            more: String::new(),
            own_users: false,
            lacking: Vec::new(),
        }
    }

    /// As on a kernel without these.
    pub fn lacking(self, lacking: &[Lacking]) -> Self {
        Self { lacking: lacking.to_vec(), ..self }
    }

    /// More lines of `[gateway]`.
    pub fn gateway(self, lines: &str) -> Self {
        Self { gateway: format!("{}{lines}\n", self.gateway), ..self }
    }

    /// More lines of `[[connection]]`.
    pub fn connection(self, lines: &str) -> Self {
        Self { connection: lines.to_owned(), ..self }
    }

    /// The lines of the one rule of the channel policy.
    pub fn channel_rule(self, lines: &str) -> Self {
        Self { channel_rule: lines.to_owned(), ..self }
    }

    /// More tables of the document.
    pub fn more(self, tables: &str) -> Self {
        Self { more: tables.to_owned(), ..self }
    }

    /// The plugins run as users of their own, from this id on, with the system's Python: those users may not be
    /// able to reach the one with the SDK.
    pub fn own_users(self, base: u32) -> Self {
        Self { own_users: true, ..self.gateway(&format!("plugin-user-base = {base}")) }
    }

    /// Starts the gateway, which must fail, and gives what it says then.
    #[track_caller]
    pub fn refuses_to_open(self) -> String {
        self.prepare(Sshd::start()).2.refuses_to_start()
    }

    #[track_caller]
    pub fn open(self) -> Plugged {
        self.open_on(Sshd::start())
    }

    /// In front of this server.
    #[track_caller]
    pub fn open_on(self, sshd: Sshd) -> Plugged {
        let (sshd, account, plan, open_folder) = self.prepare(sshd);
        let data = open_folder.as_ref().map(|folder| folder.path().join("data"));
        let gateway = plan.start();
        let data = data.unwrap_or_else(|| gateway.data());
        Plugged { gateway, sshd, account, data, _open_folder: open_folder }
    }

    #[track_caller]
    fn prepare(self, sshd: Sshd) -> (Sshd, Option<Account>, GatewayPlan, Option<TempDir>) {
        let wants_account = self.plugs.iter().any(|plug| plug.kind == "credentialstore");
        let account = wants_account.then(Account::create);
        let open_folder = self.own_users.then(folder_for_all);
        let data = open_folder.as_ref().map(|folder| folder.path().join("data"));
        let document = self.document(&sshd, account.as_ref(), data.as_deref());
        let plan =
            self.plugs.iter().fold(GatewayPlan::new(&document), |plan, plug| plan.plugin(&plug.bundle()));
        (sshd, account, plan.lacking(&self.lacking), open_folder)
    }

    fn document(&self, sshd: &Sshd, account: Option<&Account>, data: Option<&Path>) -> String {
        let Self { gateway, connection, channel_rule, more, .. } = self;
        let data = data.map_or("@data@".into(), Path::to_string_lossy);
        let python = if self.own_users { "/usr/bin/python3".into() } else { plugin_python() };
        let plugins: String = self.plugs.iter().map(|plug| plug.table(sshd, account)).collect();
        let (target, host, host_key) = (sshd.addr(), sshd.addr().ip(), sshd.host_key());
        let (user, key) = (sshd.user(), sshd.key().private());
        let source = if account.is_some() { "plugin = \"store\"" } else { "local = \"keys\"" };
        format!(
            r#"
[node]
data-dir = "{data}"

[gateway]
host-name = "gateway.test"
drain = 30
{gateway}

[[environment]]
name = "python3"
python = "{python}"

{plugins}

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
aa-plugin = "aa"
credential-store = {{ {source} }}
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{host_key}" }}]
{connection}

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
{channel_rule}

[[local-credential-store]]
name = "keys"

[[local-credential-store.row]]
host = "{host}"
user = "{user}"
keys = [{{ kind = "ssh-ed25519", key = """
{key}""" }}]

{more}
"#,
            python = python.display()
        )
    }
}

/// A folder that users of their own can pass through, as `/var/lib` is.
fn folder_for_all() -> TempDir {
    let folder = tempfile::Builder::new().prefix("kwt-data-").tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

impl Plugged {
    /// Uploads another version of a plugin to the gateway, which may be running.
    #[track_caller]
    pub fn upload(&self, plug: &Plug) {
        self.upload_bundle(&plug.bundle()).must_succeed();
    }

    /// Uploads one that the gateway refuses, and gives what the command says.
    #[track_caller]
    pub fn upload_refused(&self, plug: &Plug) -> String {
        let run = self.upload_bundle(&plug.bundle());
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    }

    pub fn upload_bundle(&self, bundle: &BundleFolder) -> Run {
        let policy = self.gateway.policy();
        keyward([Path::new("plugin"), Path::new("upload"), bundle.path(), Path::new("--policy"), &policy])
    }

    /// The user on the server.
    pub fn user(&self) -> String {
        self.account.as_ref().map_or_else(|| self.sshd.user(), |account| account.name.clone())
    }

    /// The password of the account on the server.
    #[track_caller]
    pub fn password(&self) -> &str {
        &self.account.as_ref().expect("only a credential store plugin has an account").password
    }

    /// A client that answers questions, and has `pairs` (`key=value@`) in its login string.
    pub fn client(&self, pairs: &str, askpass: &Askpass) -> SshClient {
        SshClient::with_answers(self.gateway.addr("ssh"), &format!("{pairs}{}", self.user()), askpass)
    }

    /// A client as a person has it: likewise, and it prints what it is told.
    pub fn person(&self, pairs: &str, askpass: &Askpass) -> SshClient {
        SshClient::of_a_person(self.gateway.addr("ssh"), &format!("{pairs}{}", self.user()), None, askpass)
    }

    /// The gateway's data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What a plugin has noted so far: word and facts.
    pub fn notes(&self, instance: &str) -> Vec<(String, Value)> {
        let path = self.data.join("plugins").join(instance).join("state/notes");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The words of [`Self::notes`].
    pub fn heard(&self, instance: &str) -> Vec<String> {
        self.notes(instance).into_iter().map(|(word, _)| word).collect()
    }

    /// The one session, with its calls, once it has ended and each plugin has been told so.
    #[track_caller]
    pub fn session(&self) -> Value {
        self.newest_of(1)
    }

    /// The newest of so many sessions, with its calls, once it has ended and each plugin has been told so.
    #[track_caller]
    pub fn newest_of(&self, count: usize) -> Value {
        until("the session has ended and its plugins know", PATIENCE, || {
            let sessions = self.gateway.sessions();
            assert!(sessions.len() <= count, "more sessions than {count}: {sessions:#?}");
            let newest = sessions.first().filter(|_| sessions.len() == count)?;
            let session = self.gateway.session(newest["id"].as_str()?);
            let told = |plugin: &Value| plugin["outcome"].is_string();
            let is_over = session["ended"].is_string() && session["plugins"].as_array()?.iter().all(told);
            is_over.then_some(session)
        })
    }
}
