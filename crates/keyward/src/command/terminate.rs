//! `keyward session terminate`.

use std::time::{Duration, Instant};

use anyhow::bail;
use keyward_store::{Store, Termination};

use super::session::{find, time};
use super::{load, open_to_look, shown, who};
use crate::args::TerminateSession;
use crate::retention::now;

/// The gateway looks twice a second; a recording that a slow disk has not taken may keep the end back.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

pub(super) async fn terminate(asked: &TerminateSession) -> anyhow::Result<()> {
    let policy = load(&asked.policy).await?;
    let store = open_to_look(&policy).await?;
    let id = find(&store, &asked.id).await?;
    let order = Termination { by: who::asks(), message: asked.message.clone() };
    let (start, mut is_ordered) = (Instant::now(), false);
    loop {
        let Some(record) = store.session(&id).await? else { bail!("no session has the id {id}") };
        let reason = shown(record.summary.reason.as_deref().unwrap_or_default());
        match record.summary.ended {
            Some(_) if is_ordered => {
                println!("Session {id} has ended: {reason}");
                return Ok(());
            }
            Some(ended) => bail!("session {id} has ended at {}: {reason}", time(ended)),
            None => {}
        }
        // A gateway that has died leaves sessions without an end, until it starts again.
        if !Store::is_served(&policy.node.data_dir).await? {
            bail!(
                "no gateway runs with this policy document, so nobody is connected: the session is settled at its next start"
            );
        }
        if start.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            bail!(
                "the gateway was told to end session {id}, and has not done so within {seconds} s: see its log"
            );
        }
        if !is_ordered {
            // `false`: it has ended just now, as the next look shows.
            is_ordered = store.order_termination(&id, now(), &order).await?;
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
}
