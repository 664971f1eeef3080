//! The gateway as a jump host: `ssh -J keyward server`, where each server is a session of its own.

use std::fs;
use std::process::Command;

use keyward_testsuite::{
    Askpass, PATIENCE, Paramiko, PeerServer, Plug, Program, Putty, Sshd, UserCa, password_line,
    peers_program, plugin_python, until,
};
use serde_json::{Value, json};

use crate::hops::{config, ended, jump_host, notes, site, site_with, with_config};
use crate::site::{Draft, Site};
use crate::tools::CONFIGURE_ANSIBLE;

#[test]
fn a_server_behind_the_jump_host_is_a_session_of_its_own() {
    let site = site();
    assert_eq!(with_config(&site, "$ssh db 'echo in'").text(), "in\n");

    let (jump, hops) = ended(&site, 2);
    let [hop] = &hops[..] else { panic!("{hops:#?}") };
    assert_eq!((&jump["verdict"], &hop["verdict"]), (&"accept".into(), &"accept".into()));
    assert_eq!(hop["jump_host"], jump["id"]);
    assert_eq!(hop["target"]["address"], site.sshd.addr().to_string());
    assert_eq!(
        (&hop["gateway_user"], &hop["remote_user"]),
        (&jump["gateway_user"], &site.sshd.user().into())
    );
    assert!(hop["trail"].is_string() && notes(hop).contains("exec opened as channel 0"), "{hop:#}");
    assert!(jump["trail"].is_null() && jump["target"].is_null(), "{jump:#}");
    let opened = format!("hop to {} opened as session {}", site.sshd.addr(), hop["id"].as_str().unwrap());
    assert!(notes(&jump).contains(&opened), "{jump:#}");
}

#[test]
fn whoever_forgets_to_name_a_server_reads_what_to_do() {
    let site = site();
    for what in ["keyward", "keyward 'echo in'", "-s keyward sftp", "-tt keyward"] {
        let run = with_config(&site, &format!("$ssh {what}"));
        assert_eq!(run.status.code(), Some(255), "{run:?}");
        assert!(run.stdout.is_empty() && run.stderr.contains("ssh -J you@gateway user@server"), "{run:?}");
    }
    let session = site.ended(4);
    assert_eq!(session["verdict"], "accept");
    assert!(
        notes(&session).contains("shell, command or subsystem refused: this is a jump host"),
        "{session:#}"
    );
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_person_who_is_not_known_at_the_jump_host_gets_no_further() {
    let site = site_with(|draft| draft.methods = "\"password\"".to_owned());
    let run = with_config(&site, "$ssh db 'echo in'");
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stdout.is_empty(), "{run:?}");
    let session = site.ended(1);
    assert!(session["jump_host"].is_null() && session["gateway_user"].is_null(), "{session:#}");
    assert_eq!(session["verdict"], "auth-fail", "{session:#}");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_server_that_is_not_allowed_is_refused_within_a_session_of_its_own() {
    let other = Sshd::start();
    let site = site();
    let run = with_config(&site, &format!("$ssh -p {} db 'echo in'", other.addr().port()));
    assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
    let (jump, hops) = ended(&site, 2);
    assert_eq!((&jump["verdict"], &hops[0]["verdict"]), (&"accept".into(), &"deny".into()));
    assert!(hops[0]["reason"].as_str().unwrap().contains("the allow list has no entry"), "{:#}", hops[0]);
    assert_eq!(other.connections(), 0);
}

/// The AA plugin is asked for the hop, where everything is known, and for nothing before.
const WHO: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, gateway_user, server_username, key_value_pairs):
        note("authenticate", user=gateway_user, remote=server_username, pairs=key_value_pairs)
        return {"verdict": "ACCEPT"}

    def authorize(self, gateway_user, gateway_groups, server_username, server_port):
        note("authorize", user=gateway_user, groups=gateway_groups, remote=server_username, port=server_port)
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        note("session_ended")
"#;

#[test]
fn plugins_hear_of_each_hop_who_goes_where_as_whom() {
    let plug = Plug::aa(WHO);
    let bundle = plug.bundle();
    let mapped = |draft: &mut Draft| {
        jump_host(draft);
        draft.connection += "aa-plugin = \"aa\"\nusermapping = \"ops\"\n";
        let remote = draft.remote_user.clone();
        draft.more = format!(
            "[[environment]]\nname = \"python3\"\npython = \"{}\"\n\n\
             [[plugin]]\nname = \"aa\"\nbundle = \"aa_bundle\"\n\n\
             [[user]]\nname = \"alice\"\ngroups = [\"ops\"]\n{}\n\
             [[usermapping]]\nname = \"ops\"\n[[usermapping.rule]]\nremote-user = \"{remote}\"\ngroups = [\"ops\"]\n",
            plugin_python().display(),
            password_line("alice's"),
        );
        draft.methods = "\"keyboard-interactive\"".to_owned();
    };
    let site = Site::planned(Sshd::start(), mapped, |plan| plan.plugin(&bundle));
    let askpass = Askpass::new(&["alice's"]);
    let script = format!(
        "export SSH_ASKPASS='{}' SSH_ASKPASS_REQUIRE=force
         $ssh -o BatchMode=no -o ProxyCommand=\"$ssh -o BatchMode=no -o PreferredAuthentications=keyboard-interactive \
         -l ticket=17@alice -W %h:%p keyward\" -l code=5@{} db 'echo in'",
        askpass.program().display(),
        site.sshd.user(),
    );
    assert_eq!(with_config(&site, &script).text(), "in\n");

    let (jump, hops) = ended(&site, 2);
    let hop = &hops[0];
    assert_eq!((&jump["gateway_user"], &hop["gateway_user"]), (&"alice".into(), &"alice".into()));
    assert_eq!(jump["plugins"], json!([]));
    assert_eq!(hop["gateway_groups"], json!(["ops"]));
    until("the plugin knows the end", PATIENCE, || (plugin_notes(&site).len() == 3).then_some(()));
    let remote = site.sshd.user();
    assert_eq!(
        plugin_notes(&site),
        [
            json!(["authenticate", {"user": "alice", "remote": remote, "pairs": {"ticket": "17", "code": "5"}}]),
            json!(["authorize", {"user": "alice", "groups": ["ops"], "remote": remote, "port": site.sshd.addr().port()}]),
            json!(["session_ended", {}]),
        ]
    );
}

fn plugin_notes(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.gateway.data().join("plugins/aa/state/notes")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_login_string_of_a_hop_names_no_other_gateway_user() {
    let site = site();
    let run = with_config(&site, &format!("$ssh -l gu=somebody@{} db 'echo in'", site.sshd.user()));
    assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
    let (_, hops) = ended(&site, 2);
    assert_eq!(hops[0]["verdict"], "auth-fail", "{:#}", hops[0]);
    assert!(hops[0]["reason"].as_str().unwrap().contains("another gateway user"), "{:#}", hops[0]);
}

#[test]
fn files_go_both_ways_over_a_jump_and_arrive_whole() {
    let site = site();
    let script = r#"
        near=$1 far=$1/far
        mkdir -p "$far" "$near/tree/deep"
        head -c 20000003 /dev/urandom > "$near/file"
        for n in $(seq 40); do echo "$n" > "$near/tree/deep/$n"; done
        scp -q -F "$config" "$near/file" "db:$far/by-sftp"
        scp -q -O -F "$config" "$near/file" "db:$far/by-scp"
        scp -q -F "$config" "db:$far/by-sftp" "$near/back"
        cmp "$near/file" "$far/by-sftp"; cmp "$near/file" "$far/by-scp"; cmp "$near/file" "$near/back"
        rsync -a -e "$ssh" "$near/tree" "db:$far/"
        diff -r "$near/tree" "$far/tree"
        $ssh -o RekeyLimit=1M db cat < "$near/file" | cmp - "$near/file"
        $ssh -o ProxyCommand="$ssh -o RekeyLimit=1M -W %h:%p keyward" db cat < "$near/file" | cmp - "$near/file"
        echo done
    "#;
    assert_eq!(with_config(&site, script).text(), "done\n");
    let (_, hops) = {
        let sessions = site.gateway.ended_sessions(12);
        sessions.into_iter().partition::<Vec<Value>, _>(|session| session["jump_host"].is_null())
    };
    assert_eq!(hops.len(), 6);
    assert!(hops.iter().all(|hop| hop["verdict"] == "accept"), "{hops:#?}");
}

#[test]
fn what_a_client_sends_before_it_closes_a_hop_arrives_whole() {
    // sshd throws away what its command has not read when its client leaves.
    let server = PeerServer::start("small_packets_server", &[]);
    let site = site_with(|draft| {
        let (addr, host_key) = (server.addr(), server.host_key());
        draft.connection = format!("known-host-keys = [{{ host = \"{addr}\", key = \"{host_key}\" }}]\n");
        draft.target = format!("{{ inband = {{ allow = [\"{addr}\"], jump-host = true }} }}");
    });
    let (host, port) = (server.addr().ip().to_string(), server.addr().port().to_string());
    let client = Paramiko { addr: site.addr(), login: &site.sshd.user(), key: &site.person };
    let _client = client.start("hop_leaves", &[&host, &port, "6000000"]);
    let whole = || server.log().iter().any(|line| line == "received 6000000").then_some(());
    // Six megabytes through two layers of Python take their time.
    until("the server has all of it", PATIENCE * 4, whole);
}

#[test]
fn one_connection_to_the_jump_host_serves_several_hops_at_once_and_its_end_is_theirs() {
    let site = site();
    let script = r#"
        $ssh $control -o ControlMaster=yes -fN keyward
        for n in 1 2 3 4 5; do
            hop "head -c 3000000 /dev/zero; echo $n" | tail -c 2 > "$1/out-$n" &
        done
        wait
        cat "$1"/out-*
        hop "echo up; exec sleep 100" > "$1/last" &
        last=$!
        while ! grep -q up "$1/last"; do sleep 0.1; done
        $ssh $control -O exit keyward 2>/dev/null
        wait $last || echo "cut"
    "#;
    assert_eq!(with_config(&site, script).text(), "1\n2\n3\n4\n5\ncut\n");
    let (jump, hops) = ended(&site, 7);
    assert_eq!((&jump["verdict"], hops.len()), (&"accept".into(), 6));
    assert!(hops.iter().all(|hop| hop["verdict"] == "accept"), "{hops:#?}");
}

#[test]
fn a_jump_host_forwards_nothing_and_listens_for_nobody() {
    let site = site();
    let script = "
        ! $ssh -o ExitOnForwardFailure=yes -N -R 127.0.0.1:0:127.0.0.1:22 keyward 2>&1
        ! $ssh -W '[bad host]:22' keyward < /dev/null 2>&1
    ";
    let said = with_config(&site, script).text();
    assert!(said.contains("this is no name and no address of a server"), "{said}");
    site.gateway.ended_sessions(2);
    let all: String = site
        .gateway
        .sessions()
        .iter()
        .map(|session| notes(&site.gateway.session(session["id"].as_str().unwrap())))
        .collect();
    assert!(all.contains("remote forward refused: this is a jump host"), "{all}");
    assert!(all.contains("hop to bad host:22 refused: this is no name"), "{all}");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_jump_host_without_hops_is_idle_and_with_them_it_is_not() {
    // Longer than a busy machine holds up a line of the command.
    let site = site_with(|draft| draft.settings = "timeout = 8\n".to_owned());
    let idle = with_config(&site, "timeout 60 $ssh -N keyward");
    assert_eq!(idle.status.code(), Some(255), "{idle:?}");
    assert_eq!(site.ended(1)["verdict"], "timeout");

    let busy = with_config(&site, "$ssh db 'for n in $(seq 12); do sleep 1; echo $n; done' | tail -n 1");
    assert_eq!(busy.text(), "12\n");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a client that goes on beside the test")]
fn a_person_behind_a_jump_host_reads_that_the_gateway_stops() {
    let mut site = site();
    let config = config(&site);
    let mut command = Command::new("ssh");
    command.args(["-F", &config, "db", "echo up; exec sleep 100"]).env_remove("SSH_AUTH_SOCK");
    let person = Program::start(&mut command);
    let runs = |session: &Value| {
        let session = site.gateway.session(session["id"].as_str().unwrap());
        notes(&session).contains("exec opened as channel 0")
    };
    until("the command runs", PATIENCE, || site.gateway.sessions().iter().any(runs).then_some(()));
    site.gateway.stop();
    person.ended(PATIENCE);
    // Its last words may be read after its end is known.
    let said = |line: &str| line.contains("ended by the gateway").then_some(());
    assert_eq!(person.find_line("why it ends", PATIENCE, said), Some(()), "{}", person.log().join("\n"));
    let (jump, hops) = ended(&site, 2);
    for session in [&jump, &hops[0]] {
        assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
    }
}

#[test]
fn hops_are_opened_by_the_policy_of_today_or_not_at_all() {
    let site = site();
    let script = r#"
        $ssh $control -o ControlMaster=yes -fN keyward
        hop "echo before"
        : > "$1/ready"
        while [ ! -e "$1/changed" ]; do sleep 0.1; done
        ! hop "echo after" 2>&1
        $ssh $control -O exit keyward 2>/dev/null
        $ssh db "echo anew"
        "#;
    let printed = std::thread::scope(|scope| {
        let near = site.sshd.folder().join("near");
        let run = scope.spawn(|| with_config(&site, script).text());
        until("the first hop is done", PATIENCE, || near.join("ready").exists().then_some(()));
        site.gateway.edit_policy(|text| text.replace("drain = 30", "drain = 31"));
        site.gateway.reread("the policy document was read again");
        fs::write(near.join("changed"), "").unwrap();
        run.join().unwrap()
    });
    assert!(printed.starts_with("before\n") && printed.ends_with("anew\n"), "{printed}");
    let sessions = site.gateway.ended_sessions(4);
    let first = site.gateway.session(sessions[3]["id"].as_str().unwrap());
    assert!(notes(&first).contains("refused: the policy of the gateway has changed"), "{first:#}");
}

#[test]
fn a_certificate_that_permits_no_forwarding_opens_no_hop() {
    let ca = UserCa::new();
    let site = site_with(|draft| {
        draft.authentication = format!("[[authentication.user-ca]]\nkey = \"{}\"\n", ca.public());
    });
    for (options, is_allowed) in [("", true), ("-O clear -O permit-pty", false)] {
        let key = ca.certified(&format!("-n {} {options}", site.sshd.user()));
        let proxy = format!("$ssh -i {} -W %h:%p keyward", key.path().display());
        let script = format!("$ssh -o ProxyCommand=\"{proxy}\" db 'echo in'");
        // The configuration's own key is known as well: without it only the certificate is left.
        fs::rename(site.person.path(), site.sshd.folder().join("away")).ok();
        let run = with_config(&site, &script);
        assert_eq!(run.status.success(), is_allowed, "{run:?}");
        assert_eq!(
            run.stderr.contains("your certificate does not permit forwarding"),
            !is_allowed,
            "{run:?}"
        );
    }
}

#[test]
fn other_clients_jump_as_well() {
    let site = site();
    let (host, port) = (site.sshd.addr().ip().to_string(), site.sshd.addr().port().to_string());
    assert_eq!(site.paramiko("hop", &[&host, &port]), "in\n 0\n");
    assert_eq!(site.paramiko("async_hop", &[&host, &port, "4"]), "True True True True\n");
    let putty = Putty::with_key(site.addr(), &site.sshd.user(), &site.person);
    let run = putty.plink_behind(site.sshd.addr(), "echo in");
    assert_eq!(run.text(), "in\n");
}

#[test]
fn ansible_runs_a_playbook_behind_a_jump_host() {
    let site = site();
    let script = r#"
        near=$1 far=$1/far; mkdir -p "$far"
        configure_ansible "-F $config -o ControlMaster=auto -o ControlPersist=20s"
        echo "db ansible_python_interpreter=/usr/bin/python3" > "$near/hosts"
        cat > "$near/play.yml" <<END
- hosts: all
  gather_facts: false
  tasks:
    - copy: { src: "$near/file", dest: "$far/copied", mode: "0640" }
    - fetch: { src: "$far/copied", dest: "$near/fetched", flat: true }
END
        head -c 300001 /dev/urandom > "$near/file"
        "$4" "$near/play.yml"
        cmp "$near/file" "$near/fetched"
    "#;
    let script = script.replace("\"$4\"", peers_program("ansible-playbook").to_str().unwrap());
    let printed = with_config(&site, &format!("{CONFIGURE_ANSIBLE}{script}")).text();
    assert!(printed.contains("ok=2 ") && printed.contains("failed=0 "), "{printed}");
}

#[test]
fn hops_without_a_word_in_them_are_bounded_and_leave_nothing_behind() {
    let site = site();
    let (host, port) = (site.sshd.addr().ip().to_string(), site.sshd.addr().port().to_string());
    let printed = site.paramiko("hop_flood", &[&host, &port]);
    assert_eq!(printed, "100 Resource shortage\nleft True\n");
    assert_eq!(site.paramiko("hop_overrun", &[&host, &port]), "hung up\n");
    let verdicts: Vec<Value> =
        site.gateway.ended_sessions(2).into_iter().map(|session| session["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accept", "accept"]);
    assert_eq!(with_config(&site, "$ssh db 'echo in'").text(), "in\n");
}
