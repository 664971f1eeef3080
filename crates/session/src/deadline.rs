//! The deadline of a log-in: plugins, questions and targets each have a time of their own, and there may be many of them.

use std::future::Future;
use std::time::Duration;

use keyward_model::{ClientAddr, SessionId};
use tokio::time::Instant;

use crate::end::chain;
use crate::{Ended, Named, Reason};

/// Until when everything between gateway authentication and the log-in on the target has to be done.
#[derive(Debug)]
pub struct LogInDeadline {
    session: SessionId,
    client: ClientAddr,
    patience: Duration,
    by: Instant,
}

impl Named {
    /// The time begins. The session knows it too: a stage that is dropped after it has ended for that reason.
    pub fn log_in_deadline(&mut self) -> LogInDeadline {
        let patience = self.core.connection.settings.log_in_timeout;
        let by = Instant::now() + patience;
        self.core.log_in_by = Some((by, patience));
        LogInDeadline { session: self.core.id.clone(), client: self.core.client, patience, by }
    }
}

impl LogInDeadline {
    /// What `stages` come to, or the end of the session when they take too long: then they are dropped.
    pub async fn keep<T>(self, stages: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
        match tokio::time::timeout_at(self.by, stages).await {
            Ok(done) => done,
            Err(_) => {
                let reason = Reason::LogInTimeout(self.patience.as_secs());
                tracing::info!(session = %self.session, client = %self.client, reason = chain(&reason), "session refused");
                Err(Ended::new(&reason))
            }
        }
    }
}
