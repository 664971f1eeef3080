//! What the channel policy allows beside programs: forwards of ports and sockets, the agent, the screen.

use keyward_testsuite::{Sshd, free_port, shell};

use crate::site::Site;

/// Programs, and one more rule.
fn allowing(rule: &str) -> Site {
    allowing_on(Sshd::start(), rule)
}

fn allowing_on(sshd: Sshd, rule: &str) -> Site {
    Site::on(sshd, |draft| {
        draft.channels = format!("types = [\"shell\", \"exec\"]\n\n[[channel-policy.rule]]\n{rule}\n");
    })
}

/// `$ssh` is the client, `$to` whom to log in as, `$near` a folder, `$port` the server's own port, `$free` one that nobody has.
#[track_caller]
fn prints(site: &Site, script: &str, printed: &str) {
    let ssh = site.ssh();
    let (program, folder) = (ssh.program(), ssh.folder().to_str().unwrap().to_owned());
    let python = std::env::var("KEYWARD_TEST_PEERS").unwrap();
    let (port, free) = (site.sshd.addr().port().to_string(), free_port().to_string());
    let script = format!("ssh=$1 to=$2 near=$3 python=$4 port=$5 free=$6\n{TALKING}\n{script}");
    let arguments = [program.to_str().unwrap(), &ssh.destination(), &folder, &python, &port, &free];
    assert_eq!(shell(&script, &arguments).text(), printed);
}

/// `$talking` is the client, which is otherwise told to be quiet.
const TALKING: &str =
    r#"talking=$near/talking; sed s/LogLevel=ERROR/LogLevel=INFO/ "$ssh" > "$talking"; chmod +x "$talking""#;

#[track_caller]
fn notes(site: &Site, wanted: &[&str]) {
    let notes = site.notes(1);
    for note in wanted {
        assert!(notes.iter().any(|text| text.contains(note)), "{note:?} is not in {notes:?}");
    }
    assert_eq!(site.ended(1)["verdict"], "accept");
}

#[test]
fn a_port_is_reached_through_the_server_where_the_policy_allows_it() {
    let site = allowing("types = [\"local-forward\"]\nhosts = [\"127.0.0.1\"]");
    prints(&site, r#""$ssh" -W "127.0.0.1:$port" "$to" < /dev/null | head -c 8"#, "SSH-2.0-");
    notes(&site, &["local-forward (127.0.0.1:", "opened as channel 0"]);
}

#[test]
fn a_port_that_the_policy_does_not_have_is_not_reached() {
    let site = allowing("types = [\"local-forward\"]\nhosts = [\"127.0.0.1:1\", \"*.example.com\"]");
    let script = r#"
        "$talking" -W "127.0.0.1:$port" "$to" < /dev/null 2> "$near/told" || true
        grep -o "administratively prohibited: not allowed here" "$near/told"
    "#;
    prints(&site, script, "administratively prohibited: not allowed here\n");
    let port = site.sshd.addr().port();
    notes(&site, &[&format!("local-forward (127.0.0.1:{port}) refused by the channel policy")]);
}

#[test]
fn a_port_that_the_server_cannot_reach_is_said_in_the_servers_words() {
    let site = allowing("types = [\"local-forward\"]");
    let script = r#"
        "$talking" -W "127.0.0.1:$free" "$to" < /dev/null 2> "$near/told" || true
        grep -o "connect failed: Connection refused" "$near/told"
    "#;
    prints(&site, script, "connect failed: Connection refused\n");
}

#[test]
fn a_socks_proxy_works_beside_a_command() {
    let site = allowing("types = [\"dynamic\"]");
    let script = r#"
        "$ssh" -M -N -f -S "$near/control" -D "127.0.0.1:$free" "$to"
        for n in 1 2 3; do
            { ncat --proxy "127.0.0.1:$free" --proxy-type socks5 127.0.0.1 "$port" < /dev/null 2>/dev/null || true; } | head -c 8
            "$ssh" -S "$near/control" "$to" "echo $n"
        done
        "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
    "#;
    prints(&site, script, "SSH-2.0-1\nSSH-2.0-2\nSSH-2.0-3\n");
}

#[test]
fn the_server_listens_for_the_client_where_the_policy_allows_it() {
    let site = allowing("types = [\"remote-forward\"]\nhosts = [\"localhost\"]");
    let script = r#"
        "$ssh" -R "$free:127.0.0.1:$port" "$to" "bash -c 'exec 3<>/dev/tcp/127.0.0.1/$free; head -c 8 <&3'"
    "#;
    prints(&site, script, "SSH-2.0-");
    notes(&site, &["remote-forward (localhost:", ") allowed", "opened as channel 1"]);
}

#[test]
fn the_server_does_not_listen_where_the_policy_does_not_allow_it() {
    let site = allowing("types = [\"remote-forward\"]\nhosts = [\"localhost\"]");
    let script = r#"
        "$ssh" -o ExitOnForwardFailure=yes -R "*:$free:127.0.0.1:$port" "$to" "echo not here" 2>/dev/null || echo "refused"
    "#;
    prints(&site, script, "refused\n");
    notes(&site, &["remote-forward (:", "refused by the channel policy"]);
}

#[test]
fn the_server_may_choose_the_port_on_which_it_listens() {
    let site = allowing("types = [\"remote-forward\"]");
    let script = r#"
        "$ssh" -M -N -f -S "$near/control" "$to"
        chosen=$("$ssh" -S "$near/control" -O forward -R "0:127.0.0.1:$port" "$to")
        "$ssh" -S "$near/control" "$to" "bash -c 'exec 3<>/dev/tcp/127.0.0.1/$chosen; head -c 8 <&3'"
        "$ssh" -S "$near/control" -O cancel -R "$chosen:127.0.0.1:$port" "$to" 2>/dev/null
        "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
    "#;
    prints(&site, script, "SSH-2.0-");
}

#[test]
fn sockets_are_forwarded_both_ways() {
    let site = allowing("types = [\"streamlocal\"]\npaths = [\".*/there\"]");
    let script = r#"
        "$ssh" -M -N -f -S "$near/control" -R "$near/there:127.0.0.1:$port" -L "$near/here:$near/there" "$to"
        { ncat -U "$near/here" < /dev/null 2>/dev/null || true; } | head -c 8
        "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null
    "#;
    prints(&site, script, "SSH-2.0-");
    notes(&site, &["/there) allowed", "streamlocal (", "opened as channel 0", "opened as channel 1"]);
}

#[test]
fn the_agent_is_at_the_server_where_the_policy_allows_it() {
    let site = allowing("types = [\"agent\"]");
    let script = r#"
        ssh-keygen -q -t ed25519 -N "" -C "of the agent" -f "$near/key"
        ssh-agent sh -c 'ssh-add -q "$1/key" && "$2" -A "$3" ssh-add -l' sh "$near" "$ssh" "$to" | cut -d " " -f 3-
    "#;
    prints(&site, script, "of the agent (ED25519)\n");
    notes(&site, &["agent allowed", "agent opened as channel 1"]);
}

#[test]
fn the_screen_is_at_the_server_where_the_policy_allows_it() {
    let site = allowing_on(Sshd::with("X11Forwarding yes"), "types = [\"x11\"]");
    // The client refuses what does not know its cookie; that the channel opens is the point.
    let script = r#"
        export DISPLAY="127.0.0.1:17" XAUTHORITY="$near/cookies"
        "$ssh" -Y "$to" 'test -n "$DISPLAY" && echo there; n=${DISPLAY#*:}; exec 3<>/dev/tcp/127.0.0.1/$((6000 + ${n%.*})); echo "hello there!" >&3; timeout 60 cat <&3' 2>/dev/null || true
    "#;
    prints(&site, script, "there\n");
    notes(&site, &["x11 allowed", "x11 opened as channel 1"]);
}

#[test]
fn a_forward_is_recorded_as_its_rule_says() {
    let site = allowing("types = [\"local-forward\"]");
    prints(&site, r#""$ssh" -W "127.0.0.1:$port" "$to" < /dev/null | head -c 8"#, "SSH-2.0-");
    assert_eq!(site.ended(1)["verdict"], "accept");
    let played = site.gateway.played(&site.gateway.recordings()[0]);
    assert!(played.stdout.starts_with(b"SSH-2.0-"), "{played:?}");
}
