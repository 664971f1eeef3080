//! Channels that open in some hours only.

use std::time::SystemTime;

use crate::site::Site;

const MINUTES_OF_A_DAY: u64 = 24 * 60;

/// Commands during the hour that begins so many minutes from now, and file transfers at all times.
fn commands_in(minutes: u64) -> Site {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 60;
    let time = |minutes: u64| {
        let minute = (now + minutes) % MINUTES_OF_A_DAY;
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    let (from, to) = (time(minutes), time(minutes + 60));
    Site::with(|draft| {
        draft.channels = "types = [\"exec\"]\ntime-window = \"hour\"\n\n\
             [[channel-policy.rule]]\ntypes = [\"sftp\"]\ntime-window = \"always\"\n"
            .to_owned();
        draft.more = format!(
            "[[time-window]]\nname = \"hour\"\ntime-zone = \"UTC\"\n\
             period = [{{ days = [\"mon-sun\"], from = \"{from}\", to = \"{to}\" }}]\n\n\
             [[time-window]]\nname = \"always\"\ntime-zone = \"Europe/Berlin\"\n\
             period = [{{ days = [\"mon-fri\"] }}, {{ days = [\"sat\", \"sun\"] }}]\n"
        );
    })
}

#[test]
fn a_channel_opens_while_the_window_of_its_rule_holds() {
    let site = commands_in(MINUTES_OF_A_DAY - 30);
    assert_eq!(site.ssh().exec("echo in").text(), "in\n");
    assert_eq!(site.notes(1).last().unwrap(), "exec opened as channel 0");
}

#[test]
fn a_channel_is_refused_while_the_window_of_its_rule_does_not_hold() {
    let site = commands_in(30);
    let run = site.ssh().exec("echo in");
    assert!(!run.status.success());
    assert_eq!(run.stdout, b"");
    assert!(run.stderr.contains("exec is not allowed here"), "{}", run.stderr);
    assert_eq!(site.notes(1).last().unwrap(), "exec refused by the channel policy");
    let (near, far) = (site.sshd.folder().join("near"), site.sshd.folder().join("far"));
    std::fs::write(&near, "text").unwrap();
    std::fs::create_dir(&far).unwrap();
    let copied = site.paramiko("sftp", &[near.to_str().unwrap(), far.to_str().unwrap()]);
    assert!(copied.contains("same []"), "another rule has another window: {copied}");
}
