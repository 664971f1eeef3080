//! A topology of the subjects below: a person with a key, a gateway, and a server that the gateway has another key
//! for. Each test says only what is different.

use std::net::SocketAddr;

use keyward_testsuite::{Askpass, Gateway, GatewayPlan, KeyPair, Paramiko, Run, SshClient, Sshd};
use serde_json::Value;

pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    pub(crate) sshd: Sshd,
    pub(crate) person: KeyPair,
}

/// The parts of the policy document: lines of its tables.
pub(crate) struct Draft {
    /// The server's address.
    pub(crate) server: SocketAddr,
    pub(crate) target: String,
    /// More lines of the connection.
    pub(crate) connection: String,
    /// One of them is enough; empty where [`Self::authentication`] says more.
    pub(crate) methods: String,
    /// More lines of the authentication.
    pub(crate) authentication: String,
    /// More lines of the user who has the person's key, whose name is the remote user's.
    pub(crate) user: String,
    pub(crate) remote_user: String,
    /// Where the gateway has what it logs in with.
    pub(crate) credential_store: String,
    /// What the gateway has for the server.
    pub(crate) credentials: String,
    /// The rule of the channel policy.
    pub(crate) channels: String,
    pub(crate) settings: String,
    /// More tables.
    pub(crate) more: String,
}

impl Draft {
    fn of(sshd: &Sshd) -> Self {
        let (server, host_key) = (sshd.addr(), sshd.host_key());
        Self {
            server,
            target: format!("{{ fixed = \"{server}\" }}"),
            connection: format!("known-host-keys = [{{ host = \"{server}\", key = \"{host_key}\" }}]\n"),
            methods: "\"public-key\"".to_owned(),
            authentication: String::new(),
            user: String::new(),
            remote_user: sshd.user(),
            credential_store: "{ local = \"keys\" }".to_owned(),
            credentials: stored_key("ssh-ed25519", &sshd.key().private()),
            channels: "types = [\"shell\", \"exec\", \"sftp\", \"scp\"]\nrecord = true\n".to_owned(),
            settings: String::new(),
            more: String::new(),
        }
    }

    /// The named server of the login string, on these patterns.
    pub(crate) fn inband(&mut self, allow: &str, deny: &str) {
        self.target = format!("{{ inband = {{ allow = [{allow}], deny = [{deny}] }} }}");
    }

    fn document(&self, person: &KeyPair) -> String {
        let Self {
            target,
            connection,
            methods,
            authentication,
            user,
            remote_user,
            credential_store,
            credentials,
            channels,
            settings,
            more,
            ..
        } = self;
        let methods = if methods.is_empty() { String::new() } else { format!("methods = [{methods}]") };
        let (public, host) = (person.public(), self.server.ip());
        format!(
            r#"
[node]
data-dir = "@data@"

[gateway]
host-name = "gateway.test"
drain = 30

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {target}
authentication = "people"
credential-store = {credential_store}
channel-policy = "work"
settings = "times"
{connection}

[[settings]]
name = "times"
{settings}

[[authentication]]
name = "people"
{methods}
{authentication}

[[user]]
name = "{remote_user}"
public-keys = ["{public}"]
{user}

[[local-credential-store]]
name = "keys"

[[local-credential-store.row]]
host = "{host}"
user = "{remote_user}"
{credentials}

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
{channels}

{more}
"#
        )
    }
}

/// A line of credentials with one private key.
pub(crate) fn stored_key(kind: &str, pem: &str) -> String {
    format!("keys = [{{ kind = \"{kind}\", key = \"\"\"\n{pem}\"\"\" }}]\n")
}

impl Site {
    #[track_caller]
    pub(crate) fn open() -> Self {
        Self::with(|_| ())
    }

    #[track_caller]
    pub(crate) fn with(edit: impl FnOnce(&mut Draft)) -> Self {
        Self::on(Sshd::start(), edit)
    }

    #[track_caller]
    pub(crate) fn on(sshd: Sshd, edit: impl FnOnce(&mut Draft)) -> Self {
        Self::planned(sshd, edit, |plan| plan)
    }

    /// `prepare` is what is done before the gateway starts.
    #[track_caller]
    pub(crate) fn planned(
        sshd: Sshd,
        edit: impl FnOnce(&mut Draft),
        prepare: impl FnOnce(GatewayPlan) -> GatewayPlan,
    ) -> Self {
        let person = KeyPair::generate(sshd.folder(), "person_key", "ed25519");
        let mut draft = Draft::of(&sshd);
        edit(&mut draft);
        let gateway = prepare(GatewayPlan::new(&draft.document(&person))).start();
        Self { gateway, sshd, person }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.gateway.addr("ssh")
    }

    /// A client with the person's key, which is asked nothing.
    pub(crate) fn ssh(&self) -> SshClient {
        SshClient::with_key(self.addr(), &self.sshd.user(), &self.person)
    }

    /// A client with the person's key, which answers and shows what it is told.
    pub(crate) fn person(&self, login: &str, askpass: &Askpass) -> SshClient {
        SshClient::of_a_person(self.addr(), login, Some(&self.person), askpass)
    }

    /// A client without key, which answers and shows what it is told.
    pub(crate) fn answering(&self, login: &str, answers: &[&str]) -> Run {
        self.answering_on("ssh", login, answers)
    }

    pub(crate) fn answering_on(&self, port: &str, login: &str, answers: &[&str]) -> Run {
        let askpass = Askpass::new(answers);
        SshClient::of_a_person(self.gateway.addr(port), login, None, &askpass).exec("echo in")
    }

    /// Runs a command with this login string; shows what the person is told.
    pub(crate) fn log_in(&self, login: &str) -> Run {
        self.person(login, &Askpass::new(&[])).exec("echo in")
    }

    #[track_caller]
    pub(crate) fn paramiko(&self, script: &str, arguments: &[&str]) -> String {
        let paramiko = Paramiko { addr: self.addr(), login: &self.sshd.user(), key: &self.person };
        paramiko.run(script, arguments).text()
    }

    /// The newest session once `count` have ended, with its notes and calls.
    #[track_caller]
    pub(crate) fn ended(&self, count: usize) -> Value {
        let sessions = self.gateway.ended_sessions(count);
        self.gateway.session(sessions[0]["id"].as_str().unwrap())
    }

    /// What was noted in the record of the newest session.
    #[track_caller]
    pub(crate) fn notes(&self, count: usize) -> Vec<String> {
        let session = self.ended(count);
        let notes = session["notes"].as_array().unwrap();
        notes.iter().map(|note| note["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The person was told this sentence, and the record has this verdict; nothing of the gateway's inside reached
    /// the person.
    #[track_caller]
    pub(crate) fn refused(&self, run: &Run, verdict: &str, sentence: &str) {
        assert_eq!(run.status.code(), Some(255), "{run:?}");
        assert_eq!(String::from_utf8_lossy(&run.stdout), "");
        let session = self.ended(1);
        assert_eq!(session["verdict"], verdict, "{session:#}");
        assert!(run.stderr.contains(sentence), "{}", run.stderr);
        self.is_calm(&run.stderr);
    }

    #[track_caller]
    pub(crate) fn is_calm(&self, shown: &str) {
        // The client's own last line repeats what the person typed.
        let told = shown.lines().filter(|line| !line.contains(": Permission denied (")).collect::<String>();
        let port = format!(":{}", self.sshd.addr().port());
        let data = self.gateway.data();
        for inside in [port.as_str(), data.to_str().unwrap(), ".trail", "panicked", "sqlite"] {
            assert!(!told.contains(inside), "{inside:?} was told to the person: {told}");
        }
    }
}
