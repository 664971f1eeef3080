use std::net::SocketAddr;

use crate::{Dbclient, Gateway, GatewayPlan, KeyPair, Paramiko, Postgres, Putty, SshClient, Sshd};

/// How a client gets to the server.
#[derive(Clone, Copy, Debug)]
pub enum Route {
    Direct,
    Gateway,
}

impl Route {
    /// For cases that need more than the rules of one link.
    pub const BOTH: [Self; 2] = [Self::Direct, Self::Gateway];
}

/// A server, and a way to it on which one key opens everything.
#[derive(Debug)]
pub struct Link {
    pub sshd: Sshd,
    gateway: Option<Gateway>,
    /// What the person holds. Through the gateway it is another key than the server's.
    key: Option<KeyPair>,
}

impl Link {
    #[track_caller]
    pub fn open(route: Route) -> Self {
        Self::to(Sshd::start(), route)
    }

    #[track_caller]
    pub fn to(sshd: Sshd, route: Route) -> Self {
        match route {
            Route::Direct => Self { sshd, gateway: None, key: None },
            Route::Gateway => Self::through(sshd, |plan| plan),
        }
    }

    /// By a gateway whose configuration is in its store, where none is yet.
    #[track_caller]
    pub fn stored() -> Self {
        Self::through(Sshd::start(), GatewayPlan::stored)
    }

    /// By a gateway whose store is in a PostgreSQL.
    #[track_caller]
    pub fn on(server: &Postgres) -> Self {
        Self::through(Sshd::start(), |plan| plan.on(server))
    }

    #[track_caller]
    fn through(sshd: Sshd, plan: impl FnOnce(GatewayPlan) -> GatewayPlan) -> Self {
        let key = KeyPair::generate(sshd.folder(), "person_key", "ed25519");
        let gateway = plan(GatewayPlan::new(document(&sshd, &key).trim_start())).start();
        Self { sshd, gateway: Some(gateway), key: Some(key) }
    }

    /// The gateway of the link. Panics on a direct one.
    #[track_caller]
    pub fn gateway(&mut self) -> &mut Gateway {
        self.gateway.as_mut().expect("the link has a gateway")
    }

    pub fn addr(&self) -> SocketAddr {
        match &self.gateway {
            Some(gateway) => gateway.addr("ssh"),
            None => self.sshd.addr(),
        }
    }

    /// The key that logs in on this link.
    pub fn key(&self) -> &KeyPair {
        self.key.as_ref().unwrap_or_else(|| self.sshd.key())
    }

    pub fn ssh(&self) -> SshClient {
        SshClient::with_key(self.addr(), &self.sshd.user(), self.key())
    }

    #[track_caller]
    pub fn putty(&self) -> Putty {
        Putty::with_key(self.addr(), &self.sshd.user(), self.key())
    }

    #[track_caller]
    pub fn dbclient(&self) -> Dbclient {
        Dbclient::with_key(self.addr(), &self.sshd.user(), self.key())
    }

    /// Runs one of the scripts in `peers/` that are made with AsyncSSH, and gives what it printed.
    #[track_caller]
    pub fn asyncssh(&self, script: &str, arguments: &[&str]) -> String {
        self.paramiko(script, arguments)
    }

    /// Runs one of the scripts in `peers/`, and gives what it printed.
    #[track_caller]
    pub fn paramiko(&self, script: &str, arguments: &[&str]) -> String {
        let paramiko = Paramiko { addr: self.addr(), login: &self.sshd.user(), key: self.key() };
        paramiko.run(script, arguments).text()
    }
}

/// The person shows a key to the gateway, and the gateway another one to the server.
fn document(sshd: &Sshd, person: &KeyPair) -> String {
    let (host, port) = (sshd.addr().ip(), sshd.addr().port());
    let (user, host_key) = (sshd.user(), sshd.host_key());
    let (public, private) = (person.public(), sshd.key().private());
    format!(
        r#"
[node]
data-dir = "@data@"

[gateway]
host-name = "gateway.test"
drain = 2

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{host}:{port}" }}
authentication = "people"
credential-store = {{ local = "keys" }}
channel-policy = "work"
known-host-keys = [{{ host = "{host}:{port}", key = "{host_key}" }}]

[[authentication]]
name = "people"
methods = ["public-key"]

[[user]]
name = "{user}"
public-keys = ["{public}"]

[[local-credential-store]]
name = "keys"

[[local-credential-store.row]]
host = "{host}"
user = "{user}"
keys = [{{ kind = "ssh-ed25519", key = """
{private}""" }}]

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["shell", "exec", "sftp", "scp"]
record = true
"#
    )
}
