//! `session_ended` exactly once, through a real ledger and real plugin processes: whatever is dropped, refused or fails.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests listen as a target, and run a Python that breaks the database"
)]

mod settling {
    mod debts;
    mod dropped;
    mod failing;
    mod fixture;
    mod masked;
    mod rehearsing;
    mod telling;
    mod updates;
}
