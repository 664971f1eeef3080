//! Logging in on the server with the person's own agent, which the client forwards.

use keyward_testsuite::{Account, Dbclient, KeyPair, PeerServer, Putty, Run, SshClient, Sshd, UserCa, shell};

use crate::site::{Draft, Site, stored_key};

const NOT_LOGGED_IN: &str = "The gateway could not log in on the server.";

/// A gateway that has nothing for the server, and asks for the person's agent.
#[track_caller]
fn site_with(edit: impl FnOnce(&mut Draft)) -> Site {
    site_on(Sshd::start(), edit)
}

#[track_caller]
fn site_on(sshd: Sshd, edit: impl FnOnce(&mut Draft)) -> Site {
    Site::on(sshd, |draft| {
        draft.credentials = "passwords = [\"wrong\"]\n".to_owned();
        draft.connection += "log-in = [\"agent\"]\n";
        edit(draft);
    })
}

/// `$ssh` is the client, which also prints what it is told, `$to` whom to log in as, `$key` the key that the server
/// accepts, `$near` a folder. `with KEY... -- COMMAND...` runs the command with an agent that has these keys.
#[track_caller]
fn run(site: &Site, script: &str) -> Run {
    run_as(site, &site.ssh(), script)
}

#[track_caller]
fn run_as(site: &Site, ssh: &SshClient, script: &str) -> Run {
    let (program, folder) = (ssh.program(), ssh.folder().to_str().unwrap().to_owned());
    let (key, python) = (site.sshd.key().path(), std::env::var("KEYWARD_TEST_PEERS").unwrap());
    let script = format!("ssh=$1 to=$2 key=$3 near=$4 python=$5\n{WITH}\n{script}");
    let arguments = [program.to_str().unwrap(), &ssh.destination(), key.to_str().unwrap(), &folder, &python];
    shell(&script, &arguments)
}

const WITH: &str = r#"
sed -i s/LogLevel=ERROR/LogLevel=INFO/ "$ssh"
unset SSH_AUTH_SOCK
with() {
    ssh-agent sh -c 'while [ "$1" != -- ]; do ssh-add -q "$1"; shift; done; shift; exec "$@"' sh "$@"
}
"#;

/// The person was told one calm sentence, the record says why.
#[track_caller]
fn refused(site: &Site, run: &Run, why: &str) {
    site.refused(run, "target-auth-fail", NOT_LOGGED_IN);
    let reason = site.ended(1)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(why), "{reason}");
    assert_eq!(site.sshd.logins(), 0);
}

#[test]
fn the_persons_agent_logs_in_and_the_record_names_its_key() {
    let site = site_with(|_| ());
    assert_eq!(
        run(&site, r#"with "$key" -- "$ssh" -A "$to" "echo in; echo err >&2; exit 7" || echo $?"#).text(),
        "in\n7\n"
    );
    let key = site.sshd.key().path().with_extension("pub");
    let fingerprint = shell("ssh-keygen -lf \"$1\" | cut -d ' ' -f 2", &[key.to_str().unwrap()]).text();
    let note = format!("logged in on the target with the agent's key ssh-ed25519 {}", fingerprint.trim());
    assert!(site.notes(1).contains(&note), "{note}: {:?}", site.notes(1));
    assert_eq!(site.gateway.play(&site.gateway.recordings()[0]), "in\nerr\n");
}

/// What the record says of the agent's keys, without their fingerprints.
#[track_caller]
fn taken(site: &Site) -> Vec<String> {
    let of_keys = site.notes(1).into_iter().filter(|note| note.contains("the agent's key"));
    of_keys
        .map(|note| note.split(' ').filter(|word| !word.starts_with("SHA256:")).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn a_key_of_the_agent_that_is_not_enough_for_the_server_is_in_the_record_too() {
    let account = Account::create();
    let site = site_on(Sshd::with("AuthenticationMethods publickey,password"), |draft| {
        draft.remote_user.clone_from(&account.name);
        draft.credentials = format!("passwords = [\"{}\"]\n", account.password);
        draft.connection = draft.connection.replace("[\"agent\"]", "[\"agent\", \"passwords\"]");
    });
    let script = format!(r#"with "$key" -- "$ssh" -A "{}@target" "echo in""#, account.name);
    assert_eq!(run(&site, &script).text(), "in\n");
    assert!(
        taken(&site)[0].starts_with("the target accepted the agent's key ssh-ed25519"),
        "{:?}",
        site.notes(1)
    );
}

#[test]
fn each_key_of_the_agent_that_the_server_wants_is_in_the_record() {
    let site = site_on(Sshd::with("AuthenticationMethods publickey,publickey"), |_| ());
    let other = KeyPair::generate(site.sshd.folder(), "of-the-agent", "rsa");
    let known = site.sshd.folder().join("authorized_keys");
    let both = std::fs::read_to_string(&known).unwrap() + &other.public();
    std::fs::write(known, both).unwrap();
    let script = format!(r#"with "$key" '{}' -- "$ssh" -A "$to" "echo in""#, other.path().display());
    assert_eq!(run(&site, &script).text(), "in\n");
    assert_eq!(
        taken(&site),
        [
            "the target accepted the agent's key ssh-ed25519 and wanted more",
            "logged in on the target with the agent's key ssh-rsa"
        ]
    );
}

#[test]
fn an_agent_that_logs_in_is_not_at_the_server_unless_a_rule_of_channels_says_so() {
    let site = site_with(|_| ());
    assert_eq!(run(&site, r#"with "$key" -- "$ssh" -A "$to" 'echo "[$SSH_AUTH_SOCK]"'"#).text(), "[]\n");
    assert!(site.notes(1).contains(&"agent refused by the channel policy".to_owned()));

    let site = site_with(|draft| draft.channels = "types = [\"exec\", \"agent\"]\n".to_owned());
    assert_eq!(
        run(&site, r#"with "$key" -- "$ssh" -A "$to" "ssh-add -l" | cut -d " " -f 3"#).text(),
        "user_key\n"
    );
}

#[test]
fn every_common_kind_of_key_in_an_agent_logs_in() {
    for kind in ["rsa", "ecdsa"] {
        let site = site_with(|_| ());
        let other = KeyPair::generate(site.sshd.folder(), "of-the-agent", kind);
        std::fs::write(site.sshd.folder().join("authorized_keys"), other.public()).unwrap();
        let script = format!(r#"with '{}' -- "$ssh" -A "$to" "echo in""#, other.path().display());
        assert_eq!(run(&site, &script).text(), "in\n", "{kind}");
    }
}

#[test]
fn a_certificate_in_an_agent_logs_in() {
    let authority = UserCa::new();
    let sshd = Sshd::with("TrustedUserCAKeys none");
    let user = sshd.user();
    let certified = authority.certified(&format!("-n {user}"));
    std::fs::write(sshd.folder().join("authorized_keys"), format!("cert-authority {}", authority.public()))
        .unwrap();
    let site = site_on(sshd, |_| ());
    let script = format!(r#"with '{}' -- "$ssh" -A "$to" "echo in""#, certified.path().display());
    assert_eq!(run(&site, &script).text(), "in\n");
    let notes = site.notes(1);
    assert!(notes.iter().any(|note| note.ends_with("with the certificate \"an-id\"")), "{notes:?}");
}

#[test]
fn an_agent_whose_keys_the_server_does_not_take_opens_nothing() {
    let site = site_with(|_| ());
    let script = r#"
        ssh-keygen -q -t ed25519 -N "" -f "$near/one"
        ssh-keygen -q -t rsa -N "" -f "$near/two"
        with "$near/one" "$near/two" -- "$ssh" -A "$to" "echo in"
    "#;
    refused(&site, &run(&site, script), "tried 2 keys and 0 passwords");
}

#[test]
fn an_agent_without_keys_opens_nothing() {
    let site = site_with(|_| ());
    refused(
        &site,
        &run(&site, r#"with -- "$ssh" -A "$to" "echo in""#),
        "the agent has no key that could be used",
    );
}

#[test]
fn a_client_that_forwards_no_agent_is_sent_away_and_the_record_says_how_to_mend_it() {
    let site = site_with(|_| ());
    refused(&site, &run(&site, r#"with "$key" -- "$ssh" -a "$to" "echo in""#), "it must be told to (ssh -A)");
}

#[test]
fn a_client_whose_agent_is_gone_is_sent_away() {
    let site = site_with(|_| ());
    refused(&site, &run(&site, r#"SSH_AUTH_SOCK="$near/gone" "$ssh" -A "$to" "echo in""#), "agent");
}

#[test]
fn a_person_who_does_not_confirm_the_signature_is_sent_away() {
    let site = site_with(|_| ());
    let script = r#"
        export SSH_ASKPASS=/bin/false SSH_ASKPASS_REQUIRE=force
        ssh-agent sh -c 'ssh-add -q -c "$1" && "$2" -A "$3" "echo in"' sh "$key" "$ssh" "$to"
    "#;
    refused(&site, &run(&site, script), "did not sign with 1 that the target takes");
}

#[test]
fn the_agent_is_asked_where_the_order_of_the_policy_has_it() {
    let wrong = Sshd::start();
    let pem = wrong.key().private();
    let site = Site::with(|draft| {
        draft.credentials = stored_key("ssh-ed25519", &pem);
        draft.connection += "log-in = [\"keys\", \"agent\"]\n";
    });
    assert_eq!(run(&site, r#"with "$key" -- "$ssh" -A "$to" "echo in""#).text(), "in\n");
    let site = Site::with(|draft| draft.connection += "log-in = [\"keys\", \"agent\"]\n");
    assert_eq!(run(&site, r#""$ssh" -a "$to" "echo in""#).text(), "in\n", "the key of the store is enough");
}

#[test]
fn what_follows_the_agent_in_the_order_is_tried_without_it() {
    let account = Account::create();
    let site = Site::with(|draft| {
        draft.remote_user.clone_from(&account.name);
        draft.credentials = format!("passwords = [\"{}\"]\n", account.password);
        draft.connection += "log-in = [\"agent\", \"passwords\"]\n";
    });
    let script = format!(
        r#""$ssh" -a "{}@target" "cat | sha256sum" < /usr/bin/ssh; sha256sum < /usr/bin/ssh"#,
        account.name
    );
    let printed = run(&site, &script).text();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{printed}");
}

#[test]
fn what_passes_through_a_channel_that_the_gateway_opened_is_what_was_sent() {
    let site = site_with(|_| ());
    let script = r#"
        head -c 20000000 /dev/urandom > "$near/sent"
        with "$key" -- "$ssh" -A "$to" "tee \"$near/there\"" < "$near/sent" > "$near/back"
        cmp "$near/sent" "$near/back" && cmp "$near/sent" "$near/there" && echo same
    "#;
    assert_eq!(run(&site, script).text(), "same\n");
}

#[test]
fn a_terminal_works_with_the_agent_as_without() {
    let site = site_with(|_| ());
    let script = r#"echo 'stty size; exit 3' | with "$key" -- "$ssh" -A -tt "$to" || echo "status $?""#;
    let printed = run(&site, script).text();
    assert!(printed.ends_with("status 3\n"), "{printed}");
}

#[test]
fn files_are_copied_with_the_agent() {
    for (copy, protocol) in [("scp -A -s", "sftp"), ("scp -A -O", "scp")] {
        let site = site_with(|_| ());
        let script = format!(
            r#"head -c 3000000 /dev/urandom > "$near/sent"
            with "$key" -- {copy} -q -S "$ssh" "$near/sent" "$to:$near/there"
            with "$key" -- {copy} -q -S "$ssh" "$to:$near/there" "$near/back"
            cmp "$near/sent" "$near/back" && echo same"#
        );
        assert_eq!(run(&site, &script).text(), "same\n", "{protocol}");
    }
}

#[test]
fn further_sessions_of_a_shared_connection_use_the_log_in_of_the_first() {
    let site = site_with(|_| ());
    let script = r#"
        export ssh to near
        with "$key" -- sh -c '
            "$ssh" -A -M -S "$near/control" -o ControlPersist=yes "$to" "echo one" 2>/dev/null
            "$ssh" -A -S "$near/control" "$to" "echo two"
            "$ssh" -a -S "$near/control" "$to" "echo three"
            "$ssh" -S "$near/control" -O exit "$to" 2>/dev/null'
    "#;
    assert_eq!(run(&site, script).text(), "one\ntwo\nthree\n");
    assert_eq!(site.sshd.logins(), 1);
}

#[test]
fn a_hostile_agent_opens_nothing_and_holds_nobody_up() {
    let harms = [
        ("endless", "the agent does not keep to its protocol"),
        ("short", "the agent does not keep to its protocol"),
        ("chatty", "the agent does not keep to its protocol"),
        ("flood", "the agent has no key that could be used"),
        ("junk", "the agent has no key that could be used"),
        ("wrong", "tried 1 keys"),
        ("other", "did not sign with 1 that the target takes"),
        ("dies", "the agent gave no answer"),
    ];
    let peer = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/hostile_agent.py");
    for (harm, why) in harms {
        let site = site_with(|_| ());
        let script = format!(r#""$python" {peer} {harm} "$key.pub" "$near/agent" "$ssh" -A "$to" "echo in""#);
        refused(&site, &run(&site, &script), why);
    }
}

#[test]
fn a_client_that_leaves_while_its_agent_is_asked_ends_its_session() {
    let site = site_with(|_| ());
    let peer = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/hostile_agent.py");
    let script = format!(r#""$python" {peer} mute "$key.pub" "$near/agent" "$ssh" -A "$to" "echo in""#);
    run(&site, &script);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
}

#[test]
fn a_certificate_that_does_not_permit_to_forward_agents_keeps_the_agent_shut() {
    let authority = UserCa::new();
    let site = site_with(|draft| {
        draft.authentication = format!("[[authentication.user-ca]]\nkey = \"{}\"\n", authority.public());
    });
    let key = authority.certified(&format!("-n {} -O no-agent-forwarding", site.sshd.user()));
    let ssh = SshClient::with_key(site.addr(), &site.sshd.user(), &key);
    run_as(&site, &ssh, r#"with "$key" -- "$ssh" -A "$to" "echo in" || true"#).must_succeed();
    assert_eq!(site.ended(1)["verdict"], "target-auth-fail");
    assert_eq!(site.sshd.logins(), 0);
    assert!(site.notes(1).iter().any(|note| note.contains("the certificate does not permit to forward it")));
}

/// A site whose server is this one.
#[track_caller]
fn site_before(server: &PeerServer) -> Site {
    site_with(|draft| {
        let (addr, host_key) = (server.addr(), server.host_key());
        draft.connection = format!(
            "known-host-keys = [{{ host = \"{addr}\", key = \"{host_key}\" }}]\nlog-in = [\"agent\"]\n"
        );
        draft.target = format!("{{ fixed = \"{addr}\" }}");
    })
}

#[test]
fn a_server_that_lets_in_whoever_names_a_key_is_in_the_record_as_such() {
    let server = PeerServer::start("small_packets_server", &[("PEER_HASTY", "yes")]);
    let site = site_before(&server);
    run(&site, r#"with "$key" -- "$ssh" -A "$to" "hash" < /dev/null"#).must_succeed();
    assert_eq!(
        taken(&site),
        ["logged in on the target by the name of the agent's key ssh-ed25519 without a signature"]
    );
}

#[test]
fn a_server_that_takes_little_in_one_packet_gets_no_more() {
    let server = PeerServer::start("small_packets_server", &[]);
    let site = site_before(&server);
    let script = r#"
        head -c 3000000 /dev/urandom > "$near/sent"
        with "$key" -- "$ssh" -A "$to" "hash" < "$near/sent" > "$near/hash"
        echo "$(sha256sum < "$near/sent" | cut -d " " -f 1) True" | cmp - "$near/hash" && echo same
    "#;
    assert_eq!(run(&site, script).text(), "same\n");
}

#[test]
fn dropbear_forwards_an_agent_for_the_log_in() {
    let site = site_with(|_| ());
    let client = Dbclient::with_key(site.addr(), &site.sshd.user(), &site.person);
    let (program, to) = (client.program(), client.destination());
    let script =
        format!(r#"with "$key" -- '{}' -A {to} "cat | wc -c" < /usr/bin/ssh-agent"#, program.display());
    let size = std::fs::metadata("/usr/bin/ssh-agent").unwrap().len();
    assert_eq!(run(&site, &script).text(), format!("{size}\n"));
}

#[test]
fn putty_forwards_its_agent_for_the_log_in() {
    let site = site_with(|_| ());
    let putty = Putty::with_key(site.addr(), &site.sshd.user(), &site.person);
    let key = site.sshd.key().path().to_str().unwrap().to_owned();
    let printed = putty.plink_with_agent(&key, "echo in");
    assert_eq!(printed.text(), "in\n");
}
