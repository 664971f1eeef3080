//! Who may read recordings: `[[audit-policy]]`.

use keyward_trail::Recipients;

/// Whom the recordings of some connections are encrypted to. One of the two is there at least.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditPolicy {
    /// Who may read what was shown, and what was typed where that is not kept apart; `None`: whoever has the file.
    pub shown: Option<Recipients>,
    /// Who may read what came from the client; `None`: who may read what was shown.
    pub typed: Option<Recipients>,
}
