//! Thousands of sessions that do nothing. Clients and server are AsyncSSH: as many processes of OpenSSH on both sides
//! would not fit into this machine.

use std::thread;
use std::time::{Duration, Instant};

use keyward_testsuite::{Gateway, GatewayPlan, KeyPair, Paramiko, PeerServer, Program};

use crate::process::{cpu_seconds, descriptors, resident_kib};
use crate::table::{Ratio, Row, Target};

/// For so many log-ins in Python, one after the other on each of its sides.
const PATIENCE: Duration = Duration::from_secs(900);
const IDLE: Duration = Duration::from_secs(10);
const USER: &str = "idler";

/// Opens them, looks at the gateway while they are idle, has each of them echo a byte, and closes them.
pub(crate) fn idle(sessions: usize) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let server = PeerServer::start("idle_server", &[]);
    let key = KeyPair::generate(folder.path(), "person_key", "ed25519");
    let gateway = start(&server, &key, sessions);
    let process = gateway.program().id();
    // Its threads and caches are there after a first session.
    drive(&gateway, &key, 1).ended(PATIENCE);
    let (memory, open) = (resident_kib(process), descriptors(process));

    let started = Instant::now();
    let mut clients = clients(&gateway, &key, sessions);
    said(&clients, &format!("open {sessions}"));
    let seconds = started.elapsed().as_secs_f64();
    // Idle is what is left when the recordings have been written out, once a second.
    thread::sleep(Duration::from_secs(3));
    let each = (resident_kib(process) - memory) / sessions as f64;
    let before = cpu_seconds(process);
    thread::sleep(IDLE);
    let busy = 100.0 * (cpu_seconds(process) - before) / IDLE.as_secs_f64();
    clients.tell("echo");
    said(&clients, &format!("echoed {sessions}"));
    clients.tell_no_more();
    said(&clients, &format!("closed {sessions}"));
    clients.ended(PATIENCE);
    let left = descriptors_left(process, open);

    let row = |what: String, value, targets| Row { what, values: vec![value], ratio: Ratio::None, targets };
    vec![
        row(format!("{sessions} idle sessions: opened, echoed, closed"), sessions as f64, vec![]),
        row("   opened each second".into(), sessions as f64 / seconds, vec![]),
        row("   KiB of the gateway for each".into(), each, vec![Target::AtMost(100.0)]),
        row("   the gateway's CPU meanwhile, %".into(), busy, vec![Target::AtMost(5.0)]),
        row("   descriptors left when all are closed".into(), left as f64, vec![Target::AtMost(0.0)]),
    ]
}

/// A few sessions from their beginning to their end.
fn drive(gateway: &Gateway, key: &KeyPair, sessions: usize) -> Program {
    let mut clients = clients(gateway, key, sessions);
    said(&clients, &format!("open {sessions}"));
    clients.tell_no_more();
    said(&clients, &format!("closed {sessions}"));
    clients
}

fn clients(gateway: &Gateway, key: &KeyPair, sessions: usize) -> Program {
    let client = Paramiko { addr: gateway.addr("ssh"), login: USER, key };
    client.start("idle_clients", &[&sessions.to_string()])
}

fn said(clients: &Program, words: &str) {
    let found = clients.find_line(words, PATIENCE, |line| (line == words).then_some(()));
    assert!(found.is_some(), "{}", clients.log().join("\n"));
}

/// Sessions end a moment after their clients have closed them.
fn descriptors_left(process: i32, before: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = descriptors(process).saturating_sub(before);
        if left == 0 || Instant::now() > deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn start(server: &PeerServer, person: &KeyPair, sessions: usize) -> Gateway {
    let (host, port, host_key) = (server.addr().ip(), server.addr().port(), server.host_key());
    let (public, most) = (person.public(), sessions + 100);
    GatewayPlan::new(&format!(
        r#"
[node]
data-dir = "@data@"

[gateway]
host-name = "gateway.test"
drain = 2
max-sessions = {most}

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{host}:{port}" }}
authentication = "people"
credential-store = {{ local = "passwords" }}
channel-policy = "work"
known-host-keys = [{{ host = "{host}:{port}", key = "{host_key}" }}]

[[authentication]]
name = "people"
methods = ["public-key"]

[[user]]
name = "{USER}"
public-keys = ["{public}"]

[[local-credential-store]]
name = "passwords"

[[local-credential-store.row]]
host = "{host}"
user = "{USER}"
passwords = ["any"]

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["exec"]
record = true
"#
    ))
    .start()
}
