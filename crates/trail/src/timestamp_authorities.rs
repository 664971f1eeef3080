//! Whose timestamps are believed.

use std::fmt;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::timestamp_token::{Token, TokenError};

/// id-kp-timeStamping (RFC 3161, section 2.3), 1.3.6.1.5.5.7.3.8, without tag and length.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
const TIME_STAMPING_ID: &str = "1.3.6.1.5.5.7.3.8";
const MOST: usize = 64;

/// The certificates that one of a timestamping authority must come from.
#[derive(Clone, Eq, PartialEq)]
pub struct TimestampAuthorities(Vec<TrustAnchor<'static>>);

/// Why a text names no authorities.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthorityError {
    #[error("there is no certificate in it: a PEM file with BEGIN CERTIFICATE has one")]
    None,
    #[error("certificate {0} in it cannot be understood")]
    Certificate(usize),
    #[error("it has more than {MOST} certificates")]
    TooMany,
}

impl TimestampAuthorities {
    /// The authorities whose certificates these PEM texts hold, one or more each.
    pub fn from_pem<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, AuthorityError> {
        let mut anchors = Vec::new();
        let certificates = texts.into_iter().flat_map(|text| CertificateDer::pem_slice_iter(text.as_bytes()));
        for (n, certificate) in certificates.enumerate() {
            if n >= MOST {
                return Err(AuthorityError::TooMany);
            }
            let wrong = || AuthorityError::Certificate(n + 1);
            let certificate = certificate.map_err(|_| wrong())?;
            anchors.push(anchor_from_trusted_cert(&certificate).map_err(|_| wrong())?.to_owned());
        }
        if anchors.is_empty() { Err(AuthorityError::None) } else { Ok(Self(anchors)) }
    }

    /// Whether the token's certificate is one for timestamps (RFC 3161, section 2.3), and came from one of these when
    /// it was used. Whether it was revoked since is not asked: nobody could, offline.
    pub(crate) fn trust(&self, token: &Token) -> Result<(), TokenError> {
        let purposes = token.certificate().tbs_certificate().get_extension::<ExtendedKeyUsage>();
        match purposes {
            Ok(Some((true, ExtendedKeyUsage(only))))
                if only.iter().map(ToString::to_string).eq([TIME_STAMPING_ID]) => {}
            Ok(_) | Err(_) => return Err(TokenError::Purpose),
        }
        let untrusted = |error: webpki::Error| TokenError::Untrusted(error.to_string());
        let (own, others) = token.chain();
        let own = CertificateDer::from(own);
        let others: Vec<_> = others.iter().map(|other| CertificateDer::from(other.as_slice())).collect();
        let seconds = u64::try_from(token.time().0 / 1000).map_err(|_| TokenError::Form("time"))?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let algorithms = default_provider().signature_verification_algorithms.all;
        // Certificates of authorities need not name the purpose; that of who signs was looked at above.
        let usage = KeyUsage::required_if_present(TIME_STAMPING);
        let certificate = EndEntityCert::try_from(&own).map_err(untrusted)?;
        let path = certificate.verify_for_usage(algorithms, &self.0, &others, time, usage, None, None);
        path.map(drop).map_err(untrusted)
    }
}

impl fmt::Debug for TimestampAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimestampAuthorities").field(&self.0.len()).finish()
    }
}
