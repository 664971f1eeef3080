//! A call as its caller sees it: what goes in and what comes out.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::PluginError;
use crate::hook::Hook;

/// One hook call.
#[derive(Clone)]
pub struct Call {
    /// What each line of output is prefixed with: the session's id.
    pub log_prefix: String,
    pub hook: Hook,
    /// By name; what the hook knows and this leaves out is `None` (cookies `{}`).
    pub arguments: Map<String, Value>,
    /// Past it the process and everything that it started are killed.
    pub time_limit: Duration,
}

impl fmt::Debug for Call {
    /// Arguments are answers and passwords: none is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("log_prefix", &self.log_prefix)
            .field("hook", &self.hook)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// How a call went.
pub struct CallReport {
    /// From the call to its result, waiting for a worker included.
    pub duration: Duration,
    /// What the plugin printed, in the order of each stream.
    pub log: Vec<LogLine>,
    /// Lines past the limit on what is kept of one call.
    pub lines_left_out: u64,
    /// How the plugin's process ended; `None` where none got the call.
    pub exit: Option<Exit>,
    /// What the hook returned. [`crate::Cookies::absorb`] takes the cookies out of it.
    pub outcome: Result<Value, CallError>,
}

impl fmt::Debug for CallReport {
    /// A result may be passwords: it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallReport")
            .field("duration", &self.duration)
            .field("log", &self.log)
            .field("lines_left_out", &self.lines_left_out)
            .field("error", &self.outcome.as_ref().err())
            .finish_non_exhaustive()
    }
}

/// Has the report of a call that is dropped before its end.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Option<CallReport>>>);

impl Watch {
    /// The report, once: the call was dropped, and its processes are killed. `None` before that, and for a call that
    /// came to its end.
    pub fn take(&self) -> Option<CallReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, report: CallReport) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

/// How the process of a call came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It told its result, or its exception.
    Returned,
    /// It ended with this status, without a word.
    Status(i32),
    /// A signal ended it: its number.
    Signal(i32),
    /// The gateway killed it: it took too long, or said what cannot be used.
    Killed,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => f.write_str(&signal_name(*signal)),
            Self::Killed => f.write_str("killed"),
        }
    }
}

pub(super) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// A line that a plugin printed; bytes that are not UTF-8, and control characters, are escaped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    pub stream: Stream,
    pub line: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A call without a usable result: the session must end (contract section 3, rule 9).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: CallErrorKind,
    /// One line for the log and the record, not for the person who connects.
    pub message: String,
    /// Python's own account, where there was an exception.
    pub traceback: Option<String>,
}

impl CallError {
    pub(super) fn unavailable(message: String) -> Self {
        Self { kind: CallErrorKind::Unavailable, message, traceback: None }
    }
}

/// What a call is told whose plugin cannot be started.
impl From<PluginError> for CallError {
    fn from(error: PluginError) -> Self {
        let message = error.to_string();
        match error {
            PluginError::Import { traceback, .. } => {
                Self { kind: CallErrorKind::Import, message, traceback: Some(traceback) }
            }
            PluginError::ImportTimeout { .. } | PluginError::ImportDied { .. } => {
                Self { kind: CallErrorKind::Import, message, traceback: None }
            }
            PluginError::KindNotSupported { .. }
            | PluginError::WrongPython { .. }
            | PluginError::Interpreter { .. }
            | PluginError::File { .. }
            | PluginError::System { .. }
            | PluginError::Protocol { .. }
            | PluginError::Barred { .. }
            | PluginError::LdapServer { .. }
            | PluginError::NoUser { .. }
            | PluginError::Exposed { .. }
            | PluginError::Unconfined(_)
            | PluginError::NetworkOpen { .. }
            | PluginError::ShutDown => Self::unavailable(message),
        }
    }
}

/// By whose fault a call failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CallErrorKind {
    /// The plugin raised an exception.
    Exception,
    /// The time limit has passed.
    Timeout,
    /// A signal killed the worker: a crash, or the memory limit.
    Crashed,
    /// The plugin ended its process.
    Exited,
    /// The plugin has no such hook.
    MissingHook,
    /// The result is not what the contract says, or JSON cannot hold it.
    WrongResult,
    /// The hook declares an argument that nobody can give.
    Signature,
    /// The plugin takes no configuration and is given one.
    Configuration,
    /// The plugin cannot be imported.
    Import,
    /// The result is larger than a frame may be.
    TooLarge,
    /// The call used more memory, processes or disk than it is allowed, and was killed.
    Limit,
    /// As many calls are running as are allowed.
    Busy,
    /// No worker could be started.
    Unavailable,
    /// The worker broke the protocol that it and the gateway speak.
    Protocol,
    /// Whoever wanted the result is gone.
    Cancelled,
}

impl CallErrorKind {
    /// One word for records and `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exception => "exception",
            Self::Timeout => "timeout",
            Self::Crashed => "crashed",
            Self::Exited => "exited",
            Self::MissingHook => "missing-hook",
            Self::WrongResult => "wrong-result",
            Self::Signature => "signature",
            Self::Configuration => "configuration",
            Self::Import => "import",
            Self::TooLarge => "too-large",
            Self::Limit => "limit",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kinds that a worker may report by their word.
    pub(super) fn of_worker(word: &str) -> Option<Self> {
        let reportable = [
            Self::Exception,
            Self::Exited,
            Self::MissingHook,
            Self::WrongResult,
            Self::Signature,
            Self::Configuration,
            Self::Import,
            Self::TooLarge,
        ];
        reportable.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for CallErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
