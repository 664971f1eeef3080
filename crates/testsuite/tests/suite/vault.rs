//! A topology of the subjects below: an AA plugin that asks for a code, a credential store plugin that knows the
//! password of an account, and a gateway that logs in there for people who know only the code.

use std::fs;
use std::path::Path;

use keyward_testsuite::{
    Account, Askpass, BundleFolder, Gateway, GatewayPlan, SshClient, Sshd, plugin_python,
};

pub(crate) const CODE: &str = "492817";

pub(crate) struct Vault {
    pub(crate) sshd: Sshd,
    pub(crate) account: Account,
    pub(crate) gateway: Gateway,
}

/// Both plugins write a line for each hook call into their state directory.
const RECORDER: &str = r#"
import os

def note(word, session_id):
    path = os.path.join(os.environ["SCB_PLUGIN_STATE_DIRECTORY"], "calls")
    with open(path, "a") as calls:
        calls.write("%s %s\n" % (word, session_id))
"#;

const AA: &str = r#"
from recorder import note

class Plugin:
    def __init__(self, configuration):
        self.code = configuration.strip()

    def authenticate(self, session_id, key_value_pairs):
        note("authenticate", session_id)
        if "otp" not in key_value_pairs:
            return {"verdict": "NEEDINFO", "question": ("otp", "One-time code: ", True)}
        if key_value_pairs["otp"] != self.code:
            return {"verdict": "DENY", "reason": "wrong code"}
        return {"verdict": "ACCEPT", "gateway_user": "alice", "gateway_groups": ["operators"]}

    def authorize(self, session_id):
        note("authorize", session_id)
        return {"verdict": "ACCEPT"}

    def session_ended(self, session_id):
        note("session_ended", session_id)
"#;

const STORE: &str = r#"
from recorder import note

class Plugin:
    def __init__(self, configuration):
        self.user, self.password = configuration.split()

    def get_password_list(self, session_id, server_username):
        note("get_password_list", session_id)
        return {"passwords": [self.password] if server_username == self.user else []}

    def get_private_key_list(self, session_id):
        note("get_private_key_list", session_id)
        return {"private_keys": []}

    def authentication_completed(self, session_id):
        note("authentication_completed", session_id)

    def session_ended(self, session_id):
        note("session_ended", session_id)
"#;

impl Vault {
    #[track_caller]
    pub(crate) fn open() -> Self {
        let (sshd, account) = (Sshd::start(), Account::create());
        let [aa, store] =
            [("code", "aa", AA), ("vault", "credentialstore", STORE)].map(|(name, kind, main)| {
                let bundle = BundleFolder::new(name, kind, main);
                bundle.add("recorder.py", RECORDER);
                bundle
            });
        let gateway = GatewayPlan::new(&document(&sshd, &account)).plugin(&aa).plugin(&store).start();
        Self { sshd, account, gateway }
    }

    /// A client that knows no password, only what it answers.
    pub(crate) fn client(&self, pairs: &str, askpass: &Askpass) -> SshClient {
        SshClient::with_answers(self.gateway.addr("ssh"), &format!("{pairs}{}", self.account.name), askpass)
    }

    /// The lines that a plugin has written so far: hook and session.
    pub(crate) fn calls(&self, instance: &str) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        collect(&self.gateway.data(), instance, &mut lines);
        lines
    }
}

/// The state directories are somewhere in the data folder, below a folder with the instance's name.
fn collect(folder: &Path, instance: &str, lines: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, instance, lines);
        } else if path.ends_with("calls") && path.components().any(|part| part.as_os_str() == instance) {
            let text = fs::read_to_string(path).unwrap();
            let pair = |line: &str| {
                line.split_once(' ').map(|(hook, session)| (hook.to_owned(), session.to_owned()))
            };
            lines.extend(text.lines().filter_map(pair));
        }
    }
}

fn document(sshd: &Sshd, account: &Account) -> String {
    let (target, host_key, python) = (sshd.addr(), sshd.host_key(), plugin_python());
    let Account { name, password } = account;
    format!(
        r#"
[node]
data-dir = "@data@"

[gateway]
host-name = "gateway.test"
drain = 30

[[environment]]
name = "python3"
python = "{python}"

[[plugin]]
name = "code-instance"
bundle = "code"
configuration = "{CODE}"

[[plugin]]
name = "vault-instance"
bundle = "vault"
configuration = "{name} {password}"

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
aa-plugin = "code-instance"
credential-store = {{ plugin = "vault-instance" }}
usermapping = "operators"
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{host_key}" }}]

[[usermapping]]
name = "operators"

[[usermapping.rule]]
remote-user = "{name}"
groups = ["operators"]

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["shell", "exec"]
record = true
"#,
        python = python.display()
    )
}
