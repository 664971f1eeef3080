//! Telling a plugin that a session has ended: once, and on record.

use std::time::{Duration, SystemTime};

use keyward_model::{InstanceName, Secret, SessionId, UnixMillis};
use keyward_plugin::{Call, Cookies, Hook, Instance, session_ended_arguments};
use keyward_store::{CallRecord, EndCall};
use serde_json::Value;

use crate::end::chain;
use crate::gateway::Shared;
use crate::hook::{ran, record};
use crate::settle::insist;

/// `session_ended` of one plugin in one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) instance: &'a InstanceName,
    /// The version to call.
    pub(crate) plugin: &'a Instance,
    pub(crate) limit: Duration,
    /// Masked in what the plugin prints.
    pub(crate) hidden: Hiding<'a>,
}

/// What must not be seen in what a plugin prints.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hiding<'a> {
    These(&'a [Secret]),
    /// The secrets of the session went with an earlier run of the gateway. The plugin can have them from its cookies
    /// only, so every text in these is masked.
    AllOfTheCookies,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Told {
    /// The plugin was called, or was owed nothing, or is another task's.
    Settled,
    /// It is among the debts of the ledger.
    StillOwed,
}

impl End<'_> {
    /// Calls the plugin if the ledger gives the right, which it does once.
    ///
    /// Dropped during the call it leaves the ledger with a call that is running: the next start marks it interrupted.
    pub(crate) async fn tell(self, shared: &Shared) -> Told {
        let Self { session, instance, .. } = self;
        if shared.settling.is_closed() {
            return Told::StillOwed;
        }
        let now: UnixMillis = SystemTime::now().into();
        match shared.store.begin_session_ended(session, instance, now).await {
            Ok(Some(begun)) => self.call(shared, begun).await,
            Ok(None) => Told::Settled,
            Err(error) => {
                tracing::error!(%session, plugin = %instance, error = %chain(&error), "session_ended could not be begun: tried again");
                Told::StillOwed
            }
        }
    }

    async fn call(self, shared: &Shared, begun: EndCall) -> Told {
        let Self { session, instance, plugin, limit, hidden } = self;
        let (settling, store) = (&shared.settling, &shared.store);
        let EndCall { call, cookies } = begun;
        let mut cookies = Cookies { cookie: cookies.cookie, session_cookie: cookies.session_cookie };
        let order = Call {
            log_prefix: session.to_string(),
            hook: Hook::SessionEnded,
            arguments: session_ended_arguments(session, &cookies),
            time_limit: limit,
        };
        let secrets = match hidden {
            Hiding::These(secrets) => secrets.to_vec(),
            Hiding::AllOfTheCookies => texts_of(&cookies),
        };
        let report = plugin.call_hiding(order, &secrets).await;
        let result = report.outcome.as_ref().map_err(Clone::clone).and_then(|value| cookies.absorb(value));
        let Err(error) = &result else {
            settling.wake(instance);
            let record = CallRecord { checksum: Some(plugin.checksum().to_owned()), ..record(&report, None) };
            insist(settling, session, || store.finish_session_ended(call, &record)).await;
            return Told::Settled;
        };
        tracing::warn!(%session, plugin = %instance, kind = error.kind.as_str(), error = error.message, "session_ended failed");
        if !ran(error) {
            settling.rest(instance);
            insist(settling, session, || store.release_session_ended(call)).await;
            return Told::StillOwed;
        }
        if settling.is_closed() {
            // The gateway itself has killed it, most likely: as interrupted as by the gateway's own death.
            return Told::Settled;
        }
        let record =
            CallRecord { checksum: Some(plugin.checksum().to_owned()), ..record(&report, Some(error)) };
        insist(settling, session, || store.finish_session_ended(call, &record)).await;
        Told::Settled
    }
}

/// So many texts of cookies at most are masked where they may be secrets. A plugin that keeps more has its own to blame.
const MAX_TEXTS: usize = 256;

fn texts_of(cookies: &Cookies) -> Vec<Secret> {
    let mut texts = Vec::new();
    let mut pending = vec![&cookies.cookie, &cookies.session_cookie];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => texts.push(Secret::new(text.clone())),
            Value::Array(items) => pending.extend(items),
            Value::Object(map) => pending.extend(map.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if texts.len() == MAX_TEXTS {
            break;
        }
    }
    texts
}
