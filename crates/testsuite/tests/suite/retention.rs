//! How long recordings are kept: by age and by size; what is deleted is on record, and its session stays.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{PATIENCE, PowerCuts, Program, Run, Sshd, keyward, shell, until};
use serde_json::{Value, json};

use crate::site::{Draft, Site};

const DAY: i64 = 24 * 3600 * 1000;

/// A gateway that keeps recordings for 90 days.
pub(crate) fn site() -> Site {
    Site::with(keep_for_90_days)
}

fn keep_for_90_days(draft: &mut Draft) {
    draft.connection += "audit-policy = \"kept\"\n";
    draft.more = "\n[[audit-policy]]\nname = \"kept\"\nkeep-for = \"90d\"\n".to_owned();
}

/// A recording, and the session that it is of.
pub(crate) struct Recording {
    pub(crate) session: String,
    pub(crate) file: PathBuf,
}

impl Site {
    /// Records a session that runs `command`, the newest of all, and waits until the recording is closed.
    #[track_caller]
    pub(crate) fn record(&self, command: &str) -> Recording {
        let count = self.gateway.sessions().len() + 1;
        self.ssh().exec(command).must_succeed();
        let session = self.ended(count)["id"].as_str().unwrap().to_owned();
        let closed = until("the recording is closed", PATIENCE, || {
            let record = self.gateway.session(&session);
            record["trail_closed"]["last"].is_object().then_some(record)
        });
        let file = self.gateway.data().join("trails").join(closed["trail"].as_str().unwrap());
        assert!(file.exists());
        Recording { session, file }
    }

    /// The same, of a session that ended so many days ago.
    #[track_caller]
    pub(crate) fn record_of_old(&self, days: i64) -> Recording {
        let recording = self.record("echo shown");
        let (age, id) = (days * DAY, &recording.session);
        self.sql(&format!(
            "UPDATE sessions SET started = started - {age}, ended = ended - {age} WHERE id = '{id}'"
        ));
        recording
    }

    /// Changes what only time changes.
    #[track_caller]
    pub(crate) fn sql(&self, statement: &str) {
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=30) as db: db.execute(sys.argv[2])";
        let database = self.gateway.data().join("keyward.db");
        shell("python3 -c \"$1\" \"$2\" \"$3\"", &[script, database.to_str().unwrap(), statement])
            .must_succeed();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Run {
        let policy = self.gateway.policy();
        keyward([words, &["--policy", policy.to_str().unwrap()]].concat())
    }

    /// Runs a command that must not do what it was asked to, and gives what it says.
    #[track_caller]
    pub(crate) fn refused_command(&self, words: &[&str]) -> String {
        let run = self.command(words);
        assert_eq!(run.status.code(), Some(2), "{words:?}: {run:?}");
        run.stderr
    }

    #[track_caller]
    pub(crate) fn look(&self) {
        self.gateway.reread("was read again");
    }

    /// Waits until the gateway has deleted it, and gives the session's record.
    #[track_caller]
    pub(crate) fn deleted(&self, recording: &Recording) -> Value {
        let record = until("the recording is deleted", PATIENCE, || {
            let record = self.gateway.session(&recording.session);
            record["trail_deletion"]["done"].is_string().then_some(record)
        });
        assert!(!recording.file.exists());
        record
    }

    #[track_caller]
    pub(crate) fn is_kept(&self, recording: &Recording) {
        assert!(recording.file.exists());
        assert_eq!(self.gateway.session(&recording.session)["trail_deletion"], Value::Null);
    }

    /// What `keyward trail verify --policy` ends with, and says of each recording.
    pub(crate) fn verify(&self) -> (i32, String) {
        let run = self.command(&["trail", "verify", "--verbose"]);
        (run.status.code().unwrap_or(-1), String::from_utf8(run.stdout).unwrap())
    }

    /// What `keyward trail retention` would delete, and what is due and kept.
    #[track_caller]
    pub(crate) fn plan(&self) -> (Vec<Value>, Vec<Value>, Value) {
        let text = self.command(&["trail", "retention", "--json"]).text();
        let plan: Value = serde_json::from_str(&text).unwrap();
        let list = |key: &str| plan[key].as_array().unwrap().clone();
        (list("delete"), list("kept"), plan.clone())
    }
}

#[test]
fn a_recording_past_its_term_is_deleted_and_the_session_stays_with_the_reason() {
    let site = site();
    let (old, new) = (site.record_of_old(91), site.record_of_old(89));
    let before = site.gateway.session(&old.session);
    let (due, kept, plan) = site.plan();
    assert_eq!((due.len(), kept.len()), (1, 0), "{plan:#}");
    assert_eq!((&due[0]["session"], &due[0]["cause"]), (&json!(old.session), &json!("age")));
    let shown = site.command(&["trail", "retention"]).text();
    assert!(shown.starts_with("DELETE  ") && shown.contains("kept for 90d (`keep-for`)"), "{shown}");
    site.is_kept(&old);

    site.look();
    let after = site.deleted(&old);
    let deletion = &after["trail_deletion"];
    assert_eq!((&deletion["cause"], &deletion["by"]), (&json!("age"), &Value::Null), "{deletion}");
    assert!(
        deletion["reason"].as_str().unwrap().contains("of connection ssh are kept for 90d"),
        "{deletion}"
    );
    for fact in ["gateway_user", "started", "ended", "verdict", "trail", "trail_closed", "notes"] {
        assert_eq!(after[fact], before[fact]);
    }
    site.gateway.says(&["INFO", "recording deleted", &old.session, "cause=\"age\""]);
    site.is_kept(&new);
    let (status, said) = site.verify();
    assert!(status == 0 && said.contains("recording deleted at ") && !said.contains("MISSING"), "{said}");
    let show = site.command(&["session", "show", &old.session]).text();
    assert!(show.contains("recording deleted at ") && show.contains("kept for 90d"), "{show}");
    let gone = site.refused_command(&["trail", "verify", old.file.to_str().unwrap()]);
    assert!(gone.contains("recording deleted at "), "{gone}");

    // A shorter term counts for what is there already.
    site.gateway.edit_policy(|text| text.replace("\"90d\"", "\"88d\""));
    site.look();
    site.deleted(&new);
}

#[test]
fn without_a_term_for_its_connection_no_recording_is_too_old() {
    let site = site();
    let old = site.record_of_old(9000);
    site.gateway.edit_policy(|text| text.replace("audit-policy = \"kept\"\n", ""));
    assert!(site.command(&["trail", "retention"]).text().contains("deletes no recording"));
    // Of a connection that the document has no more.
    site.gateway
        .edit_policy(|text| text.replace("name = \"ssh\"\n", "name = \"other\"\naudit-policy = \"kept\"\n"));
    site.look();
    let of_other = site.record_of_old(91);
    site.look();
    site.deleted(&of_other);
    site.is_kept(&old);
}

#[test]
fn the_oldest_go_until_all_fit_and_what_is_on_hold_does_not() {
    let site = Site::open();
    let noise = "head -c 600000 /dev/urandom";
    let all: Vec<Recording> = (0..4).map(|_| site.record(noise)).collect();
    let [first, second, third, fourth] = &all[..] else { panic!() };
    site.command(&["session", "hold", &first.session, "--reason", "x"]).must_succeed();
    site.gateway.edit_policy(|text| text.replace("drain = 30", "drain = 30\nkeep-at-most = \"2 MiB\""));
    let (due, kept, plan) = site.plan();
    assert_eq!((due.len(), kept.len(), &plan["bytes_over"]), (1, 1, &json!(0)), "{plan:#}");
    site.look();
    let record = site.deleted(second);
    assert_eq!(record["trail_deletion"]["cause"], "size");
    for kept in [first, third, fourth] {
        site.is_kept(kept);
    }

    site.gateway.edit_policy(|text| text.replace("\"2 MiB\"", "\"1 MiB\""));
    site.look();
    site.deleted(third);
    site.deleted(fourth);
    site.is_kept(first);

    // What is left is on hold or open, and more than there is room for.
    let last = site.record(noise);
    site.command(&["session", "hold", &last.session, "--reason", "x"]).must_succeed();
    let over = ["ALERT", "recordings take more room than `keep-at-most`"];
    site.look();
    site.gateway.says(&over);
    site.ssh().exec("echo recorded").must_succeed();
    let next = site.record("echo next");
    site.look();
    let log = until("a second look", PATIENCE, || {
        let record = site.gateway.session(&next.session);
        record["trail_deletion"]["done"].is_string().then(|| site.gateway.log())
    });
    let told = log.iter().filter(|line| over.iter().all(|word| line.contains(word))).count();
    assert_eq!(told, 1, "once, and not at each look");
    site.is_kept(first);
}

#[test]
fn a_deletion_that_a_crash_cut_off_is_finished_at_the_next_start() {
    let mut site = site();
    let old = site.record_of_old(91);
    let file = old.file.to_str().unwrap();
    // A file that something is mounted on cannot be removed.
    let sudo = "if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi";
    shell(sudo, &["mount", "--bind", file, file]).must_succeed();
    site.look();
    let said = site.gateway.says(&["ALERT", "a recording cannot be deleted", "cannot be removed"]);
    let (status, verified) = site.verify();
    let record = site.gateway.session(&old.session);
    site.gateway.kill();
    shell(sudo, &["umount", file]).must_succeed();
    assert!(said.contains(&old.session), "{said}");
    assert!(status == 1 && verified.contains("still there: recording to be deleted since"), "{verified}");
    assert_eq!(record["trail_deletion"]["done"], Value::Null);
    assert!(old.file.exists());

    site.gateway.start();
    let record = site.deleted(&old);
    assert_eq!(record["trail_deletion"]["cause"], "age");
    site.gateway.says(&["recording deleted, as was decided before", &old.session]);
    assert_eq!(site.verify().0, 0);
}

#[test]
fn a_power_cut_does_not_take_back_why_a_recording_was_deleted() {
    let cuts = PowerCuts::prepare();
    let site = Site::planned(Sshd::start(), keep_for_90_days, |plan| plan.with_power_cuts(&cuts));
    let old = site.record_of_old(91);
    let data = site.gateway.data();
    site.look();
    site.deleted(&old);
    // What the disk had taken last, of the log that changes of the ledger go to first, before the file went.
    let log = data.join("keyward.db-wal");
    let taken = cuts.taken(&log).pop().expect("the disk has taken changes of the ledger");
    let left = site.sshd.folder().join("left");
    let script = "mkdir -m 700 \"$2\" && cp \"$1/keyward.db\" \"$1/sealing.key\" \"$2/\" && \
                  head -c \"$3\" \"$1/keyward.db-wal\" > \"$2/keyward.db-wal\"";
    let paths = [data.to_str().unwrap(), left.to_str().unwrap()];
    shell(script, &[&paths[..], &[&taken.length.to_string()]].concat()).must_succeed();
    site.gateway.edit_policy(|text| text.replace(paths[0], paths[1]));
    let deletion = &site.gateway.session(&old.session)["trail_deletion"];
    assert_eq!((&deletion["cause"], &deletion["done"]), (&json!("age"), &Value::Null), "{deletion}");
}

#[test]
fn a_recording_that_was_changed_or_is_missing_is_told_and_not_deleted() {
    let site = site();
    let [longer, shorter, other, missing, good] =
        [105, 104, 103, 102, 101].map(|days| site.record_of_old(days));
    let whole = fs::read(&good.file).unwrap();
    let bytes = |recording: &Recording| fs::read(&recording.file).unwrap();
    fs::write(&longer.file, [&bytes(&longer)[..], b"more"].concat()).unwrap();
    fs::write(&shorter.file, &bytes(&shorter)[..100]).unwrap();
    fs::write(&other.file, &whole).unwrap();
    fs::remove_file(&missing.file).unwrap();
    site.look();
    site.deleted(&good);
    let alert = |recording: &Recording, words: &str| {
        site.gateway.says(&["ALERT", "a recording cannot be deleted", &recording.session, words]);
    };
    alert(&shorter, "it has 100 bytes");
    alert(&other, "is not as it was closed");
    alert(&missing, "its file is missing");
    alert(&longer, "it was changed");
    for kept in [&longer, &shorter, &other] {
        site.is_kept(kept);
    }
    let (status, said) = site.verify();
    assert!(status == 3 && said.contains("MISSING") && said.contains("CUT BACK"), "{said}");

    let by_hand = |recording: &Recording, more: &[&str]| {
        let words = ["session", "delete-recording", &recording.session, "--reason", "case closed"];
        site.command(&[&words, more].concat())
    };
    for more in [&[][..], &["--even-if-changed"]] {
        let refused = by_hand(&missing, more);
        assert!(refused.stderr.contains("its file is missing"), "{refused:?}");
    }
    let refused = by_hand(&shorter, &[]);
    assert!(refused.status.code() == Some(2) && refused.stderr.contains("--even-if-changed"), "{refused:?}");
    by_hand(&shorter, &["--even-if-changed"]).must_succeed();
    assert_eq!(site.deleted(&shorter)["trail_deletion"]["as_closed"], false);
}

#[test]
fn a_plugin_that_has_not_heard_of_the_end_keeps_the_recording() {
    let site = site();
    // The older one is looked at first.
    let (owed, paid) = (site.record_of_old(200), site.record_of_old(100));
    let id = &owed.session;
    site.sql(&format!(
        "INSERT INTO session_plugins (session, instance, position, role, bundle, checksum, retry_interrupted, state, cookie) \
         VALUES ('{id}', 'aa', 1, 'aa', 'Example', 'c', FALSE, 'interrupted', '{{}}')"
    ));
    let (due, kept, plan) = site.plan();
    assert_eq!((due.len(), kept.len()), (1, 1), "{plan:#}");
    assert!(kept[0]["because"].as_str().unwrap().contains("session_ended"), "{plan:#}");
    site.look();
    site.deleted(&paid);
    site.is_kept(&owed);
    site.sql(&format!("UPDATE session_plugins SET state = 'ended' WHERE session = '{id}'"));
    site.look();
    site.deleted(&owed);
}

#[test]
fn a_clock_that_has_jumped_deletes_nothing_until_somebody_says_that_it_is_right() {
    let site = site();
    let old = site.record_of_old(91);
    // For the gateway it is the same whether its clock has jumped or its last look is long ago.
    site.sql(&format!("UPDATE retention_looks SET looked = looked - {}", 8 * DAY));
    let (due, _, plan) = site.plan();
    assert!(due.is_empty() && plan["clock_doubtful_since"].is_string(), "{plan:#}");
    for _ in 0..2 {
        site.look();
        site.gateway.says(&["ALERT", "more than a week has passed", "days=8"]);
    }
    site.is_kept(&old);
    let said = site.command(&["trail", "retention", "--clock-is-right"]).text();
    assert!(said.contains("deletes by age again"), "{said}");
    site.look();
    site.deleted(&old);
}

#[test]
fn a_recording_of_a_gateway_that_died_is_deleted_when_its_time_has_come() {
    let mut site = site();
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &["while sleep 0.1 && echo tick; do :; done"]));
    let shows = |file: &Path| site.gateway.played(file).stdout.starts_with(b"tick");
    let file =
        until("work is recorded", PATIENCE, || site.gateway.recordings().pop().filter(|file| shows(file)));
    site.gateway.kill();
    session.ended(PATIENCE);
    site.gateway.start();
    let id = site.gateway.sessions()[0]["id"].as_str().unwrap().to_owned();
    until("the recording is closed", PATIENCE, || {
        site.gateway.session(&id)["trail_closed"]["last"].is_object().then_some(())
    });
    site.sql(&format!("UPDATE sessions SET ended = ended - {} WHERE id = '{id}'", 91 * DAY));
    site.look();
    site.deleted(&Recording { session: id, file });
}
