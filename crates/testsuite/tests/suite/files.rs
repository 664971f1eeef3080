//! Files over a session: sftp, scp, rsync, git.

use std::fs;
use std::path::Path;

use keyward_testsuite::{Link, shell};

on_both_routes! {
    sftp_puts_lists_and_gets,
    scp_copies_over_sftp,
    scp_copies_over_its_old_protocol,
    rsync_copies_a_tree_and_then_only_what_changed,
    git_pushes_and_clones,
}

fn sftp_puts_lists_and_gets(link: &Link) {
    let script = r#"
        printf 'mkdir %s/sub\nput %s %s/sub/there\nls -1 %s/sub\nget %s/sub/there %s\n' \
            "$far" "$near/file" "$far" "$far" "$far" "$near/back" > "$near/batch"
        sftp -q -S "$ssh" -b "$near/batch" "$to" | grep -v '^sftp>'
        cmp "$near/file" "$near/back"
    "#;
    let printed = in_folders(link, script);
    assert!(printed.trim_end().ends_with("/sub/there"), "{printed}");
}

fn scp_copies_over_sftp(link: &Link) {
    in_folders(link, &scp("-s"));
}

fn scp_copies_over_its_old_protocol(link: &Link) {
    in_folders(link, &scp("-O"));
}

fn scp(protocol: &str) -> String {
    format!(
        r#"
        scp -q {protocol} -S "$ssh" -p "$near/file" "$to:$far/there"
        scp -q {protocol} -S "$ssh" -p "$to:$far/there" "$near/back"
        cmp "$near/file" "$near/back"
        mkdir "$near/tree"; cp "$near/file" "$near/tree/a b"; touch "$near/tree/empty"
        scp -q {protocol} -S "$ssh" -r "$near/tree" "$to:$far/"
        diff -r "$near/tree" "$far/tree"
        ! scp -q {protocol} -S "$ssh" "$to:$far/missing" "$near/missing" 2>/dev/null
    "#
    )
}

fn rsync_copies_a_tree_and_then_only_what_changed(link: &Link) {
    let script = r#"
        mkdir -p "$near/tree/deep/er"
        for n in $(seq 200); do echo "$n" > "$near/tree/deep/er/$n"; done
        cp "$near/file" "$near/tree/big"
        rsync -a -e "$ssh" "$near/tree/" "$to:$far/copy/"
        diff -r "$near/tree" "$far/copy"
        echo changed > "$near/tree/deep/er/7"
        rsync -a --itemize-changes -e "$ssh" "$near/tree/" "$to:$far/copy/"
        rsync -a -e "$ssh" "$to:$far/copy/" "$near/back/"
        diff -r "$near/tree" "$near/back"
    "#;
    let printed = in_folders(link, script);
    let changed: Vec<&str> = printed.lines().filter(|line| line.starts_with("<f")).collect();
    assert_eq!(changed.len(), 1, "{printed}");
    assert!(changed[0].ends_with("deep/er/7"), "{printed}");
}

fn git_pushes_and_clones(link: &Link) {
    let script = r#"
        export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_SSH="$ssh" GIT_SSH_VARIANT=simple
        export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
        git init -q --bare -b main "$far/repo.git"
        git init -q -b main "$near/mine"
        cp "$near/file" "$near/mine/file"
        git -C "$near/mine" add file
        git -C "$near/mine" commit -q -m first
        git -C "$near/mine" push -q "$to:$far/repo.git" main
        git clone -q "$to:$far/repo.git" "$near/clone"
        cmp "$near/file" "$near/clone/file"
        git -C "$near/clone" log --format=%s
    "#;
    assert_eq!(in_folders(link, script), "first\n");
}

/// Runs a script with `$ssh`, `$to`, a local folder `$near` with a file of 3 MB in it, and a folder `$far` for the
/// remote side, which is of course the same machine.
#[track_caller]
fn in_folders(link: &Link, script: &str) -> String {
    let ssh = link.ssh();
    let (near, far) = (ssh.folder().join("near"), link.sshd.folder().join("far"));
    for folder in [&near, &far] {
        fs::create_dir(folder).unwrap();
    }
    let script =
        format!("ssh=$1 to=$2 near=$3 far=$4\nhead -c 3000001 /dev/urandom > \"$near/file\"\n{script}");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    shell(&script, &[&text(&ssh.program()), &ssh.destination(), &text(&near), &text(&far)]).text()
}
