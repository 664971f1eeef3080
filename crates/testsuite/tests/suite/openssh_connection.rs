//! What concerns an OpenSSH connection as a whole: sharing it, keeping it alive, new keys for it.

use std::fs;

use keyward_testsuite::{Input, Link, PATIENCE, Program, Route, Sshd, run, shell, until};
use rustix::process::Signal;

on_both_routes! {
    sessions_of_a_shared_connection_have_their_own_input_output_and_status,
    a_session_of_a_shared_connection_is_cut_without_harm_to_the_others,
    a_connection_for_forwards_only_lasts_until_it_is_ended,
}

fn sessions_of_a_shared_connection_have_their_own_input_output_and_status(link: &Link) {
    let script = r#"
        "$ssh" -M -N -f -S "$near/control" "$to"
        head -c 7000001 /dev/urandom > "$near/noise"
        one() {
            status=0
            "$ssh" -S "$near/control" "$to" "cat; exit $1" < "$near/noise" > "$near/out-$1" || status=$?
            cmp "$near/noise" "$near/out-$1" && echo "$1 $status"
        }
        for n in 1 2 3 4 5 6 7 8; do one $n & done
        wait
        "$ssh" -S "$near/control" -tt "$to" "tty > /dev/null; exit 9" || echo "9 $?"
        "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
    "#;
    let printed = in_shell(link, script);
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1 1", "2 2", "3 3", "4 4", "5 5", "6 6", "7 7", "8 8", "9 9"]);
    assert_eq!(link.sshd.connections(), 1);
}

fn a_session_of_a_shared_connection_is_cut_without_harm_to_the_others(link: &Link) {
    let script = r#"
        "$ssh" -M -N -f -S "$near/control" "$to"
        "$ssh" -S "$near/control" "$to" "echo up; read line; echo \$line" < <(until [ -e "$near/go" ]; do sleep 0.05; done; echo still here) &
        calm=$!
        "$ssh" -S "$near/control" "$to" "cat /dev/zero" > "$near/zeros" &
        until [ -s "$near/zeros" ]; do sleep 0.05; done
        kill -KILL $!
        wait $! 2>/dev/null || echo cut
        touch "$near/go"
        wait $calm
        "$ssh" -S "$near/control" "$to" "echo a new one"
        "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
    "#;
    let printed = in_shell(link, script);
    let lines: Vec<&str> = printed.lines().filter(|line| *line != "cut").collect();
    assert_eq!(lines, ["up", "still here", "a new one"]);
    assert!(printed.contains("cut\n"), "{printed}");
}

fn a_connection_for_forwards_only_lasts_until_it_is_ended(link: &Link) {
    let ssh = link.ssh();
    let client = Program::start(&mut ssh.command(&["-N", "-v"], &[]));
    let is_open = |line: &str| line.contains("Entering interactive session").then_some(());
    let opened = client.find_line("the connection is open", PATIENCE, is_open);
    assert_eq!(opened, Some(()), "{}", client.log().join("\n"));
    ssh.exec("true").must_succeed();
    assert!(!client.has_ended());
    client.signal(Signal::TERM);
    client.ended(PATIENCE);
    assert_eq!(link.sshd.logins(), 2);
}

/// Who hears no answer gives up after six of them: sooner than the command ends, and later than a busy machine answers.
#[test]
fn the_clients_keepalives_are_answered_by_the_server() {
    on_both_routes_at_once(|route| {
        let link = Link::to(Sshd::with("LogLevel DEBUG1"), route);
        let options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=6"];
        let idle = run(&mut link.ssh().command(&options, &["sleep 12; echo awake"]), Input::Nothing);
        assert_eq!(idle.text(), "awake\n", "{route:?}");
        let log = link.sshd.log();
        let asked =
            log.iter().filter(|line| line.contains("rtype keepalive@openssh.com want_reply 1")).count();
        assert!(asked >= 2, "{route:?}: asked {asked} times");
    });
}

#[test]
fn the_servers_keepalives_are_answered_by_the_client() {
    on_both_routes_at_once(|route| {
        let link = Link::to(Sshd::with("ClientAliveInterval 1\nClientAliveCountMax 6"), route);
        let idle = run(&mut link.ssh().command(&["-v"], &["sleep 12; echo awake"]), Input::Nothing);
        assert_eq!(idle.text(), "awake\n", "{route:?}");
        let asked = idle.stderr.matches("rtype keepalive@openssh.com").count();
        assert!(asked >= 2, "{route:?}: asked {asked} times: {}", idle.stderr);
    });
}

/// For cases that do little but wait.
fn on_both_routes_at_once(case: impl Fn(Route) + Sync) {
    std::thread::scope(|scope| {
        for route in Route::BOTH {
            let case = &case;
            scope.spawn(move || case(route));
        }
    });
}

#[test]
fn a_break_typed_at_the_client_reaches_the_server() {
    for route in Route::BOTH {
        let link = Link::to(Sshd::with("LogLevel DEBUG1"), route);
        let ssh = link.ssh();
        let go = ssh.folder().join("go");
        let script = format!(
            r#"(printf '\n~B'; until [ -e '{}' ]; do sleep 0.05; done; printf 'exit 4\n') | "$1" -tt "$2" || echo "status $?""#,
            go.display()
        );
        let arguments = [ssh.program().to_str().unwrap().to_owned(), ssh.destination()];
        let typing =
            std::thread::spawn(move || shell(&script, &arguments.each_ref().map(String::as_str)).text());
        until("the server is asked for a break", PATIENCE, || {
            link.sshd.log().iter().any(|line| line.contains("session 0 req break")).then_some(())
        });
        fs::write(go, "").unwrap();
        let shown = typing.join().unwrap();
        assert!(shown.ends_with("status 4\n"), "{route:?}: {shown}");
    }
}

#[test]
fn keys_are_changed_by_the_server_and_by_both_during_transfers_each_way() {
    for route in Route::BOTH {
        let link = Link::to(Sshd::with("RekeyLimit 1M"), route);
        let script = r#"
            head -c 7000001 /dev/urandom > "$near/noise"
            for limit in default 1M; do
                options="-o RekeyLimit=$limit"
                "$ssh" $options "$to" "cat > '$near/up'" < "$near/noise"
                cmp "$near/noise" "$near/up"
                "$ssh" $options "$to" cat < "$near/noise" | cmp - "$near/noise"
            done
        "#;
        in_shell(&link, script);
    }
}

/// `$ssh` is the client, `$to` whom to log in as, `$near` a folder.
#[track_caller]
fn in_shell(link: &Link, script: &str) -> String {
    let ssh = link.ssh();
    let script = format!("ssh=$1 to=$2 near=$3\n{script}");
    let folder = ssh.folder().to_str().unwrap();
    shell(&script, &[ssh.program().to_str().unwrap(), &ssh.destination(), folder]).text()
}
