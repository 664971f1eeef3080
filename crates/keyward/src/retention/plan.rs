//! What would be deleted now, and why: the gateway does it, and `keyward trail retention` shows it.

use std::collections::HashSet;
use std::time::Duration;

use keyward_model::{SessionId, UnixMillis};
use keyward_policy::Policy;
use keyward_store::{After, ClosedTrail, DeletionCause, KeptBecause, LastLink, TheFile, TrailRecord};

use super::delete::{Found, Recordings};

/// The most recordings that a plan names as kept; it counts the others.
const MOST_KEPT: usize = 10_000;
/// A clock that is so much later than the last look is not believed: recordings that are still needed would be too old.
const MOST_AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is to be done with the recordings, by the policy of now.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) due: Vec<Due>,
    /// Those that would be deleted, if nothing kept them.
    pub(crate) kept: Vec<Kept>,
    pub(crate) more_kept: u64,
    pub(crate) clock: Clock,
    /// How many bytes are too many even when all that is due is deleted.
    pub(crate) over: u64,
    /// There is more than a plan was to hold.
    pub(crate) is_cut: bool,
}

/// What is made of this machine's clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clock {
    /// It may be right. The latest time that is known then, which is no earlier than what was known before: a clock that
    /// begins in 1970 and is set later does not jump.
    Believed(UnixMillis),
    /// It is too far ahead of this time, which is known: nothing is deleted by age.
    Doubtful(UnixMillis),
}

impl Clock {
    fn new(known: Option<UnixMillis>, now: UnixMillis) -> Self {
        match known {
            Some(known) if now.0.saturating_sub(known.0) > millis(MOST_AHEAD) => Self::Doubtful(known),
            Some(known) => Self::Believed(UnixMillis(known.0.max(now.0))),
            None => Self::Believed(now),
        }
    }

    /// What is known of the time from now on. A doubtful clock is kept to what was known, whatever begins by it.
    pub(crate) fn known(self) -> UnixMillis {
        match self {
            Self::Believed(time) | Self::Doubtful(time) => time,
        }
    }

    /// `Some`: it is not believed. What is known.
    pub(crate) fn doubtful_since(self) -> Option<UnixMillis> {
        match self {
            Self::Believed(_) => None,
            Self::Doubtful(known) => Some(known),
        }
    }
}

/// A recording that is to be deleted.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) record: TrailRecord,
    pub(crate) why: Why,
    /// What its file was found to be.
    pub(crate) found: LastLink,
}

/// A recording that something keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) record: TrailRecord,
    pub(crate) because: Because,
}

/// What a recording is to be deleted for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// The term of its connection.
    Age(Duration),
    /// The bytes that all may take.
    Size(u64),
}

/// What keeps a recording that is due.
#[derive(Clone, Debug)]
pub(crate) enum Because {
    Ledger(KeptBecause),
    /// Its file is not there, and nobody has said why.
    Missing,
    /// Its file is not what was closed, which is evidence of something.
    Changed(String),
    /// Its file cannot be read.
    Unread(String),
}

impl Why {
    pub(crate) fn cause(self) -> DeletionCause {
        match self {
            Self::Age(_) => DeletionCause::Age,
            Self::Size(_) => DeletionCause::Size,
        }
    }

    /// For the record.
    pub(crate) fn reason(self, record: &TrailRecord) -> String {
        let connection = &record.connection;
        match self {
            Self::Age(term) => {
                let hours = term.as_secs() / 3600;
                let term = if hours % 24 == 0 { format!("{}d", hours / 24) } else { format!("{hours}h") };
                format!("recordings of connection {connection} are kept for {term} (`keep-for`)")
            }
            Self::Size(bytes) => {
                format!("it was the oldest when all of them took more than {bytes} bytes (`keep-at-most`)")
            }
        }
    }
}

impl Because {
    pub(crate) fn says(&self) -> String {
        match self {
            Self::Ledger(why) => why.as_str().to_owned(),
            Self::Missing => "its file is missing".to_owned(),
            Self::Changed(what) => format!("its file is not as it was closed: {what}"),
            Self::Unread(error) => error.clone(),
        }
    }

    /// Whether somebody has to look at it.
    pub(crate) fn is_alarming(&self) -> bool {
        !matches!(self, Self::Ledger(_))
    }
}

/// A look at all recordings, by a policy and a clock.
pub(crate) struct Look<'a> {
    pub(crate) recordings: &'a Recordings,
    pub(crate) policy: &'a Policy,
    pub(crate) now: UnixMillis,
    /// How many recordings it may find to be due.
    pub(crate) most: usize,
    /// Those that an earlier look found changed, which are not read again.
    pub(crate) known: &'a HashSet<SessionId>,
}

impl Look<'_> {
    /// Reads the ledger and the ends of files; changes nothing.
    pub(crate) async fn plan(&self) -> anyhow::Result<Plan> {
        let clock = Clock::new(self.recordings.store.last_known_time().await?, self.now);
        let (due, kept) = (Vec::new(), Vec::new());
        let mut plan = Plan { due, kept, more_kept: 0, clock, over: 0, is_cut: false };
        if clock.doubtful_since().is_none() {
            self.by_age(&mut plan).await?;
        }
        if let (false, Some(bound)) = (plan.is_cut, self.policy.gateway.keep_at_most) {
            self.by_size(bound, &mut plan).await?;
        }
        Ok(plan)
    }

    /// The term is the one of today's document, so that a correction holds for what is there already. A connection that
    /// is not in it has none.
    async fn by_age(&self, plan: &mut Plan) -> anyhow::Result<()> {
        for connection in &self.policy.connections {
            let Some(term) = self.policy.keeps_for(&connection.name) else { continue };
            let before = UnixMillis(self.now.0.saturating_sub(millis(term)));
            let mut after = After::NOTHING;
            loop {
                let page = self.recordings.store.kept_trails_of(&connection.name, before, &after).await?;
                let Some(last) = page.last() else { break };
                after = After::this(last);
                for record in page {
                    if plan.due.len() >= self.most {
                        plan.is_cut = true;
                        return Ok(());
                    }
                    self.judge(record, Why::Age(term), plan).await?;
                }
            }
        }
        Ok(())
    }

    async fn by_size(&self, bound: u64, plan: &mut Plan) -> anyhow::Result<()> {
        let Some(bytes) = self.more_than(bound).await? else { return Ok(()) };
        let judged = plan.due.iter().map(|due| &due.record).chain(plan.kept.iter().map(|kept| &kept.record));
        let judged: HashSet<SessionId> = judged.map(|record| record.session.clone()).collect();
        let mut bytes = plan.due.iter().fold(bytes, |bytes, due| bytes.saturating_sub(due.found.length));
        let mut after = After::NOTHING;
        while bytes > bound {
            let page = self.recordings.store.kept_trails(&after).await?;
            let Some(last) = page.last() else { break };
            after = After::this(last);
            for record in
                page.into_iter().filter(|record| takes_room(record) && !judged.contains(&record.session))
            {
                if bytes <= bound {
                    break;
                }
                if plan.due.len() >= self.most {
                    plan.is_cut = true;
                    return Ok(());
                }
                bytes = bytes.saturating_sub(self.judge(record, Why::Size(bound), plan).await?);
            }
        }
        plan.over = bytes.saturating_sub(bound);
        Ok(())
    }

    /// The bytes of all recordings, where they are more than `bound`. The files themselves are asked only where the ledger
    /// thinks so: some of them may be gone.
    async fn more_than(&self, bound: u64) -> anyhow::Result<Option<u64>> {
        let store = &self.recordings.store;
        let (mut unmeasured, mut after) = (0u64, String::new());
        loop {
            let page = store.unmeasured_trails(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            unmeasured = unmeasured.saturating_add(self.recordings.bytes_of(page).await?);
        }
        if store.kept_bytes().await?.saturating_add(unmeasured) <= bound {
            return Ok(None);
        }
        let (mut bytes, mut after) = (unmeasured, After::NOTHING);
        loop {
            let page = store.kept_trails(&after).await?;
            let Some(last) = page.last() else { break };
            after = After::this(last);
            let is_measured = |record: &TrailRecord| last_link(record).is_some();
            let names = page.into_iter().filter(is_measured).map(|record| record.trail).collect();
            bytes = bytes.saturating_add(self.recordings.bytes_of(names).await?);
        }
        Ok((bytes > bound).then_some(bytes))
    }

    /// Puts a recording that is due where it belongs. The bytes that its deletion frees.
    async fn judge(&self, record: TrailRecord, why: Why, plan: &mut Plan) -> anyhow::Result<u64> {
        // A file that was never made is nobody's to delete.
        if record.closed.as_ref().is_some_and(|closed| closed.end.starts_with(ClosedTrail::NOT_BEGUN)) {
            return Ok(0);
        }
        let because = if let Some(why) = record.kept_because() {
            Because::Ledger(why)
        } else if last_link(&record).is_none() {
            Because::Ledger(KeptBecause::NotClosed)
        } else if self.known.contains(&record.session) {
            Because::Changed("it was told before".to_owned())
        } else {
            match self.recordings.look_at(&record).await {
                Ok(Found::AsClosed(found)) => {
                    let freed = found.length;
                    plan.due.push(Due { record, why, found });
                    return Ok(freed);
                }
                Ok(Found::Missing) => Because::Missing,
                Ok(Found::Other(what)) => Because::Changed(what),
                Err(error) => Because::Unread(format!("{error:#}")),
            }
        };
        plan.keep(Kept { record, because });
        Ok(0)
    }
}

impl Plan {
    fn keep(&mut self, kept: Kept) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(kept);
        } else {
            self.more_kept += 1;
        }
    }
}

/// What an object store alone has takes none of the disk's.
fn takes_room(record: &TrailRecord) -> bool {
    record.object.as_ref().is_none_or(|object| object.file == TheFile::Kept)
}

fn last_link(record: &TrailRecord) -> Option<&LastLink> {
    record.closed.as_ref()?.last.as_ref()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_believed_for_a_week_from_what_is_known_and_never_takes_it_back() {
        const WEEK: i64 = 7 * 24 * 3600 * 1000;
        let clock = |known: i64, now: i64| Clock::new(Some(UnixMillis(known)), UnixMillis(now));
        assert_eq!(Clock::new(None, UnixMillis(5)), Clock::Believed(UnixMillis(5)));
        assert_eq!(clock(5, 5 + WEEK), Clock::Believed(UnixMillis(5 + WEEK)));
        assert_eq!(clock(5, 6 + WEEK), Clock::Doubtful(UnixMillis(5)));
        assert_eq!(clock(5, 6 + WEEK).known(), UnixMillis(5));
        assert_eq!(clock(5 + WEEK, 0), Clock::Believed(UnixMillis(5 + WEEK)));
        assert_eq!(clock(i64::MIN, i64::MAX), Clock::Doubtful(UnixMillis(i64::MIN)));
    }
}
