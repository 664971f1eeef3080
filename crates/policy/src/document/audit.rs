//! `[[audit-policy]]`.

use std::path::Path;
use std::sync::Arc;

use keyward_trail::{HiddenInputPolicy, KeyError, Recipient, Recipients};
use toml::de::DeValue;

use super::defined::Defined;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::timestamps;
use super::value::{choice, term, text};
use crate::{AuditPolicy, Indexing, TrustedCaList};

/// How many of the recipients it takes to read a recording.
#[derive(Clone, Copy)]
enum Needs {
    Any,
    All,
}

pub(super) fn policy(
    section: &Section<'_>,
    base: &Path,
    trusted_cas: &Defined<TrustedCaList>,
) -> Option<AuditPolicy> {
    section.not_yet(&["signing-key"]);
    let keep_for = section.optional("keep-for", term);
    let typed = section.section("typed", "audit-policy.typed", "typed = { recipients = [...] }");
    let stamped = section.section("timestamps", "audit-policy.timestamps", timestamps::FORM);
    let says = ["recipients", "typed", "hidden-input", "timestamps", "keep-for", "index"];
    if !says.iter().any(|word| section.has(word)) {
        let fault = Fault::new("this [[audit-policy]] says nothing");
        section.fault(fault.hint(
            "add `recipients`, `hidden-input`, `timestamps`, `keep-for` or `index`, or leave the policy out: recordings are signed and kept without one",
        ));
        return None;
    }
    let faults = section.faults_so_far();
    let words =
        [("as-recorded", Indexing::AsRecorded), ("later", Indexing::Later), ("never", Indexing::Never)];
    let index = section.optional("index", choice(&words)).map_or(Indexing::default(), |item| item.value);
    let shown = section.has("recipients").then(|| recipients(section, base));
    let typed = typed.map(|typed| recipients(&typed, base));
    let hidden_input = hidden_input(section, base);
    let timestamps = stamped.and_then(|stamped| timestamps::policy(&stamped, trusted_cas)).map(Arc::new);
    let policy = AuditPolicy {
        shown: shown.flatten(),
        typed: typed.flatten(),
        hidden_input: hidden_input.unwrap_or_default(),
        keep_for: keep_for.map(|item| item.value),
        index,
        timestamps,
    };
    // What is at fault must not be taken for what is not there: that would not be encrypted.
    (section.faults_so_far() == faults).then_some(policy)
}

/// A word, or a table of recipients.
fn hidden_input(section: &Section<'_>, base: &Path) -> Option<HiddenInputPolicy> {
    const KEY: &str = "hidden-input";
    if section.is_table(KEY) {
        let own =
            section.section(KEY, "audit-policy.hidden-input", "hidden-input = { recipients = [...] }")?;
        return recipients(&own, base).map(HiddenInputPolicy::Recipients);
    }
    let words = [("record", Kept::Record), ("leave-out", Kept::LeaveOut)];
    const HINT: &str = "write \"record\", \"leave-out\" or { recipients = [...] }";
    let kept = section.optional(KEY, |value| choice(&words)(value).map_err(|fault| fault.hint(HINT)))?;
    Some(match kept.value {
        Kept::Record => HiddenInputPolicy::Record,
        Kept::LeaveOut => HiddenInputPolicy::LeaveOut,
    })
}

#[derive(Clone, Copy)]
enum Kept {
    Record,
    LeaveOut,
}

fn recipients(section: &Section<'_>, base: &Path) -> Option<Recipients> {
    let listed = section.required_list("recipients", |value| recipient(value, base));
    let words = [("any", Needs::Any), ("all", Needs::All)];
    let needs = section.optional("needs", choice(&words)).map_or(Needs::Any, |item| item.value);
    for (n, item) in listed.iter().enumerate() {
        if listed.iter().take(n).any(|earlier| earlier.value == item.value) {
            let fault = Fault::new("this key stands before");
            section.fault_at(item.at, fault.hint("write each key once"));
        }
    }
    if listed.len() > Recipients::MOST {
        let fault =
            Fault::new(format!("there are {} recipients, {} are the most", listed.len(), Recipients::MOST));
        section.fault_at(section.place_of("recipients"), fault);
    }
    let keys = listed.into_iter().map(|item| item.value).collect();
    match needs {
        Needs::Any => Recipients::any(keys),
        Needs::All => Recipients::all(keys),
    }
}

/// A public key of age, or the file of a certificate.
fn recipient(value: &DeValue<'_>, base: &Path) -> Result<Recipient, Fault> {
    const HINT: &str =
        "write a public key as `keyward trail new-key` prints it, or the path of a certificate";
    let written = text(value)?.trim();
    let fault = |error: KeyError| Fault::new(error.to_string()).hint(HINT);
    match Recipient::from_age(written) {
        Err(KeyError::NoAgeKey) if !written.starts_with("age1") => {
            Recipient::from_certificate(&read_file(value, base)?).map_err(fault)
        }
        found => found.map_err(fault),
    }
}
