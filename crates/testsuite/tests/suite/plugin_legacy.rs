//! Plugins for Python 2, through the gateway.

use keyward_testsuite::{Askpass, BundleFolder, GatewayPlan, Plug, PluggedPlan, python2};
use serde_json::{Value, json};

/// An old-style class without a constructor, a question of two items, `print` without parentheses.
const AA: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs, cookie, target_username):
        print 'asked with', sorted(key_value_pairs.keys())
        if not key_value_pairs.has_key('code'):
            return {'verdict': 'NEEDINFO', 'question': ('code', 'Code: '), 'cookie': {'rounds': 1}}
        if key_value_pairs['code'] <> '1234':
            return {'verdict': 'DENY', 'reason': 'wrong code'}
        return {'verdict': 'ACCEPT', 'gateway_user': target_username, 'gateway_groups': ('admins',), 'cookie': cookie}

    def authorize(self, gateway_user, gateway_groups, target_server, cookie):
        note('authorize', user=gateway_user, groups=gateway_groups, rounds=cookie['rounds'])
        return {'verdict': 'ACCEPT'}

    def session_ended(self, session_id, cookie):
        note('session_ended', rounds=cookie['rounds'])
"#;

const STORE: &str = r#"
import ConfigParser, StringIO

class Plugin:
    def __init__(self, configuration):
        parser = ConfigParser.ConfigParser()
        parser.readfp(StringIO.StringIO(configuration))
        self.password = parser.get('account', 'password')

    def get_private_key_list(self, session_id):
        return None

    def get_password_list(self, session_id, server_username):
        print server_username, self.password
        return {'passwords': [self.password]}

    def authentication_completed(self, session_id):
        return None

    def session_ended(self, session_id):
        return None
"#;

fn with_python2(plugs: impl IntoIterator<Item = Plug>) -> PluggedPlan {
    let environment = format!("[[environment]]\nname = \"python2\"\npython = \"{}\"\n", python2().display());
    PluggedPlan::new(plugs).more(&environment)
}

#[test]
fn a_person_logs_in_by_plugins_for_python_2() {
    for start in ["warm", "cold"] {
        let settings = format!("start = \"{start}\"");
        let aa = Plug::aa(AA).legacy().settings(&settings);
        let store = Plug::store(STORE).legacy().configuration("[account]\npassword = @password@\n");
        let plugged = with_python2([aa, store.settings(&settings)]).open();
        let askpass = Askpass::new(&["1234"]);

        plugged.client("", &askpass).exec("true").must_succeed();

        assert!(askpass.prompts()[0].contains("Code: "));
        let session = plugged.session();
        let facts: Vec<Value> = plugged.notes("aa").into_iter().map(|(_, facts)| facts).collect();
        assert_eq!(
            facts,
            [json!({"user": plugged.user(), "groups": ["admins"], "rounds": 1}), json!({"rounds": 1})]
        );
        let text = session.to_string();
        assert!(text.contains("asked with []") && text.contains("[masked]"), "{session:#}");
    }
}

#[test]
fn a_refusal_of_a_plugin_for_python_2_is_told() {
    let plugged = with_python2([Plug::aa(AA).legacy()]).open();
    let askpass = Askpass::new(&["4321"]);

    let refused = plugged.person("", &askpass).exec("true");

    assert!(!refused.status.success());
    assert!(refused.stderr.contains("wrong code"), "{refused:?}");
    plugged.session();
    assert_eq!(plugged.heard("aa"), ["session_ended"]);
}

/// With one plugin, `aa`, of the bundle `aa_bundle`.
fn document(more: &str) -> String {
    format!(
        r#"
[node]
data-dir = "@data@"

[[plugin]]
name = "aa"
bundle = "aa_bundle"

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "127.0.0.1:9" }}
aa-plugin = "aa"
channel-policy = "work"

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["exec"]

{more}
"#
    )
}

#[test]
fn a_gateway_without_python_2_says_how_to_get_it() {
    let plan = GatewayPlan::new(&document("")).plugin(&BundleFolder::legacy("aa_bundle", "aa", AA));
    let log = plan.refuses_to_start();
    assert!(log.contains("no environment python2 is configured"), "{log}");
    assert!(log.contains("keyward environment create python2"), "{log}");

    let environment = "[[environment]]\nname = \"python2\"\npython = \"/nonexistent/old/bin/python\"\n";
    let bundle = BundleFolder::legacy("aa_bundle", "aa", AA);
    let log = GatewayPlan::new(&document(environment)).plugin(&bundle).refuses_to_start();
    assert!(log.contains("has the interpreter /nonexistent/old/bin/python, which is not there"), "{log}");
    assert!(log.contains("keyward environment create python2 /nonexistent/old "), "{log}");
}

#[test]
fn a_gateway_does_not_start_with_a_plugin_of_a_type_that_is_not_called_yet() {
    let environment = format!("[[environment]]\nname = \"python2\"\npython = \"{}\"\n", python2().display());
    let bundle = BundleFolder::legacy("aa_bundle", "signingca", "class Plugin: pass\n");
    let log = GatewayPlan::new(&document(&environment)).plugin(&bundle).refuses_to_start();
    assert!(log.contains("is of type signingca, which is not supported yet"), "{log}");
}
