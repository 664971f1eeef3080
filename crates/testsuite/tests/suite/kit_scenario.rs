//! `keyward plugin scenario`: whole sessions by script.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{BundleFolder, Input, Run, keyward_in, plugin_python, run, shell};

/// A plugin of the author's, with scenarios in its folder.
struct Author {
    bundle: BundleFolder,
}

impl Author {
    fn new(kind: &str, main: &str) -> Self {
        Self { bundle: BundleFolder::new("under_test", kind, main) }
    }

    fn scenario(&self, name: &str, text: &str) -> PathBuf {
        self.bundle.add(&format!("tests/{name}.toml"), text);
        self.bundle.path().join(format!("tests/{name}.toml"))
    }

    #[track_caller]
    fn play(&self, more: &[&str]) -> Run {
        play(self.bundle.path(), more)
    }

    /// Plays one scenario, and returns what was printed.
    #[track_caller]
    fn passes(&self, scenario: &str) -> String {
        let file = self.scenario("one", scenario);
        play(&file, &[]).text()
    }

    /// Plays one scenario that must not pass, and returns what was printed.
    #[track_caller]
    fn fails(&self, scenario: &str) -> String {
        let file = self.scenario("one", scenario);
        let played = play(&file, &[]);
        assert_eq!(played.status.code(), Some(1), "{played:?}");
        String::from_utf8(played.stdout).unwrap()
    }
}

#[track_caller]
fn play(path: &Path, more: &[&str]) -> Run {
    let environment = format!("python3={}", plugin_python().display());
    let words = ["plugin", "scenario", path.to_str().unwrap(), "--environment", &environment];
    let words: Vec<&str> = words.into_iter().chain(more.iter().copied()).collect();
    run(&mut keyward_in(Path::new("/"), &words), Input::Nothing)
}

/// Has everything that a scenario can see of an AA plugin.
const GUARD: &str = r#"
import os, sys, time

class Plugin:
    def __init__(self, configuration=""):
        self.word = configuration.strip() or "please"

    def authenticate(self, key_value_pairs, client_ip, client_hostname, gateway_user, gateway_groups=None):
        if "word" not in key_value_pairs:
            return {"verdict": "NEEDINFO", "question": ["word", "The word: ", True]}
        if key_value_pairs["word"] == "crash":
            raise LookupError("no such word")
        if key_value_pairs["word"] == "wait":
            time.sleep(60)
        if key_value_pairs["word"] != self.word:
            return {"verdict": "DENY", "reason": "That is not the word."}
        print("from", client_ip, client_hostname, "as", gateway_user)
        return {"verdict": "ACCEPT", "gateway_user": "ann", "gateway_groups": ["staff"], "cookie": {"seen": 1}}

    def authorize(self, cookie, protocol, server_username, server_hostname, server_ip, server_port, gateway_groups):
        print(protocol, server_username, server_hostname, server_ip, server_port, gateway_groups, cookie)
        return {"verdict": "ACCEPT", "additional_metadata": "to " + server_ip}

    def session_ended(self, cookie):
        print("ended", cookie)
"#;

const ALL_STEPS: &str = r#"
title = "Whoever says the word is let in"

[client]
login = "ann@db1:2022"
address = "198.51.100.4"
hostname = "laptop.example.com"

[[step]]
hook = "authenticate"
verdict = "NEEDINFO"
prompt = "The word: "
echo = false
answer = "please"

[[step]]
hook = "authenticate"
verdict = "ACCEPT"
log = ["from 198.51.100.4 laptop.example.com as None"]

[[step]]
hook = "authorize"
verdict = "ACCEPT"
log = ["ssh ann db1 192.0.2.10 2022 ['staff'] {'seen': 1}"]

[[step]]
hook = "session_ended"
log = ["ended {'seen': 1}"]

[expect]
verdict = "accept"
message = "The session has ended."
gateway-user = "ann"
gateway-groups = ["staff"]
remote-user = "ann"
target = "192.0.2.10:2022"
metadata = "to 192.0.2.10"
"#;

#[test]
fn a_scenario_shows_the_hooks_what_a_session_would() {
    let shown = Author::new("aa", GUARD).passes(ALL_STEPS);
    assert!(shown.contains("? The word: (hidden)") && !shown.contains("\"please\""), "{shown}");
    assert!(shown.contains("1 scenario passed."), "{shown}");
}

#[test]
fn both_plugins_are_called_in_the_order_of_a_session() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.toml");
    let text = r#"
[plugin]
bundle = "@examples@/otp_demo"
[credential-store]
bundle = "@examples@/vault_demo"
configuration = """
[credentials]
root@db1 = from the vault
"""
[client]
login = "otp=123456@gu=alice@root@db1"
[gateway-user]
groups = ["ops"]
password = "typed"
[target]
password = "from the vault"
[[step]]
hook = "authenticate"
verdict = "ACCEPT"
[[step]]
hook = "authorize"
verdict = "ACCEPT"
[[step]]
hook = "get_private_key_list"
keys = []
[[step]]
hook = "get_password_list"
passwords = ["from the vault"]
[[step]]
hook = "authentication_completed"
[[step]]
hook = "session_ended"
of = "aa"
[[step]]
hook = "session_ended"
of = "credential-store"
log = ["Check-in of root@db1"]
[expect]
verdict = "accept"
"#;
    fs::write(&file, text).unwrap();
    let set = format!("examples={}", examples.display());
    let shown = play(&file, &["--set", &set]).text();
    assert!(shown.contains("get_password_list -> 1 password"), "{shown}");
    let transcript = shown.split("\nok: ").next().unwrap();
    assert!(!transcript.contains("from the vault"), "{shown}");
}

#[test]
fn what_differs_is_told_with_its_line() {
    let author = Author::new("aa", GUARD);
    let wrong = |from: &str, to: &str| {
        assert!(ALL_STEPS.contains(from));
        author.fails(&ALL_STEPS.replace(from, to))
    };
    let line = |text: &str| ALL_STEPS.lines().position(|line| line == text).unwrap() + 1;

    let shown = wrong("prompt = \"The word: \"", "prompt = \"A word: \"");
    assert!(shown.contains("expected the prompt \"A word: \", the question was \"The word: \""), "{shown}");
    assert!(shown.contains("1 of 1 scenario did not pass."), "{shown}");
    let shown = wrong("echo = false", "echo = true");
    assert!(shown.contains("expected an answer that is shown while it is typed; it was hidden"), "{shown}");
    let shown = wrong("metadata = \"to 192.0.2.10\"", "metadata = \"nowhere\"");
    let told = format!(
        "one.toml:{}: expected metadata \"nowhere\"; it was \"to 192.0.2.10\"",
        line("metadata = \"to 192.0.2.10\"")
    );
    assert!(shown.contains(&told), "{told} is not in {shown}");
    let shown = wrong("log = [\"ended {'seen': 1}\"]", "log = [\"bye\"]");
    assert!(shown.contains("session_ended: no line of its output has \"bye\""), "{shown}");
    let shown = wrong("verdict = \"accept\"\nmessage", "verdict = \"deny\"\nmessage");
    assert!(shown.contains("expected the session's verdict deny, it was accept"), "{shown}");
    let shown = wrong("hook = \"authorize\"", "hook = \"authenticate\"");
    assert!(
        shown.contains("expected a call of authenticate; authorize of aa was called (ACCEPT)"),
        "{shown}"
    );
    let shown = wrong("[[step]]\nhook = \"session_ended\"\nlog = [\"ended {'seen': 1}\"]\n", "");
    assert!(
        shown.contains("session_ended of aa was called (ok), and the scenario has no step for it"),
        "{shown}"
    );
    let shown = wrong("answer = \"please\"", "");
    assert!(shown.contains("the question \"The word: \" has no answer"), "{shown}");
}

#[test]
fn without_hooks_the_steps_are_the_questions() {
    let author = Author::new("aa", GUARD);
    let text = "[client]\nlogin = \"ann@db1\"\n[[step]]\nprompt = \"The word: \"\nanswer = \"no\"\n[expect]\nverdict = \"deny\"\n\
                message = \"Access denied. That is not the word.\"\n";
    author.passes(text);
    let shown = author.fails(&text.replace("[expect]", "[[step]]\nanswer = \"again\"\n[expect]"));
    assert!(shown.contains("expected a question; the session had ended"), "{shown}");
}

#[test]
fn the_gateways_own_questions_are_steps_too() {
    let author = Author::new("aa", GUARD);
    let text = "[client]\nlogin = \"word=please@ann@\"\n[target]\nhosts = { web1 = \"192.0.2.77\" }\n\
                [[step]]\nhook = \"authenticate\"\n[[step]]\nprompt = \"Server: \"\nanswer = \"web1\"\n\
                [[step]]\nhook = \"authorize\"\n[[step]]\nhook = \"session_ended\"\n\
                [expect]\nverdict = \"accept\"\ntarget = \"192.0.2.77:22\"\n";
    author.passes(text);
}

#[test]
fn a_person_may_leave_and_a_connection_may_be_unable_to_ask() {
    let author = Author::new("aa", GUARD);
    author.passes(
        "[client]\nlogin = \"ann@db1\"\n[[step]]\nhook = \"authenticate\"\nleaves = true\n[[step]]\nhook = \"session_ended\"\n\
         [expect]\nverdict = \"auth-fail\"\nreason = \"the client went away\"\n",
    );
    author.passes(
        "[client]\nlogin = \"ann@db1\"\ncan-ask = false\n[[step]]\nhook = \"authenticate\"\nverdict = \"NEEDINFO\"\n\
         [[step]]\nhook = \"session_ended\"\n[expect]\nverdict = \"deny\"\n",
    );
}

#[test]
fn each_outcome_of_the_target_has_its_verdict() {
    let author = Author::new("aa", GUARD);
    for (outcome, verdict) in [
        ("accepts", "accept"),
        ("refuses", "target-auth-fail"),
        ("unreachable", "connect-fail"),
        ("unknown-host-key", "key-error"),
        ("changed-host-key", "key-error"),
    ] {
        author.passes(&format!(
            "[client]\nlogin = \"word=please@ann@db1\"\n[target]\noutcome = \"{outcome}\"\n[expect]\nverdict = \"{verdict}\"\n"
        ));
    }
    author.passes(
        "[client]\nlogin = \"word=please@ann@gone\"\n[target]\nhosts = { gone = \"\" }\n[expect]\nverdict = \"connect-fail\"\n",
    );
}

const CODES: &str = r#"
import time

class Plugin:
    def get_private_key_list(self):
        return None

    def get_password_list(self):
        return {"passwords": ["sesame"]}

    def get_totp_codes(self):
        now = time.time()
        print("codes are 271828 and 314159")
        stale = {"unix_time": int(now) - 90, "period": 30, "code": "271828"}
        return {"totp_codes": [stale, {"unix_time": int(now), "period": 3600, "code": "314159"}]}

    def authentication_completed(self):
        pass

    def session_ended(self):
        pass
"#;

#[test]
fn a_target_asks_for_a_one_time_code_after_the_password() {
    let author = Author::new("credentialstore", CODES);
    let scenario = |target: &str, codes: &str, more: &str, verdict: &str| {
        format!(
            "[client]\nlogin = \"gu=ann@root@db1\"\n[gateway-user]\n[target]\nasks = [\"password\", \"one-time-code\"]\n{target}\n\
             [[step]]\nhook = \"get_password_list\"\npasswords = [\"sesame\"]\n\
             [[step]]\nhook = \"get_totp_codes\"\ncodes = [{codes}]\n{more}\
             [[step]]\nhook = \"session_ended\"\n[expect]\nverdict = \"{verdict}\"\n"
        )
    };
    let codes = "\"271828\", \"314159\"";
    let completed = "[[step]]\nhook = \"authentication_completed\"\n";
    let shown = author.passes(&scenario("code = \"314159\"", codes, completed, "accept"));
    assert!(shown.contains("credential-store get_totp_codes -> 2 codes\n"), "{shown}");
    assert!(shown.contains("codes are [masked] and [masked]"), "{shown}");
    // A code whose time is over lets nobody in, nor does one that the target does not know.
    for code in ["271828", "161803"] {
        author.passes(&scenario(&format!("code = \"{code}\""), codes, "", "target-auth-fail"));
    }
    let shown = author.fails(&scenario("", "\"271828\", \"0\"", completed, "accept"));
    assert!(
        shown.contains("get_totp_codes: code 2 is not the expected one (its text is not shown)"),
        "{shown}"
    );
    assert!(!shown.contains("314159"), "{shown}");
    // After a wrong password nothing more is asked for.
    let wrong = scenario("password = \"other\"", codes, "", "target-auth-fail");
    let shown = author.fails(&wrong);
    assert!(shown.contains("expected a call of get_totp_codes"), "{shown}");
}

#[test]
fn connection_policy_and_state_are_settings_of_a_scenario() {
    let author = Author::new("aa", GUARD);
    // A usermapping policy counts where the scenario names one.
    let mapping = |user: &str| {
        format!(
            "[client]\nlogin = \"word=please@bob@db1\"\n[connection]\nusermapping = \"people\"\nprotocol = \"telnet\"\n\
             [[policy.usermapping]]\nname = \"people\"\n[[policy.usermapping.rule]]\nremote-user = \"{user}\"\ngroups = [\"staff\"]\n"
        )
    };
    author.passes(&(mapping("root") + "[expect]\nverdict = \"mapping-fail\"\n"));
    let steps = "[[step]]\nhook = \"authenticate\"\n[[step]]\nhook = \"authorize\"\nlog = [\"telnet bob db1 192.0.2.10 23\"]\n\
                 [[step]]\nhook = \"session_ended\"\n";
    author.passes(&(mapping("bob") + steps + "[expect]\nverdict = \"accept\"\n"));

    let reader = "import os\nclass Plugin:\n    def authenticate(self, gateway_user):\n        \
                  path = os.path.join(os.environ['SCB_PLUGIN_STATE_DIRECTORY'], 'allowed', 'users')\n        \
                  return {'verdict': 'ACCEPT' if gateway_user in open(path).read().split() else 'DENY'}\n    \
                  def authorize(self):\n        return {'verdict': 'ACCEPT'}\n    def session_ended(self):\n        pass\n";
    Author::new("aa", reader).passes(
        "[plugin]\nstate = { \"allowed/users\" = \"ann bob\" }\n[client]\nlogin = \"gu=ann@root@db1\"\n[gateway-user]\n\
         [expect]\nverdict = \"accept\"\ngateway-user = \"ann\"\n",
    );
}

#[test]
fn an_error_shows_its_traceback_the_line_of_the_source_and_what_the_contract_says() {
    let author = Author::new("aa", GUARD);
    let text = "[client]\nlogin = \"word=crash@ann@db1\"\n[[step]]\nhook = \"authenticate\"\nerror = \"exception\"\n\
                [[step]]\nhook = \"session_ended\"\n[expect]\nverdict = \"plugin-error\"\n";
    let shown = author.passes(text);
    let line = format!("#!/usr/bin/env pluginwrapper3\n{GUARD}")
        .lines()
        .position(|l| l.contains("raise LookupError"))
        .unwrap()
        + 1;
    for words in [
        "Traceback (most recent call last):",
        &format!("File \"main.py\", line {line}, in authenticate"),
        "exception: LookupError: no such word",
        &format!("main.py:{line}"),
        &format!("> {line} |             raise LookupError(\"no such word\")"),
        "The contract: an exception in the constructor or in a hook ends the session",
    ] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
    let shown = author.fails(&text.replace("error = \"exception\"\n", ""));
    assert!(shown.contains("authenticate failed: exception: LookupError: no such word"), "{shown}");
}

#[test]
fn a_call_past_half_of_the_connections_timeout_is_an_error() {
    // The other half is enough for `session_ended`, whose worker is a new one.
    let shown = Author::new("aa", GUARD).passes(
        "[client]\nlogin = \"word=wait@ann@db1\"\n[connection]\ntimeout = 16\n[[step]]\nhook = \"authenticate\"\nerror = \"timeout\"\n\
         [[step]]\nhook = \"session_ended\"\n[expect]\nverdict = \"plugin-error\"\n",
    );
    assert!(shown.contains("section 3, rule 8"), "{shown}");
}

#[test]
fn a_plugin_that_cannot_be_imported_is_told_with_its_line() {
    let author = Author::new("aa", "import nowhere\nclass Plugin:\n    pass\n");
    let shown = author.fails("[client]\nlogin = \"ann@db1\"\n[expect]\nverdict = \"accept\"\n");
    for words in
        ["CANNOT BE PLAYED", "main.py:2", "> 2 | import nowhere", "plugin pack FOLDER --requirements"]
    {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
}

#[test]
fn a_wrong_scenario_file_says_what_is_wrong_and_where() {
    let author = Author::new("aa", GUARD);
    let told = |text: &str| author.fails(text);
    let shown = told("[client]\nlogin = \"ann@db1\"\n[expect]\nverdikt = \"accept\"\n");
    assert!(
        shown.contains("line 4") && shown.contains("unknown field `verdikt`") && shown.contains("`verdict`"),
        "{shown}"
    );
    assert!(told("[client]\nlogin = \"a@b\"\n").contains("missing field `expect`"));
    assert!(
        told("[client]\nlogin = \"a@b\"\n[expect]\nverdict = \"maybe\"\n")
            .contains("unknown variant `maybe`")
    );
    let shown = told(
        "[plugin]\nbundle = \"../nowhere\"\n[client]\nlogin = \"a@b\"\n[expect]\nverdict = \"accept\"\n",
    );
    assert!(shown.contains("nowhere"), "{shown}");
    let shown =
        told("[client]\nlogin = \"a@b\"\n[connection]\nfour-legs = true\n[expect]\nverdict = \"accept\"\n");
    assert!(shown.contains("no key \"four-legs\""), "{shown}");
    let shown = told(
        "[client]\nlogin = \"a@b\"\n[[step]]\nhook = \"authentikate\"\n[expect]\nverdict = \"accept\"\n",
    );
    assert!(
        shown.contains("line 4") && shown.contains("\"authentikate\" is no hook: authenticate, "),
        "{shown}"
    );
    let shown = told("[aa]\n[client]\nlogin = \"a@b\"\n[expect]\nverdict = \"accept\"\n");
    assert!(shown.contains("[aa] names no `bundle`"), "{shown}");
}

#[test]
fn a_transcript_is_the_same_each_time_and_can_be_kept() {
    let author = Author::new("aa", GUARD);
    author.scenario("kept", &format!("{ALL_STEPS}transcript = \"kept.txt\"\n"));
    let shown = |run: Run| String::from_utf8(run.stdout).unwrap();
    let first = shown(author.play(&[]));
    assert!(first.contains("kept.txt cannot be read: `--update` writes it"), "{first}");
    author.play(&["--update"]).must_succeed();
    let kept = fs::read_to_string(author.bundle.path().join("tests/kept.txt")).unwrap();
    assert!(shown(author.play(&[])).starts_with(&kept));
    author.play(&["--quiet"]).must_succeed();

    author.bundle.add("default.cfg", "please\n");
    author
        .bundle
        .add("main.py", &format!("#!/usr/bin/env pluginwrapper3\n{GUARD}").replace("\"ended\"", "\"over\""));
    let changed = author.play(&["--quiet"]);
    assert_eq!(changed.status.code(), Some(1));
    let changed = shown(changed);
    assert!(
        changed.contains("the transcript has changed: expected \"    stdout: ended {'seen': 1}\""),
        "{changed}"
    );
}

#[test]
fn junit_xml_is_well_formed_and_counts() {
    let author = Author::new("aa", GUARD);
    author.scenario("a_good", ALL_STEPS);
    author.scenario("b_bad", &ALL_STEPS.replace("remote-user = \"ann\"", "remote-user = \"<bob> & co\""));
    author.scenario("c_broken", "title = 1\n");
    let xml = author.bundle.path().join("results.xml");
    let played = author.play(&["--junit", xml.to_str().unwrap()]);
    assert_eq!(played.status.code(), Some(1));
    let script = "import sys, xml.etree.ElementTree as E\nsuite = E.parse(sys.argv[1]).getroot()[0]\n\
                  print(suite.get('tests'), suite.get('failures'), suite.get('errors'))\n\
                  print([case.get('name') for case in suite])\nprint(suite[1].find('failure').get('message'))";
    let words = [plugin_python(), script.into(), xml];
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
    let read = shell(r#""$1" -c "$2" "$3""#, &words).text();
    assert!(read.starts_with("3 1 1\n"), "{read}");
    assert!(read.contains("'Whoever says the word is let in'") && read.contains("'c_broken'"), "{read}");
    assert!(read.contains("remote-user \"<bob> & co\""), "{read}");
}

#[test]
fn a_recorded_session_is_a_scenario_that_passes() {
    let author = Author::new("aa", GUARD);
    let file = author.bundle.path().join("tests/recorded.toml");
    let environment = format!("python3={}", plugin_python().display());
    let words = ["plugin", "scenario", "--record", file.to_str().unwrap(), "--environment", &environment];
    // What cannot be is asked for again.
    let typed = "Somebody has a word\n\nann@db1\nperhaps\nn\naccept\naccepts\nplease\n";
    let recorded = run(&mut keyward_in(Path::new("/"), &words), Input::Bytes(typed.into()));
    recorded.must_succeed();
    for words in ["The word: ", "Type y or n.", "\"accept\" is none of accepts, refuses and unreachable."] {
        assert!(recorded.stderr.contains(words), "no {words:?} in {}", recorded.stderr);
    }
    let text = fs::read_to_string(&file).unwrap();
    for words in [
        "title = \"Somebody has a word\"",
        "prompt = \"The word: \"\necho = false\nanswer = \"please\"",
        "verdict = \"accept\"",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    author.play(&[]).must_succeed();

    let again = run(&mut keyward_in(Path::new("/"), &words), Input::Bytes(typed.into()));
    assert_eq!(again.status.code(), Some(2));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

#[test]
fn a_recording_of_a_store_has_no_password_in_it() {
    let store = "class Plugin:\n    def get_password_list(self):\n        return {'passwords': ['s3cret-of-a-real-store']}\n    \
                 def get_private_key_list(self):\n        return None\n    def authentication_completed(self):\n        pass\n    \
                 def session_ended(self):\n        pass\n";
    let author = Author::new("credentialstore", store);
    let file = author.bundle.path().join("tests/recorded.toml");
    let environment = format!("python3={}", plugin_python().display());
    let words = ["plugin", "scenario", "--record", file.to_str().unwrap(), "--environment", &environment];
    let typed = "\ngu=ann@root@db1\ny\nstaff, ops\ntyped-password\n\n";
    let recorded = run(&mut keyward_in(Path::new("/"), &words), Input::Bytes(typed.into()));
    recorded.must_succeed();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("groups = [\"staff\", \"ops\"]") && text.contains("# It returned 1"), "{text}");
    assert!(!text.contains("s3cret") && !recorded.stderr.contains("s3cret"), "{text}");
    author.play(&[]).must_succeed();
}

#[test]
fn a_key_that_the_gateway_would_skip_lets_nobody_in() {
    let store = "class Plugin:\n    def get_private_key_list(self):\n        return {'private_keys': [['ssh-rsa', 'no key at all']]}\n    \
                 def get_password_list(self):\n        return {}\n    def authentication_completed(self):\n        pass\n    \
                 def session_ended(self):\n        pass\n";
    let shown = Author::new("credentialstore", store).passes(
        "[client]\nlogin = \"root@db1\"\n[[step]]\nhook = \"get_private_key_list\"\nkeys = [\"ssh-rsa\"]\n\
         [[step]]\nhook = \"get_password_list\"\npasswords = []\n[[step]]\nhook = \"session_ended\"\n\
         [expect]\nverdict = \"target-auth-fail\"\n",
    );
    assert!(shown.contains("key 1 is skipped: it is no private key in PEM"), "{shown}");
    assert!(!shown.contains("no key at all"), "{shown}");
}
