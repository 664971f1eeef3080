//! OpenSSH's certificates (PROTOCOL.certkeys): a key, whose it is and for what, signed by an authority.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::public::{field_count, openssh_line};
use super::{KeyError, PublicKey, SignatureAlgorithm};
use crate::wire::{Reader, Write};

/// Two RSA keys of 16,384 bits, a signature of theirs, and room for names.
const LONGEST_BLOB: usize = 32 * 1024;
/// As many as OpenSSH takes.
const MOST_PRINCIPALS: usize = 256;
const SUFFIX: &str = "-cert-v01@openssh.com";
const USER: u32 = 1;
const HOST: u32 = 2;

/// A certificate. What it says is not to be believed before [`Certificate::check`] has said so.
#[derive(Clone)]
pub struct Certificate {
    blob: Vec<u8>,
    kind: String,
    key: PublicKey,
    serial: u64,
    /// [`USER`], [`HOST`], or a number that nobody knows.
    purpose: u32,
    key_id: String,
    principals: Vec<String>,
    /// Seconds since 1970, the first included and the second not.
    pub(super) valid: std::ops::Range<u64>,
    critical: Vec<(String, Vec<u8>)>,
    extensions: Vec<String>,
    authority: PublicKey,
    signature: Vec<u8>,
    /// How much of the blob is signed: all that is before the signature.
    signed: usize,
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    User,
    Host,
}

/// What a certificate that was checked restricts and permits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertificateOptions {
    /// The one command that the user may run.
    pub force_command: Option<String>,
    /// Where the user may come from: networks separated by commas, as written. Whoever uses the certificate
    /// must check it, and refuse where it cannot be read.
    pub source_addresses: Option<String>,
    /// Whether the security key must say that it knows who touched it.
    pub verify_required: bool,
    /// `permit-pty` and so on. What is not in it is not permitted.
    pub extensions: Vec<String>,
}

impl Certificate {
    /// Reads a whole blob. Its signature is not checked yet.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        if blob.len() > LONGEST_BLOB {
            return Err(KeyError::TooLong);
        }
        let mut reader = Reader::new(blob);
        let kind = reader.text()?.to_owned();
        let _nonce = reader.string()?;
        let key = certified_key(&kind, &mut reader)?;
        let serial = number(&mut reader)?;
        let purpose = reader.u32()?;
        let key_id = reader.text()?.to_owned();
        let principals = principals(reader.string()?)?;
        let valid = number(&mut reader)?..number(&mut reader)?;
        let critical = options(reader.string()?)?;
        let extensions = options(reader.string()?)?.into_iter().map(|(name, _)| name).collect();
        let _reserved = reader.string()?;
        let authority = PublicKey::from_blob(reader.string()?)?;
        let signed = blob.len() - reader.rest().len();
        let signature = reader.string()?.to_vec();
        reader.end()?;
        Ok(Self {
            blob: blob.to_vec(),
            kind,
            key,
            serial,
            purpose,
            key_id,
            principals,
            valid,
            critical,
            extensions,
            authority,
            signature,
            signed,
        })
    }

    /// Reads a line of a `-cert.pub` file: type, base64, perhaps a comment.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let (kind, blob) = openssh_line(text, LONGEST_BLOB)?;
        let certificate = Self::from_blob(&blob)?;
        if certificate.kind() == kind { Ok(certificate) } else { Err(KeyError::NotOpenSsh) }
    }

    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `ssh-ed25519-cert-v01@openssh.com`, `ssh-rsa-cert-v01@openssh.com` and so on.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The key that the certificate is about.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key that signed it.
    pub fn authority(&self) -> &PublicKey {
        &self.authority
    }

    /// The authority's name for it, for the log. Hostile text until it was checked.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// From when on it is worth nothing any more; `None`: the end of its time lies beyond what a clock can say.
    pub fn valid_before(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.valid.end))
    }

    /// The users or hosts that it is for.
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// Whether it may be used: for this purpose, by this principal (names of users are compared byte by byte, those of
    /// hosts may have `*` and `?` in them as OpenSSH has it, and a certificate without any is refused), signed by one of the authorities, without SHA-1, within its time,
    /// and with no critical option that is not known.
    pub fn check(
        &self,
        purpose: Purpose,
        principal: &str,
        authorities: &[PublicKey],
        now: SystemTime,
    ) -> Result<CertificateOptions, KeyError> {
        if !authorities.contains(&self.authority) {
            return Err(KeyError::UnknownAuthority);
        }
        self.check_signature()?;
        let wanted = match purpose {
            Purpose::User => USER,
            Purpose::Host => HOST,
        };
        if self.purpose != wanted {
            return Err(KeyError::OtherPurpose);
        }
        self.check_time(now)?;
        if self.principals.is_empty() {
            return Err(KeyError::NoPrincipals);
        }
        let names = |listed: &String| match purpose {
            Purpose::User => listed == principal,
            Purpose::Host => fits(listed.as_bytes(), principal.to_ascii_lowercase().as_bytes()),
        };
        if !self.principals.iter().any(names) {
            return Err(KeyError::OtherPrincipal);
        }
        self.options(purpose)
    }

    fn check_signature(&self) -> Result<(), KeyError> {
        let name = Reader::new(&self.signature).text()?;
        let algorithm = SignatureAlgorithm::from_name(name).ok_or(KeyError::OtherAlgorithm)?;
        if algorithm.is_legacy() {
            return Err(KeyError::LegacyAuthority);
        }
        let signed = self.blob.get(..self.signed).ok_or(KeyError::WrongSignature)?;
        self.authority.verify(algorithm, &self.signature, signed)
    }

    fn check_time(&self, now: SystemTime) -> Result<(), KeyError> {
        let now = now.duration_since(UNIX_EPOCH).map_err(|_| KeyError::NotYetValid)?.as_secs();
        if now < self.valid.start {
            return Err(KeyError::NotYetValid);
        }
        if now < self.valid.end { Ok(()) } else { Err(KeyError::Expired) }
    }

    /// The critical options of users are known, those of hosts are none.
    fn options(&self, purpose: Purpose) -> Result<CertificateOptions, KeyError> {
        let mut options = CertificateOptions { extensions: self.extensions.clone(), ..Default::default() };
        for (name, value) in &self.critical {
            match (purpose, name.as_str()) {
                (Purpose::User, "force-command") => options.force_command = Some(text_in(value)?),
                (Purpose::User, "verify-required") => options.verify_required = is_flag(value)?,
                (Purpose::User, "source-address") => options.source_addresses = Some(text_in(value)?),
                _ => return Err(KeyError::UnknownOption(name.chars().take(64).collect())),
            }
        }
        Ok(options)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {} {:?} {})", self.kind, self.key.fingerprint(), self.key_id, self.serial)
    }
}

/// The key's own fields stand in the certificate as in its blob. No certificate is in a certificate.
fn certified_key(kind: &str, reader: &mut Reader<'_>) -> Result<PublicKey, KeyError> {
    let stem = kind.strip_suffix(SUFFIX).ok_or(KeyError::UnknownKind)?;
    let kind = if stem.starts_with("sk-") { format!("{stem}@openssh.com") } else { stem.to_owned() };
    let mut blob = Vec::new();
    blob.put_string(kind.as_bytes());
    for _ in 0..field_count(&kind).ok_or(KeyError::UnknownKind)? {
        blob.put_string(reader.string()?);
    }
    PublicKey::from_blob(&blob)
}

/// Whether the name fits the pattern, in which `*` stands for any text and `?` for one character.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on when the text behind the last `*` does not fit: the pattern behind it, a byte later in the name.
    let (mut at, mut retry) = ((pattern, name), None);
    loop {
        at = match at {
            ([], []) => return true,
            ([b'*', pattern @ ..], name) => {
                retry = Some((pattern, name));
                (pattern, name)
            }
            ([wanted, pattern @ ..], [byte, name @ ..]) if *wanted == b'?' || wanted == byte => {
                (pattern, name)
            }
            _ => match retry {
                Some((pattern, [_, name @ ..])) => {
                    retry = Some((pattern, name));
                    (pattern, name)
                }
                Some((_, [])) | None => return false,
            },
        }
    }
}

fn number(reader: &mut Reader<'_>) -> Result<u64, KeyError> {
    let (high, low) = (reader.u32()?, reader.u32()?);
    Ok(u64::from(high) << 32 | u64::from(low))
}

fn principals(list: &[u8]) -> Result<Vec<String>, KeyError> {
    let mut reader = Reader::new(list);
    let mut principals = Vec::new();
    while !reader.rest().is_empty() {
        if principals.len() == MOST_PRINCIPALS {
            return Err(KeyError::TooLong);
        }
        principals.push(reader.text()?.to_owned());
    }
    Ok(principals)
}

/// Names and values, in the order of the names, none of them twice.
fn options(list: &[u8]) -> Result<Vec<(String, Vec<u8>)>, KeyError> {
    let mut reader = Reader::new(list);
    let mut options: Vec<(String, Vec<u8>)> = Vec::new();
    while !reader.rest().is_empty() {
        let (name, value) = (reader.text()?, reader.string()?);
        if options.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(KeyError::NotAKey);
        }
        options.push((name.to_owned(), value.to_vec()));
    }
    Ok(options)
}

/// An option without a value.
fn is_flag(value: &[u8]) -> Result<bool, KeyError> {
    if value.is_empty() { Ok(true) } else { Err(KeyError::NotAKey) }
}

/// The value of an option is a string in a string.
fn text_in(value: &[u8]) -> Result<String, KeyError> {
    let mut reader = Reader::new(value);
    let text = reader.text()?.to_owned();
    reader.end()?;
    Ok(text)
}
