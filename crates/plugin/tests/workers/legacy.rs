//! Python 2 plugins: what their language has and Python 3 has not (contract sections 2 and 3).
//!
//! Each plugin is run warm and cold, since both must do.

use keyward_plugin::{
    AaDecision, AaReply, CallError, CallErrorKind, CallReport, Cookies, Hook, PluginError, PluginKind,
    PythonMajor, Start, Stream,
};
use serde_json::{Value, json};

use super::fixture::{Plugin, call, descendants, eventually, open_files};

/// The report of one call of `hook`, warm and cold; what `set` does is done to the plugin before.
async fn reports(source: &str, hook: Hook, arguments: Value, set: impl Fn(&mut Plugin)) -> Vec<CallReport> {
    let mut reports = Vec::new();
    for start in [Start::Warm, Start::Cold] {
        let mut plugin = Plugin { start, ..Plugin::legacy(source) };
        set(&mut plugin);
        let loaded = plugin.load().await;
        reports.push(loaded.instance.call(call(hook, arguments.clone())).await);
        loaded.host.shutdown().await;
    }
    reports
}

/// The result of `authorize` without arguments, the same warm and cold.
async fn result(source: &str) -> Value {
    let [warm, cold] = outcomes(source).await.map(|outcome| outcome.unwrap());
    assert_eq!(warm, cold);
    warm
}

/// The error of `authorize` without arguments, the same warm and cold.
async fn error(source: &str) -> CallError {
    let [warm, cold] = outcomes(source).await.map(|outcome| outcome.unwrap_err());
    assert_eq!((warm.kind, &warm.message), (cold.kind, &cold.message));
    warm
}

async fn outcomes(source: &str) -> [Result<Value, CallError>; 2] {
    let reports = reports(source, Hook::Authorize, json!({}), |_| {}).await;
    reports.into_iter().map(|report| report.outcome).collect::<Vec<_>>().try_into().unwrap()
}

#[tokio::test]
async fn an_old_style_class_without_a_constructor_is_called_without() {
    let source = "class Plugin:\n    def authorize(self):\n        return {'x': str(type(Plugin))}\n";
    assert_eq!(result(source).await["x"], "<type 'classobj'>");
    for plain in [source, &source.replace("Plugin:", "Plugin(object):")] {
        for report in
            reports(plain, Hook::Authorize, json!({}), |plugin| plugin.configuration = "[a]".into()).await
        {
            let error = report.outcome.unwrap_err();
            assert_eq!(error.kind, CallErrorKind::Configuration);
            assert!(error.message.contains("takes no configuration"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_constructor_of_either_kind_of_class_gets_the_configuration() {
    for class in ["class Plugin:", "class Plugin(object):", "class Base: pass\nclass Plugin(Base):"] {
        for parameters in ["configuration", "configuration=''", "*configuration", "**more"] {
            let value = match parameters {
                "*configuration" => "configuration[0]",
                "**more" => "more['configuration']",
                _ => "configuration",
            };
            let source = format!(
                "{class}\n    def __init__(self, {parameters}):\n        self.text = {value}\n    def authorize(self):\n        return {{'x': self.text}}\n"
            );
            for report in reports(&source, Hook::Authorize, json!({}), |plugin| {
                plugin.configuration = "[a]\nb = ü\n".into();
            })
            .await
            {
                assert_eq!(report.outcome.unwrap()["x"], "[a]\nb = ü\n", "{class} {parameters}");
            }
        }
    }
    let without = "class Plugin:\n    def __init__(self):\n        self.x = 1\n    def authorize(self):\n        return {'x': self.x}\n";
    assert_eq!(result(without).await["x"], 1);
}

#[tokio::test]
async fn what_is_printed_without_parentheses_is_logged() {
    let source = "# coding: utf-8\nimport sys\n\nclass Plugin:\n    def authorize(self):\n        print 'one', 2,\n        print 'three'\n        print >>sys.stderr, u'f\\xfcnf', 'sechs'\n        print 'b\\xff\\xfe'\n        sys.stdout.write('left over')\n        return {}\n";
    for report in reports(source, Hook::Authorize, json!({}), |_| {}).await {
        report.outcome.unwrap();
        let of = |stream| {
            let lines = report.log.iter().filter(move |line| line.stream == stream);
            lines.map(|line| line.line.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Stream::Stdout), ["one 2 three", "b\\xff\\xfe", "left over"]);
        assert_eq!(of(Stream::Stderr), ["fünf sechs"]);
    }
}

#[tokio::test]
async fn a_question_may_have_two_items() {
    let source = "class Plugin:\n    def authenticate(self, key_value_pairs):\n        if not key_value_pairs.has_key('otp'):\n            return {'verdict': 'NEEDINFO', 'question': ('otp', 'Code: ')}\n        return {'verdict': 'ACCEPT', 'gateway_user': key_value_pairs['otp']}\n";
    for report in reports(source, Hook::Authenticate, json!({}), |_| {}).await {
        let reply = AaReply::read(Hook::Authenticate, &report.outcome.unwrap()).unwrap();
        let AaDecision::NeedInfo(question) = reply.decision else { panic!("{reply:?}") };
        assert_eq!((question.key.as_str(), question.prompt.as_str()), ("otp", "Code: "));
        assert!(!question.disable_echo);
    }
    let answered = json!({"key_value_pairs": {"otp": "zoë"}});
    for report in reports(source, Hook::Authenticate, answered, |_| {}).await {
        assert_eq!(report.outcome.unwrap()["gateway_user"], "zoë");
    }
}

#[tokio::test]
async fn the_statements_of_the_old_language_run() {
    let source = "import sys\n\nclass Plugin:\n    def authorize(self):\n        try:\n            raise ValueError, 'old'\n        except ValueError, error:\n            text = `error.args[0]`\n        exec 'n = 0777'\n        return {'x': [text, n, 7 / 2, 1 <> 2, {'a': 1}.keys(), 10L, u'\\u20ac', unichr(228)]}\n";
    assert_eq!(result(source).await["x"], json!(["'old'", 511, 3, true, ["a"], 10, "€", "ä"]));
}

#[tokio::test]
async fn a_hook_gets_the_named_subset_that_it_declares() {
    let source = "class Plugin:\n    def authorize(self, session_id, target_server, client_port, own=7, *more):\n        return {'x': [session_id, target_server, client_port, own, list(more)]}\n";
    let arguments = json!({"session_id": "svc/ä", "client_port": 4711, "protocol": "ssh"});
    for report in reports(source, Hook::Authorize, arguments, |_| {}).await {
        assert_eq!(report.outcome.unwrap()["x"], json!(["svc/ä", null, 4711, 7, []]));
    }
    let all = "class Plugin:\n    @staticmethod\n    def authorize(cookie, **rest):\n        return {'x': [cookie, rest['key_value_pairs'], rest['protocol'], sorted(map(type, rest)) == [str] * len(rest)]}\n";
    for report in reports(all, Hook::Authorize, json!({"protocol": "ssh"}), |_| {}).await {
        assert_eq!(report.outcome.unwrap()["x"], json!([{}, {}, "ssh", true]));
    }
}

#[tokio::test]
async fn a_parameter_that_nobody_can_give_is_an_error_that_names_it() {
    let unknown = "class Plugin:\n    def authorize(self, cookie, ticket):\n        pass\n";
    let error_of_unknown = error(unknown).await;
    assert_eq!(error_of_unknown.kind, CallErrorKind::Signature);
    assert!(error_of_unknown.message.starts_with("authorize() declares ticket, which is no hook argument"));
    let tuple = "class Plugin:\n    def authorize(self, (session_id, protocol)):\n        pass\n";
    assert_eq!(error(tuple).await.kind, CallErrorKind::Signature);
    let missing = "class Plugin:\n    authorize = 7\n";
    assert_eq!(error(missing).await.kind, CallErrorKind::MissingHook);
}

#[tokio::test]
async fn what_is_raised_need_not_be_an_exception() {
    let source = "class Odd:\n    def __str__(self):\n        return 'no ticket'\n\nclass Plugin:\n    def authorize(self):\n        raise Odd()\n";
    let error_of_odd = error(source).await;
    assert_eq!(error_of_odd.kind, CallErrorKind::Exception);
    assert_eq!(error_of_odd.message, "Odd: no ticket");
    let traceback = error_of_odd.traceback.unwrap();
    assert!(traceback.contains("main.py\", line 7, in authorize"), "{traceback}");
    assert!(!traceback.contains("keyward_worker"), "{traceback}");
}

#[tokio::test]
async fn a_message_in_any_encoding_is_told() {
    for (raised, told) in [
        ("u'f\\xfcnf'", "ValueError: fünf"),
        ("'f\\xc3\\xbcnf'", "ValueError: fünf"),
        ("'\\xff'", "ValueError: \u{fffd}"),
    ] {
        let source = format!("class Plugin:\n    def authorize(self):\n        raise ValueError({raised})\n");
        assert_eq!(error(&source).await.message, told);
    }
}

#[tokio::test]
async fn a_result_that_json_cannot_hold_is_the_plugins_error() {
    for value in ["'\\xff'", "set([1])", "float('nan')", "{(1, 2): 3}", "loop(2000)"] {
        let source = format!(
            "def loop(n):\n    found = 0\n    for _ in range(n):\n        found = [found]\n    return found\n\nclass Plugin:\n    def authorize(self):\n        return {{'x': {value}}}\n"
        );
        assert_eq!(error(&source).await.kind, CallErrorKind::WrongResult, "{value}");
    }
    let source = "class Plugin:\n    def authorize(self):\n        return {'t': (1, 2), 'cookie': {1: 'a', None: 'b'}}\n";
    assert_eq!(result(source).await, json!({"t": [1, 2], "cookie": {"1": "a", "null": "b"}}));
}

#[tokio::test]
async fn an_exit_is_told_with_its_status() {
    for (exit, status) in [("sys.exit(3)", 3), ("sys.exit(u'gr\\xfc\\xdfe')", 1), ("os._exit(4)", 4)] {
        let source = format!("import os, sys\n\nclass Plugin:\n    def authorize(self):\n        {exit}\n");
        let told = error(&source).await;
        assert_eq!(told.kind, CallErrorKind::Exited);
        assert_eq!(told.message, format!("the plugin ended its process with status {status}"));
    }
}

#[tokio::test]
async fn a_failing_import_comes_with_its_traceback() {
    let plugin = Plugin::legacy("import nowhere\n");
    match plugin.host().load(plugin.config()).await {
        Err(PluginError::Import { message, traceback, .. }) => {
            assert_eq!(message, "ImportError: No module named nowhere");
            assert!(traceback.contains("main.py\", line 1"), "{traceback}");
        }
        other => panic!("{other:?}"),
    }
    let plugin = Plugin::legacy("class Plugin:\n    def authorize(self):\n        print('x', file=None)\n");
    let error = plugin.host().load(plugin.config()).await.unwrap_err().to_string();
    assert!(error.contains("SyntaxError: invalid syntax"), "{error}");
}

#[tokio::test]
async fn a_plugin_does_not_run_on_the_other_python() {
    let source = "class Plugin:\n    def authorize(self):\n        return {}\n";
    for (bundle, environment, told) in [
        (PythonMajor::Two, PythonMajor::Three, "needs Python 2, and environment test is Python 3.11"),
        (PythonMajor::Three, PythonMajor::Two, "needs Python 3, and environment test is Python 2.7"),
    ] {
        let plugin = Plugin { language: environment, ..Plugin::legacy(source) };
        let mut config = plugin.config();
        config.bundle.bundle.python = bundle;
        let error = plugin.host().load(config).await.unwrap_err().to_string();
        assert!(error.ends_with(told), "{error}");
    }
}

#[tokio::test]
async fn threads_at_import_make_a_cold_start() {
    let source = "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,))\nt.daemon = True\nt.start()\n\nclass Plugin:\n    def authorize(self):\n        return {'x': t.isAlive()}\n";
    let loaded = Plugin::legacy(source).load().await;
    assert!(!loaded.instance.is_warm());
    assert_eq!(loaded.result().await["x"], true);
}

#[tokio::test]
async fn random_numbers_are_not_the_siblings() {
    let source = "import random\n\nclass Plugin:\n    def authorize(self):\n        return {'x': random.getrandbits(64)}\n";
    let loaded = Plugin::legacy(source).load().await;
    assert_ne!(loaded.result().await, loaded.result().await);
}

#[tokio::test]
async fn the_environment_is_what_the_contract_names() {
    let source = "import os, sys\n\nclass Plugin:\n    def authorize(self):\n        return {'names': sorted(os.environ), 'path': sys.path[0], 'ours': [p for p in sys.path if 'worker' in p], 'stdin': sys.stdin.read()}\n";
    for start in [Start::Warm, Start::Cold] {
        let loaded = Plugin { start, ..Plugin::legacy(source) }.load().await;
        let result = loaded.result().await;
        let names =
            ["EPHEMERAL_PLUGIN_STATE_DIRECTORY", "LANG", "PATH", "SCB_PLUGIN_STATE_DIRECTORY", "TMPDIR"];
        assert_eq!(result["names"], json!(names));
        assert_eq!(result["path"], json!(loaded.path("bundle")));
        assert_eq!((&result["ours"], &result["stdin"]), (&json!([]), &json!("")));
    }
}

#[tokio::test]
async fn a_bundle_may_carry_modules_of_any_name() {
    let plugin = Plugin::legacy(
        "import channel, plugin, template\n\nclass Plugin:\n    def authorize(self):\n        import worker, json2\n        return {'x': [plugin.X, channel.X, template.X, worker.X, json2.X]}\n",
    );
    let root = plugin.dir.path().join("bundle");
    std::fs::create_dir_all(&root).unwrap();
    for name in ["channel", "plugin", "template", "worker", "python", "json2", "struct", "signal"] {
        std::fs::write(root.join(format!("{name}.py")), format!("X = '{name}'\n")).unwrap();
    }
    let names = json!(["plugin", "channel", "template", "worker", "json2"]);
    assert_eq!(plugin.load().await.result().await["x"], names);
}

#[tokio::test]
async fn the_modules_of_the_language_are_at_hand() {
    let source = "import httplib, json, urllib, urllib2, xml.dom.minidom, xmllib, xmlrpclib, ConfigParser, StringIO\n\nclass Plugin:\n    def authorize(self):\n        return {'x': urllib.quote('a b')}\n";
    assert_eq!(result(source).await["x"], "a%20b");
}

#[tokio::test]
async fn a_program_that_a_plugin_starts_inherits_nothing() {
    let source = "import subprocess\n\nclass Plugin:\n    def authorize(self):\n        listed = subprocess.Popen(['ls', '/proc/self/fd'], stdout=subprocess.PIPE).communicate()[0]\n        return {'x': listed.split()}\n";
    // The last one is `ls` looking.
    assert_eq!(result(source).await["x"], json!(["0", "1", "2", "3"]));
}

#[tokio::test]
async fn credentials_are_masked_and_cookies_are_kept() {
    let source = "class Plugin(object):\n    def get_password_list(self, cookie, gateway_password, **rest):\n        print 's3cr3t', gateway_password\n        cookie['n'] = cookie.get('n', 0) + 1\n        return {'passwords': ['s3cr3t'], 'cookie': cookie}\n";
    let arguments = json!({"gateway_password": "gwpass", "cookie": {"n": 1}});
    for report in reports(source, Hook::GetPasswordList, arguments, |plugin| {
        plugin.kind = PluginKind::CredentialStore;
    })
    .await
    {
        assert_eq!(report.log[0].line, "[masked] [masked]");
        let mut cookies = Cookies::default();
        cookies.absorb(&report.outcome.unwrap()).unwrap();
        assert_eq!(cookies.cookie, json!({"n": 2}));
    }
}

#[tokio::test]
async fn a_hundred_calls_leave_nothing() {
    let source = "import os\n\nclass Plugin:\n    def authorize(self):\n        os.system('sleep 1000 > /dev/null 2>&1 &')\n        return {'x': 1}\n";
    let loaded = Plugin::legacy(source).load().await;
    loaded.result().await;
    let before = open_files();
    for _ in 0..100 {
        assert_eq!(loaded.result().await["x"], 1);
    }
    eventually("descriptors are back", || open_files() <= before + 6).await;
    loaded.host.shutdown().await;
    eventually("no process is left", || descendants().is_empty()).await;
}
