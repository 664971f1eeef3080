//! How what was found is printed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use keyward_model::UnixMillis;
use keyward_search::Query;
use serde_json::{Value, json};

use super::{Hit, Place, Source};
use crate::args::{Kind, SearchSessions};
use crate::command::session::time;
use crate::command::shown;

/// Of a line that is printed, before and behind the first mark; characters.
const CONTEXT: usize = 120;

pub(super) fn print(
    asked: &SearchSessions,
    query: &Query,
    hits: &[Hit],
    sources: &HashMap<String, Source>,
) -> anyhow::Result<()> {
    let all = hits.iter().filter_map(|hit| Some((hit, sources.get(&hit.session)?)));
    let mut out = String::new();
    if asked.json {
        let all: Vec<Value> = all.map(|(hit, source)| as_json(hit, source, query, &asked.policy)).collect();
        writeln!(out, "{:#}", Value::from(all))?;
    } else {
        let style = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            ("\u{1b}[1;4m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        for (hit, source) in all {
            as_text(&mut out, hit, source, query, &asked.policy, style)?;
        }
        if hits.is_empty() {
            out.push_str("Nothing found.\n");
        }
    }
    match std::io::stdout().write_all(out.as_bytes()) {
        // Who reads no more of it (`| head`) has what was wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(())
}

fn as_json(hit: &Hit, source: &Source, query: &Query, policy: &Path) -> Value {
    let Source { session, .. } = source;
    let marks = query.find(&hit.text).unwrap_or_default();
    json!({
        "session": hit.session,
        "time": clock(hit),
        "seconds": hit.at.as_secs_f64(),
        "kind": kind(hit.kind),
        "channel": hit.channel,
        "text": hit.text,
        "marks": marks.iter().map(|mark| json!([mark.start, mark.end])).collect::<Vec<_>>(),
        "gateway_user": session.gateway_user,
        "remote_user": session.remote_user,
        "target": session.target.as_ref().map(|target| json!({
            "address": target.addr.to_string(),
            "hostname": target.hostname,
        })),
        "play": play(hit, source, policy),
    })
}

fn as_text(
    out: &mut String,
    hit: &Hit,
    source: &Source,
    query: &Query,
    policy: &Path,
    style: (&str, &str),
) -> std::fmt::Result {
    let Source { session, .. } = source;
    let name = |name: &Option<String>| shown(name.as_deref().unwrap_or("-"));
    let target = session.target.as_ref().map_or_else(|| "-".to_owned(), |target| shown(&target.to_string()));
    let (time, kind) = (clock(hit), kind(hit.kind));
    let (user, remote) = (name(&session.gateway_user), name(&session.remote_user));
    writeln!(out, "{time}  {kind:<7}  {user} -> {remote}@{target}")?;
    let marks = query.find(&hit.text).unwrap_or_default();
    writeln!(out, "  {}", marked(&hit.text, &marks, style))?;
    match play(hit, source, policy) {
        Some(command) => writeln!(out, "  {command}"),
        None => writeln!(out, "  keyward session show {} --policy {}", hit.session, quoted(policy)),
    }
}

fn clock(hit: &Hit) -> String {
    time(UnixMillis(hit.time().try_into().unwrap_or(i64::MAX)))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Session => "session",
        Kind::Command => "command",
        Kind::Screen => "screen",
        Kind::File => "file",
    }
}

/// The command that shows it, in the words of a shell; `None`: there is no recording.
fn play(hit: &Hit, source: &Source, policy: &Path) -> Option<String> {
    let moment = moment(hit.at);
    match &source.recording {
        Place::None => None,
        Place::Disk(file) => Some(format!("keyward trail play {} --from {moment}", quoted(file))),
        Place::ObjectStore => Some(format!(
            "keyward session fetch-recording {} --to fetched.trail --policy {} && \
             keyward trail play fetched.trail --from {moment}",
            hit.session,
            quoted(policy)
        )),
    }
}

/// As `--from` takes it: hours, minutes and tenths of seconds, not later than it was.
fn moment(at: Duration) -> String {
    let tenths = at.as_millis() / 100;
    let (hours, minutes, tenths) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    let mut text = String::new();
    for (number, letter) in [(hours, 'h'), (minutes, 'm')] {
        if number > 0 {
            text.push_str(&format!("{number}{letter}"));
        }
    }
    text + &format!("{}.{}s", tenths / 10, tenths % 10)
}

fn quoted(path: &Path) -> String {
    let text = shown(&path.display().to_string());
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The line with what was looked for between the two of `style`, and no more of it than around the first.
fn marked(line: &str, marks: &[Range<usize>], style: (&str, &str)) -> String {
    let first = marks.first().map_or(0, |mark| mark.start);
    let from = line.char_indices().rev().filter(|(at, _)| *at < first).nth(CONTEXT).map_or(0, |(at, _)| at);
    let to = line.char_indices().filter(|(at, _)| *at >= first).nth(CONTEXT).map_or(line.len(), |(at, _)| at);
    let mut out = String::new();
    let mut piece = |from: usize, to: usize, style: (&str, &str)| {
        let text = line.get(from..to).filter(|text| !text.is_empty());
        if let Some(text) = text {
            out.extend([style.0, &shown(text), style.1]);
        }
    };
    let (mut at, cut) = (from, |place: usize| place.clamp(from, to));
    for mark in marks {
        piece(at, cut(mark.start), ("", ""));
        piece(cut(mark.start), cut(mark.end), style);
        at = cut(mark.end);
    }
    piece(at, to, ("", ""));
    let (before, behind) = (if from > 0 { "… " } else { "" }, if to < line.len() { " …" } else { "" });
    format!("{before}{}{behind}", out.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_where_they_should_and_nothing_acts_on_the_terminal() {
        let marked = |line: &str, query: &str| {
            marked(line, &Query::parse(query).unwrap().find(line).unwrap(), ("<", ">"))
        };
        assert_eq!(marked("$ sudo cat /etc/shadow", "shadow sudo"), "$ <sudo> cat /etc/<shadow>");
        assert_eq!(marked("a\u{1b}[2Jb \u{202e}x", "x"), "a\\u{1b}[2Jb \\u{202e}<x>");
        let long = format!("{} needle {}", "é ".repeat(500), "ü ".repeat(500));
        let found = marked(&long, "needle");
        assert!(found.starts_with("… é") && found.ends_with("ü …") && found.contains("<needle>"), "{found}");
        assert!(found.chars().count() < 2 * CONTEXT + 20, "{found}");
    }

    #[test]
    fn a_moment_is_one_that_play_takes() {
        for (millis, text) in [(0, "0.0s"), (1_990, "1.9s"), (60_000, "1m0.0s"), (3_723_456, "1h2m3.4s")] {
            assert_eq!(moment(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/var/lib/keyward/a-b.trail")), "/var/lib/keyward/a-b.trail");
        assert_eq!(quoted(Path::new("/it's here")), "'/it'\\''s here'");
    }
}
