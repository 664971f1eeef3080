//! Who may read recordings, who says when they were made, and how long they are kept: `[[audit-policy]]`.

use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{HiddenInputPolicy, Recipients, TimestampAuthorities};

/// What holds for the recordings of the connections that name it. One of its parts is there at least.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditPolicy {
    /// Who may read what was shown, and what was typed where that is not kept apart; `None`: whoever has the file.
    pub shown: Option<Recipients>,
    /// Who may read what came from the client; `None`: who may read what was shown.
    pub typed: Option<Recipients>,
    /// What becomes of what is typed and not shown, as passwords are.
    pub hidden_input: HiddenInputPolicy,
    /// How long a recording is kept after the end of its session; `None`: for ever, as far as age goes.
    pub keep_for: Option<Duration>,
    /// Whether what is recorded can be searched.
    pub index: Indexing,
    /// `None`: nobody but the node says when a recording was made.
    pub timestamps: Option<Arc<TimestampPolicy>>,
}

/// When what a session has typed and shown goes into the index, by which recordings are searched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Indexing {
    /// While it is recorded, by the gateway, which sees it then.
    AsRecorded,
    /// When somebody who can read the recording asks for it.
    #[default]
    Later,
    Never,
}

/// Who puts timestamps on recordings (RFC 3161).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimestampPolicy {
    /// Where it is asked: `http://` or `https://`, without a user's name.
    pub url: String,
    /// Whom its certificate must come from.
    pub authorities: TimestampAuthorities,
    /// The same, PEM: with `https` the server's certificate must come from one of them too.
    pub certificates: Vec<String>,
    /// How often it is asked while a session goes on and something happens.
    pub interval: Duration,
}
