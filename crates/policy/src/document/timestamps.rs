//! `timestamps` of an `[[audit-policy]]`.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use keyward_trail::TimestampAuthorities;
use toml::de::DeValue;

use super::defined::Defined;
use super::report::Fault;
use super::section::Section;
use super::value::{integer, line};
use crate::pattern::is_host_name;
use crate::{TimestampPolicy, TrustedCaList};

pub(super) const FORM: &str =
    "timestamps = { url = \"http://tsa.example.com/tsr\", trusted-ca-list = \"...\" }";
const INTERVAL: Duration = Duration::from_secs(300);
/// Seconds. A recording is sealed every ten, and only a seal can have a timestamp.
const INTERVALS: RangeInclusive<u64> = 10..=86_400;

pub(super) fn policy(section: &Section<'_>, trusted_cas: &Defined<TrustedCaList>) -> Option<TimestampPolicy> {
    // People write passwords into URLs.
    section.hide("url");
    let url = section.required_with_hint("url", FORM, url);
    let interval = section.optional("interval", integer(INTERVALS));
    let name = section.required("trusted-ca-list", line)?;
    let list = trusted_cas.find(section, &name)?;
    if !list.crls.is_empty() {
        let fault = Fault::new("this list has revocation lists, which nobody asks about timestamps");
        section.fault_at(name.at, fault.hint("name a list of its own with the authority's CA alone"));
        return None;
    }
    let authorities = TimestampAuthorities::from_pem(list.certificates.iter().map(String::as_str));
    let authorities = match authorities {
        Ok(authorities) => authorities,
        Err(error) => {
            section.fault_at(name.at, Fault::new(format!("this list names no authorities: {error}")));
            return None;
        }
    };
    Some(TimestampPolicy {
        url: url?.value,
        authorities,
        certificates: list.certificates.clone(),
        interval: interval.map_or(INTERVAL, |item| Duration::from_secs(item.value)),
    })
}

fn url(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = line(value)?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let server = rest.and_then(|rest| rest.split(['/', '?']).next());
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') && server.is_some_and(is_server) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("this is no URL of a timestamping authority")
        .hint("write http:// or https://, a name or an address, and no user: \"http://tsa.example.com/tsr\""))
}

/// A name or an address, with a port or without one.
pub(super) fn is_server(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0) && !port.starts_with('+');
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let port = rest.strip_prefix(':');
        return address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || port.is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    (host.parse::<IpAddr>().is_ok() || is_host_name(host)) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_named_by_a_url_without_a_user() {
        let is_url = |text: &str| url(&DeValue::String(text.into())).is_ok();
        for good in [
            "http://tsa.example.com",
            "https://tsa.example.com/tsr?x=1",
            "http://127.0.0.1:3180/",
            "http://[2001:db8::7]:80/tsr",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "tsa",
            "ftp://tsa/",
            "http://",
            "http:///tsr",
            "http://me:pw@tsa/",
            "http://tsa:0/",
            "http://tsa:x/",
            "http://tsa/a b",
            "http://tsa/#a",
            "http://10.0.0.999/",
            "http://[::1/",
            "HTTP://tsa/",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
