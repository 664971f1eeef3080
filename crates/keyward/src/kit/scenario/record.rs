//! Writes a scenario from a session that somebody has in the terminal.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_session::OfferedKey;
use keyward_store::CallEntry;
use toml::Value;

use super::document::{Client, Document, Expect, GatewayUser, Outcome, PluginTable, Target};
use super::play::{self, Event, Played};
use super::talk::{Answers, Reply};
use super::terminal::Terminal;
use super::transcript::transcript;
use crate::kit::workshop::Interpreters;

pub(super) async fn record(
    file: &Path,
    bundle: Option<&Path>,
    interpreters: &Interpreters,
) -> anyhow::Result<ExitCode> {
    if file.exists() {
        bail!("{} is there already: a recording makes a new file", file.display());
    }
    let base = file.parent().unwrap_or(Path::new(""));
    let plugin = match bundle {
        Some(bundle) => std::path::absolute(bundle)?,
        None => play::nearest_bundle(base)?,
    };
    eprintln!("A session with {}. What you type is written into {}.\n", plugin.display(), file.display());
    let document = ask(plugin, Terminal::default()).await?;
    eprintln!();
    let played = play::play(&document, base, interpreters, Answers::Live(Terminal::default())).await?;
    let title = document.title.as_deref().unwrap_or_default();
    eprintln!("\n{}", transcript(title, &document, &played));
    write(file, &scenario(&document, bundle, base, &played))?;
    println!("{} is written. Play it with: keyward plugin scenario {0}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// What a scenario has before the session begins.
async fn ask(plugin: PathBuf, mut terminal: Terminal) -> anyhow::Result<Document> {
    let mut line = async |prompt: &str, echo| match terminal.ask(prompt, echo).await {
        Reply::Answer(text) => Ok(text),
        Reply::Leaves | Reply::Nothing => Err(anyhow::anyhow!("the input has ended: nothing is written")),
    };
    let title = line("What does the scenario show? ", true).await?;
    let login = loop {
        let login = line("Login string, such as gu=alice@root@db1: ", true).await?;
        if !login.is_empty() {
            break login;
        }
    };
    let has_authenticated = loop {
        let said = line("Has the gateway authenticated the person before the plugin? [y/N] ", true).await?;
        match said.trim() {
            "y" | "Y" | "yes" => break true,
            "" | "n" | "N" | "no" => break false,
            _ => eprintln!("Type y or n."),
        }
    };
    let gateway_user = match has_authenticated {
        true => {
            let groups = line("Groups of the gateway user, with commas between: ", true).await?;
            let password = line("Password that the gateway saw (empty: none, a key): ", false).await?;
            let groups =
                groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
            Some(GatewayUser {
                groups: groups.collect(),
                password: Some(password).filter(|text| !text.is_empty()),
            })
        }
        false => None,
    };
    let outcome = loop {
        let said = line("What does the target do? accepts, refuses, unreachable [accepts] ", true).await?;
        match said.trim() {
            "" | "accepts" => break Outcome::Accepts,
            "refuses" => break Outcome::Refuses,
            "unreachable" => break Outcome::Unreachable,
            other => eprintln!("{other:?} is none of accepts, refuses and unreachable."),
        }
    };
    Ok(Document {
        title: Some(title).filter(|title| !title.is_empty()),
        plugin: PluginTable { bundle: Some(plugin), ..PluginTable::default() },
        aa: None,
        credential_store: None,
        client: Client { login, address: None, hostname: None, can_ask: true },
        gateway_user,
        connection: toml::Table::new(),
        target: Target { outcome, ..Target::default() },
        policy: toml::Table::new(),
        step: Vec::new(),
        // Nothing is compared: what happens is what is expected from now on.
        expect: Expect {
            verdict: keyward_model::Verdict::Accept,
            message: None,
            reason: None,
            gateway_user: None,
            gateway_groups: None,
            remote_user: None,
            target: None,
            metadata: None,
            transcript: None,
        },
    })
}

/// The text of the file.
fn scenario(document: &Document, bundle: Option<&Path>, base: &Path, played: &Played) -> String {
    let mut text = String::new();
    if let Some(title) = &document.title {
        let _ = writeln!(text, "title = {}\n", quoted(title));
    }
    if let Some(bundle) = bundle {
        let path = std::path::absolute(bundle).unwrap_or_else(|_| bundle.to_owned());
        let path = relative(&path, base).unwrap_or(path);
        let _ = writeln!(text, "[plugin]\nbundle = {}\n", quoted(&path.to_string_lossy()));
    }
    let _ = writeln!(text, "[client]\nlogin = {}\n", quoted(&document.client.login));
    if let Some(user) = &document.gateway_user {
        let _ = writeln!(text, "[gateway-user]\ngroups = {}", list(user.groups.iter().map(String::as_str)));
        if let Some(password) = &user.password {
            let _ = writeln!(text, "password = {}", quoted(password));
        }
        text.push('\n');
    }
    match document.target.outcome {
        Outcome::Refuses => text.push_str("[target]\noutcome = \"refuses\"\n\n"),
        Outcome::Unreachable => text.push_str("[target]\noutcome = \"unreachable\"\n\n"),
        Outcome::Accepts | Outcome::UnknownHostKey | Outcome::ChangedHostKey => {}
    }
    steps(&mut text, played);
    expectations(&mut text, played);
    text
}

fn steps(text: &mut String, played: &Played) {
    let mut keys = played.keys.iter();
    let mut passwords = played.passwords.iter();
    let mut codes = played.codes.iter();
    let of_both = played.record.plugins.len() > 1;
    // Whether the step that was written last is a call that asks.
    let mut asks = false;
    for event in played.events() {
        match event {
            Event::Call(call) => {
                let _ = writeln!(text, "[[step]]\nhook = {}", quoted(&call.hook));
                if of_both && call.hook == "session_ended" {
                    let _ = writeln!(text, "of = {}", quoted(call.instance.as_str()));
                }
                result(text, call);
                match call.hook.as_str() {
                    "get_private_key_list" => found_keys(text, keys.next().map_or(&[], Vec::as_slice)),
                    "get_password_list" => {
                        found_secrets(text, "passwords", passwords.next().map_or(0, Vec::len))
                    }
                    "get_totp_codes" => found_secrets(text, "codes", codes.next().map_or(0, Vec::len)),
                    _ => {}
                }
                asks = call.verdict.as_deref() == Some("NEEDINFO");
                if !asks {
                    text.push('\n');
                }
            }
            Event::Question(asked) => {
                if !asks {
                    text.push_str("[[step]]\n");
                }
                let _ = writeln!(text, "prompt = {}\necho = {}", quoted(&asked.prompt), asked.echo);
                let _ = match &asked.reply {
                    Reply::Answer(answer) => writeln!(text, "answer = {}\n", quoted(answer)),
                    Reply::Leaves | Reply::Nothing => writeln!(text, "leaves = true\n"),
                };
                asks = false;
            }
        }
    }
}

fn found_keys(text: &mut String, keys: &[OfferedKey]) {
    let _ = writeln!(text, "keys = {}", list(keys.iter().map(|key| key.kind.as_str())));
}

/// A credential of a real store has no place in a file.
fn found_secrets(text: &mut String, key: &str, count: usize) {
    let _ = match count {
        0 => writeln!(text, "{key} = []"),
        n => writeln!(text, "# It returned {n}, not written here: `{key} = [...]` compares them."),
    };
}

fn result(text: &mut String, call: &CallEntry) {
    let outcome = call.outcome.as_deref().unwrap_or("ok");
    let decides = matches!(call.hook.as_str(), "authenticate" | "authorize");
    let _ = match (outcome, &call.verdict) {
        ("ok", Some(verdict)) => writeln!(text, "verdict = {}", quoted(verdict)),
        ("ok", None) if decides => writeln!(text, "verdict = \"none\""),
        ("ok", None) => Ok(()),
        (error, _) => writeln!(text, "error = {}", quoted(error)),
    };
}

fn expectations(text: &mut String, played: &Played) {
    let summary = &played.record.summary;
    let _ = writeln!(text, "[expect]\nverdict = {}", quoted(played.verdict.as_str()));
    let facts = [
        ("message", Some(played.message.as_str())),
        ("gateway-user", summary.gateway_user.as_deref()),
        ("remote-user", summary.remote_user.as_deref()),
        ("metadata", played.record.additional_metadata.as_deref()),
    ];
    for (key, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
    }
    if let Some(groups) = &played.record.gateway_groups {
        let _ = writeln!(text, "gateway-groups = {}", list(groups.iter().map(String::as_str)));
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    Value::Array(items.map(Value::from).collect()).to_string()
}

/// `path` as seen from `base`, where it is below or beside it.
fn relative(path: &Path, base: &Path) -> Option<PathBuf> {
    let base = std::path::absolute(base).ok()?;
    let shared = base.ancestors().find(|above| path.starts_with(above) && above.parent().is_some())?;
    let up = base.strip_prefix(shared).ok()?.components().map(|_| "..");
    let down = path.strip_prefix(shared).ok()?;
    let found: PathBuf = up.collect::<PathBuf>().join(down);
    Some(if found.as_os_str().is_empty() { PathBuf::from(".") } else { found })
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut created = OpenOptions::new().write(true).create_new(true).open(file).with_context(failed)?;
    created.write_all(text.as_bytes()).with_context(failed)
}
