//! Step 10: the target's host key is known, certified, or trusted at first sight where the policy allows; never changed.

use std::time::SystemTime;

use keyward_model::TargetAddr;
use keyward_policy::{HostKeyCheck, HostKeyKnowledge, KnownHostKey, fingerprint};
use keyward_store::{HostKeyTrust, StoreError};

use crate::Connected;

#[derive(Debug, thiserror::Error)]
pub enum HostKeyProblem {
    #[error("no key is known for it, and the policy does not trust on first use")]
    Unknown,
    #[error(
        "it offers a key other than the one that is known: either the server was set up anew, or somebody is in between (known: {known}; it offers {shown})"
    )]
    Changed { known: String, shown: String },
    #[error("its certificate does not count: {why} (known: {known}; it offers {shown})")]
    Certificate { why: String, known: String, shown: String },
    #[error("its key was revoked: {0}")]
    Revoked(String),
    #[error("it was not checked")]
    Unchecked,
    #[error("the known keys cannot be read")]
    Ledger(#[from] StoreError),
}

/// A host key that a target has proven to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownHostKey {
    /// In OpenSSH's text form: type, base64.
    pub key: String,
    pub certificate: ShownCertificate,
}

/// What an authority says of a host key, as the protocol has judged it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShownCertificate {
    None,
    /// It is for [`KnownHostKeys::name`], at this time, by this one of [`KnownHostKeys::authorities`].
    Valid {
        authority: String,
    },
    /// Why it is not that.
    Invalid {
        why: String,
    },
}

/// What is known of a target's host keys. Keys are in OpenSSH's text form, fingerprints as `ssh-keygen -l` shows them.
#[derive(Clone, Debug, Default)]
pub struct KnownHostKeys {
    pub keys: Vec<String>,
    /// With their types, where those are known.
    pub fingerprints: Vec<(Option<String>, String)>,
    /// Who may certify its keys.
    pub authorities: Vec<String>,
    /// Fingerprints of what is not believed any more.
    pub revoked: Vec<String>,
    /// What a certificate must call it: the name that was looked up, or the address where none was.
    pub name: String,
}

impl KnownHostKeys {
    /// The types of the keys, so that the protocol can ask for one of them first.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().filter_map(|key| key.split_ascii_whitespace().next());
        keys.chain(self.fingerprints.iter().filter_map(|(kind, _)| kind.as_deref()))
    }

    fn learn(&mut self, knowledge: &HostKeyKnowledge) {
        match knowledge.clone() {
            HostKeyKnowledge::Key(key) => self.keys.push(key),
            HostKeyKnowledge::Fingerprint { kind, fingerprint } => {
                self.fingerprints.push((kind, fingerprint));
            }
            HostKeyKnowledge::Authority(key) => self.authorities.push(key),
            HostKeyKnowledge::Revoked(fingerprint) => self.revoked.push(fingerprint),
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.fingerprints.is_empty() && self.authorities.is_empty()
    }

    fn has(&self, key: &str) -> bool {
        let has_fingerprint = || {
            let shown = fingerprint(key);
            self.fingerprints.iter().any(|(_, known)| Some(known) == shown.as_ref())
        };
        self.keys.iter().any(|known| same(known, key)) || has_fingerprint()
    }

    /// The fingerprint of what was revoked: the key, or the authority that vouches for it.
    fn revocation(&self, shown: &ShownHostKey) -> Option<String> {
        let authority = match &shown.certificate {
            ShownCertificate::Valid { authority } => Some(authority),
            ShownCertificate::None | ShownCertificate::Invalid { .. } => None,
        };
        let shown = std::iter::once(&shown.key).chain(authority);
        shown.filter_map(|key| fingerprint(key)).find(|shown| self.revoked.contains(shown))
    }

    /// For the record.
    fn account(&self) -> String {
        let keys = self.keys.iter().map(|key| described(key));
        let fingerprints = self.fingerprints.iter().map(|(kind, fingerprint)| match kind {
            Some(kind) => format!("{kind} {fingerprint}"),
            None => fingerprint.clone(),
        });
        let authorities = self.authorities.iter().map(|key| format!("certificates of {}", described(key)));
        keys.chain(fingerprints).chain(authorities).collect::<Vec<_>>().join(", ")
    }
}

pub(crate) async fn check(stage: &Connected, shown: &ShownHostKey) -> Result<(), HostKeyProblem> {
    let known = known(stage).await?;
    if let Some(revoked) = known.revocation(shown) {
        return Err(HostKeyProblem::Revoked(revoked));
    }
    if !is_believed(&known, shown)? {
        match stage.core.connection.host_key_check {
            HostKeyCheck::Known => return Err(HostKeyProblem::Unknown),
            HostKeyCheck::TrustOnFirstUse => trust(stage, &shown.key).await?,
        }
    }
    stage.accept_host_key();
    Ok(())
}

/// Whether what is known speaks for the key; `false`: nothing is known. Whoever knows an authority expects a certificate,
/// so that a key without one is no first key.
fn is_believed(known: &KnownHostKeys, shown: &ShownHostKey) -> Result<bool, HostKeyProblem> {
    if known.is_empty() {
        return Ok(false);
    }
    if known.has(&shown.key) {
        return Ok(true);
    }
    let (all, offered) = (known.account(), described(&shown.key));
    match &shown.certificate {
        ShownCertificate::Valid { authority } if known.authorities.contains(authority) => Ok(true),
        ShownCertificate::Invalid { why } => {
            Err(HostKeyProblem::Certificate { why: why.clone(), known: all, shown: offered })
        }
        ShownCertificate::Valid { .. } | ShownCertificate::None => {
            Err(HostKeyProblem::Changed { known: all, shown: offered })
        }
    }
}

async fn trust(stage: &Connected, key: &str) -> Result<(), HostKeyProblem> {
    let (target, now) = (&stage.target, SystemTime::now().into());
    let names: Vec<String> = names(stage).collect();
    match stage.core.shared.store.trust_host_key(&names, target.addr.port(), key, now).await? {
        HostKeyTrust::Trusted => {
            tracing::warn!(session = %stage.core.id, %target, key, "host key trusted on first use");
            Ok(())
        }
        // Another session was first, and it saw another key.
        HostKeyTrust::OtherKnown => {
            let known = known(stage).await?.account();
            Err(HostKeyProblem::Changed { known, shown: described(key) })
        }
    }
}

/// What the policy knows of the target, and where it knows no key, the ledger: by its name, or by its address where
/// nothing is known by name. Another spelling of a target is no way around what is known of it.
pub(crate) async fn known(stage: &Connected) -> Result<KnownHostKeys, HostKeyProblem> {
    let mut known = of_policy(stage);
    if !known.is_empty() {
        return Ok(known);
    }
    for name in names(stage) {
        let kept = stage.core.shared.store.host_keys(&name, stage.target.addr.port()).await?;
        if !kept.is_empty() {
            known.keys = kept.into_iter().map(|record| record.key).collect();
            break;
        }
    }
    Ok(known)
}

/// The address comes from DNS, which is no witness of whose it is: where anything is known by name, nothing that is
/// known by address stands in for it.
fn of_policy(stage: &Connected) -> KnownHostKeys {
    let entries = || stage.core.connection.known_host_keys.iter();
    let TargetAddr { hostname, addr } = &stage.target;
    let matches = |entry: &&KnownHostKey| entry.pattern.matches(hostname.as_deref(), addr.ip(), addr.port());
    let is_by_name = |entry: &&KnownHostKey| !entry.pattern.is_of_addresses();
    let name = names(stage).next().unwrap_or_default();
    let mut known = KnownHostKeys { name, ..Default::default() };
    for entry in entries().filter(matches).filter(is_by_name) {
        known.learn(&entry.knowledge);
    }
    let is_known_by_name = !known.is_empty();
    for entry in entries().filter(matches).filter(|entry| !is_by_name(entry)) {
        if !is_known_by_name || matches!(entry.knowledge, HostKeyKnowledge::Revoked(_)) {
            known.learn(&entry.knowledge);
        }
    }
    known
}

/// What keys of the target are kept under: the name that was looked up, and the address.
fn names(stage: &Connected) -> impl Iterator<Item = String> {
    let target = &stage.target;
    target.hostname.clone().into_iter().chain(std::iter::once(target.addr.ip().to_string()))
}

fn same(known: &str, key: &str) -> bool {
    known.split_ascii_whitespace().take(2).eq(key.split_ascii_whitespace().take(2))
}

/// Type and fingerprint.
fn described(key: &str) -> String {
    let kind = key.split_ascii_whitespace().next().unwrap_or_default();
    format!("{kind} {}", fingerprint(key).unwrap_or_default())
}
