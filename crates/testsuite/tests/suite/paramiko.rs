//! Paramiko, the library behind most SSH automation in Python.

use std::fs;

use keyward_testsuite::Link;

on_both_routes! {
    a_command_runs,
    a_window_change_reaches_the_terminal,
    ten_channels_work_side_by_side_on_one_connection,
    sftp_works,
}

fn a_command_runs(link: &Link) {
    assert_eq!(link.paramiko("exec", &["echo out; echo err >&2; exit 9"]), "9 out err\n");
}

fn a_window_change_reaches_the_terminal(link: &Link) {
    assert_eq!(link.paramiko("resize", &[]), "31 91, 45 123, 7\n");
}

fn ten_channels_work_side_by_side_on_one_connection(link: &Link) {
    assert_eq!(link.paramiko("many", &[]), "0 1 2 3 4 5 6 7 8 9 {0}\n");
}

fn sftp_works(link: &Link) {
    let (local, remote) = (link.sshd.folder().join("local"), link.sshd.folder().join("remote"));
    fs::write(&local, vec![7; 500_000]).unwrap();
    fs::create_dir(&remote).unwrap();

    let printed = link.paramiko("sftp", &[local.to_str().unwrap(), remote.to_str().unwrap()]);

    assert_eq!(printed, "['moved'] 0o640\nsame []\nmissing\n");
}
