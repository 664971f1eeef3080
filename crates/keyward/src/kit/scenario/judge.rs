//! Compares what happened with what the scenario expects.

use keyward_model::Secret;
use keyward_plugin::OfferedKey;
use keyward_store::CallEntry;

use super::document::{Document, Expect, HookWord, Role, Step};
use super::play::{Event, Played};
use super::setting;
use super::talk::{Asked, Reply};
use crate::command::shown;

/// What did not come as it should.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    /// Of the scenario's file, from 1; `None`: the file has no line for it.
    pub(crate) line: Option<usize>,
    pub(crate) text: String,
}

/// Everything that differs; empty: the scenario has passed. `text` is the scenario's file.
pub(crate) fn judge(document: &Document, text: &str, played: &Played) -> Vec<Mismatch> {
    let mut judge = Judge { text, document, found: Vec::new(), keys: 0, passwords: 0, codes: 0 };
    judge.steps(played);
    judge.outcome(&document.expect, played);
    judge.found
}

struct Judge<'d> {
    text: &'d str,
    document: &'d Document,
    found: Vec<Mismatch>,
    /// How many calls for keys, for passwords and for codes have gone by.
    keys: usize,
    passwords: usize,
    codes: usize,
}

/// Where in the file somebody should look.
#[derive(Clone, Copy)]
struct At(Option<usize>);

impl Judge<'_> {
    fn steps(&mut self, played: &Played) {
        // A scenario may leave the calls out and list the questions only.
        let calls_count = self.document.step.iter().any(|step| step.get_ref().hook.is_some());
        let events = played.events();
        let mut events =
            events.into_iter().filter(|event| calls_count || matches!(event, Event::Question(_))).peekable();
        let steps = &self.document.step;
        for step in steps {
            let at = At(Some(self.line_of(step.span().start)));
            let step = step.get_ref();
            if let Some(HookWord(hook)) = step.hook {
                match events.next() {
                    Some(Event::Call(call)) if call.hook == hook.name() && is_of(step, call) => {
                        self.call(at, step, call, played)
                    }
                    other => return self.astray(at, &format!("a call of {hook}"), other),
                }
            }
            if step.asks() {
                match events.next() {
                    Some(Event::Question(asked)) => self.question(at, step, asked),
                    other => return self.astray(at, "a question", other),
                }
            }
        }
        for event in events {
            self.add(At(None), format!("{}, and the scenario has no step for it", said(Some(event))));
        }
    }

    /// The rest cannot be compared: one difference would make many.
    fn astray(&mut self, at: At, wanted: &str, came: Option<Event<'_>>) {
        self.add(at, format!("expected {wanted}; {}", said(came)));
    }

    fn call(&mut self, at: At, step: &Step, call: &CallEntry, played: &Played) {
        let hook = &call.hook;
        let outcome = call.outcome.as_deref().unwrap_or("no outcome");
        let failed = outcome != "ok";
        match (&step.error, failed) {
            (Some(kind), _) if kind == outcome => {}
            (Some(kind), _) => {
                self.add(at, format!("{hook}: expected the error {kind:?}, the call ended with {outcome:?}"))
            }
            (None, true) => {
                let message = call.error.as_deref().unwrap_or_default();
                self.add(at, format!("{hook} failed: {outcome}: {}", shown(message)));
            }
            (None, false) => {}
        }
        if let Some(wanted) = &step.verdict {
            let came = call.verdict.as_deref().unwrap_or("none");
            if !wanted.eq_ignore_ascii_case(came) && !failed {
                self.add(
                    at,
                    format!("{hook}: expected verdict {wanted}, the plugin returned {}", shown(came)),
                );
            }
        }
        for wanted in &step.log {
            if !call.log.iter().any(|line| line.line.contains(wanted.as_str())) {
                self.add(at, format!("{hook}: no line of its output has {wanted:?}"));
            }
        }
        match hook.as_str() {
            "get_private_key_list" => self.keys(at, step, played),
            "get_password_list" => {
                let came = played.passwords.get(self.passwords).map_or(&[][..], Vec::as_slice);
                self.passwords += 1;
                self.secrets(at, "get_password_list", "password", step.passwords.as_deref(), came);
            }
            "get_totp_codes" => {
                let came = played.codes.get(self.codes).map_or(&[][..], Vec::as_slice);
                self.codes += 1;
                self.secrets(at, "get_totp_codes", "code", step.codes.as_deref(), came);
            }
            _ if step.keys.is_some() || step.passwords.is_some() || step.codes.is_some() => {
                self.add(at, format!("`passwords`, `keys` and `codes` are for get_password_list, get_private_key_list and get_totp_codes, not for {hook}"));
            }
            _ => {}
        }
    }

    fn keys(&mut self, at: At, step: &Step, played: &Played) {
        let came: &[OfferedKey] = played.keys.get(self.keys).map_or(&[], Vec::as_slice);
        self.keys += 1;
        let Some(wanted) = &step.keys else { return };
        let came: Vec<&str> = came.iter().map(|key| key.kind.as_str()).collect();
        if came != wanted.iter().map(String::as_str).collect::<Vec<_>>() {
            self.add(
                at,
                format!(
                    "get_private_key_list: expected keys of types {wanted:?}, the plugin returned {came:?}"
                ),
            );
        }
    }

    /// The texts are not shown: the plugin may have asked a real store.
    fn secrets(&mut self, at: At, hook: &str, what: &str, wanted: Option<&[String]>, came: &[Secret]) {
        let Some(wanted) = wanted else { return };
        if wanted.len() != came.len() {
            let (wanted, came) = (count(wanted.len(), what), count(came.len(), what));
            self.add(at, format!("{hook}: expected {wanted}, the plugin returned {came}"));
        }
        for (n, (wanted, came)) in wanted.iter().zip(came).enumerate() {
            if wanted != came.expose() {
                let n = n + 1;
                self.add(at, format!("{hook}: {what} {n} is not the expected one (its text is not shown)"));
            }
        }
    }

    fn question(&mut self, at: At, step: &Step, asked: &Asked) {
        if let Some(wanted) = &step.prompt
            && *wanted != asked.prompt
        {
            self.add(at, format!("expected the prompt {wanted:?}, the question was {:?}", asked.prompt));
        }
        if let Some(wanted) = step.echo
            && wanted != asked.echo
        {
            let word = |echo| if echo { "shown" } else { "hidden" };
            self.add(
                at,
                format!(
                    "expected an answer that is {} while it is typed; it was {}",
                    word(wanted),
                    word(asked.echo)
                ),
            );
        }
        if asked.reply == Reply::Nothing {
            self.add(
                at,
                format!(
                    "the question {:?} has no answer: add `answer = \"...\"`, or `leaves = true`",
                    asked.prompt
                ),
            );
        }
    }

    fn outcome(&mut self, expect: &Expect, played: &Played) {
        let record = &played.record;
        let summary = &record.summary;
        let reason = summary.reason.as_deref().unwrap_or_default();
        if expect.verdict != played.verdict {
            let text = format!(
                "expected the session's verdict {}, it was {}: {}",
                expect.verdict,
                played.verdict,
                shown(reason)
            );
            self.add(self.expecting("verdict"), text);
        }
        if let Some(wanted) = &expect.reason
            && !reason.contains(wanted.as_str())
        {
            self.add(
                self.expecting("reason"),
                format!("expected a reason with {wanted:?}, it was {:?}", shown(reason)),
            );
        }
        self.equal("message", expect.message.as_deref(), Some(&played.message));
        self.equal("gateway-user", expect.gateway_user.as_deref(), summary.gateway_user.as_deref());
        self.equal("remote-user", expect.remote_user.as_deref(), summary.remote_user.as_deref());
        self.equal("metadata", expect.metadata.as_deref(), record.additional_metadata.as_deref());
        let target = summary.target.as_ref().map(|target| target.addr.to_string());
        self.equal("target", expect.target.map(|target| target.to_string()).as_deref(), target.as_deref());
        if let Some(wanted) = &expect.gateway_groups
            && record.gateway_groups.as_ref() != Some(wanted)
        {
            let came = record.gateway_groups.clone().unwrap_or_default();
            self.add(
                self.expecting("gateway-groups"),
                format!("expected the gateway groups {wanted:?}, they were {came:?}"),
            );
        }
    }

    fn equal(&mut self, key: &str, wanted: Option<&str>, came: Option<&str>) {
        let Some(wanted) = wanted else { return };
        if came != Some(wanted) {
            let came = came.map_or_else(|| "there was none".to_owned(), |came| format!("it was {came:?}"));
            self.add(self.expecting(key), format!("expected {key} {wanted:?}; {came}"));
        }
    }

    fn add(&mut self, at: At, text: String) {
        self.found.push(Mismatch { line: at.0, text });
    }

    /// The line of a key below `[expect]`.
    fn expecting(&self, key: &str) -> At {
        let lines = self.text.lines().enumerate();
        let below = lines.skip_while(|(_, line)| line.trim() != "[expect]");
        let is_key = |line: &str| {
            line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        At(below.into_iter().find(|(_, line)| is_key(line)).map(|(n, _)| n + 1))
    }

    fn line_of(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }
}

impl Step {
    /// Whether a question belongs to the step.
    pub(crate) fn asks(&self) -> bool {
        let about_a_question =
            self.prompt.is_some() || self.echo.is_some() || self.answer.is_some() || self.leaves;
        about_a_question || self.hook.is_none()
    }

    /// What the person does at its question.
    pub(crate) fn reply(&self) -> Reply {
        match (&self.answer, self.leaves) {
            (Some(answer), false) => Reply::Answer(answer.clone()),
            (_, true) => Reply::Leaves,
            (None, false) => Reply::Nothing,
        }
    }
}

fn is_of(step: &Step, call: &CallEntry) -> bool {
    let role = step.of.map(|role| match role {
        Role::Aa => setting::AA,
        Role::CredentialStore => setting::CREDENTIAL_STORE,
    });
    role.is_none_or(|role| role == call.instance.as_str())
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn said(event: Option<Event<'_>>) -> String {
    match event {
        Some(Event::Call(call)) => {
            let verdict = call.verdict.as_deref().or(call.outcome.as_deref()).unwrap_or("no result");
            format!("{} of {} was called ({})", call.hook, call.instance, shown(verdict))
        }
        Some(Event::Question(asked)) => format!("the question {:?} was asked", asked.prompt),
        None => "the session had ended".to_owned(),
    }
}
