//! The store on a real PostgreSQL: the tests that it has on SQLite as well, and what is only here.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

#[path = "../store/approvals.rs"]
mod approvals;
#[path = "../store/bundles.rs"]
mod bundles;
#[path = "../store/calls.rs"]
mod calls;
#[path = "../store/configurations.rs"]
mod configurations;
#[path = "../store/cost.rs"]
mod cost;
#[path = "../store/fixture.rs"]
mod fixture;
#[path = "../store/host_keys.rs"]
mod host_keys;
#[path = "../store/ledger.rs"]
mod ledger;
#[path = "../store/parts.rs"]
mod parts;
#[path = "../store/plugin_status.rs"]
mod plugin_status;
#[path = "../store/retention.rs"]
mod retention;
#[path = "../store/revisions.rs"]
mod revisions;
#[path = "../store/sealing.rs"]
mod sealing;
#[path = "../store/search.rs"]
mod search;
#[path = "../store/session_ended.rs"]
mod session_ended;
#[path = "../store/terminations.rs"]
mod terminations;

mod database;
mod peers;
mod schema;
mod server;

use fixture::{END, Fixture, call, new_session, otp, outcome, plugin, polled};
