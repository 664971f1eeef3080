//! Recordings that only their auditors can read, and that anybody can verify.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward_testsuite::{Input, PATIENCE, Program, Run, keyward, until};
use tempfile::TempDir;

use crate::site::Site;

/// Auditors with their keys, on a machine of their own.
pub(crate) struct Auditors {
    folder: TempDir,
    public: Vec<String>,
}

impl Auditors {
    pub(crate) fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let make = |n: usize| {
            let made = keyward(["trail", "new-key", key_in(&folder, n).to_str().unwrap()]);
            made.must_succeed();
            made.text().trim().to_owned()
        };
        let public = (0..count).map(make).collect();
        Self { folder, public }
    }

    /// A gateway with an audit policy of these lines, in which `@0@` is the first auditor's public key.
    pub(crate) fn site(&self, policy: &str) -> Site {
        let mut policy = policy.to_owned();
        for (n, public) in self.public.iter().enumerate() {
            policy = policy.replace(&format!("@{n}@"), public);
        }
        Site::with(|draft| {
            draft.connection += "audit-policy = \"auditors\"\n";
            draft.more = format!("\n[[audit-policy]]\nname = \"auditors\"\n{policy}\n");
        })
    }

    pub(crate) fn key(&self, number: usize) -> PathBuf {
        key_in(&self.folder, number)
    }

    fn play(&self, recording: &Path, keys: &[usize]) -> Run {
        let mut arguments = vec!["trail".into(), "play".into(), "--max-idle".into(), "0".into()];
        for number in keys {
            arguments.extend(["--key".into(), self.key(*number)]);
        }
        arguments.push(recording.to_owned());
        keyward(arguments)
    }

    /// Both directions, as text.
    fn exported(&self, recording: &Path, key: usize) -> String {
        let (recording, key) = (recording.to_str().unwrap(), self.key(key));
        keyward([
            "trail",
            "export",
            recording,
            "--as",
            "asciicast",
            "--with-input",
            "--key",
            key.to_str().unwrap(),
        ])
        .text()
    }
}

fn key_in(folder: &TempDir, number: usize) -> PathBuf {
    folder.path().join(format!("auditor-{number}.key"))
}

/// The exit status of `keyward trail verify`, and what it says.
fn verify(recording: &Path, more: &[&str]) -> (i32, String) {
    let run = keyward([&["trail", "verify", recording.to_str().unwrap()], more].concat());
    (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
}

fn signer(site: &Site) -> String {
    let policy = site.gateway.policy();
    keyward(["trail", "signer", "--policy", policy.to_str().unwrap()]).text().trim().to_owned()
}

/// The only recording, after one session.
fn recording(site: &Site) -> PathBuf {
    site.ended(1);
    site.gateway.recordings().remove(0)
}

/// Says something, and reads a line that is typed.
fn talk(site: &Site) -> PathBuf {
    let typed = Input::Bytes(b"sesame\n".to_vec());
    site.ssh().exec_with("echo shown; read -r word; echo heard ${#word}", typed).must_succeed();
    recording(site)
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_recording_is_read_with_the_auditors_key_and_with_no_other() {
    let auditors = Auditors::new(2);
    let site = auditors.site("recipients = [\"@0@\"]");
    let recording = talk(&site);

    assert_eq!(auditors.play(&recording, &[0]).text(), "shown\nheard 6\n");
    assert!(auditors.exported(&recording, 0).contains("sesame"));
    for text in ["shown", "sesame", "heard"] {
        assert!(!holds(&recording, text), "{text}");
    }
    for (keys, why) in [(&[][..], "is encrypted"), (&[1], "is not encrypted to")] {
        let refused = auditors.play(&recording, keys);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            refused.stderr.contains(why) && refused.stderr.contains(&auditors.public[0]),
            "{}",
            refused.stderr
        );
    }
    let mode = fs::metadata(auditors.key(0)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn two_auditors_read_jointly_what_is_typed_and_each_of_them_what_is_shown() {
    let auditors = Auditors::new(2);
    let site = auditors.site(
        "recipients = [\"@0@\", \"@1@\"]\ntyped = { recipients = [\"@0@\", \"@1@\"], needs = \"all\" }",
    );
    let recording = talk(&site);

    for one in [0, 1] {
        let played = auditors.play(&recording, &[one]);
        assert_eq!(played.text(), "shown\nheard 6\n");
        let missing = &auditors.public[1 - one];
        assert!(played.stderr.contains("left out") && played.stderr.contains(missing), "{}", played.stderr);
        assert!(!auditors.exported(&recording, one).contains("sesame"));
    }
    let both = auditors.play(&recording, &[0, 1]);
    both.must_succeed();
    assert!(!both.stderr.contains("left out"), "{}", both.stderr);
}

/// The bytes up to the first block.
fn header_len(bytes: &[u8]) -> usize {
    let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    24 + length(12) + length(16)
}

#[test]
fn a_file_that_is_not_signed_is_nobodys_word() {
    let site = Site::open();
    let recording = talk(&site);
    let (signer, bytes) = (signer(&site), fs::read(&recording).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.trail");
    let said_of = |bytes: &[u8]| {
        fs::write(&copy, bytes).unwrap();
        verify(&copy, &["--signed-by", &signer])
    };
    let begun = header_len(&bytes);
    for cut in [begun, begun + 20] {
        let (status, said) = said_of(&bytes[..cut]);
        assert_eq!(status, 3, "{said}");
        assert!(said.starts_with("claims to be session ") && said.contains("UNSIGNED"), "{said}");
        assert!(!said.contains("\nsigned by"), "{said}");
    }
    let (status, said) = said_of(&bytes[..begun - 1]);
    assert!(status == 1 && said.starts_with("truncated: "), "{said}");

    fs::write(&copy, &bytes[..begun]).unwrap();
    let played = keyward(["trail", "play", copy.to_str().unwrap(), "--signed-by", &signer]);
    assert!(played.stderr.contains("nothing of the recording is signed"), "{}", played.stderr);
}

#[test]
fn what_could_not_be_checked_is_not_said_to_be_changed() {
    let site = Site::open();
    let recording = talk(&site);
    let (signer, mut bytes) = (signer(&site), fs::read(&recording).unwrap());
    let refused = keyward(["trail", "verify", recording.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    for word in ["--signed-by KEY", "keyward trail signer", "--any-signer"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.trail");
    assert_eq!(verify(&copy, &["--signed-by", &signer]).0, 2, "no file");
    assert_eq!(verify(&recording, &["--signed-by", "nobody"]).0, 2, "no key");
    fs::write(&copy, "noise").unwrap();
    assert_eq!(verify(&copy, &["--signed-by", &signer]).0, 2, "no recording");
    bytes[8] += 1;
    fs::write(&copy, &bytes).unwrap();
    assert_eq!(verify(&copy, &["--signed-by", &signer]).0, 2, "another version");
}

#[test]
fn who_plays_a_recording_is_told_who_has_signed_it_and_until_when() {
    let site = Site::open();
    let recording = talk(&site);
    let (signer, bytes) = (signer(&site), fs::read(&recording).unwrap());
    let show = |file: &Path, more: &[&str]| {
        let file = file.to_str().unwrap();
        let played = keyward([&["trail", "play", "--max-idle", "0", file], more].concat());
        let exported = keyward([&["trail", "export", "--as", "asciicast", file], more].concat());
        assert_eq!(played.stderr, exported.stderr);
        played
    };
    let played = show(&recording, &[]);
    played.must_succeed();
    assert!(played.stderr.contains(&format!("signed by {signer}: whose key")), "{}", played.stderr);
    assert_eq!(show(&recording, &["--signed-by", &signer]).stderr, "");
    let other = self::signer(&Site::open());
    let file = recording.to_str().unwrap();
    let refused = keyward(["trail", "play", file, "--signed-by", &other]);
    assert!(refused.status.code() == Some(2) && refused.stdout.is_empty(), "{}", refused.stderr);

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.trail");
    // The last seal is 136 bytes.
    fs::write(&copy, &bytes[..bytes.len() - 136]).unwrap();
    let cut = show(&copy, &["--signed-by", &signer]);
    assert!(cut.stderr.contains("what follows 0:00:00.000 is not signed"), "{}", cut.stderr);
    assert!(
        cut.stderr.contains("has no end that is signed") && !cut.stderr.contains("all that"),
        "{}",
        cut.stderr
    );
}

#[test]
fn a_recording_is_verified_without_any_private_key() {
    let auditors = Auditors::new(1);
    let site = auditors.site("recipients = [\"@0@\"]");
    let recording = talk(&site);
    let signer = signer(&site);

    let (status, said) = verify(&recording, &["--signed-by", &signer, "--verbose"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("\nintact: ") && said.contains("block 0 at byte"), "{said}");
    let (status, said) = verify(&recording, &["--any-signer"]);
    let unknown = format!("signed by {signer}: nobody has checked whose key that is");
    assert!(status == 0 && said.starts_with("claims to be session ") && said.contains(&unknown), "{said}");

    let bytes = fs::read(&recording).unwrap();
    let copy = auditors.folder.path().join("copy.trail");
    let mut changed = bytes.clone();
    let place = bytes.len() - 300;
    changed[place] ^= 1;
    fs::write(&copy, &changed).unwrap();
    let (status, said) = verify(&copy, &["--signed-by", &signer]);
    // Which block the byte is in depends on how long the blocks are that were written in time; all are behind the first seal.
    let place = ["CHANGED in block 1, ", "CHANGED somewhere in blocks 1 to "];
    assert!(status == 3 && place.iter().any(|place| said.contains(place)), "{status}: {said}");

    fs::write(&copy, &bytes[..bytes.len() - 10]).unwrap();
    let (status, said) = verify(&copy, &["--signed-by", &signer]);
    assert!(status == 1 && said.contains("\ntruncated: "), "{status}: {said}");

    let other = Site::open();
    let (status, said) = verify(&recording, &["--signed-by", &self::signer(&other), "--verbose"]);
    assert!(status == 3 && said.contains("SIGNED BY ANOTHER KEY"), "{status}: {said}");
    let mut blocks = said.lines().filter(|line| line.starts_with("block "));
    assert!(
        blocks.clone().count() > 2 && blocks.all(|line| line.ends_with(": signed by ANOTHER KEY")),
        "{said}"
    );
}

#[test]
fn a_recording_of_a_killed_gateway_is_truncated_and_the_node_keeps_its_key() {
    let mut site = Site::open();
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &["while sleep 0.1 && echo tick; do :; done"]));
    let signer = signer(&site);
    let recording = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    // Signed at the start, when nothing had happened, and then every ten seconds.
    until("the recording is signed again", PATIENCE + Duration::from_secs(10), || {
        let (_, said) = verify(&recording, &["--any-signer"]);
        said.contains("signed until")
            .then(|| said.contains("signed until 0:00:00.000"))
            .filter(|first| !first)
    });
    site.gateway.kill();
    session.ended(PATIENCE);

    let (status, said) = verify(&recording, &["--signed-by", &signer]);
    assert!(
        status == 1 && said.contains("\ntruncated: ") && said.contains("\nsigned until 0:00:"),
        "{status}: {said}"
    );
    site.gateway.start();
    assert_eq!(self::signer(&site), signer);
    // What the gateway finds at its start is what counts from then on.
    until("the ledger has how far the recording reaches", PATIENCE, || {
        let (status, said) = verify_at(&site, None);
        assert_eq!(status, 1, "{said}");
        said.contains("as it was closed").then_some(())
    });
    let bytes = fs::read(&recording).unwrap();
    fs::write(&recording, &bytes[..header_len(&bytes) + 136]).unwrap();
    let (status, said) = verify_at(&site, None);
    assert!(status == 3 && said.contains("CUT BACK"), "{status}: {said}");
}

#[test]
fn a_recording_that_is_gone_when_the_gateway_starts_again_is_missing_for_ever() {
    let mut site = Site::open();
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &["while sleep 0.1 && echo tick; do :; done"]));
    let recording = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    site.gateway.kill();
    session.ended(PATIENCE);
    fs::remove_file(&recording).unwrap();
    site.gateway.start();

    let id = recording.file_stem().unwrap().to_str().unwrap();
    let end = until("the gateway has looked for it", PATIENCE, || {
        site.gateway.session(id)["trail_closed"]["end"].as_str().map(str::to_owned)
    });
    assert!(end.starts_with("gone: "), "{end}");
    let (status, said) = verify_at(&site, None);
    assert!(status == 3 && said.contains("MISSING"), "{status}: {said}");
}

/// The status of `keyward trail verify --policy`, of one recording or of all, and what it says.
fn verify_at(site: &Site, recording: Option<&Path>) -> (i32, String) {
    let policy = site.gateway.policy();
    let mut arguments = vec!["trail".as_ref(), "verify".as_ref(), "--policy".as_ref(), policy.as_path()];
    arguments.extend(recording);
    let run = keyward(arguments);
    (run.status.code().unwrap_or(-1), String::from_utf8(run.stdout).unwrap())
}

#[test]
fn a_recording_that_was_cut_back_replaced_or_removed_is_told_from_the_ledger() {
    let site = Site::open();
    for _ in 0..2 {
        site.ssh().exec("echo shown").must_succeed();
    }
    site.ended(2);
    let recordings = site.gateway.recordings();
    let [one, other] = recordings.as_slice() else { panic!("{recordings:?}") };
    let (bytes, of_other) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    let all = |status: i32, word: &str, wrong: u32| {
        let (found, said) = verify_at(&site, None);
        assert!(found == status && said.contains(word), "{found}: {said}");
        assert!(said.ends_with(&format!(", {wrong} of them not as they should be\n")), "{said}");
    };
    let this = |status: i32, word: &str| {
        let (found, said) = verify_at(&site, Some(one));
        assert!(found == status && said.contains(&format!("\nledger: {word}")), "{found}: {said}");
    };
    all(0, "2 recordings", 0);
    this(0, "as it was closed");
    let id = one.file_stem().unwrap().to_str().unwrap();
    let closed = &site.gateway.session(id)["trail_closed"];
    assert_eq!(closed["last"]["length"], bytes.len());
    assert!(closed["end"].as_str().unwrap().starts_with("accept: "), "{closed}");

    // Without its last seal, and without its end: whole blocks, and what is there is signed.
    let first_seal = header_len(&bytes) + 136;
    for length in [bytes.len() - 136, first_seal] {
        fs::write(one, &bytes[..length]).unwrap();
        let (status, said) = verify(one, &["--signed-by", &signer(&site)]);
        assert!(status == 1 && said.contains("truncated"), "{said}");
        this(3, "CUT BACK");
        all(3, "CUT BACK", 1);
    }
    fs::copy(other, one).unwrap();
    assert_eq!(verify(one, &["--signed-by", &signer(&site)]).0, 0);
    this(3, "REPLACED");
    all(3, "REPLACED", 1);
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(one, &changed).unwrap();
    all(3, "CHANGED", 1);
    assert!(!verify_at(&site, Some(one)).1.contains("ledger:"));
    fs::remove_file(one).unwrap();
    all(3, "MISSING", 1);
    // What cannot even be opened as a file keeps nobody from hearing of the others.
    fs::create_dir(one).unwrap();
    fs::remove_file(other).unwrap();
    all(3, "REPLACED: this is no regular file", 2);
    all(3, "MISSING", 2);
    fs::remove_dir(one).unwrap();
    fs::write(one, &bytes).unwrap();
    fs::write(other, &of_other).unwrap();
    fs::copy(other, one.with_file_name("another.trail")).unwrap();
    all(3, "another.trail  UNKNOWN", 1);
    this(0, "as it was closed");
}

#[test]
fn a_gateway_that_has_lost_its_key_does_not_sign_with_another_one_by_itself() {
    let mut site = Site::open();
    let recording = talk(&site);
    let (before, policy) = (signer(&site), site.gateway.policy());
    let key = site.gateway.data().join("signing.key");
    let replace = || keyward(["trail", "signer", "--replace-lost", "--policy", policy.to_str().unwrap()]);
    assert_eq!(replace().status.code(), Some(2), "a key that is there is not replaced");
    site.gateway.kill();
    fs::remove_file(&key).unwrap();

    let refused = site.gateway.refuses_to_start();
    assert!(refused.contains("is gone") && refused.contains("--replace-lost"), "{refused}");
    assert!(!key.exists());

    replace().must_succeed();
    site.gateway.start();
    assert_ne!(signer(&site), before);
    assert_eq!(verify(&recording, &["--signed-by", &before]).0, 0);
}
