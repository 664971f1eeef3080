//! A public key or a certificate that a client shows: can it prove anything, and is it that of the person?

use std::time::SystemTime;

use keyward_session::{CertificateRefused, CertificateTerms, KnownKey, Named, Unjudged, VerifiedCertificate};
use keyward_ssh::auth::Offer;
use keyward_ssh::{
    Certificate, CertificateOptions, KeyError, Presence, PublicKey, Purpose, SignatureAlgorithm,
};

use crate::error::chain;

/// What a security key need not be touched for, by the word of the authority (PROTOCOL.certkeys).
const NO_TOUCH_REQUIRED: &str = "no-touch-required";

/// What a client shows, in a form that proves anything today.
#[derive(Debug)]
pub(crate) struct ShownKey {
    what: Shown,
    algorithm: SignatureAlgorithm,
}

#[derive(Debug)]
enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// A key that the person may use, once it has signed.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) key: KnownKey,
    /// What a security key must say of whoever used it.
    pub(crate) presence: Presence,
    /// For the session's record.
    pub(crate) how: String,
}

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Invalid(#[from] KeyError),
    #[error(transparent)]
    NotAllowed(#[from] CertificateRefused),
}

impl ShownKey {
    /// `None`: nothing that is known, or with an algorithm that is not among the `taken` ones.
    pub(crate) fn read(offer: &Offer<'_>, taken: &[SignatureAlgorithm]) -> Option<Self> {
        let (what, algorithm) = match SignatureAlgorithm::from_name(offer.algorithm) {
            Some(algorithm) => (Shown::Key(PublicKey::from_blob(offer.key).ok()?), algorithm),
            None => {
                let algorithm = SignatureAlgorithm::from_certificate_name(offer.algorithm)?;
                (Shown::Certificate(Box::new(Certificate::from_blob(offer.key).ok()?)), algorithm)
            }
        };
        let shown = Self { what, algorithm };
        let is_usable = taken.contains(&algorithm) && shown.key().kind() == algorithm.key_kind();
        is_usable.then_some(shown)
    }

    /// Whether the person may use it; a certificate that is genuine and refused is in the session's record.
    pub(crate) async fn welcome(&self, named: &mut Named) -> Result<Option<Welcome>, Unjudged> {
        let certificate = match &self.what {
            Shown::Key(key) => {
                let known = named.check_public_key(&key.to_openssh()).await?;
                let how = format!("{} {}", key.kind(), key.fingerprint());
                return Ok(known.map(|key| Welcome { key, presence: Presence::Touched, how }));
            }
            Shown::Certificate(certificate) => certificate,
        };
        let Some(terms) = named.certificate_terms().await? else { return Ok(None) };
        let refused = match check(certificate, &terms) {
            Ok(options) => match by_policy(certificate, &options, named).await? {
                Ok(key) => {
                    let (presence, how) = (presence(&options), described(certificate));
                    return Ok(Some(Welcome { key, presence, how }));
                }
                Err(refused) => Refused::from(refused),
            },
            Err(error) => Refused::from(error),
        };
        tracing::debug!(?certificate, error = %chain(&refused), "a certificate is refused");
        if is_genuine(&refused) {
            named.note(&format!("{} refused: {refused}", described(certificate))).await?;
        }
        Ok(None)
    }

    /// Whether the holder of the private key has signed this request. By what it was asked to say of its user: for a
    /// key that is not welcome, as little as for most.
    pub(crate) fn has_signed(&self, signature: &[u8], data: &[u8], presence: Presence) -> bool {
        self.key().verify_with(self.algorithm, signature, data, presence).is_ok()
    }

    fn key(&self) -> &PublicKey {
        match &self.what {
            Shown::Key(key) => key,
            Shown::Certificate(certificate) => certificate.key(),
        }
    }
}

/// What the certificate itself says, by the authorities and for the principals of the policy.
fn check(certificate: &Certificate, terms: &CertificateTerms) -> Result<CertificateOptions, KeyError> {
    let authorities: Vec<PublicKey> =
        terms.authorities.iter().map(|key| PublicKey::from_openssh(key)).collect::<Result<_, _>>()?;
    let listed = terms.principals.iter().find(|principal| certificate.principals().contains(principal));
    // One that is not listed is told apart from faults that come before.
    let principal = listed.or(terms.principals.first()).ok_or(KeyError::NoPrincipals)?;
    certificate.check(Purpose::User, principal, &authorities, SystemTime::now())
}

async fn by_policy(
    certificate: &Certificate,
    options: &CertificateOptions,
    named: &mut Named,
) -> Result<Result<KnownKey, CertificateRefused>, Unjudged> {
    let verified = VerifiedCertificate {
        key: &certificate.key().to_openssh(),
        authority: &certificate.authority().to_openssh(),
        serial: certificate.serial(),
        key_id: certificate.key_id(),
        force_command: options.force_command.as_deref(),
        source_addresses: options.source_addresses.as_deref(),
        extensions: &options.extensions,
        valid_before: certificate.valid_before(),
    };
    named.check_certificate(&verified).await
}

fn presence(options: &CertificateOptions) -> Presence {
    let may_be_untouched = options.extensions.iter().any(|extension| extension == NO_TOUCH_REQUIRED);
    match (options.verify_required, may_be_untouched) {
        (true, _) => Presence::Verified,
        (false, true) => Presence::NotNeeded,
        (false, false) => Presence::Touched,
    }
}

/// Whether a trusted authority has made what is refused: what anybody can write is not worth a line in the record.
fn is_genuine(refused: &Refused) -> bool {
    match refused {
        Refused::NotAllowed(CertificateRefused::NotTaken | CertificateRefused::Authority) => false,
        Refused::NotAllowed(
            CertificateRefused::Revoked | CertificateRefused::KeyRevoked | CertificateRefused::Address,
        ) => true,
        Refused::Invalid(error) => matches!(
            error,
            KeyError::OtherPurpose
                | KeyError::NotYetValid
                | KeyError::Expired
                | KeyError::NoPrincipals
                | KeyError::OtherPrincipal
                | KeyError::UnknownOption(_)
        ),
    }
}

/// For the record. The key id is the authority's text.
fn described(certificate: &Certificate) -> String {
    const LONGEST_ID: usize = 200;
    let id: String = certificate.key_id().chars().take(LONGEST_ID).collect();
    format!(
        "certificate {id:?} (serial {}) of {} for {}",
        certificate.serial(),
        certificate.authority().fingerprint(),
        certificate.key().fingerprint(),
    )
}
