//! Servers that mean harm: the session with them ends or goes on, within bounds, and the gateway serves the others.

use std::time::{Duration, Instant};

use keyward_testsuite::{PATIENCE, PeerServer, Program, Run, until};
use rustix::process::Signal;

use crate::hostile_clients::resident_kib;
use crate::site::Site;

#[test]
fn an_endless_preamble_is_hung_up_on() {
    is_hung_up_on("preamble");
}

#[test]
fn an_endless_line_is_hung_up_on() {
    is_hung_up_on("line");
}

#[test]
fn a_flood_of_announcements_is_hung_up_on() {
    is_hung_up_on("announcements");
}

#[test]
fn a_flood_of_ignored_messages_before_there_are_keys_is_hung_up_on() {
    is_hung_up_on("ignored");
}

#[test]
fn a_packet_of_two_gigabytes_is_hung_up_on() {
    is_hung_up_on("length");
}

#[test]
fn a_flood_of_banners_is_hung_up_on() {
    is_hung_up_on("banners");
}

#[test]
fn a_flood_of_announcements_in_a_session_ends_it() {
    let (site, _server, run) = with("rekeying");
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(site.ended(1)["verdict"].is_string());
}

#[test]
fn data_for_channels_that_nobody_opened_disturbs_nobody() {
    let (_site, _server, run) = with("unasked");
    assert_eq!(run.text(), "after all\n");
}

#[test]
fn channels_that_a_server_opens_in_a_loop_are_refused_and_the_session_goes_on() {
    let (site, _server, run) = with("channels");
    assert_eq!(run.text(), "after all\n");
    assert!(site.notes(1).iter().any(|note| note.contains("channel opened by the target")));
}

/// A client that does not read, and a server that does not care.
#[test]
fn more_than_the_window_allows_costs_bounded_memory() {
    let (site, _server) = site("window");
    let process = site.gateway.program().id();
    let before = resident_kib(process);
    let ssh = site.ssh();
    let client = Program::start(&mut ssh.command(&[], &["flood"]));
    until("the session begins", PATIENCE, || {
        site.gateway.log().iter().any(|line| line.contains("logged in on the target")).then_some(())
    });
    client.signal(Signal::STOP);
    let (mut most, began) = (0, Instant::now());
    while began.elapsed() < Duration::from_secs(2) {
        most = most.max(resident_kib(process));
        std::thread::sleep(Duration::from_millis(50));
    }
    client.signal(Signal::CONT);
    drop(client);
    assert!(most < before + 32 * 1024, "{before} KiB grew to {most} KiB");
    assert!(site.ended(1)["verdict"].is_string());
}

/// Nobody gets through to it; it is told so by the end of the connection, and the person by a sentence.
#[track_caller]
fn is_hung_up_on(harm: &str) {
    let (site, server, run) = with(harm);
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    let verdict = site.ended(1)["verdict"].clone();
    assert!(["connect-fail", "target-auth-fail"].iter().any(|word| verdict == *word), "{verdict}");
    until("the server is hung up on", PATIENCE, || {
        server.log().iter().any(|line| line == "hung up").then_some(())
    });
    site.is_calm(&run.stderr);
}

/// What a person gets who goes there. The gateway's memory stays within bounds.
#[track_caller]
fn with(harm: &str) -> (Site, PeerServer, Run) {
    let (site, server) = site(harm);
    let process = site.gateway.program().id();
    let before = resident_kib(process);
    let run = site.ssh().exec("command");
    let after = resident_kib(process);
    assert!(after < before + 32 * 1024, "{before} KiB grew to {after} KiB");
    (site, server, run)
}

#[track_caller]
fn site(harm: &str) -> (Site, PeerServer) {
    let server = PeerServer::start("hostile_target", &[("PEER_HARM", harm)]);
    let site = Site::with(|draft| {
        draft.server = server.addr();
        draft.target = format!("{{ fixed = \"{}\" }}", server.addr());
        draft.connection = format!(
            "known-host-keys = [{{ host = \"{}\", key = \"{}\" }}]\n",
            server.addr(),
            server.host_key()
        );
        draft.credentials = "passwords = [\"any\"]\n".to_owned();
    });
    (site, server)
}
