//! A TimeStampToken (RFC 3161, section 2.4.2): a signature by which an authority says when something was there.

use std::fmt;

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetString, OctetStringRef, UintRef};
use der::referenced::OwnedToRef;
use der::{Decode, Encode, Sequence, Tag, Tagged};
use keyward_model::UnixMillis;
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::timestamp_signature::{Algorithm, Digest};

/// INVARIANT: the most bytes of a token. Those of today have 2 to 8 KiB, with their certificates.
pub(crate) const MAX_TOKEN: usize = 32 * 1024;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Why a token says nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    #[error("it has {0} bytes, and {MAX_TOKEN} are the most")]
    TooLong(usize),
    #[error("its {0} cannot be understood")]
    Form(&'static str),
    #[error("its {0} is missing, or there is more than one")]
    NotOne(&'static str),
    #[error("it uses an algorithm that is not known here: {0}")]
    Algorithm(String),
    #[error("it is about something else")]
    Imprint,
    #[error("its signature is not that of its authority")]
    Signature,
    #[error("the certificate that it names is not the one that it holds")]
    OtherCertificate,
    #[error("its certificate is not one for timestamps alone")]
    Purpose,
    #[error("its certificate does not come from an authority that is trusted: {0}")]
    Untrusted(String),
    #[error("it stands for a seal that is not before it")]
    NoSeal,
    #[error("it is the second one since the last seal")]
    NotAlone,
}

/// MessageImprint, of RFC 3161, section 2.4.1.
#[derive(Clone, Debug, Sequence)]
pub(crate) struct MessageImprint<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) hashed: &'a OctetStringRef,
}

/// TSTInfo, of RFC 3161, section 2.4.2.
#[derive(Clone, Debug, Sequence)]
struct TstInfo<'a> {
    version: u8,
    policy: ObjectIdentifier,
    imprint: MessageImprint<'a>,
    serial: IntRef<'a>,
    /// Not der's GeneralizedTime, which has no fractions of seconds.
    time: AnyRef<'a>,
    accuracy: Option<Accuracy>,
    #[asn1(default = "bool::default")]
    ordering: bool,
    nonce: Option<UintRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    tsa: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

#[derive(Clone, Debug, Sequence)]
struct Accuracy {
    seconds: Option<u64>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    micros: Option<u16>,
}

/// SigningCertificate and SigningCertificateV2 (RFC 5035), whose hashes differ in what they are without an algorithm.
#[derive(Clone, Debug, Sequence)]
struct SigningCertificate<'a> {
    certificates: Vec<CertificateId<'a>>,
    policies: Option<AnyRef<'a>>,
}

#[derive(Clone, Debug, Sequence)]
struct CertificateId<'a> {
    algorithm: Option<AlgorithmIdentifierRef<'a>>,
    hash: &'a OctetStringRef,
    issuer: Option<AnyRef<'a>>,
}

/// A token whose form is right; [`check`](Self::check) says whether its signature is.
pub(crate) struct Token {
    /// TSTInfo, DER: what is signed.
    content: OctetString,
    /// What the content says.
    time: UnixMillis,
    imprint: Vec<u8>,
    nonce: Option<Vec<u8>>,
    signer: SignerInfo,
    attributes: Attributes,
    certificate: Certificate,
    /// DER: the signer's certificate again, and others that lead to its authority.
    own: Vec<u8>,
    others: Vec<Vec<u8>>,
}

impl Token {
    pub(crate) fn parse(token: &[u8]) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong(token.len()));
        }
        let form = |what| move |_: der::Error| TokenError::Form(what);
        let outer = ContentInfo::from_der(token).map_err(form("form"))?;
        let data: SignedData = match outer.content_type {
            SIGNED_DATA => outer.content.decode_as().map_err(form("form"))?,
            _ => return Err(TokenError::Form("kind")),
        };
        if data.version != CmsVersion::V3 || data.encap_content_info.econtent_type != TST_INFO {
            return Err(TokenError::Form("kind"));
        }
        let content = data.encap_content_info.econtent.ok_or(TokenError::NotOne("content"))?;
        let content: OctetString = content.decode_as().map_err(form("content"))?;
        let info = TstInfo::from_der(content.as_bytes()).map_err(form("content"))?;
        let critical = |extensions: &Extensions| extensions.iter().any(|extension| extension.critical);
        if info.version != 1 || info.extensions.as_ref().is_some_and(critical) {
            return Err(TokenError::Form("content"));
        }
        if Digest::of(info.imprint.algorithm)? != Digest::Sha256 {
            return Err(TokenError::Imprint);
        }
        let time = unix_time(info.time).ok_or(TokenError::Form("time"))?;
        let imprint = info.imprint.hashed.as_bytes().to_vec();
        let nonce = info.nonce.map(|nonce| nonce.as_bytes().to_vec());
        let signer = only(data.signer_infos.0.into_vec()).ok_or(TokenError::NotOne("signature"))?;
        let digests = only(data.digest_algorithms.into_vec()).ok_or(TokenError::NotOne("hash"))?;
        let version = match &signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
            SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
        };
        if digests != signer.digest_alg || signer.version != version {
            return Err(TokenError::Form("signature"));
        }
        let attributes = signer.signed_attrs.clone().ok_or(TokenError::NotOne("content's hash"))?;
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
            let CertificateChoices::Certificate(certificate) = choice else { continue };
            let encoded = certificate.to_der().map_err(form("certificate"))?;
            if names(&signer.sid, certificate) {
                found.push((certificate.clone(), encoded));
            } else {
                others.push(encoded);
            }
        }
        let (certificate, own) = only(found).ok_or(TokenError::NotOne("certificate"))?;
        Ok(Self { content, time, imprint, nonce, signer, attributes, certificate, own, others })
    }

    /// Whether it is about `imprint`, and signed with the key of the certificate that it holds. Whose that is, only
    /// [`TimestampAuthorities`](crate::TimestampAuthorities) can say.
    pub(crate) fn check(&self, imprint: &[u8; 32]) -> Result<(), TokenError> {
        if self.imprint != imprint {
            return Err(TokenError::Imprint);
        }
        let digest = Digest::of(self.signer.digest_alg.owned_to_ref())?;
        let hashed: OctetString = self.attribute(MESSAGE_DIGEST, "content's hash")?;
        let kind: ObjectIdentifier = self.attribute(CONTENT_TYPE, "content's kind")?;
        if kind != TST_INFO || hashed.as_bytes() != digest.hash(self.content.as_bytes()) {
            return Err(TokenError::Signature);
        }
        self.check_certificate()?;
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        let algorithm = Algorithm::of(self.signer.signature_algorithm.owned_to_ref(), digest, key)?;
        // What is signed are the attributes as a SET, and not under the tag that they have in the token (RFC 5652,
        // section 5.4).
        let signed = self.attributes.to_der().map_err(|_| TokenError::Form("attributes"))?;
        algorithm.verify(key, &signed, self.signer.signature.as_bytes())
    }

    /// The certificate is a part of what is signed (RFC 5816), so that no other one of the same key can take its place.
    fn check_certificate(&self) -> Result<(), TokenError> {
        let (named, default) = match self.raw_attribute(SIGNING_CERTIFICATE_V2)? {
            Some(named) => (named, Digest::Sha256),
            None => {
                let named = self.raw_attribute(SIGNING_CERTIFICATE)?;
                (named.ok_or(TokenError::NotOne("certificate's hash"))?, Digest::Sha1)
            }
        };
        let named =
            SigningCertificate::from_der(&named).map_err(|_| TokenError::Form("certificate's hash"))?;
        let first = named.certificates.first().ok_or(TokenError::NotOne("certificate's hash"))?;
        let digest = first.algorithm.map_or(Ok(default), Digest::of)?;
        let same = digest.hash(&self.own) == first.hash.as_bytes();
        if same { Ok(()) } else { Err(TokenError::OtherCertificate) }
    }

    fn attribute<T>(&self, name: ObjectIdentifier, what: &'static str) -> Result<T, TokenError>
    where
        T: for<'a> Decode<'a, Error = der::Error>,
    {
        let value = self.raw_attribute(name)?.ok_or(TokenError::NotOne(what))?;
        T::from_der(&value).map_err(|_| TokenError::Form(what))
    }

    /// The only value of the only attribute of this name, DER.
    fn raw_attribute(&self, name: ObjectIdentifier) -> Result<Option<Vec<u8>>, TokenError> {
        let mut named = self.attributes.iter().filter(|attribute| attribute.oid == name);
        let Some(attribute) = named.next() else { return Ok(None) };
        let mut values = attribute.values.iter();
        match (values.next(), values.next(), named.next()) {
            (Some(value), None, None) => value.to_der().map(Some).map_err(|_| TokenError::Form("attributes")),
            _ => Err(TokenError::NotOne("attribute")),
        }
    }

    /// Whether it answers the question with this number.
    pub(crate) fn answers(&self, nonce: u64) -> bool {
        let bytes = nonce.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        self.nonce.as_deref() == bytes.get(start..)
    }

    pub(crate) fn time(&self) -> UnixMillis {
        self.time
    }

    /// The name in the certificate of who has signed it: anybody's word before that was held against an authority.
    pub(crate) fn by(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate of who has signed it, and those that came with it, DER.
    pub(crate) fn chain(&self) -> (&[u8], &[Vec<u8>]) {
        (&self.own, &self.others)
    }
}

fn names(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let certificate = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(name) => {
            name.issuer == *certificate.issuer() && name.serial_number == *certificate.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(name) => {
            let own = certificate.get_extension::<SubjectKeyIdentifier>();
            own.is_ok_and(|own| own.is_some_and(|(_, own)| own == *name))
        }
    }
}

fn only<T>(items: Vec<T>) -> Option<T> {
    let mut items = items.into_iter();
    items.next().filter(|_| items.next().is_none())
}

/// `YYYYMMDDhhmmss[.fraction]Z` (RFC 3161, section 2.4.2).
fn unix_time(value: AnyRef<'_>) -> Option<UnixMillis> {
    let text = Some(value).filter(|value| value.tag() == Tag::GeneralizedTime)?;
    let text = std::str::from_utf8(text.value()).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let field = |from: usize, to: usize| whole.get(from..to)?.parse::<u8>().ok();
    let year = whole.get(..4)?.parse().ok()?;
    let (month, day) = (field(4, 6)?, field(6, 8)?);
    let (hour, minute, second) = (field(8, 10)?, field(10, 12)?, field(12, 14)?);
    let time = der::DateTime::new(year, month, day, hour, minute, second).ok()?;
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    i64::try_from(time.unix_duration().as_secs() * 1000 + millis).ok().map(UnixMillis)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("time", &self.time).field("by", &self.by()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_a_fraction_and_must_be_utc() {
        let read = |text: &str| unix_time(AnyRef::new(Tag::GeneralizedTime, text.as_bytes()).unwrap());
        assert_eq!(read("20010909014640Z"), Some(UnixMillis(1_000_000_000_000)));
        assert_eq!(read("20010909014640.5Z"), Some(UnixMillis(1_000_000_000_500)));
        assert_eq!(read("20010909014640.123456Z"), Some(UnixMillis(1_000_000_000_123)));
        for wrong in [
            "",
            "Z",
            "20010909014640",
            "20010909014640.Z",
            "20010909014640+0100",
            "200109090146Z",
            "20011309014640Z",
            "+0010909014640Z",
            "20010909014640.-1Z",
            "19690909014640Z",
            "2001090901464éZ",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
