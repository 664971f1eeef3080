//! What the gateway keeps away from the server.

use keyward_testsuite::{Input, KeyPair, Link, PATIENCE, Route, SshClient, run, until};

#[test]
fn a_person_with_the_wrong_key_never_reaches_the_server() {
    let mut link = Link::open(Route::Gateway);
    let other = KeyPair::generate(link.sshd.folder(), "other_key", "ed25519");

    let run = SshClient::with_key(link.addr(), &link.sshd.user(), &other).exec("true");

    assert_eq!(run.status.code(), Some(255));
    assert!(run.stderr.contains("Permission denied"), "{}", run.stderr);
    assert_eq!(link.gateway().ended_sessions(1)[0]["verdict"], "auth-fail");
    assert_eq!(link.sshd.connections(), 0);
}

#[test]
fn the_key_of_the_server_is_no_key_of_the_gateway() {
    let link = Link::open(Route::Gateway);
    let run = SshClient::with_key(link.addr(), &link.sshd.user(), link.sshd.key()).exec("true");
    assert_eq!(run.status.code(), Some(255));
    assert_eq!(link.sshd.connections(), 0);
}

#[test]
fn a_channel_that_no_rule_allows_is_refused_and_the_session_goes_on() {
    let link = Link::open(Route::Gateway);
    let ssh = link.ssh();
    let forward = format!("127.0.0.1:{}", link.sshd.addr().port());

    let refused = run(&mut ssh.command(&["-W", &forward], &[]), Input::Nothing);

    assert!(!refused.status.success());
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("SSH-2.0"), "a banner came through");
    assert_eq!(ssh.exec("echo still here").text(), "still here\n");
}

#[test]
fn a_session_that_ends_well_is_accepted_and_recorded() {
    let mut link = Link::open(Route::Gateway);
    link.ssh().exec("echo hello").must_succeed();

    let sessions = link.gateway().ended_sessions(1);

    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["verdict"], "accept");
    let recordings = link.gateway().recordings();
    assert_eq!(recordings.len(), 1);
    assert!(link.gateway().play(&recordings[0]).contains("hello"));
}

#[test]
fn a_killed_gateway_knows_after_its_restart_which_sessions_it_lost() {
    let mut link = Link::open(Route::Gateway);
    let ssh = link.ssh();
    let session = keyward_testsuite::Program::start(&mut ssh.command(&[], &["cat"]));
    until("the session is there", PATIENCE, || (link.sshd.logins() == 1).then_some(()));

    link.gateway().kill();
    session.ended(PATIENCE);
    link.gateway().start();

    assert_eq!(link.gateway().ended_sessions(1)[0]["verdict"], "lost");
    link.ssh().exec("true").must_succeed();
}

#[test]
fn a_gateway_that_is_told_to_stop_ends_well() {
    let mut link = Link::open(Route::Gateway);
    link.ssh().exec("true").must_succeed();
    assert!(link.gateway().stop().success());
}
