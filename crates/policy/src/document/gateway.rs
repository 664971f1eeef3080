//! `[gateway]`.

use super::report::Fault;
use super::section::Section;
use super::value::{flag, integer, limit, line, owned_line, seconds, size, text};
use crate::pattern::is_host_name;
use crate::{GatewaySettings, HttpProxy};

/// Below are the users of the system; above, many file systems and containers give up.
const USER_BASES: std::ops::RangeInclusive<u64> = 1000..=4_000_000_000;

/// One tebibyte.
const MOST_FREE_MEMORY: u64 = 1 << 40;
/// In bytes: an interpreter or two, and more than machines have.
const PLUGIN_MEMORY: std::ops::RangeInclusive<u64> = 64 << 20..=1 << 44;
/// In bytes: what few sessions record, and an exbibyte.
const RECORDINGS: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 60;

pub(super) fn gateway(section: &Section<'_>) -> GatewaySettings {
    let default = GatewaySettings::default();
    let host_name = |value| {
        let name = line(value)?;
        if is_host_name(name) {
            Ok(name.to_owned())
        } else {
            Err(Fault::new(format!("{name:?} is no host name")))
        }
    };
    GatewaySettings {
        host_name: section.optional("host-name", host_name).map_or(default.host_name, |item| item.value),
        http_proxy: http_proxy(section),
        starling_join: section.secret("starling-join").map(|item| item.value),
        max_sessions: section
            .optional("max-sessions", limit(1_000_000))
            .map_or(default.max_sessions, |item| item.value),
        max_log_ins: section
            .optional("max-log-ins", limit(1_000_000))
            .map_or(default.max_log_ins, |item| item.value),
        max_plugin_calls: section
            .optional("max-plugin-calls", limit(100_000))
            .map_or(default.max_plugin_calls, |item| item.value),
        min_free_memory: section
            .optional("min-free-memory", size(0..=MOST_FREE_MEMORY))
            .map_or(default.min_free_memory, |item| item.value),
        plugin_memory: section.optional("plugin-memory", size(PLUGIN_MEMORY)).map(|item| item.value),
        keep_at_most: section.optional("keep-at-most", size(RECORDINGS)).map(|item| item.value),
        object_store: None,
        drain: section.optional("drain", seconds).map_or(default.drain, |item| item.value),
        plugin_user_base: section.optional("plugin-user-base", integer(USER_BASES)).map(|item| item.value),
        strict: section.optional("strict", flag).is_some_and(|item| item.value),
    }
}

fn http_proxy(section: &Section<'_>) -> Option<HttpProxy> {
    let form = "[gateway.http-proxy] with server and port";
    let proxy = section.section("http-proxy", "[gateway.http-proxy]", form)?;
    // People write URLs here, with a password in them.
    proxy.hide("server");
    let server = proxy.required("server", |value| {
        let server = text(value)?;
        let is_host = is_host_name(server) || server.parse::<std::net::IpAddr>().is_ok();
        if is_host { Ok(server.to_owned()) } else { Err(Fault::new("this is no host").hint(SERVER_HINT)) }
    });
    let port = proxy.required("port", integer(1..=65_535));
    let username = proxy.optional("username", owned_line);
    let password = proxy.secret("password");
    Some(HttpProxy {
        server: server?.value,
        port: port?.value,
        username: username.map(|item| item.value),
        password: password.map(|item| item.value),
    })
}

const SERVER_HINT: &str =
    "write the name or address alone; port, username and password are keys of their own";
