//! A plugin that tries to get out of its confinement, by each way that somebody has thought of: none succeeds, and another
//! plugin is served meanwhile.
//!
//! Each try runs twice: as the gateway's own user, where the kernel's rules alone hold it back, and with a user of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use keyward_plugin::{Call, CallErrorKind, CallReport, Hook, Instance, PluginHost};
use serde_json::{Value, json};

use super::fixture::{Plugin, authorize, call, descendants, eventually, with_mark};

/// What the tries share: each gives `None` where it was held back by the kernel, and what came of it otherwise.
const TRY: &str = "\
import ctypes, errno, os, signal, socket, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
HELD_BACK = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EXDEV)

def attempt(what):
    try:
        done = what()
    except OSError as error:
        return None if error.errno in HELD_BACK else repr(error)
    return repr(done)

def system_call(number, *arguments):
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    if done < 0:
        raise OSError(ctypes.get_errno(), 'system call %d' % number)
    return done

def succeeded(tries):
    found = {name: attempt(what) for name, what in tries.items()}
    return {name: done for name, done in found.items() if done is not None}

";

/// A plugin that returns the tries which succeeded; `tries` is the inside of a dict.
fn tries(tries: &str) -> Plugin {
    let mut plugin = authorize(&format!(
        "given = arguments['key_value_pairs']\nreturn {{'x': succeeded({{\n{tries}\n}})}}"
    ));
    plugin.source.insert_str(0, TRY);
    plugin
}

/// The ways that a plugin may be run. Each test has users of its own, since what is left of a user is killed.
fn both(users: u32, mut plugin: impl FnMut() -> Plugin) -> [Plugin; 2] {
    let mut own = plugin();
    own.own_user_base = Some(users);
    [plugin(), own].map(|mut plugin| {
        plugin.python = "/usr/bin/python3".into();
        plugin
    })
}

fn calm() -> Plugin {
    let mut plugin = authorize("return {'x': 'served'}");
    plugin.python = "/usr/bin/python3".into();
    plugin
}

/// Another plugin of the same host.
async fn neighbour(host: &PluginHost, plugin: &Plugin) -> Instance {
    let mut config = plugin.config();
    config.name = "neighbour".try_into().unwrap();
    host.load(config).await.unwrap()
}

/// Runs the hostile call, and calls of the other plugin all the while.
async fn beside(hostile: impl Future<Output = CallReport>, other: &Instance) -> CallReport {
    let mut hostile = std::pin::pin!(hostile);
    let mut served = 0;
    loop {
        let calm = other.call(call(Hook::Authorize, json!({})));
        tokio::select! {
            report = &mut hostile => {
                // One more, for a hostile call that was over at once.
                let last = other.call(call(Hook::Authorize, json!({}))).await;
                assert_eq!(last.outcome.unwrap()["x"], "served", "after {served} others");
                return report;
            }
            report = calm => {
                assert_eq!(report.outcome.unwrap()["x"], "served");
                served += 1;
            }
        }
    }
}

fn given(pairs: &Value) -> Call {
    call(Hook::Authorize, json!({ "key_value_pairs": pairs }))
}

/// Runs `hostile` both ways beside another plugin, and tells which tries succeeded.
async fn nothing_succeeds(users: u32, hostile: &str, mut pairs: impl FnMut(&Path) -> Value) {
    for plugin in both(users, || tries(hostile)) {
        let user = plugin.own_user_base;
        let pairs = pairs(plugin.dir.path());
        let other_plugin = calm();
        let host = plugin.host();
        let other = neighbour(&host, &other_plugin).await;
        let instance = host.load(plugin.config()).await.unwrap();
        let report = beside(instance.call(given(&pairs)), &other).await;
        assert_eq!(report.outcome.unwrap()["x"], json!({}), "user {user:?}");
        host.shutdown().await;
    }
}

/// A database and another plugin's state, as the gateway keeps them, in the data folder `data`.
fn secrets(data: &Path) -> Value {
    let state = data.join("plugins/other/state");
    fs::create_dir_all(&state).unwrap();
    for file in [data.join("keyward.db"), state.join("kept")] {
        fs::write(&file, "secret").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // A service that trusts whoever may connect to it.
    let service = data.join("service");
    if !service.exists() {
        drop(std::os::unix::net::UnixListener::bind(&service).unwrap());
        fs::set_permissions(&service, fs::Permissions::from_mode(0o666)).unwrap();
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).unwrap();
    json!({"data": data, "gateway": std::process::id().to_string(), "home": "/root"})
}

#[tokio::test]
async fn the_database_and_the_state_of_another_plugin_are_not_read() {
    let hostile = "
'database': lambda: open(given['data'] + '/keyward.db').read(),
'state': lambda: open(given['data'] + '/plugins/other/state/kept').read(),
'data': lambda: os.listdir(given['data']),
'listing': lambda: os.listdir(given['data'] + '/plugins/other/state'),
'by a link': lambda: (os.symlink(given['data'] + '/keyward.db', os.environ['TMPDIR'] + '/link'), open(os.environ['TMPDIR'] + '/link').read()),
'by a second name': lambda: (os.link(given['data'] + '/keyward.db', os.environ['TMPDIR'] + '/name'), open(os.environ['TMPDIR'] + '/name').read()),
'by moving': lambda: os.rename(given['data'] + '/keyward.db', os.environ['TMPDIR'] + '/moved'),
'by a program': lambda: None if subprocess.run(['cat', given['data'] + '/keyward.db'], stdout=subprocess.PIPE).stdout else (_ for _ in ()).throw(PermissionError(errno.EPERM, 'cat')),
'by the gateway': lambda: open('/proc/' + given['gateway'] + '/root' + given['data'] + '/keyward.db').read(),
'shadow': lambda: open('/etc/shadow').read(),
'keys': lambda: os.listdir('/etc/ssl/private'),
'home': lambda: os.listdir(given['home']),
";
    nothing_succeeds(90_800, hostile, secrets).await;
}

#[tokio::test]
async fn nothing_is_written_outside_of_its_own_directories() {
    let hostile = "
'data': lambda: open(given['data'] + '/new', 'w'),
'database': lambda: open(given['data'] + '/keyward.db', 'a'),
'emptied': lambda: os.truncate(given['data'] + '/keyward.db', 0),
'removed': lambda: os.unlink(given['data'] + '/keyward.db'),
'folder': lambda: os.mkdir(given['data'] + '/folder'),
'bundle': lambda: open(os.getcwd() + '/new.py', 'w'),
'main': lambda: open(os.getcwd() + '/main.py', 'a'),
'worker': lambda: open(given['data'] + '/worker/keyward_worker/worker.py', 'a'),
'state of another': lambda: open(given['data'] + '/plugins/other/state/new', 'w'),
'temporary': lambda: open('/tmp/keyward-escape', 'w'),
'shared memory': lambda: open('/dev/shm/keyward-escape', 'w'),
'etc': lambda: open('/etc/keyward-escape', 'w'),
'proc': lambda: open('/proc/self/oom_score_adj', 'w').write('-1000'),
'device': lambda: os.mknod(os.environ['TMPDIR'] + '/disk', 0o60600, os.makedev(8, 0)),
'out of its own': lambda: os.rename(os.environ['TMPDIR'] + '/mine', given['data'] + '/mine') if open(os.environ['TMPDIR'] + '/mine', 'w') else None,
";
    nothing_succeeds(90_900, hostile, secrets).await;
    assert!(!Path::new("/tmp/keyward-escape").exists());
}

#[tokio::test]
async fn its_own_directories_are_written_and_its_bundle_and_environment_are_read() {
    let body = "import email, ssl, socket, subprocess, tempfile\nssl.create_default_context()\nfor place in ('SCB_PLUGIN_STATE_DIRECTORY', 'EPHEMERAL_PLUGIN_STATE_DIRECTORY', 'TMPDIR'):\n    os.makedirs(os.environ[place] + '/a/b')\n    open(os.environ[place] + '/a/file', 'w').write('x')\n    os.rename(os.environ[place] + '/a/file', os.environ[place] + '/a/b/file')\nwith tempfile.NamedTemporaryFile() as file: file.write(b'x')\nprogram = subprocess.run(['sh', '-c', 'cat main.py | wc -c'], stdout=subprocess.PIPE)\nreturn {'x': int(program.stdout), 'host': socket.gethostbyname('localhost'), 'null': open('/dev/null', 'w').write('x'), 'random': len(os.urandom(8)), 'home': open('/etc/passwd').readline()[:4]}";
    for plugin in both(90_100, || authorize(body)) {
        let length = plugin.source.len();
        let loaded = plugin.load().await;
        let expected = json!({"x": length, "host": "127.0.0.1", "null": 1, "random": 8, "home": "root"});
        assert_eq!(loaded.result().await, expected);
    }
}

#[tokio::test]
async fn the_gateway_is_neither_read_nor_attached_to_nor_signalled() {
    let hostile = "
'environment': lambda: open('/proc/' + given['gateway'] + '/environ', 'rb').read(),
'memory': lambda: open('/proc/' + given['gateway'] + '/mem', 'rb').read(1),
'maps': lambda: open('/proc/' + given['gateway'] + '/maps').read(),
'file': lambda: os.readlink('/proc/' + given['gateway'] + '/fd/0'),
'content': lambda: open('/proc/' + given['gateway'] + '/fd/0', 'rb').read(1),
'root': lambda: os.listdir('/proc/' + given['gateway'] + '/root'),
'folder': lambda: os.readlink('/proc/' + given['gateway'] + '/cwd'),
'init': lambda: open('/proc/1/environ', 'rb').read(),
'attach': lambda: libc.ptrace(16, int(given['gateway']), 0, 0) and system_call(101, 16, int(given['gateway']), 0, 0),
'seize': lambda: system_call(101, 0x4206, int(given['gateway']), 0, 0),
'read memory': lambda: system_call(310, int(given['gateway']), 0, 0, 0, 0, 0),
'write memory': lambda: system_call(311, int(given['gateway']), 0, 0, 0, 0, 0),
'take a file': lambda: system_call(438, system_call(434, int(given['gateway']), 0), 0, 0),
'signal': lambda: os.kill(int(given['gateway']), 0),
'signal a parent': lambda: os.kill(int(open('/proc/%d/stat' % os.getppid()).read().rpartition(')')[2].split()[1]), 0),
'service': lambda: socket.socket(socket.AF_UNIX).connect(given['data'] + '/service'),
'message': lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', given['data'] + '/service'),
'priority': lambda: os.setpriority(os.PRIO_PROCESS, int(given['gateway']), -5),
";
    nothing_succeeds(91_000, hostile, secrets).await;
}

#[tokio::test]
async fn the_kernel_and_its_namespaces_are_out_of_reach() {
    let hostile = "
'ptrace': lambda: system_call(101, 0, 0, 0, 0),
'mount': lambda: system_call(165, 0, 0, 0, 0, 0),
'new mount': lambda: system_call(430, 0, 0),
'unshare user': lambda: system_call(272, 0x10000000),
'unshare net': lambda: system_call(272, 0x40000000),
'clone user': lambda: system_call(56, 0x10000000 | 17, 0, 0, 0, 0),
'clone3': lambda: system_call(435, 0, 0),
'setns': lambda: system_call(308, 0, 0),
'chroot': lambda: os.chroot('.'),
'bpf': lambda: system_call(321, 0, 0, 0),
'keyctl': lambda: system_call(250, 0, 0, 0, 0, 0),
'add key': lambda: system_call(248, 0, 0, 0, 0, 0),
'module': lambda: system_call(175, 0, 0, 0),
'module from a file': lambda: system_call(313, 0, 0, 0),
'kexec': lambda: system_call(246, 0, 0, 0, 0),
'kexec from a file': lambda: system_call(320, 0, 0, 0, 0, 0),
'perf': lambda: system_call(298, 0, 0, 0, 0, 0),
'userfaultfd': lambda: system_call(323, 0),
'io_uring': lambda: system_call(425, 0, 0),
'x32': lambda: system_call(0x40000000 | 101, 0, 0, 0, 0),
'other families': lambda: __import__('socket').socket(38, 5),
'user': lambda: os.setuid(12345),
'group': lambda: os.setgroups([12345]),
'memory file': lambda: os.memfd_create('x'),
'shared memory': lambda: system_call(29, 0, 4096, 0o1666),
'clock': lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
";
    nothing_succeeds(91_100, hostile, secrets).await;
}

#[tokio::test]
async fn a_worker_has_no_capability_and_gets_no_new_privilege() {
    let body = "status = {name: value.strip() for name, _, value in (line.partition(':') for line in open('/proc/self/status'))}\nreturn {name: status[name] for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs', 'Seccomp')}";
    let none = "0000000000000000";
    for plugin in both(90_200, || authorize(body)) {
        let expected = json!({"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2"});
        assert_eq!(plugin.load().await.result().await, expected);
    }
}

#[tokio::test]
async fn the_import_is_confined_as_a_call_is() {
    for mut plugin in both(90_300, || authorize("return {'x': FOUND}")) {
        let data = plugin.dir.path().to_owned();
        secrets(&data);
        plugin.source = format!(
            "{TRY}given = {{'data': {data:?}, 'gateway': '{}'}}\nFOUND = succeeded({{
    'database': lambda: open(given['data'] + '/keyward.db').read(),
    'written': lambda: open(given['data'] + '/new', 'w'),
    'gateway': lambda: open('/proc/' + given['gateway'] + '/environ', 'rb').read(),
    'signal': lambda: os.kill(int(given['gateway']), 0),
    'mount': lambda: system_call(165, 0, 0, 0, 0, 0),
    'unshare': lambda: system_call(272, 0x10000000),
}})\n{}",
            std::process::id(),
            plugin.source,
        );
        assert_eq!(plugin.load().await.result().await["x"], json!({}));
    }
}

#[tokio::test]
async fn a_user_name_that_leads_elsewhere_is_not_written_there_by_the_sdks_cache() {
    let source = "\
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        return AAResponse.accept()
";
    for user in ["ann", "../../evil", "../../../other/state/evil", "../../../../evil", "/tmp/evil"] {
        let mut plugin = Plugin::new(source);
        plugin.configuration = "[authentication_cache]\nreuse_limit=5\n".into();
        secrets(plugin.dir.path());
        let mut config = plugin.config();
        config.state_dir = plugin.dir.path().join("plugins/own/state");
        let host = plugin.host();
        let instance = host.load(config).await.unwrap();
        let arguments = json!({
            "gateway_user": user, "client_ip": "192.0.2.1", "key_value_pairs": {"otp": "123456"},
            "protocol": "ssh", "session_id": "svc/test/db:1", "connection_name": "db",
        });
        let report = instance.call(call(Hook::Authenticate, arguments)).await;
        let written = below(plugin.dir.path(), ".cache");
        if user == "ann" {
            assert_eq!(report.outcome.unwrap()["verdict"], "ACCEPT");
            let cache = plugin.dir.path().join("plugins/own/state/auth_cache/ann@192.0.2.1.cache");
            assert_eq!(written, [cache], "the cache works for a name that is one");
        } else {
            let error = report.outcome.unwrap_err();
            assert!(error.message.contains("PermissionError"), "{user}: {error}");
            assert!(written.is_empty(), "{written:?}");
            assert!(!Path::new("/tmp/evil@192.0.2.1.cache").exists());
        }
        host.shutdown().await;
    }
}

/// Files below `folder` whose name ends so.
fn below(folder: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path(), end));
        } else if entry.file_name().to_str().unwrap().ends_with(end) {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn what_an_import_leaves_behind_ends_with_its_template() {
    for (end, mark) in
        [("os._exit(3)", "984.1"), ("os.kill(os.getpid(), 9)", "984.2"), ("raise OSError", "984.3")]
    {
        for mut plugin in both(90_400, || authorize("return {}")) {
            plugin.source = format!(
                "import os, subprocess, time\nsubprocess.run(['sh', '-c', 'setsid sleep {mark} & exit'])\n\
                 subprocess.Popen(['sleep', '{mark}'], start_new_session=True)\ntime.sleep(0.2)\n{end}\n"
            );
            let host = plugin.host();
            host.load(plugin.config()).await.unwrap_err();
            eventually("nothing of the import is left", || with_mark(mark) == 0).await;
            host.shutdown().await;
            assert!(descendants().is_empty());
        }
    }
}

#[tokio::test]
async fn what_a_call_leaves_behind_ends_though_the_call_has_killed_its_template() {
    let body = "import subprocess\nif arguments['session_id'] == 'calm': return {'x': 1}\nsubprocess.run(['sh', '-c', 'setsid setsid sleep 983.4 & exit'])\nsubprocess.Popen(['sleep', '983.4'], start_new_session=True)\ntime.sleep(0.1)\nos.kill(os.getppid(), 9)\nreturn {'x': 2}";
    for plugin in both(90_500, || authorize(body)) {
        let loaded = plugin.load().await;
        assert_eq!(loaded.result().await["x"], 2);
        eventually("nothing of the call is left", || with_mark("sleep\u{0}983.4") == 0).await;
        assert_eq!(loaded.authorize(json!({"session_id": "calm"})).await.outcome.unwrap()["x"], 1);
        loaded.host.shutdown().await;
        assert!(descendants().is_empty());
    }
}

#[tokio::test]
async fn processor_time_is_limited() {
    for mut plugin in both(90_600, || authorize("while True: pass")) {
        plugin.bounds.cpu_seconds = 1;
        let other_plugin = calm();
        let host = plugin.host();
        let other = neighbour(&host, &other_plugin).await;
        let instance = host.load(plugin.config()).await.unwrap();
        let long = Call { time_limit: Duration::from_secs(60), ..call(Hook::Authorize, json!({})) };
        let error = beside(instance.call(long), &other).await.outcome.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (CallErrorKind::Crashed, "the process was killed by SIGKILL")
        );
        host.shutdown().await;
    }
}

#[tokio::test]
async fn a_file_does_not_grow_past_its_limit() {
    let body = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nfor place in ('SCB_PLUGIN_STATE_DIRECTORY', 'TMPDIR'):\n    with open(os.environ[place] + '/file', 'wb') as file:\n        try:\n            while True: file.write(b'x' * 65536)\n        except OSError as error:\n            arguments[place] = (error.errno, os.path.getsize(file.name))\nreturn {'x': [arguments['SCB_PLUGIN_STATE_DIRECTORY'], arguments['TMPDIR']]}";
    for mut plugin in both(90_700, || authorize(body)) {
        plugin.bounds.file_size = 1 << 20;
        let found = plugin.load().await.result().await;
        // EFBIG
        assert_eq!(found["x"], json!([[27, 1 << 20], [27, 1 << 20]]));
    }
}

/// Runs one hostile call beside another plugin, and gives the error that ended it.
async fn ended(plugin: &Plugin) -> keyward_plugin::CallError {
    let other_plugin = calm();
    let host = plugin.host();
    let other = neighbour(&host, &other_plugin).await;
    let instance = host.load(plugin.config()).await.unwrap();
    let error = beside(instance.call(call(Hook::Authorize, json!({}))), &other).await.outcome.unwrap_err();
    host.shutdown().await;
    assert!(descendants().is_empty());
    error
}

#[tokio::test]
async fn ten_gigabytes_are_not_had_by_one_process() {
    for mut plugin in both(91_200, || authorize("return {'x': len(bytearray(10 << 30))}")) {
        plugin.memory_limit = 512 << 20;
        let error = ended(&plugin).await;
        assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Exception, "MemoryError"));
    }
}

#[tokio::test]
async fn memory_is_not_had_by_many_processes_together_either() {
    // Each takes less than it may; together they would take 1.6 GB, were they not stopped.
    let body = "for _ in range(8):\n    if os.fork() == 0:\n        taken = bytearray(200 << 20)\n        for page in range(0, len(taken), 4096): taken[page] = 1\n        time.sleep(60)\n    time.sleep(0.2)\ntime.sleep(60)";
    for mut plugin in both(91_300, || authorize(body)) {
        plugin.memory_limit = 300 << 20;
        let error = ended(&plugin).await;
        assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
        assert!(error.message.contains("MiB of memory together, and 300 are allowed"), "{error}");
    }
}

#[tokio::test]
async fn processes_of_the_gateways_user_are_counted_where_no_user_limits_them() {
    // 200 and no more, should nothing stop it.
    let body = "for _ in range(200):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n    time.sleep(0.005)\ntime.sleep(60)";
    let mut plugin = authorize(body);
    plugin.processes = 24;
    let error = ended(&plugin).await;
    assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
    assert!(error.message.contains("more than 24 processes and threads"), "{error}");
}

#[tokio::test]
async fn a_fork_bomb_is_held_back_while_others_are_served() {
    let body = "while True:\n    for step in (os.fork, os.setsid):\n        try:\n            step()\n        except OSError:\n            pass";
    let mut plugin = authorize(body);
    plugin.python = "/usr/bin/python3".into();
    plugin.own_user_base = Some(91_400);
    plugin.processes = 24;
    let other_plugin = calm();
    let host = plugin.host();
    let other = neighbour(&host, &other_plugin).await;
    let instance = host.load(plugin.config()).await.unwrap();
    eventually("a worker is idle", || instance.idle_workers() > 0).await;
    let error = beside(instance.call(call(Hook::Authorize, json!({}))), &other).await.outcome.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
    host.shutdown().await;
    assert!(descendants().is_empty());
}

#[tokio::test]
async fn the_disk_is_not_filled() {
    // Each file is as large as it may be. 2 GB and no more, should nothing stop it.
    let named = "for n in range(256):\n    with open(os.environ['TMPDIR'] + '/%d' % n, 'wb') as file: file.write(b'x' * (8 << 20))\n    time.sleep(0.01)\ntime.sleep(60)";
    let unnamed = "kept = []\nfor n in range(200):\n    kept.append(open(os.environ['TMPDIR'] + '/%d' % n, 'wb'))\n    os.unlink(kept[-1].name)\n    kept[-1].write(b'x' * (8 << 20))\n    time.sleep(0.01)\ntime.sleep(60)";
    for (users, body) in [(91_500, named), (91_600, unnamed)] {
        for mut plugin in both(users, || authorize(body)) {
            plugin.bounds.disk = 64 << 20;
            plugin.bounds.file_size = 8 << 20;
            let error = ended(&plugin).await;
            assert_eq!(error.kind, CallErrorKind::Limit, "{error}");
            assert!(error.message.contains("and 64 are allowed"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_plugin_whose_directories_are_full_is_not_called_until_there_is_room() {
    let body = "open(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/%d' % time.time_ns(), 'wb').write(b'x' * (3 << 20))\nreturn {'x': 1}";
    let mut plugin = authorize(body);
    plugin.bounds.disk = 4 << 20;
    let loaded = plugin.load().await;
    let mut refused = None;
    for _ in 0..200 {
        // Short calls are measured after their end.
        match loaded.authorize(json!({})).await.outcome {
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let error = refused.expect("no call is refused");
    assert_eq!(error.kind, CallErrorKind::Unavailable);
    assert!(error.message.contains(loaded.path("state").to_str().unwrap()), "{error}");
    for entry in fs::read_dir(loaded.path("state")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut served = false;
    for _ in 0..1000 {
        served = loaded.authorize(json!({})).await.outcome.is_ok();
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(served, "there is room again");
}

#[tokio::test]
async fn a_template_follows_files_that_are_replaced() {
    let loaded = authorize("return {'x': open('main.py').read(6), 'template': os.getppid()}").load().await;
    let first = loaded.result().await;
    let (bundle, old) = (loaded.path("bundle"), loaded.path("old"));
    fs::rename(&bundle, &old).unwrap();
    fs::create_dir(&bundle).unwrap();
    fs::copy(old.join("main.py"), bundle.join("main.py")).unwrap();
    let mut other = false;
    for _ in 0..3000 {
        let now = loaded.authorize(json!({})).await.outcome;
        other = now.is_ok_and(|now| now["template"] != first["template"] && now["x"] == "import");
        if other {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(other, "the template is another one, and reads its new files");
}
