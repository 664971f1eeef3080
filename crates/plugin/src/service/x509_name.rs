//! The hash by which OpenSSL names the files of a certificate directory (`X509_NAME_hash_ex`).
//!
//! It is the start of the SHA-1 of the name in a canonical form. SHA-1 names files here and protects nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The hash of a certificate's subject; `None` when the text is no certificate.
pub(super) fn subject_hash(pem: &str) -> Option<u32> {
    let der = body(pem, &["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"])?;
    // TBSCertificate: [0] version, serial, signature, issuer, validity, subject (RFC 5280 section 4.1).
    let mut fields = tbs(&der)?;
    if fields.peek_tag() == Some(0xa0) {
        fields.next()?;
    }
    fields.nth(4).map(|(_, name)| hash(name))?
}

/// The hash of a revocation list's issuer; `None` when the text is none.
pub(super) fn issuer_hash(pem: &str) -> Option<u32> {
    let der = body(pem, &["X509 CRL"])?;
    // TBSCertList: version (optional), signature, issuer (RFC 5280 section 5.1).
    let mut fields = tbs(&der)?;
    if fields.peek_tag() == Some(INTEGER) {
        fields.next()?;
    }
    fields.nth(1).map(|(_, name)| hash(name))?
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;

fn body(pem: &str, labels: &[&str]) -> Option<Vec<u8>> {
    let label = labels.iter().find(|label| pem.contains(&format!("-----BEGIN {label}-----")))?;
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

fn tbs(der: &[u8]) -> Option<Der<'_>> {
    let (_, signed) = Der(der).expect_tag(SEQUENCE)?;
    let (_, fields) = Der(signed).expect_tag(SEQUENCE)?;
    Some(Der(fields))
}

/// The elements of a DER encoding (X.690), in order.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn expect_tag(&mut self, tag: u8) -> Option<(u8, &'a [u8])> {
        self.next().filter(|(found, _)| *found == tag)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                if digits.is_empty() || digits.len() > 4 {
                    return None;
                }
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

fn hash(name: &[u8]) -> Option<u32> {
    let digest = sha1(&canonical(name)?);
    digest.first_chunk().map(|start| u32::from_le_bytes(*start))
}

/// The name without its outer header, its texts in UTF-8, lower case, with single spaces.
fn canonical(name: &[u8]) -> Option<Vec<u8>> {
    let mut sets = Vec::new();
    for (tag, set) in Der(name) {
        let mut attributes = (tag == SET).then(Vec::new)?;
        for (tag, attribute) in Der(set) {
            let mut parts = Der((tag == SEQUENCE).then_some(attribute)?);
            let (oid_tag, oid) = parts.next()?;
            let (text_tag, text) = parts.next()?;
            let mut content = encode(oid_tag, oid);
            content.extend(match decode_text(text_tag, text) {
                Some(text) => encode(UTF8_STRING, normal(&text).as_bytes()),
                None => encode(text_tag, text),
            });
            attributes.push(encode(SEQUENCE, &content));
        }
        attributes.sort();
        sets.extend(encode(SET, &attributes.concat()));
    }
    Some(sets)
}

/// The string types that OpenSSL's canonical form converts; others stay as they are.
fn decode_text(tag: u8, bytes: &[u8]) -> Option<String> {
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    match tag {
        UTF8_STRING => String::from_utf8(bytes.to_vec()).ok(),
        // Printable, Teletex, IA5 and Visible strings.
        0x13 | 0x14 | 0x16 | 0x1a => Some(latin()),
        // Universal and BMP strings.
        0x1c => bytes.chunks(4).map(wide).collect(),
        0x1e => bytes.chunks(2).map(wide).collect(),
        _ => None,
    }
}

fn wide(unit: &[u8]) -> Option<char> {
    char::from_u32(unit.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

/// Only ASCII is folded.
fn normal(text: &str) -> String {
    let words: Vec<String> = text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    words.join(" ")
}

fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.iter().copied().skip_while(|digit| *digit == 0).collect();
    match (content.len(), u8::try_from(digits.len())) {
        (0..0x80, _) | (_, Err(_)) => encoded.push(digits.first().copied().unwrap_or(0)),
        (_, Ok(count)) => {
            encoded.push(0x80 | count);
            encoded.extend(digits);
        }
    }
    encoded.extend_from_slice(content);
    encoded
}

/// RFC 3174.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded.chunks_exact(64) {
        state = sha1_block(state, block);
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn sha1_block(state: [u32; 5], block: &[u8]) -> [u32; 5] {
    let mut schedule: Vec<u32> = block
        .chunks_exact(4)
        .map(|word| word.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
        .collect();
    for _ in 16..80 {
        let word = [3, 8, 14, 16]
            .iter()
            .filter_map(|back| schedule.get(schedule.len() - back))
            .fold(0, |mixed, word| mixed ^ word);
        schedule.push(word.rotate_left(1));
    }
    let [mut a, mut b, mut c, mut d, mut e] = state;
    for (round, word) in schedule.into_iter().enumerate() {
        let (mixed, constant) = match round {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let next =
            a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    let [a0, b0, c0, d0, e0] = state;
    [a0.wrapping_add(a), b0.wrapping_add(b), c0.wrapping_add(c), d0.wrapping_add(d), e0.wrapping_add(e)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_gives_the_examples_of_its_standard() {
        let hex = |text: &str| sha1(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
    }

    #[test]
    fn what_is_no_certificate_has_no_hash() {
        for text in ["", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----", "MAA="] {
            assert_eq!(subject_hash(text), None);
            assert_eq!(issuer_hash(text), None);
        }
    }
}
