//! Cancellation, many calls at once, and what is left afterwards (contract section 3, rule 10 and "Many at once").

use std::process::Stdio;
use std::time::{Duration, Instant};

use keyward_plugin::{CallErrorKind, Hook, Instance, Start};
use serde_json::json;

use super::fixture::{
    Loaded, authorize, call, descendants, eventually, open_files, open_files_at_rest, read, with_mark,
};

#[tokio::test]
async fn a_dropped_call_kills_its_process() {
    let body = "import subprocess\nsubprocess.Popen(['sleep', '985.3'])\ntime.sleep(60)";
    let loaded = authorize(body).load().await;
    let mut running = Box::pin(loaded.authorize(json!({})));
    tokio::select! {
        _ = &mut running => panic!("the call should run"),
        () = eventually("the call has begun", || with_mark("985.3") == 1) => {}
    }
    drop(running);
    eventually("nothing of it is left", || with_mark("985.3") == 0 && descendants().len() == 3).await;
}

/// The long wait is what it is about: a minute without a call.
#[tokio::test]
async fn a_version_that_was_replaced_ends_its_calls_then_its_template_and_can_be_called_again() {
    let body = "while arguments['server_port'] and not os.path.exists(os.environ['TMPDIR'] + '/stop'): time.sleep(0.01)\nreturn {'x': os.getppid()}";
    let loaded = authorize(body).load().await;
    eventually("a template and two idle workers", || descendants().len() == 3).await;
    let instance = loaded.instance.clone();
    let running =
        tokio::spawn(async move { instance.call(call(Hook::Authorize, json!({"server_port": 1}))).await });
    eventually("the call has a worker, and another waits in its place", || descendants().len() == 4).await;

    loaded.instance.retire();
    std::fs::write(loaded.path("temp/stop"), "").unwrap();
    let template = running.await.unwrap().outcome.unwrap()["x"].clone();
    // An end that comes later is called at once, and in the same template.
    assert_eq!(loaded.result().await["x"], template);
    eventually("only the template is left", || descendants().len() == 1).await;

    let begin = Instant::now();
    while !descendants().is_empty() {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "the template of a version that nobody calls stays"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(loaded.result().await["x"], template);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_run_at_once() {
    let loaded = authorize("time.sleep(1)\nreturn {'x': 1}").load().await;
    let begin = Instant::now();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let instance = loaded.instance.clone();
            tokio::spawn(async move { instance.call(call(Hook::Authorize, json!({}))).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().outcome.unwrap()["x"], 1);
    }
    // One after the other, they would take fifty seconds.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn nothing_is_left_after_200_calls() {
    // The runtime opens what it needs for processes with the first one.
    authorize("return {}").load().await.host.shutdown().await;
    let before = open_files_at_rest().await;
    let loaded = authorize("print('x')\nreturn {'x': 1}").load().await;
    for _ in 0..200 {
        loaded.result().await;
    }
    eventually("a template and two idle workers", || descendants().len() == 3).await;
    loaded.host.shutdown().await;
    assert!(descendants().is_empty());
    eventually("no descriptor is left", || open_files() <= before).await;
}

#[tokio::test]
async fn no_process_of_a_call_waits_for_the_next_call_to_be_reaped() {
    let loaded = authorize("return {}").load().await;
    for _ in 0..100 {
        loaded.result().await;
        eventually("a template and two idle workers", || descendants().len() == 3).await;
    }
}

#[tokio::test]
async fn the_plugin_that_was_called_the_longest_ago_gives_its_memory_to_others_until_its_next_call() {
    let mut plugin = authorize("return {'x': os.getppid()}");
    plugin.source += "\nHELD = b'x' * (32 << 20)\n";
    // Room for one and a half.
    plugin.memory = Some(58 << 20);
    let host = plugin.host();
    let old = host.load(plugin.config()).await.unwrap();
    let new = host.load(plugin.config()).await.unwrap();
    let template = async |instance: &Instance| {
        let report = instance.call(call(Hook::Authorize, json!({}))).await;
        report.outcome.unwrap()["x"].clone()
    };
    let first = template(&old).await;
    let kept = template(&new).await;
    // Keepers look each five seconds, and each must have said what it holds.
    let gone = async {
        while old.idle_workers() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the older one has no worker");
    eventually("the newer one has all of its own", || new.idle_workers() == 2 && descendants().len() == 3)
        .await;
    assert_eq!(template(&new).await, kept);
    assert_ne!(template(&old).await, first);
    host.shutdown().await;
}

/// The one long test of workers: a leak of a hundred bytes needs many calls to be seen.
#[tokio::test]
async fn ten_thousand_calls_leak_no_process_descriptor_or_memory() {
    const CALLS: usize = 10_000;
    // 105 bytes a call: allocators and maps settle within less, and one lost task, buffer or log line is more.
    const GROWTH: u64 = 1 << 20;
    let loaded = authorize("print('x')\nreturn {'x': arguments['cookie']}").load().await;
    // What is there once everything has been used: caches, maps and buffers have their size.
    let mut warm = None;
    for count in 0..500 + CALLS {
        if count == 500 {
            warm = Some((at_rest(&loaded).await, anonymous("self"), anonymous(&template())));
        }
        let report = loaded.authorize(json!({"cookie": {"n": count}})).await;
        assert_eq!(report.outcome.unwrap()["x"]["n"], count);
    }
    let (files, gateway, python) = warm.unwrap();
    at_rest(&loaded).await;
    eventually("no more descriptors than before", || open_files() <= files).await;
    for (whose, before, after) in
        [("gateway", gateway, anonymous("self")), ("template", python, anonymous(&template()))]
    {
        println!("{whose}: {before} bytes before, {after} after");
        assert!(after < before + GROWTH, "{whose}: {before} bytes before, {after} after {CALLS} calls");
    }
    loaded.host.shutdown().await;
    assert!(descendants().is_empty());
}

/// Waits until a template and its two idle workers are all that there is, and gives how many descriptors are open then.
async fn at_rest(loaded: &Loaded) -> usize {
    eventually("a template and two idle workers", || {
        loaded.instance.idle_workers() == 2 && descendants().len() == 3
    })
    .await;
    open_files_at_rest().await
}

/// The one child of this process. It is another one than before where the system got a new user meanwhile.
fn template() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let children: String = tasks.map(|task| read(&task.path().join("children"))).collect();
    let [template] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{children}") };
    template.to_owned()
}

/// Resident memory that is no file's, in bytes.
fn anonymous(pid: &str) -> u64 {
    let text = read(std::path::Path::new(&format!("/proc/{pid}/smaps_rollup")));
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn one_call_too_many_begins_no_session_but_serves_an_old_one() {
    let mut plugin = authorize("time.sleep(0.5)\nreturn {'x': 1}");
    plugin.source += "    def authenticate(self):\n        pass\n";
    plugin.max_calls = 1;
    let loaded = plugin.load().await;
    let (first, new, old) = tokio::join!(
        loaded.authorize(json!({})),
        loaded.instance.call(call(Hook::Authenticate, json!({}))),
        loaded.authorize(json!({})),
    );
    assert!(first.outcome.is_ok() && old.outcome.is_ok());
    assert_eq!(new.outcome.unwrap_err().kind, CallErrorKind::Busy);
}

#[tokio::test]
async fn without_memory_to_spare_no_session_begins_and_an_old_one_is_served() {
    let mut plugin = authorize("return {'x': 1}");
    plugin.source +=
        "    def authenticate(self):\n        pass\n    def session_ended(self):\n        return {'x': 2}\n";
    plugin.min_free_memory = u64::MAX;
    let loaded = plugin.load().await;
    let refused = loaded.instance.call(call(Hook::Authenticate, json!({}))).await.outcome.unwrap_err();
    assert_eq!(refused.kind, CallErrorKind::Busy);
    assert!(refused.message.contains("memory"), "{refused:?}");
    assert_eq!(loaded.result().await["x"], 1);
    let ended = loaded.instance.call(call(Hook::SessionEnded, json!({}))).await;
    assert_eq!(ended.outcome.unwrap()["x"], 2);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_runs_and_then_refuses() {
    let loaded =
        authorize("open(os.environ['TMPDIR'] + '/begun', 'w').close()\ntime.sleep(0.5)\nreturn {'x': 1}")
            .load()
            .await;
    let running = tokio::spawn({
        let instance = loaded.instance.clone();
        async move { instance.call(call(Hook::Authorize, json!({}))).await }
    });
    eventually("the call has begun", || loaded.path("temp/begun").exists()).await;
    loaded.host.shutdown().await;
    assert_eq!(running.await.unwrap().outcome.unwrap()["x"], 1);
    assert_eq!(loaded.error().await.kind, CallErrorKind::Unavailable);
    assert!(descendants().is_empty());
}

#[tokio::test]
async fn the_last_clone_takes_its_processes_along() {
    let loaded = authorize("return {}").load().await;
    let other = loaded.instance.clone();
    drop(loaded.instance);
    assert!(other.call(call(Hook::Authorize, json!({}))).await.outcome.is_ok());
    drop(other);
    eventually("no process is left", || descendants().is_empty()).await;
}

/// Run as a process of its own by the test below, which kills it.
#[tokio::test]
async fn a_gateway_for_the_next_test() {
    let Some(mark) = std::env::var_os("KEYWARD_TEST_GATEWAY") else { return };
    let mut plugin = authorize("return {}");
    plugin.start = if mark == "cold" { Start::Cold } else { Start::Warm };
    plugin.source += "    def session_ended(self):\n        import safeguard.sessions.plugin_impl.box_config as box\n        path = os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/../../ended'\n        path = os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/ended'\n        print('begin', flush=True)\n        open(path + '.begun', 'w').close()\n        while not os.path.exists(path + '.killed'): time.sleep(0.01)\n        box.BoxConfig().get_http_proxy()\n        print('still printing', flush=True)\n        os.system('echo and a child')\n        open(path, 'w').write('done')\n";
    let loaded = plugin.load().await;
    println!("state {}", loaded.path("state").display());
    let _ = loaded.instance.call(call(Hook::SessionEnded, json!({}))).await;
}

#[tokio::test]
async fn session_ended_completes_when_the_gateway_is_killed() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    for start in ["warm", "cold"] {
        let mut gateway = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "workers::cleaning::a_gateway_for_the_next_test", "--nocapture"])
            .env("KEYWARD_TEST_GATEWAY", start)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
        let state = loop {
            let line = lines.next_line().await.unwrap().expect("the gateway tells its state directory");
            if let Some((_, path)) = line.split_once("state ") {
                break std::path::PathBuf::from(path);
            }
        };
        eventually("session_ended has begun", || state.join("ended.begun").exists()).await;
        let below = descendants();
        gateway.kill().await.unwrap();
        assert!(!state.join("ended").exists());
        std::fs::write(state.join("ended.killed"), "").unwrap();
        eventually("session_ended is done", || read(&state.join("ended")) == "done").await;
        eventually("and no process is left", || {
            below.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}/fd/0")).exists())
        })
        .await;
        std::fs::remove_dir_all(state.parent().unwrap()).unwrap();
    }
}
