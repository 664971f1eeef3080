//! A played scenario as people read it. The same session gives the same text: no times, no folders of the machine.

use std::fmt::Write;

use keyward_plugin::{Hook, PluginKind};
use keyward_proxy_ssh::key_fault;
use keyward_store::CallEntry;

use super::document::{Document, Outcome};
use super::play::{Event, Played};
use super::setting;
use super::talk::{Asked, Reply};
use crate::command::shown;
use crate::kit::explain::Failure;
use crate::kit::place::Place;

/// The whole transcript, of several lines.
pub(crate) fn transcript(title: &str, document: &Document, played: &Played) -> String {
    let mut text =
        Transcript { text: format!("{title}\n\n"), document, played, keys: 0, passwords: 0, codes: 0 };
    text.beginning();
    for event in played.events() {
        match event {
            Event::Call(call) => text.call(call),
            Event::Question(asked) => text.question(asked),
        }
    }
    text.end();
    text.text
}

struct Transcript<'p> {
    text: String,
    document: &'p Document,
    played: &'p Played,
    keys: usize,
    passwords: usize,
    codes: usize,
}

impl Transcript<'_> {
    fn beginning(&mut self) {
        let client = &self.played.record.summary.client;
        self.line(&format!("login {} from {}", self.document.client.login, client.0.ip()));
    }

    fn call(&mut self, call: &CallEntry) {
        let result = match (call.outcome.as_deref(), call.verdict.as_deref()) {
            (Some("ok"), Some(verdict)) => verdict.to_owned(),
            (Some("ok"), None) => self.returned(call),
            (Some(error), _) => format!("error: {error}"),
            (None, _) => "no result".to_owned(),
        };
        self.line(&format!("{} {} -> {result}", call.instance, call.hook));
        // The two streams arrive in no order of their own.
        for stream in ["stdout", "stderr"] {
            for line in call.log.iter().filter(|line| line.stream == stream) {
                let line =
                    self.place(call).map_or_else(|| line.line.clone(), |place| place.relative(&line.line));
                self.line(&format!("    {stream}: {line}"));
            }
        }
        if call.hook == "get_private_key_list" {
            self.faulty_keys();
        }
        if call.log_left_out > 0 {
            self.line(&format!("    ({} more lines were not kept)", call.log_left_out));
        }
        self.error(call);
    }

    /// What a call without a verdict brought, without any credential.
    fn returned(&mut self, call: &CallEntry) -> String {
        let count = |n: usize, what: &str| match n {
            0 => format!("no {what}"),
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        match call.hook.as_str() {
            "get_private_key_list" => {
                let keys = self.played.keys.get(self.keys).map_or(&[][..], Vec::as_slice);
                self.keys += 1;
                let kinds: Vec<&str> = keys.iter().map(|key| key.kind.as_str()).collect();
                let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
                format!("{}{kinds}", count(keys.len(), "key"))
            }
            "get_password_list" => {
                let passwords = self.played.passwords.get(self.passwords).map_or(0, Vec::len);
                self.passwords += 1;
                count(passwords, "password")
            }
            "get_totp_codes" => {
                let codes = self.played.codes.get(self.codes).map_or(0, Vec::len);
                self.codes += 1;
                count(codes, "code")
            }
            "authenticate" | "authorize" => "no verdict".to_owned(),
            _ => "ok".to_owned(),
        }
    }

    /// The keys that the gateway skips (contract section 5), by their places in the list.
    fn faulty_keys(&mut self) {
        let played = self.played;
        let keys = self.keys.checked_sub(1).and_then(|last| played.keys.get(last));
        for (n, key) in keys.into_iter().flatten().enumerate() {
            if let Some(fault) = key_fault(key) {
                self.line(&format!("    key {} is skipped: {fault}", n + 1));
            }
        }
    }

    fn error(&mut self, call: &CallEntry) {
        let (Some(kind), Some(message)) = (call.outcome.as_deref().filter(|kind| *kind != "ok"), &call.error)
        else {
            return;
        };
        let failure = Failure {
            kind,
            message,
            traceback: call.traceback.as_deref(),
            hook: call.hook.parse::<Hook>().ok(),
            plugin: self.kind(call),
        };
        let text = match self.place(call) {
            Some(place) => failure.explain(place),
            None => format!("{kind}: {message}\n"),
        };
        for line in text.lines() {
            self.line(&format!("    {line}"));
        }
    }

    fn question(&mut self, asked: &Asked) {
        let prompt: Vec<String> = asked.prompt.lines().map(shown).collect();
        let reply = match &asked.reply {
            Reply::Answer(text) if asked.echo => format!("{text:?}"),
            Reply::Answer(_) => "(hidden)".to_owned(),
            Reply::Leaves => "(the person leaves)".to_owned(),
            Reply::Nothing => "(the scenario has no answer)".to_owned(),
        };
        let last = prompt.len().saturating_sub(1);
        for (n, line) in prompt.iter().enumerate() {
            let end = if n == last { format!(" {reply}") } else { String::new() };
            self.line(&format!("  ? {}{end}", line.trim_end()));
        }
        if prompt.is_empty() {
            self.line(&format!("  ? {reply}"));
        }
    }

    fn end(&mut self) {
        let record = &self.played.record;
        let summary = &record.summary;
        let outcome = match self.document.target.outcome {
            Outcome::Accepts => "",
            Outcome::Refuses => ", which refuses",
            Outcome::Unreachable => ", which is unreachable",
            Outcome::UnknownHostKey => ", which shows an unknown host key",
            Outcome::ChangedHostKey => ", which shows a changed host key",
        };
        self.text.push('\n');
        if let Some(target) = &summary.target {
            let user = summary.remote_user.as_deref().unwrap_or("-");
            self.line(&format!("target: {user}@{target}{outcome}"));
        }
        let facts = [
            ("gateway user", summary.gateway_user.clone()),
            (
                "gateway groups",
                record
                    .gateway_groups
                    .as_ref()
                    .map(|groups| groups.join(", "))
                    .filter(|groups| !groups.is_empty()),
            ),
            ("metadata", record.additional_metadata.clone()),
            ("verdict", Some(self.played.verdict.to_string())),
            ("reason", summary.reason.clone()),
            ("told", Some(self.played.message.clone())),
        ];
        for (what, value) in facts {
            if let Some(value) = value {
                self.line(&format!("{what}: {}", shown(&value)));
            }
        }
    }

    fn kind(&self, call: &CallEntry) -> PluginKind {
        match call.instance.as_str() {
            setting::AA => PluginKind::Aa,
            _ => PluginKind::CredentialStore,
        }
    }

    fn place(&self, call: &CallEntry) -> Option<&Place> {
        self.played.places.iter().find(|(role, _)| *role == call.instance.as_str()).map(|(_, place)| place)
    }

    /// Plugins' words are shown without what could act on a terminal.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", shown(line));
    }
}
