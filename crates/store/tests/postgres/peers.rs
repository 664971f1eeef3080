//! The fixtures of the test suite, which need nothing else of it.

#![expect(clippy::disallowed_methods, reason = "a fixture starts the programs that it is about")]
#![expect(clippy::expect_used, reason = "a fixture stops the test at the first surprise")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the test suite needs more of them, and offers it to its tests"
)]

#[path = "../../../testsuite/src/authority.rs"]
pub(crate) mod authority;
#[path = "../../../testsuite/src/ports.rs"]
mod ports;
#[path = "../../../testsuite/src/postgres.rs"]
pub(crate) mod postgres;
