//! Step 5: `authenticate` of the AA plugin.

use keyward_model::{ClientAddr, KeyValuePairs, LoginString, Protocol, SessionId};
use keyward_plugin::{AaDecision, AaFacts, Cookies, Hook, authenticate_arguments};
use keyward_store::SessionFacts;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::proof::ProvenUser;
use crate::{Conversation, Ended, Located, Named, Proof, Reason};

/// It is known who connects, as far as policy and plugin want to know.
#[derive(Debug)]
pub struct Identified {
    pub(crate) core: Box<Core>,
    pub(crate) person: Person,
    pub(crate) login: LoginString,
}

/// The gateway's side of the identity. Without gateway authentication there is no user at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    pub(crate) user: Option<String>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) password: Option<keyward_model::Secret>,
}

impl From<Proof> for Person {
    fn from(proof: Proof) -> Self {
        proof.user.map_or_else(
            Self::default,
            |ProvenUser { name, groups, password, limits: _, valid_before: _ }| Self {
                user: Some(name),
                groups: Some(groups),
                password,
            },
        )
    }
}

impl Identified {
    pub(crate) async fn reach<C: Conversation>(
        named: Named,
        proof: Proof,
        conversation: &mut C,
    ) -> Result<Self, Ended> {
        let Named { mut core, mut login, .. } = named;
        core.limits = proof.user.as_ref().map(|user| user.limits.clone()).unwrap_or_default();
        let mut person = Person::from(proof);
        person.password.iter().for_each(|password| core.hidden.add(password));
        match authenticate(&mut core, &mut person, &mut login, conversation).await {
            Ok(()) => Ok(Self { core, person, login }),
            Err(reason) => Err(core.end(&reason)),
        }
    }

    /// Step 6: settles the destination, asking for what the login string lacks.
    pub async fn locate<C: Conversation>(self, conversation: &mut C) -> Result<Located, Ended> {
        Located::reach(self, conversation).await
    }
}

async fn authenticate<C: Conversation>(
    core: &mut Core,
    person: &mut Person,
    login: &mut LoginString,
    conversation: &mut C,
) -> Result<(), Reason> {
    if let Some(instance) = core.connection.aa_plugin.clone() {
        let (who, user, domain) = (Who::of(core), login.user.clone(), login.domain.clone());
        let known = person.clone();
        let arguments = |pairs: &KeyValuePairs, cookies: &Cookies| -> Map<String, Value> {
            authenticate_arguments(&AaFacts {
                gateway_user: known.user.as_deref(),
                gateway_groups: known.groups.as_deref(),
                server_username: user.as_deref(),
                server_domain: domain.as_deref(),
                ..who.facts(pairs, cookies)
            })
        };
        let reply =
            core.consult(&instance, Hook::Authenticate, &mut login.pairs, conversation, arguments).await?;
        note_metadata(core, reply.additional_metadata).await?;
        match reply.decision {
            AaDecision::Accept { gateway_user, gateway_groups } => {
                person.user = gateway_user.or_else(|| person.user.take());
                person.groups = gateway_groups.or_else(|| person.groups.take());
            }
            // The plugin did no gateway authentication; the session goes on without.
            AaDecision::NoDecision => {}
            AaDecision::Deny { reason } => {
                return Err(Reason::Denied { instance, hook: Hook::Authenticate.name(), reason });
            }
            AaDecision::NeedInfo(_) => {
                return Err(Reason::CannotAsk { instance, hook: Hook::Authenticate.name() });
            }
        }
    }
    let facts = SessionFacts {
        gateway_user: person.user.clone(),
        gateway_groups: person.groups.clone(),
        remote_user: login.user.clone(),
        ..SessionFacts::default()
    };
    Ok(core.shared.store.update_session(&core.id, &facts).await?)
}

pub(crate) async fn note_metadata(core: &Core, metadata: Option<String>) -> Result<(), Reason> {
    let Some(metadata) = metadata else { return Ok(()) };
    let facts = SessionFacts { additional_metadata: Some(metadata), ..SessionFacts::default() };
    Ok(core.shared.store.update_session(&core.id, &facts).await?)
}

/// The part of the facts that never changes in a session, owned, so that a call may borrow the core.
pub(crate) struct Who {
    id: SessionId,
    protocol: Protocol,
    connection: keyward_model::ConnectionName,
    client: ClientAddr,
    hostname: Option<String>,
}

impl Who {
    pub(crate) fn of(core: &Core) -> Self {
        Self {
            id: core.id.clone(),
            protocol: core.connection.protocol,
            connection: core.connection.name.clone(),
            client: core.client,
            hostname: core.client_hostname.clone(),
        }
    }

    /// Facts with everything `None` that is not known at every stage.
    pub(crate) fn facts<'a>(&'a self, pairs: &'a KeyValuePairs, cookies: &'a Cookies) -> AaFacts<'a> {
        AaFacts {
            session_id: &self.id,
            protocol: self.protocol,
            connection_name: &self.connection,
            client: self.client,
            client_hostname: self.hostname.as_deref(),
            gateway_user: None,
            gateway_domain: None,
            gateway_groups: None,
            server_username: None,
            server_domain: None,
            server: None,
            key_value_pairs: pairs,
            cookies,
        }
    }
}
