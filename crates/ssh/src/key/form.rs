//! The forms of a private key: OpenSSH's, PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC1 (RFC 5915), and the one
//! that OpenSSL had for DSA before.

use keyward_model::Secret;
use pkcs8::der::Decode;
use pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef};
use rsa::BoxedUint;
use ssh_key::private::KeypairData;
use zeroize::Zeroizing;

use super::KeyError;
use super::dsa_numbers::{self, Domain};
use super::pem::Pem;
use super::public::rsa_public;
use super::signing::Private;
use super::verify::padded;

/// An RSA key of 16,384 bits has about 13,000 characters; stores may put other text around it.
const LONGEST_TEXT: usize = 64 * 1024;
/// A few seconds. ssh-keygen writes 16 or 24, unless it is told otherwise with `-a`.
const MOST_BCRYPT_ROUNDS: u32 = 256;
/// A second or two. OpenSSL writes 2048, others up to about a million.
const MOST_PBKDF2_ROUNDS: u32 = 2_000_000;
/// scrypt needs 128 bytes of memory for each: 128 MiB. OpenSSL writes an eighth of it.
const MOST_SCRYPT_BLOCKS: u64 = 1 << 20;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Reads the first private key of a text.
pub(super) fn read(text: &Secret, passphrase: Option<&Secret>) -> Result<Private, KeyError> {
    if text.expose().len() > LONGEST_TEXT {
        return Err(KeyError::TooLong);
    }
    let pem = Pem::find(text.expose())?;
    match pem.label.as_str() {
        "OPENSSH PRIVATE KEY" => openssh(&pem.body, passphrase),
        "PRIVATE KEY" => pkcs8(&pem.body),
        "ENCRYPTED PRIVATE KEY" => encrypted_pkcs8(&pem.body, passphrase),
        "RSA PRIVATE KEY" => traditional(pem, passphrase, pkcs1),
        "EC PRIVATE KEY" => traditional(pem, passphrase, |der| sec1(der, None)),
        "DSA PRIVATE KEY" => traditional(pem, passphrase, dsa),
        _ => Err(KeyError::UnknownKind),
    }
}

/// The same key as `ssh-key` has it. Public halves are computed, and compared where the form has one.
pub(super) fn private_of(pair: &KeypairData) -> Result<Private, KeyError> {
    match pair {
        KeypairData::Ed25519(pair) => {
            let key = ed25519_dalek::SigningKey::try_from(pair).map_err(|_| KeyError::Mismatch)?;
            Ok(Private::Ed25519(Box::new(key)))
        }
        KeypairData::Ecdsa(pair) => {
            let curve = match pair.curve() {
                ssh_key::EcdsaCurve::NistP256 => P256,
                ssh_key::EcdsaCurve::NistP384 => P384,
                ssh_key::EcdsaCurve::NistP521 => P521,
            };
            ec(curve, pair.private_key_bytes(), Some(pair.public_key_bytes()))
        }
        KeypairData::Rsa(pair) => {
            let (public, private) = (pair.public(), pair.private());
            let number = |number: &ssh_key::Mpint| {
                number.as_positive_bytes().map(BoxedUint::from_be_slice_vartime).ok_or(KeyError::NotAKey)
            };
            let primes = vec![number(private.p())?, number(private.q())?];
            rsa(number(public.n())?, number(public.e())?, number(private.d())?, primes)
        }
        KeypairData::Dsa(pair) => {
            let bytes = |number: &ssh_key::Mpint| number.as_positive_bytes().map(<[u8]>::to_vec);
            let public = pair.public();
            let numbers = bytes(public.p()).zip(bytes(public.q())).zip(bytes(public.g()));
            let ((p, q), g) = numbers.ok_or(KeyError::NotAKey)?;
            let x = Zeroizing::new(bytes(pair.private().as_mpint()).ok_or(KeyError::NotAKey)?);
            dss(Domain { p: &p, q: &q, g: &g }, &x, public.y().as_positive_bytes())
        }
        // Keys that live in a security key, and kinds that nobody has heard of.
        _ => Err(KeyError::UnknownKind),
    }
}

fn openssh(body: &[u8], passphrase: Option<&Secret>) -> Result<Private, KeyError> {
    let key = ssh_key::PrivateKey::from_bytes(body).map_err(|_| KeyError::NotAKey)?;
    if !key.is_encrypted() {
        return private_of(key.key_data());
    }
    if let ssh_key::Kdf::Bcrypt { rounds, .. } = key.kdf()
        && *rounds > MOST_BCRYPT_ROUNDS
    {
        return Err(KeyError::TooCostly);
    }
    let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?;
    let key = key.decrypt(passphrase.expose()).map_err(|_| KeyError::WrongPassphrase)?;
    private_of(key.key_data())
}

/// A form that PEM's own headers may say is encrypted. A wrong passphrase leaves the padding right once in
/// 256 times; then what it guards is no key.
fn traditional(
    pem: Pem,
    passphrase: Option<&Secret>,
    read: impl FnOnce(&[u8]) -> Result<Private, KeyError>,
) -> Result<Private, KeyError> {
    let was_encrypted = pem.is_encrypted();
    let key = read(&pem.decrypted(passphrase)?);
    if was_encrypted { key.map_err(|_| KeyError::WrongPassphrase) } else { key }
}

fn encrypted_pkcs8(body: &[u8], passphrase: Option<&Secret>) -> Result<Private, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(body).map_err(|_| KeyError::UnknownEncryption)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeyError::UnknownEncryption);
    };
    bound_cost(&parameters.kdf)?;
    let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?;
    match info.decrypt(passphrase.expose()) {
        Ok(document) => pkcs8(document.as_bytes()).map_err(|_| KeyError::WrongPassphrase),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. })) => {
            Err(KeyError::UnknownEncryption)
        }
        Err(_) => Err(KeyError::WrongPassphrase),
    }
}

fn bound_cost(kdf: &pbes2::Kdf) -> Result<(), KeyError> {
    let is_cheap = match kdf {
        pbes2::Kdf::Pbkdf2(parameters) => parameters.iteration_count <= MOST_PBKDF2_ROUNDS,
        pbes2::Kdf::Scrypt(parameters) => {
            let factors = [parameters.block_size, parameters.parallelization].map(u64::from);
            let blocks = factors.into_iter().try_fold(parameters.cost_parameter, u64::checked_mul);
            blocks.is_some_and(|blocks| blocks <= MOST_SCRYPT_BLOCKS)
        }
        _ => return Err(KeyError::UnknownEncryption),
    };
    if is_cheap { Ok(()) } else { Err(KeyError::TooCostly) }
}

fn pkcs8(body: &[u8]) -> Result<Private, KeyError> {
    let info = PrivateKeyInfoRef::try_from(body).map_err(|_| KeyError::NotAKey)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        ED25519 => ed25519(key),
        RSA => pkcs1(key),
        EC => sec1(key, Some(info.algorithm.parameters_oid().map_err(|_| KeyError::UnknownKind)?)),
        DSA => pkcs8_dsa(info.algorithm.parameters, key),
        _ => Err(KeyError::UnknownKind),
    }
}

/// RFC 8410 section 7: an octet string in the octet string.
fn ed25519(der: &[u8]) -> Result<Private, KeyError> {
    let seed = <&OctetStringRef>::from_der(der).map_err(|_| KeyError::NotAKey)?;
    let seed = seed.as_bytes().try_into().map_err(|_| KeyError::NotAKey)?;
    Ok(Private::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))
}

fn pkcs1(der: &[u8]) -> Result<Private, KeyError> {
    let key = pkcs1::RsaPrivateKey::from_der(der).map_err(|_| KeyError::NotAKey)?;
    if key.other_prime_infos.is_some() {
        return Err(KeyError::UnknownKind);
    }
    let number = |number: UintRef<'_>| BoxedUint::from_be_slice_vartime(number.as_bytes());
    let primes = vec![number(key.prime1), number(key.prime2)];
    rsa(number(key.modulus), number(key.public_exponent), number(key.private_exponent), primes)
}

/// The library checks that the numbers belong to each other.
fn rsa(n: BoxedUint, e: BoxedUint, d: BoxedUint, primes: Vec<BoxedUint>) -> Result<Private, KeyError> {
    rsa_public(n.clone(), e.clone())?;
    if d >= n || primes.iter().any(|prime| prime >= &n) {
        return Err(KeyError::NotAKey);
    }
    let key = rsa::RsaPrivateKey::from_components(n, e, d, primes).map_err(|_| KeyError::Mismatch)?;
    Ok(Private::Rsa(Box::new(key)))
}

/// PKCS#8 names the curve beside the key, PEM's `EC PRIVATE KEY` in it.
fn sec1(der: &[u8], curve: Option<ObjectIdentifier>) -> Result<Private, KeyError> {
    let key = sec1::EcPrivateKey::from_der(der).map_err(|_| KeyError::NotAKey)?;
    let own = key.parameters.and_then(|parameters| parameters.named_curve());
    let curve = curve.or(own).ok_or(KeyError::UnknownKind)?;
    ec(curve, key.private_key, key.public_key)
}

fn ec(curve: ObjectIdentifier, secret: &[u8], point: Option<&[u8]>) -> Result<Private, KeyError> {
    let is_no_key = |_| KeyError::NotAKey;
    let (private, own) = match curve {
        P256 => {
            let secret = Zeroizing::new(padded::<32>(secret)?);
            let key = p256::ecdsa::SigningKey::from_slice(&*secret).map_err(is_no_key)?;
            let own = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
            (Private::P256(Box::new(key)), own)
        }
        P384 => {
            let secret = Zeroizing::new(padded::<48>(secret)?);
            let key = p384::ecdsa::SigningKey::from_slice(&*secret).map_err(is_no_key)?;
            let own = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
            (Private::P384(Box::new(key)), own)
        }
        P521 => {
            let secret = Zeroizing::new(padded::<66>(secret)?);
            let key = p521::ecdsa::SigningKey::from_slice(&*secret).map_err(is_no_key)?;
            let own = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
            (Private::P521(Box::new(key)), own)
        }
        _ => return Err(KeyError::UnknownKind),
    };
    // A compressed point is left alone: the one that counts is computed.
    match point {
        Some(point) if point.first() == Some(&4) && point != own => Err(KeyError::Mismatch),
        _ => Ok(private),
    }
}

/// `SEQUENCE { 0, p, q, g, y, x }`.
fn dsa(der: &[u8]) -> Result<Private, KeyError> {
    let numbers = numbers::<6>(AnyRef::from_der(der).map_err(|_| KeyError::NotAKey)?)?;
    let [_version, p, q, g, y, x] = numbers.map(|number| number.as_bytes());
    dss(Domain { p, q, g }, x, Some(y))
}

/// RFC 3279 section 2.3.2: p, q and g beside the key, which is x.
fn pkcs8_dsa(parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Private, KeyError> {
    let [p, q, g] = numbers::<3>(parameters.ok_or(KeyError::NotAKey)?)?;
    let x = UintRef::from_der(key).map_err(|_| KeyError::NotAKey)?;
    dss(Domain { p: p.as_bytes(), q: q.as_bytes(), g: g.as_bytes() }, x.as_bytes(), None)
}

fn dss(domain: Domain<'_>, x: &[u8], y: Option<&[u8]>) -> Result<Private, KeyError> {
    let key = dsa_numbers::private(domain, x)?;
    let own = key.verifying_key().y().to_be_bytes_trimmed_vartime();
    match y {
        Some(y) if y != &*own => Err(KeyError::Mismatch),
        _ => Ok(Private::Dss(Box::new(key))),
    }
}

fn numbers<const COUNT: usize>(sequence: AnyRef<'_>) -> Result<[UintRef<'_>; COUNT], KeyError> {
    let read = sequence.sequence(|reader| {
        let mut numbers = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            numbers.push(UintRef::decode(reader)?);
        }
        pkcs8::der::Result::Ok(numbers)
    });
    read.ok().and_then(|numbers| numbers.try_into().ok()).ok_or(KeyError::NotAKey)
}
