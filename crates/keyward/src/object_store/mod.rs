//! Recordings in an object store: what runs is sent piece by piece, what is finished as a whole, checked and noted in the
//! ledger; the files of those go after a while.
//!
//! A recording is written to the local disk first, which is what a session's end depends on. The store may be away for as
//! long as it likes: what it has not got stays on the disk.

mod client;
mod parts;
mod spool;
mod upload;

use std::{io, thread};

use anyhow::Context;
use tokio::sync::oneshot;

pub(crate) use client::ObjectStore;
pub(crate) use parts::{Reach, object_of};
pub(crate) use spool::start_spooling;
pub(crate) use upload::start_uploads;

/// Why an object store has not done what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFault {
    #[error("`endpoint` and `bucket` of [gateway.object-store] make no address: {0}")]
    Endpoint(String),
    #[error("a CA of [gateway.object-store] cannot be read: {0}")]
    Ca(Box<ureq::Error>),
    #[error("the object store cannot be asked: {0}")]
    Http(Box<ureq::Error>),
    #[error("the object store does not finish its answer: {0}")]
    Body(io::Error),
    #[error("the object store refuses to {wanted}: status {status}{code}{}", mend(*.status))]
    Refused { wanted: &'static str, status: u16, code: String },
    #[error("what the object store has is not what was sent: {0}")]
    NotTheSame(String),
    #[error("the object store has no such object")]
    Gone,
    #[error("it is in another object store than the policy document's: {0}")]
    Elsewhere(String),
    #[error("the recording has {0} bytes, and {max} are the most that are sent", max = client::LARGEST)]
    TooLarge(u64),
    #[error("the file: {0}")]
    File(io::Error),
}

impl StoreFault {
    /// Whether it is this recording's alone, so that others may fare better.
    fn is_of_one(&self) -> bool {
        match self {
            Self::NotTheSame(_) | Self::Gone | Self::Elsewhere(_) | Self::TooLarge(_) | Self::File(_) => true,
            Self::Endpoint(_) | Self::Ca(_) | Self::Http(_) | Self::Body(_) | Self::Refused { .. } => false,
        }
    }
}

/// Runs what blocks on a thread of its own. Where nobody waits for it any more, it goes on, and ends with the process: a
/// gateway that stops must not wait for a slow store, as it would for tokio's blocking threads.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    let run = move || drop(done.send(work()));
    thread::Builder::new().name("object-store".to_owned()).spawn(run).context("no thread can be started")?;
    result.await.context("the thread that asks the object store is gone")
}

/// What a person can do about a status.
fn mend(status: u16) -> &'static str {
    match status {
        301 | 307 | 308 => {
            ": look at `endpoint` and `region` of [gateway.object-store]; redirects are not followed"
        }
        400 => ": look at `region` of [gateway.object-store], and at the clocks",
        401 | 403 => {
            ": look at `access-key` and `secret-key` of [gateway.object-store], at what that key may do, and at the clocks"
        }
        404 => ": look at `bucket` of [gateway.object-store]; the gateway makes none",
        _ => "",
    }
}
