//! The protocol of agents (draft-ietf-sshm-ssh-agent), as one speaks it who asks an agent: which keys it has, and for
//! signatures by them.

use crate::key::SignatureAlgorithm;
use crate::wire::{Malformed, Reader, Write};
use crate::{Certificate, KeyError, PublicKey};

const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;
const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;

/// The flags of a request for a signature by an RSA key; without one it is made with SHA-1.
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// The longest message of an agent. OpenSSH's agent sends no longer ones either.
const LONGEST: usize = 256 * 1024;
/// Keys of one agent; what it has beyond them is not looked at.
const MOST_KEYS: usize = 64;

/// What an agent says.
#[derive(Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// The blobs of keys and certificates.
    Identities(Vec<&'a [u8]>),
    /// A signature blob: the algorithm's name and the signature.
    Signature(&'a [u8]),
    /// No, in whatever words.
    Refused,
}

/// Asks which keys there are.
pub fn request_identities() -> Vec<u8> {
    framed(&[REQUEST_IDENTITIES])
}

/// Asks the owner of a blob from [`Answer::Identities`] to sign.
pub fn request_signature(blob: &[u8], algorithm: SignatureAlgorithm, data: &[u8]) -> Vec<u8> {
    let mut message = vec![SIGN_REQUEST];
    message.put_string(blob);
    message.put_string(data);
    message.put_number(match algorithm {
        SignatureAlgorithm::RsaSha256 => RSA_SHA2_256,
        SignatureAlgorithm::RsaSha512 => RSA_SHA2_512,
        _ => 0,
    });
    framed(&message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    framed.put_string(message);
    framed
}

impl<'a> Answer<'a> {
    /// Reads one message, as [`Inbox::take`] gives it.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(message);
        match reader.u8()? {
            IDENTITIES_ANSWER => identities(reader).map(Self::Identities),
            SIGN_RESPONSE => {
                let signature = reader.string()?;
                reader.end()?;
                Ok(Self::Signature(signature))
            }
            _ => Ok(Self::Refused),
        }
    }
}

fn identities(mut reader: Reader<'_>) -> Result<Vec<&[u8]>, Malformed> {
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    let mut blobs = Vec::new();
    for _ in 0..count.min(MOST_KEYS) {
        blobs.push(reader.string()?);
        let _comment = reader.string()?;
    }
    if count <= MOST_KEYS {
        reader.end()?;
    }
    Ok(blobs)
}

/// Pieces of an agent's stream become messages.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The first message, once it is whole. One that would be too long is refused as soon as it says so.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, KeyError> {
        let mut reader = Reader::new(&self.bytes);
        let Ok(length) = reader.u32() else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| KeyError::TooLong)?;
        if length > LONGEST {
            return Err(KeyError::TooLong);
        }
        let Ok(message) = reader.take(length) else { return Ok(None) };
        let message = message.to_vec();
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }
}

/// A key for which somebody else signs, or a certificate of such a key.
#[derive(Debug)]
pub struct AgentKey {
    blob: Vec<u8>,
    key: PublicKey,
    /// The authority's name for it, where this is a certificate.
    certificate: Option<String>,
}

impl AgentKey {
    /// Reads a blob of [`Answer::Identities`]. Not checked: who signed a certificate, and whether it is valid.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let (key, certificate) = match PublicKey::from_blob(blob) {
            Err(KeyError::UnknownKind) => {
                let certificate = Certificate::from_blob(blob)?;
                (certificate.key().clone(), Some(certificate.key_id().to_owned()))
            }
            key => (key?, None),
        };
        Ok(Self { blob: blob.to_vec(), key, certificate })
    }

    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What it signs with, best first. More than one only for RSA.
    pub fn algorithms(&self) -> Vec<SignatureAlgorithm> {
        SignatureAlgorithm::of_kind(self.key.kind())
    }

    /// How a request for authentication calls it with this signature.
    pub fn request_name(&self, algorithm: SignatureAlgorithm) -> &'static str {
        match self.certificate {
            None => algorithm.name(),
            Some(_) => algorithm.certificate_name(),
        }
    }

    /// Whether a signature blob has been made with this algorithm: agents that are old make others than they were asked
    /// for.
    pub fn is_made_with(signature: &[u8], algorithm: SignatureAlgorithm) -> bool {
        Reader::new(signature).text() == Ok(algorithm.name())
    }

    /// In words, for the record: what a hostile agent wrote is escaped and cut.
    pub fn named(&self) -> String {
        let fingerprint = self.key.fingerprint();
        match &self.certificate {
            None => format!("{} {fingerprint}", self.key.kind()),
            Some(id) => {
                let id: String = id.chars().take(64).collect();
                format!("{} {fingerprint} with the certificate {id:?}", self.key.kind())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::{KeyKind, SigningKey, UserCertificate};

    fn identities_answer(count: u32, blobs: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![IDENTITIES_ANSWER];
        message.put_number(count);
        for blob in blobs {
            message.put_string(blob);
            message.put_string(b"a comment");
        }
        message
    }

    #[test]
    fn what_an_agent_says_is_read_and_refused_where_it_is_cut() {
        let message = identities_answer(2, &[b"one", b"two"]);
        assert_eq!(Answer::parse(&message), Ok(Answer::Identities(vec![b"one", b"two"])));
        let mut signature = vec![SIGN_RESPONSE];
        signature.put_string(b"signature");
        assert_eq!(Answer::parse(&signature), Ok(Answer::Signature(b"signature")));
        for message in [message, signature] {
            for cut in 0..message.len() {
                assert!(Answer::parse(&message[..cut]).is_err(), "{cut}");
            }
            assert!(Answer::parse(&[message, vec![0]].concat()).is_err());
        }
        // SSH_AGENT_FAILURE, and what nobody knows.
        for number in [5, 30, 102, 255] {
            assert_eq!(Answer::parse(&[number]), Ok(Answer::Refused));
        }
    }

    #[test]
    fn keys_beyond_a_bound_are_not_looked_at() {
        let blobs = vec![&b"k"[..]; MOST_KEYS + 1];
        let message = identities_answer(u32::try_from(blobs.len()).unwrap(), &blobs);
        let Ok(Answer::Identities(read)) = Answer::parse(&message) else { panic!() };
        assert_eq!(read.len(), MOST_KEYS);
        assert!(Answer::parse(&identities_answer(u32::MAX, &[b"k"])).is_err());
    }

    #[test]
    fn a_stream_cut_anywhere_has_the_same_messages() {
        let stream = [request_identities(), request_signature(b"k", SignatureAlgorithm::RsaSha512, b"data")];
        let stream = stream.concat();
        for cut in 0..=stream.len() {
            let mut inbox = Inbox::default();
            let mut taken = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                inbox.put(piece);
                while let Some(message) = inbox.take().unwrap() {
                    taken.push(message);
                }
            }
            assert_eq!(taken, [&stream[4..5], &stream[9..]], "{cut}");
            assert!(stream.ends_with(&[0, 0, 0, 4]), "the flag of SHA-512");
        }
    }

    #[test]
    fn a_message_that_says_it_is_too_long_is_refused_at_its_head() {
        let mut inbox = Inbox::default();
        inbox.put(&u32::try_from(LONGEST + 1).unwrap().to_be_bytes());
        assert!(matches!(inbox.take(), Err(KeyError::TooLong)));
    }

    #[test]
    fn a_certificate_in_an_agent_is_shown_as_one_and_signed_for_as_its_key() {
        let (authority, key) = (
            SigningKey::generate(KeyKind::Ed25519).unwrap(),
            SigningKey::generate(KeyKind::Ed25519).unwrap(),
        );
        let wanted = UserCertificate {
            serial: 1,
            key_id: "an\x1bid",
            principals: &["ann".to_owned()],
            valid: UNIX_EPOCH..UNIX_EPOCH + Duration::from_secs(60),
            extensions: &[],
        };
        let certificate = authority.certify(key.public(), &wanted).unwrap();
        let held = AgentKey::from_blob(certificate.blob()).unwrap();
        assert_eq!(held.algorithms(), [SignatureAlgorithm::Ed25519]);
        assert_eq!(held.request_name(SignatureAlgorithm::Ed25519), "ssh-ed25519-cert-v01@openssh.com");
        assert!(held.named().ends_with("with the certificate \"an\\u{1b}id\""), "{}", held.named());
        assert!(held.named().contains(&key.public().fingerprint()));
        let plain = AgentKey::from_blob(key.public().blob()).unwrap();
        assert_eq!(plain.request_name(SignatureAlgorithm::Ed25519), "ssh-ed25519");
        let signature = key.sign(SignatureAlgorithm::Ed25519, b"data").unwrap();
        assert!(AgentKey::is_made_with(&signature, SignatureAlgorithm::Ed25519));
        assert!(!AgentKey::is_made_with(&signature, SignatureAlgorithm::RsaSha256));
        assert!(!AgentKey::is_made_with(b"", SignatureAlgorithm::RsaSha256));
    }

    proptest! {
        #[test]
        fn nothing_that_an_agent_says_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut inbox = Inbox::default();
            inbox.put(&bytes);
            while let Ok(Some(message)) = inbox.take() {
                let _ = Answer::parse(&message);
            }
            let _ = Answer::parse(&bytes);
            let _ = AgentKey::from_blob(&bytes);
        }
    }
}
