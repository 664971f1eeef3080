//! `[[local-credential-store]]` and `[[certificate-authority]]`.

use std::path::Path;
use std::time::Duration;

use keyward_model::Secret;
use toml::de::DeValue;

use super::key_text::pem_blocks;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{choice, integer, line, owned_line, text};
use crate::credential::{GATEWAY_USER, USER};
use crate::{CertificateAuthority, CredentialHost, CredentialRow, LocalCredentialStore, StoredKey};

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
    let key = private_key(section, base);
    let cert = section
        .optional("cert", |value| pem_blocks(text(value)?, "CERTIFICATE").map(|blocks| blocks.concat()));
    Some(StoredKey { kind: kind?.value, key: key?, cert: cert.map(|item| item.value) })
}

/// `key` or `key-file`.
fn private_key(section: &Section<'_>, base: &Path) -> Option<Secret> {
    let inline = section.secret("key");
    let file = section.optional("key-file", |value| read_file(value, base).map(Secret::new));
    if section.has("key") == section.has("key-file") {
        section.fault(Fault::new("this key must have either `key` or `key-file`"));
    }
    let key = inline.or(file)?;
    if !is_private_key(&key.value) {
        section.fault_at(key.at, Fault::new("this is no private key in PEM form").hint(KEY_HINT));
    }
    Some(key.value)
}

/// OpenSSH's extensions of certificates for users, all of which `ssh-keygen -s` gives by itself.
const EXTENSIONS: [&str; 5] = [
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];
/// Seconds: sshd judges a certificate at the log-in alone.
const VALIDITY: std::ops::RangeInclusive<u64> = 30..=86_400;
const DEFAULT_VALIDITY: Duration = Duration::from_secs(300);

pub(super) fn authority(section: &Section<'_>, base: &Path) -> Option<CertificateAuthority> {
    let key = private_key(section, base);
    let mut principals = values(section.list("principals", principal));
    if !section.has("principals") {
        principals.push(USER.to_owned());
    } else if principals.is_empty() {
        section.fault(Fault::new("these certificates would be for nobody").hint(
            "leave `principals` out for the remote user, or write some, with {user} and {gateway-user} for the session's",
        ));
    }
    let validity = section.optional("validity", integer(VALIDITY));
    let words = EXTENSIONS.map(|word| (word, word));
    let extensions: Vec<String> =
        section.list("extensions", choice(&words)).into_iter().map(|item| item.value.to_owned()).collect();
    let has_own = section.has("extensions");
    Some(CertificateAuthority {
        key: key?,
        principals,
        validity: validity.map_or(DEFAULT_VALIDITY, |item| Duration::from_secs(item.value)),
        extensions: if has_own { extensions } else { EXTENSIONS.map(str::to_owned).to_vec() },
    })
}

/// A name, in which nothing but the two places stands in braces.
fn principal(value: &DeValue<'_>) -> Result<String, Fault> {
    let name = line(value)?;
    if name.replace(GATEWAY_USER, "").replace(USER, "").contains(['{', '}']) {
        return Err(Fault::new(format!("{name:?} has braces of no meaning"))
            .hint("what may stand in braces is {user} and {gateway-user}"));
    }
    Ok(name.to_owned())
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
