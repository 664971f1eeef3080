//! OpenSSH's client: commands, terminals, what passes beside the data.

use keyward_testsuite::{Input, Link, run};

on_both_routes! {
    a_command_gives_its_output_its_complaints_and_its_status,
    what_the_client_sends_reaches_the_command_to_its_last_byte,
    the_end_of_input_ends_a_command_that_reads,
    output_that_comes_after_the_end_of_input_arrives,
    the_exit_status_arrives_also_when_both_ends_close_at_once,
    a_command_killed_by_a_signal_fails_the_client,
    the_environment_that_the_server_accepts_arrives,
    a_shell_on_a_terminal_echoes_and_exits,
    a_shell_without_a_terminal_reads_a_script,
    several_sessions_share_one_connection,
}

fn a_command_gives_its_output_its_complaints_and_its_status(link: &Link) {
    let run = link.ssh().exec("echo out; echo complaint >&2; exit 3");

    assert_eq!(String::from_utf8_lossy(&run.stdout), "out\n");
    assert_eq!(run.stderr, "complaint\n");
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(link.sshd.logins(), 1);
}

fn what_the_client_sends_reaches_the_command_to_its_last_byte(link: &Link) {
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let run = link.ssh().exec_with("cat", Input::Bytes(bytes.clone()));

    run.must_succeed();
    assert!(run.stdout == bytes, "{} bytes of {}", run.stdout.len(), bytes.len());
}

fn the_end_of_input_ends_a_command_that_reads(link: &Link) {
    assert_eq!(link.ssh().exec_with("wc -c", Input::Bytes(b"twelve bytes".to_vec())).text(), "12\n");
}

fn output_that_comes_after_the_end_of_input_arrives(link: &Link) {
    let run = link.ssh().exec_with("cat >/dev/null; seq 50000 | tail -n 1", Input::Bytes(b"x".to_vec()));
    assert_eq!(run.text(), "50000\n");
}

/// The client closes the channel as soon as both directions have ended: a status that comes between the
/// server's EOF and its close must be there before.
fn the_exit_status_arrives_also_when_both_ends_close_at_once(link: &Link) {
    let remote = "exec >&- 2>&-; sleep 0.1; exit 7";
    for input in [Input::Nothing, Input::Bytes(b"x".to_vec())] {
        assert_eq!(link.ssh().exec_with(remote, input).status.code(), Some(7));
    }
}

fn a_command_killed_by_a_signal_fails_the_client(link: &Link) {
    let run = link.ssh().exec("kill -TERM $$");
    assert_eq!(run.status.code(), Some(255));
}

fn the_environment_that_the_server_accepts_arrives(link: &Link) {
    let options = ["-o", "SetEnv=KWT_COLOUR=green"];
    let run = run(&mut link.ssh().command(&options, &["echo $KWT_COLOUR"]), Input::Nothing);
    assert_eq!(run.text(), "green\n");
}

fn a_shell_on_a_terminal_echoes_and_exits(link: &Link) {
    let run = link.ssh().terminal("tty; echo $((6*7)); exit 5\n");

    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(shown.contains("/dev/pts/"), "{shown}");
    assert!(shown.contains("\r\n42\r\n"), "{shown}");
    assert_eq!(run.status.code(), Some(5));
}

fn a_shell_without_a_terminal_reads_a_script(link: &Link) {
    let run = run(&mut link.ssh().command(&["-T"], &[]), Input::Bytes(b"echo $((6*7))\nexit 4\n".to_vec()));

    assert!(String::from_utf8_lossy(&run.stdout).ends_with("42\n"), "{run:?}");
    assert_eq!(run.status.code(), Some(4));
}

fn several_sessions_share_one_connection(link: &Link) {
    let ssh = link.ssh();
    let script = r#"
        ssh=$1 to=$2 socket=$3
        "$ssh" -M -N -f -o ControlPath="$socket" "$to"
        for n in 1 2 3 4; do "$ssh" -o ControlPath="$socket" "$to" "echo $n" & done
        wait
        "$ssh" -O exit -o ControlPath="$socket" "$to" 2>/dev/null
    "#;
    let socket = ssh.folder().join("control");
    let arguments = [ssh.program(), ssh.destination().into(), socket];
    let arguments = arguments.each_ref().map(|argument| argument.to_str().unwrap());

    let printed = keyward_testsuite::shell(script, &arguments).text();

    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "3", "4"]);
    assert_eq!(link.sshd.connections(), 1);
}
