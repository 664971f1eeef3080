//! A worker process, from its fork to its end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::frame::Channel;
use super::process::{self, Ending, Stat};
use super::{Exit, spawn};

/// A worker that waits for its one call.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    pub(super) channel: Channel,
    /// Nobody is told of what comes here before somebody reads it.
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// How its call ended it, as far as the gateway has seen.
    pub(super) exit: Exit,
}

impl Worker {
    pub(super) fn new(
        (pid, pidfd): (Pid, OwnedFd),
        channel: Channel,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> io::Result<Self> {
        Ok(Self {
            pid,
            pidfd: spawn::watch(pidfd)?,
            channel,
            stdout: Some(stdout),
            stderr: Some(stderr),
            exit: Exit::Returned,
        })
    }

    /// Kills the process and its group.
    pub(super) fn kill(&self) {
        process::kill_group(self.pid, self.pidfd.as_fd());
    }

    /// Kills them in the middle of the call.
    pub(super) fn abort(&mut self) {
        self.exit = Exit::Killed;
        self.kill();
    }

    /// How the process ended; `None` when it is still there after `patience`.
    pub(super) async fn ending(&self, patience: Duration) -> Option<Ending> {
        self.ended(patience).await;
        Stat::read(self.pid)?.ending()
    }

    /// Waits for the end of the process, no longer than `patience`. Cancel-safe.
    pub(super) async fn ended(&self, patience: Duration) {
        let _ = timeout(patience, self.pidfd.readable()).await;
    }

    /// The channel, and what resolves when the process has ended.
    pub(super) fn parts(&mut self) -> (&mut Channel, &AsyncFd<OwnedFd>) {
        (&mut self.channel, &self.pidfd)
    }
}
