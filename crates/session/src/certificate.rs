//! Step 11 with a certificate: what it is to say, and the note of it.

use std::time::{Duration, SystemTime};

use keyward_model::Secret;
use keyward_policy::CredentialSource;
use keyward_store::StoreError;

use crate::Connected;

/// A certificate that the protocol is to make, with a new key, for one log-in.
#[derive(Clone, Debug)]
pub struct CertificateOrder {
    /// The private key of the authority, PEM.
    pub authority: Secret,
    /// The users on the target that it is for. Never empty.
    pub principals: Vec<String>,
    /// The session and the gateway user, for the target's log.
    pub key_id: String,
    pub serial: u64,
    /// From now on.
    pub validity: Duration,
    /// `permit-pty` and so on.
    pub extensions: Vec<String>,
}

/// `None` where the connection has no authority, or nobody whom it could certify.
pub(crate) fn order(stage: &Connected) -> Option<CertificateOrder> {
    let CredentialSource::Authority(name) = &stage.core.connection.credential_store else { return None };
    let authority = stage.core.policy.certificate_authorities.get(name)?;
    let gateway_user = stage.person.user.as_deref();
    let principals = authority.principals_for(&stage.remote_user, gateway_user);
    if principals.is_empty() {
        return None;
    }
    let [a, b, c, d, e, f, g, h, ..] = stage.core.shared.random();
    Some(CertificateOrder {
        authority: authority.key.clone(),
        principals,
        key_id: key_id(&stage.core.id.to_string(), gateway_user),
        serial: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        validity: authority.validity,
        extensions: authority.extensions.clone(),
    })
}

/// It ends up in log files of others.
fn key_id(session: &str, gateway_user: Option<&str>) -> String {
    let user = gateway_user.unwrap_or("-");
    let user: String = user.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("keyward session {session} user {user}")
}

pub(crate) async fn note(stage: &Connected, order: &CertificateOrder) -> Result<(), StoreError> {
    let text = format!("certificate {} for {} on the target", order.serial, order.principals.join(", "));
    let core = &stage.core;
    core.shared.store.add_note(&core.id, SystemTime::now().into(), &text).await
}
