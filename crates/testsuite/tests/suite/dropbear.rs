//! Dropbear, as it runs on small machines: its client, and its server behind the gateway.

use std::fs;

use keyward_testsuite::{Dropbear, Input, Link, Route, SshClient, Terminal, shell};

use crate::site::{Site, stored_key};

on_both_routes! {
    dbclient_runs_a_command,
    dbclient_has_a_terminal,
    rsync_copies_over_dbclient,
}

fn dbclient_runs_a_command(link: &Link) {
    let input = Input::Bytes(vec![b'x'; 500_000]);
    let run = link.dbclient().exec_with("wc -c; echo complaint >&2; exit 6", input);
    assert_eq!(String::from_utf8_lossy(&run.stdout), "500000\n");
    assert!(run.stderr.contains("complaint\n"), "{}", run.stderr);
    assert_eq!(run.status.code(), Some(6));
}

fn dbclient_has_a_terminal(link: &Link) {
    let client = link.dbclient();
    // A key that is pressed after the change may overtake it: dbclient looks at its keys first.
    let script = "echo $((6*7)) $(stty size); while [ \"$(stty size)\" = '21 77' ]; do sleep 0.1; done; stty size; \
                  read line; echo \"read $line\"; read line";
    let terminal = Terminal::run(&client.command(&["-t"], &[script]), (77, 21));
    terminal.shows(&["42 21 77"]);
    terminal.resize((93, 33));
    terminal.shows(&["33 93"]);
    terminal.press(&["word", "Enter"]);
    terminal.shows(&["read word"]);
}

fn rsync_copies_over_dbclient(link: &Link) {
    let (client, folder) = (link.dbclient(), link.sshd.folder());
    fs::create_dir(folder.join("near")).unwrap();
    fs::write(folder.join("near/file"), vec![7; 3_000_001]).unwrap();
    let script = r#"
        rsync -a -e "$1" "$3/near/" "$2:$3/far/"
        rsync -a -e "$1" "$2:$3/far/" "$3/back/"
        diff -r "$3/near" "$3/back"
    "#;
    let arguments = [client.program().to_str().unwrap().to_owned(), client.destination()];
    shell(script, &[&arguments[0], &arguments[1], folder.to_str().unwrap()]).must_succeed();
}

/// A client of Dropbear's server on one route, and what must stay alive for it.
struct Served {
    dropbear: Dropbear,
    ssh: SshClient,
    _site: Option<Site>,
}

impl Served {
    #[track_caller]
    fn on(route: Route) -> Self {
        let dropbear = Dropbear::start();
        let name = dropbear.account.name.clone();
        if let Route::Direct = route {
            let ssh = SshClient::with_key(dropbear.addr(), &name, dropbear.key());
            return Self { dropbear, ssh, _site: None };
        }
        let site = Site::with(|draft| {
            draft.server = dropbear.addr();
            draft.target = format!("{{ fixed = \"{}\" }}", dropbear.addr());
            draft.connection = format!(
                "known-host-keys = [{{ host = \"{}\", key = \"{}\" }}]\n",
                dropbear.addr(),
                dropbear.host_key()
            );
            draft.remote_user.clone_from(&name);
            draft.credentials = stored_key("ssh-ed25519", &dropbear.key().private());
        });
        let ssh = SshClient::with_key(site.addr(), &name, &site.person);
        Self { dropbear, ssh, _site: Some(site) }
    }
}

#[test]
fn dropbear_as_a_server_runs_commands_and_terminals() {
    for route in Route::BOTH {
        let served = Served::on(route);
        let run =
            served.ssh.exec_with("id -un; cat; echo complaint >&2; exit 3", Input::Bytes(b"in".to_vec()));
        let name = &served.dropbear.account.name;
        assert_eq!(String::from_utf8_lossy(&run.stdout), format!("{name}\nin"), "{route:?}");
        assert_eq!((run.stderr.as_str(), run.status.code()), ("complaint\n", Some(3)), "{route:?}");

        let shell = served.ssh.terminal("tty; echo $((6*7)); exit 5\n");
        let shown = String::from_utf8_lossy(&shell.stdout);
        assert!(shown.contains("/dev/pts/") && shown.contains("42\r\n"), "{route:?}: {shown}");
        assert_eq!(shell.status.code(), Some(5), "{route:?}");
    }
}

#[test]
fn dropbear_as_a_server_moves_files() {
    let script = r#"
        ssh=$1 to=$2 near=$3
        head -c 9000001 /dev/urandom > "$near/file"
        scp -q -O -S "$ssh" "$near/file" "$to:scp"
        scp -q -s -S "$ssh" "$near/file" "$to:sftp"
        "$ssh" "$to" "cat > cat" < "$near/file"
        for copy in scp sftp cat; do
            "$ssh" "$to" "cat $copy" | cmp - "$near/file"
        done
        scp -q -s -S "$ssh" "$to:scp" "$near/back"
        cmp "$near/file" "$near/back"
    "#;
    for route in Route::BOTH {
        let served = Served::on(route);
        let (program, near) = (served.ssh.program(), served.ssh.folder());
        let arguments = [program.to_str().unwrap(), &served.ssh.destination(), near.to_str().unwrap()];
        shell(script, &arguments).must_succeed();
    }
}
