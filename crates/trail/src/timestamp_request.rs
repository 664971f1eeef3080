//! What a timestamping authority is asked, and what it answers (RFC 3161, section 2.4). Getting it there is the caller's.

use aws_lc_rs::rand;
use der::asn1::{AnyRef, BitStringRef, OctetStringRef, Utf8StringRef};
use der::{Decode, Encode, Sequence};
use keyward_model::UnixMillis;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::timestamp::{Sealed, TOLERANCE, Timestamp};
use crate::timestamp_authorities::TimestampAuthorities;
use crate::timestamp_signature::SHA256_ID;
use crate::timestamp_token::{MAX_TOKEN, MessageImprint, Token, TokenError};

/// One question to an authority.
#[derive(Debug)]
pub struct TimestampRequest {
    sealed: Sealed,
    nonce: u64,
    /// TimeStampReq, DER: the body of a POST of `application/timestamp-query`.
    body: Vec<u8>,
}

/// Why an answer is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerError {
    #[error("the question cannot be made")]
    Question,
    #[error("the answer cannot be understood")]
    Form,
    #[error("it refuses: status {status}{says}")]
    Refused { status: u64, says: String },
    #[error("the answer is to another question")]
    Nonce,
    #[error("the timestamp is not right: {0}")]
    Token(#[from] TokenError),
    #[error("its clock and this machine's are {0} seconds apart: one of them is wrong")]
    Clock(u64),
}

#[derive(Sequence)]
struct TimeStampReq<'a> {
    version: u8,
    imprint: MessageImprint<'a>,
    nonce: u64,
    certificates: bool,
}

#[derive(Sequence)]
struct TimeStampResp<'a> {
    status: StatusInfo<'a>,
    token: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct StatusInfo<'a> {
    status: u64,
    says: Option<Vec<Utf8StringRef<'a>>>,
    failure: Option<BitStringRef<'a>>,
}

impl TimestampRequest {
    /// The most bytes of an answer that are worth reading.
    pub const MOST_ANSWER: usize = MAX_TOKEN + 4096;

    /// Asks for the time of a seal.
    pub fn new(sealed: Sealed) -> Result<Self, AnswerError> {
        let mut nonce = [0; 8];
        rand::fill(&mut nonce).map_err(|_| AnswerError::Question)?;
        Self::with_nonce(sealed, u64::from_be_bytes(nonce))
    }

    pub(crate) fn with_nonce(sealed: Sealed, nonce: u64) -> Result<Self, AnswerError> {
        let hashed = sealed.imprint();
        let algorithm = AlgorithmIdentifierRef { oid: SHA256_ID, parameters: Some(AnyRef::NULL) };
        let hashed = OctetStringRef::new(&hashed).map_err(|_| AnswerError::Question)?;
        let imprint = MessageImprint { algorithm, hashed };
        let request = TimeStampReq { version: 1, imprint, nonce, certificates: true };
        let body = request.to_der().map_err(|_| AnswerError::Question)?;
        Ok(Self { sealed, nonce, body })
    }

    /// The question, DER.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Checks an answer as whoever verifies the trail will do: what is not right is not written.
    pub fn answer(
        &self,
        answer: &[u8],
        authorities: &TimestampAuthorities,
        now: UnixMillis,
    ) -> Result<Timestamp, AnswerError> {
        if answer.len() > Self::MOST_ANSWER {
            return Err(AnswerError::Form);
        }
        let TimeStampResp { status, token } =
            TimeStampResp::from_der(answer).map_err(|_| AnswerError::Form)?;
        // Granted, or granted with changes, which may be other than was asked in nothing that is asked here.
        if status.status > 1 {
            return Err(AnswerError::Refused { status: status.status, says: words(&status) });
        }
        let token = token.ok_or(AnswerError::Form)?.to_der().map_err(|_| AnswerError::Form)?;
        let read = Token::parse(&token)?;
        read.check(&self.sealed.imprint())?;
        if !read.answers(self.nonce) {
            return Err(AnswerError::Nonce);
        }
        authorities.trust(&read)?;
        let apart = read.time().0.abs_diff(now.0) / 1000;
        if apart > TOLERANCE.as_secs() {
            return Err(AnswerError::Clock(apart));
        }
        Ok(Timestamp { sealed: self.sealed, token, time: read.time() })
    }
}

/// What the authority says of its refusal, fit for a log.
fn words(status: &StatusInfo<'_>) -> String {
    const MOST: usize = 200;
    let bits = status.failure.iter().flat_map(|bits| bits.bits().enumerate());
    let bits = bits.filter(|(_, set)| *set).map(|(n, _)| format!(", failure {n}"));
    let texts = status.says.iter().flatten().map(|text| format!(", {:?}", text.as_str()));
    bits.chain(texts).collect::<String>().chars().take(MOST).collect()
}
