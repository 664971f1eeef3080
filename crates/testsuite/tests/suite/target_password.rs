//! Accounts with passwords, answered through askpass.

use keyward_testsuite::{Account, Askpass, SshClient, Sshd};

#[test]
fn the_account_of_the_fixture_logs_in_with_its_password_and_no_other() {
    let (sshd, account) = (Sshd::start(), Account::create());

    let right = Askpass::new(&[&account.password]);
    let run = SshClient::with_answers(sshd.addr(), &account.name, &right).exec("id -un");
    assert_eq!(run.text().trim_end(), account.name);
    assert_eq!(right.prompts().len(), 1);

    let wrong = Askpass::new(&["wrong"]);
    let run = SshClient::with_answers(sshd.addr(), &account.name, &wrong).exec("id -un");
    assert_eq!(run.status.code(), Some(255));
}
