//! Which algorithms are spoken with clients and with targets. Nothing with SHA-1, CBC or below 2048 bits.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

/// AES-GCM first: on a processor with AES it costs a third of ChaCha20.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

const SERVER_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Longer than the server's list: targets are older than clients, and cannot always be updated.
const CLIENT_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Compressing before encryption leaks what is sent, and costs more than networks do today.
const COMPRESSION: &[compression::Name] = &[compression::NONE];

/// Towards clients.
pub(crate) fn server() -> Preferred {
    preferred(SERVER_KEX, Cow::Borrowed(KEYS))
}

/// Towards a target whose host keys of the given types are known: these types come first, so that the target
/// shows a key that can be checked.
pub(crate) fn client(known_types: &[String]) -> Preferred {
    let is_known = |algorithm: &&Algorithm| known_types.iter().any(|known| known == key_type(algorithm));
    let (mut keys, others): (Vec<_>, Vec<_>) = KEYS.iter().partition(is_known);
    keys.extend(others);
    preferred(CLIENT_KEX, Cow::Owned(keys.into_iter().cloned().collect()))
}

/// Whether a signature of this kind proves anything today.
pub(crate) fn accepts_signature(algorithm: &Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa)
}

fn preferred(kex: &'static [kex::Name], key: Cow<'static, [Algorithm]>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(kex),
        key,
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSION),
    }
}

/// The type of the key itself, which for RSA is one and the same whatever hash signs (RFC 8332 section 3).
fn key_type(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(preferred: &Preferred) -> Vec<String> {
        let mut names: Vec<String> = preferred.kex.iter().map(|n| n.as_ref().to_owned()).collect();
        names.extend(preferred.cipher.iter().map(|n| n.as_ref().to_owned()));
        names.extend(preferred.mac.iter().map(|n| n.as_ref().to_owned()));
        names.extend(preferred.key.iter().map(|n| n.as_str().to_owned()));
        names
    }

    #[test]
    fn nothing_weak_is_offered() {
        for name in names(&server()).iter().chain(&names(&client(&[]))) {
            let weak = ["sha1", "cbc", "3des", "md5", "group1-", "ssh-dss", "none"];
            assert!(!weak.iter().any(|weak| name.contains(weak)), "{name}");
            assert_ne!(name, "ssh-rsa");
        }
    }

    #[test]
    fn a_known_type_of_host_key_is_asked_for_first() {
        let keys = client(&["ssh-rsa".into()]).key.into_owned();
        let first: Vec<_> = keys.iter().take(3).map(Algorithm::as_str).collect();
        assert_eq!(first, ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert_eq!(keys.len(), KEYS.len());
    }

    #[test]
    fn strict_key_exchange_is_offered_to_both_sides() {
        assert!(server().kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER));
        assert!(client(&[]).kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT));
    }

    #[test]
    fn sha1_signatures_prove_nothing() {
        assert!(!accepts_signature(&Algorithm::Rsa { hash: None }));
        assert!(!accepts_signature(&Algorithm::Dsa));
        assert!(accepts_signature(&Algorithm::Ed25519));
    }
}
