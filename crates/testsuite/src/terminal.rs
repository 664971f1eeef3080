use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Input, PATIENCE, Program, SshClient, run};

/// A person's terminal: a screen that tmux keeps, with one program on it.
#[derive(Debug)]
pub struct Terminal {
    /// Ends tmux with us, however we end; before its folder goes.
    _end: Program,
    folder: TempDir,
}

/// Nothing on the screen but the program's own.
const CONFIGURATION: &str = "set -g status off\nset -g default-terminal screen\n";

impl Terminal {
    /// Runs `command` on a screen of that many columns and rows.
    #[track_caller]
    pub fn run(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-terminal-").tempdir().unwrap();
        fs::write(folder.path().join("tmux.conf"), CONFIGURATION).unwrap();
        let socket = folder.path().join("socket");
        let mut end = Command::new("sh");
        end.args(["-c", "read -r _; exec tmux -S \"$1\" kill-server", "sh"]).arg(&socket);
        let terminal = Self { _end: Program::start_tied(&mut end), folder };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let configuration = terminal.folder.path().join("tmux.conf");
        let mut words = vec![OsStr::new("-f"), configuration.as_os_str()];
        words.extend(["new-session", "-d", "-x", &columns, "-y", &rows].map(OsStr::new));
        words.push(command.get_program());
        words.extend(command.get_args());
        terminal.tmux(&words);
        terminal
    }

    /// Runs a script of `sh`.
    #[track_caller]
    pub fn script(file: &Path, size: (u16, u16)) -> Self {
        Self::run(Command::new("sh").arg(file), size)
    }

    /// Runs a command on a server. What the client says at its end stays on the screen, with `status` and its code: keys
    /// could not be sent to a terminal that goes at once.
    #[track_caller]
    pub fn remote(ssh: &SshClient, command: &str, size: (u16, u16)) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$0\" -tt \"$1\" \"$2\"; echo status $?; read -r _"]);
        shell.arg(ssh.program()).args([&ssh.destination(), command]);
        Self::run(&shell, size)
    }

    /// A shell on a server, whose prompt is `ready> `.
    #[track_caller]
    pub fn shell(ssh: &SshClient) -> Self {
        let terminal = Self::remote(ssh, "PS1='ready> ' exec bash --norc", (90, 24));
        terminal.shows(&["ready>"]);
        terminal
    }

    /// Presses keys, by tmux's names; what is no name is typed.
    #[track_caller]
    pub fn press(&self, keys: &[&str]) {
        let mut words = vec![OsStr::new("send-keys")];
        words.extend(keys.iter().map(OsStr::new));
        self.tmux(&words);
    }

    #[track_caller]
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows].map(OsStr::new));
    }

    /// What is on the screen, a line for each row.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"].map(OsStr::new))
    }

    /// Waits until the screen has all of `texts`, and gives it.
    #[track_caller]
    pub fn shows(&self, texts: &[&str]) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {texts:?} within {PATIENCE:?} on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn tmux(&self, words: &[&OsStr]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-S"])
            .arg(self.folder.path().join("socket"))
            .args(words)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8");
        run(&mut tmux, Input::Nothing).text()
    }
}
