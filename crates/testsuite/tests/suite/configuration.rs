//! A configuration that is kept in the store: `keyward config`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keyward_testsuite::{Gateway, Input, Link, Route, Run, Sshd, keyward, keyward_in, run, shell};
use serde_json::Value;

/// A link whose gateway has no configuration yet.
struct Kept(Link);

impl Kept {
    #[track_caller]
    fn open() -> Self {
        Self(Link::stored())
    }

    /// The same, with its first revision in force.
    #[track_caller]
    fn in_force() -> Self {
        let mut kept = Self::open();
        kept.config(&["apply", Gateway::DOCUMENT, "--comment", "the first"]).must_succeed();
        kept
    }

    fn gateway(&mut self) -> &mut Gateway {
        self.0.gateway()
    }

    #[track_caller]
    fn config(&mut self, words: &[&str]) -> Run {
        self.config_with("", words, "")
    }

    /// With a script for an editor, and answers.
    #[track_caller]
    fn config_with(&mut self, editor: &str, words: &[&str], input: &str) -> Run {
        let policy = self.gateway().policy();
        let folder = policy.parent().unwrap();
        let words = [&["config"], words, &["--policy", "policy.toml"]].concat();
        let mut command = keyward_in(folder, &words);
        if !editor.is_empty() {
            let script = folder.join("editor");
            fs::write(&script, format!("#!/bin/sh\nset -e\n{editor}\n")).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
            let keyward = command.get_program().to_owned();
            command.env("VISUAL", script).env("KEYWARD", keyward);
        }
        run(&mut command, Input::Bytes(input.into()))
    }

    /// A file beside the document: that with a change in it.
    #[track_caller]
    fn changed(&mut self, name: &str, from: &str, to: &str) -> String {
        let document = fs::read_to_string(self.beside(Gateway::DOCUMENT)).unwrap();
        assert!(document.contains(from), "{document}");
        fs::write(self.beside(name), document.replace(from, to)).unwrap();
        name.to_owned()
    }

    fn beside(&mut self, name: &str) -> PathBuf {
        self.gateway().policy().with_file_name(name)
    }

    /// Number and state of each revision, the newest first.
    #[track_caller]
    fn history(&mut self) -> Vec<(u64, String)> {
        let all: Vec<Value> = serde_json::from_str(&self.config(&["history", "--json"]).text()).unwrap();
        let state =
            |one: &Value| (one["number"].as_u64().unwrap(), one["state"].as_str().unwrap().to_owned());
        all.iter().map(state).collect()
    }

    #[track_caller]
    fn log_in(&self) {
        let done = self.0.ssh().exec("echo works");
        assert_eq!(done.text(), "works\n", "{}", done.stderr);
    }
}

fn states<const N: usize>(all: [(u64, &str); N]) -> Vec<(u64, String)> {
    all.into_iter().map(|(number, state)| (number, state.to_owned())).collect()
}

const HOST_NAME: &str = "host-name = \"gateway.test\"";

#[test]
fn what_is_applied_is_in_force_at_once_and_still_after_a_restart() {
    let mut kept = Kept::open();
    kept.gateway().says(&["no configuration is in force yet"]);
    assert!(kept.config(&["history"]).text().contains("There is no configuration yet."));
    let none = kept.config(&["show"]);
    assert!(none.stderr.contains("keyward config apply DOCUMENT --policy policy.toml"), "{}", none.stderr);

    let applied = kept.config(&["apply", Gateway::DOCUMENT, "--comment", "the first"]);
    let told = applied.text();
    assert!(told.starts_with("document.toml is the first document: "), "{told}");
    assert!(told.ends_with("Revision 1 is made.\nIt is in force.\n"), "{told}");
    kept.log_in();
    let shown = kept.config(&["show"]).text();
    assert_eq!(shown, fs::read_to_string(kept.beside(Gateway::DOCUMENT)).unwrap());

    let other = kept.changed("other.toml", HOST_NAME, "host-name = \"other.test\"");
    kept.config(&["apply", &other]).must_succeed();
    let history = kept.config(&["history"]).text();
    assert!(history.contains("was in force") && history.contains("the first"), "{history}");
    kept.gateway().stop();
    // What is changed while no gateway runs is taken by the next one.
    let back = kept.config(&["rollback", "1"]).text();
    assert!(back.contains("-host-name = \"other.test\"\n+host-name = \"gateway.test\""), "{back}");
    assert!(back.contains("Revision 3 is made.\nNo gateway runs on "), "{back}");
    assert_eq!(kept.history(), states([(3, "waits"), (2, "in force"), (1, "was in force")]));
    kept.gateway().start();
    kept.gateway().says(&["configuration in force", "revision=3"]);
    kept.log_in();
    assert_eq!(kept.history(), states([(3, "in force"), (2, "was in force"), (1, "was in force")]));
}

#[test]
fn a_revision_that_cannot_be_taken_is_told_and_the_one_before_serves_on() {
    let mut kept = Kept::in_force();
    // Its port is another program's.
    let occupant = Sshd::start();
    let address = format!("listen = [\"{}\", ", occupant.addr());
    let taken = kept.changed("taken.toml", "listen = [", &address);
    let refused = kept.config(&["apply", &taken]);
    assert_eq!(refused.status.code(), Some(2));
    let reason = "cannot be listened on";
    assert!(
        refused.stderr.contains("has not taken revision 2, and runs by the one before: "),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    kept.log_in();
    assert_eq!(kept.history(), states([(2, "refused"), (1, "in force")]));
    kept.gateway().stop();
    kept.gateway().start();
    kept.log_in();
    let history = kept.config(&["history"]).text();
    assert!(history.contains(reason), "{history}");
    // The gateway is asked to try again.
    drop(occupant);
    kept.gateway().reread("configuration in force");
    assert_eq!(kept.history(), states([(2, "in force"), (1, "was in force")]));
    kept.log_in();
}

#[test]
fn a_document_with_faults_is_no_revision() {
    let mut kept = Kept::in_force();
    let wrong = kept.changed("wrong.toml", "methods = ", "mothods = ");
    for words in [&["apply", &wrong][..], &["apply", &wrong, "--dry-run"]] {
        let refused = kept.config(words);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains("did you mean `methods`?"), "{}", refused.stderr);
    }
    let node = kept.changed("node.toml", "[gateway]", "[node]\ndata-dir = \"/srv\"\n\n[gateway]");
    let refused = kept.config(&["apply", &node]);
    assert!(
        refused.stderr.contains("a policy document that is kept in the store has no [node]"),
        "{}",
        refused.stderr
    );
    let sound = kept.changed("sound.toml", HOST_NAME, "host-name = \"other.test\"");
    let tried = kept.config(&["apply", &sound, "--dry-run"]).text();
    assert!(tried.contains("+host-name = \"other.test\""), "{tried}");
    assert!(tried.ends_with("sound.toml is sound. Nothing is changed.\n"), "{tried}");
    assert_eq!(kept.history(), states([(1, "in force")]));
    let same = kept.config(&["apply", Gateway::DOCUMENT]).text();
    assert_eq!(same, "document.toml is the same as revision 1.\n");
    assert!(kept.config(&["rollback", "7"]).stderr.contains("has no revision 7"));
}

#[test]
fn a_document_that_was_made_from_an_older_revision_is_refused() {
    let mut kept = Kept::in_force();
    let alice = kept.changed("alice.toml", HOST_NAME, "host-name = \"alice.test\"");
    let bob = kept.changed("bob.toml", "drain = 2", "drain = 3");
    kept.config(&["apply", &alice, "--base", "1"]).must_succeed();
    let late = kept.config(&["apply", &bob, "--base", "1"]);
    assert_eq!(late.status.code(), Some(2));
    for words in
        ["nothing is changed: revision 2 of ", "has come after revision 1", "keyward config diff 1 2"]
    {
        assert!(late.stderr.contains(words), "{}", late.stderr);
    }
    assert_eq!(kept.history().len(), 2);
    let differs = kept.config(&["diff", "1", "2"]).text();
    assert!(differs.contains("-host-name = \"gateway.test\"\n+host-name = \"alice.test\""), "{differs}");
    assert_eq!(kept.config(&["diff"]).text(), differs);
    let with_file = kept.config(&["diff", "--file", &bob]).text();
    assert!(with_file.contains("--- revision 2\n+++ bob.toml\n"), "{with_file}");
}

#[test]
fn what_two_people_edit_at_once_is_merged_or_shown_to_the_second() {
    let mut kept = Kept::in_force();
    let elsewhere = kept.changed("elsewhere.toml", "record = true", "record = false");
    // Bob applies his change while Alice has the document in her editor.
    let meanwhile = |file: &str| {
        format!(
            "[ -e {file}.done ] || {{ touch {file}.done; \"$KEYWARD\" config apply {file} --policy policy.toml --comment Bob; }}\n"
        )
    };
    let hers = "sed -i 's/gateway.test/alice.test/' \"$1\"";
    let merged = kept.config_with(&(meanwhile(&elsewhere) + hers), &["edit", "--comment", "Alice"], "\n");
    let told = merged.text();
    assert!(told.contains("revision 2 of ") && told.contains("has come meanwhile"), "{told}");
    assert!(told.contains("Its changes are elsewhere than yours"), "{told}");
    let document = kept.config(&["show"]).text();
    assert!(document.contains("record = false") && document.contains("alice.test"), "{document}");
    assert_eq!(kept.history(), states([(3, "in force"), (2, "was in force"), (1, "was in force")]));

    let same_line = kept.changed("same.toml", "gateway.test", "bob.test");
    let hers = "sed -i 's/alice.test/carol.test/' \"$1\"";
    let marked = kept.config_with(&(meanwhile(&same_line) + hers), &["edit"], "n\n");
    assert_eq!(marked.status.code(), Some(2));
    let told = String::from_utf8_lossy(&marked.stdout);
    assert!(told.contains("It changes the same lines: both are between marks."), "{told}");
    let (_, kept_in) = marked.stderr.split_once("What you wrote is in ").unwrap();
    let draft = fs::read_to_string(kept_in.split_once(": ").unwrap().0).unwrap();
    assert!(
        draft.contains("<<<<<<<") && draft.contains("carol.test") && draft.contains("bob.test"),
        "{draft}"
    );
    assert_eq!(kept.history().len(), 4);
}

#[test]
fn an_editor_is_asked_again_until_the_document_is_sound() {
    let mut kept = Kept::in_force();
    let editor = "if [ -e once ]; then sed -i 's/draan = 2/drain = 4/' \"$1\"; else touch once; sed -i 's/drain = 2/draan = 2/' \"$1\"; fi";
    let edited = kept.config_with(editor, &["edit"], "y\n");
    edited.must_succeed();
    assert!(
        edited.stderr.contains("did you mean `drain`?") && edited.stderr.contains("Edit it again?"),
        "{}",
        edited.stderr
    );
    assert!(kept.config(&["show"]).text().contains("drain = 4"));
    let untouched = kept.config_with("true", &["edit"], "");
    assert_eq!(untouched.text(), "Nothing is changed.\n");
    let failed = kept.config_with("echo wrong >> \"$1\"; exit 3", &["edit"], "");
    assert!(
        failed.stderr.contains("exit status: 3") && failed.stderr.contains("What you wrote is in "),
        "{}",
        failed.stderr
    );
    assert_eq!(kept.history().len(), 2);
}

#[test]
fn who_reads_no_further_than_the_first_line_is_not_told_of_a_panic() {
    let mut kept = Kept::open();
    let long = kept.changed("long.toml", "[gateway]", &("# and so on\n".repeat(100_000) + "[gateway]"));
    kept.config(&["apply", &long]).must_succeed();
    let policy = kept.gateway().policy();
    let program = keyward_in(policy.parent().unwrap(), &[]).get_program().to_owned();
    let script =
        "set +e +o pipefail; \"$1\" config show --policy \"$2\" | head -n 1; echo \"${PIPESTATUS[0]}\"";
    let done = shell(script, &[program.to_str().unwrap(), policy.to_str().unwrap()]);
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("# and so on\n141\n", ""));
}

#[test]
fn a_gateway_whose_file_is_the_truth_has_no_revisions() {
    let mut link = Link::open(Route::Gateway);
    let policy = link.gateway().policy();
    let refused = keyward(["config".as_ref(), "history".as_ref(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("is itself the policy document: edit it"), "{}", refused.stderr);
    link.gateway().edit_policy(|text| text.replace("[gateway]", "configuration = \"store\"\n\n[gateway]"));
    let checked = keyward(["check".as_ref(), policy.as_os_str()]);
    assert!(checked.stderr.contains("this is not read: the policy is in the store"), "{}", checked.stderr);
}
