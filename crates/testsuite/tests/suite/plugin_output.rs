//! What plugins print: kept with the session within bounds, without secrets, and unable to do harm.

use keyward_testsuite::{Askpass, Plug, Plugged, PluggedPlan, keyward};
use serde_json::{Value, json};

use crate::plugin_faults::{call, sdk_aa, sdk_store};

/// 10,000 lines, one of 100 KB, one on the other stream; and one that is no UTF-8 and has no end.
fn noisy() -> Plugged {
    let noise = "\
for n in range(10000): print('line %05d %s' % (n, 'x' * 60))
        sys.stderr.write('to the other stream\\n')
        sys.stdout.flush()
        os.write(1, b'y' * 100_000 + b'\\n')";
    let last = "os.write(2, b'not utf-8: \\xff\\xfe, and no end')";
    let plugged = PluggedPlan::new([sdk_aa(noise, last)]).open();
    assert_eq!(plugged.client("otp=1@", &Askpass::new(&[])).exec("echo in").text(), "in\n");
    plugged
}

fn log<'a>(session: &'a Value, hook: &str) -> Vec<&'a str> {
    let lines = call(session, hook)["log"].as_array().unwrap();
    lines.iter().map(|line| line["line"].as_str().unwrap()).collect()
}

#[test]
fn what_a_plugin_prints_is_bounded_and_disturbs_nothing() {
    let plugged = noisy();
    let session = plugged.session();
    assert_eq!(session["verdict"], "accept");

    let kept = log(&session, "authenticate");
    let first = kept.iter().find(|line| line.starts_with("line "));
    assert_eq!(*first.unwrap(), format!("line 00000 {}", "x".repeat(60)));
    let bytes: usize = kept.iter().map(|line| line.len()).sum();
    assert!(kept.len() > 100 && bytes < 1024 * 1024, "{} lines, {bytes} bytes", kept.len());
    let odd = json!({"stream": "stderr", "line": "not utf-8: \\xff\\xfe, and no end"});
    assert!(call(&session, "authorize")["log"].as_array().unwrap().contains(&odd));
    let id = session["id"].as_str().unwrap();
    let is_marked = |line: &String| line.contains("line 00000") && line.contains(id);
    assert!(plugged.gateway.log().iter().any(is_marked), "no line of the log has the session's id");
}

#[test]
fn lines_that_are_not_kept_are_counted() {
    let session = noisy().session();
    let kept = log(&session, "authenticate").len() as u64;
    let left_out = call(&session, "authenticate")["log_left_out"].as_u64().unwrap();
    // What the SDK logs comes on top.
    assert!(kept + left_out >= 10_002, "{kept} kept, {left_out} left out");
}

const TELLTALE: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs):
        pin = key_value_pairs.get("pin")
        if pin is None:
            return {"verdict": "NEEDINFO", "question": ("pin", "PIN: ", True)}
        print("the pin is", pin)
        return {"verdict": "ACCEPT", "gateway_user": "root"}

    def authorize(self, key_value_pairs):
        raise ValueError("wrong pin " + key_value_pairs["pin"])

    def session_ended(self):
        pass
"#;

#[test]
fn an_answer_to_a_hidden_prompt_is_masked_where_a_plugin_prints_or_raises_it() {
    let plugged = PluggedPlan::new([Plug::aa(TELLTALE)]).open();
    let run = plugged.client("", &Askpass::new(&["s3cr3t-pin"])).exec("true");
    assert_eq!(run.status.code(), Some(255));
    let session = plugged.session();
    assert_eq!(session["verdict"], "plugin-error");
    let (record, log) = (session.to_string(), plugged.gateway.log().join("\n"));
    assert!(record.contains("the pin is [masked]"), "{session:#}");
    assert!(!record.contains("s3cr3t-pin"), "{session:#}");
    assert!(!log.contains("s3cr3t-pin"), "{log}");
}

#[test]
fn a_credential_is_masked_where_a_plugin_prints_it() {
    let leak = "print('found', self.plugin_configuration.get('vault', 'password'))";
    let plugged = PluggedPlan::new([sdk_aa("pass", "pass"), sdk_store(leak, "pass")]).open();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    let session = plugged.session();
    assert!(log(&session, "get_password_list").contains(&"found [masked]"), "{session:#}");
    let marked = plugged.gateway.log().join("\n");
    assert!(marked.contains("found [masked]"), "{marked}");
}

const ESCAPES: &str = r#"
class Plugin:
    def authenticate(self):
        print("\x1b[2Jprinted")
        return {"verdict": "ACCEPT", "gateway_user": "al\x1b[2Jice", "additional_metadata": "\x1b]0;title\x07"}

    def authorize(self):
        raise ValueError("\x1b[31mred")

    def session_ended(self):
        pass
"#;

#[test]
fn what_a_plugin_says_cannot_act_on_the_terminal_of_who_reads_the_record() {
    let plugged = PluggedPlan::new([Plug::aa(ESCAPES)]).open();
    plugged.client("", &Askpass::new(&[])).exec("true");
    let session = plugged.session();
    let (id, policy) = (session["id"].as_str().unwrap(), plugged.gateway.policy());
    let policy = policy.to_str().unwrap();
    for words in [vec!["session", "show", id], vec!["session", "list"]] {
        let shown = keyward([words, vec!["--policy", policy]].concat()).text();
        assert!(shown.contains("ice"), "{shown}");
        assert!(!shown.contains(['\x1b', '\x07']), "{shown:?}");
    }
    assert!(!plugged.gateway.log().join("\n").contains('\x1b'));
}

#[test]
fn a_line_longer_than_8_kib_is_cut_and_says_so() {
    let plugged = PluggedPlan::new([sdk_aa("print('y' * 100_000)", "pass")]).open();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    let session = plugged.session();
    let log = call(&session, "authenticate")["log"].as_array().unwrap();
    let cut = log.iter().find_map(|line| line["line"].as_str().filter(|text| text.starts_with("yyy")));
    assert_eq!(cut.unwrap(), format!("{} [cut: 91808 more bytes]", "y".repeat(8192)));
}

/// Prints a secret in every form that it knows, and notes the forms where nobody masks them.
const FORMS: &str = r#"
import base64, json, re, sys
from urllib.parse import quote, quote_plus
from notes import note

def forms_of(secret):
    data = secret.encode()
    lower = lambda url: re.sub("%..", lambda code: code.group().lower(), url)
    forms = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
             json.dumps(json.dumps(secret))[3:-3], ascii(secret)[1:-1], repr(data)[2:-1],
             quote(secret), quote(secret, safe=""), quote_plus(secret), lower(quote_plus(secret)),
             lower(quote(secret)), "".join("%%%02X" % byte for byte in data)]
    for before in (b"", b"u", b"us"):
        text = before + data + b":z"
        forms += [base64.b64encode(before + data).decode(), base64.b64encode(text).decode(),
                  base64.b64encode(text).decode().rstrip("="), base64.urlsafe_b64encode(text).decode(),
                  quote(base64.b64encode(text).decode(), safe="")]
    return forms

def leak(where, secret):
    forms = forms_of(secret)
    note("forms", forms=forms)
    for form in forms:
        print(where, "has", form)
    # In one write, and each of the lines has a part.
    sys.stderr.write("\n".join(secret[at:at + 3] for at in range(0, len(secret), 3)) + "\n")
    sys.stderr.write(base64.encodebytes(b"user:" + secret.encode() * 5).decode())
"#;

/// None of the forms that `instance` noted is in the record or the log.
#[track_caller]
fn nothing_leaked(plugged: &Plugged, session: &Value, instance: &str) {
    let (record, log) = (session.to_string(), plugged.gateway.log().join("\n"));
    let noted = plugged.notes(instance).into_iter().filter(|(word, _)| word == "forms");
    let forms: Vec<String> = noted
        .flat_map(|(_, facts)| facts["forms"].as_array().unwrap().clone())
        .map(|form| form.as_str().unwrap().to_owned())
        .collect();
    assert!(forms.len() >= 27, "{forms:?}");
    for form in forms {
        let inside = serde_json::to_string(&form).unwrap();
        assert!(!record.contains(inside.trim_matches('"')), "{form:?} is in {session:#}");
        assert!(!log.contains(&form), "{form:?} is in {log}");
    }
}

#[test]
fn no_form_of_a_hidden_answer_is_shown_in_what_a_plugin_prints_or_raises() {
    let plugin = format!(
        r#"{FORMS}
class Plugin:
    def authenticate(self, key_value_pairs):
        pin = key_value_pairs.get("pin")
        if pin is None:
            return {{"verdict": "NEEDINFO", "question": ("pin", "PIN: ", True)}}
        leak("authenticate", pin)
        return {{"verdict": "ACCEPT"}}

    def authorize(self, key_value_pairs):
        raise ValueError("; ".join(forms_of(key_value_pairs["pin"])))

    def session_ended(self):
        pass
"#
    );
    let plugged = PluggedPlan::new([Plug::aa(&plugin)]).open();
    let pin = "s3cr/t pin+\u{e4}\u{20ac}?";
    plugged.client("", &Askpass::new(&[pin])).exec("true");
    let session = plugged.session();
    assert_eq!(session["verdict"], "plugin-error", "{session:#}");
    nothing_leaked(&plugged, &session, "aa");
    let rounds = session["calls"].as_array().unwrap();
    let lines = rounds[1]["log"].as_array().unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
    let said = texts.iter().filter(|line| line.starts_with("authenticate has"));
    assert!(said.clone().count() >= 27 && said.clone().all(|line| line.contains("[masked]")), "{texts:#?}");
    assert!(!texts.contains(&"s3c") && !texts.contains(&"r/t"), "{texts:#?}");
    assert!(call(&session, "authorize")["error"].as_str().unwrap().contains("[masked]"), "{session:#}");
}

#[test]
fn no_form_of_a_returned_password_or_key_is_shown_in_what_was_printed_before_it_was_returned() {
    let store = format!(
        r#"{FORMS}
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBpFoB9Hk7kHqkyWZxJ0p5mR3uTt1cQvYh2JdS6wLxNa\n" \
      "b8GkPzQ1c2VjcmV0LWtleS1tYXRlcmlhbA==\n-----END PRIVATE KEY-----\n"

class Plugin:
    def __init__(self, configuration):
        self.password = configuration.strip()

    def get_private_key_list(self):
        lines, digits = KEY.splitlines(), base64.b64encode(KEY.encode()).decode()
        # From the middle of both of its lines.
        note("forms", forms=[lines[1][9:50], lines[2][9:30], digits[50:100], digits[130:160]])
        print("json", json.dumps({{"key": KEY}}))
        print("lines", *KEY.splitlines())
        print("url", quote(KEY))
        print("base64", digits)
        sys.stdout.write(KEY)
        sys.stdout.write(base64.encodebytes(KEY.encode()).decode())
        return {{"private_keys": [["ssh-rsa", KEY]]}}

    def get_password_list(self):
        leak("get_password_list", self.password)
        return {{"passwords": [self.password], "cookie": {{"kept": self.password}}}}

    def authentication_completed(self, cookie):
        leak("authentication_completed", cookie["kept"])

    def session_ended(self, cookie):
        leak("session_ended", cookie["kept"])
"#
    );
    let store = Plug::store(&store).configuration("@password@\n");
    let plugged = PluggedPlan::new([sdk_aa("pass", "pass"), store]).open();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    let session = plugged.session();
    nothing_leaked(&plugged, &session, "store");
    assert!(log(&session, "get_private_key_list").len() > 10, "{session:#}");
    let record = session.to_string();
    assert!(record.contains("get_password_list has [masked]"), "{session:#}");
}
