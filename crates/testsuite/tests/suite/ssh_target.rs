//! Where a session may go: fixed, named by the person, asked for, refused.

use std::net::SocketAddr;

use keyward_testsuite::{Askpass, FakeTarget, Run, Sshd};

use crate::site::{Draft, Site};

const DENIED: &str = "Access denied.";
const UNREACHABLE: &str = "The server cannot be reached.";

#[test]
fn the_login_string_names_the_server() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), ""));
    let (user, server) = (site.sshd.user(), site.sshd.addr());
    let same = format!("{user}@{}", server.to_string().replace(':', "+"));
    for login in [format!("{user}@{server}"), same, format!("ticket=7%{user}%{server}")] {
        assert_eq!(site.log_in(&login).text(), "in\n", "{login}");
    }
    assert_eq!(site.ended(3)["target"]["address"], server.to_string());
}

#[test]
fn a_server_may_be_named_by_a_host_name() {
    let site = Site::with(|draft| {
        let port = draft.server.port();
        draft.connection = "host-key-check = \"trust-on-first-use\"\n".to_owned();
        draft.inband(&format!("\"localhost:{port}\", \"127.0.0.1:{port}\""), "");
    });
    let run = site.log_in(&format!("{}@localhost:{}", site.sshd.user(), site.sshd.addr().port()));
    let session = site.ended(1);
    assert_eq!(session["target"]["hostname"], "localhost", "{session:#}");
    assert_eq!(run.text(), "in\n", "{session:#}");
}

#[test]
fn a_server_may_be_named_by_an_ipv6_address() {
    let site = Site::on(Sshd::with("ListenAddress ::1"), |draft| {
        let port = draft.server.port();
        let server: SocketAddr = format!("[::1]:{port}").parse().unwrap();
        draft.connection = draft.connection.replace(&draft.server.to_string(), &server.to_string());
        draft.server = server;
        draft.inband(&format!("\"{server}\""), "");
    });
    let run = site.log_in(&format!("{}@[::1]:{}", site.sshd.user(), site.sshd.addr().port()));
    assert_eq!(run.text(), "in\n");
}

#[test]
fn a_server_that_is_not_named_is_asked_for() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), ""));
    let askpass = Askpass::new(&[&site.sshd.addr().to_string()]);

    let run = site.person(&format!("{}@", site.sshd.user()), &askpass).exec("echo in");

    assert_eq!(run.text(), "in\n");
    assert_eq!(askpass.prompts().len(), 1);
    assert!(askpass.prompts()[0].ends_with("Server: "), "{:?}", askpass.prompts());
}

#[test]
fn an_answer_that_is_no_server_is_refused_with_a_reason() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), ""));
    let run = site.person(&format!("{}@", site.sshd.user()), &Askpass::new(&["host:99999"])).exec("true");
    assert_eq!(run.status.code(), Some(255));
    assert!(run.stderr.contains("\"99999\" is no port: 1 to 65535 are"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_not_allowed_is_denied() {
    let site = Site::with(|draft| draft.inband("\"192.0.2.1:22\"", ""));
    let run = site.log_in(&at_the_server(&site));
    site.refused(&run, "deny", DENIED);
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn the_deny_list_is_stronger_than_the_allow_list() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), "\"127.0.0.0/8\""));
    let run = site.log_in(&at_the_server(&site));
    site.refused(&run, "deny", DENIED);
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn an_address_of_the_gateway_is_a_target_only_when_it_is_allowed_with_its_port() {
    for allow in ["\"127.0.0.0/8:*\"", "\"127.0.0.1:*\"", "\"localhost:*\", \"0.0.0.0/0:*\""] {
        let site = Site::with(|draft| draft.inband(allow, ""));
        let run = site.log_in(&at_the_server(&site));
        site.refused(&run, "deny", DENIED);
        assert_eq!(site.sshd.connections(), 0, "{allow}");
    }
}

#[test]
fn the_gateways_own_listener_is_never_a_target() {
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let site =
            Site::with(|draft| draft.inband(&format!("\"{host}:@port:ssh@\", \"127.0.0.1:@port:ssh@\""), ""));
        let run = site.log_in(&format!("{}@{host}:{}", site.sshd.user(), site.addr().port()));
        site.refused(&run, "deny", DENIED);
    }
}

#[test]
fn a_fixed_target_cannot_be_talked_out_of() {
    let (site, other) = (Site::open(), Sshd::start());
    let run = site.log_in(&format!("{}@{}", site.sshd.user(), other.addr()));
    assert_eq!(run.status.code(), Some(255));
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_login_string_that_cannot_be_read_is_refused_with_a_reason() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), ""));
    let long = "x".repeat(1025);
    let cases = [
        (long.as_str(), "the login string is longer than 1024 bytes"),
        ("root@127.0.0.1:99999", "\"99999\" is no port: 1 to 65535 are"),
        ("root@127.0.0.1:0", "\"0\" is no port: 1 to 65535 are"),
        ("root@[::1", "is no server: write host, host:port, [IPv6] or [IPv6]:port"),
        ("a=1@a=2@root@127.0.0.1", "the login string has the key \"a\" twice"),
        ("=1@root@127.0.0.1", "a pair of the login string has no key"),
    ];
    for (number, (login, reason)) in cases.into_iter().enumerate() {
        let run = site.log_in(login);
        assert_eq!(run.status.code(), Some(255), "{login:?}");
        assert!(run.stderr.contains(reason), "{login:?}: {}", run.stderr);
        site.is_calm(&run.stderr);
        assert!(site.ended(number + 1)["verdict"].is_string());
    }
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_login_string_that_no_stock_client_sends_is_refused_with_a_reason_too() {
    let site = Site::with(|draft| draft.inband(&allowed(draft), ""));
    for login in ["ro\\x01ot@127.0.0.1", "root@127.0.0.1\\x1b[2J", "root\\n@127.0.0.1"] {
        let told = site.paramiko("told", &[login]);
        let reason = "Authentication failed. (the login string has a control character)";
        assert_eq!(told.lines().next(), Some(reason), "{login}");
    }
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_name_that_nobody_knows_cannot_be_reached() {
    let site = Site::with(|draft| draft.inband("\"*.invalid\"", ""));
    let run = site.log_in(&format!("{}@nothing.invalid", site.sshd.user()));
    site.refused(&run, "connect-fail", UNREACHABLE);
}

#[test]
fn a_closed_port_cannot_be_reached() {
    let (site, run) = to(FakeTarget::gone());
    site.refused(&run, "connect-fail", UNREACHABLE);
}

#[test]
fn who_is_sent_away_is_told_once_and_asked_nothing_more() {
    let site = Site::with(|draft| draft.target = format!("{{ fixed = \"{}\" }}", FakeTarget::gone()));
    let askpass = Askpass::new(&["a password that nobody wants"]);

    let run = site.person(&site.sshd.user(), &askpass).exec("true");

    assert_eq!(run.stderr.matches(UNREACHABLE).count(), 1, "{}", run.stderr);
    assert_eq!(askpass.prompts(), Vec::<String>::new());
}

#[test]
fn a_server_that_hangs_up_at_once_cannot_be_reached() {
    let (site, run) = to(FakeTarget::closing().addr());
    site.refused(&run, "connect-fail", UNREACHABLE);
}

#[test]
fn a_server_that_speaks_no_ssh_cannot_be_reached() {
    for words in [&b"220 mail.example ESMTP\r\n"[..], &[0xA5; 200_000], b"SSH-2.0-x\r\n\0\0\0\0\0\0\0\0"] {
        let (site, run) = to(FakeTarget::saying(words).addr());
        site.refused(&run, "connect-fail", UNREACHABLE);
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_the_end() {
    let (site, run) = to(FakeTarget::silent().addr());
    site.refused(&run, "connect-fail", UNREACHABLE);
}

/// A gateway with this target, and what a person sees who goes there.
#[track_caller]
fn to(target: SocketAddr) -> (Site, Run) {
    let site = Site::with(|draft| draft.target = format!("{{ fixed = \"{target}\" }}"));
    let run = site.log_in(&site.sshd.user());
    assert!(!run.stderr.contains(&format!(":{}", target.port())), "{}", run.stderr);
    (site, run)
}

fn at_the_server(site: &Site) -> String {
    format!("{}@{}", site.sshd.user(), site.sshd.addr())
}

/// The server as a pattern.
fn allowed(draft: &Draft) -> String {
    format!("\"{}\"", draft.server)
}
