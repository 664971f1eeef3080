//! What a plugin prints during a call: collected, masked, logged and kept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use keyward_model::Secret;
use rustix::fs::{OFlags, fcntl_setfl};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::instance::Inner;
use super::lines::{Line, Lines, Log, Masking};
use super::{Call, CallError, CallErrorKind, CallReport, Exit, LogLine, Stream, Watch};
use crate::hook;
use crate::mask::Masks;

/// How many bytes are looked at for secrets in a call, each once for every form that its line may have. A plugin comes
/// to it only that means to: what it prints then is left out.
const MAX_LOOKED_AT: usize = 64 * 1024 * 1024;

pub(super) struct Printing {
    stdout_pipe: Pipe,
    stderr_pipe: Pipe,
    stdout: Lines,
    stderr: Lines,
    secrets: Vec<Secret>,
    masks: Masks,
    shown: Shown,
    /// Where the result is a credential, lines wait for it, since it is to be masked in them.
    waiting: Option<Vec<(Stream, Line)>>,
    /// Bytes of the lines that wait.
    waiting_bytes: usize,
    started: Instant,
    exit: Option<Exit>,
    /// Where the call is dropped, this has the report. `None` once it was made.
    watch: Option<Watch>,
}

/// As much as is kept of a call, and what waits for it.
const MAX_WAITING: usize = 1024 * 1024;

/// As much as is read of one stream when its call is cancelled: what a pipe holds, unless the plugin made it larger.
const MAX_LEFT: usize = 64 * 1024;

/// The gateway's end of a stream.
#[derive(Default)]
enum Pipe {
    /// Nobody is told of what comes.
    Idle(OwnedFd),
    Read(pipe::Receiver),
    #[default]
    Ended,
}

/// What may be seen.
struct Shown {
    stdout: Masking,
    stderr: Masking,
    log: Log,
    looked_at: usize,
    session: String,
    plugin: String,
}

impl Printing {
    pub(super) fn new(instance: &Inner, call: &Call, secrets: Vec<Secret>, watch: &Watch) -> Self {
        let masks = Masks::new(secrets.iter().map(Secret::expose));
        let shown = Shown {
            stdout: Masking::default(),
            stderr: Masking::default(),
            log: Log::default(),
            looked_at: 0,
            session: call.log_prefix.clone(),
            plugin: instance.name.to_string(),
        };
        let waiting = call.hook.returns_credentials().then(Vec::new);
        let (stdout_pipe, stderr_pipe, stdout, stderr) = Default::default();
        Self {
            stdout_pipe,
            stderr_pipe,
            stdout,
            stderr,
            secrets,
            masks,
            shown,
            waiting,
            waiting_bytes: 0,
            started: Instant::now(),
            exit: None,
            watch: Some(watch.clone()),
        }
    }

    /// A process of the plugin has got the call; what it prints will come here.
    pub(super) fn reached(&mut self, stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) {
        self.exit = Some(Exit::Killed);
        self.stdout_pipe = stdout.map_or(Pipe::Ended, Pipe::Idle);
        self.stderr_pipe = stderr.map_or(Pipe::Ended, Pipe::Idle);
    }

    /// Until both streams end. Cancel-safe: what was read is kept.
    pub(super) async fn collect(&mut self) {
        self.stdout_pipe.watch();
        self.stderr_pipe.watch();
        let (mut out, mut err) = ([0; 4096], [0; 4096]);
        while !(self.stdout_pipe.has_ended() && self.stderr_pipe.has_ended()) {
            tokio::select! {
                read = self.stdout_pipe.read(&mut out) => match read {
                    Ok(n @ 1..) => self.print(Stream::Stdout, out.get(..n).unwrap_or_default()),
                    Ok(0) | Err(_) => self.stdout_pipe = Pipe::Ended,
                },
                read = self.stderr_pipe.read(&mut err) => match read {
                    Ok(n @ 1..) => self.print(Stream::Stderr, err.get(..n).unwrap_or_default()),
                    Ok(0) | Err(_) => self.stderr_pipe = Pipe::Ended,
                },
            }
        }
    }

    /// What was printed and nobody has read yet. Never waits.
    fn take_rest(&mut self) {
        for (stream, pipe) in [
            (Stream::Stdout, std::mem::take(&mut self.stdout_pipe)),
            (Stream::Stderr, std::mem::take(&mut self.stderr_pipe)),
        ] {
            let rest = pipe.rest();
            self.print(stream, &rest);
            self.shown.log.left_out += u64::from(rest.len() >= MAX_LEFT);
        }
    }

    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let mut lines = Vec::new();
        let each = |line| lines.push(line);
        match stream {
            Stream::Stdout => self.stdout.feed(bytes, each),
            Stream::Stderr => self.stderr.feed(bytes, each),
        }
        lines.into_iter().for_each(|line| self.take(stream, line));
    }

    fn take(&mut self, stream: Stream, line: Line) {
        match &mut self.waiting {
            Some(_) if self.waiting_bytes > MAX_WAITING => self.shown.log.left_out += 1,
            Some(waiting) => {
                self.waiting_bytes += line.text.len() + size_of::<Line>();
                waiting.push((stream, line));
            }
            None => self.shown.show(&self.masks, stream, line),
        }
    }

    /// The report, but for how the process ended.
    pub(super) fn report(
        mut self,
        (duration, mut outcome): (Duration, Result<Value, CallError>),
    ) -> CallReport {
        self.watch = None;
        self.take_last_lines();
        if let Some(waiting) = self.waiting.take() {
            let mut add = |secret: &str| self.secrets.push(Secret::new(secret.to_owned()));
            hook::credentials(outcome.as_ref().unwrap_or(&Value::Null), &mut add);
            self.masks = Masks::new(self.secrets.iter().map(Secret::expose));
            waiting.into_iter().for_each(|(stream, line)| self.shown.show(&self.masks, stream, line));
        }
        if let Err(error) = &mut outcome {
            error.message = self.masks.mask(&error.message);
            error.traceback = error.traceback.as_ref().map(|trace| self.masks.mask(trace));
        }
        let log = self.shown.finish();
        CallReport { duration, log: log.lines, lines_left_out: log.left_out, exit: None, outcome }
    }

    /// Lines that nothing ended.
    fn take_last_lines(&mut self) {
        for (stream, line) in [(Stream::Stdout, self.stdout.finish()), (Stream::Stderr, self.stderr.finish())]
        {
            line.into_iter().for_each(|line| self.take(stream, line));
        }
    }

    /// The report of a call that nobody waits for any more.
    fn cancelled(&mut self) -> CallReport {
        self.take_rest();
        self.take_last_lines();
        // What it would have returned is not known, and so cannot be masked.
        self.shown.log.left_out += self.waiting.take().map_or(0, |lines| lines.len() as u64);
        let message = "the session ended during the call".to_owned();
        let log = self.shown.cut_off(&self.masks);
        CallReport {
            duration: self.started.elapsed(),
            log: log.lines,
            lines_left_out: log.left_out,
            exit: self.exit,
            outcome: Err(CallError { kind: CallErrorKind::Cancelled, message, traceback: None }),
        }
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.put(self.cancelled());
        }
    }
}

impl Shown {
    fn show(&mut self, masks: &Masks, stream: Stream, line: Line) {
        let Self { stdout, stderr, log, looked_at, session, plugin } = self;
        if !log.has_room() || *looked_at > MAX_LOOKED_AT {
            log.left_out += 1;
            return;
        }
        let masking = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        *looked_at += masking.push(masks, line, |line| keep(log, session, plugin, LogLine { stream, line }));
    }

    fn finish(&mut self) -> Log {
        let Self { stdout, stderr, log, session, plugin, .. } = self;
        stdout.finish(|line| keep(log, session, plugin, LogLine { stream: Stream::Stdout, line }));
        stderr.finish(|line| keep(log, session, plugin, LogLine { stream: Stream::Stderr, line }));
        std::mem::take(log)
    }

    /// The same where the streams were left in the middle.
    fn cut_off(&mut self, masks: &Masks) -> Log {
        let Self { stdout, stderr, log, session, plugin, .. } = self;
        stdout.cut_off(masks, |line| keep(log, session, plugin, LogLine { stream: Stream::Stdout, line }));
        stderr.cut_off(masks, |line| keep(log, session, plugin, LogLine { stream: Stream::Stderr, line }));
        std::mem::take(log)
    }
}

fn keep(log: &mut Log, session: &str, plugin: &str, line: LogLine) {
    if let Some(line) = log.push(line) {
        tracing::info!(target: "plugin", session, plugin, stream = line.stream.as_str(), line = line.line);
    }
}

impl Pipe {
    /// Ends where the system has no room to wait for one more stream, which is lost then.
    fn watch(&mut self) {
        *self = match std::mem::take(self) {
            Self::Idle(pipe) => pipe::Receiver::from_owned_fd(pipe)
                .inspect_err(|error| tracing::warn!(%error, "the output of a plugin is lost"))
                .map_or(Self::Ended, Self::Read),
            watched => watched,
        };
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Never ready for a stream that has ended or is not watched. Cancel-safe.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Read(pipe) => pipe.read(buffer).await,
            Self::Idle(_) | Self::Ended => std::future::pending().await,
        }
    }

    /// At most [`MAX_LEFT`] bytes that are there already.
    fn rest(self) -> Vec<u8> {
        match self {
            Self::Idle(pipe) => match fcntl_setfl(&pipe, OFlags::NONBLOCK) {
                Ok(()) => waiting_in(pipe.as_fd()),
                Err(_) => Vec::new(),
            },
            Self::Read(pipe) => waiting_in(pipe.as_fd()),
            Self::Ended => Vec::new(),
        }
    }
}

/// `pipe` must be one that never waits.
fn waiting_in(pipe: BorrowedFd<'_>) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    while rest.len() < MAX_LEFT
        && let Ok(read @ 1..) = rustix::io::read(pipe, &mut buffer)
    {
        rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    rest
}
