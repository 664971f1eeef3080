//! Who may read recordings, and how long they are kept: `[[audit-policy]]`.

use std::time::Duration;

use keyward_trail::Recipients;

/// What holds for the recordings of the connections that name it. One of its parts is there at least.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditPolicy {
    /// Who may read what was shown, and what was typed where that is not kept apart; `None`: whoever has the file.
    pub shown: Option<Recipients>,
    /// Who may read what came from the client; `None`: who may read what was shown.
    pub typed: Option<Recipients>,
    /// How long a recording is kept after the end of its session; `None`: for ever, as far as age goes.
    pub keep_for: Option<Duration>,
}
