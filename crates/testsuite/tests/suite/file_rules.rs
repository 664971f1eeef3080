//! What is done to files over sftp and scp: followed, recorded and judged.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{Dropbear, Input, PeerServer, Putty, SshClient, Sshd, run, shell};

use crate::site::{Site, stored_key};

/// A site with a folder `in`, where the rules allow `operations`, and a folder `out` beside it, where nothing is allowed.
struct Ruled {
    site: Site,
    allowed: PathBuf,
    forbidden: PathBuf,
    near: PathBuf,
}

impl Ruled {
    #[track_caller]
    fn with(types: &str, operations: &str) -> Self {
        let sshd = Sshd::start();
        let [allowed, forbidden, near] = ["in", "out", "near"].map(|name| sshd.folder().join(name));
        for folder in [&allowed, &forbidden, &near] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("old"), "old\n").unwrap();
        }
        let path = allowed.display();
        let operations =
            if operations.is_empty() { String::new() } else { format!("operations = [{operations}], ") };
        let rule = format!("types = [{types}]\nfiles = [{{ {operations}paths = ['{path}(/.*)?'] }}]\n");
        let site = Site::on(sshd, |draft| draft.channels = rule);
        Self { site, allowed, forbidden, near }
    }

    /// Runs a script with `$ssh`, `$to`, and the three folders as `$in`, `$out` and `$near`.
    #[track_caller]
    fn run(&self, script: &str) -> String {
        let ssh = self.site.ssh();
        let script = format!("ssh=$1 to=$2 in=$3 out=$4 near=$5\n{script}");
        let program = ssh.program();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let arguments = [&self.allowed, &self.forbidden, &self.near].map(|path| text(path));
        let [allowed, forbidden, near] = &arguments;
        shell(&script, &[&text(&program), &ssh.destination(), allowed, forbidden, near]).text()
    }

    /// The notes on files of the newest session.
    #[track_caller]
    fn notes(&self) -> Vec<String> {
        let notes = self.site.notes(1).into_iter();
        notes.filter(|note| note.starts_with("sftp: ") || note.starts_with("scp: ")).collect()
    }
}

fn sha256(file: &Path) -> String {
    let sum = shell("sha256sum < \"$1\"", &[file.to_str().unwrap()]).text();
    sum.split(' ').next().unwrap().to_owned()
}

#[test]
fn what_sftp_moves_is_recorded_with_its_path_size_and_digest() {
    let ruled = Ruled::with("'sftp'", "");
    ruled.run(
        r#"
        head -c 64M /dev/urandom > "$near/big"
        printf 'put %s/big %s/there\nget %s/there %s/back\nrename %s/there %s/moved\nrm %s/moved\nls %s\n' \
            "$near" "$in" "$in" "$near" "$in" "$in" "$in" "$in" | sftp -q -S "$ssh" -b - "$to" > /dev/null
        cmp "$near/big" "$near/back"
    "#,
    );
    let (folder, sum) = (ruled.allowed.display(), sha256(&ruled.near.join("big")));
    let bytes = 64 * 1024 * 1024;
    let expected = [
        format!("sftp: upload \"{folder}/there\": {bytes} bytes, sha256 {sum}"),
        format!("sftp: download \"{folder}/there\": {bytes} bytes, sha256 {sum}"),
        format!("sftp: rename \"{folder}/there\" -> \"{folder}/moved\": done"),
        format!("sftp: delete \"{folder}/moved\": done"),
    ];
    assert_eq!(ruled.notes(), expected);
    let played = ruled.site.gateway.play(&ruled.site.gateway.recordings()[0]);
    let lines: Vec<&str> = played.lines().collect();
    for line in expected {
        assert!(lines.contains(&line.strip_prefix("sftp: ").unwrap()), "{line} is not in {lines:?}");
    }
    assert!(lines.contains(&format!("list \"{folder}\": done").as_str()), "{lines:?}");
}

#[test]
fn each_forbidden_operation_is_denied_and_the_session_goes_on() {
    let ruled = Ruled::with("'sftp'", "");
    let folders = [&ruled.allowed, &ruled.forbidden].map(|folder| folder.to_str().unwrap());
    assert_eq!(ruled.site.paramiko("sftp_rules", &folders), "['link', 'old']\n");
    assert_eq!(fs::read_dir(&ruled.forbidden).unwrap().count(), 1);
    let notes = ruled.notes();
    let refused = notes.iter().filter(|note| note.ends_with(": refused by the channel policy")).count();
    assert_eq!(refused, 18, "{notes:#?}");
}

#[test]
fn openssh_is_told_permission_denied_for_what_a_rule_leaves_out() {
    let ruled = Ruled::with("'sftp'", "'download', 'list'");
    let said = ruled.run(
        r#"
        printf -- '-put %s/old %s/new\n-rm %s/old\n-mkdir %s/x\n-rename %s/old %s/y\nget %s/old %s/back\n' \
            "$near" "$in" "$in" "$in" "$in" "$in" "$in" "$near" | sftp -S "$ssh" -b - "$to" 2>&1
        cmp "$in/old" "$near/back"
    "#,
    );
    // sftp names the file, not always the reason; the reason of the last is in its words.
    assert!(said.matches("ermission denied").count() >= 4, "{said}");
    assert_eq!(fs::read_dir(&ruled.allowed).unwrap().count(), 1);
    assert_eq!(ruled.notes().len(), 5, "{:?}", ruled.notes());
}

/// The times of a file are attributes of it, and OpenSSH sets them on the open file.
#[test]
fn uploads_of_openssh_need_attributes_only_where_they_keep_times() {
    let ruled = Ruled::with("'sftp'", "'upload', 'make-directory'");
    let said = ruled.run(
        r#"
        umask 077
        touch -d 2001-01-01 "$near/old"
        printf 'put %s/old %s/put\n' "$near" "$in" | sftp -q -S "$ssh" -b - "$to"
        scp -q -s -S "$ssh" "$near/old" "$to:$in/scp"
        echo x > "$near/short"; scp -q -s -S "$ssh" "$near/short" "$to:$in/scp"
        cmp "$near/old" "$in/put"; cmp "$near/short" "$in/scp"
        printf -- '-put -p %s/old %s/kept\n' "$near" "$in" | sftp -q -S "$ssh" -b - "$to" 2>&1
        test "$(stat -c %Y "$in/kept")" != "$(stat -c %Y "$near/old")"
    "#,
    );
    assert!(said.contains("ermission denied"), "{said}");
    let gateway = &ruled.site.gateway;
    let sessions = gateway.ended_sessions(4);
    let sessions = sessions.iter().map(|session| gateway.session(session["id"].as_str().unwrap()));
    let notes: Vec<String> = sessions
        .flat_map(|session| session["notes"].as_array().unwrap().clone())
        .map(|note| note["text"].as_str().unwrap().to_owned())
        .collect();
    let refused: Vec<&String> = notes.iter().filter(|note| note.contains("refused")).collect();
    let kept = ruled.allowed.join("kept");
    assert_eq!(refused, [&format!("sftp: attributes {kept:?}: refused by the channel policy")]);
    let whole = format!("sha256 {}", sha256(&ruled.near.join("short")));
    assert!(notes.iter().any(|note| note.ends_with(&whole)), "{notes:#?}");
}

#[test]
fn relative_paths_are_judged_from_where_the_target_starts() {
    let ruled = Ruled::with("'sftp'", "");
    ruled.run(
        r#"
        up=$(cd; pwd | sed 's,/[^/]*,../,g')
        scp -q -s -S "$ssh" "$near/old" "$to:$up${in#/}/new"
        cmp "$near/old" "$in/new"
        ! scp -q -s -S "$ssh" "$near/old" "$to:$up${out#/}/new" 2>/dev/null
        test ! -e "$out/new"
    "#,
    );
}

#[test]
fn putty_curl_and_sshfs_do_what_is_allowed_and_nothing_else() {
    let ruled = Ruled::with("'sftp'", "");
    let putty = Putty::with_key(ruled.site.addr(), &ruled.site.sshd.user(), &ruled.site.person);
    let [allowed, forbidden, near] =
        [&ruled.allowed, &ruled.forbidden, &ruled.near].map(|path| path.display());
    putty.psftp(&format!("put {near}/old {allowed}/p\nget {allowed}/p {near}/p\n")).must_succeed();
    let denied = putty.psftp(&format!("put {near}/old {forbidden}/p\n"));
    assert!(String::from_utf8_lossy(&denied.stdout).contains("ermission denied"), "{denied:?}");
    putty.pscp("-sftp", &format!("{near}/old"), &format!("HOST:{allowed}/q")).must_succeed();
    assert!(!putty.pscp("-sftp", &format!("HOST:{forbidden}/old"), &format!("{near}/q")).status.success());
    let key = ruled.site.person.path().to_str().unwrap().to_owned();
    let port = ruled.site.addr().port();
    ruled.run(&format!(
        r#"
        curl="curl -sS -k -u ${{to%@*}}: --key {key} --pubkey {key}.pub"
        $curl -T "$near/old" "sftp://127.0.0.1:{port}$in/c"
        $curl "sftp://127.0.0.1:{port}$in/c" | cmp - "$near/old"
        ! $curl "sftp://127.0.0.1:{port}$out/old" 2>/dev/null
        mkdir "$near/mount"
        sshfs "$to:${{in%/in}}" "$near/mount" -o ssh_command="$ssh"
        trap 'cd /; fusermount3 -u "$near/mount"' EXIT
        cp "$near/old" "$near/mount/in/s"; cmp "$near/mount/in/s" "$near/old"; ls "$near/mount/in" > /dev/null
        ! cat "$near/mount/out/old" 2>/dev/null
        ! ls "$near/mount/out" 2>/dev/null
        ! ln "$near/mount/out/old" "$near/mount/in/hard" 2>/dev/null
    "#
    ));
    let mut there: Vec<String> = fs::read_dir(&ruled.allowed)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, ["c", "old", "p", "q", "s"]);
    assert_eq!(fs::read_dir(&ruled.forbidden).unwrap().count(), 1);
}

#[test]
fn what_the_old_scp_moves_is_recorded_with_its_path_size_and_digest() {
    let ruled = Ruled::with("'scp'", "");
    ruled.run(
        r#"
        head -c 64M /dev/urandom > "$near/big"
        mkdir "$near/tree"; echo one > "$near/tree/a file"
        "$ssh" -M -N -f -o ControlPath="$near/control" "$to"
        scp="scp -q -O -S $ssh -o ControlPath=$near/control"
        $scp -p "$near/big" "$to:$in/there"
        $scp "$to:$in/there" "$near/back"
        cmp "$near/big" "$near/back"
        $scp -r "$near/tree" "$to:$in/"
        $scp -r "$to:$in/tree" "$near/copy"
        diff -r "$near/tree" "$near/copy"
        "$ssh" -O exit -o ControlPath="$near/control" "$to" 2>/dev/null
    "#,
    );
    let (folder, sum) = (ruled.allowed.display(), sha256(&ruled.near.join("big")));
    let bytes = 64 * 1024 * 1024;
    let small = sha256(&ruled.near.join("tree/a file"));
    let expected = [
        format!("scp: upload \"{folder}/there\" -> \"big\": {bytes} bytes, sha256 {sum}"),
        format!("scp: download \"{folder}/there\": {bytes} bytes, sha256 {sum}"),
        format!("scp: make-directory \"{folder}/tree\": done"),
        format!("scp: upload \"{folder}/tree/a file\": 4 bytes, sha256 {small}"),
        format!("scp: download \"{folder}/tree/a file\": 4 bytes, sha256 {small}"),
    ];
    assert_eq!(ruled.notes(), expected);
}

#[test]
fn the_old_scp_moves_nothing_that_no_rule_allows() {
    let ruled = Ruled::with("'scp'", "'download', 'list'");
    let said = ruled.run(
        r#"
        scp="scp -O -S $ssh"
        ! $scp "$near/old" "$to:$in/new" 2>&1
        ! $scp -r "$near" "$to:$in/" 2>&1
        ! $scp "$to:$out/old" "$near/new" 2>&1
        ! $scp "$to:$in/../out/old" "$near/new" 2>&1
        ! $scp "$to:$in/o*" "$near/new" 2>&1
        ! $scp "$to:old" "$near/new" 2>&1
        test ! -e "$near/new"
        $scp -r "$to:$in" "$near/copy"
        cmp "$in/old" "$near/copy/old"
    "#,
    );
    assert_eq!(said.matches("allowed here").count(), 6, "{said}");
    assert_eq!(fs::read_dir(&ruled.allowed).unwrap().count(), 1);
}

#[test]
fn pscp_moves_what_is_allowed_over_its_old_protocol_and_nothing_else() {
    let ruled = Ruled::with("'scp'", "");
    let putty = Putty::with_key(ruled.site.addr(), &ruled.site.sshd.user(), &ruled.site.person);
    let [allowed, forbidden, near] =
        [&ruled.allowed, &ruled.forbidden, &ruled.near].map(|path| path.display());
    putty.pscp("-scp", &format!("{near}/old"), &format!("HOST:{allowed}/new")).must_succeed();
    putty.pscp("-scp", &format!("HOST:{allowed}/new"), &format!("{near}/new")).must_succeed();
    assert_eq!(fs::read(ruled.near.join("new")).unwrap(), b"old\n");
    assert!(!putty.pscp("-scp", &format!("{near}/old"), &format!("HOST:{forbidden}/new")).status.success());
    assert!(!putty.pscp("-scp", &format!("HOST:{forbidden}/old"), &format!("{near}/q")).status.success());
    assert_eq!(fs::read_dir(&ruled.forbidden).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_followed_is_closed_with_a_word_to_the_person() {
    let site = Site::open();
    let ssh = site.ssh();
    for nonsense in ["this is no sftp", "\0\0\0\u{5}\u{1}\0\0\0\u{3}\0\0\0\u{5}\u{1}\0\0\0\u{3}"] {
        let mut sftp = ssh.command(&["-s"], &["sftp"]);
        let run = run(&mut sftp, Input::Bytes(nonsense.into()));
        assert!(!run.status.success());
        assert!(run.stderr.contains("keyward: this sftp cannot be followed: "), "{}", run.stderr);
    }
    let scp = ssh.exec_with("scp -t /tmp", Input::Bytes(b"X\n".into()));
    assert!(scp.stderr.contains("keyward: this scp cannot be followed: "), "{}", scp.stderr);
    let notes = site.notes(3);
    assert!(notes.iter().any(|note| note.contains("cannot be followed refused")), "{notes:?}");
}

#[test]
fn files_of_a_channel_that_is_not_recorded_are_noted_all_the_same() {
    let site = Site::with(|draft| draft.channels = "types = ['sftp']\nrecord = false\n".to_owned());
    let folder = site.sshd.folder();
    fs::write(folder.join("x"), "abc").unwrap();
    let ssh = site.ssh();
    let script = r#"printf 'get %s/x %s/y\n' "$3" "$3" | sftp -q -S "$1" -b - "$2" > /dev/null"#;
    let arguments = [ssh.program(), PathBuf::from(ssh.destination()), folder.to_path_buf()];
    shell(script, &arguments.each_ref().map(|argument| argument.to_str().unwrap())).must_succeed();
    let noted =
        format!("sftp: download \"{}/x\": 3 bytes, sha256 {}", folder.display(), sha256(&folder.join("x")));
    assert!(site.notes(1).contains(&noted), "{:?}", site.notes(1));
    assert!(site.gateway.recordings().is_empty());
}

#[test]
fn of_many_files_a_session_notes_some_and_counts_the_rest() {
    let ruled = Ruled::with("'sftp'", "");
    ruled.run(
        r#"
        mkdir "$near/tree"; for n in $(seq 300); do echo "$n" > "$near/tree/$n"; done
        scp -q -r -s -S "$ssh" "$near/tree" "$to:$in/"
        diff -r "$near/tree" "$in/tree"
    "#,
    );
    assert_eq!(ruled.notes().len(), 200);
    // The folder is made, and gets its permissions once it is full.
    let rest = "102 more operations on files are in the recording only".to_owned();
    assert!(ruled.site.notes(1).contains(&rest), "{:?}", ruled.site.notes(1));
    let played = ruled.site.gateway.play(&ruled.site.gateway.recordings()[0]);
    assert_eq!(played.lines().filter(|line| line.starts_with("upload ")).count(), 300);
}

/// What takes the place of a refused request must do no harm to any server.
#[test]
fn a_server_that_is_not_openssh_is_asked_for_nothing_that_is_forbidden_either() {
    let server = PeerServer::start("async_sftp_server", &[]);
    let folder = tempfile::tempdir().unwrap();
    let [allowed, forbidden] = ["in", "out"].map(|name| folder.path().join(name));
    for folder in [&allowed, &forbidden] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("old"), "old\n").unwrap();
    }
    let site = Site::with(|draft| {
        let addr = server.addr();
        draft.server = addr;
        draft.target = format!("{{ fixed = \"{addr}\" }}");
        draft.connection =
            format!("known-host-keys = [{{ host = \"{addr}\", key = \"{}\" }}]\n", server.host_key());
        draft.credentials = "passwords = [\"any\"]\n".to_owned();
        let path = allowed.display();
        draft.channels = format!("types = [\"sftp\"]\nfiles = [{{ paths = ['{path}(/.*)?'] }}]\n");
    });
    let ssh = site.ssh();
    let script = r#"
        printf -- '-get %s/old %s/stolen\n-rm %s/old\n-put %s/old %s/new\nput %s/old %s/new\nls %s\n' \
            "$4" "$3" "$4" "$3" "$4" "$3" "$3" "$3" | sftp -S "$1" -b - "$2" 2>&1
    "#;
    let arguments = [ssh.program(), PathBuf::from(ssh.destination()), allowed.clone(), forbidden.clone()];
    let said = shell(script, &arguments.each_ref().map(|argument| argument.to_str().unwrap())).text();
    assert!(said.matches("ermission denied").count() >= 2, "{said}");
    assert_eq!(fs::read(allowed.join("new")).unwrap(), b"old\n");
    assert!(!allowed.join("stolen").exists() && fs::read_dir(&forbidden).unwrap().count() == 1);
    let refused =
        site.notes(1).iter().filter(|note| note.ends_with(": refused by the channel policy")).count();
    assert_eq!(refused, 3, "{:?}", site.notes(1));
}

/// Dropbear gives small windows, and begins with them.
#[test]
fn small_windows_and_relative_paths_go_with_rules() {
    let dropbear = Dropbear::start();
    let name = dropbear.account.name.clone();
    let addr = dropbear.addr();
    let site = Site::with(|draft| {
        draft.server = addr;
        draft.target = format!("{{ fixed = \"{addr}\" }}");
        draft.connection =
            format!("known-host-keys = [{{ host = \"{addr}\", key = \"{}\" }}]\n", dropbear.host_key());
        draft.remote_user.clone_from(&name);
        draft.credentials = stored_key("ssh-ed25519", &dropbear.key().private());
        draft.channels = "types = ['sftp']\nfiles = [{ paths = ['/[^~]+/allowed'] }]\n".to_owned();
    });
    let ssh = SshClient::with_key(site.addr(), &name, &site.person);
    let script = r#"
        ssh=$1 to=$2 near=$3
        head -c 9000001 /dev/urandom > "$near/file"
        scp -q -s -S "$ssh" "$near/file" "$to:allowed"
        scp -q -s -S "$ssh" "$to:allowed" "$near/back"
        cmp "$near/file" "$near/back"
        ! scp -q -s -S "$ssh" "$near/file" "$to:other" 2>/dev/null
        ! scp -q -s -S "$ssh" "$to:other" "$near/other" 2>/dev/null
    "#;
    let (program, near) = (ssh.program(), ssh.folder());
    shell(script, &[program.to_str().unwrap(), &ssh.destination(), near.to_str().unwrap()]).must_succeed();
    let sum = sha256(&near.join("file"));
    let sessions = site.gateway.ended_sessions(4);
    let first = site.gateway.session(sessions[3]["id"].as_str().unwrap());
    let uploaded = format!("/allowed\": 9000001 bytes, sha256 {sum}");
    let notes = first["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note["text"].as_str().unwrap().ends_with(&uploaded)), "{notes:?}");
}

/// The target would go up from where the link leads.
#[test]
fn the_way_up_behind_a_link_of_the_target_is_the_way_that_was_judged() {
    let ruled = Ruled::with("'sftp'", "");
    let said = ruled.run(
        r#"
        mkdir "$out/sub"; ln -s "$out/sub" "$in/exit"
        echo secret > "$out/secret"
        printf -- '-get %s/exit/../secret %s/stolen\nget %s/exit/../old %s/back\n' "$in" "$near" "$in" "$near" |
            sftp -S "$ssh" -b - "$to" 2>&1
        test ! -e "$near/stolen"
        cmp "$in/old" "$near/back"
    "#,
    );
    assert!(said.contains("not found"), "{said}");
}
