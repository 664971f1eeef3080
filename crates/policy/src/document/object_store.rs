//! `[gateway.object-store]`.

use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use super::defined::Defined;
use super::ldap::password_file;
use super::report::Fault;
use super::section::{Item, Section};
use super::timestamps::is_server;
use super::value::{flag, line, owned_line, seconds, term};
use crate::{ObjectStorePolicy, TrustedCaList};

pub(super) const FORM: &str =
    "[gateway.object-store] with endpoint, bucket, access-key, secret-key-file and trusted-ca-list";

/// How often running recordings are sent where the document says nothing.
const SPOOL_EVERY: Duration = Duration::from_secs(60);

pub(super) fn policy(
    section: &Section<'_>,
    base: &Path,
    trusted_cas: &Defined<TrustedCaList>,
) -> Option<ObjectStorePolicy> {
    // People write passwords into URLs.
    section.hide("endpoint");
    let faults = section.faults_so_far();
    let endpoint = section.required_with_hint("endpoint", "endpoint = \"https://s3.example.com\"", endpoint);
    let bucket = section.required("bucket", bucket);
    let region = section.optional("region", word);
    let prefix = section.optional("prefix", prefix);
    let path_style = section.optional("path-style", flag);
    let allow_http = section.optional("allow-http", flag).is_some_and(|item| item.value);
    let access_key = section.required("access-key", owned_line);
    let inline = section.secret("secret-key");
    let file = section.optional("secret-key-file", |value| password_file(value, base));
    if section.has("secret-key") == section.has("secret-key-file") {
        let fault = Fault::new("this object store needs one secret key");
        section
            .fault(fault.hint("write `secret-key-file = \"PATH\"` (or `secret-key`), and only one of them"));
    }
    let keep_local_for = section.optional("keep-local-for", term).map(|item| item.value);
    let unsent_at_most = section.optional("unsent-at-most", seconds);
    let spool_every = spool_every(section, unsent_at_most.as_ref());
    let list = section.optional("trusted-ca-list", line);
    let endpoint = endpoint?;
    let certificates = match list {
        _ if endpoint.value.starts_with("http://") => {
            if !allow_http {
                let fault = Fault::new("with http:// anybody on the way reads what is not encrypted");
                section.fault_at(endpoint.at, fault.hint("write https://, or `allow-http = true` besides"));
            }
            Vec::new()
        }
        Some(name) => {
            let list = trusted_cas.find(section, &name)?;
            if !list.crls.is_empty() {
                let fault =
                    Fault::new("this list has revocation lists, which nobody asks about an object store");
                section.fault_at(name.at, fault.hint("name a list of its own with the store's CA alone"));
            }
            list.certificates.clone()
        }
        None => {
            let fault = Fault::new("whom the certificate of this server must come from is not said");
            section.fault_at(endpoint.at, fault.hint("add `trusted-ca-list = \"...\"`, the name of one"));
            Vec::new()
        }
    };
    let policy = ObjectStorePolicy {
        endpoint: endpoint.value,
        bucket: bucket?.value,
        region: region.map_or_else(|| "us-east-1".to_owned(), |item| item.value),
        prefix: prefix.map(|item| item.value).unwrap_or_default(),
        path_style: path_style.is_none_or(|item| item.value),
        access_key: access_key?.value,
        secret_key: inline.or(file)?.value,
        certificates,
        keep_local_for,
        spool_every,
        unsent_at_most: unsent_at_most.map(|item| item.value),
    };
    (section.faults_so_far() == faults).then_some(policy)
}

/// What is sent at an interval is not late before the interval is over, and the store needs some time as well.
fn spool_every(section: &Section<'_>, unsent_at_most: Option<&Item<Duration>>) -> Duration {
    let every = section.optional("spool-every", seconds);
    let Some(most) = unsent_at_most else { return every.map_or(SPOOL_EVERY, |item| item.value) };
    let Some(every) = every else { return SPOOL_EVERY.min(most.value / 3) };
    if most.value < every.value * 2 {
        let fault = Fault::new("what is sent so rarely is late even when the store takes it at once");
        section.fault_at(most.at, fault.hint("write at least twice the seconds of `spool-every`"));
    }
    every.value
}

fn endpoint(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value)?;
    let server = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if server.is_some_and(|server| is_server(server.strip_suffix('/').unwrap_or(server))) {
        return Ok(text.strip_suffix('/').unwrap_or(text).to_owned());
    }
    Err(Fault::new("this is no endpoint of an object store").hint(
        "write https://, and a name or an address, with neither user nor path: \"https://s3.example.com\"",
    ))
}

/// As the rules of S3 for names of buckets have it.
fn bucket(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value)?;
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = [text.bytes().next(), text.bytes().last()].into_iter().flatten().all(is_letter);
    let is_good = (3..=63).contains(&text.len())
        && text.bytes().all(|byte| is_letter(byte) || byte == b'-' || byte == b'.')
        && ends_well
        && !text.contains("..");
    is_good.then(|| text.to_owned()).ok_or_else(|| {
        Fault::new("this is no name of a bucket").hint("3 to 63 of a-z, 0-9, `-` and `.`, as \"recordings\"")
    })
}

fn word(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value)?;
    let is_good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_good.then(|| text.to_owned()).ok_or_else(|| Fault::new("this is no name of a region"))
}

/// Folders of an object store are beginnings of names.
fn prefix(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut parts = text.strip_suffix('/').unwrap_or_default().split('/');
    let is_good = parts.all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_letter));
    is_good.then(|| text.to_owned()).ok_or_else(|| {
        Fault::new("this is no prefix")
            .hint("letters, digits, `-`, `_`, `.` and `/`, with `/` at its end: \"node-1/\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_buckets_and_prefixes_are_what_a_store_takes() {
        let value = |text: &str| DeValue::String(text.to_owned().into());
        for good in ["https://s3.example.com", "http://127.0.0.1:9000/", "https://[::1]:443"] {
            assert!(endpoint(&value(good)).is_ok(), "{good}");
        }
        for bad in
            ["s3.example.com", "https://", "https://a:b@c", "https://s3/bucket", "ftp://s3", "https://s3?x"]
        {
            assert!(endpoint(&value(bad)).is_err(), "{bad}");
        }
        assert!(bucket(&value("my-trails.1")).is_ok());
        for bad in ["ab", "Trails", "-ab", "a..b", "a/b", "a_b"] {
            assert!(bucket(&value(bad)).is_err(), "{bad}");
        }
        assert!(prefix(&value("a/b-1/")).is_ok());
        for bad in ["a", "/a/", "a//", "../", "a b/", "/"] {
            assert!(prefix(&value(bad)).is_err(), "{bad}");
        }
    }
}
