//! What an X.509 certificate allows its key to be used for (RFC 5280, section 4.2.1.3).

/// DER tags (X.690).
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `extensions [3]` of a TBSCertificate.
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.15, keyUsage.
const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
/// keyEncipherment (2) and keyAgreement (4); bit 0 is the highest of the first byte.
const ALLOWS: u8 = 0x20 | 0x08;

/// Whether secrets may be encrypted to the key: the certificate does not say what the key is for, or says this.
///
/// `certificate` in DER. What cannot be understood allows nothing.
pub(crate) fn allows_encryption(certificate: &[u8]) -> bool {
    match find(certificate) {
        Some(Some(usage)) => usage.get(1).is_some_and(|bits| bits & ALLOWS != 0),
        Some(None) => true,
        None => false,
    }
}

/// The bit string of the extension, its number of unused bits in front; `Some(None)` where there is none, `None` where
/// the certificate cannot be understood.
fn find(certificate: &[u8]) -> Option<Option<&[u8]>> {
    let mut certificate = of(SEQUENCE, &mut &*certificate)?;
    let mut to_be_signed = of(SEQUENCE, &mut certificate)?;
    while !to_be_signed.is_empty() {
        let (EXTENSIONS, mut extensions) = element(&mut to_be_signed)? else { continue };
        let mut extensions = of(SEQUENCE, &mut extensions)?;
        while !extensions.is_empty() {
            let mut extension = of(SEQUENCE, &mut extensions)?;
            if of(OID, &mut extension)? != KEY_USAGE {
                continue;
            }
            let mut value = match element(&mut extension)? {
                (BOOLEAN, _critical) => of(OCTET_STRING, &mut extension)?,
                (OCTET_STRING, value) => value,
                (_other, _) => return None,
            };
            return of(BIT_STRING, &mut value).map(Some);
        }
    }
    Some(None)
}

/// The content of the next element, which must have this tag.
fn of<'a>(tag: u8, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    element(rest).and_then(|(found, content)| (found == tag).then_some(content))
}

/// Takes the next element: its tag and its content.
fn element<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, length, after @ ..] = *rest else { return None };
    let (length, after) = match length {
        0..=0x7f => (usize::from(*length), after),
        // The long form: so many bytes of length follow.
        0x81..=0x83 => {
            let (bytes, after) = after.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), after)
        }
        _endless_or_huge => return None,
    };
    let (content, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((*tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate with nothing in it but these extensions.
    fn certificate(extensions: &[&[u8]]) -> Vec<u8> {
        let put = |tag, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let all = extensions.iter().map(|one| put(SEQUENCE, one)).collect::<Vec<_>>().concat();
        let extensions = put(EXTENSIONS, &put(SEQUENCE, &all));
        put(SEQUENCE, &put(SEQUENCE, &[put(0x02, &[1]), extensions].concat()))
    }

    const CRITICAL: &[u8] = b"\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02";

    #[test]
    fn a_key_that_is_said_to_be_for_something_else_is_not_encrypted_to() {
        let other = b"\x06\x03\x55\x1d\x0e\x04\x02\x04\x00".as_slice();
        let usage = |bits: u8| certificate(&[other, &[CRITICAL, &[0, bits]].concat()]);
        assert!(allows_encryption(&usage(0x20)) && allows_encryption(&usage(0x88)));
        assert!(!allows_encryption(&usage(0x80)) && !allows_encryption(&usage(0x06)));
        let not_critical = b"\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x05\x20";
        assert!(allows_encryption(&certificate(&[not_critical])));
        assert!(allows_encryption(&certificate(&[other])), "it does not say");
    }

    #[test]
    fn what_is_cut_or_no_certificate_allows_nothing() {
        let whole = certificate(&[&[CRITICAL, &[0, 0x20]].concat()]);
        for cut in 0..whole.len() {
            assert!(!allows_encryption(&whole[..cut]), "{cut}");
        }
        assert!(!allows_encryption(b"\x30\x80\x00\x00"));
    }
}
