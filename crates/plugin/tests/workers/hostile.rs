//! Plugins that loop, crash, fork, flood and fight back (contract section 3, rules 8 and 9).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keyward_plugin::{Call, CallErrorKind, Hook, HostConfig, InstanceConfig, PluginHost};
use serde_json::json;

use super::fixture::{Plugin, authorize, call, descendants, eventually, is_there, of_user, read, with_mark};

fn short(limit: Duration) -> Call {
    Call { time_limit: limit, ..call(Hook::Authorize, json!({})) }
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_time_limit() {
    let loaded = authorize("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass")
        .load()
        .await
        .ready()
        .await;
    let begin = Instant::now();
    let error = loaded.instance.call(short(Duration::from_millis(300))).await.outcome.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Timeout);
    // The alarm that ends a worker without a gateway comes five seconds after the limit.
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_exit_tells_its_status() {
    for (exit, message) in [
        ("sys.exit(3)", "the plugin ended its process with status 3"),
        ("sys.exit()", "the plugin ended its process with status 0"),
        ("sys.exit('bad')", "the plugin ended its process with status 1"),
        ("os._exit(4)", "the plugin ended its process with status 4"),
    ] {
        let error = authorize(exit).load().await.error().await;
        assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Exited, message), "{exit}");
    }
}

#[tokio::test]
async fn a_crash_names_its_signal() {
    let error = authorize("os.kill(os.getpid(), 11)").load().await.error().await;
    assert_eq!(error.kind, CallErrorKind::Crashed);
    assert_eq!(error.message, "the process was killed by SIGSEGV");
}

#[tokio::test]
async fn a_result_of_100_mb_is_refused_and_not_buffered() {
    let error = authorize("return {'x': 'y' * 100_000_000}").load().await.error().await;
    assert_eq!(error.kind, CallErrorKind::TooLarge);
    let huge = "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Channel': o._socket.sendall(b'\\x7f\\xff\\xff\\xff' + b'x' * 100)\ntime.sleep(60)";
    let error = authorize(huge).load().await.error().await;
    assert_eq!(error.kind, CallErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn memory_is_limited() {
    let mut plugin = authorize("return {'x': len('y' * (2 << 30))}");
    plugin.memory_limit = 512 << 20;
    let error = plugin.load().await.error().await;
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Exception, "MemoryError"));
}

#[tokio::test]
async fn children_end_with_the_call_even_in_a_session_of_their_own() {
    let body = "import subprocess\nsubprocess.Popen(['sleep', '987.1'])\nsubprocess.Popen(['sleep', '987.1'], start_new_session=True)\nsubprocess.run(['sh', '-c', 'setsid setsid sleep 987.1 & exit'])\nreturn {'x': 1}";
    let loaded = authorize(body).load().await;
    assert_eq!(loaded.result().await["x"], 1);
    eventually("nothing of the call is left", || with_mark("987.1") == 0).await;
    assert_eq!(loaded.result().await["x"], 1);
    loaded.host.shutdown().await;
    assert_eq!(with_mark("987.1"), 0);
}

#[tokio::test]
async fn helpers_of_a_running_call_survive_the_end_of_another() {
    let body = "import subprocess\nif arguments['session_id'] == 'short': return {}\nsubprocess.run(['sh', '-c', 'setsid sleep 986.2 & exit'])\nwhile not os.path.exists(os.environ['TMPDIR'] + '/stop'): time.sleep(0.01)\nreturn {'alive': os.system('pgrep -f \"sleep 986.2\" >/dev/null') == 0}";
    let loaded = authorize(body).load().await;
    let long = tokio::spawn({
        let instance = loaded.instance.clone();
        async move { instance.call(call(Hook::Authorize, json!({"session_id": "long"}))).await }
    });
    eventually("the long call has its helper", || with_mark("sleep\0986.2") == 1).await;
    for _ in 0..5 {
        loaded.authorize(json!({"session_id": "short"})).await.outcome.unwrap();
    }
    assert_eq!(with_mark("sleep\0986.2"), 1);
    fs::write(loaded.path("temp/stop"), "").unwrap();
    long.await.unwrap().outcome.unwrap();
    eventually("its helper ended with it", || with_mark("sleep\0986.2") == 0).await;
}

#[tokio::test]
async fn a_fork_bomb_is_bounded_and_ended() {
    let mut plugin = authorize(
        "if arguments['session_id'] == 'calm': return {'x': 1}\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n    try:\n        os.setsid()\n    except OSError:\n        pass",
    );
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(84_000);
    plugin.processes = 48;
    let loaded = plugin.load().await.ready().await;
    let error = loaded.instance.call(call(Hook::Authorize, json!({}))).await.outcome.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
    assert!(error.message.contains("more than 48 processes and threads"), "{error}");
    eventually("the bomb is gone", || descendants().len() <= 3).await;
    assert_eq!(loaded.authorize(json!({"session_id": "calm"})).await.outcome.unwrap()["x"], 1);
    loaded.host.shutdown().await;
    assert!(descendants().is_empty());
}

#[tokio::test]
async fn a_plugin_with_a_user_of_its_own_has_no_rights() {
    let body = "def denied(what):\n    try:\n        what()\n    except OSError:\n        return True\n    return False\nopen(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/kept', 'w').close()\nstatus = open('/proc/self/status').read()\nreturn {'uid': os.getuid(), 'groups': os.getgroups(), 'setuid': denied(lambda: os.setuid(0)), 'shadow': denied(lambda: open('/etc/shadow')), 'kill': denied(lambda: os.kill(1, 0)), 'nnp': 'NoNewPrivs:\\t1' in status, 'fds': sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3]}";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(85_000);
    let loaded = plugin.load().await;
    let expected = json!({"uid": 85_000, "groups": [], "setuid": true, "shadow": true, "kill": true, "nnp": true, "fds": [0, 1, 2]});
    assert_eq!(loaded.result().await, expected);
}

#[tokio::test]
async fn a_call_that_takes_the_places_of_others_is_ended() {
    let body = "if arguments['session_id'] == 'calm': return {'x': os.getppid()}\nstarted = 0\nwhile not os.path.exists(os.environ['TMPDIR'] + '/stop'):\n    try:\n        if started < 31:\n            if os.fork() == 0: time.sleep(60)\n            started += 1\n    except OSError: pass\n    time.sleep(0.002)\nreturn {'x': 'stopped'}";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(88_000);
    plugin.processes = 48;
    let loaded = plugin.load().await;
    let calm = || loaded.authorize(json!({"session_id": "calm"}));
    let template = calm().await.outcome.unwrap()["x"].clone();
    let greedy = || loaded.instance.call(call(Hook::Authorize, json!({})));
    let (mut one, mut other) = (Box::pin(greedy()), Box::pin(greedy()));
    // Each is below the bound of a call, and both together are not.
    let (ended, left) = tokio::select! {
        report = &mut one => (report, other),
        report = &mut other => (report, one),
    };
    let error = ended.outcome.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
    assert!(error.message.ends_with("and leaves none for other calls"), "{error}");
    let (served, left) = tokio::join!(calm(), async {
        fs::write(loaded.path("temp/stop"), "").unwrap();
        left.await
    });
    assert_eq!((&served.outcome.unwrap()["x"], &left.outcome.unwrap()["x"]), (&template, &json!("stopped")));
    loaded.host.shutdown().await;
    eventually("nothing is left", || of_user(88_000) == 0).await;
}

#[tokio::test]
async fn as_many_calls_as_places_leave_the_template_in_peace() {
    let body = "if arguments['session_id'] == 'calm': return {'x': os.getppid()}\nwhile not os.path.exists(os.environ['TMPDIR'] + '/stop'): time.sleep(0.01)\nreturn {'x': os.getppid()}";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(87_000);
    plugin.processes = 12;
    let loaded = plugin.load().await;
    let template = loaded.authorize(json!({"session_id": "calm"})).await.outcome.unwrap()["x"].clone();
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let instance = loaded.instance.clone();
            tokio::spawn(async move { instance.call(call(Hook::Authorize, json!({}))).await })
        })
        .collect();
    eventually("all places are taken", || of_user(87_000) == 20).await;
    // Longer than the keeper lets a fork fail where no call runs.
    tokio::time::sleep(Duration::from_secs(3)).await;
    fs::write(loaded.path("temp/stop"), "").unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().outcome.unwrap()["x"], template);
    }
    loaded.host.shutdown().await;
}

#[tokio::test]
async fn what_a_call_leaves_behind_is_killed_even_when_it_has_killed_its_template() {
    let body = "import subprocess\nif arguments['session_id'] == 'calm': return {}\nos.kill(os.getppid(), 9)\nsubprocess.Popen(['sleep', '982.5'], start_new_session=True)\ntime.sleep(1)\nreturn {}";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(89_000);
    let loaded = plugin.load().await;
    loaded.result().await;
    eventually("nothing of the call is left", || with_mark("sleep\0982.5") == 0).await;
    loaded.authorize(json!({"session_id": "calm"})).await.outcome.unwrap();
}

/// A data folder as a gateway has it, with mode 0700 before its start; `config` moves an instance into it.
struct DataFolder(PathBuf);

impl DataFolder {
    fn of(plugin: &Plugin) -> Self {
        let data = Self(plugin.dir.path().join("data"));
        for (folder, file) in [("", "keyward.db"), ("trails/ab", "x.trail")] {
            let folder = data.0.join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), "secret").unwrap();
            // As recordings are made, in a folder that the umask has left open.
            fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::set_permissions(&data.0, fs::Permissions::from_mode(0o700)).unwrap();
        data
    }

    fn host(&self, plugin: &Plugin) -> PluginHost {
        PluginHost::start(HostConfig {
            worker_dir: self.0.join("worker"),
            max_calls: 2,
            min_free_memory: 0,
            memory: None,
            services: plugin.services.clone(),
            own_user_base: plugin.own_user_base,
            strict: false,
        })
        .unwrap()
    }

    fn config(&self, plugin: &Plugin, instance: &str) -> InstanceConfig {
        let place = self.0.join("plugins").join(instance);
        let mut config = plugin.config();
        let root = self.0.join("bundles/00");
        fs::create_dir_all(&root).unwrap();
        fs::copy(config.bundle.root.join("main.py"), root.join("main.py")).unwrap();
        config.bundle.root = root;
        config.name = instance.try_into().unwrap();
        (config.state_dir, config.ephemeral_dir) = (place.join("state"), place.join("ephemeral"));
        config.temp = place.join("tmp");
        config
    }
}

#[tokio::test]
async fn a_plugin_with_a_user_of_its_own_reaches_its_own_in_the_data_folder_and_nothing_else() {
    let body = "def can(what):\n    try:\n        what()\n        return True\n    except PermissionError:\n        return False\ndata, own = arguments['key_value_pairs']['data'], os.environ['SCB_PLUGIN_STATE_DIRECTORY']\nread = ['keyward.db', 'trails/ab/x.trail', 'plugins/other/state/kept', 'plugins/other/tmp/kept']\nlisted = ['', 'plugins', 'plugins/other', 'plugins/other/state']\nwith open(own + '/kept', 'w') as kept: kept.write('x')\nwith open(os.environ['TMPDIR'] + '/kept', 'w') as kept: kept.write('x')\nreturn {'read': [n for n in read if can(lambda: open(data + '/' + n))], 'listed': [n for n in listed if can(lambda: os.listdir(data + '/' + n))], 'written': [n for n in ['', 'plugins', 'worker', 'bundles/00'] if can(lambda: open(data + '/' + n + '/new', 'w'))]}";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(87_000);
    let data = DataFolder::of(&plugin);
    let host = data.host(&plugin);
    let asked = || call(Hook::Authorize, json!({"key_value_pairs": {"data": data.0}}));
    let other = host.load(data.config(&plugin, "other")).await.unwrap();
    other.call(asked()).await.outcome.unwrap();
    let own = host.load(data.config(&plugin, "own")).await.unwrap();
    let found = own.call(asked()).await.outcome.unwrap();
    assert_eq!(found, json!({"read": [], "listed": [], "written": []}));
    let mode = |folder: &str| fs::metadata(data.0.join(folder)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "plugins", "plugins/own"].map(mode), [0o711; 3]);
    assert_eq!(["plugins/own/state", "plugins/own/tmp"].map(mode), [0o750; 2]);
    host.shutdown().await;
}

#[tokio::test]
async fn without_users_of_their_own_the_data_folder_stays_closed() {
    let plugin = authorize("return {'x': 1}");
    let data = DataFolder::of(&plugin);
    let host = data.host(&plugin);
    let own = host.load(data.config(&plugin, "own")).await.unwrap();
    assert_eq!(own.call(call(Hook::Authorize, json!({}))).await.outcome.unwrap()["x"], 1);
    assert_eq!(fs::metadata(&data.0).unwrap().permissions().mode() & 0o777, 0o700);
    host.shutdown().await;
}

#[tokio::test]
async fn a_worker_holds_no_descriptor_but_its_own() {
    let body = "import contextlib\nnames = []\nfor n in os.listdir('/proc/self/fd'):\n    with contextlib.suppress(OSError): names.append(os.readlink('/proc/self/fd/' + n))\nreturn {'x': sorted(n.split(':')[0] for n in names)}";
    let loaded = authorize(body).load().await;
    assert_eq!(loaded.result().await["x"], json!(["/dev/null", "pipe", "pipe", "socket"]));
}

#[tokio::test]
async fn a_child_that_comes_back_from_the_hook_has_no_say() {
    let body = "if os.fork() == 0: return {'x': 'child'}\ntime.sleep(0.2)\nreturn {'x': 'parent'}";
    assert_eq!(authorize(body).load().await.result().await["x"], "parent");
}

#[tokio::test]
async fn a_plugin_that_closes_its_channel_has_no_result() {
    let loaded = authorize("os.closerange(3, 100)\ntime.sleep(60)").load().await;
    let error = loaded.error().await;
    assert_eq!(error.kind, CallErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_dead_template_is_replaced() {
    let body = "if arguments['session_id'] == 'kill': os.kill(os.getppid(), 9)\nreturn {'x': os.getppid()}";
    let loaded = authorize(body).load().await;
    let first = loaded.result().await["x"].clone();
    let report = loaded.authorize(json!({"session_id": "kill"})).await;
    assert!(report.outcome.is_ok(), "a running call outlives its template");
    // Until it is gone, it is the parent of the workers that it has forked, and these may serve the next calls.
    eventually("the template is gone", || !is_there(&first)).await;
    for _ in 0..5 {
        assert_ne!(loaded.result().await["x"], first);
    }
}

#[tokio::test]
async fn a_template_that_is_lost_is_replaced_before_a_call_asks_for_it() {
    let loaded = authorize("return {'x': os.getppid()}").load().await;
    let template = loaded.result().await["x"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(template.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let is_new = || loaded.instance.idle_workers() == 2 && !is_there(template);
    eventually("the idle workers are back", is_new).await;
    assert_ne!(loaded.result().await["x"], template);
}

#[tokio::test]
async fn a_template_that_cannot_come_back_fails_its_calls() {
    let loaded = authorize(
        "open(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/stop', 'w').close()\nos.kill(os.getppid(), 9)\nreturn {}",
    );
    let mut plugin = loaded;
    plugin.source = format!(
        "import os\nif os.path.exists(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/stop'): raise RuntimeError('no more')\n{}",
        plugin.source
    );
    let loaded = plugin.load().await;
    let _ = loaded.result().await;
    eventually("the template is gone", || descendants().is_empty()).await;
    let error = loaded.error().await;
    assert_eq!(error.kind, CallErrorKind::Import);
    assert!(error.message.contains("no more"), "{error}");
    assert!(read(&loaded.path("state/stop")).is_empty());
}

#[tokio::test]
async fn a_template_that_names_another_process_is_not_believed() {
    for pid in ["1", "-1", "os.getppid()", "2 ** 40", "'x'"] {
        let mut plugin = authorize("return {}");
        // The template forks, and tells a pid of the plugin's choice.
        plugin.source = format!(
            "import os\nfork = os.fork\ndef lie():\n    return fork() and ({pid})\nos.fork = lie\n{}",
            plugin.source
        );
        let loaded = plugin.load().await;
        assert_eq!(loaded.error().await.kind, CallErrorKind::Unavailable, "{pid}");
        loaded.host.shutdown().await;
        assert!(descendants().is_empty(), "{pid}");
    }
}

#[tokio::test]
async fn an_update_lives_on_when_the_old_version_ends() {
    let mut plugin = authorize("return {'x': os.getuid()}");
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(86_000);
    let host = plugin.host();
    let old = host.load(plugin.config()).await.unwrap();
    let new = host.load(plugin.config()).await.unwrap();
    drop(old);
    eventually("the old version is gone", || descendants().len() == 3).await;
    for _ in 0..5 {
        let report = new.call(call(Hook::Authorize, json!({}))).await;
        assert_eq!(report.outcome.unwrap()["x"], 86_000);
    }
    eventually("two workers are idle again", || descendants().len() == 3).await;
    host.shutdown().await;
}
