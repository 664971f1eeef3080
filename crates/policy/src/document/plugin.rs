//! `[[environment]]` and `[[plugin]]`.

use std::path::Path;

use keyward_model::InstanceName;
use toml::de::DeValue;

use super::defined::Defined;
use super::report::Fault;
use super::section::Section;
use super::user::values;
use super::value::{choice, flag, integer, line, named, pattern, size, text};
use crate::pattern::{HostPattern, PatternPort};
use crate::policy::{read_bytes, read_text};
use crate::{PluginInstance, PluginStart, PolicyError, PythonEnvironment};

const MIB: u64 = 1 << 20;
const DEFAULT_IDLE_WORKERS: usize = 2;
const DEFAULT_MEMORY: u64 = 512 * MIB;
const DEFAULT_PROCESSES: u32 = 64;
const DEFAULT_CPU_SECONDS: u64 = 600;
const DEFAULT_DISK: u64 = 1024 * MIB;

pub(super) fn environment(
    section: &Section<'_>,
    name: Option<String>,
    base: &Path,
) -> Option<PythonEnvironment> {
    let python = section.required("python", |value| {
        let path = line(value)?;
        if path.contains('/') {
            return Ok(base.join(path));
        }
        Err(Fault::new(format!("{path:?} is no path")).hint("write where it is: \"/usr/bin/python3\""))
    });
    Some(PythonEnvironment { name: name?, python: python?.value })
}

pub(super) fn instance(
    section: &Section<'_>,
    name: Option<InstanceName>,
    base: &Path,
    environments: &Defined<PythonEnvironment>,
) -> Option<PluginInstance> {
    let start = choice(&[("warm", PluginStart::Warm), ("cold", PluginStart::Cold)]);
    let bundle = section.required("bundle", named);
    let environment = section.optional("environment", line);
    if let Some(environment) = &environment {
        environments.find(section, environment);
    }
    let configuration = configuration(section, base);
    let start = section.optional("start", start);
    let idle_workers = section.optional("idle-workers", integer(0..=64));
    let memory_limit = section.optional("memory-limit", size(32 * MIB..=1024 * 1024 * MIB));
    let processes = section.optional("processes", integer(1..=4096));
    let cpu_seconds = section.optional("cpu-seconds", integer(1..=1_000_000));
    let retry_interrupted = section.optional("retry-interrupted", flag);
    let disk_limit = section.optional("disk-limit", size(MIB..=1024 * 1024 * MIB));
    let network = network(section);
    let follow_updates = section.optional("follow-updates", flag);
    section.not_yet(&["cookies-on-kill"]);
    Some(PluginInstance {
        name: name?,
        bundle: bundle?.value,
        configuration,
        environment: environment.map(|item| item.value.to_owned()),
        start: start.map_or(PluginStart::Warm, |item| item.value),
        idle_workers: idle_workers.map_or(DEFAULT_IDLE_WORKERS, |item| item.value),
        memory_limit: memory_limit.map_or(DEFAULT_MEMORY, |item| item.value),
        processes: processes.map_or(DEFAULT_PROCESSES, |item| item.value),
        cpu_seconds: cpu_seconds.map_or(DEFAULT_CPU_SECONDS, |item| item.value),
        disk_limit: disk_limit.map_or(DEFAULT_DISK, |item| item.value),
        network,
        retry_interrupted: retry_interrupted.is_some_and(|item| item.value),
        follow_updates: follow_updates.is_some_and(|item| item.value),
    })
}

/// What the plugin may connect to; a pattern must say its port, as there is no protocol to take it from.
fn network(section: &Section<'_>) -> Option<Vec<HostPattern>> {
    let reachable = |value| {
        let host = pattern(PatternPort::Any)(value)?;
        if host.port_is_written {
            return Ok(host);
        }
        Err(Fault::new(format!("{:?} has no port", text(value)?))
            .hint("write the port, or * for any: \"api.example.com:443\", \"10.0.0.0/8:*\""))
    };
    section.has("network").then(|| values(section.list("network", reachable)))
}

/// The text for the plugin's constructor, inline or from a file.
fn configuration(section: &Section<'_>, base: &Path) -> String {
    section.hide("configuration");
    let inline = section.optional("configuration", |value| text(value).map(str::to_owned));
    let file = section.optional("configuration-file", |value| read_file(value, base));
    if section.has("configuration") && section.has("configuration-file") {
        let fault = Fault::new("this [[plugin]] has both `configuration` and `configuration-file`");
        section.fault(fault.hint("keep one of them"));
    }
    inline.or(file).map(|item| item.value).unwrap_or_default()
}

/// The text of a file that the document names; a relative path starts at `base`.
pub(super) fn read_file(value: &DeValue<'_>, base: &Path) -> Result<String, Fault> {
    read_text(&base.join(line(value)?)).map_err(unread)
}

/// The same, of a file that may be no text.
pub(super) fn read_binary(value: &DeValue<'_>, base: &Path) -> Result<Vec<u8>, Fault> {
    read_bytes(&base.join(line(value)?)).map_err(unread)
}

fn unread(error: PolicyError) -> Fault {
    match error {
        PolicyError::Unreadable { path, source } => {
            Fault::new(format!("cannot read {}: {source}", path.display()))
                .hint("a relative path starts at the folder of this document")
        }
        error @ (PolicyError::TooLarge(_)
        | PolicyError::NotUtf8(_)
        | PolicyError::Document(_)
        | PolicyError::NothingToRun) => Fault::new(error.to_string()),
    }
}
