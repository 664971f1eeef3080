//! Legal holds on recordings, and recordings that somebody deletes.

use std::fs;

use keyward_testsuite::{PATIENCE, Program, until};
use serde_json::json;

use crate::retention::{Recording, site};
use crate::site::Site;

#[test]
fn a_hold_keeps_a_recording_until_it_is_released_and_both_stay_on_record() {
    let site = site();
    // The older one is looked at first.
    let (held, free) = (site.record_of_old(200), site.record_of_old(100));
    let id = &*held.session;
    site.command(&["session", "hold", id, "--reason", "case 12"]).must_succeed();
    let unique = held.file.file_stem().unwrap().to_str().unwrap();
    site.command(&["session", "hold", unique, "--reason", "case 13"]).must_succeed();
    let list = || site.command(&["session", "list", "--held"]).text();
    assert!(list().contains(id) && !list().contains(&free.session), "{}", list());
    let (due, kept, plan) = site.plan();
    assert_eq!((due.len(), &kept[0]["because"]), (1, &json!("the recording is on hold")), "{plan:#}");
    site.look();
    site.deleted(&free);
    site.is_kept(&held);
    let refused = site.refused_command(&["session", "delete-recording", id, "--reason", "tidy"]);
    assert!(refused.contains("the recording is on hold"), "{refused}");
    let refused = site.refused_command(&["session", "hold", &free.session, "--reason", "late"]);
    assert!(refused.contains("nothing left to hold"), "{refused}");

    let missing = held.file.with_extension("away");
    fs::rename(&held.file, &missing).unwrap();
    let (status, said) = site.verify();
    assert!(status == 3 && said.contains("MISSING") && said.contains("on legal hold"), "{said}");
    fs::rename(&missing, &held.file).unwrap();

    let several = site.refused_command(&["session", "release", id, "--reason", "done"]);
    assert!(several.contains("1 (case 12), 2 (case 13)"), "{several}");
    site.command(&["session", "release", id, "--hold", "1", "--reason", "12 is over"]).must_succeed();
    assert!(list().contains(id));
    site.command(&["session", "release", id, "--reason", "13 is over"]).must_succeed();
    assert!(!list().contains(id));
    let none = site.refused_command(&["session", "release", id, "--reason", "again"]);
    assert!(none.contains("no hold is on"), "{none}");
    site.look();
    let record = site.deleted(&held);
    let holds = record["holds"].as_array().unwrap();
    assert_eq!((holds.len(), &holds[1]["reason"]), (2, &json!("case 13")));
    assert_eq!(holds[0]["released"]["reason"], "12 is over");
    assert!(holds[0]["by"].as_str().is_some_and(|by| !by.is_empty()), "{holds:?}");
    let show = site.command(&["session", "show", id]).text();
    assert!(show.contains("case 12") && show.contains("13 is over"), "{show}");
}

#[test]
fn a_recording_is_deleted_by_hand_with_a_reason_once_its_session_is_over() {
    let site = Site::open();
    let ssh = site.ssh();
    let mut session = Program::start(&mut ssh.command(&[], &["echo in; read -r _"]));
    let file = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    let id = site.gateway.sessions()[0]["id"].as_str().unwrap().to_owned();
    let words = ["session", "delete-recording", &id, "--reason", "asked for by the works council"];
    let open = site.refused_command(&words);
    assert!(open.contains("the session is open"), "{open}");
    site.command(&["session", "hold", &id, "--reason", "x"]).must_succeed();
    site.command(&["session", "release", &id, "--reason", "x"]).must_succeed();
    session.tell_no_more();
    site.ended(1);
    until("the recording is closed", PATIENCE, || {
        site.gateway.session(&id)["trail_closed"].is_object().then_some(())
    });
    let copy = fs::read(&file).unwrap();
    assert!(site.command(&["session", "delete-recording", &id, "--reason", " "]).status.code() == Some(2));
    site.command(&words).must_succeed();
    let recording = Recording { session: id.clone(), file };
    let deletion = &site.deleted(&recording)["trail_deletion"];
    assert_eq!((&deletion["cause"], &deletion["reason"]), (&json!("hand"), &json!(words[4])));
    assert!(deletion["by"].is_string(), "{deletion}");
    let again = site.refused_command(&words);
    assert!(again.contains("recording deleted at "), "{again}");

    fs::write(&recording.file, copy).unwrap();
    let (status, said) = site.verify();
    assert!(status == 3 && said.contains("PUT BACK"), "{said}");
    let one = site.command(&["trail", "verify", recording.file.to_str().unwrap()]);
    assert_eq!(one.status.code(), Some(3), "{one:?}");
}
