//! A template process: an interpreter that has imported the plugin and forks workers.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::process::Child;
use tokio::time::timeout;

use super::confinement::{Group, Stamp, serve};
use super::frame::{Channel, FrameError, encode};
use super::launch::{IMPORT_SECONDS, Launch, PROTOCOL_VERSION};
use super::lines::{Line, Lines, Log};
use super::process::verified;
use super::worker::Worker;
use super::{LogLine, PluginError, Stream};
use crate::PythonMajor;
use crate::service::{Owner, Services};

#[derive(Debug)]
pub(super) struct Template {
    process: Child,
    pub(super) pid: Pid,
    control: Channel,
    language: PythonMajor,
    /// The hooks that the plugin's class has; empty when it is not imported.
    pub(super) hooks: Vec<String>,
    /// Holds the locks that the import took.
    owner: Owner,
    /// Everything that comes of the template. It is killed when this is dropped.
    pub(super) group: Option<Group>,
    /// What the files were that it may read.
    stamp: Stamp,
}

pub(super) enum Started {
    Ready(Box<Template>),
    /// Imported, but not fit to fork: why.
    Unforkable(String),
}

/// When a new worker is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// No worker is idle.
    Now,
    /// There is time to make it fast.
    Ahead,
}

/// Why there is no new worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForkError {
    /// The system's or the plugin's limits; the template is well.
    #[error("no worker could be forked: {0}")]
    Refused(String),
    /// The template does not answer as it should, and is to be replaced.
    #[error("the template broke the worker protocol: {0}")]
    Broken(String),
}

const FORK_LIMIT: Duration = Duration::from_secs(10);
/// What a worker is given: its channel, stdout and stderr.
const FILES: usize = 3;

impl Template {
    pub(super) async fn start(launch: &Launch, services: &Arc<Services>) -> Result<Started, PluginError> {
        let system = |what| move |source| PluginError::System { what, source };
        let (ours, theirs) = UnixStream::pair().map_err(system("cannot make a socket pair"))?;
        let stamp = launch.rules.reach.stamp();
        let (mut command, companions) =
            launch.command(theirs.as_raw_fd()).map_err(system("cannot confine a template"))?;
        let mut process = command.spawn().map_err(|source| interpreter_error(launch, source))?;
        drop((command, theirs));
        let group = companions.group;
        if let (Some(asking), Some(doors)) = (companions.asking, &launch.rules.doors) {
            listener(&asking)
                .and_then(|listener| serve(launch.name.to_string(), Arc::clone(doors), listener))
                .map_err(system("cannot serve the connections of a template"))?;
        }
        tokio::spawn(print(launch.name.to_string(), Stream::Stdout, process.stdout.take()));
        tokio::spawn(print(launch.name.to_string(), Stream::Stderr, process.stderr.take()));
        let pid = process.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let pid = pid.ok_or_else(|| system("cannot start a template")(io::ErrorKind::NotFound.into()))?;
        let control = Channel::new(ours).map_err(system("cannot use a socket pair"))?;
        let owner = services.owner(&launch.name);
        let language = launch.language;
        let mut template = Self { process, pid, control, language, hooks: Vec::new(), owner, group, stamp };
        let limit = Duration::from_secs(IMPORT_SECONDS);
        match timeout(limit, template.import(launch, services)).await {
            Ok(Ok(None)) => Ok(Started::Ready(Box::new(template))),
            Ok(Ok(Some(obstacle))) => {
                template.end().await;
                Ok(Started::Unforkable(obstacle))
            }
            Ok(Err(error)) => {
                template.end().await;
                Err(error)
            }
            Err(_) => {
                template.end().await;
                Err(PluginError::ImportTimeout { instance: launch.name.clone(), seconds: IMPORT_SECONDS })
            }
        }
    }

    /// Speaks with the template until its import has ended; services are there for it already.
    async fn import(
        &mut self,
        launch: &Launch,
        services: &Arc<Services>,
    ) -> Result<Option<String>, PluginError> {
        let protocol = |what: String| PluginError::Protocol { instance: launch.name.clone(), what };
        if self.control.send(&launch.first_frame()).await.is_err() {
            return Err(self.died(launch).await);
        }
        loop {
            let frame = match self.control.next().await {
                Ok(frame) => frame,
                Err(FrameError::Closed | FrameError::Io(_)) => return Err(self.died(launch).await),
                Err(error @ (FrameError::TooLarge(_) | FrameError::NotJson(_))) => {
                    return Err(protocol(error.to_string()));
                }
            };
            if frame.get("service").is_some() {
                let of_doors = match &launch.rules.doors {
                    Some(doors) => doors.answer(&frame).await,
                    None => None,
                };
                let answer = match of_doors {
                    Some(answer) => answer,
                    None => services.answer(&self.owner, &frame).await,
                };
                self.control.send(&answer).await.map_err(|error| protocol(error.to_string()))?;
                continue;
            }
            if let Some(error) = frame.get("error") {
                return Err(import_error(launch, error));
            }
            if frame.get("version").and_then(Value::as_u64) != Some(PROTOCOL_VERSION) {
                return Err(protocol(format!("it does not speak version {PROTOCOL_VERSION}")));
            }
            if let Some(obstacle) = frame.get("unforkable").and_then(Value::as_str) {
                return Ok(Some(obstacle.chars().take(200).collect()));
            }
            let hooks = frame.get("ready").and_then(Value::as_array);
            let hooks = hooks.ok_or_else(|| protocol("it is not ready".into()))?;
            self.hooks = hooks.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return Ok(None);
        }
    }

    async fn died(&mut self, launch: &Launch) -> PluginError {
        let how = match timeout(Duration::from_secs(2), self.process.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its channel".to_owned(),
        };
        PluginError::ImportDied { instance: launch.name.clone(), how }
    }

    /// A new worker; `reap` are dead children that nobody needs any more.
    pub(super) async fn fork(&mut self, need: Need, reap: &[i32]) -> Result<Worker, ForkError> {
        timeout(FORK_LIMIT, self.fork_unhurried(need, reap))
            .await
            .unwrap_or_else(|_| Err(ForkError::Broken("it does not answer".into())))
    }

    async fn fork_unhurried(&mut self, need: Need, reap: &[i32]) -> Result<Worker, ForkError> {
        let refused = |error: io::Error| ForkError::Refused(error.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(refused)?;
        let (stdout, stdout_end) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| refused(error.into()))?;
        let (stderr, stderr_end) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| refused(error.into()))?;
        self.order_fork(need, reap, [theirs.into(), stdout_end, stderr_end]).await?;
        let answer = self.answer().await?;
        if let Some(reason) = answer.get("refused").and_then(Value::as_str) {
            return Err(ForkError::Refused(reason.chars().take(200).collect()));
        }
        let pid = answer.get("pid").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| ForkError::Broken("it names no worker".into()))?;
        let mut channel = Channel::new(ours).map_err(refused)?;
        // Once it has spoken, the worker is in a session of its own.
        let ready = channel.next().await.map_err(|error| ForkError::Refused(error.to_string()))?;
        if ready.get("ready").and_then(Value::as_i64) != Some(pid.into()) {
            return Err(ForkError::Broken("its worker is another process".into()));
        }
        let identity = verified(pid, self.pid).map_err(|error| ForkError::Broken(error.to_string()))?;
        Worker::new(identity, channel, stdout, stderr).map_err(refused)
    }

    /// Lets the template reap dead children.
    pub(super) async fn reap(&mut self, dead: &[i32]) -> Result<(), ForkError> {
        let exchange = async {
            let order = json!({"fork": false, "reap": dead});
            self.control.send(&order).await.map_err(|error| ForkError::Broken(error.to_string()))?;
            self.answer().await.map(drop)
        };
        let silent = || Err(ForkError::Broken("it does not answer".into()));
        timeout(FORK_LIMIT, exchange).await.unwrap_or_else(|_| silent())
    }

    async fn answer(&mut self) -> Result<Value, ForkError> {
        self.control.next().await.map_err(|error| ForkError::Broken(error.to_string()))
    }

    /// Sends the order with the descriptors that the worker is to have.
    ///
    /// Python 3 takes them all with the first byte of the frame. Python 2 has no `recvmsg`, and what it has instead
    /// (`_multiprocessing.recvfd`) takes one descriptor with one byte: they follow the frame.
    async fn order_fork(
        &mut self,
        need: Need,
        reap: &[i32],
        files: [OwnedFd; FILES],
    ) -> Result<(), ForkError> {
        let files = files.each_ref().map(AsFd::as_fd);
        let (with, after): (&[BorrowedFd<'_>], &[BorrowedFd<'_>]) = match self.language {
            PythonMajor::Three => (&files, &[]),
            PythonMajor::Two => (&[], &files),
        };
        let ahead = need == Need::Ahead;
        let order = json!({"fork": true, "ahead": ahead, "reap": reap, "files_after": after.len()});
        let frame = encode(&order).map_err(|error| ForkError::Broken(error.to_string()))?;
        self.send_with(&frame, with).await?;
        for file in after {
            self.send_with(b"f", std::slice::from_ref(file)).await?;
        }
        Ok(())
    }

    /// Sends bytes with descriptors at the first of them.
    async fn send_with(&mut self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> Result<(), ForkError> {
        let broken = |error: io::Error| ForkError::Broken(error.to_string());
        let stream = self.control.stream();
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
                let mut rights = SendAncillaryBuffer::new(&mut space);
                if !files.is_empty() {
                    rights.push(SendAncillaryMessage::ScmRights(files));
                }
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut rights, flags)?)
            })
            .await
            .map_err(broken)?;
        let rest = bytes.get(sent..).unwrap_or_default();
        self.control.stream_mut().write_all(rest).await.map_err(broken)
    }

    /// Whether files that it may read have been replaced since its start: it cannot read the new ones.
    pub(super) fn is_stale(&self, launch: &Launch) -> bool {
        self.stamp != launch.rules.reach.stamp()
    }

    /// Resolves when the process has ended. Cancel-safe.
    pub(super) async fn ended(&mut self) {
        let _ = self.process.wait().await;
    }

    /// Kills the template; its idle workers end with their channels.
    pub(super) async fn end(&mut self) {
        // Once it has been waited for, its pid may be another's.
        if self.process.id().is_some() {
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
        let _ = self.process.kill().await;
    }
}

/// The descriptor that the template sent before it became the interpreter.
fn listener(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut received, flags)?;
    let sent = received.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    sent.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn interpreter_error(launch: &Launch, source: io::Error) -> PluginError {
    let own = rustix::process::geteuid().as_raw();
    let user = launch.rules.uid.unwrap_or(own);
    PluginError::Interpreter { python: launch.python.clone(), user, source }
}

fn import_error(launch: &Launch, error: &Value) -> PluginError {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    PluginError::Import {
        instance: launch.name.clone(),
        message: text("message"),
        traceback: text("traceback"),
    }
}

/// Logs what the template prints, which is what the import prints.
async fn print(plugin: String, stream: Stream, pipe: Option<impl AsyncRead + Unpin>) {
    let Some(mut pipe) = pipe else { return };
    let (mut lines, mut log) = (Lines::default(), Log::default());
    let mut buffer = vec![0; 8192];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        lines.feed(buffer.get(..read).unwrap_or_default(), |line| {
            if let Some(line) = log.push(imported(stream, line)) {
                tracing::info!(target: "plugin", plugin, stream = stream.as_str(), line = line.line, "import");
            }
        });
    }
    if let Some(line) = lines.finish().and_then(|line| log.push(imported(stream, line)).cloned()) {
        tracing::info!(target: "plugin", plugin, stream = stream.as_str(), line = line.line, "import");
    }
}

/// No session has told an import any secret.
fn imported(stream: Stream, line: Line) -> LogLine {
    LogLine { stream, line: line.whole() }
}
