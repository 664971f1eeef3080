//! `keyward user`.

use std::io::{BufRead, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_model::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::args::User;

/// More than anyone types; Argon2 itself would take gigabytes.
const MAX_PASSWORD: u64 = 1024;

pub(crate) fn user(command: User) -> anyhow::Result<ExitCode> {
    match command {
        User::Hash => hash(),
    }
}

fn hash() -> anyhow::Result<ExitCode> {
    let password = read_password()?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).context("the system's random generator failed")?;
    println!("password = \"{}\"", keyward_policy::hash_password(&password, salt));
    Ok(ExitCode::SUCCESS)
}

/// One line of standard input; a terminal does not show it.
fn read_password() -> anyhow::Result<Secret> {
    let _quiet = std::io::stdin().is_terminal().then(|| Quiet::begin("Password: ")).transpose()?;
    let mut line = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock().take(MAX_PASSWORD + 2);
    input.read_line(&mut line).context("no password could be read from standard input")?;
    let password = Secret::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if password.is_empty() {
        bail!("the password is empty: give one on standard input");
    }
    if password.expose().len() as u64 > MAX_PASSWORD {
        bail!("the password is longer than {MAX_PASSWORD} bytes");
    }
    Ok(password)
}

/// Keeps the terminal from showing what is typed, until it is dropped.
pub(crate) struct Quiet {
    before: Termios,
}

impl Quiet {
    /// Shows `prompt`, and nothing from then on.
    pub(crate) fn begin(prompt: &str) -> anyhow::Result<Self> {
        eprint!("{prompt}");
        let before = tcgetattr(std::io::stdin()).context("the terminal cannot be asked")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet)
            .context("the terminal shows what is typed")?;
        Ok(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        eprintln!();
    }
}
