//! Connection policies, and what they are made of.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use keyward_model::{ConnectionName, InstanceName, Protocol};

use crate::{AuditPolicy, Authentication, ChannelPolicy, HostPattern, Target};

/// How the clients of some listeners and networks are served: `[[connection]]`.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: ConnectionName,
    pub protocol: Protocol,
    /// An inactive connection takes no client.
    pub active: bool,
    /// Never empty.
    pub listen: Vec<SocketAddr>,
    /// The clients that it takes; empty: all.
    pub from: Vec<IpNet>,
    pub target: Target,
    /// `None`: the AA plugin alone decides who the person is.
    pub authentication: Option<Authentication>,
    pub aa_plugin: Option<InstanceName>,
    pub credential_store: CredentialSource,
    /// The rules of the usermapping policy; empty also when the connection names none.
    pub usermapping: Vec<Usermapping>,
    pub channels: ChannelPolicy,
    pub settings: Settings,
    /// `None`: recordings are signed, and not encrypted.
    pub audit: Option<Arc<AuditPolicy>>,
    pub host_key_check: HostKeyCheck,
    pub known_host_keys: Vec<KnownHostKey>,
    /// What the gateway tries to log in on the target with, in this order. Never empty, none twice.
    pub log_in: Vec<LogInMeans>,
    /// How long each session waits for somebody to approve it; `None`: it needs nobody.
    pub four_eyes: Option<Duration>,
    /// `None`: the gateway's own limit is the only one.
    pub max_sessions: Option<NonZeroUsize>,
    pub rate_limit: Option<RateLimit>,
}

/// Where the credentials for the target come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CredentialSource {
    None,
    Plugin(InstanceName),
    /// The name of a local credential store.
    Local(String),
    /// The name of a certificate authority, which makes a certificate for each session.
    Authority(String),
}

/// What the gateway logs in on a target with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogInMeans {
    /// Private keys and certificates of the credential store.
    Keys,
    /// Its passwords and one-time codes.
    Passwords,
    /// The target's password, asked from the person.
    Ask,
    /// The keys of the person's own agent, which the client forwards. Never before [`Self::Ask`]: once a client is let in to
    /// open its agent, nothing can be asked.
    Agent,
}

/// Which gateway users may be this user on the target: `[[usermapping.rule]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Usermapping {
    pub remote_user: String,
    pub users: Vec<String>,
    pub groups: Vec<String>,
}

/// Time limits and texts: `[[settings]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How long nothing may pass in either direction. A hook call gets half of it.
    pub timeout: Duration,
    /// How long the person may type nothing; `None`: for ever.
    pub user_idle_timeout: Option<Duration>,
    /// How long a session may last; `None`: for ever.
    pub session_timeout: Option<Duration>,
    /// How long a client may take to log in on the gateway.
    pub login_grace: Duration,
    /// How long everything from then on may take, until the gateway is logged in on the target: plugins, questions, and
    /// the target itself.
    pub log_in_timeout: Duration,
    /// Shown to everyone who connects, before they log in.
    pub banner: Option<String>,
    /// What SSH is spoken with towards the client.
    pub client_algorithms: Algorithms,
    /// What SSH is spoken with towards the target.
    pub target_algorithms: Algorithms,
}

/// Which algorithms one side of a connection may use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Algorithms {
    /// What protects today.
    #[default]
    Modern,
    /// After those, the ones that old devices need: SHA-1, DSA, groups of 1024 bits, CBC.
    Legacy,
}

/// When a target's host key is believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HostKeyCheck {
    /// Only a key that is known already.
    Known,
    /// The first key that a target shows becomes its known one.
    TrustOnFirstUse,
}

/// What is known of the host keys of some targets from the start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownHostKey {
    /// Which targets it is about.
    pub pattern: HostPattern,
    pub knowledge: HostKeyKnowledge,
}

/// Keys are in OpenSSH's text form without comment, `ssh-ed25519 AAAA...`, and fingerprints as [`fingerprint`] makes
/// them.
///
/// [`fingerprint`]: crate::fingerprint
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostKeyKnowledge {
    /// This key is believed.
    Key(String),
    /// The key with this fingerprint is, which is of this type if one is given.
    Fingerprint { kind: Option<String>, fingerprint: String },
    /// Keys that this key has certified for the target are.
    Authority(String),
    /// The key with this fingerprint is not, nor what it has certified; stronger than all the others.
    Revoked(String),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// Connections per minute and client address.
    pub per_minute: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            user_idle_timeout: None,
            session_timeout: None,
            login_grace: Duration::from_secs(120),
            log_in_timeout: Duration::from_secs(1200),
            banner: None,
            client_algorithms: Algorithms::Modern,
            target_algorithms: Algorithms::Modern,
        }
    }
}

impl Connection {
    /// Whether this gateway user may be `remote_user` on the target (gateway section 1, step 8).
    ///
    /// A user may always be themselves; any other pair needs a rule that names the user or one of the groups.
    /// Without a gateway user there is no pair to judge: that passes only where no usermapping policy is named.
    /// Names are compared exactly.
    pub fn mapping_allows(&self, gateway_user: Option<&str>, groups: &[String], remote_user: &str) -> bool {
        match gateway_user {
            None => self.usermapping.is_empty(),
            Some(user) if user == remote_user => true,
            Some(user) => self.usermapping.iter().any(|rule| rule.allows(user, groups, remote_user)),
        }
    }

    /// Both addresses must be canonical.
    pub(crate) fn takes(&self, listener: SocketAddr, client: IpAddr) -> bool {
        self.active && self.listen.contains(&listener) && within(&self.from, client)
    }
}

impl Usermapping {
    fn allows(&self, user: &str, groups: &[String], remote_user: &str) -> bool {
        self.remote_user == remote_user
            && (self.users.iter().any(|allowed| allowed == user)
                || self.groups.iter().any(|allowed| groups.contains(allowed)))
    }
}

/// Whether the address is in one of the networks; no networks at all restrict nothing.
pub(crate) fn within(networks: &[IpNet], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(&address))
}

/// The IPv4 address where an IPv6 one only wraps it.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
