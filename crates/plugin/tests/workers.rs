//! Real Python processes: each rule of contract section 3, and what a hostile plugin may try.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests kill a gateway of their own, and make certificates"
)]

mod workers {
    mod calls;
    mod cleaning;
    mod escapes;
    mod fixture;
    mod hostile;
    mod network;
    mod output;
    mod sdk;
    mod services;
    mod starting;
}
