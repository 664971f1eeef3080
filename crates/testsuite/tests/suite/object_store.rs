//! Recordings in an object store: OpenStack Swift through its S3 interface, and what only calls itself one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyward_testsuite::{Authority, PATIENCE, PeerServer, Swift, until};
use serde_json::Value;

use crate::retention::Recording;
use crate::site::{Draft, Site};

pub(crate) fn site(swift: &Swift, more: &str) -> Site {
    site_at(&swift.endpoint(), Swift::SECRET_KEY, more)
}

fn site_at(endpoint: &str, secret: &str, more: &str) -> Site {
    let (bucket, key) = (Swift::BUCKET, Swift::ACCESS_KEY);
    Site::with(|draft: &mut Draft| {
        draft.connection += "audit-policy = \"kept\"\n";
        draft.more = format!(
            "\n[[audit-policy]]\nname = \"kept\"\nkeep-for = \"90d\"\n\n[gateway.object-store]\nendpoint = \"{endpoint}\"\n\
             allow-http = true\nbucket = \"{bucket}\"\nprefix = \"node-1/\"\naccess-key = \"{key}\"\n\
             secret-key = \"{secret}\"\n{more}"
        );
    })
}

impl Site {
    /// What the ledger has of a recording in the store, once it has.
    #[track_caller]
    fn stored(&self, recording: &Recording) -> Value {
        until("the recording is in the store", PATIENCE, || {
            let record = self.gateway.session(&recording.session);
            record["trail_object"].is_object().then(|| record["trail_object"].clone())
        })
    }

    #[track_caller]
    fn is_not_stored(&self, recording: &Recording) {
        assert_eq!(self.gateway.session(&recording.session)["trail_object"], Value::Null);
        assert!(recording.file.exists());
    }

    /// A line of the gateway's log with all these words.
    #[track_caller]
    pub(crate) fn logs(&self, words: &[&str]) {
        let has_all = |line: &str| words.iter().all(|word| line.contains(word)).then_some(());
        let found = self.gateway.program().find_line("the line of the log", PATIENCE, has_all);
        assert!(found.is_some(), "{words:?}: {:#?}", self.gateway.log());
        self.tells_no_secret();
    }

    #[track_caller]
    pub(crate) fn tells_no_secret(&self) {
        let log = self.gateway.log().join("\n");
        assert!(!log.contains(Swift::SECRET_KEY) && !log.contains("X-Amz-Signature"), "{log}");
    }
}

#[test]
fn a_finished_recording_is_in_the_store_byte_for_byte_and_the_ledger_says_so() {
    let swift = Swift::start();
    let site = site(&swift, "");
    let recording = site.record("seq 20000");
    let object = site.stored(&recording);
    let file = fs::read(&recording.file).unwrap();
    let key = object["key"].as_str().unwrap();
    assert!(key.starts_with("node-1/") && key.ends_with(".trail"), "{key}");
    assert_eq!(swift.list(), [key]);
    assert!(swift.get(key) == file, "the object is not the recording");
    assert_eq!(object["length"], file.len());
    assert_eq!(
        (&object["store"], &object["file"]),
        (&format!("{}/recordings", swift.endpoint()).into(), &"kept".into())
    );

    let to = site.sshd.folder().join("fetched");
    let fetch = ["session", "fetch-recording", &recording.session, "--to", to.to_str().unwrap()];
    site.command(&fetch).must_succeed();
    assert!(fs::read(&to).unwrap() == file);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        site.refused_command(&fetch).contains("cannot be made"),
        "a file that is there is not overwritten"
    );
    site.tells_no_secret();
}

#[test]
fn a_file_goes_after_its_time_and_the_recording_is_verified_fetched_and_deleted_all_the_same() {
    let swift = Swift::start();
    let site = site(&swift, "keep-local-for = \"36h\"\n");
    let (recording, young) = (site.record("echo shown"), site.record("echo young"));
    let before = fs::read(&recording.file).unwrap();
    site.stored(&recording);
    site.stored(&young);
    let id = &recording.session;
    site.sql(&format!("UPDATE trail_objects SET stored = stored - 130000000 WHERE session = '{id}'"));
    let object = until("the file is gone", PATIENCE, || {
        let object = site.gateway.session(id)["trail_object"].clone();
        (object["file"] == "gone").then_some(object)
    });
    assert!(!recording.file.exists() && young.file.exists());

    let (status, says) = site.verify();
    assert_eq!(status, 0, "{says}");
    assert!(says.contains(&format!("keyward session fetch-recording {id}")), "{says}");
    let to = site.sshd.folder().join("fetched.trail");
    site.command(&["session", "fetch-recording", id, "--to", to.to_str().unwrap()]).must_succeed();
    assert!(fs::read(&to).unwrap() == before);
    let verified = site.command(&["trail", "verify", to.to_str().unwrap()]);
    verified.must_succeed();

    // Retention knows it by the store, and deletes it there.
    site.sql(&format!(
        "UPDATE sessions SET started = started - 8000000000, ended = ended - 8000000000 WHERE id = '{id}'"
    ));
    site.look();
    let record = site.deleted(&recording);
    assert_eq!(record["trail_deletion"]["cause"], "age");
    assert!(!swift.list().contains(&object["key"].as_str().unwrap().to_owned()));
    assert!(young.file.exists());
}

#[test]
fn a_store_that_is_gone_holds_nobody_up_and_gets_everything_when_it_is_back() {
    let mut swift = Swift::start();
    let site = site(&swift, "");
    let first = site.record("echo one");
    site.stored(&first);
    swift.stop();
    let second = site.record("echo two");
    site.logs(&["ALERT: recordings cannot be sent to the object store", "they stay on the disk"]);
    site.is_not_stored(&second);
    swift.come_back();
    site.stored(&second);
    site.logs(&["recordings go to the object store again"]);
    assert_eq!(swift.list().len(), 2);
    let alerts = site.gateway.log().iter().filter(|line| line.contains("ALERT")).count();
    assert_eq!(alerts, 1, "an outage is told once");
}

#[test]
fn a_gateway_that_was_killed_sends_what_it_had_not_sent() {
    let mut swift = Swift::start();
    let mut site = site(&swift, "");
    swift.stop();
    let recording = site.record("seq 20000");
    site.gateway.kill();
    swift.come_back();
    site.gateway.start();
    let object = site.stored(&recording);
    assert_eq!(swift.list(), [object["key"].as_str().unwrap()]);
    assert!(swift.get(object["key"].as_str().unwrap()) == fs::read(&recording.file).unwrap());
}

#[test]
fn a_deletion_is_owed_until_the_store_has_done_it() {
    let mut swift = Swift::start();
    let site = site(&swift, "");
    let recording = site.record("echo shown");
    site.stored(&recording);
    swift.stop();
    let delete = ["session", "delete-recording", &recording.session, "--reason", "wanted"];
    assert!(site.refused_command(&delete).contains("the object store cannot be asked"));
    assert!(recording.file.exists(), "what is not deleted in one place is not in the other");
    assert_eq!(site.gateway.session(&recording.session)["trail_deletion"]["done"], Value::Null);
    swift.come_back();
    site.look();
    site.deleted(&recording);
    assert!(swift.list().is_empty());
}

#[test]
fn a_wrong_key_or_bucket_is_said_with_the_word_of_the_document() {
    let swift = Swift::start();
    let stranger = site_at(&swift.endpoint(), "another-secret", "");
    stranger.logs(&["ALERT", "status 403", "`secret-key` of [gateway.object-store]"]);
    let lost = site(&swift, "");
    lost.gateway.edit_policy(|text| text.replace("bucket = \"recordings\"", "bucket = \"no-such-bucket\""));
    lost.gateway.reread("was read again");
    lost.logs(&["ALERT", "status 404", "`bucket` of [gateway.object-store]"]);
    let recording = lost.record("echo shown");
    lost.is_not_stored(&recording);
}

#[test]
fn a_store_that_lies_is_not_believed() {
    for (lie, says) in [
        ("hash", "not what was sent"),
        ("endless", "status 403"),
        ("elsewhere", "redirects are not followed"),
    ] {
        let liar = PeerServer::start("lying_store", &[("LIE", lie)]);
        let site =
            site_at(&format!("http://{}", liar.addr()), Swift::SECRET_KEY, "keep-local-for = \"1h\"\n");
        let recording = site.record("echo shown");
        site.logs(&["ALERT", says]);
        site.is_not_stored(&recording);
        assert!(!liar.log().iter().any(|line| line == "followed"), "{lie}");
    }
}

#[test]
fn a_store_behind_tls_is_one_whose_certificate_comes_from_the_list_of_the_document() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (its, other) = (authority.certificate(), stranger.certificate());
    let swift = Swift::with_certificate_of(authority);
    let trusting = |certificate: &str| {
        let list = format!(
            "trusted-ca-list = \"store\"\n\n[[trusted-ca-list]]\nname = \"store\"\ncertificates = [\"\"\"\n{certificate}\"\"\"]\n"
        );
        site(&swift, &list)
    };
    let deceived = trusting(&other);
    let recording = deceived.record("echo shown");
    deceived.logs(&["ALERT", "recordings cannot be sent", "invalid peer certificate"]);
    deceived.is_not_stored(&recording);
    assert!(swift.list().is_empty());
    let told =
        deceived.gateway.log().iter().filter(|line| line.contains("recordings cannot be sent")).count();
    assert_eq!(told, 1, "{:#?}", deceived.gateway.log());

    let site = trusting(&its);
    let recording = site.record("seq 20000");
    let object = site.stored(&recording);
    assert!(swift.get(object["key"].as_str().unwrap()) == fs::read(&recording.file).unwrap());
    let to = site.sshd.folder().join("fetched");
    let fetch = ["session", "fetch-recording", &recording.session, "--to", to.to_str().unwrap()];
    site.command(&fetch).must_succeed();
    assert!(fs::read(&to).unwrap() == fs::read(&recording.file).unwrap());
}
