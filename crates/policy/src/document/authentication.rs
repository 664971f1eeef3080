//! `[[authentication]]`.

use std::ops::RangeInclusive;
use std::path::Path;

use toml::de::DeValue;

use super::defined::Defined;
use super::key_text::{USER_KEY_TYPES, public_key};
use super::ldap::attribute;
use super::plugin::{read_binary, read_file};
use super::report::Fault;
use super::section::{Item, Section};
use super::user::values;
use super::value::{choice, integer, text};
use crate::{Authentication, Backend, LdapServer, Method, Revocations, UserCa};

const METHODS: [(&str, Method); 3] = [
    ("public-key", Method::PublicKey),
    ("password", Method::Password),
    ("keyboard-interactive", Method::KeyboardInteractive),
];

/// Where OpenSSH's schema for LDAP has a user's keys.
const PUBLIC_KEYS: &str = "sshPublicKey";

pub(super) fn authentication(
    section: &Section<'_>,
    name: Option<String>,
    base: &Path,
    ldap_servers: &Defined<LdapServer>,
) -> Option<Authentication> {
    let faults_before = section.faults_so_far();
    let sequences = sequences(section);
    let sequences_are_sound = section.faults_so_far() == faults_before;
    let label = "[[authentication.user-ca]]";
    let authorities = section.sections("user-ca", label, label);
    let user_cas = authorities.iter().flat_map(|authority| user_ca(authority, base)).collect();
    let takes_keys = sequences.iter().flatten().any(|method| *method == Method::PublicKey);
    if !authorities.is_empty() && !takes_keys && sequences_are_sound {
        let fault = Fault::new("certificates are public keys, which this [[authentication]] does not take");
        section.fault(fault.hint("add the method \"public-key\", or leave `user-ca` out"));
    }
    let revoked_keys = section.list("revoked-keys", |value| user_key(text(value)?));
    let revoked_files = section.list("revoked-key-files", |value| revoked(&read_binary(value, base)?));
    let mut revoked_keys = values(revoked_keys);
    let mut revocations = Revocations::default();
    for file in values(revoked_files) {
        match file {
            Revoked::Keys(keys) => revoked_keys.extend(keys),
            Revoked::List(list) => revocations.add(list),
        }
    }
    let backend = backend(section, ldap_servers);
    Some(Authentication { name: name?, sequences, backend: backend?, user_cas, revoked_keys, revocations })
}

/// What a file of `revoked-key-files` is.
enum Revoked {
    Keys(Vec<String>),
    List(Revocations),
}

fn revoked(file: &[u8]) -> Result<Revoked, Fault> {
    if Revocations::is_list(file) {
        return Revocations::parse(file).map(Revoked::List).map_err(|error| {
            Fault::new(error.to_string())
                .hint("`ssh-keygen -k` makes one, `ssh-keygen -Q -l -f FILE` shows it")
        });
    }
    let text = str::from_utf8(file).map_err(|_| {
        Fault::new("this file is no list of keys")
            .hint("write a public key in each line, or a key revocation list with `ssh-keygen -k`")
    })?;
    key_lines(text).map(Revoked::Keys)
}

/// `methods` are sequences of one.
fn sequences(section: &Section<'_>) -> Vec<Vec<Method>> {
    // Both are read, so that neither is called unknown.
    let (methods, sequences) = (methods(section), several(section, "sequences", sequence));
    match (section.has("methods"), section.has("sequences")) {
        (true, false) | (false, true) => {}
        (true, true) => {
            let fault = Fault::new("this [[authentication]] has both `methods` and `sequences`");
            section.fault(fault.hint("keep one of them"));
        }
        (false, false) => {
            let fault = Fault::new("this [[authentication]] needs one of `methods` and `sequences`");
            section.fault(fault.hint(
                "write methods = [\"public-key\", \"password\"] where one of them is enough, or \
                 sequences = [[\"public-key\", \"keyboard-interactive\"]]",
            ));
        }
    }
    methods.into_iter().map(|method| vec![method]).chain(values(sequences)).collect()
}

fn methods(section: &Section<'_>) -> Vec<Method> {
    let methods = several(section, "methods", choice(&METHODS));
    for (n, method) in methods.iter().enumerate() {
        if methods.iter().take(n).any(|earlier| earlier.value == method.value) {
            section
                .fault_at(method.at, Fault::new("this method stands before").hint("write each method once"));
        }
    }
    values(methods)
}

/// A list that has an element where it is there.
fn several<'d, T>(
    section: &Section<'d>,
    key: &'static str,
    read: impl Fn(&'d DeValue<'d>) -> Result<T, Fault>,
) -> Vec<Item<T>> {
    section.refuse_empty(key, Fault::new(format!("`{key}` must not be empty")));
    section.list(key, read)
}

fn sequence(value: &DeValue<'_>) -> Result<Vec<Method>, Fault> {
    let form = "write the methods in their order: [\"public-key\", \"keyboard-interactive\"]";
    let items = value.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| Fault::new("a sequence is a list of methods").hint(form))?;
    let mut methods = Vec::new();
    for item in items.iter() {
        let method = choice(&METHODS)(item.get_ref())?;
        if methods.contains(&method) {
            return Err(Fault::new("a sequence has no method twice").hint(form));
        }
        methods.push(method);
    }
    if methods.contains(&Method::Password) && methods.contains(&Method::KeyboardInteractive) {
        let fault = Fault::new("`password` and `keyboard-interactive` ask for the same password");
        return Err(fault.hint("keep one of them, and add public-key for a second proof"));
    }
    Ok(methods)
}

fn backend(section: &Section<'_>, ldap_servers: &Defined<LdapServer>) -> Option<Backend> {
    if !section.has("backend") {
        return Some(Backend::Local);
    }
    if !section.is_table("backend") {
        section.optional("backend", local)?;
        return Some(Backend::Local);
    }
    let form = "backend = \"local\" or { ldap = \"...\" }";
    let ldap = section.section("backend", "backend", form)?;
    let server = ldap.required_with_hint("ldap", LOCAL_OR_LDAP, text);
    let public_keys = ldap.optional("public-keys", attribute);
    let server = server?;
    ldap_servers.find(&ldap, &server)?;
    Some(Backend::Ldap {
        server: server.value.to_owned(),
        public_keys: public_keys.map_or_else(|| PUBLIC_KEYS.to_owned(), |item| item.value),
    })
}

const LOCAL_OR_LDAP: &str = "write \"local\", or { ldap = \"corp\" } with the name of an [[ldap-server]]";

fn local(value: &DeValue<'_>) -> Result<(), Fault> {
    match text(value)? {
        "ldap" => Err(Fault::new("the backend \"ldap\" needs a server")
            .hint("write backend = { ldap = \"...\" } with the name of an [[ldap-server]]")),
        _ => choice(&[("local", ())])(value).map_err(|fault| fault.hint(LOCAL_OR_LDAP)),
    }
}

/// One authority, or as many as a file has lines.
fn user_ca(section: &Section<'_>, base: &Path) -> Vec<UserCa> {
    let key = section.optional("key", |value| user_key(text(value)?));
    let file = section.optional("key-file", |value| authority_keys(&read_file(value, base)?));
    if section.has("key") == section.has("key-file") {
        let fault = Fault::new("a user-ca needs one of `key` and `key-file`");
        section.fault(fault.hint("write the authority's public key: key = \"ssh-ed25519 AAAA...\""));
    }
    let revoked_serials = values(section.list("revoked-serials", serials));
    let revoked_key_ids = values(section.list("revoked-key-ids", |value| text(value).map(str::to_owned)));
    let keys = key.map(|item| item.value).into_iter().chain(file.into_iter().flat_map(|item| item.value));
    let authority = |key| UserCa {
        key,
        revoked_serials: revoked_serials.clone(),
        revoked_key_ids: revoked_key_ids.clone(),
    };
    keys.map(authority).collect()
}

/// The keys of a file that is an authority only if it has one.
fn authority_keys(text: &str) -> Result<Vec<String>, Fault> {
    let keys = key_lines(text)?;
    if keys.is_empty() {
        let fault = Fault::new("there is no public key in this file");
        return Err(fault.hint("write the authority's public key into it: ssh-ed25519 AAAA..."));
    }
    Ok(keys)
}

/// A number, or a text as `20-30`, both ends included.
fn serials(value: &DeValue<'_>) -> Result<RangeInclusive<u64>, Fault> {
    let Some(range) = value.as_str() else {
        return integer(0..=u64::MAX)(value).map(|serial| serial..=serial);
    };
    let ends = range.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
    match ends {
        Some((first, last)) if first <= last => Ok(first..=last),
        Some(_) | None => Err(Fault::new("these are no serial numbers").hint("write 17, or \"20-30\"")),
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn user_key(text: &str) -> Result<String, Fault> {
    public_key(text, USER_KEY_TYPES)
}

/// The keys of a file with one in each line; empty lines and those that begin with `#` are left out.
fn key_lines(text: &str) -> Result<Vec<String>, Fault> {
    let lines = text.lines().map(str::trim).enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    keys.map(|(n, line)| user_key(line).map_err(|fault| fault.within(&format!("line {} of the file", n + 1))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_a_number_or_a_range() {
        let read = |text: &str| serials(&DeValue::String(text.into())).ok();
        assert_eq!(read("20-30"), Some(20..=30));
        assert_eq!(read("0-18446744073709551615"), Some(0..=u64::MAX));
        for bad in ["", "20", "30-20", "a-b", "1-18446744073709551616", "-1-2"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
