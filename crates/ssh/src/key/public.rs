//! Public keys as they go over the wire (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f).

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64, Base64Unpadded, Encoding};
use rsa::BoxedUint;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256};

use super::dsa_numbers::{self, Domain};
use super::verify::{self, Numbers, Presence};
use super::{KeyError, SignatureAlgorithm};
use crate::wire::Reader;

/// The longest blob: an RSA key of 16,384 bits has 2 KiB.
const LONGEST_BLOB: usize = 16 * 1024;
/// Shorter RSA keys are read, so that the log can say whose they are. Their signatures are refused unless the
/// algorithm is a legacy one.
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=16384;

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    blob: Vec<u8>,
    kind: &'static str,
    numbers: Numbers,
    /// Of a security key: what the signatures are bound to, such as `ssh:`.
    application: Option<String>,
}

impl PublicKey {
    /// Reads a whole blob. RSA keys of 1024 to 16,384 bits, DSA keys of 1024, points that are on their curve.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        if blob.len() > LONGEST_BLOB {
            return Err(KeyError::TooLong);
        }
        let mut reader = Reader::new(blob);
        let kind = kind_of(reader.text()?).ok_or(KeyError::UnknownKind)?;
        let (numbers, application) = fields(kind, &mut reader)?;
        reader.end()?;
        Ok(Self { inner: Arc::new(Inner { blob: blob.to_vec(), kind, numbers, application }) })
    }

    /// Reads a line of a `.pub` file: type, base64, perhaps a comment.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let (kind, blob) = openssh_line(text, LONGEST_BLOB)?;
        let key = Self::from_blob(&blob)?;
        if key.kind() == kind { Ok(key) } else { Err(KeyError::NotOpenSsh) }
    }

    /// Type and base64, without a comment.
    pub fn to_openssh(&self) -> String {
        format!("{} {}", self.kind(), Base64::encode_string(self.blob()))
    }

    pub fn blob(&self) -> &[u8] {
        &self.inner.blob
    }

    /// `ssh-ed25519`, `ssh-rsa` and so on: the first field of the blob.
    pub fn kind(&self) -> &str {
        self.inner.kind
    }

    /// `SHA256:` and unpadded base64, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(self.blob())))
    }

    /// Checks a signature blob: the algorithm's name and the signature, after them flags and a counter if a
    /// security key made it. The name must be that of `algorithm`, and a key of this kind must sign so.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), KeyError> {
        self.verify_with(algorithm, signature, data, Presence::Touched)
    }

    /// The same, where a security key must say more, or less, of whoever used it than that it was touched.
    pub fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        signature: &[u8],
        data: &[u8],
        presence: Presence,
    ) -> Result<(), KeyError> {
        if algorithm.key_kind() != self.kind() {
            return Err(KeyError::OtherAlgorithm);
        }
        let mut reader = Reader::new(signature);
        if reader.text()? != algorithm.name() {
            return Err(KeyError::OtherAlgorithm);
        }
        let inner = reader.string()?;
        match &self.inner.application {
            None if presence == Presence::Verified => Err(KeyError::NotVerified),
            None => {
                reader.end()?;
                self.inner.numbers.verify(algorithm, inner, data)
            }
            Some(application) => {
                let signed = verify::signed_by_security_key(application, reader, data, presence)?;
                self.inner.numbers.verify(algorithm, inner, &signed)
            }
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind(), self.fingerprint())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob() == other.blob()
    }
}

impl Eq for PublicKey {}

/// The type and the blob of a line of a `.pub` file; the line, comment included, is twice `longest` at most.
pub(super) fn openssh_line(text: &str, longest: usize) -> Result<(&str, Vec<u8>), KeyError> {
    if text.len() > 2 * longest {
        return Err(KeyError::TooLong);
    }
    let mut words = text.split_ascii_whitespace();
    let (kind, base64) = words.next().zip(words.next()).ok_or(KeyError::NotOpenSsh)?;
    Ok((kind, Base64::decode_vec(base64).map_err(|_| KeyError::NotOpenSsh)?))
}

/// How many fields a key of this kind has after its type; a certificate has the same ones.
pub(super) fn field_count(kind: &str) -> Option<usize> {
    match kind {
        "ssh-ed25519" => Some(1),
        "ssh-rsa" | "sk-ssh-ed25519@openssh.com" => Some(2),
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => Some(2),
        "sk-ecdsa-sha2-nistp256@openssh.com" => Some(3),
        "ssh-dss" => Some(4),
        _ => None,
    }
}

fn kind_of(name: &str) -> Option<&'static str> {
    SignatureAlgorithm::from_name(name).map(SignatureAlgorithm::key_kind).filter(|kind| *kind == name)
}

fn fields(kind: &str, reader: &mut Reader<'_>) -> Result<(Numbers, Option<String>), KeyError> {
    let numbers = match kind {
        "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => Numbers::ed25519(reader.string()?)?,
        "ssh-rsa" => rsa(reader)?,
        "ssh-dss" => dss(reader)?,
        _ => ecdsa(kind, reader)?,
    };
    let application = if kind.starts_with("sk-") { Some(reader.text()?.to_owned()) } else { None };
    Ok((numbers, application))
}

/// RFC 5656 section 3.1: the curve's name once more, and a point. Compressed points are not taken.
fn ecdsa(kind: &str, reader: &mut Reader<'_>) -> Result<Numbers, KeyError> {
    let curve = reader.text()?;
    let named = kind.trim_start_matches("sk-").trim_end_matches("@openssh.com");
    if named.strip_prefix("ecdsa-sha2-") != Some(curve) {
        return Err(KeyError::NotAKey);
    }
    Numbers::point(curve, reader.string()?)
}

fn rsa(reader: &mut Reader<'_>) -> Result<Numbers, KeyError> {
    let (e, n) = (positive(reader)?, positive(reader)?);
    let e = BoxedUint::from_be_slice_vartime(e);
    rsa_public(BoxedUint::from_be_slice_vartime(n), e).map(Numbers::Rsa)
}

/// The bounds of every RSA key, private ones too.
pub(super) fn rsa_public(n: BoxedUint, e: BoxedUint) -> Result<rsa::RsaPublicKey, KeyError> {
    if !RSA_BITS.contains(&n.bits()) {
        return Err(KeyError::Size);
    }
    let longest = usize::try_from(*RSA_BITS.end()).map_err(|_| KeyError::Size)?;
    let key = rsa::RsaPublicKey::new_with_max_size(n, e, longest).map_err(|_| KeyError::NotAKey)?;
    // With an exponent of 1, anything is a signature.
    if key.e() < &BoxedUint::from(3_u8) { Err(KeyError::NotAKey) } else { Ok(key) }
}

fn dss(reader: &mut Reader<'_>) -> Result<Numbers, KeyError> {
    let domain = Domain { p: positive(reader)?, q: positive(reader)?, g: positive(reader)? };
    dsa_numbers::public(domain, positive(reader)?).map(Numbers::Dss)
}

/// An `mpint` that is above zero (RFC 4251 section 5), without zeros in front. Like OpenSSH it takes more zeros
/// than there should be: old devices write them.
pub(super) fn positive<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], KeyError> {
    let number = reader.string()?;
    let first = number.iter().position(|&byte| byte != 0).ok_or(KeyError::NotAKey)?;
    let is_negative = number.first().is_some_and(|&byte| byte & 0x80 != 0);
    if is_negative { Err(KeyError::NotAKey) } else { Ok(number.get(first..).unwrap_or_default()) }
}
