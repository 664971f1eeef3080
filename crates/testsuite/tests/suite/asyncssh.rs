//! AsyncSSH, which does what no stock client can be told to do.

use std::fs;

use keyward_testsuite::{KeyPair, Link, Paramiko, PeerServer, Route, shell};

use crate::site::Site;

on_both_routes! {
    commands_end_with_their_status_or_their_signal,
    either_direction_ends_alone,
    a_channel_that_nobody_reads_stops_no_other_channel,
    a_terminal_learns_its_size_in_the_middle_of_output,
    a_tree_goes_there_and_back_over_sftp_and_scp,
    a_symbolic_link_leads_where_it_was_meant_to,
}

fn commands_end_with_their_status_or_their_signal(link: &Link) {
    assert_eq!(link.asyncssh("async_commands", &[]), "through complaint 6\n-1 TERM\n-1 SEGV\n");
}

fn either_direction_ends_alone(link: &Link) {
    let file = link.sshd.folder().join("late");
    let printed = link.asyncssh("async_half_close", &[file.to_str().unwrap()]);
    assert_eq!(printed, "''\n5 after the end of the output\n['before', '1', '2', '3']\n4\n");
}

fn a_channel_that_nobody_reads_stops_no_other_channel(link: &Link) {
    assert_eq!(link.asyncssh("async_stalled", &[]), "[True, True, True, True]\n64000000 0\n");
}

fn a_terminal_learns_its_size_in_the_middle_of_output(link: &Link) {
    let sizes = "size 25 81 end\nsize 43 132 end\nsize 12 40 end\n3\n";
    assert_eq!(link.asyncssh("async_terminal", &[]), sizes);
}

fn a_tree_goes_there_and_back_over_sftp_and_scp(link: &Link) {
    let folder = link.sshd.folder();
    let [near, far, back] = ["near", "far", "back"].map(|name| folder.join(name));
    for path in [&near.join("deep/er"), &far, &back] {
        fs::create_dir_all(path).unwrap();
    }
    fs::write(near.join("deep/er/file"), vec![7; 1_000_003]).unwrap();
    fs::write(near.join("empty"), "").unwrap();
    let paths = [&near, &far, &back].map(|path| path.to_str().unwrap());

    assert_eq!(link.asyncssh("async_sftp", &paths), "True True\n");
    shell(r#"diff -r "$1" "$3/sftp"; diff -r "$1" "$3/scp""#, &paths).must_succeed();
}

/// Its two paths come in another order than the draft has it, with servers that say that they are OpenSSH.
fn a_symbolic_link_leads_where_it_was_meant_to(link: &Link) {
    let folder = link.sshd.folder();
    assert_eq!(link.asyncssh("async_links", &[folder.to_str().unwrap()]), "True\n");
    assert_eq!(fs::read_link(folder.join("link")).unwrap(), folder.join("there"));
}

/// Servers do as AsyncSSH's do: by what the client says that it is.
#[test]
fn a_symbolic_link_of_a_stock_client_is_the_right_way_round_on_asyncssh_too() {
    let server = PeerServer::start("async_sftp_server", &[]);
    let site = before(&server);
    let folder = tempfile::tempdir().unwrap();
    let ssh = site.ssh();
    let script = r#"echo "ln -s $3/there $3/link" | sftp -S "$1" -b - "$2""#;
    let program = ssh.program();
    let arguments = [program.to_str().unwrap(), &ssh.destination(), folder.path().to_str().unwrap()];
    shell(script, &arguments).must_succeed();
    assert_eq!(fs::read_link(folder.path().join("link")).unwrap(), folder.path().join("there"));
}

/// AsyncSSH on both ends: what one asks for is what the other hears of.
#[test]
fn each_request_of_a_session_reaches_the_server_and_its_signal_comes_back() {
    for route in Route::BOTH {
        let server = PeerServer::start("async_requests_server", &[]);
        let folder = tempfile::tempdir().unwrap();
        let printed = match route {
            Route::Direct => {
                let key = KeyPair::generate(folder.path(), "key", "ed25519");
                let client = Paramiko { addr: server.addr(), login: "anyone", key: &key };
                client.run("async_requests", &[]).text()
            }
            Route::Gateway => before(&server).paramiko("async_requests", &[]),
        };
        let ending = "started\nread word\n('USR1', True, 'asked to', 'en')\n";
        assert_eq!(printed, ending, "{route:?}");
        let heard: Vec<String> =
            server.log().into_iter().filter(|line| !line.starts_with("listening")).collect();
        let asked = ["pty vt100 (91, 31)", "exec command", "size 92 32", "signal HUP", "break 500", "eof"];
        assert_eq!(heard, asked, "{route:?}");
    }
}

/// A gateway that logs in on this server.
#[track_caller]
fn before(server: &PeerServer) -> Site {
    let known =
        format!("known-host-keys = [{{ host = \"{}\", key = \"{}\" }}]\n", server.addr(), server.host_key());
    Site::with(|draft| {
        draft.server = server.addr();
        draft.target = format!("{{ fixed = \"{}\" }}", server.addr());
        draft.connection = known;
        draft.credentials = "passwords = [\"any\"]\n".to_owned();
    })
}
