//! Step 11: where the target's credential comes from.

use keyward_model::{ClientAddr, InstanceName, Protocol, Secret, SessionId, TargetAddr};
use keyward_plugin::{
    CallError, CallErrorKind, Cookies, CredentialFacts, Hook, credential_arguments,
    passwords as read_passwords, private_keys as read_private_keys, session_ended_arguments,
    totp_codes as read_totp_codes,
};
use keyward_policy::{CredentialRow, CredentialSource};
use serde_json::Value;

pub use keyward_plugin::{OfferedKey, TotpCode};

use crate::hook::Asked;
use crate::identify::Person;
use crate::{Connected, Reason};

/// What a credential store hook is told, owned, so that the call may borrow the core.
pub(crate) struct Wanted {
    id: SessionId,
    protocol: Protocol,
    client: ClientAddr,
    client_hostname: Option<String>,
    person: Person,
    remote_user: String,
    remote_domain: Option<String>,
    target: TargetAddr,
}

impl Wanted {
    pub(crate) fn of(stage: &Connected) -> Self {
        Self {
            id: stage.core.id.clone(),
            protocol: stage.core.connection.protocol,
            client: stage.core.client,
            client_hostname: stage.core.client_hostname.clone(),
            person: stage.person.clone(),
            remote_user: stage.remote_user.clone(),
            remote_domain: stage.remote_domain.clone(),
            target: stage.target.clone(),
        }
    }

    fn facts<'a>(&'a self, cookies: &'a Cookies) -> CredentialFacts<'a> {
        CredentialFacts {
            session_id: &self.id,
            protocol: self.protocol,
            client: self.client,
            client_hostname: self.client_hostname.as_deref(),
            gateway_username: self.person.user.as_deref(),
            gateway_password: self.person.password.as_ref(),
            gateway_groups: self.person.groups.as_deref(),
            gateway_domain: None,
            server_username: &self.remote_user,
            server_domain: self.remote_domain.as_deref(),
            server: &self.target,
            cookies,
        }
    }
}

pub(crate) async fn private_keys(stage: &mut Connected) -> Result<Vec<OfferedKey>, Reason> {
    match stage.core.connection.credential_store.clone() {
        CredentialSource::None | CredentialSource::Authority(_) => Ok(Vec::new()),
        CredentialSource::Local(name) => Ok(rows(stage, &name)
            .flat_map(|row| &row.keys)
            .map(|key| OfferedKey { kind: key.kind.clone(), pem: key.key.clone() })
            .collect()),
        CredentialSource::Plugin(instance) => {
            let keys = ask_plugin(stage, &instance, Hook::GetPrivateKeyList, read_private_keys).await?;
            keys.iter().for_each(|key| stage.core.hidden.add(&key.pem));
            Ok(keys)
        }
    }
}

pub(crate) async fn passwords(stage: &mut Connected) -> Result<Vec<Secret>, Reason> {
    match stage.core.connection.credential_store.clone() {
        CredentialSource::None | CredentialSource::Authority(_) => Ok(Vec::new()),
        CredentialSource::Local(name) => {
            Ok(rows(stage, &name).flat_map(|row| row.passwords.iter().cloned()).collect())
        }
        CredentialSource::Plugin(instance) => {
            let passwords = ask_plugin(stage, &instance, Hook::GetPasswordList, read_passwords).await?;
            passwords.iter().for_each(|password| stage.core.hidden.add(password));
            Ok(passwords)
        }
    }
}

/// The one-time codes of a plugin that has the hook for them; no other source has any.
pub(crate) async fn totp_codes(stage: &mut Connected) -> Result<Vec<TotpCode>, Reason> {
    let CredentialSource::Plugin(instance) = stage.core.connection.credential_store.clone() else {
        return Ok(Vec::new());
    };
    let version = stage.core.version(&instance);
    if version.is_some_and(|(version, _)| version.instance.has_hook(Hook::GetTotpCodes) == Some(false)) {
        return Ok(Vec::new());
    }
    match ask_plugin(stage, &instance, Hook::GetTotpCodes, read_totp_codes).await {
        Ok(codes) => {
            codes.iter().for_each(|code| stage.core.hidden.add(&code.code));
            Ok(codes)
        }
        // Of a plugin that starts cold it is not known before the call whether it has the hook.
        Err(Reason::Plugin { error, .. }) if error.kind == CallErrorKind::MissingHook => Ok(Vec::new()),
        Err(reason) => Err(reason),
    }
}

pub(crate) async fn authentication_completed(
    stage: &mut Connected,
    instance: &InstanceName,
) -> Result<(), Reason> {
    let id = stage.core.id.clone();
    let arguments = |cookies: &Cookies| session_ended_arguments(&id, cookies);
    let asked = Asked { instance, role: Connected::ROLE, hook: Hook::AuthenticationCompleted, round: 1 };
    // Only its cookies count (contract section 5).
    stage.core.call(asked, arguments, |_| Ok(())).await
}

async fn ask_plugin<T>(
    stage: &mut Connected,
    instance: &InstanceName,
    hook: Hook,
    read: impl FnOnce(&Value) -> Result<T, CallError>,
) -> Result<T, Reason> {
    let wanted = stage.wanted();
    let arguments = |cookies: &Cookies| credential_arguments(&wanted.facts(cookies));
    let asked = Asked { instance, role: Connected::ROLE, hook, round: 1 };
    stage.core.call(asked, arguments, read).await
}

fn rows<'a>(stage: &'a Connected, store: &str) -> impl Iterator<Item = &'a CredentialRow> {
    let target = &stage.target;
    stage
        .core
        .policy
        .credential_stores
        .get(store)
        .into_iter()
        .flat_map(|store| store.find(target.hostname.as_deref(), Some(target.addr.ip()), &stage.remote_user))
}
