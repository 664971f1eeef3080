//! Recordings with timestamps of a real authority (RFC 3161), `openssl ts`, and what they are without it.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{PATIENCE, Tsa, TsaKey, free_port, keyward, shell, until};

use crate::site::Site;

/// A gateway whose recordings get timestamps of this authority.
fn site(tsa: &Tsa) -> Site {
    site_with(&tsa.url(), &tsa.ca(), "")
}

/// `more`: keys of the policy.
fn site_with(url: &str, ca: &Path, more: &str) -> Site {
    let ca = ca.display();
    Site::with(|draft| {
        draft.connection += "audit-policy = \"stamped\"\n";
        draft.more = format!(
            "[[trusted-ca-list]]\nname = \"tsa\"\ncertificate-files = [\"{ca}\"]\n\n[[audit-policy]]\n\
             name = \"stamped\"\ntimestamps = {{ url = \"{url}\", trusted-ca-list = \"tsa\"{more} }}\n",
        );
    })
}

/// A short session, and its recording once the ledger has its end.
fn recorded(site: &Site, count: usize) -> PathBuf {
    let run = site.ssh().exec("echo shown");
    assert_eq!(run.text(), "shown\n");
    closed(site, count)
}

/// The recording of the newest session. Whoever closes it in the ledger has waited for its timestamp.
fn closed(site: &Site, count: usize) -> PathBuf {
    let id = site.ended(count)["id"].as_str().unwrap().to_owned();
    until("the ledger has the recording's length", PATIENCE, || {
        site.gateway.session(&id)["trail_closed"].is_object().then_some(())
    });
    let unique = id.split(['/', ':']).find(|part| part.len() == 22).unwrap().to_owned();
    let mut recordings = site.gateway.recordings().into_iter();
    recordings.find(|path| path.to_str().unwrap().contains(&unique)).unwrap()
}

/// The exit status of `keyward trail verify`, and what it says.
fn verify(site: &Site, recording: &Path, more: &[&str]) -> (i32, String) {
    let policy = site.gateway.policy();
    let signer = keyward(["trail", "signer", "--policy", policy.to_str().unwrap()]).text();
    let command = ["trail", "verify", recording.to_str().unwrap(), "--signed-by", signer.trim()];
    let run = keyward([&command, more].concat());
    (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
}

/// Where in the file the block of the last timestamp begins.
fn timestamp_in(site: &Site, recording: &Path) -> usize {
    let (_, said) = verify(site, recording, &["--verbose"]);
    let place = |line: &str| {
        let (_, place) = line.split_once(" at byte ")?;
        place.split_once(": timestamp, ")?.0.parse().ok()
    };
    said.lines().filter_map(place).next_back().unwrap()
}

fn holds(path: &Path, text: &str) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// How often the authority was asked.
fn questions(tsa: &Tsa) -> usize {
    tsa.log().iter().filter(|line| line.starts_with("asked /tsr application/timestamp-query: ")).count()
}

fn by(ca: &Path) -> [&str; 2] {
    ["--timestamped-by", ca.to_str().unwrap()]
}

#[test]
fn a_recording_that_is_shorter_than_the_interval_has_a_timestamp_of_its_end() {
    for key in
        [TsaKey::RsaSha256, TsaKey::RsaSha512, TsaKey::P256Sha256, TsaKey::P384Sha384, TsaKey::P521Sha512]
    {
        let tsa = Tsa::start(key);
        let site = site(&tsa);
        let recording = recorded(&site, 1);
        let (status, said) = verify(&site, &recording, &by(&tsa.ca()));
        assert_eq!(status, 0, "{key:?}: {said}");
        assert!(said.contains("\nintact: ") && said.contains("\ntimestamped at 20"), "{said}");
        assert!(said.contains("Z by CN=Test TSA,O=Keyward tests, with its end\n"), "{said}");
    }
}

#[test]
fn who_is_not_asked_for_has_put_no_timestamp_on_a_recording() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    let recording = recorded(&site, 1);
    let (status, said) = verify(&site, &recording, &by(&tsa.stranger_ca()));
    assert!(status == 3 && said.contains("\nNOT TIMESTAMPED by who was asked for: "), "{status}: {said}");
    assert!(!said.contains("\ntimestamped"), "{said}");

    let (status, said) = verify(&site, &recording, &[]);
    assert!(status == 0 && said.contains("\nclaims to be timestamped at 20"), "{status}: {said}");
    assert!(said.contains("NOBODY HAS CHECKED who that is"), "{said}");

    let (status, said) = verify(&site, &recording, &["--verbose"]);
    assert!(status == 0 && said.contains(": timestamp, "), "{status}: {said}");

    let (status, said) = verify(&Site::open(), &recording, &by(&tsa.ca()));
    assert!(status == 3 && said.contains("ANOTHER KEY") && !said.contains("timestamped"), "{said}");
}

#[test]
fn a_recording_without_a_timestamp_is_told_where_one_is_asked_for() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = Site::open();
    let recording = recorded(&site, 1);
    assert_eq!(verify(&site, &recording, &[]).0, 0);
    let (status, said) = verify(&site, &recording, &by(&tsa.ca()));
    assert!(status == 3 && said.contains("\nintact: ") && said.contains("\nNOT TIMESTAMPED: "), "{said}");
}

#[test]
fn the_ledger_knows_a_recording_with_its_timestamp() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    let recording = recorded(&site, 1);
    let policy = site.gateway.policy();
    let all = |ca: &Path| {
        let run = keyward([&["trail", "verify", "--policy", policy.to_str().unwrap()][..], &by(ca)].concat());
        (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
    };
    let (status, said) = all(&tsa.ca());
    assert!(status == 0 && said.contains("1 recording, 0 of them"), "{status}: {said}");
    let (status, said) = all(&tsa.stranger_ca());
    assert!(status == 3 && said.contains("NOT TIMESTAMPED by who was asked for"), "{status}: {said}");

    // Without the timestamp and the seal behind it, the recording still fits together.
    let bytes = fs::read(&recording).unwrap();
    let at = timestamp_in(&site, &recording);
    fs::write(&recording, &bytes[..at]).unwrap();
    assert_eq!(verify(&site, &recording, &[]).0, 0);
    let (status, said) = all(&tsa.ca());
    assert!(status == 3 && said.contains("CUT BACK"), "{status}: {said}");
}

#[test]
fn a_changed_byte_of_a_timestamp_is_told() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    let recording = recorded(&site, 1);
    let bytes = fs::read(&recording).unwrap();
    let name = bytes.windows(8).rposition(|window| window == b"Test TSA").unwrap();
    let copy = tsa.folder().join("copy.trail");
    let mut changed = bytes;
    changed[name] ^= 1;
    fs::write(&copy, changed).unwrap();
    for more in [&[][..], &by(&tsa.ca())] {
        let (status, said) = verify(&site, &copy, more);
        assert!(status == 3 && said.contains("\nCHANGED "), "{status}: {said}");
    }
}

#[test]
fn openssl_believes_the_token_in_a_recording() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    let recording = recorded(&site, 1);
    // The format's own words: kind 5, 72 bytes of header, a number, 32 bytes of link, the token.
    let bytes = fs::read(&recording).unwrap();
    let at = timestamp_in(&site, &recording);
    let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let payload = &bytes[at + 72..at + 72 + length];
    let folder = tsa.folder();
    fs::write(folder.join("token"), &payload[40..]).unwrap();
    fs::write(folder.join("stamped"), [b"keyward trail 2 timestamp".as_slice(), &payload[8..40]].concat())
        .unwrap();
    let script = "cd \"$1\" && openssl ts -verify -token_in -in token -data stamped -CAfile ca.pem";
    let believed = shell(script, &[folder.to_str().unwrap()]);
    assert!(believed.text().contains("Verification: OK") || believed.stderr.contains("Verification: OK"));
}

#[test]
fn an_authority_that_gives_no_timestamp_ends_no_session_and_is_logged_once() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    let alerts = || {
        let log = site.gateway.log();
        log.into_iter().filter(|line| line.contains("recordings get no timestamps")).collect::<Vec<_>>()
    };
    let mut count = 0;
    for (mood, why) in [
        ("wrong nonce", "the answer is to another question"),
        ("wrong imprint", "it is about something else"),
        ("rejects", "it refuses: status 2"),
        ("garbage", "the answer cannot be understood"),
        ("other authority", "does not come from an authority that is trusted"),
        ("endless", "limit"),
        ("redirects", "it answers with status 302"),
        ("broken", "it answers with status 500"),
        ("silent", "no answer within 5 s"),
    ] {
        let told = alerts().len();
        tsa.answers(mood);
        for _ in 0..2 {
            count += 1;
            let recording = recorded(&site, count);
            let (status, said) = verify(&site, &recording, &[]);
            assert!(status == 0 && !said.contains("timestamped"), "{mood}: {said}");
        }
        let alerts = alerts();
        assert_eq!(alerts.len(), told + 1, "{mood}: {alerts:#?}");
        assert!(alerts[told].contains(why) && alerts[told].contains(&tsa.url()), "{mood}: {}", alerts[told]);
        tsa.answers("good");
        count += 1;
        let (status, said) = verify(&site, &recorded(&site, count), &by(&tsa.ca()));
        assert_eq!(status, 0, "{mood}: {said}");
    }
    assert!(!tsa.log().iter().any(|line| line.contains("elsewhere")), "a redirect was followed");
}

#[test]
fn a_session_that_has_ended_does_not_wait_for_a_dead_authority() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let url = format!("http://127.0.0.1:{}/tsr", free_port());
    let mut site = site_with(&url, &tsa.ca(), "");
    let recording = recorded(&site, 1);
    assert_eq!(verify(&site, &recording, &[]).0, 0);
    let told = |line: &String| line.contains("recordings get no timestamps") && line.contains(&url);
    assert!(site.gateway.log().iter().any(told));
    assert!(site.gateway.stop().success());
}

#[test]
fn the_end_of_a_session_is_in_the_ledger_before_its_timestamp() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site(&tsa);
    tsa.answers("silent");
    site.ssh().exec("echo shown").must_succeed();
    let session = site.ended(1);
    assert!(session["verdict"].is_string() && session["trail_closed"].is_null(), "{session}");
    until("the authority is asked", PATIENCE, || (questions(&tsa) > 0).then_some(()));
    let recording = closed(&site, 1);
    assert_eq!(verify(&site, &recording, &[]).0, 0);
}

#[test]
fn a_gateway_that_dies_while_it_waits_for_a_timestamp_closes_the_recording_at_its_start() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let mut site = site(&tsa);
    tsa.answers("silent");
    site.ssh().exec("echo shown").must_succeed();
    site.ended(1);
    until("the authority is asked", PATIENCE, || (questions(&tsa) > 0).then_some(()));
    site.gateway.kill();
    site.gateway.start();
    let recording = closed(&site, 1);
    assert_eq!(verify(&site, &recording, &[]).0, 0);
    let policy = site.gateway.policy();
    keyward(["trail", "verify", "--policy", policy.to_str().unwrap()]).must_succeed();
}

#[test]
fn a_session_that_goes_on_gets_a_timestamp_at_the_interval() {
    let tsa = Tsa::start(TsaKey::P256Sha256);
    let site = site_with(&tsa.url(), &tsa.ca(), ", interval = 10");
    let enough = tsa.folder().join("enough");
    let script = format!("until [ -e {} ]; do echo more; sleep 0.1; done; echo done", enough.display());
    let run = std::thread::scope(|scope| {
        let session = scope.spawn(|| site.ssh().exec(&script));
        until("the recording has a timestamp while the session goes on", PATIENCE, || {
            let recording = site.gateway.recordings().pop()?;
            holds(&recording, "Test TSA").then_some(())
        });
        fs::write(&enough, "").unwrap();
        session.join().unwrap()
    });
    assert!(run.text().ends_with("done\n"));
    let recording = closed(&site, 1);
    let (status, said) = verify(&site, &recording, &[&by(&tsa.ca())[..], &["--verbose"]].concat());
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("    timestamped at 20") && said.contains("; what came later has no timestamp"),
        "{said}"
    );
    assert!(said.contains(", with its end\n"), "{said}");
    let played = site.gateway.played(&recording);
    assert!(played.text().ends_with("done\n"));
}

#[test]
fn an_authority_may_be_asked_over_tls_and_its_server_must_come_from_the_list() {
    let tsa = Tsa::start_with_tls(TsaKey::P256Sha256);
    let site = site(&tsa);
    let recording = recorded(&site, 1);
    let (status, said) = verify(&site, &recording, &by(&tsa.ca()));
    assert_eq!(status, 0, "{said}");

    let stranger = site_with(&tsa.url(), &tsa.stranger_ca(), "");
    let asked = questions(&tsa);
    let recording = recorded(&stranger, 1);
    assert_eq!(verify(&stranger, &recording, &[]).0, 0);
    assert_eq!(questions(&tsa), asked);
    let told = |line: &String| line.contains("recordings get no timestamps") && line.contains("ertificate");
    assert!(stranger.gateway.log().iter().any(told), "{:#?}", stranger.gateway.log());
}
