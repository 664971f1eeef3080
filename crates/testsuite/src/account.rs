use std::fs::File;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Input, KeyPair, Run, run};

/// An account of this system that is there for one test: sshd takes passwords of no others.
///
/// Its password is random; should the test be killed before it can remove the account, that expires by itself.
#[derive(Debug)]
pub struct Account {
    pub name: String,
    pub password: String,
}

impl Account {
    #[track_caller]
    pub fn create() -> Self {
        let account = Self { name: format!("kwt{}", random_word(4)), password: random_word(12) };
        let _alone = database_lock();
        let make = ["--create-home", "--shell", "/bin/sh", "--comment", "keyward test", &account.name];
        as_root("useradd", &make, "").must_succeed();
        as_root("chage", &["--expiredate", &two_days_from_now(), &account.name], "").must_succeed();
        as_root("chpasswd", &[], &format!("{}:{}\n", account.name, account.password)).must_succeed();
        account
    }

    /// Lets whoever has `key` log in, where the server looks for keys in the account's home.
    #[track_caller]
    pub fn authorize(&self, key: &KeyPair) {
        let script =
            r#"umask 077; cd "/home/$1"; mkdir -p .ssh; cat > .ssh/authorized_keys; chown -R "$1" .ssh"#;
        as_root("sh", &["-ec", script, "sh", &self.name], &(key.public() + "\n")).must_succeed();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _alone = database_lock();
        // Forced: sshd may still have a process of a session that has just ended.
        let removed = as_root("userdel", &["--force", "--remove", &self.name], "");
        if !removed.status.success() && !std::thread::panicking() {
            panic!("cannot remove the account {}: {}", self.name, removed.stderr);
        }
    }
}

/// A command for root, through sudo where we are not.
pub(crate) fn privileged(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}

fn as_root(program: &str, arguments: &[&str], input: &str) -> Run {
    run(privileged(program).args(arguments), Input::Bytes(input.as_bytes().to_vec()))
}

/// Tests run side by side, and the tools that change accounts give up when they meet.
fn database_lock() -> File {
    let user = rustix::process::geteuid().as_raw();
    let file = File::create(std::env::temp_dir().join(format!("keyward-test-accounts-{user}"))).unwrap();
    file.lock().unwrap();
    file
}

/// As `chage` takes it: days since 1970.
fn two_days_from_now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (seconds / 86_400 + 2).to_string()
}

pub(crate) fn random_word(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).unwrap();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
