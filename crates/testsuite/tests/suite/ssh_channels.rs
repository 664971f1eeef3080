//! What passes in the channels, and which channels there are.

use keyward_testsuite::{Account, Input, KeyPair, Link, Paramiko, SshClient, Sshd, shell};

use crate::site::Site;

on_both_routes! {
    what_is_sent_before_the_command_is_answered_arrives,
    keys_are_changed_in_the_middle_of_a_transfer,
    twenty_transfers_of_odd_sizes_in_a_row_all_end,
    twenty_echoes_of_odd_sizes_in_a_row_all_end,
    a_connection_without_any_channel_lasts_until_it_is_closed,
}

fn what_is_sent_before_the_command_is_answered_arrives(link: &Link) {
    assert_eq!(link.paramiko("early", &[]), "1 0\n1000 0\n300000 0\n");
    let script = r#"for n in $(seq 10); do printf 'piece %s\n' "$n" | "$1" "$2" cat; done"#;
    let printed = in_shell(link, script);
    assert_eq!(printed, (1..=10).map(|n| format!("piece {n}\n")).collect::<String>());
}

fn keys_are_changed_in_the_middle_of_a_transfer(link: &Link) {
    let script = r#"
        head -c 64M /dev/urandom > "$3/noise"
        sha256sum < "$3/noise"
        "$1" -o RekeyLimit=1M "$2" sha256sum < "$3/noise"
        "$1" -o RekeyLimit=1M "$2" "cat '$3/noise'" | sha256sum
        "$1" -o RekeyLimit=1M "$2" cat < "$3/noise" | sha256sum
    "#;
    let printed = in_shell(link, script);
    let sums: Vec<&str> = printed.lines().collect();
    assert_eq!(sums.len(), 4);
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{printed}");
}

fn twenty_transfers_of_odd_sizes_in_a_row_all_end(link: &Link) {
    let script = r#"
        timeout 100 "$1" "$2" 'cat > '"'$3/copy'" < "$3/piece"
        cmp "$3/copy" "$3/piece"
        timeout 100 "$1" "$2" "cat '$3/piece'" < /dev/null | cmp - "$3/piece"
    "#;
    for_twenty_sizes(link, script);
}

/// Both directions are full at once: neither may wait for the other.
fn twenty_echoes_of_odd_sizes_in_a_row_all_end(link: &Link) {
    for_twenty_sizes(link, r#"timeout 100 "$1" "$2" cat < "$3/piece" | cmp - "$3/piece""#);
}

#[track_caller]
fn for_twenty_sizes(link: &Link, each: &str) {
    let script = format!(
        r#"
        head -c 9000000 /dev/urandom > "$3/noise"
        for n in $(seq 20); do
            size=$(( (n * n * n * 1061 + n * 32768 - n % 3) % 9000000 ))
            head -c $size "$3/noise" > "$3/piece"
            echo "with $size bytes" >&2
            {each}
        done
        echo done
    "#
    );
    assert_eq!(in_shell(link, &script), "done\n");
}

fn a_connection_without_any_channel_lasts_until_it_is_closed(link: &Link) {
    let script = r#"
        "$1" -M -N -f -o ControlPath="$3/control" "$2"
        "$1" -O check -o ControlPath="$3/control" "$2" 2>/dev/null
        "$1" -O exit -o ControlPath="$3/control" "$2" 2>/dev/null
    "#;
    in_shell(link, script);
}

#[test]
fn a_signal_reaches_the_command() {
    // sshd passes signals on only where it has given up its rights, so not to root's commands.
    let (sshd, account) = (Sshd::start(), Account::create());
    let direct = Paramiko { addr: sshd.addr(), login: &account.name, key: sshd.key() };
    assert_eq!(direct.run("signal_command", &[]).text(), "ready caught 9\n");

    let site = Site::on(sshd, |draft| draft.remote_user.clone_from(&account.name));
    let through = Paramiko { addr: site.addr(), login: &account.name, key: &site.person };
    assert_eq!(through.run("signal_command", &[]).text(), "ready caught 9\n");
}

#[test]
fn keys_are_changed_on_the_servers_side_too() {
    let site = Site::on(Sshd::with("RekeyLimit 1M"), |_| ());
    let bytes: Vec<u8> = (0..16_000_003_u32).map(|n| (n % 251) as u8).collect();
    let run = site.ssh().exec_with("cat", Input::Bytes(bytes.clone()));
    run.must_succeed();
    assert!(run.stdout == bytes, "{} bytes of {}", run.stdout.len(), bytes.len());
}

#[test]
fn a_connection_without_any_channel_is_an_accepted_session() {
    let site = Site::open();
    let ssh = site.ssh();
    let script = r#"
        "$1" -M -N -f -o ControlPath="$3/control" "$2"
        "$1" -O exit -o ControlPath="$3/control" "$2" 2>/dev/null
    "#;
    let folder = ssh.folder().to_str().unwrap();
    shell(script, &[ssh.program().to_str().unwrap(), &ssh.destination(), folder]).must_succeed();
    assert_eq!(site.ended(1)["verdict"], "accept");
}

/// Each is refused, noted, and no reason to end the session.
mod refused {
    use super::*;

    #[test]
    fn a_forward_to_a_port() {
        let script = r#"
            "$ssh" -M -N -f -S "$near/control" -L "$near/socket:127.0.0.1:$port" "$to" 2>/dev/null
            "$python" -B -c 'import socket,sys; s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1]); print(s.recv(100))' "$near/socket"
            "$ssh" -S "$near/control" "$to" "echo still here"
            "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
        "#;
        assert_refused(script, "b''\nstill here\n", "local-forward (127.0.0.1:");
    }

    #[test]
    fn a_forward_from_a_port() {
        let script = r#"
            "$ssh" -o ExitOnForwardFailure=yes -R "0:127.0.0.1:$port" "$to" "echo not here" || echo refused
            "$ssh" -o ExitOnForwardFailure=no -R "0:127.0.0.1:$port" "$to" "echo still here"
        "#;
        let site = prints(script, "refused\nstill here\n");
        assert_noted(&site, 2, "remote-forward (localhost:0) refused by the channel policy");
    }

    #[test]
    fn a_forward_from_a_socket() {
        let script = r#""$ssh" -R "$near/there:127.0.0.1:$port" "$to" "echo still here"; ls "$near/there" 2>&- || echo none"#;
        assert_refused(script, "still here\nnone\n", "refused by the channel policy");
    }

    #[test]
    fn the_agent() {
        let script = r#"ssh-agent "$ssh" -A "$to" 'echo "[$SSH_AUTH_SOCK]"'"#;
        assert_refused(script, "[]\n", "agent refused by the channel policy");
    }

    #[test]
    fn x11() {
        let script = r#"DISPLAY=:99 XAUTHORITY=/dev/null "$ssh" -Y "$to" 'echo "[$DISPLAY]"'"#;
        assert_refused(script, "[]\n", "x11 refused by the channel policy");
    }

    #[test]
    fn a_tunnel_and_a_type_that_nobody_knows() {
        let site = Site::open();
        let printed = site.paramiko("odd_channels", &["tun@openssh.com", "made-up@example.com"]);
        assert_eq!(printed, "tun@openssh.com refused\nmade-up@example.com refused\nstill here\n");
        assert_eq!(site.ended(1)["verdict"], "accept");
    }

    #[test]
    fn a_tunnel_with_a_note() {
        let site = Site::open();
        site.paramiko("odd_channels", &["tun@openssh.com"]);
        assert_noted(&site, 1, "tunnel refused");
    }

    /// In the one session of the script.
    #[track_caller]
    fn assert_refused(script: &str, printed: &str, note: &str) {
        assert_noted(&prints(script, printed), 1, note);
    }

    #[track_caller]
    fn prints(script: &str, printed: &str) -> Site {
        let site = Site::open();
        let ssh = site.ssh();
        let (program, folder) = (ssh.program(), ssh.folder().to_str().unwrap().to_owned());
        let python = std::env::var("KEYWARD_TEST_PEERS").unwrap();
        let port = site.sshd.addr().port().to_string();
        let script = format!("ssh=$1 to=$2 near=$3 python=$4 port=$5\n{script}");
        let run = shell(&script, &[program.to_str().unwrap(), &ssh.destination(), &folder, &python, &port]);
        assert_eq!(run.text(), printed);
        site
    }

    /// In the newest of so many sessions.
    #[track_caller]
    fn assert_noted(site: &Site, sessions: usize, note: &str) {
        let notes = site.notes(sessions);
        assert!(notes.iter().any(|text| text.contains(note)), "{note:?} is not in {notes:?}");
        assert_eq!(site.ended(sessions)["verdict"], "accept");
    }
}

#[test]
fn a_command_that_no_rule_allows_is_refused_and_said_so() {
    let site = Site::with(|draft| draft.channels = "types = [\"sftp\"]\n".to_owned());
    let refused = site.ssh().exec("echo in");
    assert!(!refused.status.success());
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "");
    assert!(refused.stderr.contains("keyward: exec is not allowed here."), "{}", refused.stderr);
    let notes = site.notes(1);
    assert!(notes.iter().any(|note| note.contains("exec refused by the channel policy")), "{notes:?}");
}

#[test]
fn a_second_person_with_an_unknown_key_disturbs_nobody() {
    let site = Site::open();
    let stranger = KeyPair::generate(site.sshd.folder(), "stranger", "ed25519");
    let other = SshClient::with_key(site.addr(), &site.sshd.user(), &stranger);
    let ssh = site.ssh();
    let busy = std::thread::spawn(move || ssh.exec("sleep 1; echo done"));
    assert_eq!(other.exec("true").status.code(), Some(255));
    assert_eq!(busy.join().unwrap().text(), "done\n");
}

/// `$1` is the client, `$2` whom to log in as, `$3` a folder.
#[track_caller]
fn in_shell(link: &Link, script: &str) -> String {
    let ssh = link.ssh();
    let folder = ssh.folder().to_str().unwrap();
    shell(script, &[ssh.program().to_str().unwrap(), &ssh.destination(), folder]).text()
}
