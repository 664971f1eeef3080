//! The authorities that put timestamps on recordings: asked over HTTP, a few at one time (RFC 3161, section 3.4).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use keyward_policy::TimestampPolicy;
use keyward_trail::{AnswerError, Sealed, Timestamp, TimestampRequest};
use tokio::sync::Semaphore;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Questions on their way to one authority. Each has a thread.
const PLACES: usize = 8;
/// Authorities that are remembered; a document names few.
const MOST: usize = 64;

/// Those that the gateway has asked.
#[derive(Debug, Default)]
pub(crate) struct Authorities(Mutex<Vec<Arc<Authority>>>);

/// One authority, as all sessions know it.
pub(crate) struct Authority {
    policy: Arc<TimestampPolicy>,
    places: Arc<Semaphore>,
    /// Whether the last answer was none: an outage is told once.
    is_out: AtomicBool,
}

/// Why there is no timestamp.
#[derive(Debug, thiserror::Error)]
enum NoTimestamp {
    #[error("no answer within {0} s")]
    Late(u64),
    #[error("{0}")]
    Http(#[from] Box<ureq::Error>),
    #[error("it answers with status {0}")]
    Status(u16),
    #[error("the certificate of a CA cannot be read: {0}")]
    Ca(Box<ureq::Error>),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("it could not be asked")]
    Lost,
}

impl Authorities {
    /// The one that a policy names.
    pub(crate) fn of(&self, policy: &Arc<TimestampPolicy>) -> Arc<Authority> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|authority| authority.policy == *policy) {
            return Arc::clone(found);
        }
        if known.len() >= MOST {
            known.remove(0);
        }
        let (policy, places) = (Arc::clone(policy), Arc::new(Semaphore::new(PLACES)));
        let authority = Arc::new(Authority { policy, places, is_out: AtomicBool::new(false) });
        known.push(Arc::clone(&authority));
        authority
    }
}

impl Authority {
    /// How often it is asked in one session.
    pub(crate) fn interval(&self) -> Duration {
        self.policy.interval
    }

    /// A timestamp of a seal, checked. `None`: there is none within `patience`, and the log has it.
    pub(crate) async fn stamp(&self, sealed: Sealed, patience: Duration) -> Option<Timestamp> {
        let late = NoTimestamp::Late(patience.as_secs());
        let asked = tokio::time::timeout(patience, self.ask(sealed, patience)).await;
        let url = self.policy.url.as_str();
        match asked.unwrap_or(Err(late)) {
            Ok(timestamp) => {
                if self.is_out.swap(false, Ordering::Relaxed) {
                    tracing::info!(authority = url, "recordings get timestamps again");
                }
                Some(timestamp)
            }
            Err(error) => {
                let error = crate::end::chain(&error);
                if !self.is_out.swap(true, Ordering::Relaxed) {
                    tracing::warn!(authority = url, error, "ALERT: recordings get no timestamps");
                }
                None
            }
        }
    }

    async fn ask(&self, sealed: Sealed, patience: Duration) -> Result<Timestamp, NoTimestamp> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| NoTimestamp::Lost)?;
        let policy = Arc::clone(&self.policy);
        let work = move || {
            // Given back when the thread is done, also where nobody waits for it any more.
            let _place = place;
            let request = TimestampRequest::new(sealed)?;
            let answer = post(&policy, &request, patience)?;
            Ok(request.answer(&answer, &policy.authorities, SystemTime::now().into())?)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| NoTimestamp::Lost)?
    }
}

/// A client for one question: no proxy, no other server than the one that the policy names, and an end after `patience`.
#[expect(
    clippy::disallowed_methods,
    reason = "a timestamping authority of the policy document is no target of a session"
)]
fn client(policy: &TimestampPolicy, patience: Duration) -> Result<ureq::Agent, NoTimestamp> {
    let ca = |pem: &String| Certificate::from_pem(pem.as_bytes());
    let roots = policy.certificates.iter().map(ca).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|error| NoTimestamp::Ca(Box::new(error)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(patience))
        .tls_config(tls)
        .build();
    Ok(ureq::Agent::new_with_config(config))
}

fn post(
    policy: &TimestampPolicy,
    request: &TimestampRequest,
    patience: Duration,
) -> Result<Vec<u8>, NoTimestamp> {
    let failed = |error: ureq::Error| NoTimestamp::Http(Box::new(error));
    let question = client(policy, patience)?.post(policy.url.as_str());
    let question = question.header("Content-Type", "application/timestamp-query");
    let mut answer = question.send(request.body()).map_err(failed)?;
    if answer.status() != 200 {
        return Err(NoTimestamp::Status(answer.status().as_u16()));
    }
    let body = answer.body_mut().with_config().limit(TimestampRequest::MOST_ANSWER as u64);
    body.read_to_vec().map_err(failed)
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("url", &self.policy.url).finish_non_exhaustive()
    }
}
