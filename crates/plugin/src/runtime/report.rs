//! A call as its caller sees it: what goes in and what comes out.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

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
