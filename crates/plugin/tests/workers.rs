//! Real Python processes: each rule of contract section 3, and what a hostile plugin may try.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests kill a gateway of their own, make certificates, and are servers that plugins ask"
)]
#![expect(unreachable_pub, reason = "fixtures that the test suite exports are used here as well")]

mod workers {
    mod calls;
    mod cleaning;
    mod escapes;
    mod fixture;
    mod hostile;
    mod ldap;
    mod legacy;
    mod network;
    mod output;
    mod sdk;
    mod sdk_services;
    mod services;
    mod starting;

    // Fixtures that the test suite has as well.
    #[path = "../../../testsuite/src/authority.rs"]
    mod authority;
    #[path = "../../../testsuite/src/ports.rs"]
    mod ports;
    #[path = "../../../testsuite/src/slapd.rs"]
    mod slapd;
}
