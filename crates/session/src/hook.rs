//! Hook calls by way of the ledger: it is written before a plugin is called, and after.

use std::sync::Arc;

use keyward_model::{InstanceName, KeyValuePairs, Secret};
use keyward_plugin::{AaDecision, AaReply, Call, CallError, CallErrorKind, CallReport, Cookies, Hook, Watch};
use keyward_store::{
    CallId, CallRecord, Cookies as StoredCookies, EngagedPlugin, LogLine, NewCall, Role, Store, StoreError,
};
use serde_json::{Map, Value};

use crate::core::{Core, Engaged};
use crate::{Conversation, Echo, PluginVersion, Question, Reason};

/// How often one hook may ask (contract section 4).
const MAX_ROUNDS: u32 = 32;

/// Which hook of which plugin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) instance: &'a InstanceName,
    pub(crate) role: Role,
    pub(crate) hook: Hook,
    /// Counts the calls of a hook that asks questions, from 1.
    pub(crate) round: u32,
}

/// A call that is over and whose outcome is not in the ledger yet.
#[derive(Debug)]
pub(crate) struct Unwritten {
    call: CallId,
    record: CallRecord,
    came: CameTo,
}

#[derive(Debug)]
enum CameTo {
    /// The plugin ran. It may have left cookies.
    Worker(Option<StoredCookies>),
    /// No worker got the call.
    Nobody,
}

impl Unwritten {
    /// A call whose future was dropped; `None` where it was not.
    pub(crate) fn cancelled(call: CallId, watch: &Watch) -> Option<Self> {
        let report = watch.take()?;
        let came = if report.exit.is_some() { CameTo::Worker(None) } else { CameTo::Nobody };
        Some(Self { call, record: record(&report, report.outcome.as_ref().err()), came })
    }

    /// Cancel-safe, and the same again: what was written before stays.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        match &self.came {
            CameTo::Worker(cookies) => store.finish_call(self.call, &self.record, cookies.as_ref()).await?,
            CameTo::Nobody => store.refuse_call(self.call, &self.record).await?,
        };
        Ok(())
    }
}

impl Core {
    /// Calls a hook with the arguments that `arguments` makes of the cookies, and returns what `read` makes of its
    /// result. What `read` refuses is on record as a failed call.
    ///
    /// Cancel-safe: a dropped call kills the plugin's process, and settling closes its row in the ledger.
    pub(crate) async fn call<T>(
        &mut self,
        asked: Asked<'_>,
        arguments: impl FnOnce(&Cookies) -> Map<String, Value>,
        read: impl FnOnce(&Value) -> Result<T, CallError>,
    ) -> Result<T, Reason> {
        let shared = Arc::clone(&self.shared);
        let Some((version, follows)) = self.version(asked.instance) else {
            return Err(Reason::NotLoaded(asked.instance.clone()));
        };
        let place = self.engage(&version, asked.role, follows).await?;
        let mut cookies = self.cookies(place);
        let row = shared.store.begin_call(&self.new_call(asked)).await?;
        let call = Call {
            log_prefix: self.id.to_string(),
            hook: asked.hook,
            arguments: arguments(&cookies),
            time_limit: self.connection.settings.timeout / 2,
        };
        let watch = Watch::default();
        self.under_way = Some((row, watch.clone()));
        let report = version.instance.call_watched(call, &self.hidden.all(), &watch).await;
        self.under_way = None;
        let kept = report.outcome.as_ref().map_err(Clone::clone).and_then(|value| cookies.absorb(value));
        let result = kept.clone().and_then(|()| read(report.outcome.as_ref().map_err(Clone::clone)?));
        let came = came_to(&result, kept.is_ok().then(|| stored(&cookies)));
        let began_with = self.engaged.get(place).map(|engaged| engaged.version.instance.checksum());
        let other = began_with.is_some_and(|checksum| checksum != version.instance.checksum());
        let record = CallRecord {
            checksum: other.then(|| version.instance.checksum().to_owned()),
            ..record(&report, result.as_ref().err())
        };
        // From here on nothing is lost with a dropped future: settling writes what was not written.
        let unwritten = self.unwritten.insert(Unwritten { call: row, record, came });
        if let Some(engaged) = self.engaged.get_mut(place) {
            engaged.cookie = cookies.cookie;
            self.session_cookie = cookies.session_cookie;
        }
        unwritten.write(&shared.store).await?;
        self.unwritten = None;
        let failed =
            |error| Reason::Plugin { instance: asked.instance.clone(), hook: asked.hook.name(), error };
        result.map_err(failed)
    }

    /// The ledger learns of a plugin before its first call, so that `session_ended` is owed from then on.
    async fn engage(
        &mut self,
        version: &PluginVersion,
        role: Role,
        follow_updates: bool,
    ) -> Result<usize, Reason> {
        let plugin = &version.instance;
        let known = |engaged: &Engaged| engaged.instance == *plugin.name() && engaged.role == role;
        if let Some(place) = self.engaged.iter().position(known) {
            return Ok(place);
        }
        let settings = self.policy.plugins.get(plugin.name());
        let row = EngagedPlugin {
            instance: plugin.name().clone(),
            role,
            bundle: plugin.manifest().name.clone(),
            checksum: plugin.checksum().to_owned(),
            revision: version.revision,
            follow_updates,
            retry_interrupted: settings.is_some_and(|settings| settings.retry_interrupted),
        };
        // Before the row: a dropped write may have been made, and settling asks the ledger about each of these.
        self.engaged.push(Engaged {
            instance: row.instance.clone(),
            role,
            cookie: Value::Object(Map::new()),
            version: version.clone(),
            follow_updates,
        });
        self.shared.store.engage(&self.id, &row).await?;
        Ok(self.engaged.len() - 1)
    }

    fn new_call(&self, asked: Asked<'_>) -> NewCall {
        NewCall {
            session: self.id.clone(),
            instance: asked.instance.clone(),
            hook: asked.hook.name().to_owned(),
            round: asked.round,
            started: self.now(),
        }
    }

    fn cookies(&self, place: usize) -> Cookies {
        let empty = || Value::Object(Map::new());
        Cookies {
            cookie: self.engaged.get(place).map_or_else(empty, |engaged| engaged.cookie.clone()),
            session_cookie: self.session_cookie.clone(),
        }
    }

    /// Calls an AA hook again and again while it asks, and puts the answers among the pairs.
    pub(crate) async fn consult<C: Conversation>(
        &mut self,
        instance: &InstanceName,
        hook: Hook,
        pairs: &mut KeyValuePairs,
        conversation: &mut C,
        arguments: impl Fn(&KeyValuePairs, &Cookies) -> Map<String, Value>,
    ) -> Result<AaReply, Reason> {
        for round in 1..=MAX_ROUNDS {
            let with = |cookies: &Cookies| arguments(pairs, cookies);
            let asked = Asked { instance, role: Role::Aa, hook, round };
            let reply = self.call(asked, with, |result| AaReply::read(hook, result)).await?;
            let reply = reply.hiding(&self.hidden.all());
            let AaDecision::NeedInfo(question) = reply.decision else { return Ok(reply) };
            if !conversation.can_ask() {
                return Err(Reason::CannotAsk { instance: instance.clone(), hook: hook.name() });
            }
            let echo = if question.disable_echo { Echo::Off } else { Echo::On };
            let answer = self.ask(conversation, Question { prompt: question.prompt, echo }).await?;
            pairs.insert(question.key, answer.expose().to_owned());
        }
        Err(Reason::TooManyQuestions { instance: instance.clone(), hook: hook.name(), limit: MAX_ROUNDS })
    }

    /// Asks the person, for as long as the network timeout allows. The answer to a hidden prompt is masked in
    /// what plugins print from then on.
    pub(crate) async fn ask<C: Conversation>(
        &self,
        conversation: &mut C,
        question: Question,
    ) -> Result<Secret, Reason> {
        let patience = self.connection.settings.timeout;
        let echo = question.echo;
        let answer = match tokio::time::timeout(patience, conversation.ask(question)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Reason::NoAnswer(patience.as_secs())),
        };
        match echo {
            Echo::Off => self.hidden.add(&answer),
            Echo::On => {}
        }
        Ok(answer)
    }
}

fn came_to<T>(result: &Result<T, CallError>, cookies: Option<StoredCookies>) -> CameTo {
    match result {
        Err(error) if !ran(error) => CameTo::Nobody,
        Ok(_) | Err(_) => CameTo::Worker(cookies),
    }
}

/// Whether anything of the hook can have run in a call that failed so.
pub(crate) fn ran(error: &CallError) -> bool {
    match error.kind {
        CallErrorKind::Busy | CallErrorKind::Unavailable | CallErrorKind::Import => false,
        CallErrorKind::Exception
        | CallErrorKind::Timeout
        | CallErrorKind::Crashed
        | CallErrorKind::Exited
        | CallErrorKind::MissingHook
        | CallErrorKind::WrongResult
        | CallErrorKind::Signature
        | CallErrorKind::Configuration
        | CallErrorKind::TooLarge
        | CallErrorKind::Limit
        | CallErrorKind::Protocol
        | CallErrorKind::Cancelled => true,
    }
}

fn stored(cookies: &Cookies) -> StoredCookies {
    StoredCookies { cookie: cookies.cookie.clone(), session_cookie: cookies.session_cookie.clone() }
}

/// What the ledger keeps of a call that `error` may have spoilt.
pub(crate) fn record(report: &CallReport, error: Option<&CallError>) -> CallRecord {
    let value = report.outcome.as_ref().ok().filter(|_| error.is_none());
    CallRecord {
        duration: report.duration,
        verdict: value.and_then(|value| value.get("verdict")?.as_str().map(str::to_owned)),
        outcome: error.map_or_else(|| "ok".to_owned(), |error| error.kind.as_str().to_owned()),
        error: error.map(|error| error.message.clone()),
        traceback: error.and_then(|error| error.traceback.clone()),
        log: report
            .log
            .iter()
            .map(|line| LogLine { stream: line.stream.as_str().to_owned(), line: line.line.clone() })
            .collect(),
        log_left_out: report.lines_left_out,
        exit: report.exit.as_ref().map(ToString::to_string),
        checksum: None,
    }
}
