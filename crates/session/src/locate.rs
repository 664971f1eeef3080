//! Steps 6 to 9: the destination, `authorize`, user mapping, approval.

use keyward_model::{Grammar, KeyValuePairs, LoginString, Requested, Secret, TargetAddr};
use keyward_plugin::{AaDecision, AaFacts, Cookies, Hook, authorize_arguments};
use keyward_policy::{Inband, Target};
use keyward_store::SessionFacts;
use serde_json::{Map, Value};

use crate::approval::approved;
use crate::core::Core;
use crate::identify::{Person, Who, note_metadata};
use crate::own_address::{is_own, is_own_listener};
use crate::{Conversation, Echo, Ended, Identified, Permit, Question, Reason};

/// Who wants where is settled; whether they may is not.
#[derive(Debug)]
pub struct Located {
    pub(crate) core: Box<Core>,
    pub(crate) person: Person,
    pub(crate) pairs: KeyValuePairs,
    pub(crate) remote_user: String,
    pub(crate) remote_domain: Option<String>,
    pub(crate) target: TargetAddr,
}

impl Located {
    pub(crate) async fn reach<C: Conversation>(
        identified: Identified,
        conversation: &mut C,
    ) -> Result<Self, Ended> {
        let Identified { core, person, login } = identified;
        match destination(&core, &login, conversation).await {
            Ok((remote_user, target)) => {
                let LoginString { pairs, domain, .. } = login;
                Ok(Self { core, person, pairs, remote_user, remote_domain: domain, target })
            }
            Err(reason) => Err(core.end(&reason)),
        }
    }

    /// Steps 7 to 9: the AA plugin's `authorize`, user mapping, and where the policy wants one an approver.
    pub async fn authorize<C: Conversation>(mut self, conversation: &mut C) -> Result<Permit, Ended> {
        match authorize(&mut self, conversation).await {
            Ok(()) => Ok(Permit::of(self)),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }
}

async fn destination<C: Conversation>(
    core: &Core,
    login: &LoginString,
    conversation: &mut C,
) -> Result<(String, TargetAddr), Reason> {
    let target = match &core.connection.target {
        Target::Fixed { host, port } => core.shared.resolver.target(host, *port, &[]).await?,
        Target::Inband(inband) => inband_target(core, inband, login, conversation).await?,
    };
    let refused = |why: String| Reason::TargetRefused { target: target.clone(), why };
    if is_own_listener(&core.shared.current().policy, target.addr) {
        return Err(refused("the gateway itself listens there".into()));
    }
    let remote_user = match &login.user {
        Some(user) => user.clone(),
        None => ask_for(core, conversation, "user name", "User name on the server: ").await?,
    };
    let facts = SessionFacts {
        remote_user: Some(remote_user.clone()),
        target: Some(target.clone()),
        ..SessionFacts::default()
    };
    core.shared.store.update_session(&core.id, &facts).await?;
    Ok((remote_user, target))
}

async fn inband_target<C: Conversation>(
    core: &Core,
    inband: &Inband,
    login: &LoginString,
    conversation: &mut C,
) -> Result<TargetAddr, Reason> {
    let requested = match &login.server {
        Some(server) => server.clone(),
        None => {
            let answer = ask_for(core, conversation, "server", "Server: ").await?;
            Requested::parse(&answer, Grammar::Terminal)?.ok_or(Reason::Missing("server"))?
        }
    };
    let port = requested.port.unwrap_or(core.connection.protocol.default_port());
    let target = core.shared.resolver.target(&requested.host, port, &inband.dns_suffixes).await?;
    let refused = |why: String| Reason::TargetRefused { target: target.clone(), why };
    inband.judge(target.hostname.as_deref(), target.addr).map_err(|why| refused(why.to_string()))?;
    if is_own(target.addr.ip()) && !inband.allows_exactly(target.addr) {
        return Err(refused("it is an address of the gateway, which must be allowed as address:port".into()));
    }
    Ok(target)
}

async fn ask_for<C: Conversation>(
    core: &Core,
    conversation: &mut C,
    what: &'static str,
    prompt: &str,
) -> Result<String, Reason> {
    if !conversation.can_ask() {
        return Err(Reason::Missing(what));
    }
    let answer: Secret =
        core.ask(conversation, Question { prompt: prompt.to_owned(), echo: Echo::On }).await?;
    let text = answer.expose().trim();
    if text.is_empty() || text.len() > LoginString::MAX_BYTES || text.chars().any(char::is_control) {
        return Err(Reason::Missing(what));
    }
    Ok(text.to_owned())
}

async fn authorize<C: Conversation>(located: &mut Located, conversation: &mut C) -> Result<(), Reason> {
    ask_plugin(located, conversation).await?;
    let Person { user, groups, .. } = &located.person;
    let groups = groups.as_deref().unwrap_or_default();
    let core = &located.core;
    if !core.shared.mapping_allows(&core.connection, user.as_deref(), groups, &located.remote_user) {
        return Err(Reason::Mapping {
            gateway_user: user.clone().unwrap_or_default(),
            remote_user: located.remote_user.clone(),
        });
    }
    approved(core, conversation).await
}

async fn ask_plugin<C: Conversation>(located: &mut Located, conversation: &mut C) -> Result<(), Reason> {
    let core = &mut located.core;
    let Some(instance) = core.connection.aa_plugin.clone() else { return Ok(()) };
    let who = Who::of(core);
    let (person, user, domain, target) = (
        located.person.clone(),
        located.remote_user.clone(),
        located.remote_domain.clone(),
        located.target.clone(),
    );
    let arguments = |pairs: &KeyValuePairs, cookies: &Cookies| -> Map<String, Value> {
        authorize_arguments(&AaFacts {
            gateway_user: person.user.as_deref(),
            gateway_groups: person.groups.as_deref(),
            server_username: Some(&user),
            server_domain: domain.as_deref(),
            server: Some(&target),
            ..who.facts(pairs, cookies)
        })
    };
    let reply = core.consult(&instance, Hook::Authorize, &mut located.pairs, conversation, arguments).await?;
    note_metadata(core, reply.additional_metadata).await?;
    let hook = Hook::Authorize.name();
    match reply.decision {
        AaDecision::Accept { gateway_user, gateway_groups } => {
            located.person.user = gateway_user.or_else(|| located.person.user.take());
            located.person.groups = gateway_groups.or_else(|| located.person.groups.take());
        }
        AaDecision::Deny { reason } => return Err(Reason::Denied { instance, hook, reason }),
        // Anything but ACCEPT ends the session (contract section 4).
        AaDecision::NoDecision => return Err(Reason::Denied { instance, hook, reason: None }),
        AaDecision::NeedInfo(_) => return Err(Reason::CannotAsk { instance, hook }),
    }
    let facts = SessionFacts {
        gateway_user: located.person.user.clone(),
        gateway_groups: located.person.groups.clone(),
        ..SessionFacts::default()
    };
    Ok(core.shared.store.update_session(&core.id, &facts).await?)
}
