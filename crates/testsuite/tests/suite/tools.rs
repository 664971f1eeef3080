//! Tools that bring their own SSH, or drive a stock one in their own way: curl on libssh2, Ansible, sshfs, mosh.

use std::fs;
use std::path::Path;

use keyward_testsuite::{Link, Route, Terminal, peers_program, shell};

on_both_routes! {
    curl_moves_files_over_sftp_and_scp,
    ansible_runs_a_playbook,
    sshfs_is_a_folder_like_any_other,
}

/// Debian's curl has libssh2.
fn curl_moves_files_over_sftp_and_scp(link: &Link) {
    let script = r#"
        sftp="sftp://$addr$far" scp="scp://$addr$far"
        head -c 3000001 /dev/urandom > "$near/file"
        curl="curl -sS --insecure --user $user: --key $key --pubkey $key.pub"
        $curl -T "$near/file" --ftp-create-dirs "$sftp/new/there"
        $curl -Q "rename $far/new/there $far/new/moved" -l "$sftp/new/"
        $curl -o "$near/back" "$sftp/new/moved"
        cmp "$near/file" "$near/back"
        $curl -r 1000-1999 "$sftp/new/moved" | cmp - <(head -c 2000 "$near/file" | tail -c 1000)
        $curl -T "$near/file" "$scp/by-scp"
        $curl -o "$near/back" "$scp/by-scp"
        cmp "$near/file" "$near/back"
        $curl "$sftp/missing" 2>/dev/null || echo missing $?
    "#;
    let printed = in_folders(link, script);
    assert!(printed.lines().any(|line| line == "moved"), "{printed}");
    assert!(printed.ends_with("missing 78\n"), "{printed}");
}

/// `configure_ansible SSH-ARGUMENTS`, for modules through the standard input of a command, in the folders `$near` and `$far`.
pub(crate) const CONFIGURE_ANSIBLE: &str = r#"
    configure_ansible() {
        printf '%s\n' "[defaults]" "inventory = $near/hosts" "local_tmp = $near/local" "remote_tmp = $far/remote" \
            "[ssh_connection]" "pipelining = True" "control_path = $near/%%C" "ssh_args = $1" > "$near/ansible.cfg"
        export ANSIBLE_CONFIG="$near/ansible.cfg" ANSIBLE_NOCOLOR=1 LC_ALL=C.UTF-8 HOME="$near"
    }
"#;

/// As Ansible is set up where speed counts: modules through the standard input of a command, one connection for all.
fn ansible_runs_a_playbook(link: &Link) {
    let script = r#"
        configure_ansible "-F none -o ControlMaster=auto -o ControlPersist=20s -o StrictHostKeyChecking=no -o UserKnownHostsFile=$near/known"
        cat > "$near/hosts" <<END
target ansible_host=${addr%:*} ansible_port=${addr#*:} ansible_user=$user ansible_ssh_private_key_file=$key ansible_python_interpreter=/usr/bin/python3
END
        cat > "$near/play.yml" <<END
- hosts: all
  gather_facts: false
  tasks:
    - copy: { src: "$near/file", dest: "$far/copied", mode: "0640" }
    - lineinfile: { path: "$far/lines", line: "one", create: true }
    - command: sh -c 'seq 3; exit 3'
      register: counted
      failed_when: counted.rc != 3 or counted.stdout_lines != ['1', '2', '3']
    - fetch: { src: "$far/copied", dest: "$near/fetched", flat: true }
END
        head -c 300001 /dev/urandom > "$near/file"
        "$ansible" "$near/play.yml" || { "$ansible" -vvv "$near/play.yml" >&2; false; }
        for master in "$near"/????????????????????????????????????????; do
            ssh -o ControlPath="$master" -O exit target 2>/dev/null
        done
        cmp "$near/file" "$far/copied"
        cmp "$near/file" "$near/fetched"
        cat "$far/lines"
    "#;
    let printed = in_folders(link, &format!("{CONFIGURE_ANSIBLE}{script}"));
    assert!(printed.contains("ok=4 "), "{printed}");
    assert!(printed.contains("changed=4 ") && printed.contains("failed=0 "), "{printed}");
    assert!(printed.ends_with("\none\n"), "{printed}");
    assert_eq!(link.sshd.logins(), 1, "one connection serves all of it");
}

/// Needs `/dev/fuse`.
fn sshfs_is_a_folder_like_any_other(link: &Link) {
    let script = r#"
        mkdir "$near/mount" "$near/tree"
        sshfs "$to:$far" "$near/mount" -o ssh_command="$ssh"
        trap 'cd /; fusermount3 -u "$near/mount"' EXIT
        head -c 9000001 /dev/urandom > "$near/tree/file"
        mkdir -p "$near/tree/deep/er"
        for n in $(seq 50); do echo "$n" > "$near/tree/deep/er/$n"; done
        cp -r "$near/tree" "$near/mount/tree"
        diff -r "$near/tree" "$near/mount/tree"
        diff -r "$near/tree" "$far/tree"
        cd "$near/mount"
        mv tree moved
        ln -s moved/deep link
        rm moved/deep/er/7
        chmod 600 moved/file
        truncate -s 1000 moved/file
        printf 'more' >> moved/file
        ls link/er | wc -l
        stat -c '%a %s' moved/file
        ! cat missing 2>/dev/null
        df . > /dev/null
    "#;
    assert_eq!(in_folders(link, script), "49\n600 1004\n");
}

/// It would go on over UDP, past the gateway.
#[test]
fn mosh_is_refused_with_a_word_to_the_person() {
    let mut link = Link::open(Route::Gateway);
    let ssh = link.ssh();
    let script = ssh.folder().join("mosh");
    let client = ssh.program();
    fs::write(
        &script,
        format!("mosh --ssh='{}' {}\necho status $?; read line\n", client.display(), ssh.destination()),
    )
    .unwrap();
    let terminal = Terminal::script(&script, (100, 30));
    let screen = terminal.shows(&["status "]);
    assert!(screen.contains("keyward: mosh does not work through the gateway"), "{screen}");
    drop(terminal);
    assert_eq!(link.gateway().ended_sessions(1)[0]["verdict"], "accept");
}

/// Runs a script with the client `$ssh`, the login `$to`, the server's `$addr`, the `$user` and the file of the `$key`,
/// a local folder `$near`, and a folder `$far` for the remote side.
#[track_caller]
fn in_folders(link: &Link, script: &str) -> String {
    let ssh = link.ssh();
    let (near, far) = (ssh.folder().join("near"), link.sshd.folder().join("far"));
    for folder in [&near, &far] {
        fs::create_dir(folder).unwrap();
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let script = format!("ssh=$1 to=$2 addr=$3 user=$4 key=$5 near=$6 far=$7 ansible=$8\n{script}");
    let arguments = [
        text(&ssh.program()),
        ssh.destination(),
        link.addr().to_string(),
        link.sshd.user(),
        text(link.key().path()),
        text(&near),
        text(&far),
        text(&peers_program("ansible-playbook")),
    ];
    shell(&script, &arguments.each_ref().map(String::as_str)).text()
}
