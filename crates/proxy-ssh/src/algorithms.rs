//! Which algorithms are spoken with clients and with targets. Nothing with SHA-1, CBC or below 2048 bits.

use std::sync::Arc;

use keyward_ssh::{Cipher, Config, KexMethod, Mac, Preferences, Role, SignatureAlgorithm, SigningKey};

/// How the gateway calls itself, to both sides.
const IDENTIFICATION: &str = "SSH-2.0-Keyward";

/// AES-GCM first: on a processor with AES it costs a third of ChaCha20.
const CIPHERS: &[Cipher] = &[
    Cipher::Aes128Gcm,
    Cipher::Aes256Gcm,
    Cipher::ChaCha20Poly1305,
    Cipher::Aes128Ctr,
    Cipher::Aes192Ctr,
    Cipher::Aes256Ctr,
];

const MACS: &[Mac] = &[Mac::HmacSha256Etm, Mac::HmacSha512Etm, Mac::HmacSha256, Mac::HmacSha512];

const SERVER_KEX: &[KexMethod] = &[
    KexMethod::MlKem768X25519,
    KexMethod::Curve25519,
    KexMethod::Curve25519LibSsh,
    KexMethod::DhGroup16,
    KexMethod::DhGroup14Sha256,
];

/// What the gateway proves to clients that it is itself with. Not on NIST's curves, which audits find fault with.
const GATEWAY_HOST_KEYS: &[SignatureAlgorithm] =
    &[SignatureAlgorithm::Ed25519, SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256];

/// Longer than the server's list: targets are older than clients, and cannot always be updated.
const CLIENT_KEX: &[KexMethod] = &[
    KexMethod::MlKem768X25519,
    KexMethod::Curve25519,
    KexMethod::Curve25519LibSsh,
    KexMethod::EcdhP256,
    KexMethod::EcdhP384,
    KexMethod::EcdhP521,
    KexMethod::GroupExchangeSha256,
    KexMethod::DhGroup18,
    KexMethod::DhGroup16,
    KexMethod::DhGroup14Sha256,
];

/// Of targets' host keys.
const HOST_KEYS: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::EcdsaP256,
    SignatureAlgorithm::EcdsaP384,
    SignatureAlgorithm::EcdsaP521,
    SignatureAlgorithm::RsaSha512,
    SignatureAlgorithm::RsaSha256,
];

/// What proves anything today, of users.
pub(crate) const USER_SIGNATURES: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::SkEd25519,
    SignatureAlgorithm::EcdsaP256,
    SignatureAlgorithm::EcdsaP384,
    SignatureAlgorithm::EcdsaP521,
    SignatureAlgorithm::SkEcdsaP256,
    SignatureAlgorithm::RsaSha512,
    SignatureAlgorithm::RsaSha256,
];

/// Towards clients.
pub(crate) fn server(host_keys: Vec<SigningKey>) -> Arc<Config> {
    let mut host_key_algorithms: Vec<SignatureAlgorithm> = Vec::new();
    for algorithm in host_keys.iter().flat_map(|key| key.algorithms()) {
        if GATEWAY_HOST_KEYS.contains(algorithm) && !host_key_algorithms.contains(algorithm) {
            host_key_algorithms.push(*algorithm);
        }
    }
    Arc::new(Config {
        role: Role::Server,
        identification: IDENTIFICATION.to_owned(),
        preferences: preferences(SERVER_KEX, host_key_algorithms),
        host_keys,
        user_signatures: USER_SIGNATURES.to_vec(),
    })
}

/// Towards a target whose host keys of the given types are known: these types come first, so that the target
/// shows a key that can be checked.
pub(crate) fn client(known_types: &[String]) -> Arc<Config> {
    let is_known =
        |algorithm: &SignatureAlgorithm| known_types.iter().any(|known| known == algorithm.key_kind());
    let (mut keys, others): (Vec<_>, Vec<_>) = HOST_KEYS.iter().copied().partition(is_known);
    keys.extend(others);
    Arc::new(Config {
        role: Role::Client,
        identification: IDENTIFICATION.to_owned(),
        preferences: preferences(CLIENT_KEX, keys),
        host_keys: Vec::new(),
        user_signatures: Vec::new(),
    })
}

fn preferences(kex: &[KexMethod], host_keys: Vec<SignatureAlgorithm>) -> Preferences {
    Preferences { kex: kex.to_vec(), host_keys, ciphers: CIPHERS.to_vec(), macs: MACS.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostKeys;

    fn names(config: &Config) -> Vec<&'static str> {
        let preferences = &config.preferences;
        let mut names: Vec<_> = preferences.kex.iter().map(|kex| kex.name()).collect();
        names.extend(preferences.ciphers.iter().map(|cipher| cipher.name()));
        names.extend(preferences.macs.iter().map(|mac| mac.name()));
        names.extend(preferences.host_keys.iter().map(|key| key.name()));
        names.extend(config.user_signatures.iter().map(|key| key.name()));
        names
    }

    fn servers() -> Arc<Config> {
        server(HostKeys::generate().unwrap().into_keys())
    }

    #[test]
    fn nothing_weak_is_offered() {
        for name in names(&servers()).iter().chain(&names(&client(&[]))) {
            let weak = ["sha1", "cbc", "3des", "md5", "group1-", "ssh-dss", "none"];
            assert!(!weak.iter().any(|weak| name.contains(weak)), "{name}");
            assert_ne!(*name, "ssh-rsa");
        }
    }

    #[test]
    fn a_server_offers_what_its_keys_can_sign_but_nothing_on_nists_curves() {
        let config = servers();
        let names: Vec<_> = config.preferences.host_keys.iter().map(|key| key.name()).collect();
        assert_eq!(names, ["ssh-ed25519"]);
    }

    #[test]
    fn a_known_type_of_host_key_is_asked_for_first() {
        let config = client(&["ssh-rsa".into()]);
        let first: Vec<_> = config.preferences.host_keys.iter().take(3).map(|key| key.name()).collect();
        assert_eq!(first, ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert_eq!(config.preferences.host_keys.len(), HOST_KEYS.len());
    }
}
