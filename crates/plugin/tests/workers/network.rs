//! A plugin whose network is restricted to a list: what is on it is reached, and nothing else is, by any way.

use std::io::Read;
use std::net::TcpListener;

use keyward_plugin::{CallErrorKind, Network, Reachable, ReachableHost};
use serde_json::json;

use super::fixture::{Loaded, Plugin, authorize};

/// A server on a port of its own, which counts who comes.
struct Server(TcpListener);

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Connections that came, and what was sent by them.
    fn visits(&self) -> Vec<String> {
        let mut visits = Vec::new();
        while let Ok((mut visitor, _)) = self.0.accept() {
            visitor.set_nonblocking(true).unwrap();
            let mut sent = [0; 64];
            let read = visitor.read(&mut sent).unwrap_or(0);
            visits.push(String::from_utf8_lossy(&sent[..read]).into_owned());
        }
        visits
    }
}

fn addresses(range: &str, port: Option<u16>) -> Reachable {
    Reachable { host: ReachableHost::Addresses(range.parse().unwrap()), port }
}

/// `body` knows the ports as `open` and `shut`; only the first is on the list.
fn restricted(body: &str, open: &Server, shut: &Server) -> Plugin {
    let mut plugin = authorize(body);
    plugin.source =
        format!("import socket\nopen_port, shut_port = {}, {}\n{}", open.port(), shut.port(), plugin.source);
    plugin.bounds.network = Network::Only(vec![addresses("127.0.0.0/8", Some(open.port()))]);
    plugin
}

async fn result(body: &str, open: &Server, shut: &Server) -> serde_json::Value {
    restricted(body, open, shut).load().await.result().await["x"].clone()
}

#[tokio::test]
async fn what_is_on_the_list_is_reached_and_another_port_is_not() {
    let (open, shut) = (Server::start(), Server::start());
    // With a time limit a socket does not block, and without one it does.
    for limit in ["5", "None"] {
        let body = format!(
            "def reach(port):\n    try:\n        with socket.create_connection(('127.0.0.1', port), timeout={limit}) as s: s.sendall(b'hello')\n        return 'reached'\n    except OSError as error:\n        return type(error).__name__\nreturn {{'x': [reach(open_port), reach(shut_port)]}}"
        );
        assert_eq!(
            result(&body, &open, &shut).await,
            json!(["reached", "PermissionError"]),
            "timeout {limit}"
        );
        assert_eq!(open.visits(), ["hello"]);
        assert!(shut.visits().is_empty());
    }
}

#[tokio::test]
async fn a_connect_fails_as_it_would_without_a_list() {
    let (open, shut) = (Server::start(), Server::start());
    let mut plugin = restricted(
        "found = []\nfor limit in (5, None):\n    try: socket.create_connection(('127.0.0.1', shut_port), timeout=limit)\n    except OSError as error: found.append(type(error).__name__)\nreturn {'x': found}",
        &open,
        &shut,
    );
    plugin.bounds.network = Network::Only(vec![addresses("127.0.0.1/32", None)]);
    drop(shut);
    let refused = "ConnectionRefusedError";
    assert_eq!(plugin.load().await.result().await["x"], json!([refused, refused]));
}

#[tokio::test]
async fn an_empty_list_is_no_network() {
    let (open, shut) = (Server::start(), Server::start());
    let mut plugin =
        restricted("return {'x': socket.socket().connect_ex(('127.0.0.1', open_port))}", &open, &shut);
    plugin.bounds.network = Network::Only(Vec::new());
    assert_eq!(plugin.load().await.result().await["x"], 13, "EACCES");
    assert!(open.visits().is_empty());
}

#[tokio::test]
async fn names_on_the_list_are_looked_up_and_others_are_not() {
    let (open, shut) = (Server::start(), Server::start());
    let body = "def reach(*where):\n    try:\n        socket.create_connection(where, timeout=5).close()\n        return 'reached'\n    except OSError as error:\n        return str(error)\nfirst = reach('127.0.0.1', open_port)\nreturn {'x': [first, reach('localhost', open_port), reach('localhost', shut_port), reach('www.example.com', 443), socket.gethostbyname('localhost')]}";
    let mut plugin = restricted(body, &open, &shut);
    plugin.bounds.network = Network::Only(vec![Reachable {
        host: ReachableHost::Name("localhost".into()),
        port: Some(open.port()),
    }]);
    let found = plugin.load().await.result().await["x"].clone();
    assert_eq!(found[0], "[Errno 13] Permission denied", "the address is open once the name was asked for");
    assert_eq!(found[1], "reached");
    assert_eq!(found[2], "[Errno 13] Permission denied");
    let unlisted = found[3].as_str().unwrap();
    assert!(unlisted.contains("is not in the plugin's `network` list"), "{unlisted}");
    assert_eq!(found[4], "127.0.0.1");
    assert_eq!((open.visits().len(), shut.visits().len()), (1, 0));
}

#[tokio::test]
async fn an_address_that_changes_while_it_is_judged_leads_nowhere_else() {
    let (open, shut) = (Server::start(), Server::start());
    // Another thread writes the one port and the other into the address, as fast as it can.
    let body = "
import ctypes, struct, threading
libc = ctypes.CDLL(None, use_errno=True)
def address(port): return struct.pack('=H', socket.AF_INET) + struct.pack('!H', port) + socket.inet_aton('127.0.0.1') + bytes(8)
good, bad = address(open_port), address(shut_port)
shared = ctypes.create_string_buffer(good, 16)
def connect(to):
    s = socket.socket()
    done = libc.connect(s.fileno(), to, 16) and ctypes.get_errno()
    s.close()
    return done
outcomes = {connect(good), connect(bad)}
going = True
def flip():
    while going:
        ctypes.memmove(shared, bad, 16)
        ctypes.memmove(shared, good, 16)
sys.setswitchinterval(1e-5)
thread = threading.Thread(target=flip)
thread.start()
# Fewer than the server's queue takes.
for _ in range(100): outcomes.add(connect(shared))
going = False
thread.join()
return {'x': sorted(outcomes)}";
    let found = result(body, &open, &shut).await;
    assert_eq!(found, json!([0, 13]), "both addresses were judged");
    assert!(!open.visits().is_empty());
    assert!(shut.visits().is_empty());
}

#[tokio::test]
async fn there_is_no_way_around_the_list() {
    let (open, shut) = (Server::start(), Server::start());
    let body = "
import subprocess
def outcome(what):
    try: return repr(what())
    except OSError as error: return type(error).__name__
def to(port): return ('127.0.0.1', port)
def fast():
    s = socket.socket()
    return s.sendto(b'x', 0x20000000, to(shut_port))
def fast_message():
    return socket.socket().sendmsg([b'x'], [], 0x20000000, to(shut_port))
def listen():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen()
def again():
    s = socket.create_connection(to(open_port))
    return s.connect(to(shut_port))
def child():
    code = 'import socket,sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])))'
    return subprocess.run([sys.executable, '-c', code, str(shut_port)], stderr=subprocess.DEVNULL).returncode or 'reached'
tries = {
    'udp': lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    'udp6': lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    'raw': lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    'unix': lambda: socket.socket(socket.AF_UNIX),
    'netlink': lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    'vsock': lambda: socket.socket(40, socket.SOCK_STREAM),
    'sctp': lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132),
    'datagram pair': lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    'fast open': fast,
    'fast open message': fast_message,
    'listen': listen,
    'mapped': lambda: socket.socket(socket.AF_INET6).connect(('::ffff:127.0.0.1', shut_port)),
    'any': lambda: socket.socket().connect(('0.0.0.0', shut_port)),
    'again': again,
    'child': child,
}
return {'x': {name: outcome(what) for name, what in tries.items()}}";
    let found = result(body, &open, &shut).await;
    for (name, outcome) in found.as_object().unwrap() {
        let outcome = outcome.as_str().unwrap();
        let refused =
            ["PermissionError", "OSError"].contains(&outcome) || (name == "child" && outcome == "1");
        assert!(refused, "{name}: {outcome}");
    }
    assert_eq!(shut.visits().len(), 0);
}

#[tokio::test]
async fn the_import_is_restricted_too_and_the_warm_template_stays() {
    let (open, shut) = (Server::start(), Server::start());
    let mut plugin = restricted("return {'x': FOUND}", &open, &shut);
    plugin.source = plugin.source.replacen(
        "\nimport os",
        "\nFOUND = [socket.socket().connect_ex(('localhost', port)) for port in (open_port, shut_port)]\nFOUND = [socket.socket().connect_ex(('127.0.0.1', port)) for port in (open_port, shut_port)]\nimport os",
        1,
    );
    let loaded: Loaded = plugin.load().await;
    assert!(loaded.instance.is_warm());
    assert_eq!(loaded.result().await["x"], json!([0, 13]));
    assert!(shut.visits().is_empty());
}

#[tokio::test]
async fn a_call_that_waits_for_a_server_holds_up_no_other() {
    let open = Server::start();
    // Its queue takes one connection; the others wait without an answer.
    let deaf =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&deaf, &"127.0.0.1:0".parse::<std::net::SocketAddrV4>().unwrap()).unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let deaf = Server(deaf.into());
    let mut plugin = restricted(
        "if arguments['session_id'] == 'quick':\n    socket.create_connection(('127.0.0.1', open_port)).close()\n    return {'x': 1}\nkept = []\nwhile True:\n    s = socket.socket()\n    s.connect(('127.0.0.1', shut_port))\n    kept.append(s)",
        &open,
        &deaf,
    );
    plugin.bounds.network = Network::Only(vec![addresses("127.0.0.1/32", None)]);
    let loaded = plugin.load().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let instance = loaded.instance.clone();
        waiting.push(tokio::spawn(async move {
            let limit = std::time::Duration::from_secs(6);
            let call = super::fixture::call(keyward_plugin::Hook::Authorize, json!({}));
            instance.call(keyward_plugin::Call { time_limit: limit, ..call }).await
        }));
    }
    for _ in 0..5 {
        assert_eq!(loaded.authorize(json!({"session_id": "quick"})).await.outcome.unwrap()["x"], 1);
    }
    for call in waiting {
        assert_eq!(call.await.unwrap().outcome.unwrap_err().kind, CallErrorKind::Timeout);
    }
    drop(deaf);
}
