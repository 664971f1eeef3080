//! The store on real SQLite files.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod approvals;
mod bundles;
mod calls;
mod configurations;
mod cost;
mod database;
mod fixture;
mod host_keys;
mod ledger;
mod migration;
mod opening;
mod parts;
mod plans;
mod plugin_status;
mod retention;
mod revisions;
mod sealing;
mod search;
mod session_ended;
mod terminations;

use fixture::{END, Fixture, call, new_session, otp, outcome, plugin, polled};
