//! `[node]`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use url::Url;

use super::ldap::password_file;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::value::{choice, line, owned_line};
use crate::pattern::is_host_name;
use crate::{ConfigurationPlace, DatabaseServer, MasterKeySource, NodeSettings};

/// Where the IANA has PostgreSQL.
const PORT: u16 = 5432;
const SOURCES: &str =
    "write one of file = \"PATH\", environment = \"VARIABLE\", command = [\"PROGRAM\", \"ARGUMENT\"]";
const URL_HINT: &str = "write \"postgres://USER@HOST/DATABASE\", with :PORT behind the host if it is not 5432, or \"postgres://USER@%2Frun%2Fpostgresql/DATABASE\" for a socket in /run/postgresql";

pub(super) fn node(section: &Section<'_>, base: &Path) -> NodeSettings {
    let default = NodeSettings::default();
    let data_dir = section.optional("data-dir", |value| line(value).map(|path| base.join(path)));
    let places = [("file", ConfigurationPlace::File), ("store", ConfigurationPlace::Store)];
    let configuration = section.optional("configuration", choice(&places));
    let database = section.section("database", "[node.database]", "[node.database] with url");
    let master_key = section.section("master-key", "[node.master-key]", SOURCES);
    NodeSettings {
        master_key: master_key.and_then(|section| source(&section, base)),
        data_dir: data_dir.map_or(default.data_dir, |item| item.value),
        database: database.and_then(|section| server(&section, base)),
        configuration: configuration.map_or(default.configuration, |item| item.value),
    }
}

fn source(section: &Section<'_>, base: &Path) -> Option<MasterKeySource> {
    let file = section.optional("file", |value| line(value).map(|path| base.join(path)));
    let environment = section.optional("environment", variable);
    let command: Vec<_> = section.list("command", owned_line).into_iter().map(|item| item.value).collect();
    let given = ["file", "environment", "command"].into_iter().filter(|key| section.has(key)).count();
    if given != 1 || (section.has("command") && command.is_empty()) {
        section.fault(Fault::new("this [node.master-key] needs one place where the key is").hint(SOURCES));
        return None;
    }
    let command = (!command.is_empty()).then_some(MasterKeySource::Command(command));
    file.map(|item| MasterKeySource::File(item.value))
        .or(environment.map(|item| MasterKeySource::Environment(item.value)))
        .or(command)
}

fn variable(value: &DeValue<'_>) -> Result<String, Fault> {
    let name = owned_line(value)?;
    match name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        true => Ok(name),
        false => Err(Fault::new("this is no name of a variable: letters, digits and _")),
    }
}

fn server(section: &Section<'_>, base: &Path) -> Option<DatabaseServer> {
    // People write passwords into URLs.
    section.hide("url");
    let server =
        section.required_with_hint("url", "url = \"postgres://keyward@db.example.com/keyward\"", parse);
    let password = section.optional("password-file", |value| password_file(value, base));
    let ca = section.optional("ca-file", |value| certificates(value, base));
    Some(DatabaseServer {
        password: password.map(|item| item.value),
        ca: ca.map(|item| item.value),
        ..server?.value
    })
}

/// Of the URLs that PostgreSQL's own programs know, those whose parts are all understood here.
fn parse(value: &DeValue<'_>) -> Result<DatabaseServer, Fault> {
    let fault = |message: &str| Fault::new(message.to_owned()).hint(URL_HINT);
    let url = Url::parse(line(value)?).map_err(|_| fault("this is no URL"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(fault("this is no URL of a PostgreSQL"));
    }
    if url.password().is_some() {
        return Err(fault("a password in a URL is shown where URLs are")
            .hint("put it into a file, and write `password-file = \"PATH\"`"));
    }
    let name = |text: &str| {
        let is_plain = !text.is_empty() && !text.contains(['%', '/']);
        is_plain.then(|| text.to_owned())
    };
    let user = name(url.username()).ok_or_else(|| fault("this URL names no user"))?;
    let database = name(url.path().trim_start_matches('/'));
    let database = database.ok_or_else(|| fault("this URL names no database"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("this URL has parameters, which are not known here"));
    }
    // A folder is written so in URLs of PostgreSQL.
    let host = url.host_str().unwrap_or_default().replace("%2F", "/").replace("%2f", "/");
    let host = host.trim_matches(['[', ']']).to_owned();
    let is_folder = host.starts_with('/') && !host.contains('%');
    if !is_folder && !is_host_name(&host) && host.parse::<IpAddr>().is_err() {
        return Err(fault("this URL names no host"));
    }
    let port = url.port().unwrap_or(PORT);
    Ok(DatabaseServer { host, port, user, database, password: None, ca: None })
}

/// Who reads them is the library that speaks with the server; here they are looked at for a clear fault.
fn certificates(value: &DeValue<'_>, base: &Path) -> Result<PathBuf, Fault> {
    let path = base.join(line(value)?);
    match read_file(value, base)?.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(path),
        false => Err(Fault::new(format!("{} has no certificate in PEM", path.display()))),
    }
}

/// A document whose policy is in the store has nothing else: what stood here too would be believed, and ignored.
pub(super) fn refuse_policy(root: &Section<'_>) {
    let hint =
        "put it into a file without [node] and run `keyward config apply`; or leave `configuration` out";
    let fault = Fault::new("with `configuration = \"store\"` this is not read: the policy is in the store");
    root.refuse_first_beside("node", fault.hint(hint));
}

/// A document in the store is for every machine.
pub(super) fn refuse_node(root: &Section<'_>) {
    if root.has("node") {
        let fault = Fault::new("a policy document that is kept in the store has no [node]");
        let hint = "it stands in the file that `keyward run` gets; leave it out here";
        root.fault_at(root.place_of("node"), fault.hint(hint));
    }
}
