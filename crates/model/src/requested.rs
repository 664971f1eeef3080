//! A server as the person who connects names it.

use std::net::IpAddr;

use crate::{Grammar, Host, LoginError};

/// A server as a user asks for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requested {
    pub host: Host,
    /// `None`: the protocol's own.
    pub port: Option<u16>,
}

impl Requested {
    /// A server whose name or address, without brackets, and port are given apart; `None`: there can be none.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let host = Host::parse(host);
        let is_possible = match &host {
            Host::Ip(_) => true,
            Host::Name(name) => !name.is_empty() && name.chars().all(is_host_character),
        };
        (is_possible && port > 0).then_some(Self { host, port: Some(port) })
    }

    /// Reads `host`, `host:port`, `[IPv6]` or `[IPv6]:port` in the signs of `grammar`; `None` for an empty text.
    pub fn parse(text: &str, grammar: Grammar) -> Result<Option<Self>, LoginError> {
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || LoginError::BadServer(text.to_owned());
        let (open, close) = grammar.brackets();
        let (host, rest) = match text.strip_prefix(open) {
            Some(inner) => {
                let (address, rest) = inner.split_once(close).ok_or_else(bad)?;
                let address = address.replace('^', ":").parse().map_err(|_| bad())?;
                (Host::Ip(IpAddr::V6(address)), rest)
            }
            None => {
                let end = text.find(grammar.port_signs()).unwrap_or(text.len());
                let (host, rest) = text.split_at(end);
                // Without brackets the colons of an IPv6 address cannot be told from the one before a port.
                if host.is_empty() || !host.chars().all(is_host_character) {
                    return Err(bad());
                }
                (Host::parse(host), rest)
            }
        };
        let mut rest = rest.chars();
        let port = match rest.next() {
            None => None,
            Some(sign) if grammar.port_signs().contains(&sign) => {
                let digits = rest.as_str();
                if digits.contains(grammar.port_signs()) {
                    return Err(bad());
                }
                Some(parse_port(digits)?)
            }
            Some(_) => return Err(bad()),
        };
        Ok(Some(Self { host, port }))
    }
}

fn parse_port(digits: &str) -> Result<u16, LoginError> {
    match digits.parse() {
        Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        Ok(_) | Err(_) => Err(LoginError::BadPort(digits.to_owned())),
    }
}

fn is_host_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_named_apart_from_its_port_is_one_that_there_can_be() {
        let named = |host, port| Requested::new(host, port).map(|server| server.host.to_string());
        assert_eq!(named("DB1.example.com.", 22).as_deref(), Some("db1.example.com"));
        assert_eq!(named("2001:db8::1", 22).as_deref(), Some("2001:db8::1"));
        for (host, port) in
            [("db1", 0), ("", 22), (".", 22), ("a b", 22), ("a/b", 22), ("[::1]", 22), ("a\n", 22)]
        {
            assert_eq!(named(host, port), None, "{host:?}:{port}");
        }
    }
}
