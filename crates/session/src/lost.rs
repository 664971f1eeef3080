//! Recordings that nobody closed: of sessions that the gateway's death has cut off, or that ended on the way to them.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use keyward_model::SessionId;
use keyward_store::{ClosedTrail, LastLink, TrailRecord};
use keyward_trail::{TrailError, Verified, verify};

use crate::end::chain;
use crate::gateway::Shared;
use crate::settle::insist;

/// Notes in the ledger how far each recording reaches, one after the other: from then on nobody can cut it back without
/// that being seen. Until the gateway stops; the next start goes on with what is left.
pub(crate) async fn close_trails(shared: Arc<Shared>, unclosed: Vec<SessionId>) {
    for session in unclosed {
        if shared.stopping.is_cancelled() {
            return;
        }
        let record = match shared.store.trail_of(&session).await {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%session, error = %chain(&error), "a lost recording could not be found");
                continue;
            }
        };
        let gone = "gone: the gateway died, and there was no such file when it started again";
        if let Some(closed) = seen(&shared, &record, "not finished: the gateway died", gone).await {
            insist(&shared.settling, &session, || shared.store.close_trail(&session, &closed)).await;
        }
    }
}

/// How a recording is now. `None`: that cannot be seen, and is tried again at the next start.
pub(crate) async fn seen(
    shared: &Shared,
    record: &TrailRecord,
    unfinished: &str,
    gone: &str,
) -> Option<ClosedTrail> {
    let path = shared.trails.join(&record.trail);
    let looked = tokio::task::spawn_blocking(move || look_at(&path)).await.ok()?;
    let (end, last) = match looked {
        Ok(found) => {
            let last = LastLink { link: found.extent.link(), length: found.extent.length };
            (how_it_ended(&found, unfinished), Some(last))
        }
        Err(TrailError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            (gone.to_owned(), None)
        }
        // Perhaps what it lies on is not there yet.
        Err(error @ (TrailError::Open { .. } | TrailError::Read(_))) => {
            let session = &record.session;
            tracing::error!(%session, error = %chain(&error), "how far a lost recording reaches cannot be seen");
            return None;
        }
        Err(error) => (format!("{unfinished}; looked at later: {}", chain(&error)), None),
    };
    Some(ClosedTrail { end, last })
}

fn how_it_ended(found: &Verified, unfinished: &str) -> String {
    match &found.end {
        Some(end) => match &end.reason {
            Some(reason) => format!("{}: {reason}", end.verdict),
            None => end.verdict.to_string(),
        },
        None if found.unsigned > 0 => {
            format!("{unfinished}; the last {} of its blocks were not signed yet", found.unsigned)
        }
        None => unfinished.to_owned(),
    }
}

/// Reads all of it.
fn look_at(path: &Path) -> Result<Verified, TrailError> {
    let failed = |source| TrailError::Open { path: path.to_owned(), source };
    // Nothing else can be opened without a fear that it never answers.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("this is no regular file")));
    }
    verify(BufReader::new(File::open(path).map_err(failed)?), None, |_| ())
}
