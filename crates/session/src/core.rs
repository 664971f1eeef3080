//! What every stage carries: who connects, by which policy, which plugins have been called.
//!
//! INVARIANT: a `Core` is owned by exactly one stage, and its drop is the one way a session ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyward_model::{ClientAddr, InstanceName, SessionId, UnixMillis, Verdict};
use keyward_plugin::{PeopleDirectory, Watch};
use keyward_policy::{Connection, CredentialSource, KeyLimits, Policy};
use keyward_store::{CallId, Role};
use serde_json::Value;
use tokio::time::Instant;

use crate::end::{chain, ending};
use crate::gateway::Shared;
use crate::hidden::Hidden;
use crate::hook::Unwritten;
use crate::jump_host::HopPlace;
use crate::limits::Places;
use crate::recorder::Recorder;
use crate::settle::Settlement;
use crate::{Ended, PluginVersion, Reason, Stop};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: SessionId,
    /// Ends the session from outside.
    pub(crate) stop: Stop,
    pub(crate) connection: Arc<Connection>,
    /// What the session is judged by from its door to its end.
    pub(crate) policy: Arc<Policy>,
    /// The versions that it calls, unless an instance follows updates.
    pub(crate) plugins: HashMap<InstanceName, PluginVersion>,
    /// Who knows the people, where the policy says that a directory does.
    pub(crate) directory: Option<Arc<PeopleDirectory>>,
    /// Of the key or the certificate that the person has used.
    pub(crate) limits: KeyLimits,
    pub(crate) client: ClientAddr,
    pub(crate) client_hostname: Option<String>,
    pub(crate) started_at: UnixMillis,
    pub(crate) session_cookie: Value,
    /// The plugins that were called, or were about to be, in the order of their first call.
    pub(crate) engaged: Vec<Engaged>,
    /// A call that is over, until the ledger has its outcome: a stage that is dropped between leaves it to settling.
    pub(crate) unwritten: Option<Unwritten>,
    /// The call that runs, which ends with the stage that makes it.
    pub(crate) under_way: Option<(CallId, Watch)>,
    pub(crate) hidden: Hidden,
    pub(crate) recorder: Option<Recorder>,
    /// Whether the ledger has a row for this session.
    pub(crate) entered: bool,
    pub(crate) ending: Option<Ending>,
    /// Held for as long as the session counts against the limits.
    pub(crate) places: Option<Places>,
    /// Held by a session that came through a jump host.
    pub(crate) hop_place: Option<HopPlace>,
    /// When the log-in on the target has to be done, and how long that is after its beginning; `None` before and after.
    pub(crate) log_in_by: Option<(Instant, Duration)>,
}

/// A plugin that was called in this session. Whether it is owed a `session_ended`, the ledger knows.
#[derive(Clone, Debug)]
pub(crate) struct Engaged {
    pub(crate) instance: InstanceName,
    pub(crate) role: Role,
    pub(crate) cookie: Value,
    /// The version of the first call.
    pub(crate) version: PluginVersion,
    pub(crate) follow_updates: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

impl Core {
    /// Ends the session for `reason`.
    pub(crate) fn end(mut self: Box<Self>, reason: &Reason) -> Ended {
        let text = chain(reason);
        match reason {
            Reason::Ledger(_) | Reason::Recording(_) => {
                tracing::error!(session = %self.id, error = text, "session refused: it cannot be recorded");
            }
            Reason::Directory { server, error } => {
                tracing::warn!(session = %self.id, ldap_server = server, error, "an LDAP server gave no answer");
            }
            _ => tracing::info!(session = %self.id, client = %self.client, reason = text, "session refused"),
        }
        self.ending = Some(Ending { verdict: reason.verdict(), reason: text });
        Ended::new(reason)
    }

    /// Whether any rule of the channel policy records.
    pub(crate) fn is_recorded(&self) -> bool {
        self.connection.channels.rules.iter().any(|rule| rule.record)
    }

    /// Whether anybody would be told the client's host name.
    pub(crate) fn calls_plugins(&self) -> bool {
        let by_plugin = matches!(self.connection.credential_store, CredentialSource::Plugin(_));
        by_plugin || self.connection.aa_plugin.is_some()
    }

    /// The version of a plugin to call now, and whether the session takes newer ones as they come.
    pub(crate) fn version(&self, name: &InstanceName) -> Option<(PluginVersion, bool)> {
        let own = self.plugins.get(name)?;
        let follows = self.policy.plugins.get(name).is_some_and(|settings| settings.follow_updates);
        let version = if follows { self.shared.newest(name, own) } else { own.clone() };
        Some((version, follows))
    }

    /// The ending of a session whose stage nobody ended.
    fn dropped(&self) -> Ending {
        if let Some(cause) = self.stop.cause() {
            return ending(Some(cause), "");
        }
        if let Some(cause) = self.hop_place.as_ref().and_then(HopPlace::ended) {
            return ending(Some(cause), "the jump host's session has ended");
        }
        if let Some((by, patience)) = self.log_in_by
            && by <= Instant::now()
        {
            let reason = Reason::LogInTimeout(patience.as_secs());
            return Ending { verdict: reason.verdict(), reason: chain(&reason) };
        }
        Ending {
            verdict: Reason::Client(crate::ClientGone).verdict(),
            reason: "the client went away before the session was open".into(),
        }
    }

    /// What is known of a call that ended with its stage.
    fn cancelled(&mut self) -> Option<Unwritten> {
        let (call, watch) = self.under_way.take()?;
        Unwritten::cancelled(call, &watch)
    }

    pub(crate) fn now(&self) -> UnixMillis {
        SystemTime::now().into()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.stops.leave(&self.id);
        if !self.entered {
            return;
        }
        let ending = self.ending.take().unwrap_or_else(|| self.dropped());
        let job = Settlement {
            id: self.id.clone(),
            ending,
            ended: self.now(),
            engaged: std::mem::take(&mut self.engaged),
            unwritten: self.unwritten.take().or_else(|| self.cancelled()),
            hidden: self.hidden.all(),
            recorder: self.recorder.take(),
            limit: self.connection.settings.timeout / 2,
            places: self.places.take(),
        };
        self.shared.settle(job);
    }
}
