//! Rules on what is typed and shown: bash, vim, less and tmux on real terminals, and channels without one.

use std::fs;
use std::path::PathBuf;

use keyward_testsuite::{Input, PATIENCE, SshClient, Sshd, Terminal, until};

use crate::site::Site;

const SIZE: (u16, u16) = (100, 30);

/// To make the file `forbidden` is forbidden, and to see what is top secret.
const RULES: &str = r#"
[[content-policy]]
name = "calm"

[[content-policy.rule]]
name = "no files"
commands = ['touch +\S*forbidden']
action = "terminate"

[[content-policy.rule]]
name = "secrets"
screen = ['TOP[ -]SECRET']
action = "terminate"

[[content-policy.rule]]
name = "tokens"
screen = ['token=\w+']
action = "notify"

[[content-policy.rule]]
name = "lists"
commands = ['^ls\b', '^one: listing']
action = "log"
"#;

struct Room {
    site: Site,
    ssh: SshClient,
}

impl Room {
    fn open() -> Self {
        Self::of(Sshd::start())
    }

    /// On a target that gives no terminals.
    fn without_terminals() -> Self {
        Self::of(Sshd::with("PermitTTY no\n"))
    }

    fn of(sshd: Sshd) -> Self {
        let site = Site::on(sshd, |draft| {
            draft.channels = "types = [\"shell\", \"exec\"]\ncontent-policy = \"calm\"\n".to_owned();
            draft.more = RULES.to_owned();
        });
        let ssh = site.ssh();
        let room = Self { site, ssh };
        fs::create_dir(room.folder()).unwrap();
        fs::write(room.folder().join("history"), "touch forbidden\necho harmless\n").unwrap();
        room
    }

    fn folder(&self) -> PathBuf {
        self.site.sshd.folder().join("work")
    }

    /// zsh, likewise.
    #[track_caller]
    fn zsh(&self) -> Terminal {
        let settings = "PS1='$ '; HISTFILE=history; HISTSIZE=100; setopt interactivecomments; fc -R\n";
        fs::write(self.folder().join(".zshrc"), settings).unwrap();
        let terminal = self.terminal("ZDOTDIR=. zsh --no-globalrcs -i");
        terminal.shows(&["$"]);
        terminal
    }

    /// bash on a terminal, in the folder, with a history.
    #[track_caller]
    fn bash(&self) -> Terminal {
        let terminal = self.terminal("PS1='$ ' HISTFILE=history bash --noprofile --norc -i");
        terminal.shows(&["$"]);
        terminal
    }

    #[track_caller]
    fn terminal(&self, program: &str) -> Terminal {
        self.terminal_after("true", program)
    }

    /// The same, after a command on the person's own terminal.
    #[track_caller]
    fn terminal_after(&self, before: &str, program: &str) -> Terminal {
        let remote = format!("cd '{}'; {program}", self.folder().display());
        let (command, script) = (self.ssh.folder().join("command"), self.ssh.folder().join("script"));
        fs::write(&command, remote).unwrap();
        // What the client says at its end stays on the screen.
        let words = format!(
            "{before}; '{}' -tt '{}' \"$(cat '{}')\"; echo status $?; read line\n",
            self.ssh.program().display(),
            self.ssh.destination(),
            command.display()
        );
        fs::write(&script, words).unwrap();
        Terminal::script(&script, SIZE)
    }

    /// Waits until the command that runs has made this file.
    #[track_caller]
    fn has(&self, file: &str) {
        until("the command runs", PATIENCE, || self.folder().join(file).exists().then_some(()));
    }

    fn is_made(&self) -> bool {
        self.folder().join("forbidden").exists()
    }

    /// The session was ended, the person told so, and the file is not there.
    #[track_caller]
    fn has_ended(&self, terminal: &Terminal, note: &str) {
        let shown = terminal.shows(&["The session was ended by the gateway.", "status "]);
        self.is_noted(note);
        self.site.is_calm(&shown);
    }

    #[track_caller]
    fn is_noted(&self, note: &str) {
        let session = self.site.ended(1);
        assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
        let notes = self.site.notes(1);
        assert!(notes.iter().any(|text| text.contains(note)), "{note:?} is not in {notes:#?}");
        assert!(!self.is_made(), "the command has run");
    }
}

const TYPED: &str = r#"channel 0: content rule "no files" (terminate): command "touch forbidden""#;

mod a_forbidden_command_does_not_run {
    use super::*;

    #[test]
    fn as_it_is_typed() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["echo allowed", "Enter"]);
        bash.shows(&["\nallowed"]);
        bash.press(&["touch forbidden", "Enter"]);
        room.has_ended(&bash, TYPED);
        assert_eq!(room.site.ended(1)["reason"], "the content rule \"no files\" ended the session");
    }

    #[test]
    fn from_the_history() {
        let room = Room::open();
        let bash = room.bash();
        // All at once: the Enter comes before the screen can show what the keys have done.
        bash.press(&["Up", "Up", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn from_the_history_while_another_command_runs() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["sleep 1", "Enter"]);
        bash.press(&["Up", "Up", "Up", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn by_search() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["C-r", "tou", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn by_the_next_line_of_the_history() {
        let room = Room::open();
        fs::write(room.folder().join("history"), "echo harmless\ntouch forbidden\n").unwrap();
        let bash = room.bash();
        bash.press(&["Up", "Up", "C-o", "C-o"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn by_completion() {
        let room = Room::open();
        fs::write(room.folder().join("forbidden-else"), "").unwrap();
        let bash = room.bash();
        bash.press(&["touch forb", "Tab", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn by_editing() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["toch forbidden", "Home", "Right", "Right", "u", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn over_two_lines() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["touch forbid\\", "Enter"]);
        bash.shows(&["\n>"]);
        bash.press(&["den", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    /// ^D passes on what a shell without an editor has not read yet.
    #[test]
    fn in_parts_around_a_key_that_ends_no_line() {
        let room = Room::open();
        let sh = room.terminal("PS1='$ ' dash -i");
        sh.shows(&["$"]);
        sh.press(&["touch forb", "C-d", "idden", "Enter"]);
        room.has_ended(&sh, TYPED);
        // A key that means nothing, with Escape before it.
        let room = Room::open();
        let zsh = room.zsh();
        zsh.press(&["touch forb", "M-Enter", "BSpace", "idden", "Enter"]);
        room.has_ended(&zsh, TYPED);
    }

    #[test]
    fn in_two_rows_of_which_the_cursor_is_in_the_other() {
        let room = Room::open();
        fs::write(room.folder().join("history"), "#1\ntouch forbidden\n:\n#2\necho harmless\n").unwrap();
        let bash = room.terminal("PS1='$ ' HISTFILE=history HISTTIMEFORMAT= bash --noprofile --norc -i");
        bash.shows(&["$"]);
        bash.press(&["Up", "Up", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn in_rows_that_were_typed() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["touch forbiddn", "Left", "e", "C-v", "C-j", ":", "Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn in_a_window_that_shows_a_part_of_the_line() {
        let room = Room::open();
        let line = format!("touch forbidden; : {}", "x ".repeat(200));
        fs::write(room.folder().join("history"), format!("{line}\n")).unwrap();
        let bash = room.bash();
        bash.resize((40, 2));
        bash.press(&["Up", "Enter"]);
        bash.shows(&["status"]);
        assert!(room.site.ended(1)["verdict"] == "accept-terminated" && !room.is_made());
    }

    #[test]
    fn on_a_terminal_that_cannot_move_the_cursor_up() {
        let room = Room::open();
        let line = format!("touch forbidden; : {}", "x ".repeat(200));
        fs::write(room.folder().join("history"), format!("{line}\n")).unwrap();
        let bash = room.terminal("TERM=dumb PS1='$ ' HISTFILE=history bash --noprofile --norc -i");
        bash.shows(&["$"]);
        bash.press(&["Up", "Enter"]);
        bash.shows(&["status"]);
        assert!(room.site.ended(1)["verdict"] == "accept-terminated" && !room.is_made());
    }

    #[test]
    fn from_a_line_that_was_put_aside() {
        let room = Room::open();
        let zsh = room.zsh();
        zsh.press(&["touch forb", "M-q"]);
        zsh.press(&["sleep 0.3", "Enter", "idden", "Enter"]);
        room.has_ended(&zsh, TYPED);
    }

    #[test]
    fn by_a_command_of_the_editor() {
        let room = Room::open();
        let zsh = room.zsh();
        zsh.press(&["Up", "Up", "M-x"]);
        zsh.shows(&["execute:"]);
        zsh.press(&["accept-line", "Enter"]);
        room.has_ended(&zsh, TYPED);
    }

    #[test]
    fn by_other_keys_that_run_a_line() {
        let room = Room::open();
        let zsh = room.zsh();
        zsh.press(&["Up", "Up", "M-a"]);
        room.has_ended(&zsh, TYPED);
        let room = Room::open();
        let bash = room.terminal("PS1='$ ' HISTFILE=history bash --noprofile --norc -o vi -i");
        bash.shows(&["$"]);
        bash.press(&["Up", "Up", "C-d"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn from_recorded_keys() {
        let room = Room::open();
        fs::write(room.folder().join("history"), "touch forbidden\necho one\necho two\n").unwrap();
        let bash = room.bash();
        bash.press(&["C-x", "(", "Up", "Up", "Enter"]);
        bash.shows(&["\none"]);
        bash.press(&["C-x", ")", "C-x", "e"]);
        bash.shows(&["status"]);
        assert!(room.site.ended(1)["verdict"] == "accept-terminated" && !room.is_made());
    }

    /// Ten seconds after the Enter the gateway gives up to wait for what the keys have made.
    #[track_caller]
    fn is_given_up(room: &Room, bash: &Terminal) {
        let shown = bash.shows(&["The session was ended by the gateway.", "status "]);
        let session = room.site.ended(1);
        assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
        assert!(!room.is_made(), "the command has run");
        room.site.is_calm(&shown);
    }

    #[test]
    fn where_the_terminal_shows_nothing() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["stty -echo", "Enter"]);
        // By its prompt it says that it reads keys.
        bash.shows(&["stty -echo\n$"]);
        bash.press(&["C-p", "C-p", "C-p", "Enter"]);
        is_given_up(&room, &bash);
    }

    #[test]
    fn where_the_terminal_shows_nothing_from_keys_that_come_before_the_prompt() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["stty -echo; touch begun; sleep 1", "Enter"]);
        room.has("begun");
        bash.press(&["C-p", "C-p", "C-p", "Enter"]);
        is_given_up(&room, &bash);
    }

    #[test]
    fn where_the_terminal_ceases_to_show_keys_that_come_before_the_prompt() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["touch begun; sleep 1; stty -echo", "Enter"]);
        room.has("begun");
        bash.press(&["C-p", "C-p", "C-p", "Enter"]);
        is_given_up(&room, &bash);
    }

    #[test]
    fn where_the_terminal_is_stopped() {
        let room = Room::open();
        let bash = room.bash();
        bash.press(&["C-s", "C-p", "C-p", "C-p", "Enter"]);
        bash.press(&["C-q"]);
        // The Enter is given up for the ^Q, and what the other keys have made is shown.
        bash.shows(&["$ touch forbidden"]);
        bash.press(&["Enter"]);
        room.has_ended(&bash, TYPED);
    }

    #[test]
    fn in_an_editor() {
        let room = Room::open();
        let vim = room.terminal("vim -u NONE -i NONE -N text");
        vim.shows(&["\"text\""]);
        vim.press(&["ihello", "Escape", ":!touch forbidden", "Enter"]);
        room.has_ended(&vim, TYPED);
    }

    #[test]
    fn in_tmux() {
        let room = Room::open();
        let tmux = room.terminal(
            "PS1='$ ' HISTFILE=history tmux -S socket -f /dev/null new 'bash --noprofile --norc -i'",
        );
        tmux.shows(&["#", "[0]"]);
        tmux.press(&["Up", "Up"]);
        // A program with a screen of its own is not waited for as a shell is.
        tmux.shows(&["# touch forbidden"]);
        tmux.press(&["Enter"]);
        room.has_ended(&tmux, TYPED);
    }

    #[test]
    fn in_a_shell_without_a_terminal() {
        let room = Room::open();
        let script = format!("cd '{}'; echo before\ntouch forbidden\necho after\n", room.folder().display());
        let run = room.site.ssh().exec_with("sh", Input::Bytes(script.into_bytes()));
        assert!(!run.status.success() && !String::from_utf8_lossy(&run.stdout).contains("after"), "{run:?}");
        room.is_noted(TYPED);
    }

    #[test]
    fn as_a_shell_without_a_terminal_joins_it() {
        for line in ["touch forb\\\nidden\n", "touch forb\0idden\n"] {
            let room = Room::open();
            let script = format!("cd '{}'\n{line}", room.folder().display());
            room.site.ssh().exec_with("bash", Input::Bytes(script.into_bytes()));
            room.is_noted(TYPED);
        }
        let room = Room::open();
        room.site.ssh().exec(&format!("cd '{}'; touch forb\\\nidden", room.folder().display()));
        room.is_noted(TYPED);
    }

    #[test]
    fn as_the_last_line_of_a_script_without_its_end() {
        let room = Room::open();
        let script = format!("cd '{}'\ntouch forbidden", room.folder().display());
        room.site.ssh().exec_with("sh", Input::Bytes(script.into_bytes()));
        room.is_noted(TYPED);
    }

    #[test]
    fn as_the_command_of_an_exec_channel() {
        let room = Room::open();
        let run = room.site.ssh().exec(&format!("cd '{}'; touch forbidden", room.folder().display()));
        assert!(
            !run.status.success() && run.stderr.contains("The session was ended by the gateway."),
            "{run:?}"
        );
        room.is_noted(TYPED);
    }
}

mod what_is_forbidden_is_not_shown {
    use super::*;

    const SHOWN: &str = r#"channel 0: content rule "secrets" (terminate): screen "TOP"#;

    #[test]
    fn in_less() {
        let room = Room::open();
        let text: String = (1..=300).map(|n| format!("line {n}\n")).collect();
        fs::write(room.folder().join("text"), text.replace("line 200\n", "a TOP SECRET line\n")).unwrap();
        let less = room.terminal("less text");
        less.shows(&["line 1\n", "line 29\n"]);
        less.press(&["/ SECRET", "Enter"]);
        room.has_ended(&less, SHOWN);
        assert!(!less.screen().contains("TOP SECRET"));
    }

    #[test]
    fn in_pieces_and_colours() {
        let room = Room::open();
        let bash = room.terminal(
            r#"bash -c 'printf "a TO"; sleep 0.3; printf "\033[1mP\033[31m-\033[0m"; sleep 0.3; printf "SEC"; sleep 0.3; echo "RET here"; sleep 60'"#,
        );
        room.has_ended(&bash, SHOWN);
        assert!(!bash.screen().contains("RET here"));
    }

    #[test]
    fn without_a_terminal() {
        let room = Room::open();
        // Long enough for two packets on a busy machine.
        let run = room.site.ssh().exec("printf 'first\\nTOP '; sleep 5; printf 'SECRET\\n'; sleep 60");
        assert_eq!(String::from_utf8_lossy(&run.stdout), "first\nTOP ");
        room.is_noted(SHOWN);
    }

    #[test]
    fn on_stderr() {
        let room = Room::open();
        let run = room.site.ssh().exec("echo first; echo TOP''-SECRET >&2; sleep 60");
        assert!(!run.stderr.contains("TOP-SECRET"), "{run:?}");
        room.is_noted(SHOWN);
    }
}

#[test]
fn what_is_logged_or_alerted_goes_on() {
    let room = Room::open();
    let bash = room.bash();
    bash.press(&["ls", "Enter"]);
    bash.shows(&["history"]);
    bash.press(&["t=to; echo ${t}ken=abc", "Enter"]);
    bash.shows(&["\ntoken=abc"]);
    bash.press(&["exit", "Enter"]);
    bash.shows(&["status 0"]);
    let notes = room.site.notes(1);
    let wanted = [
        r#"channel 0: content rule "lists" (log): command "ls""#,
        r#"channel 0: content rule "tokens" (notify): screen "token=abc""#,
    ];
    for note in wanted {
        assert_eq!(notes.iter().filter(|text| *text == note).count(), 1, "{note:?} in {notes:#?}");
    }
    assert_eq!(room.site.ended(1)["verdict"], "accept");
    let alert = room.site.gateway.says(&["WARN", "alert", "tokens"]);
    assert!(alert.contains("rule=\"tokens\"") && alert.contains("session="), "{alert}");
}

#[test]
fn what_is_typed_unseen_is_not_kept() {
    let room = Room::open();
    let terminal = room.terminal("read -rs -p 'Password: ' x; echo; echo ${#x} characters; sleep 1");
    terminal.shows(&["Password:"]);
    terminal.press(&["one: listing", "Enter"]);
    terminal.shows(&["12 characters"]);
    terminal.shows(&["status 0"]);
    let notes = room.site.notes(1).join("\n");
    assert!(notes.contains("content rule \"lists\" (log): command typed unseen"), "{notes}");
    assert!(!notes.contains("one: listing"), "{notes}");
    assert!(!room.site.gateway.log().join("\n").contains("one: listing"));
}

/// Work that no rule is about is the same with the rules.
#[test]
fn nothing_else_is_changed() {
    let room = Room::open();
    let noise: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    let run = room.site.ssh().exec_with("cat", Input::Bytes(noise.clone()));
    run.must_succeed();
    assert!(run.stdout == noise, "{} bytes of {}", run.stdout.len(), noise.len());

    let script: String = (0..200).map(|n| format!("echo line {n}\r")).chain(["exit\r".to_owned()]).collect();
    let run = room.site.ssh().terminal(&script);
    run.must_succeed();
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    let is_shown = |n| shown.matches(&format!("line {n}\r\n")).count() >= 2;
    assert!((0..200).all(is_shown), "{shown}");

    let bash = room.bash();
    bash.press(&["echo one", "Left", "Left", "Left", "x", "Enter"]);
    bash.shows(&["\nxone"]);
    bash.press(&["vim -u NONE -i NONE -N text", "Enter"]);
    bash.shows(&["\"text\""]);
    bash.press(&["ione", "Enter", "two", "Escape", "Escape", "Enter", ":wq", "Enter"]);
    bash.shows(&["-N text\n$"]);
    bash.press(&["exit", "Enter"]);
    bash.shows(&["status 0"]);
    assert_eq!(fs::read_to_string(room.folder().join("text")).unwrap(), "one\ntwo\n");
    assert_eq!(room.site.ended(3)["verdict"], "accept");
}

#[test]
fn a_terminal_that_cannot_be_judged_does_not_open() {
    let room = Room::open();
    let printed = room.site.paramiko("large_terminal", &[]);
    assert_eq!(printed.lines().last(), Some("closed"));
    assert!(!printed.contains("echo in"), "{printed}");
    let session = room.site.ended(1);
    assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
    let reason = session["reason"].as_str().unwrap();
    assert!(reason.starts_with("content could not be judged: the terminal is larger"), "{reason}");
}

#[test]
fn a_terminal_that_makes_other_characters_of_what_is_typed_is_not_given() {
    for setting in ["stty iuclc", "stty erase x"] {
        let room = Room::open();
        let terminal = room.terminal_after(setting, "echo in");
        terminal.shows(&["status 255"]);
        assert!(!terminal.screen().contains("\nin"));
        let notes = room.site.notes(1);
        let wanted = "exec refused: content could not be judged: the terminal has a mode";
        assert!(notes.iter().any(|text| text.starts_with(wanted)), "{notes:#?}");
    }
}

#[test]
fn where_the_terminal_shows_nothing_what_is_typed_is_judged() {
    let room = Room::open();
    let terminal = room.terminal_after("stty -echo", "PS1='ready ' dash -i");
    terminal.shows(&["ready"]);
    terminal.press(&["touch forbidxx", "BSpace", "BSpace", "den", "Enter"]);
    terminal.shows(&["status"]);
    room.is_noted("content rule \"no files\" (terminate): command typed unseen");
}

/// Without a terminal a shell reads bytes, and takes back none.
#[test]
fn a_terminal_that_the_target_refuses_is_none() {
    let room = Room::without_terminals();
    let script = format!("cd '{}'\ntouch forbidden #{}\n", room.folder().display(), "\u{7f}".repeat(17));
    room.site.ssh().terminal(&script);
    assert!(!room.is_made());
    assert_eq!(room.site.ended(1)["verdict"], "accept-terminated");
}
