//! Certificates for the log-in on a target, each for one session, by an authority of the policy.

use std::time::{Duration, SystemTime};

use keyward_model::Secret;
use keyward_session::CertificateOrder;
use keyward_ssh::{Certificate, KeyError, KeyKind, SigningKey, UserCertificate};

/// A key that lives as long as its use, and its certificate.
pub(crate) struct Issued {
    pub(crate) key: SigningKey,
    pub(crate) certificate: Certificate,
}

/// The target's clock may be behind.
const BEFORE: Duration = Duration::from_secs(60);

/// Makes a key and certifies it.
pub(crate) fn issue(order: &CertificateOrder, now: SystemTime) -> Result<Issued, KeyError> {
    let authority = SigningKey::from_text(&order.authority, None)?;
    let key = SigningKey::generate(KeyKind::Ed25519)?;
    let wanted = UserCertificate {
        principals: &order.principals,
        key_id: &order.key_id,
        serial: order.serial,
        extensions: &order.extensions,
        valid: now - BEFORE..now + order.validity,
    };
    let certificate = authority.certify(key.public(), &wanted)?;
    Ok(Issued { key, certificate })
}

/// Why the gateway could not certify with this key, in words without its text; `None`: it could.
pub fn authority_fault(key: &Secret) -> Option<String> {
    let order = CertificateOrder {
        authority: key.clone(),
        principals: vec!["nobody".to_owned()],
        key_id: String::new(),
        serial: 0,
        validity: Duration::from_secs(1),
        extensions: Vec::new(),
    };
    issue(&order, SystemTime::now()).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_certify_is_told_without_its_text() {
        let key = SigningKey::generate(KeyKind::EcdsaP384).unwrap().to_openssh().unwrap();
        assert_eq!(authority_fault(&key), None);
        let broken = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
        let fault = authority_fault(&Secret::new(broken.to_owned())).unwrap();
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}
