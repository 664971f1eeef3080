//! Towards the target: the handshake, and the check of who it is.

use std::time::{Duration, SystemTime};

use keyward_model::{SessionId, TargetAddr};
use keyward_policy::Algorithms;
use keyward_session::{Connected, Ended, KnownHostKeys, Reason, ShownCertificate, ShownHostKey};
use keyward_ssh::{Certificate, Disconnect, HostKey, PublicKey, Purpose, auth, message};
use tokio::net::TcpStream;

use crate::error::chain;
use crate::peer::{Incoming, Peer, tune};
use crate::{SshError, algorithms};

/// How long a target may take for the handshake, and for each step of the log-in.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A target that has proven its identity, and the stage that goes with it.
pub(crate) struct Reached {
    pub(crate) connected: Connected,
    pub(crate) target: Peer,
}

/// Where a connection leads.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) session: SessionId,
    pub(crate) address: TargetAddr,
}

/// The SSH handshake on a new connection, with the host key judged by the stage.
pub(crate) async fn reach(connected: Connected, stream: TcpStream, leg: &Leg) -> Result<Reached, Ended> {
    match shake_hands(&connected, stream, leg).await {
        Ok(target) => Ok(Reached { connected, target }),
        Err(reason) => Err(connected.fail(&reason)),
    }
}

async fn shake_hands(connected: &Connected, stream: TcpStream, leg: &Leg) -> Result<Peer, Reason> {
    let host_key = |source| Reason::HostKey { target: leg.address.clone(), source };
    let set = connected.connection().settings.target_algorithms;
    let failed = |error: SshError| Reason::Target(account(&error, set));
    let known = connected.known_host_keys().await.map_err(host_key)?;
    if let Err(error) = tune(&stream) {
        tracing::debug!(session = %leg.session, %error, "a socket option was refused");
    }
    let mut target = Peer::new(stream, algorithms::client(&known, set)).map_err(failed)?;
    let greeted = tokio::time::timeout(PATIENCE, greet(connected, &known, &mut target)).await;
    match greeted {
        Ok(Ok(())) => Ok(target),
        Ok(Err(Fault::HostKey(problem))) => {
            target.leave(Disconnect::HostKeyNotVerifiable, "").await;
            Err(host_key(problem))
        }
        Ok(Err(Fault::Ssh(error))) => {
            if let SshError::Protocol(error) = &error {
                target.leave(error.disconnect(), "").await;
            }
            Err(failed(error))
        }
        Err(_) => Err(Reason::Target("no SSH handshake in time".to_owned())),
    }
}

/// What went wrong, for the record, and whether the policy could mend it.
fn account(error: &SshError, set: Algorithms) -> String {
    let text = chain(error);
    match error {
        SshError::Protocol(keyward_ssh::Error::NothingInCommon { theirs, .. })
            if set == Algorithms::Modern && algorithms::some_are_legacy(theirs) =>
        {
            format!(
                "{text}. These are legacy algorithms; `target-algorithms = \"legacy\"` in the settings of the connection allows them"
            )
        }
        _ => text,
    }
}

enum Fault {
    HostKey(keyward_session::HostKeyProblem),
    Ssh(SshError),
}

impl<E: Into<SshError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Ssh(error.into())
    }
}

/// Up to the service of user authentication. No secret leaves before the host key has been accepted.
async fn greet(connected: &Connected, known: &KnownHostKeys, target: &mut Peer) -> Result<(), Fault> {
    loop {
        match target.next().await? {
            Incoming::HostKey(shown) => {
                let shown = judged(&shown, known);
                connected.check_host_key(&shown).await.map_err(Fault::HostKey)?;
                target.transport.accept_host_key()?;
            }
            Incoming::Ready => target.send(&auth::service_request(auth::SERVICE))?,
            Incoming::Message(message) if message.first() == Some(&message::SERVICE_ACCEPT) => return Ok(()),
            Incoming::Message(_) => return Err(SshError::OutOfTurn.into()),
        }
    }
}

/// The key as the stage judges it.
fn judged(shown: &HostKey, known: &KnownHostKeys) -> ShownHostKey {
    let certificate = match &shown.certificate {
        None => ShownCertificate::None,
        Some(certificate) => match certified(certificate, known, SystemTime::now()) {
            Ok(()) => ShownCertificate::Valid { authority: certificate.authority().to_openssh() },
            Err(why) => ShownCertificate::Invalid { why },
        },
    };
    ShownHostKey { key: shown.key.to_openssh(), certificate }
}

/// Whether a known authority says that the key is the target's, by its name; if not, why.
fn certified(certificate: &Certificate, known: &KnownHostKeys, now: SystemTime) -> Result<(), String> {
    let authorities: Vec<PublicKey> =
        known.authorities.iter().filter_map(|key| PublicKey::from_openssh(key).ok()).collect();
    match certificate.check(Purpose::Host, &known.name, &authorities, now) {
        Ok(_) => Ok(()),
        Err(why) => Err(format!(
            "{why} (certificate of {} for {})",
            certificate.authority().fingerprint(),
            known.name
        )),
    }
}
