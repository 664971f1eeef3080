//! The recordings of sessions that the gateway's death has cut off.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use keyward_model::SessionId;
use keyward_store::{ClosedTrail, LastLink, StoreError};
use keyward_trail::{TrailError, verify};

use crate::end::chain;
use crate::gateway::Shared;

/// Notes in the ledger how far each recording reaches, one after the other: from then on nobody can cut it back without
/// that being seen. Until the gateway stops; what is left then stays as it is.
pub(crate) async fn close_trails(shared: Arc<Shared>, lost: Vec<SessionId>) {
    for session in lost {
        if shared.stopping.is_cancelled() {
            return;
        }
        if let Err(error) = close_trail(&shared, &session).await {
            tracing::error!(%session, error = %chain(&error), "how far a lost recording reaches could not be kept");
        }
    }
}

async fn close_trail(shared: &Shared, session: &SessionId) -> Result<(), StoreError> {
    let Some(record) = shared.store.trail_of(session).await? else { return Ok(()) };
    // It may have been closed before the gateway died.
    if record.closed.is_some() {
        return Ok(());
    }
    let path = shared.trails.join(&record.trail);
    let looked = tokio::task::spawn_blocking(move || look_at(&path)).await;
    let closed = match looked {
        Ok(Ok(last)) => ClosedTrail { end: "not finished: the gateway died".to_owned(), last: Some(last) },
        Ok(Err(error)) => {
            let end = format!("not finished: the gateway died; looked at later: {}", chain(&error));
            ClosedTrail { end, last: None }
        }
        // The gateway stops.
        Err(_) => return Ok(()),
    };
    shared.store.close_trail(session, &closed).await
}

/// How far a recording reaches in whole blocks.
fn look_at(path: &Path) -> Result<LastLink, TrailError> {
    let opened = File::open(path).map_err(|source| TrailError::Open { path: path.to_owned(), source })?;
    let found = verify(BufReader::new(opened), None, |_| ())?;
    Ok(LastLink { link: found.extent.link(), length: found.extent.length })
}
