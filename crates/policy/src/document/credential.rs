//! `[[local-credential-store]]`.

use std::path::Path;

use keyward_model::Secret;

use super::key_text::pem_blocks;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{line, owned_line, text};
use crate::{CredentialHost, CredentialRow, LocalCredentialStore, StoredKey};

pub(super) fn store(section: &Section<'_>, base: &Path) -> LocalCredentialStore {
    let label = "[[local-credential-store.row]]";
    let rows = section.sections("row", label, label);
    LocalCredentialStore { rows: rows.iter().filter_map(|section| row(section, base)).collect() }
}

fn row(section: &Section<'_>, base: &Path) -> Option<CredentialRow> {
    let host = section.required("host", |value| line(value).map(CredentialHost::new));
    let user = section.required("user", owned_line);
    let passwords = values(section.secrets("passwords"));
    let form = "[[local-credential-store.row.keys]], or { kind = \"ssh-rsa\", key-file = \"...\" }";
    let keys = section.sections("keys", "key", form);
    let keys: Vec<_> = keys.iter().filter_map(|section| key(section, base)).collect();
    if !section.has("passwords") && !section.has("keys") {
        section.fault(Fault::new("this row has no credential").hint("add `passwords` or `keys`"));
    }
    Some(CredentialRow { host: host?.value, user: user?.value, passwords, keys })
}

fn key(section: &Section<'_>, base: &Path) -> Option<StoredKey> {
    let kind = section.required("kind", owned_line);
    let inline = section.secret("key");
    let file = section.optional("key-file", |value| read_file(value, base).map(Secret::new));
    let cert = section
        .optional("cert", |value| pem_blocks(text(value)?, "CERTIFICATE").map(|blocks| blocks.concat()));
    if section.has("key") == section.has("key-file") {
        section.fault(Fault::new("this key must have either `key` or `key-file`"));
    }
    let key = inline.or(file)?;
    if !is_private_key(&key.value) {
        section.fault_at(key.at, Fault::new("this is no private key in PEM form").hint(KEY_HINT));
    }
    Some(StoredKey { kind: kind?.value, key: key.value, cert: cert.map(|item| item.value) })
}

const KEY_HINT: &str = "it begins with a line -----BEGIN ... PRIVATE KEY-----";

/// Whether the text has the frame of a key: what is in it, the protocol that uses it must judge.
fn is_private_key(text: &Secret) -> bool {
    let text = text.expose().trim();
    let begins =
        |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with("PRIVATE KEY-----");
    let ends = |line: &str| line.starts_with("-----END ") && line.ends_with("PRIVATE KEY-----");
    text.lines().next().is_some_and(begins) && text.lines().last().is_some_and(ends)
}
