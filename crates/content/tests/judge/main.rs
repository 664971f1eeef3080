//! What is found in a session that is played, with a given clock.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod around;
mod lines;
mod played;
mod terminal;

use std::path::Path;
use std::sync::Arc;

use keyward_policy::{ContentPolicy, Policy};

/// Rules that forbid to reboot, and that note a key.
fn policy() -> Arc<ContentPolicy> {
    parsed(
        "{ name = 'power', commands = ['\\breboot\\b', '^halt', 'rm +-rf +/'], action = 'terminate' }, \
         { name = 'keys', screen = ['BEGIN PRIVATE KEY', 'token=\\w+'], action = 'log' }",
    )
}

fn parsed(rules: &str) -> Arc<ContentPolicy> {
    let document = format!(
        "[[content-policy]]\nname = 'p'\nrule = [{rules}]\n\
         [[channel-policy]]\nname = 'c'\nrule = [{{ types = ['shell'], content-policy = 'p' }}]\n\
         [[connection]]\nname = 'x'\nprotocol = 'ssh'\nlisten = ['[::1]:22']\ntarget = {{ fixed = 'h' }}\n\
         channel-policy = 'c'"
    );
    let policy = Policy::parse(&document, Path::new("/"), "x").unwrap_or_else(|error| panic!("{error}"));
    policy.connections[0].channels.rules[0].content.clone().unwrap()
}

#[test]
fn a_command_in_one_piece_is_judged_as_a_whole_and_line_by_line() {
    let policy = parsed("{ commands = ['^halt$', 'one.*two'], action = 'log' }");
    let found = |text: &str| keyward_content::command(&policy, text.as_bytes()).len();
    assert_eq!(found("echo\nhalt\necho"), 1);
    assert_eq!(found("one; two"), 1);
    assert_eq!(found("two; one"), 0);
    assert_eq!(keyward_content::command(&policy, b"one \xff two").len(), 1);
}
