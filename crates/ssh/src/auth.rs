//! The messages of user authentication (RFC 4252, RFC 4256).

use keyward_model::Secret;
use zeroize::Zeroizing;

use crate::message::{
    SERVICE_ACCEPT, SERVICE_REQUEST, USERAUTH_BANNER, USERAUTH_FAILURE, USERAUTH_INFO_REQUEST,
    USERAUTH_INFO_RESPONSE, USERAUTH_PK_OK, USERAUTH_REQUEST, USERAUTH_SUCCESS,
};
use crate::wire::{Malformed, Reader, Write};
use crate::{Certificate, KeyError, SignatureAlgorithm, SigningKey};

pub const SERVICE: &str = "ssh-userauth";
/// What an authenticated user is let into.
pub const CONNECTION: &str = "ssh-connection";

/// What a client asks for (RFC 4252 section 5).
#[derive(Debug)]
pub struct Request<'a> {
    pub user: &'a str,
    pub service: &'a str,
    pub method: Method<'a>,
}

#[derive(Debug)]
pub enum Method<'a> {
    None,
    Password(Secret),
    /// RFC 4252 section 8: the client wants to change it on the way.
    NewPassword,
    PublicKey(Offer<'a>),
    KeyboardInteractive,
    Other(&'a str),
}

/// A public key, with a signature or to ask whether it is worth one (RFC 4252 section 7).
#[derive(Debug)]
pub struct Offer<'a> {
    pub algorithm: &'a str,
    pub key: &'a [u8],
    pub signature: Option<&'a [u8]>,
    /// The part of the request that is signed, after the session's identifier.
    signed: &'a [u8],
}

impl Offer<'_> {
    /// What the signature is made of.
    pub fn signed_data(&self, session_id: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        data.put_string(session_id);
        data.put_bytes(self.signed);
        data
    }
}

impl<'a> Request<'a> {
    /// Reads `SSH_MSG_USERAUTH_REQUEST`.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(message);
        reader.u8()?;
        let (user, service, method) = (reader.text()?, reader.text()?, reader.text()?);
        let method = match method {
            "none" => Method::None,
            "password" if reader.bool()? => Method::NewPassword,
            "password" => Method::Password(Secret::new(reader.text()?.to_owned())),
            "publickey" => Method::PublicKey(offer(message, &mut reader)?),
            "keyboard-interactive" => Method::KeyboardInteractive,
            other => Method::Other(other),
        };
        Ok(Self { user, service, method })
    }
}

fn offer<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Offer<'a>, Malformed> {
    let is_signed = reader.bool()?;
    let (algorithm, key) = (reader.text()?, reader.string()?);
    let signed = message.get(..message.len() - reader.rest().len()).unwrap_or_default();
    let signature = if is_signed { Some(reader.string()?) } else { None };
    Ok(Offer { algorithm, key, signature, signed })
}

/// One line that is asked for (RFC 4256 section 3.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prompt {
    pub text: String,
    pub echo: bool,
}

/// What a server says to a request.
#[derive(Debug)]
pub enum Reply<'a> {
    Success,
    /// What can go on, and whether what was tried was right (RFC 4252 section 5.1).
    Failure {
        methods: Vec<&'a str>,
        partial: bool,
    },
    Banner,
    /// `SSH_MSG_USERAUTH_PK_OK`, `PASSWD_CHANGEREQ` or `INFO_REQUEST`: they share a number.
    Question(&'a [u8]),
}

impl<'a> Reply<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(message);
        Ok(Some(match reader.u8()? {
            USERAUTH_SUCCESS => Self::Success,
            USERAUTH_FAILURE => Self::Failure { methods: reader.names()?, partial: reader.bool()? },
            USERAUTH_BANNER => Self::Banner,
            USERAUTH_INFO_REQUEST => Self::Question(reader.rest()),
            _ => return Ok(None),
        }))
    }
}

/// Prompts in one information request, and bytes in one of them; more is refused.
const MOST_PROMPTS: u32 = 32;
const LONGEST_PROMPT: usize = 8 * 1024;

/// The prompts of an `SSH_MSG_USERAUTH_INFO_REQUEST`, from after its number.
pub fn prompts(question: &[u8]) -> Result<Vec<Prompt>, Malformed> {
    let mut reader = Reader::new(question);
    // Name, instruction, language.
    for _ in 0..3 {
        reader.string()?;
    }
    let count = reader.u32()?;
    if count > MOST_PROMPTS {
        return Err(Malformed::Truncated);
    }
    let mut prompts = Vec::new();
    for _ in 0..count {
        let text = reader.string()?;
        let text = String::from_utf8_lossy(text.get(..LONGEST_PROMPT.min(text.len())).unwrap_or_default());
        prompts.push(Prompt { text: text.into_owned(), echo: reader.bool()? });
    }
    Ok(prompts)
}

/// The answers of an `SSH_MSG_USERAUTH_INFO_RESPONSE`.
pub fn answers(message: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(message);
    reader.u8()?;
    let count = reader.u32()?;
    if count > MOST_PROMPTS {
        return Err(Malformed::Truncated);
    }
    (0..count).map(|_| reader.string()).collect()
}

/// `SSH_MSG_SERVICE_REQUEST` asks for `name`, `SSH_MSG_SERVICE_ACCEPT` grants it.
pub fn service_request(name: &str) -> Vec<u8> {
    named(SERVICE_REQUEST, name)
}

pub fn service_accept(name: &str) -> Vec<u8> {
    named(SERVICE_ACCEPT, name)
}

/// The name in an `SSH_MSG_SERVICE_REQUEST` or `SSH_MSG_SERVICE_ACCEPT`.
pub fn service_name(message: &[u8]) -> Result<&str, Malformed> {
    let mut reader = Reader::new(message);
    reader.u8()?;
    reader.text()
}

fn named(number: u8, name: &str) -> Vec<u8> {
    let mut message = vec![number];
    message.put_string(name.as_bytes());
    message
}

pub fn failure<'n>(methods: impl IntoIterator<Item = &'n str>, partial: bool) -> Vec<u8> {
    let mut message = vec![USERAUTH_FAILURE];
    message.put_names(methods);
    message.put_bool(partial);
    message
}

pub fn success() -> Vec<u8> {
    vec![USERAUTH_SUCCESS]
}

pub fn banner(text: &str) -> Vec<u8> {
    let mut message = named(USERAUTH_BANNER, text);
    message.put_string(b"");
    message
}

/// The key may be used, once it has signed.
pub fn key_is_welcome(offer: &Offer<'_>) -> Vec<u8> {
    let mut message = named(USERAUTH_PK_OK, offer.algorithm);
    message.put_string(offer.key);
    message
}

pub fn info_request(instruction: &str, prompts: &[Prompt]) -> Vec<u8> {
    let mut message = named(USERAUTH_INFO_REQUEST, "");
    message.put_string(instruction.as_bytes());
    message.put_string(b"");
    message.put_number(u32::try_from(prompts.len()).unwrap_or(0));
    for prompt in prompts {
        message.put_string(prompt.text.as_bytes());
        message.put_bool(prompt.echo);
    }
    message
}

/// Wiped when it is dropped, and never moved while it grows.
pub fn info_response(answers: &[Secret]) -> Zeroizing<Vec<u8>> {
    let length: usize = answers.iter().map(|answer| 4 + answer.expose().len()).sum();
    let mut message = Zeroizing::new(Vec::with_capacity(1 + 4 + length));
    message.put_byte(USERAUTH_INFO_RESPONSE);
    message.put_number(u32::try_from(answers.len()).unwrap_or(0));
    for answer in answers {
        message.put_string(answer.expose().as_bytes());
    }
    message
}

/// Asks which methods there are (RFC 4252 section 5.2).
pub fn request_none(user: &str) -> Vec<u8> {
    request(user, "none")
}

/// Wiped when it is dropped, and never moved while the password is in it.
pub fn request_password(user: &str, password: &Secret) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(request(user, "password"));
    message.reserve_exact(1 + 4 + password.expose().len());
    message.put_bool(false);
    message.put_string(password.expose().as_bytes());
    message
}

pub fn request_interactive(user: &str) -> Vec<u8> {
    let mut message = request(user, "keyboard-interactive");
    message.put_string(b"");
    message.put_string(b"");
    message
}

/// A public key and the signature that shows that its owner is here.
pub fn request_public_key(
    user: &str,
    key: &SigningKey,
    algorithm: SignatureAlgorithm,
    session_id: &[u8],
) -> Result<Vec<u8>, KeyError> {
    signed_request(user, (algorithm.name(), key.public().blob()), (key, algorithm), session_id)
}

/// A certificate of a key, and the key's signature.
pub fn request_certificate(
    user: &str,
    key: &SigningKey,
    certificate: &Certificate,
    session_id: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let algorithm = *key.algorithms().first().ok_or(KeyError::CannotSign)?;
    let shown = (algorithm.certificate_name(), certificate.blob());
    signed_request(user, shown, (key, algorithm), session_id)
}

fn signed_request(
    user: &str,
    (name, blob): (&str, &[u8]),
    (key, algorithm): (&SigningKey, SignatureAlgorithm),
    session_id: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let unsigned = Unsigned::new(user, (name, blob), session_id);
    let signature = key.sign(algorithm, &unsigned.data)?;
    Ok(unsigned.signed(&signature))
}

/// Asks whether a key would be worth a signature (RFC 4252 section 7): its algorithm's name and its blob.
pub fn request_key_query(user: &str, (name, blob): (&str, &[u8])) -> Vec<u8> {
    offered(user, false, (name, blob))
}

/// A request with a public key whose signature somebody else makes.
#[derive(Debug)]
pub struct Unsigned {
    message: Vec<u8>,
    /// What is to be signed.
    pub data: Vec<u8>,
}

impl Unsigned {
    pub fn new(user: &str, (name, blob): (&str, &[u8]), session_id: &[u8]) -> Self {
        let message = offered(user, true, (name, blob));
        let mut data = Vec::new();
        data.put_string(session_id);
        data.put_bytes(&message);
        Self { message, data }
    }

    /// The request with its signature blob.
    pub fn signed(self, signature: &[u8]) -> Vec<u8> {
        let mut message = self.message;
        message.put_string(signature);
        message
    }
}

fn offered(user: &str, is_signed: bool, (name, blob): (&str, &[u8])) -> Vec<u8> {
    let mut message = request(user, "publickey");
    message.put_bool(is_signed);
    message.put_string(name.as_bytes());
    message.put_string(blob);
    message
}

fn request(user: &str, method: &str) -> Vec<u8> {
    let mut message = named(USERAUTH_REQUEST, user);
    message.put_string(CONNECTION.as_bytes());
    message.put_string(method.as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyKind;

    #[test]
    fn a_signed_request_verifies_with_its_key_in_its_session_only() {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        let message = request_public_key("ann", &key, SignatureAlgorithm::Ed25519, b"session").unwrap();
        let parsed = Request::parse(&message).unwrap();
        assert_eq!((parsed.user, parsed.service), ("ann", CONNECTION));
        let Method::PublicKey(offer) = parsed.method else { panic!("no key") };
        let signature = offer.signature.unwrap();
        let verify = |session: &[u8]| {
            let data = offer.signed_data(session);
            key.public().verify(SignatureAlgorithm::Ed25519, signature, &data)
        };
        assert!(verify(b"session").is_ok());
        assert!(verify(b"another").is_err());
    }

    #[test]
    fn a_key_is_asked_about_without_a_signature() {
        let query = request_key_query("ann", ("ssh-ed25519", b"blob"));
        let Method::PublicKey(offer) = Request::parse(&query).unwrap().method else { panic!("no key") };
        assert_eq!((offer.algorithm, offer.key, offer.signature), ("ssh-ed25519", &b"blob"[..], None));
        assert!(matches!(Reply::parse(&key_is_welcome(&offer)), Ok(Some(Reply::Question(_)))));
    }

    #[test]
    fn every_request_is_read_as_it_was_written() {
        let secret = Secret::new("hunter2".into());
        let (none, password, interactive) =
            (request_none("a@b"), request_password("a", &secret), request_interactive("a"));
        assert!(matches!(Request::parse(&none).unwrap(), Request { user: "a@b", method: Method::None, .. }));
        let Method::Password(read) = Request::parse(&password).unwrap().method else { panic!() };
        assert_eq!(read.expose(), "hunter2");
        let method = Request::parse(&interactive).unwrap().method;
        assert!(matches!(method, Method::KeyboardInteractive));
        assert!(matches!(
            Request::parse(&request("a", "gssapi-with-mic")).unwrap().method,
            Method::Other("gssapi-with-mic")
        ));
    }

    #[test]
    fn a_request_that_is_cut_is_refused_at_every_byte() {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        let signed = request_public_key("ann", &key, SignatureAlgorithm::Ed25519, b"session").unwrap();
        for message in [request_password("ann", &Secret::new("x".into())), signed.into()] {
            for cut in 0..message.len() {
                assert!(Request::parse(&message[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn questions_and_answers_are_read_as_they_were_written() {
        let asked =
            [Prompt { text: "Password: ".into(), echo: false }, Prompt { text: "Code: ".into(), echo: true }];
        let request = info_request("Look", &asked);
        let Some(Reply::Question(question)) = Reply::parse(&request).unwrap() else { panic!() };
        assert_eq!(prompts(question).unwrap(), asked);
        let response = info_response(&[Secret::new("a".into()), Secret::new(String::new())]);
        assert_eq!(answers(&response).unwrap(), [&b"a"[..], b""]);
        for cut in 1..request.len() {
            let Some(Reply::Question(question)) = Reply::parse(&request[..cut]).unwrap() else { panic!() };
            assert!(prompts(question).is_err(), "{cut}");
        }
    }

    #[test]
    fn floods_of_prompts_and_answers_are_refused() {
        let prompt = Prompt { text: String::new(), echo: true };
        let request = info_request("", &vec![prompt; MOST_PROMPTS as usize + 1]);
        assert!(prompts(&request[1..]).is_err());
        let mut response = vec![USERAUTH_INFO_RESPONSE];
        response.put_number(u32::MAX);
        assert!(answers(&response).is_err());
    }
}
