use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
    /// Where its log comes from, until that has ended.
    stderr: Option<ChildStderr>,
    lines: Vec<String>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
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
        let stderr = child.stderr.take().unwrap();
        let pipe = stderr.as_fd().try_clone_to_owned().unwrap();
        let state = Arc::new(State::default());
        state.change(|seen| seen.stderr = Some(stderr));
        let program = Self {
            pid: Pid::from_child(&child),
            stdin: child.stdin.take(),
            farewell,
            state: Arc::clone(&state),
        };
        let log = Arc::clone(&state);
        thread::spawn(move || {
            // Waits without the lock, so that others may look meanwhile.
            while !log.seen.lock().unwrap().log_ended() && is_readable(pipe.as_fd(), None) {
                log.change(Seen::read);
            }
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
        let mut seen = self.state.seen.lock().unwrap();
        seen.read();
        seen.lines.clone()
    }

    /// The first thing that `look` finds in a line of the log, from the first line on; `None` when the program
    /// ended its log without it. Panics when `limit` passes first.
    #[track_caller]
    pub fn find_line<T>(&self, what: &str, limit: Duration, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.wait(what, limit, |seen| match seen.lines.iter().find_map(|line| look(line)) {
            Some(found) => Some(Some(found)),
            None => seen.log_ended().then_some(None),
        })
    }

    /// Says a line on its standard input.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        // In one piece: it may end at the first byte of it.
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
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

impl Seen {
    /// Reads what it has said and nobody has read yet. Does not wait for more.
    fn read(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(stderr) = self.stderr.as_mut().filter(|pipe| is_readable(pipe.as_fd(), Some(NOW))) {
            let count = stderr.read(&mut bytes).unwrap_or(0);
            if count == 0 {
                self.stderr = None;
            }
            for byte in &bytes[..count] {
                match byte {
                    b'\n' => self.end_line(),
                    _ => self.begun.push(*byte),
                }
            }
        }
        if self.log_ended() && !self.begun.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.lines.push(String::from_utf8_lossy(&self.begun).into_owned());
        self.begun.clear();
    }

    fn log_ended(&self) -> bool {
        self.stderr.is_none()
    }
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Waits, without a limit for ever, until a pipe has something to read or has ended.
fn is_readable(pipe: BorrowedFd<'_>, limit: Option<Timespec>) -> bool {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(pipe, PollFlags::IN)], limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
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
