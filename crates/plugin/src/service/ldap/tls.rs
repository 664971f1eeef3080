//! TLS towards an LDAP server: its certificate must come from the policy's own trusted CA list.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::LdapConfigError;
use crate::service::CaList;

/// Where the list has revocation lists, one must speak of the server's certificate, and must not have expired.
pub(super) fn client_config(list: &CaList) -> Result<Arc<ClientConfig>, LdapConfigError> {
    let failed = |error: &dyn std::error::Error| LdapConfigError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for (n, pem) in list.certs.iter().enumerate() {
        let bad = |error: String| LdapConfigError::Certificate(n + 1, error);
        let cert = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| bad(error.to_string()))?;
        roots.add(cert).map_err(|error| bad(error.to_string()))?;
    }
    let mut verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    if !list.crls.is_empty() {
        let crl = |(n, pem): (usize, &String)| {
            CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
                .map_err(|_| LdapConfigError::RevocationList(n + 1))
        };
        let crls = list.crls.iter().enumerate().map(crl).collect::<Result<Vec<_>, _>>()?;
        verifier =
            verifier.with_crls(crls).only_check_end_entity_revocation().enforce_revocation_expiration();
    }
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_webpki_verifier(verifier.build().map_err(|error| failed(&error))?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
