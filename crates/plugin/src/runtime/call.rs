//! One call, from the worker that it takes to the report.

use std::pin::pin;
use std::time::Duration;

use keyward_model::Secret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::confinement::overrun;
use super::frame::FrameError;
use super::instance::Inner;
use super::pool::Lease;
use super::printing::Printing;
use super::process::Ending;
use super::report::signal_name;
use super::worker::Worker;
use super::{Call, CallError, CallErrorKind, CallReport, Exit, Watch};
use crate::hook::{self, Hook};
use crate::service::Owner;

/// What a call prints this early is read together. The worker would be held up by a reader that is told of each line,
/// and most calls are over by then.
const TOGETHER: Duration = Duration::from_millis(5);
/// How long the worker may take to end after its result, or after it has closed its channel.
const TO_END: Duration = Duration::from_secs(5);
/// How long output is collected once the worker is gone: something that it started may hold the pipes.
const AFTER_RESULT: Duration = Duration::from_secs(1);
/// The same after a failure.
const AFTER_END: Duration = Duration::from_millis(200);

/// Cancel-safe: dropping the future drops the lease, which kills the call's processes.
///
/// `secrets` are masked in what the plugin prints and raises, and so are those of the call itself.
pub(super) async fn perform(
    instance: &Inner,
    mut call: Call,
    secrets: &[Secret],
    watch: &Watch,
) -> CallReport {
    let started = Instant::now();
    let deadline = started + call.time_limit;
    hook::complete(call.hook, instance.kind, &mut call.arguments);
    let mut secrets = secrets.to_vec();
    let password = call.arguments.get("gateway_password").and_then(Value::as_str);
    secrets.extend(password.map(|password| Secret::new(password.to_owned())));
    let mut printing = Printing::new(instance, &call, secrets, watch);
    let mut exit = None;
    let outcome = match begin(instance, &call, deadline).await {
        Ok((mut lease, _permit)) => {
            printing.reached(lease.stdout.take(), lease.stderr.take());
            let outcome = {
                let mut output = pin!(printing.collect());
                let (outcome, drained) = {
                    let mut outcome = pin!(converse(instance, &mut lease, call, deadline));
                    match timeout(TOGETHER, &mut outcome).await {
                        Ok(outcome) => (outcome, false),
                        Err(_) => tokio::select! {
                            outcome = &mut outcome => (outcome, false),
                            () = &mut output => (outcome.await, true),
                        },
                    }
                };
                let duration = started.elapsed();
                if !drained {
                    let late = async {
                        if outcome.is_err() {
                            return sleep(AFTER_END).await;
                        }
                        lease.ended(TO_END).await;
                        sleep(AFTER_RESULT).await;
                    };
                    // What is there is read before a look at the clock.
                    tokio::select! {
                        biased;
                        () = output => {}
                        () = late => {}
                    }
                }
                (duration, outcome)
            };
            exit = Some(lease.exit);
            drop(lease);
            outcome
        }
        Err(error) => (started.elapsed(), Err(error)),
    };
    CallReport { exit, ..printing.report(outcome) }
}

type Begun<'a> = (Lease, tokio::sync::SemaphorePermit<'a>);

/// A place among the running calls, and a worker.
async fn begin<'a>(instance: &'a Inner, call: &Call, deadline: Instant) -> Result<Begun<'a>, CallError> {
    if !call.hook.belongs_to(instance.kind) {
        let message = format!("{} is no hook of a plugin of type {}", call.hook, instance.kind_name());
        return Err(failed(CallErrorKind::MissingHook, message));
    }
    if let Some(why) = instance.disk.full() {
        // Somebody may have made room.
        instance.disk.measure_soon();
        return Err(failed(CallErrorKind::Unavailable, why));
    }
    let permit = match call.hook {
        Hook::Authenticate => instance.admission.for_a_new_session()?,
        _ => instance.admission.for_an_old_one(deadline).await?,
    };
    let no_worker = || failed(CallErrorKind::Unavailable, "no worker was ready within the time limit".into());
    let lease = timeout_at(deadline, instance.pool.take()).await.unwrap_or_else(|_| Err(no_worker()))?;
    Ok((lease, permit))
}

async fn converse(
    instance: &Inner,
    worker: &mut Worker,
    call: Call,
    deadline: Instant,
) -> Result<Value, CallError> {
    let limit = call.time_limit;
    let watch = overrun(worker.pid, instance.allowance, &instance.tasks, &instance.disk);
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, talk(instance, worker, call, deadline)) => {
            outcome.unwrap_or_else(|_| Err(timed_out(limit)))
        }
        over = watch => Err(failed(CallErrorKind::Limit, format!("the call was killed: {over}"))),
    };
    if outcome
        .as_ref()
        .is_err_and(|error| matches!(error.kind, CallErrorKind::Timeout | CallErrorKind::Limit))
    {
        worker.abort();
    }
    outcome
}

/// Gives the worker its call, answers its requests, and returns what it makes of it.
async fn talk(
    instance: &Inner,
    worker: &mut Worker,
    call: Call,
    deadline: Instant,
) -> Result<Value, CallError> {
    let owner = instance.services().owner(&instance.name);
    let order = json!({
        "hook": call.hook.name(),
        "arguments": call.arguments,
        "limit": deadline.saturating_duration_since(Instant::now()).as_secs_f64(),
    });
    let sent = worker.channel.send(&order).await;
    hook::forget(order);
    if sent.is_err() {
        return Err(died(worker, call.time_limit).await);
    }
    loop {
        let frame = match next(worker).await {
            Ok(frame) => frame,
            Err(FrameError::Closed | FrameError::Io(_)) => return Err(died(worker, call.time_limit).await),
            Err(error @ FrameError::TooLarge(_)) => {
                worker.exit = Exit::Killed;
                return Err(failed(CallErrorKind::TooLarge, format!("the result is refused: {error}")));
            }
            Err(error @ FrameError::NotJson(_)) => {
                worker.exit = Exit::Killed;
                return Err(failed(CallErrorKind::WrongResult, format!("the result is refused: {error}")));
            }
        };
        if frame.get("service").is_some() {
            let served = match answer(instance, worker, &owner, &frame).await {
                Some(answer) => worker.channel.send(&answer).await.is_ok(),
                None => false,
            };
            if !served {
                return Err(died(worker, call.time_limit).await);
            }
            continue;
        }
        return read_result(frame);
    }
}

/// The answer to a service request; `None` when the worker ends before it is there.
async fn answer(instance: &Inner, worker: &mut Worker, owner: &Owner, request: &Value) -> Option<Value> {
    let (_, pidfd) = worker.parts();
    let answer = async {
        let of_doors = match &instance.doors {
            Some(doors) => doors.answer(request).await,
            None => None,
        };
        match of_doors {
            Some(answer) => answer,
            None => instance.services().answer(owner, request).await,
        }
    };
    tokio::select! {
        biased;
        answer = answer => Some(answer),
        _ = pidfd.readable() => None,
    }
}

/// The next frame. Should something hold the channel open that the worker started, the worker's end is the end.
async fn next(worker: &mut Worker) -> Result<Value, FrameError> {
    let (channel, pidfd) = worker.parts();
    tokio::select! {
        biased;
        frame = channel.next() => return frame,
        _ = pidfd.readable() => {}
    }
    // What it sent before its end is there already.
    timeout(AFTER_END, channel.next()).await.unwrap_or(Err(FrameError::Closed))
}

/// What a worker's last frame says.
pub(super) fn read_result(mut frame: Value) -> Result<Value, CallError> {
    if let Some(result) = frame.get_mut("result") {
        return Ok(result.take());
    }
    let Some(error) = frame.get("error") else {
        return Err(failed(CallErrorKind::Protocol, "the worker sent a frame that nobody knows".into()));
    };
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let kind = text("kind").and_then(CallErrorKind::of_worker).unwrap_or(CallErrorKind::Protocol);
    let message = text("message").unwrap_or("the worker says no more").chars().take(MAX_MESSAGE).collect();
    let traceback = text("traceback").map(|trace| trace.chars().take(MAX_TRACEBACK).collect());
    Err(CallError { kind, message, traceback })
}

/// The worker bounds both by itself, but it has run the plugin.
pub(super) const MAX_MESSAGE: usize = 4096;
pub(super) const MAX_TRACEBACK: usize = 128 * 1024;

async fn died(worker: &mut Worker, limit: Duration) -> CallError {
    match worker.ending(TO_END).await {
        Some(Ending::Status(status)) => {
            worker.exit = Exit::Status(status);
            failed(CallErrorKind::Exited, format!("the plugin ended its process with status {status}"))
        }
        Some(Ending::Signal(libc::SIGALRM)) => {
            worker.exit = Exit::Killed;
            timed_out(limit)
        }
        Some(Ending::Signal(signal)) => {
            worker.exit = Exit::Signal(signal);
            failed(CallErrorKind::Crashed, format!("the process was killed by {}", signal_name(signal)))
        }
        None => {
            worker.abort();
            failed(CallErrorKind::Protocol, "the process closed its channel without a result".into())
        }
    }
}

fn timed_out(limit: Duration) -> CallError {
    let message = format!("the call did not end within its time limit of {limit:?}");
    failed(CallErrorKind::Timeout, message)
}

fn failed(kind: CallErrorKind, message: String) -> CallError {
    CallError { kind, message, traceback: None }
}
