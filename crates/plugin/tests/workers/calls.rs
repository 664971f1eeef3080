//! Constructors, signatures, arguments and results (contract section 3, rules 1 to 5).

use keyward_plugin::{CallErrorKind, Hook, PluginKind, Start};
use serde_json::{Value, json};

use super::fixture::{Plugin, authorize, call};

#[tokio::test]
async fn a_hook_gets_the_named_subset_that_it_declares() {
    let plugin = Plugin::new(
        "class Plugin:\n    def authorize(self, session_id, server_ip, client_port):\n        return {'verdict': 'ACCEPT', 'x': [session_id, server_ip, client_port]}\n",
    );
    let loaded = plugin.load().await;
    let arguments = json!({"session_id": "svc/1", "client_port": 4711, "protocol": "ssh"});
    let result = loaded.authorize(arguments).await.outcome.unwrap();
    assert_eq!(result["x"], json!(["svc/1", null, 4711]));
}

#[tokio::test]
async fn kwargs_get_everything_and_old_names_are_among_it() {
    let loaded = authorize("return {'names': sorted(arguments), 'cookie': arguments['cookie'], 'kv': arguments['key_value_pairs'], 'user': arguments['target_username']}").load().await;
    let result = loaded.authorize(json!({"target_username": "root"})).await.outcome.unwrap();
    let names: Vec<&str> = result["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in
        ["target_host", "target_server", "target_port", "server_hostname", "gateway_groups", "session_cookie"]
    {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!((&result["cookie"], &result["kv"], &result["user"]), (&json!({}), &json!({}), &json!("root")));
}

#[tokio::test]
async fn old_argument_names_can_be_declared() {
    let loaded = Plugin::new(
        "class Plugin:\n    def authorize(self, target_server, target_username, **rest):\n        return {'x': [target_server, target_username, 'target_server' in rest]}\n",
    )
    .load()
    .await;
    let arguments = json!({"target_server": "db1", "target_username": "root"});
    assert_eq!(loaded.authorize(arguments).await.outcome.unwrap()["x"], json!(["db1", "root", false]));
}

#[tokio::test]
async fn a_name_of_another_hook_is_none_and_a_default_is_left_alone() {
    let loaded = Plugin::new(
        "class Plugin:\n    def authenticate(self, server_ip, own=7, *more):\n        return {'x': [server_ip, own, list(more)]}\n",
    )
    .load()
    .await;
    let report = loaded.instance.call(call(Hook::Authenticate, json!({}))).await;
    assert_eq!(report.outcome.unwrap()["x"], json!([null, 7, []]));
}

#[tokio::test]
async fn a_parameter_that_nobody_can_give_is_an_error_that_names_it() {
    let loaded =
        Plugin::new("class Plugin:\n    def authorize(self, cookie, ticket):\n        return None\n")
            .load()
            .await;
    let error = loaded.error().await;
    assert_eq!(error.kind, CallErrorKind::Signature);
    assert_eq!(error.message, "authorize() declares ticket, which is no hook argument and has no default");
}

#[tokio::test]
async fn a_constructor_gets_the_configuration_unparsed() {
    for constructor in [
        "def __init__(self, config):",
        "def __init__(self, *args, config=None):",
        "def __init__(self, a, b=1):",
    ] {
        let first = if constructor.contains("*args") {
            "args[0]"
        } else if constructor.contains(", a") {
            "a"
        } else {
            "config"
        };
        let mut plugin = Plugin::new(&format!(
            "class Plugin:\n    {constructor}\n        self.text = {first}\n    def authorize(self):\n        return {{'x': self.text}}\n"
        ));
        plugin.configuration = "[a]\nb = c\n".into();
        assert_eq!(plugin.load().await.result().await["x"], "[a]\nb = c\n", "{constructor}");
    }
}

#[tokio::test]
async fn a_class_without_a_constructor_is_called_without() {
    for constructor in ["", "    def __init__(self):\n        pass\n"] {
        let source =
            format!("class Plugin:\n{constructor}    def authorize(self):\n        return {{'x': 1}}\n");
        assert_eq!(Plugin::new(&source).load().await.result().await["x"], 1);
        let mut configured = Plugin::new(&source);
        configured.configuration = "[a]".into();
        let error = configured.load().await.error().await;
        assert_eq!(error.kind, CallErrorKind::Configuration);
        assert!(error.message.contains("takes no configuration"), "{error}");
    }
}

#[tokio::test]
async fn results_cross_as_json() {
    let loaded = authorize("return {'t': (1, 2), 'cookie': {1: 'a', None: 'b', 2: (3,)}}").load().await;
    assert_eq!(loaded.result().await, json!({"t": [1, 2], "cookie": {"1": "a", "null": "b", "2": [3]}}));
}

#[tokio::test]
async fn a_result_that_json_cannot_hold_is_the_plugins_error() {
    for result in
        ["{1, 2}", "b'x'", "float('nan')", "{(1, 2): 3}", "object()", "{'a': '\\ud800'}", "loop(500)"]
    {
        let helper = "def loop(n):\n    return [loop(n - 1)] if n else 0\n";
        let loaded = authorize(&format!("{helper}return {{'x': {result}}}")).load().await;
        assert_eq!(loaded.error().await.kind, CallErrorKind::WrongResult, "{result}");
    }
}

#[tokio::test]
async fn an_exception_comes_with_its_traceback() {
    let loaded = authorize("raise ValueError('no\\n  such ticket')").load().await;
    let error = loaded.error().await;
    assert_eq!(error.kind, CallErrorKind::Exception);
    assert_eq!(error.message, "ValueError: no such ticket");
    let traceback = error.traceback.unwrap();
    assert!(traceback.contains("main.py\", line 5, in authorize"), "{traceback}");
    assert!(!traceback.contains("keyward_worker"), "{traceback}");
}

#[tokio::test]
async fn an_exception_in_the_constructor_fails_the_call() {
    let source = "class Plugin:\n    def __init__(self):\n        raise KeyError('x')\n    def authorize(self):\n        pass\n";
    assert_eq!(Plugin::new(source).load().await.error().await.kind, CallErrorKind::Exception);
}

#[tokio::test]
async fn a_missing_hook_is_an_error() {
    let loaded = Plugin::new("class Plugin:\n    authenticate = 7\n").load().await;
    assert_eq!(loaded.error().await.kind, CallErrorKind::MissingHook);
    assert_eq!(loaded.instance.has_hook(Hook::Authenticate), Some(false));
    let report = loaded.instance.call(call(Hook::GetPasswordList, json!({}))).await;
    assert_eq!(report.outcome.unwrap_err().kind, CallErrorKind::MissingHook);
}

#[tokio::test]
async fn each_call_is_a_new_process_and_a_new_object() {
    for start in [Start::Warm, Start::Cold] {
        let mut plugin = authorize(
            "global n\nn = n + 1\nself.m = getattr(self, 'm', 0) + 1\nreturn {'x': [n, self.m], 'pid': os.getpid()}",
        );
        plugin.source = format!("n = 0\n{}", plugin.source);
        plugin.start = start;
        let loaded = plugin.load().await;
        let (first, second) = (loaded.result().await, loaded.result().await);
        assert_eq!((&first["x"], &second["x"]), (&json!([1, 1]), &json!([1, 1])));
        assert_ne!(first["pid"], second["pid"]);
    }
}

#[tokio::test]
async fn random_numbers_are_not_the_siblings() {
    let mut plugin = authorize("return {'x': random.getrandbits(64)}");
    plugin.source = format!("import random\n{}", plugin.source);
    let loaded = plugin.load().await;
    assert_ne!(loaded.result().await, loaded.result().await);
}

#[tokio::test]
async fn the_environment_is_what_the_contract_names() {
    let loaded = authorize(
        "return {'x': dict(os.environ), 'cwd': os.getcwd(), 'path': sys.path[0], 'stdin': sys.stdin.read()}",
    )
    .load()
    .await;
    let result = loaded.result().await;
    let mut names: Vec<&String> = result["x"].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        ["EPHEMERAL_PLUGIN_STATE_DIRECTORY", "LANG", "PATH", "SCB_PLUGIN_STATE_DIRECTORY", "TMPDIR"]
    );
    assert_eq!(result["x"]["LANG"], "C.UTF-8");
    assert_eq!(result["path"], json!(loaded.path("bundle")));
    assert_eq!(result["stdin"], "");
}

#[tokio::test]
async fn a_bundle_may_carry_modules_of_any_name() {
    let plugin = authorize(
        "import keyward_worker_x, channel, plugin, lib\nreturn {'x': [lib.X, plugin.X, channel.X]}",
    );
    let root = plugin.dir.path().join("bundle");
    std::fs::create_dir_all(&root).unwrap();
    for name in ["channel", "plugin", "lib", "keyward_worker_x", "worker", "services"] {
        std::fs::write(root.join(format!("{name}.py")), format!("X = '{name}'\n")).unwrap();
    }
    assert_eq!(plugin.load().await.result().await["x"], json!(["lib", "plugin", "channel"]));
}

#[tokio::test]
async fn a_package_of_the_bundle_comes_before_the_environments_of_the_same_name() {
    let plugin = authorize("import requests, urllib3\nreturn {'x': [requests.X, 'X' in dir(urllib3)]}");
    let package = plugin.dir.path().join("bundle/requests");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("__init__.py"), "X = 'of the bundle'\n").unwrap();
    // The other one is the environment's: its packages are at hand all the same.
    assert_eq!(plugin.load().await.result().await["x"], json!(["of the bundle", false]));
}

#[tokio::test]
async fn a_bundle_may_carry_compiled_modules() {
    // One of the interpreter's own, carried along: it is not for any other.
    let asked = "import _asyncio; print(_asyncio.__file__)";
    let found = std::process::Command::new(super::fixture::python()).args(["-c", asked]).output().unwrap();
    let compiled = std::path::PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let plugin =
        authorize("import _asyncio\nreturn {'x': [_asyncio.__file__, isinstance(_asyncio.Future, type)]}");
    let root = plugin.dir.path().join("bundle");
    std::fs::create_dir_all(&root).unwrap();
    let carried = root.join(compiled.file_name().unwrap());
    std::fs::copy(&compiled, &carried).unwrap();
    assert_eq!(plugin.load().await.result().await["x"], json!([carried, true]));
}

#[tokio::test]
async fn two_plugins_have_packages_of_the_same_name_each_its_own() {
    for start in [Start::Warm, Start::Cold] {
        let [one, other] = ["one", "other"].map(|word| {
            let mut plugin = authorize("return {'x': lib.X, 'pid': os.getppid()}");
            plugin.source = format!("import lib\n{}", plugin.source);
            plugin.start = start;
            let root = plugin.dir.path().join("bundle");
            std::fs::create_dir_all(&root).unwrap();
            std::fs::write(root.join("lib.py"), format!("X = '{word}'\n")).unwrap();
            plugin
        });
        let host = one.host();
        let first = host.load(one.config()).await.unwrap();
        let mut config = other.config();
        config.name = "other".try_into().unwrap();
        let second = host.load(config).await.unwrap();
        for (instance, word) in [(&first, "one"), (&second, "other"), (&first, "one")] {
            let report = instance.call(call(Hook::Authorize, json!({}))).await;
            assert_eq!(report.outcome.unwrap()["x"], word, "{start:?}");
        }
        host.shutdown().await;
    }
}

#[tokio::test]
async fn the_ephemeral_directory_is_empty_after_a_start_and_the_other_is_kept() {
    let plugin = authorize(
        "found = []\nfor name in ('SCB_PLUGIN_STATE_DIRECTORY', 'EPHEMERAL_PLUGIN_STATE_DIRECTORY'):\n    found.append(os.listdir(os.environ[name]))\n    open(os.environ[name] + '/file', 'w').close()\nreturn {'x': found}",
    );
    for first in [json!([[], []]), json!([["file"], []])] {
        let host = plugin.host();
        let instance = host.load(plugin.config()).await.unwrap();
        for expected in [&first, &json!([["file"], ["file"]])] {
            let report = instance.call(call(Hook::Authorize, json!({}))).await;
            assert_eq!(&report.outcome.unwrap()["x"], expected);
        }
        host.shutdown().await;
    }
}

#[tokio::test]
async fn a_credential_plugin_prints_masked_credentials() {
    let mut plugin = Plugin::new(
        "class Plugin:\n    def get_password_list(self, gateway_password):\n        print('found s3cr3t-one for', gateway_password)\n        return {'passwords': ['s3cr3t-one']}\n",
    );
    plugin.kind = PluginKind::CredentialStore;
    let loaded = plugin.load().await;
    let report =
        loaded.instance.call(call(Hook::GetPasswordList, json!({"gateway_password": "gwpass"}))).await;
    assert_eq!(report.log[0].line, "found [masked] for [masked]");
    assert_eq!(report.outcome.unwrap()["passwords"], json!(["s3cr3t-one"]));
    let debug = format!("{:?}", loaded.instance.call(call(Hook::GetPasswordList, json!({}))).await);
    assert!(!debug.contains("s3cr3t"), "{debug}");
}

#[tokio::test]
async fn an_answer_to_a_hidden_prompt_is_masked() {
    let loaded =
        authorize("print('the code is', arguments['key_value_pairs']['otp'])\nreturn {}").load().await;
    let asked = call(Hook::Authorize, json!({"key_value_pairs": {"otp": "123456"}}));
    let report = loaded.instance.call_hiding(asked, &["123456".to_owned().into()]).await;
    assert_eq!(report.log[0].line, "the code is [masked]");
}

#[tokio::test]
async fn what_is_masked_in_print_is_masked_in_exceptions_and_tracebacks() {
    let mut plugin = Plugin::new(
        "class Plugin:\n    def get_password_list(self, gateway_password, cookie):\n        raise KeyError(gateway_password + ' ' + cookie['pin'])\n",
    );
    plugin.kind = PluginKind::CredentialStore;
    let loaded = plugin.load().await;
    let asked =
        call(Hook::GetPasswordList, json!({"gateway_password": r"gw\pass", "cookie": {"pin": "123456"}}));
    let error = loaded.instance.call_hiding(asked, &["123456".to_owned().into()]).await.outcome.unwrap_err();
    assert_eq!(error.message, "KeyError: '[masked] [masked]'");
    let traceback = error.traceback.unwrap();
    assert!(traceback.ends_with("KeyError: '[masked] [masked]'\n"), "{traceback}");
}
