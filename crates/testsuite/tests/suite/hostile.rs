//! Peers that mean harm, or behave as if: bounded, and the others notice nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use keyward_testsuite::{Link, PATIENCE, Route, until};

#[test]
fn garbage_instead_of_ssh_is_hung_up_on() {
    let link = Link::open(Route::Gateway);
    let noise = vec![0xA5; 1_000_000];
    for greeting in ["", "SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let mut peer = connect(link.addr());
        let sent = peer.write_all(greeting.as_bytes()).and_then(|()| peer.write_all(&noise));
        // Either the write fails already, or the end of the connection follows.
        if sent.is_ok() {
            assert_hung_up(peer);
        }
    }
    link.ssh().exec("true").must_succeed();
    assert_eq!(link.sshd.connections(), 1);
}

#[test]
fn ten_thousand_connections_that_say_nothing_leave_room_for_a_person() {
    let mut link = Link::open(Route::Gateway);
    for _ in 0..20 {
        let silent: Vec<TcpStream> = (0..500).map(|_| connect(link.addr())).collect();
        drop(silent);
    }
    // The last of them have left, and the gateway learns of that at its own pace.
    let ssh = link.ssh();
    until("a person is served", PATIENCE, || ssh.exec("true").status.success().then_some(()));
    let lines = link.gateway().log().len();
    assert!(lines < 1000, "{lines} lines of log");
}

#[test]
fn a_client_that_stops_reading_costs_bounded_memory_and_holds_nobody_up() {
    let mut link = Link::open(Route::Gateway);
    let ssh = link.ssh();
    ssh.exec("true").must_succeed();
    let process = link.gateway().program().id();
    let before = resident_kib(process);

    let mut stuck = ssh.command(&[], &["cat /dev/zero"]);
    let mut stuck = stuck.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    stuck.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let mut most = 0;
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(100));
        most = most.max(resident_kib(process));
    }
    ssh.exec("true").must_succeed();
    stuck.kill().unwrap();
    stuck.wait().unwrap();

    assert!(most < before + 32 * 1024, "{before} KiB grew to {most} KiB");
}

#[expect(clippy::disallowed_methods, reason = "a peer of the gateway")]
fn connect(addr: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect_timeout(&addr, PATIENCE).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    peer
}

#[track_caller]
fn assert_hung_up(mut peer: TcpStream) {
    let mut answer = Vec::new();
    if let Err(error) = peer.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
}

fn resident_kib(process: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
