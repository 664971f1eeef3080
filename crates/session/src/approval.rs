//! Step 9, four eyes: somebody else has to let the session go on.

use std::time::Duration;

use keyward_model::UnixMillis;
use keyward_store::{Approval, ApprovalDecision, Decided};
use tokio::time::Instant;

use crate::core::Core;
use crate::{Conversation, Reason};

/// Between two looks for a decision, which any process may have written.
const PERIOD: Duration = Duration::from_millis(500);

/// Waits for an approver, where the connection wants one. Cancel-safe: a session that ends meanwhile waits no more.
pub(crate) async fn approved<C: Conversation>(core: &Core, conversation: &mut C) -> Result<(), Reason> {
    let Some(wait) = core.connection.four_eyes else { return Ok(()) };
    // There is nobody in a rehearsal, and nothing is reached by one.
    if core.shared.script.is_some() {
        let text = "a rehearsal needs no approval";
        return Ok(core.shared.store.add_note(&core.id, core.now(), text).await?);
    }
    let (asked, by) = (core.now(), Instant::now() + wait);
    let until = UnixMillis(asked.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
    core.shared.store.ask_approval(&core.id, asked, until).await?;
    tracing::info!(session = %core.id, wait = wait.as_secs(), "session waits for approval");
    let text = format!("This connection needs an approval. It waits for one, {} s at most.", wait.as_secs());
    conversation.tell(&text).await?;
    match decision(core, by).await? {
        Some(ApprovalDecision { approved: true, by: Some(by), .. }) => {
            tracing::info!(session = %core.id, by, "session approved");
            Ok(())
        }
        Some(ApprovalDecision { approved: false, by: Some(by), comment, .. }) => {
            Err(Reason::NotApproved { by, comment })
        }
        Some(ApprovalDecision { by: None, .. }) | None => Err(Reason::NobodyApproved(wait.as_secs())),
    }
}

/// Somebody's decision, or that there was none in time: what the ledger says, so that nobody approves what is refused.
async fn decision(core: &Core, by: Instant) -> Result<Option<ApprovalDecision>, Reason> {
    let store = &core.shared.store;
    while Instant::now() < by {
        if let Some(Approval { decision: Some(decision), .. }) = store.approval(&core.id).await? {
            return Ok(Some(decision));
        }
        tokio::time::sleep_until(by.min(Instant::now() + PERIOD)).await;
    }
    let nobody = ApprovalDecision { at: core.now(), approved: false, by: None, comment: None };
    match store.decide_approval(&core.id, &nobody).await? {
        Decided::Before(decision) => Ok(Some(decision)),
        Decided::Now | Decided::Over | Decided::NotAsked => Ok(None),
    }
}
