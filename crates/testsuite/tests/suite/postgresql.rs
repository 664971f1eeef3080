//! A gateway whose store is in a real PostgreSQL.

use std::fs;

use keyward_testsuite::{Link, PATIENCE, Postgres, Program, keyward, until};

fn open(server: &Postgres) -> Link {
    Link::on(server)
}

#[track_caller]
fn works(link: &Link) {
    let done = link.ssh().exec("echo works");
    assert_eq!(done.text(), "works\n", "{}", done.stderr);
}

#[test]
fn the_ledger_of_a_gateway_that_died_is_settled_by_the_next_one() {
    let server = Postgres::start();
    let mut link = open(&server);
    works(&link);
    let ssh = link.ssh();
    let person = Program::start(&mut ssh.command(&[], &["echo ready >&2; cat"]));
    let ready = |line: &str| (line.trim_end() == "ready").then_some(());
    person.find_line("the session works", PATIENCE, ready).unwrap();
    link.gateway().kill();
    person.ended(PATIENCE);
    link.gateway().start();
    let sessions = link.gateway().ended_sessions(2);
    let verdicts: Vec<_> = sessions.iter().map(|session| session["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["lost", "accept"]);
    let id = sessions[1]["id"].as_str().unwrap();
    let shown = link.gateway().session(id);
    assert!(shown["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "{shown}");
    works(&link);
    let rows = |sql: &str| server.sql(Postgres::DATABASE, sql);
    assert_eq!(rows("SELECT COUNT(*) FROM sessions"), "3");
    let data = link.gateway().data();
    assert!(!data.join("keyward.db").exists() && data.join("sealing.key").exists());
    let checked = keyward(["check".as_ref(), link.gateway().policy().as_os_str()]).text();
    assert!(checked.contains("is sound"), "{checked}");
}

#[test]
fn without_its_database_a_gateway_lets_nobody_in_and_goes_on_when_it_is_back() {
    let mut server = Postgres::start();
    let mut link = open(&server);
    works(&link);
    server.stop();
    let refused = link.ssh().exec("echo works");
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{}", refused.stderr);
    let policy = link.gateway().policy();
    let list = keyward(["session".as_ref(), "list".as_ref(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(list.status.code(), Some(2));
    let told = list.stderr;
    assert!(told.contains(" of keyward at 127.0.0.1:") && !told.contains(Postgres::PASSWORD), "{told}");
    server.start_again();
    until("people get in again", PATIENCE, || link.ssh().exec("true").status.success().then_some(()));
    assert!(!link.gateway().log().join("\n").contains(Postgres::PASSWORD));
}

#[test]
fn a_wrong_password_for_the_database_is_told_and_nothing_is_served() {
    let server = Postgres::start();
    let mut link = open(&server);
    link.gateway().stop();
    let password = link.gateway().policy().with_file_name("database.password");
    fs::write(password, "wr0ng-w0rd\n").unwrap();
    let told = link.gateway().refuses_to_start();
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("wr0ng-w0rd"), "{told}");
}
