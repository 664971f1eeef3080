//! `keyward session search`.

mod print;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use keyward_model::UnixMillis;
use keyward_policy::{Indexing, Policy};
use keyward_search::{Coverage, Filter, Hits, IndexReader, Line, LineKind, Query, Rest, SessionFacts};
use keyward_store::{SessionSummary, SessionsWith, Store, TheFile};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use self::print::print;
use super::past::{self, Edge};
use super::{counted, load, open_to_look};
use crate::args::{Kind, SearchSessions};
use crate::data_dir::DataDir;
use crate::search_index::{about, directory, facts, failed, has_recording};

pub(super) async fn search(asked: &SearchSessions) -> anyhow::Result<()> {
    let (query, wanted) = (Query::parse(&asked.text)?, wanted(asked)?);
    let policy = load(&asked.policy).await?;
    let store = open_to_look(&policy).await?;
    let data = DataDir(policy.node.data_dir.clone());
    let limit = asked.limit as usize;
    let mut all: Vec<Hit> = Vec::new();
    if wanted.has(Kind::Session) {
        all.extend(known(&store, &query, &wanted.filter, limit + 1).await?);
    }
    let (mut there, mut partly, mut rest) = (0, 0, Rest::None);
    if data.search().exists() && wanted.has_lines() {
        let index = directory(&data.0, &store)?;
        let (filter, finder, of_query) = (wanted.filter.clone(), store.clone(), query.clone());
        let found = spawn_blocking(move || {
            let reader = IndexReader::open(index)?;
            let counts = [Coverage::Whole, Coverage::Partly].map(|coverage| reader.count(coverage));
            Ok((find(&reader, &of_query, &filter, limit, &finder)?, counts))
        });
        let (hits, counts) = found.await?.map_err(|error| failed(error, &data.0))?;
        let [whole, in_part] = counts;
        (there, partly) = (
            whole.map_err(|error| failed(error, &data.0))?,
            in_part.map_err(|error| failed(error, &data.0))?,
        );
        rest = hits.rest;
        all.extend(hits.lines.into_iter().map(Hit::from));
    }
    all.sort_by_key(|hit| Reverse(hit.time()));
    if all.len() > limit {
        (rest, _) = (Rest::Maybe, all.truncate(limit));
    }
    let sources = sources(&all, &store, &data.trails()).await?;
    print(asked, &query, &all, &sources)?;
    if rest == Rest::Maybe {
        eprintln!("keyward: there may be more: narrow it down, or ask for more with --limit");
    }
    if wanted.has_lines() {
        tell_missing(&policy, &store, there, partly).await?;
    }
    Ok(())
}

/// What the index does not have.
async fn tell_missing(policy: &Policy, store: &Store, there: usize, partly: usize) -> anyhow::Result<()> {
    let names = policy.connections.iter().map(|connection| &connection.name);
    let never: Vec<_> = names.filter(|name| policy.indexing_of(name) == Indexing::Never).collect();
    let missing = store.count_trails(&never).await?.saturating_sub((there + partly) as u64);
    if missing > 0 {
        let missing = counted(missing, "recording");
        eprintln!("keyward: not in the index: {missing} (`keyward session index` puts in what can be read)");
    }
    if partly > 0 {
        let partly = counted(partly, "recording");
        eprintln!("keyward: in the index in part: {partly} (`keyward session index --again` says why)");
    }
    Ok(())
}

/// What counts, of that which has the words.
struct Wanted {
    filter: Filter,
    kind: Option<Kind>,
}

impl Wanted {
    fn has(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }

    /// Lines of recordings.
    fn has_lines(&self) -> bool {
        self.kind != Some(Kind::Session)
    }
}

fn wanted(asked: &SearchSessions) -> anyhow::Result<Wanted> {
    let time = |text: &Option<String>, edge, name: &'static str| {
        text.as_deref().map(|text| past::parse(text, edge)).transpose().context(name)
    };
    let line = match asked.kind {
        Some(Kind::Command) => Some(LineKind::Command),
        Some(Kind::Screen) => Some(LineKind::Screen),
        Some(Kind::File) => Some(LineKind::File),
        Some(Kind::Session) | None => None,
    };
    let filter = Filter {
        user: asked.user.clone(),
        target: asked.target.clone(),
        from: time(&asked.from, Edge::Start, "--from")?,
        until: time(&asked.to, Edge::End, "--to")?,
        kind: line,
    };
    Ok(Wanted { filter, kind: asked.kind })
}

/// Something that was found.
struct Hit {
    session: String,
    /// When the session began; milliseconds since 1970.
    start: u64,
    /// Since then.
    at: Duration,
    kind: Kind,
    channel: Option<u32>,
    text: String,
}

impl Hit {
    fn time(&self) -> u64 {
        self.start.saturating_add(self.at.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl From<keyward_search::Hit> for Hit {
    fn from(keyward_search::Hit { session, start, line }: keyward_search::Hit) -> Self {
        let Line { at, channel, kind, text } = line;
        let kind = match kind {
            LineKind::Command => Kind::Command,
            LineKind::Screen => Kind::Screen,
            LineKind::File => Kind::File,
        };
        Self { session, start, at, kind, channel: Some(channel), text }
    }
}

/// Sessions of which something is known that has the words: also those that were refused, and those without a recording.
async fn known(store: &Store, query: &Query, filter: &Filter, limit: usize) -> anyhow::Result<Vec<Hit>> {
    let millis = |moment: u64| UnixMillis(moment.try_into().unwrap_or(i64::MAX));
    let mut wanted = SessionsWith {
        words: query.words().filter(|word| word.is_ascii()).collect(),
        from: filter.from.map(millis),
        until: filter.until.map(millis),
        after: None,
    };
    let mut hits = Vec::new();
    loop {
        let page = store.sessions_with(&wanted).await?;
        let Some((last, _)) = page.last() else { return Ok(hits) };
        wanted.after = Some((last.started, last.id.clone()));
        for (session, metadata) in page {
            let text = about(&session, metadata.as_deref());
            let SessionFacts { id, start, users, targets } = facts(&session);
            if filter.counts_session(&users, &targets) && query.find(&text).is_some() {
                hits.push(Hit {
                    session: id,
                    start,
                    at: Duration::ZERO,
                    kind: Kind::Session,
                    channel: None,
                    text,
                });
            }
            if hits.len() >= limit {
                return Ok(hits);
            }
        }
    }
}

/// Runs on a thread that may wait: the ledger is asked which sessions still count.
fn find(
    reader: &IndexReader,
    query: &Query,
    filter: &Filter,
    limit: usize,
    store: &Store,
) -> Result<Hits, keyward_search::IndexError> {
    let (ledger, known) = (Handle::current(), Mutex::new(HashMap::<String, bool>::new()));
    reader.query(query, filter, limit, |id| {
        // One that the ledger cannot be asked about does not count: its recording may have been deleted.
        let Ok(mut known) = known.lock() else { return false };
        *known
            .entry(id.to_owned())
            .or_insert_with(|| ledger.block_on(has_recording(store, id)).unwrap_or_default())
    })
}

/// Where a hit comes from.
struct Source {
    session: SessionSummary,
    recording: Place,
}

/// Where the recording is.
enum Place {
    None,
    Disk(PathBuf),
    ObjectStore,
}

async fn sources(hits: &[Hit], store: &Store, trails: &Path) -> anyhow::Result<HashMap<String, Source>> {
    let mut all = HashMap::new();
    for hit in hits {
        if all.contains_key(&hit.session) {
            continue;
        }
        let Ok(id) = hit.session.clone().try_into() else { continue };
        let Some(record) = store.session(&id).await? else { continue };
        let trail = store.trail_of(&id).await?.filter(|trail| trail.deletion.is_none());
        let recording = match trail {
            None => Place::None,
            Some(trail) if trail.object.as_ref().is_some_and(|object| object.file != TheFile::Kept) => {
                Place::ObjectStore
            }
            Some(trail) => Place::Disk(trails.join(trail.trail)),
        };
        all.insert(hit.session.clone(), Source { session: record.summary, recording });
    }
    Ok(all)
}
