use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A program that runs until it is told to stop, or is killed on drop. What it says on stderr is its log.
#[derive(Debug)]
pub struct Program {
    pid: Pid,
    /// Stays open as long as this lives.
    stdin: Option<ChildStdin>,
    farewell: Duration,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    log_ended: bool,
    status: Option<ExitStatus>,
}

impl Program {
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::launch(command, Duration::ZERO)
    }

    /// For one that ends by itself when its standard input does, and gets the time for that: it then learns of our
    /// end in any case.
    #[track_caller]
    pub(crate) fn start_tied(command: &mut Command) -> Self {
        Self::launch(command, Duration::from_secs(5))
    }

    #[track_caller]
    fn launch(command: &mut Command, farewell: Duration) -> Self {
        let shown = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        let state = Arc::new(State::default());
        let program = Self {
            pid: Pid::from_child(&child),
            stdin: child.stdin.take(),
            farewell,
            state: Arc::clone(&state),
        };
        let stderr = child.stderr.take().unwrap();
        let log = Arc::clone(&state);
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                log.change(|seen| seen.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            log.change(|seen| seen.log_ended = true);
        });
        thread::spawn(move || {
            let status = child.wait().ok();
            state.change(|seen| seen.status = status);
        });
        program
    }

    /// The number of the process.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// All that it has said so far.
    pub fn log(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().lines.clone()
    }

    /// The first thing that `look` finds in a line of the log, from the first line on; `None` when the program
    /// ended its log without it. Panics when `limit` passes first.
    #[track_caller]
    pub fn find_line<T>(&self, what: &str, limit: Duration, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.wait(what, limit, |seen| match seen.lines.iter().find_map(|line| look(line)) {
            Some(found) => Some(Some(found)),
            None => seen.log_ended.then_some(None),
        })
    }

    /// Sends a signal to the program alone.
    /// Says a line on its standard input.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends its standard input.
    pub fn tell_no_more(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to the program alone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        if self.state.seen.lock().unwrap().status.is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&self, limit: Duration) -> ExitStatus {
        self.wait("the end of the program", limit, |seen| seen.status)
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, limit: Duration, look: impl Fn(&Seen) -> Option<T>) -> T {
        let until = Instant::now() + limit;
        let mut seen = self.state.seen.lock().unwrap();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: not within {limit:?}; it said:\n{}", seen.lines.join("\n"));
            seen = self.state.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    pub fn has_ended(&self) -> bool {
        self.state.seen.lock().unwrap().status.is_some()
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let seen = self.state.seen.lock().unwrap();
        let (seen, _) =
            self.state.changed.wait_timeout_while(seen, limit, |seen| seen.status.is_none()).unwrap();
        seen.status.is_some()
    }
}

impl State {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if !self.ends_within(self.farewell) {
            let _ = kill_process_group(self.pid, Signal::KILL);
            self.ends_within(Duration::from_secs(2));
        }
    }
}
