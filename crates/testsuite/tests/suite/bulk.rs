//! Much data: intact in both directions.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use keyward_testsuite::{Link, shell};

on_both_routes! { a_gibibyte_arrives_intact_upwards, a_gibibyte_arrives_intact_downwards }

fn a_gibibyte_arrives_intact_upwards(link: &Link) {
    the_sum_stays_the_same(link, r#""$pour" | "$ssh" "$to" sha256sum"#);
}

fn a_gibibyte_arrives_intact_downwards(link: &Link) {
    the_sum_stays_the_same(link, r#""$ssh" "$to" "$pour" | sha256sum"#);
}

/// `$pour` gives 16 numbered copies of 64 MiB of noise: a lost, doubled or swapped piece changes their sum.
#[track_caller]
fn the_sum_stays_the_same(link: &Link, through_the_link: &str) {
    let ssh = link.ssh();
    let pour = link.sshd.folder().join("pour");
    fs::write(&pour, "#!/bin/sh\nfor n in $(seq 16); do echo $n; cat \"$0.noise\"; done\n").unwrap();
    fs::set_permissions(&pour, Permissions::from_mode(0o755)).unwrap();
    let pour = pour.to_str().unwrap();

    let expected = shell(r#"head -c 64M /dev/urandom > "$1.noise"; "$1" | sha256sum"#, &[pour]).text();
    let script = format!("pour=$1 ssh=$2 to=$3; {through_the_link}");
    let found = shell(&script, &[pour, ssh.program().to_str().unwrap(), &ssh.destination()]).text();

    assert_eq!(found, expected);
}
