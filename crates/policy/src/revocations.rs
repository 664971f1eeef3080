//! OpenSSH's key revocation lists (its PROTOCOL.krl), as `ssh-keygen -k` writes them.
//!
//! A list is as trustworthy as the document that names its file, so a signature in it is not looked at. What is not
//! understood refuses the whole list: it may revoke something.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"SSHKRL\n\0";
const VERSION: u32 = 1;
const CERTIFICATES: u8 = 1;
const KEYS: u8 = 2;
const SHA1_FINGERPRINTS: u8 = 3;
const SIGNATURE: u8 = 4;
const SHA256_FINGERPRINTS: u8 = 5;
const EXTENSION: u8 = 255;
const SERIALS: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
const KEY_IDS: u8 = 0x23;
const CERTIFICATE_EXTENSION: u8 = 0x39;

/// What a list, or several of them, have revoked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Revocations {
    /// Blobs of keys.
    keys: Vec<Vec<u8>>,
    /// Digests of blobs.
    sha1: Vec<[u8; 20]>,
    sha256: Vec<[u8; 32]>,
    certificates: Vec<RevokedCertificates>,
}

/// Of one authority.
#[derive(Clone, Debug, Eq, PartialEq)]
struct RevokedCertificates {
    /// The blob of the authority's key; empty: of any.
    authority: Vec<u8>,
    serials: Vec<RangeInclusive<u64>>,
    key_ids: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoRevocations {
    #[error("this key revocation list is cut off or changed")]
    Broken,
    #[error("this key revocation list has parts that are not known here")]
    Unknown,
}

impl Revocations {
    /// Whether a file is meant to be such a list; others are lists of public keys.
    pub(crate) fn is_list(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoRevocations> {
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len())? != MAGIC || reader.u32()? != VERSION {
            return Err(NoRevocations::Unknown);
        }
        // Its number, its date, flags.
        reader.take(3 * 8)?;
        let (_reserved, _comment) = (reader.string()?, reader.string()?);
        let mut list = Self::default();
        while !reader.0.is_empty() {
            let (kind, section) = (reader.u8()?, reader.string()?);
            match kind {
                CERTIFICATES => list.certificates.push(certificates(Reader(section))?),
                KEYS => list.keys.extend(strings(Reader(section))?),
                SHA1_FINGERPRINTS => list.sha1.extend(digests(Reader(section))?),
                SHA256_FINGERPRINTS => list.sha256.extend(digests(Reader(section))?),
                // The section is the signer's key; signatures come last.
                SIGNATURE => _ = reader.string()?,
                EXTENSION => extension(Reader(section))?,
                _ => return Err(NoRevocations::Unknown),
            }
        }
        Ok(list)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.sha1.extend(other.sha1);
        self.sha256.extend(other.sha256);
        self.certificates.extend(other.certificates);
    }

    /// `key` is a line in OpenSSH's text form. One that cannot be read is nobody's.
    pub(crate) fn have_key(&self, key: &str) -> bool {
        if self.keys.is_empty() && self.sha1.is_empty() && self.sha256.is_empty() {
            return false;
        }
        let Some(blob) = blob(key) else { return true };
        let (sha1, sha256) = (<[u8; 20]>::from(Sha1::digest(&blob)), <[u8; 32]>::from(Sha256::digest(&blob)));
        self.keys.contains(&blob) || self.sha1.contains(&sha1) || self.sha256.contains(&sha256)
    }

    pub(crate) fn have_certificate(&self, authority: &str, serial: u64, key_id: &str) -> bool {
        let authority = blob(authority).unwrap_or_default();
        let of_it = |entry: &&RevokedCertificates| {
            entry.authority.is_empty() || authority.is_empty() || entry.authority == authority
        };
        self.certificates.iter().filter(of_it).any(|entry| {
            entry.serials.iter().any(|range| range.contains(&serial))
                || entry.key_ids.iter().any(|revoked| revoked == key_id.as_bytes())
        })
    }
}

fn blob(key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(key.split_ascii_whitespace().nth(1)?).ok()
}

fn certificates(mut section: Reader<'_>) -> Result<RevokedCertificates, NoRevocations> {
    let authority = section.string()?.to_vec();
    let _reserved = section.string()?;
    let (mut serials, mut key_ids) = (Vec::new(), Vec::new());
    while !section.0.is_empty() {
        let (kind, data) = (section.u8()?, section.string()?);
        let mut data = Reader(data);
        match kind {
            SERIALS => {
                while !data.0.is_empty() {
                    let serial = data.u64()?;
                    serials.push(serial..=serial);
                }
            }
            SERIAL_RANGE => {
                let (first, last) = (data.u64()?, data.u64()?);
                if first > last || !data.0.is_empty() {
                    return Err(NoRevocations::Broken);
                }
                serials.push(first..=last);
            }
            SERIAL_BITMAP => {
                serials.extend(bitmap(data.u64()?, data.string()?)?);
                if !data.0.is_empty() {
                    return Err(NoRevocations::Broken);
                }
            }
            KEY_IDS => key_ids.extend(strings(data)?),
            CERTIFICATE_EXTENSION => extension(data)?,
            _ => return Err(NoRevocations::Unknown),
        }
    }
    Ok(RevokedCertificates { authority, serials, key_ids })
}

/// A number whose bits are serials: the last bit is the first one.
fn bitmap(first: u64, number: &[u8]) -> Result<Vec<RangeInclusive<u64>>, NoRevocations> {
    let mut serials: Vec<RangeInclusive<u64>> = Vec::new();
    for (place, byte) in (0_u64..).zip(number.iter().rev()) {
        for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
            let serial = first.checked_add(place * 8 + bit).ok_or(NoRevocations::Broken)?;
            match serials.last_mut() {
                Some(range) if range.end().checked_add(1) == Some(serial) => *range = *range.start()..=serial,
                _ => serials.push(serial..=serial),
            }
        }
    }
    Ok(serials)
}

/// A name, whether it may be passed over, and what it has.
fn extension(mut section: Reader<'_>) -> Result<(), NoRevocations> {
    let _name = section.string()?;
    let is_critical = section.u8()? != 0;
    let _contents = section.string()?;
    if is_critical { Err(NoRevocations::Unknown) } else { Ok(()) }
}

fn strings(mut section: Reader<'_>) -> Result<Vec<Vec<u8>>, NoRevocations> {
    let mut strings = Vec::new();
    while !section.0.is_empty() {
        strings.push(section.string()?.to_vec());
    }
    Ok(strings)
}

fn digests<const N: usize>(section: Reader<'_>) -> Result<Vec<[u8; N]>, NoRevocations> {
    let digest = |bytes: Vec<u8>| bytes.try_into().map_err(|_| NoRevocations::Broken);
    strings(section)?.into_iter().map(digest).collect()
}

/// Numbers and strings as SSH has them (RFC 4251 section 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NoRevocations> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NoRevocations::Broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NoRevocations> {
        self.take(N)?.try_into().map_err(|_| NoRevocations::Broken)
    }

    fn u8(&mut self) -> Result<u8, NoRevocations> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, NoRevocations> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, NoRevocations> {
        self.array().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], NoRevocations> {
        let length = usize::try_from(self.u32()?).map_err(|_| NoRevocations::Broken)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn section(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&[kind][..], &string(bytes)].concat()
    }

    fn list(sections: &[Vec<u8>]) -> Vec<u8> {
        let head = [MAGIC, &VERSION.to_be_bytes(), &[0; 24], &string(b""), &string(b"a comment")].concat();
        [head, sections.concat()].concat()
    }

    fn whole() -> Vec<u8> {
        let blob = blob(KEY).unwrap();
        let range = [5_u64.to_be_bytes(), 7_u64.to_be_bytes()].concat();
        let bits = [&100_u64.to_be_bytes()[..], &string(&[0b1, 0b1000_0011])].concat();
        let certificates = [
            string(&blob),
            string(b""),
            section(SERIALS, &3_u64.to_be_bytes()),
            section(SERIAL_RANGE, &range),
            section(SERIAL_BITMAP, &bits),
            section(KEY_IDS, &string(b"an id")),
        ];
        list(&[
            section(CERTIFICATES, &certificates.concat()),
            section(KEYS, &string(b"another key")),
            section(SHA1_FINGERPRINTS, &string(&[1; 20])),
            section(SHA256_FINGERPRINTS, &string(&Sha256::digest(&blob))),
        ])
    }

    #[test]
    fn serials_are_numbers_ranges_and_bits() {
        let read = Revocations::parse(&whole()).unwrap();
        let revoked: Vec<u64> =
            (0..200).filter(|serial| read.have_certificate(KEY, *serial, "other")).collect();
        assert_eq!(revoked, [3, 5, 6, 7, 100, 101, 107, 108]);
        assert!(read.have_certificate(KEY, 0, "an id") && read.have_key(KEY));
        assert!(!read.have_certificate("ssh-ed25519 AAAA", 3, "an id"), "of another authority");
    }

    #[test]
    fn a_list_that_is_cut_within_a_section_is_refused() {
        let whole = whole();
        let mut shorter = 0;
        for cut in 0..whole.len() {
            // Between two sections nobody can tell; the file says no length.
            shorter += usize::from(Revocations::parse(&whole[..cut]).is_ok());
        }
        assert_eq!(shorter, 4);
    }

    #[test]
    fn what_is_not_known_refuses_the_list_unless_it_says_that_it_may_be_passed_over() {
        let extended = |critical| [string(b"x@y"), vec![critical], string(b"")].concat();
        assert_eq!(Revocations::parse(&list(&[section(9, b"")])), Err(NoRevocations::Unknown));
        let critical = list(&[section(EXTENSION, &extended(1))]);
        assert_eq!(Revocations::parse(&critical), Err(NoRevocations::Unknown));
        assert!(Revocations::parse(&list(&[section(EXTENSION, &extended(0))])).is_ok());
        let signed =
            [list(&[section(KEYS, &string(b"k")), section(SIGNATURE, b"key")]), string(b"signature")];
        assert!(Revocations::parse(&signed.concat()).is_ok());
        assert_eq!(Revocations::parse(b"SSHKRL\n\0\0\0\0\x02"), Err(NoRevocations::Unknown));
    }

    #[test]
    fn no_changed_byte_makes_reading_panic() {
        let whole = whole();
        for place in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[place] = value;
                let _ = Revocations::parse(&changed);
            }
        }
    }
}
