//! Who runs a command, for the record.

use std::fs::{self, File};
use std::io::Read;

/// The user of this process; beside that the one who has logged in, where somebody has become another since (`sudo`).
/// Names are those of `/etc/passwd`, users of directories have only their number.
pub(super) fn asks() -> String {
    let user = rustix::process::getuid().as_raw();
    let names = passwd();
    let name = |user| named(&names, user);
    match logged_in().filter(|first| *first != user) {
        Some(first) => format!("{} (logged in as {})", name(user), name(first)),
        None => name(user),
    }
}

/// The name of the user of this process, and of the one who has logged in.
pub(super) fn names() -> Vec<String> {
    let names = passwd();
    let user = rustix::process::getuid().as_raw();
    logged_in().into_iter().chain([user]).map(|user| named(&names, user)).collect()
}

/// The kernel keeps it from the log-in on, and only root can change it.
fn logged_in() -> Option<u32> {
    const NOBODY: u32 = u32::MAX;
    let user = fs::read_to_string("/proc/self/loginuid").ok()?.trim().parse().ok()?;
    (user != NOBODY).then_some(user)
}

fn passwd() -> String {
    const MOST: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    match File::open("/etc/passwd").and_then(|file| file.take(MOST).read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

fn named(passwd: &str, user: u32) -> String {
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(user)).then_some(name)
    });
    found.map_or_else(|| format!("user {user}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(named(passwd, 0), "root");
        assert_eq!(named(passwd, 1000), "alice");
        assert_eq!(named(passwd, 7), "user 7");
    }
}
