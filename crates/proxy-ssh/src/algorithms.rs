//! Which algorithms are spoken with clients and with targets. Nothing with SHA-1, CBC or below 2048 bits, unless the
//! policy asks for the legacy set.

use std::sync::Arc;

use keyward_policy::Algorithms;
use keyward_session::KnownHostKeys;
use keyward_ssh::{Cipher, Config, KexMethod, Mac, Preferences, Role, SignatureAlgorithm, SigningKey};

/// How the gateway calls itself, to both sides.
///
/// The comment (RFC 4253 section 4.2) is for peers that look for "OpenSSH" there to know in which order the two paths of
/// an SFTP symbolic link come, as AsyncSSH does on both sides: its servers have another order than most clients, which
/// the gateway, that passes them on, can only be one of. Those that look for OpenSSH's bugs look at the software's name.
const IDENTIFICATION: &str = "SSH-2.0-Keyward links-as-OpenSSH";

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
    KexMethod::Sntrup761X25519,
    KexMethod::Sntrup761X25519OpenSsh,
    KexMethod::Curve25519,
    KexMethod::Curve25519LibSsh,
    KexMethod::DhGroup16,
    KexMethod::DhGroup14Sha256,
];

/// What the gateway proves to clients that it is itself with. Not on NIST's curves, which audits find fault with.
const GATEWAY_HOST_KEYS: &[SignatureAlgorithm] =
    &[SignatureAlgorithm::Ed25519, SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256];

/// Longer than the server's list: targets are older than clients, and cannot always be updated. Streamlined NTRU Prime comes
/// last, for targets that take nothing else: its keys, which the client of an exchange makes, take 15 ms of a thread that
/// other sessions share. Answering a client that has made one takes half a millisecond.
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
    KexMethod::Sntrup761X25519,
    KexMethod::Sntrup761X25519OpenSsh,
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
const USER_SIGNATURES: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::SkEd25519,
    SignatureAlgorithm::EcdsaP256,
    SignatureAlgorithm::EcdsaP384,
    SignatureAlgorithm::EcdsaP521,
    SignatureAlgorithm::SkEcdsaP256,
    SignatureAlgorithm::RsaSha512,
    SignatureAlgorithm::RsaSha256,
];

/// The legacy set, each list after the modern one. A server has no groups of its own for the group exchange.
const LEGACY_SERVER_KEX: &[KexMethod] = &[KexMethod::DhGroup14Sha1, KexMethod::DhGroup1Sha1];
const LEGACY_CLIENT_KEX: &[KexMethod] =
    &[KexMethod::DhGroup14Sha1, KexMethod::GroupExchangeSha1, KexMethod::DhGroup1Sha1];
const LEGACY_SIGNATURES: &[SignatureAlgorithm] = &[SignatureAlgorithm::RsaSha1, SignatureAlgorithm::Dss];
const LEGACY_CIPHERS: &[Cipher] =
    &[Cipher::Aes128Cbc, Cipher::Aes192Cbc, Cipher::Aes256Cbc, Cipher::TripleDesCbc];
const LEGACY_MACS: &[Mac] = &[Mac::HmacSha1Etm, Mac::HmacSha1];

/// Towards clients.
pub(crate) fn server(host_keys: Vec<SigningKey>, set: Algorithms) -> Arc<Config> {
    let shown = with(GATEWAY_HOST_KEYS, LEGACY_SIGNATURES, set);
    let mut host_key_algorithms: Vec<SignatureAlgorithm> = Vec::new();
    for algorithm in host_keys.iter().flat_map(|key| key.algorithms()) {
        if shown.contains(algorithm) && !host_key_algorithms.contains(algorithm) {
            host_key_algorithms.push(*algorithm);
        }
    }
    Arc::new(Config {
        role: Role::Server,
        identification: IDENTIFICATION.to_owned(),
        preferences: preferences(with(SERVER_KEX, LEGACY_SERVER_KEX, set), host_key_algorithms, set),
        host_keys,
        user_signatures: with(USER_SIGNATURES, LEGACY_SIGNATURES, set),
    })
}

/// Towards a target that is known in this way: what is known comes first, so that the target shows a key that can be
/// checked, certificates before all, and only where an authority is known.
pub(crate) fn client(known: &KnownHostKeys, set: Algorithms) -> Arc<Config> {
    let is_known = |algorithm: &SignatureAlgorithm| known.types().any(|known| known == algorithm.key_kind());
    let all = with(HOST_KEYS, LEGACY_SIGNATURES, set);
    let (mut keys, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_known);
    keys.extend(others);
    let mut preferences = preferences(with(CLIENT_KEX, LEGACY_CLIENT_KEX, set), keys, set);
    if !known.authorities.is_empty() {
        preferences.host_certificates = HOST_KEYS.to_vec();
    }
    Arc::new(Config {
        role: Role::Client,
        identification: IDENTIFICATION.to_owned(),
        preferences,
        host_keys: Vec::new(),
        user_signatures: Vec::new(),
    })
}

/// Whether the legacy set has one of these names, as a peer lists them.
pub(crate) fn some_are_legacy(names: &str) -> bool {
    names.split(',').any(|name| {
        KexMethod::from_name(name).is_some_and(|kex| LEGACY_CLIENT_KEX.contains(&kex))
            || SignatureAlgorithm::from_name(name).is_some_and(SignatureAlgorithm::is_legacy)
            || Cipher::from_name(name).is_some_and(|cipher| LEGACY_CIPHERS.contains(&cipher))
            || Mac::from_name(name).is_some_and(|mac| LEGACY_MACS.contains(&mac))
    })
}

fn preferences(kex: Vec<KexMethod>, host_keys: Vec<SignatureAlgorithm>, set: Algorithms) -> Preferences {
    let (ciphers, macs) = (with(CIPHERS, LEGACY_CIPHERS, set), with(MACS, LEGACY_MACS, set));
    Preferences { kex, host_certificates: Vec::new(), host_keys, ciphers, macs }
}

fn with<T: Copy>(modern: &[T], legacy: &[T], set: Algorithms) -> Vec<T> {
    match set {
        Algorithms::Modern => modern.to_vec(),
        Algorithms::Legacy => [modern, legacy].concat(),
    }
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

    fn servers(set: Algorithms) -> Arc<Config> {
        server(HostKeys::generate().unwrap().into_keys(), set)
    }

    /// Which of these names an audit would find fault with.
    fn weak(names: &[&'static str]) -> Vec<&'static str> {
        const WEAK: [&str; 7] = ["sha1", "cbc", "3des", "md5", "group1-", "ssh-dss", "none"];
        let is_weak = |name: &&str| *name == "ssh-rsa" || WEAK.iter().any(|weak| name.contains(weak));
        names.iter().copied().filter(is_weak).collect()
    }

    #[test]
    fn nothing_weak_is_offered_by_itself() {
        assert_eq!(weak(&names(&servers(Algorithms::Modern))), [""; 0]);
        assert_eq!(weak(&names(&client(&KnownHostKeys::default(), Algorithms::Modern))), [""; 0]);
    }

    #[test]
    fn what_is_weak_comes_after_all_that_is_not() {
        let legacy = client(&KnownHostKeys::default(), Algorithms::Legacy).preferences.clone();
        let modern = client(&KnownHostKeys::default(), Algorithms::Modern).preferences.clone();
        assert!(legacy.kex.starts_with(&modern.kex) && legacy.host_keys.starts_with(&modern.host_keys));
        assert!(legacy.ciphers.starts_with(&modern.ciphers) && legacy.macs.starts_with(&modern.macs));
        let config = client(&KnownHostKeys::default(), Algorithms::Legacy);
        assert_eq!(
            weak(&names(&config)),
            [
                "diffie-hellman-group14-sha1",
                "diffie-hellman-group-exchange-sha1",
                "diffie-hellman-group1-sha1",
                "aes128-cbc",
                "aes192-cbc",
                "aes256-cbc",
                "3des-cbc",
                "hmac-sha1-etm@openssh.com",
                "hmac-sha1",
                "ssh-rsa",
                "ssh-dss",
            ]
        );
    }

    #[test]
    fn the_legacy_set_is_known_by_its_names() {
        assert!(some_are_legacy("diffie-hellman-group1-sha1") && some_are_legacy("blowfish-cbc,3des-cbc"));
        assert!(!some_are_legacy("none,arcfour,curve25519-sha256"));
    }

    #[test]
    fn a_server_offers_what_its_keys_can_sign_but_nothing_on_nists_curves() {
        let config = servers(Algorithms::Modern);
        let names: Vec<_> = config.preferences.host_keys.iter().map(|key| key.name()).collect();
        assert_eq!(names, ["ssh-ed25519"]);
    }

    #[test]
    fn a_known_type_of_host_key_is_asked_for_first() {
        let known = KnownHostKeys { keys: vec!["ssh-rsa AAAA".into()], ..Default::default() };
        let config = client(&known, Algorithms::Modern);
        let first: Vec<_> = config.preferences.host_keys.iter().take(3).map(|key| key.name()).collect();
        assert_eq!(first, ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert_eq!(config.preferences.host_keys.len(), HOST_KEYS.len());
        assert_eq!(config.preferences.host_certificates, []);
    }

    #[test]
    fn certificates_are_asked_for_where_an_authority_is_known() {
        let known = KnownHostKeys { authorities: vec!["ssh-ed25519 AAAA".into()], ..Default::default() };
        assert_eq!(client(&known, Algorithms::Legacy).preferences.host_certificates, HOST_KEYS);
    }
}
