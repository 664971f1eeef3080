//! The boundaries between crates, from what cargo resolves.

use anyhow::Result;

use super::metadata::{Arrows, Metadata, Package};
use super::{Findings, Subject};

const PREFIX: &str = "keyward-";
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The design's table, with what each crate may name of those below it. Tests obey it too.
/// `None`: a crate that the table does not know.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "model" | "wire" | "xtask" => &[],
        "ssh" | "trail" | "plugin" | "store" => &["model"],
        "policy" | "search" => &["model", "trail"],
        "content" => &["policy"],
        "session" => &["model", "policy", "content", "plugin", "trail", "store"],
        "api" => &["model", "session", "store", "policy", "plugin"],
        "keyward" => {
            &["proxy-*", "ssh", "api", "session", "policy", "plugin", "store", "trail", "search", "model"]
        }
        // It judges the program from outside, and reads what that leaves behind.
        "testsuite" => &["model", "trail", "plugin"],
        proxy if proxy.starts_with("proxy-") => &["session", "ssh", "wire", "policy", "trail", "model"],
        _ => return None,
    })
}

pub(super) fn arrows(subject: &Subject) -> Result<Findings> {
    let metadata = &subject.metadata;
    Ok(metadata.members().flat_map(|member| wrong_arrows(metadata, member)).collect())
}

fn wrong_arrows(metadata: &Metadata, member: &Package) -> Findings {
    let name = short(&member.name);
    let Some(allowed) = allowed(name) else {
        return vec![format!("{name} is not in the table: add it there with what it may depend on")];
    };
    let own = metadata.direct(member, Arrows::All).filter(|package| package.source.is_none());
    own.map(|package| short(&package.name))
        .filter(|other| *other != name && !permits(allowed, other))
        .map(|other| format!("{name} -> {other}; it may depend on: {}", allowed.join(", ")))
        .collect()
}

fn permits(allowed: &[&str], name: &str) -> bool {
    allowed.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *entry == name,
    })
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

pub(super) fn without_tokio(subject: &Subject) -> Result<Findings> {
    let crates = [
        "keyward-model",
        "keyward-wire",
        "keyward-ssh",
        "keyward-trail",
        "keyward-content",
        "keyward-search",
    ];
    Ok(crates.iter().flat_map(|name| holds(&subject.metadata, name, &["tokio"])).collect())
}

pub(super) fn session_without_protocols(subject: &Subject) -> Result<Findings> {
    Ok(holds(
        &subject.metadata,
        "keyward-session",
        &["keyward-ssh", "ironrdp*", "axum", "hyper", "keyward-wire"],
    ))
}

pub(super) fn plugin_without_session(subject: &Subject) -> Result<Findings> {
    Ok(holds(&subject.metadata, "keyward-plugin", &["keyward-session"]))
}

pub(super) fn one_crypto_library(subject: &Subject) -> Result<Findings> {
    let others = ["openssl*", "native-tls", "ring", "boring*", "wolfssl*", "libssh2-sys", "mbedtls*"];
    Ok(holds(&subject.metadata, "keyward", &others))
}

/// Which of `unwanted` the crate ends up with.
fn holds(metadata: &Metadata, name: &str, unwanted: &[&str]) -> Findings {
    let Some(member) = metadata.member(name) else { return Findings::new() };
    let closure = metadata.closure(member);
    let found = closure.into_iter().filter(|dependency| permits(unwanted, dependency));
    found
        .map(|dependency| format!("{name} ends up with {dependency}: cargo tree -p {name} -i {dependency}"))
        .collect()
}

pub(super) fn one_user_each(subject: &Subject) -> Result<Findings> {
    const USERS: [(&str, &str); 7] = [
        ("ssh-key", "ssh"),
        ("ironrdp*", "proxy-rdp"),
        ("sqlx*", "store"),
        ("axum*", "api"),
        ("ldap3", "plugin"),
        ("rusty-s3", "keyward"),
        ("tantivy*", "search"),
    ];
    let metadata = &subject.metadata;
    let mut findings = Findings::new();
    for member in metadata.members() {
        for dependency in metadata.direct(member, Arrows::Shipped) {
            let user = USERS.iter().find(|(library, _)| permits(&[library], &dependency.name));
            if let Some((_, user)) = user.filter(|(_, user)| short(&member.name) != *user) {
                findings.push(format!("{} -> {}; only {user} may use it", member.name, dependency.name));
            }
        }
    }
    Ok(findings)
}

pub(super) fn one_registry(subject: &Subject) -> Result<Findings> {
    let foreign = |package: &&Package| package.source.as_deref().is_some_and(|source| source != REGISTRY);
    let shown =
        |package: &Package| format!("{} from {}", package.name, package.source.as_deref().unwrap_or("?"));
    Ok(subject.metadata.packages().filter(foreign).map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::{allowed, permits};

    #[test]
    fn a_star_stands_for_any_ending() {
        assert!(permits(&["proxy-*"], "proxy-ssh"));
        assert!(permits(&["ring"], "ring"));
        assert!(!permits(&["ring"], "ring-compat"));
    }

    #[test]
    fn no_proxy_may_depend_on_another() {
        let allowed = allowed("proxy-telnet").unwrap();
        assert!(permits(allowed, "session"));
        assert!(!permits(allowed, "proxy-ssh"));
    }
}
