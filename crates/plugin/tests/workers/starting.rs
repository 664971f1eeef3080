//! Imports: warm, cold, failing, and on every Python that can be found.

use std::time::Duration;

use keyward_plugin::{CallErrorKind, PluginError, PluginKind, Start};

use super::fixture::{Plugin, all_pythons, authorize, descendants, eventually};

#[tokio::test]
async fn a_failing_import_is_refused_with_its_traceback() {
    let plugin = Plugin::new("import nowhere\n");
    let host = plugin.host();
    match host.load(plugin.config()).await {
        Err(PluginError::Import { message, traceback, .. }) => {
            assert_eq!(message, "ModuleNotFoundError: No module named 'nowhere'");
            assert!(traceback.contains("main.py\", line 1"), "{traceback}");
        }
        other => panic!("{other:?}"),
    }
    eventually("no process is left", || descendants().is_empty()).await;
}

#[tokio::test]
async fn a_plugin_without_a_class_is_refused() {
    let plugin = Plugin::new("x = 1\n");
    let error = plugin.host().load(plugin.config()).await.unwrap_err().to_string();
    assert_eq!(error, "plugin instance plugin cannot be imported: main.py defines no class Plugin");
}

#[tokio::test]
async fn an_import_that_ends_the_interpreter_is_refused() {
    for source in ["import os\nos._exit(3)\n", "import os\nos.kill(os.getpid(), 9)\n"] {
        let plugin = Plugin::new(source);
        let error = plugin.host().load(plugin.config()).await.unwrap_err();
        assert!(matches!(error, PluginError::ImportDied { .. }), "{error}");
    }
    let plugin = Plugin::new("import sys\nsys.exit(3)\n");
    let error = plugin.host().load(plugin.config()).await.unwrap_err();
    assert!(matches!(error, PluginError::Import { .. }), "{error}");
}

#[tokio::test]
async fn a_cold_plugin_is_imported_in_each_call() {
    let mut plugin = authorize("return {'x': MARK}");
    plugin.source = format!("import os\nMARK = os.getpid()\nprint('imported')\n{}", plugin.source);
    plugin.start = Start::Cold;
    let loaded = plugin.load().await;
    assert!(!loaded.instance.is_warm());
    assert_ne!(loaded.result().await["x"], loaded.result().await["x"]);
    assert_eq!(loaded.authorize(serde_json::json!({})).await.log[0].line, "imported");
}

#[tokio::test]
async fn a_cold_plugin_that_cannot_be_imported_fails_its_calls() {
    let mut plugin = Plugin::new("raise RuntimeError('broken')\n");
    plugin.start = Start::Cold;
    let error = plugin.load().await.error().await;
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Import, "RuntimeError: broken"));
    assert!(error.traceback.unwrap().contains("main.py"));
}

#[tokio::test]
async fn threads_at_import_make_a_cold_start() {
    let mut plugin = authorize("return {'x': t.is_alive()}");
    plugin.source = format!(
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,), daemon=True)\nt.start()\n{}",
        plugin.source
    );
    let loaded = plugin.load().await;
    assert!(!loaded.instance.is_warm());
    assert_eq!(loaded.result().await["x"], true);
}

#[tokio::test]
async fn a_connection_at_import_makes_a_cold_start() {
    let mut plugin = authorize("return {'x': 1}");
    plugin.source = format!("import socket\ns = socket.socketpair()\n{}", plugin.source);
    let loaded = plugin.load().await;
    assert!(!loaded.instance.is_warm());
    assert_eq!(loaded.result().await["x"], 1);
}

#[tokio::test]
async fn a_plugin_that_replaces_socket_keeps_its_channel() {
    let mut plugin = authorize("print('out')\nreturn {'x': 1}");
    plugin.source = format!(
        "import socket, json\nsocket.socket = None\nsocket.setdefaulttimeout(0.001)\njson.loads = json.JSONDecoder = None\n{}",
        plugin.source
    );
    let loaded = plugin.load().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(loaded.result().await["x"], 1);
}

#[tokio::test]
async fn types_that_are_not_called_yet_say_so() {
    for (kind, word) in
        [(PluginKind::SigningCa, "signingca"), (PluginKind::ConfigurationSync, "configuration_sync")]
    {
        let mut plugin = Plugin::new("class Plugin: pass\n");
        plugin.kind = kind;
        let error = plugin.host().load(plugin.config()).await.unwrap_err().to_string();
        assert_eq!(error, format!("plugin instance plugin is of type {word}, which is not supported yet"));
    }
}

#[tokio::test]
async fn every_python_that_can_be_found_serves_calls() {
    let source = "# coding: utf-8\nimport random, sys\n\nclass Plugin:\n    def authorize(self, session_id, **more):\n        print('püt')\n        return {'x': sys.version_info[:2], 'y': (session_id, u'ä')}\n";
    for (language, python) in all_pythons() {
        for start in [Start::Warm, Start::Cold] {
            let plugin = Plugin { language, python: python.clone(), start, ..Plugin::new(source) };
            let loaded = plugin.load().await;
            assert_eq!(loaded.instance.is_warm(), start == Start::Warm, "{python:?}");
            let report = loaded.authorize(serde_json::json!({"session_id": "ü"})).await;
            let result = report.outcome.unwrap_or_else(|error| panic!("{python:?}: {error:?}"));
            assert_eq!(result["y"], serde_json::json!(["ü", "ä"]), "{python:?}");
            assert_eq!(report.log[0].line, "püt", "{python:?}");
            loaded.host.shutdown().await;
        }
    }
}
