//! Who ends an open session from outside, and why: idle, too long, stopping, an administrator, a failed recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyward_policy::Settings;
use keyward_store::Termination;
use tokio::sync::watch;

use crate::Stop;

/// Why the gateway ends a session that is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EndCause {
    /// Nothing passed in either direction for `timeout`.
    Idle,
    /// The person typed nothing for `user-idle-timeout`.
    UserIdle,
    /// The session was open for `session-timeout`.
    TooLong,
    /// The gateway is stopping.
    Stopping,
    /// An administrator wants it.
    Terminated(Termination),
    /// The recording cannot be written.
    Recording(String),
    /// This content rule wants it.
    Content(String),
    /// What passes cannot be judged by the content rules.
    Unjudged(String),
    /// The stage that was logged in is gone: no channel opens or goes on without it.
    Closed,
}

/// When something last passed, shared by the taps of a session and its supervisor.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    /// Milliseconds since `start`.
    any: AtomicU64,
    user: AtomicU64,
    over: watch::Sender<Option<EndCause>>,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            any: AtomicU64::new(0),
            user: AtomicU64::new(0),
            over: watch::Sender::new(None),
        })
    }

    pub(crate) fn user_passed(&self) {
        let now = self.elapsed();
        self.any.store(now, Ordering::Relaxed);
        self.user.store(now, Ordering::Relaxed);
    }

    pub(crate) fn target_passed(&self) {
        self.any.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Ends the session; the first cause stays.
    pub(crate) fn end(&self, cause: EndCause) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            if first {
                *over = Some(cause);
            }
            first
        });
    }

    /// The cause, if the gateway has ended the session.
    pub(crate) fn ended(&self) -> Option<EndCause> {
        self.over.borrow().clone()
    }

    /// Waits until the gateway ends the session. Cancel-safe.
    pub(crate) async fn over(&self) -> EndCause {
        let mut over = self.over.subscribe();
        loop {
            if let Some(cause) = over.borrow_and_update().clone() {
                return cause;
            }
            if over.changed().await.is_err() {
                // The sender lives in `self`, so this cannot come; an ended session is the safe answer.
                return EndCause::Stopping;
            }
        }
    }

    /// The next moment at which a limit of `settings` could be passed, or the limit that is.
    pub(crate) fn check(&self, settings: &Settings) -> Result<Option<Duration>, EndCause> {
        let now = Duration::from_millis(self.elapsed());
        let since =
            |mark: &AtomicU64| now.saturating_sub(Duration::from_millis(mark.load(Ordering::Relaxed)));
        let limits = [
            (Some(settings.timeout), since(&self.any), EndCause::Idle),
            (settings.user_idle_timeout, since(&self.user), EndCause::UserIdle),
            (settings.session_timeout, now, EndCause::TooLong),
        ];
        let mut next = None;
        for (limit, passed, cause) in limits {
            let Some(limit) = limit else { continue };
            if passed >= limit {
                return Err(cause);
            }
            let left = limit - passed;
            next = Some(next.map_or(left, |next: Duration| next.min(left)));
        }
        Ok(next)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ends the session when a limit has passed or it is ended from outside. While `is_used`, it is not idle.
pub(crate) async fn supervise(
    activity: &Activity,
    settings: &Settings,
    stop: &Stop,
    is_used: impl Fn() -> bool,
) {
    loop {
        if is_used() {
            activity.user_passed();
        }
        let wait = match activity.check(settings) {
            Ok(wait) => wait.unwrap_or(Duration::from_secs(3600)).max(Duration::from_millis(10)),
            Err(cause) => return activity.end(cause),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return activity.end(stop.cause().unwrap_or(EndCause::Stopping)),
        }
    }
}
