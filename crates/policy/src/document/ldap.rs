//! `[[ldap-server]]`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use keyward_model::Secret;
use toml::de::DeValue;

use super::defined::Defined;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{choice, line, owned_line, seconds, text};
use crate::pattern::is_host_name;
use crate::{LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls, TrustedCaList};

/// Where the name of the user stands in a filter.
const USER: &str = "{user}";
const USER_FILTER: &str = "(uid={user})";
const GROUP_FILTER: &str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group))";
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ADDRESSES: usize = 16;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Protection {
    None,
    StartTls,
    Ldaps,
}

pub(super) fn server(
    section: &Section<'_>,
    base: &Path,
    trusted_cas: &Defined<TrustedCaList>,
) -> Option<LdapServer> {
    let words =
        [("ldaps", Protection::Ldaps), ("starttls", Protection::StartTls), ("none", Protection::None)];
    let protection = section.optional("tls", choice(&words)).map_or(Protection::Ldaps, |item| item.value);
    let tls = tls(section, protection, trusted_cas);
    let addresses = addresses(section, protection);
    let bind = bind(section, base);
    let search_base = section.required("base", owned_line);
    let user_filter = section.optional("user-filter", user_filter);
    let groups = LdapGroups {
        filter: section.optional("group-filter", filter).map_or(GROUP_FILTER.into(), |item| item.value),
        name: section.optional("group-name", attribute).map_or("cn".into(), |item| item.value),
        members: attributes(section, "group-members", &["member", "uniqueMember"]),
        member_names: attributes(section, "group-member-names", &["memberUid"]),
    };
    let timeout = section.optional("timeout", seconds).map_or(TIMEOUT, |item| item.value);
    Some(LdapServer {
        addresses,
        tls: tls?,
        bind: bind?,
        base: search_base?.value,
        user_filter: user_filter.map_or(USER_FILTER.into(), |item| item.value),
        groups,
        timeout,
    })
}

fn tls(section: &Section<'_>, protection: Protection, lists: &Defined<TrustedCaList>) -> Option<LdapTls> {
    let Some(name) = section.optional("trusted-ca-list", line) else {
        if protection == Protection::None {
            return Some(LdapTls::None);
        }
        if !section.has("trusted-ca-list") {
            let fault = Fault::new("this [[ldap-server]] has no `trusted-ca-list`");
            section.fault(
                fault.hint(
                    "name a [[trusted-ca-list]], or write tls = \"none\" to send passwords in the clear",
                ),
            );
        }
        return None;
    };
    let list = lists.find(section, &name)?.clone();
    match protection {
        Protection::None => {
            let fault = Fault::new("without TLS nobody's certificate is checked");
            section.fault_at(name.at, fault.hint("leave `trusted-ca-list` out, or `tls`"));
            None
        }
        Protection::StartTls => Some(LdapTls::StartTls(list)),
        Protection::Ldaps => Some(LdapTls::Ldaps(list)),
    }
}

fn addresses(section: &Section<'_>, protection: Protection) -> Vec<LdapAddress> {
    // People write URLs here, with a password in them.
    section.hide("addresses");
    let port = match protection {
        Protection::Ldaps => 636,
        Protection::None | Protection::StartTls => 389,
    };
    let addresses = section.required_list("addresses", |value| address(text(value)?, port));
    if let Some(item) = addresses.get(MAX_ADDRESSES) {
        section.fault_at(item.at, Fault::new(format!("more than {MAX_ADDRESSES} addresses")));
    }
    values(addresses)
}

/// `name`, `name:port`, `1.2.3.4:port`, `2001:db8::7`, `[2001:db8::7]:port`.
fn address(text: &str, default: u16) -> Result<LdapAddress, Fault> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok(LdapAddress { host: addr.ip().to_string(), port: addr.port() });
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(LdapAddress { host: ip.to_string(), port: default });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
        None => (text, Some(default)),
    };
    match port {
        Some(port) if is_host_name(host) => Ok(LdapAddress { host: host.to_owned(), port }),
        Some(_) | None => Err(Fault::new("this is no server")
            .hint("write a name or an address, with a port if it is another than LDAP's, and no URL: \"ldap1:3269\"")),
    }
}

/// The outer `None` is a fault, the inner one an anonymous bind.
fn bind(section: &Section<'_>, base: &Path) -> Option<Option<LdapBind>> {
    let dn = section.optional("bind-dn", owned_line);
    let inline = section.secret("bind-password");
    let file = section.optional("bind-password-file", |value| password_file(value, base));
    let passwords = [section.has("bind-password"), section.has("bind-password-file")];
    let given = passwords.into_iter().filter(|given| *given).count();
    if given != usize::from(section.has("bind-dn")) {
        let fault = Fault::new("this [[ldap-server]] needs `bind-dn` and one password, or none of them");
        section.fault(fault.hint("write `bind-dn` with `bind-password` or `bind-password-file`"));
        return None;
    }
    if given == 0 {
        return Some(None);
    }
    Some(Some(LdapBind { dn: dn?.value, password: inline.or(file)?.value }))
}

/// The first line of a file.
pub(super) fn password_file(value: &DeValue<'_>, base: &Path) -> Result<Secret, Fault> {
    let text = Secret::new(read_file(value, base)?);
    match text.expose().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        Some(_) | None => Err(Fault::new("the first line of this file is empty")),
    }
}

fn user_filter(value: &DeValue<'_>) -> Result<String, Fault> {
    let filter = filter(value)?;
    if filter.contains(USER) {
        Ok(filter)
    } else {
        Err(Fault::new("this filter finds the same entries for every user")
            .hint("write {user} where the name stands: \"(uid={user})\""))
    }
}

/// A filter whose parentheses match; the rest of RFC 4515 is judged when the gateway starts.
fn filter(value: &DeValue<'_>) -> Result<String, Fault> {
    let filter = owned_line(value)?;
    let mut depth = 0_u32;
    for (n, c) in filter.char_indices() {
        depth = match c {
            '(' => Some(depth + 1),
            ')' => depth.checked_sub(1),
            // Nothing stands outside of the first pair.
            _ => (depth > 0).then_some(depth),
        }
        .filter(|depth| *depth > 0 || n + 1 == filter.len())
        .ok_or_else(no_filter)?;
    }
    if depth == 0 { Ok(filter) } else { Err(no_filter()) }
}

fn no_filter() -> Fault {
    Fault::new("this is no LDAP filter").hint("put it into parentheses: \"(objectClass=groupOfNames)\"")
}

fn attributes(section: &Section<'_>, key: &'static str, default: &[&str]) -> Vec<String> {
    let given = values(section.list(key, attribute));
    if section.has(key) { given } else { default.iter().map(|&name| name.to_owned()).collect() }
}

/// The name of an attribute (RFC 4512 section 2.5).
pub(super) fn attribute(value: &DeValue<'_>) -> Result<String, Fault> {
    let name = line(value)?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(Fault::new(format!("{name:?} is no name of an attribute")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port() {
        for (text, host, port) in [
            ("ldap1", "ldap1", 636),
            ("ldap1.example.com:1636", "ldap1.example.com", 1636),
            ("10.0.0.7", "10.0.0.7", 636),
            ("10.0.0.7:389", "10.0.0.7", 389),
            ("2001:db8::7", "2001:db8::7", 636),
            ("[2001:db8::7]:389", "2001:db8::7", 389),
        ] {
            assert_eq!(address(text, 636).ok(), Some(LdapAddress { host: host.into(), port }), "{text}");
        }
        for bad in
            ["", "ldap://ldap1", "ldaps://u:pw@ldap1", "ldap1:", "ldap1:0", "ldap1:99999", "10.0.0.999"]
        {
            assert!(address(bad, 636).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_is_one_pair_of_parentheses() {
        for (text, good) in [
            ("(uid={user})", true),
            ("(&(a=b)(|(c=d)(e=f)))", true),
            ("uid={user}", false),
            ("(a=b)(c=d)", false),
            ("(a=b", false),
            ("(a=b))", false),
            (")(", false),
        ] {
            assert_eq!(filter(&DeValue::String(text.into())).is_ok(), good, "{text}");
        }
    }
}
