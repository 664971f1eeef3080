//! Gateway authentication: who is it that connects, by the policy's means (RFC 4252, RFC 4256)?

use keyward_policy::Method as Wanted;
use keyward_session::{Accepted, Ended, KnownKey, Named, Proof};
use keyward_ssh::auth::{self, Method, Offer, Prompt, Request};
use keyward_ssh::{PublicKey, SignatureAlgorithm};
use tokio::time::Instant;

use crate::SshError;
use crate::algorithms::USER_SIGNATURES;
use crate::talk::{Pending, Talk, Tried, Turn};

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The request that it was proven with waits for its answer.
    Proven(Named, Proof),
    Refused(Ended),
}

/// Wrong passwords in one connection.
const MOST_ATTEMPTS: u32 = 6;
/// Unknown public keys in one connection: agents offer all they have.
const MOST_OFFERS: u32 = 20;

/// Takes the client's requests until one proves who it is, or the client has tried enough.
pub(crate) async fn prove(accepted: Accepted, talk: &mut Talk<'_>) -> Result<Outcome, SshError> {
    let (first, user) = first_request(talk).await?;
    let named = match Box::pin(accepted.name(user.as_bytes())).await {
        Ok(named) => named,
        Err(ended) => {
            talk.pending = Pending::Request(tried(&Request::parse(&first)?.method));
            return Ok(Outcome::Refused(ended));
        }
    };
    Proving { named, talk, attempts: 0, offers: 0 }.run(first).await
}

async fn first_request(talk: &mut Talk<'_>) -> Result<(Vec<u8>, String), SshError> {
    match talk.turn().await? {
        Turn::Request(message) => {
            let request = Request::parse(&message)?;
            talk.is_first(&request)?;
            let user = request.user.to_owned();
            Ok((message, user))
        }
        Turn::Answer(_) => Err(SshError::OutOfTurn),
    }
}

struct Proving<'t, 'p> {
    named: Named,
    talk: &'t mut Talk<'p>,
    attempts: u32,
    offers: u32,
}

/// What a request led to.
enum Step {
    /// It was answered; the client may go on.
    Again,
    Proven(Proof),
    Enough(&'static str),
}

impl Proving<'_, '_> {
    async fn run(mut self, first: Vec<u8>) -> Result<Outcome, SshError> {
        let mut turn = Turn::Request(first);
        loop {
            let since = Instant::now();
            let step = match turn {
                Turn::Request(message) => {
                    let request = Request::parse(&message)?;
                    self.talk.is_first(&request)?;
                    self.talk.pending = Pending::Request(tried(&request.method));
                    self.request(request.method, since).await?
                }
                // The one question that is asked here is for the password.
                Turn::Answer(password) => {
                    let proof = Box::pin(self.named.check_password(&password)).await;
                    self.judge(proof, Tried::Interactive, since).await?
                }
            };
            match step {
                Step::Again => {}
                Step::Proven(proof) => return Ok(Outcome::Proven(self.named, proof)),
                Step::Enough(why) => return Ok(Outcome::Refused(self.named.fail(why))),
            }
            turn = self.talk.turn().await?;
        }
    }

    async fn request(&mut self, method: Method<'_>, since: Instant) -> Result<Step, SshError> {
        let tried = tried(&method);
        match method {
            Method::PublicKey(offer) => return self.public_key(&offer, since).await,
            Method::Password(password) if self.takes(Wanted::Password) => {
                let proof = Box::pin(self.named.check_password(&password)).await;
                return self.judge(proof, tried, since).await;
            }
            Method::KeyboardInteractive if self.takes(Wanted::KeyboardInteractive) => {
                self.talk.show("", &[Prompt { text: "Password: ".to_owned(), echo: false }])?;
                return Ok(Step::Again);
            }
            Method::None
            | Method::Password(_)
            | Method::NewPassword
            | Method::KeyboardInteractive
            | Method::Other(_) => {}
        }
        self.go_on(tried, since).await
    }

    async fn public_key(&mut self, offer: &Offer<'_>, since: Instant) -> Result<Step, SshError> {
        let key = usable(offer);
        let known = key.as_ref().and_then(|(key, _)| self.named.check_public_key(&key.to_openssh()));
        let Some(signature) = offer.signature else {
            // Where no proof is asked for, any key will do.
            let is_welcome = known.is_some() || self.named.unauthenticated().is_some();
            return self.offered(offer, is_welcome, since).await;
        };
        let Some((key, algorithm)) = key else { return self.go_on(Tried::PublicKey, since).await };
        let signed = offer.signed_data(self.talk.client.transport.session_id());
        if key.verify(algorithm, signature, &signed).is_err() {
            return self.judge(None, Tried::PublicKey, since).await;
        }
        if self.takes(Wanted::PublicKey) {
            self.judge(known.map(KnownKey::signed), Tried::PublicKey, since).await
        } else {
            self.go_on(Tried::PublicKey, since).await
        }
    }

    /// A key without signature: is it worth signing with?
    async fn offered(
        &mut self,
        offer: &Offer<'_>,
        is_welcome: bool,
        since: Instant,
    ) -> Result<Step, SshError> {
        if is_welcome {
            self.talk.pending = Pending::Nothing;
            self.talk.client.send(&auth::key_is_welcome(offer))?;
            return Ok(Step::Again);
        }
        self.offers += 1;
        if self.offers > MOST_OFFERS {
            return Ok(Step::Enough("too many unknown public keys"));
        }
        // Nothing was tried yet: an agent's keys are offered without delay.
        self.try_again(Tried::None, since).await
    }

    /// Without a proof the client may try again, a few times.
    async fn judge(&mut self, proof: Option<Proof>, tried: Tried, since: Instant) -> Result<Step, SshError> {
        if let Some(proof) = proof {
            return Ok(Step::Proven(proof));
        }
        self.attempts += 1;
        if self.attempts >= MOST_ATTEMPTS {
            return Ok(Step::Enough("too many wrong credentials"));
        }
        self.try_again(tried, since).await
    }

    /// Whatever a request brought: where the policy asks for no proof, it is one.
    async fn go_on(&mut self, tried: Tried, since: Instant) -> Result<Step, SshError> {
        match self.named.unauthenticated() {
            Some(proof) => Ok(Step::Proven(proof)),
            None => self.try_again(tried, since).await,
        }
    }

    async fn try_again(&mut self, tried: Tried, since: Instant) -> Result<Step, SshError> {
        let methods: Vec<&str> = self.named.methods().iter().map(name).collect();
        self.talk.reject(&methods, tried, since).await?;
        Ok(Step::Again)
    }

    fn takes(&self, method: Wanted) -> bool {
        self.named.methods().contains(&method)
    }
}

/// The key and how it signs, where both prove anything today. Certificates prove nothing here: the policy knows
/// keys, not authorities.
fn usable(offer: &Offer<'_>) -> Option<(PublicKey, SignatureAlgorithm)> {
    let algorithm = SignatureAlgorithm::from_name(offer.algorithm)?;
    let key = PublicKey::from_blob(offer.key).ok()?;
    (USER_SIGNATURES.contains(&algorithm) && key.kind() == algorithm.key_kind()).then_some((key, algorithm))
}

fn tried(method: &Method<'_>) -> Tried {
    match method {
        Method::Password(_) | Method::NewPassword => Tried::Password,
        Method::PublicKey(_) => Tried::PublicKey,
        Method::KeyboardInteractive => Tried::Interactive,
        Method::None | Method::Other(_) => Tried::None,
    }
}

fn name(method: &Wanted) -> &'static str {
    match method {
        Wanted::PublicKey => "publickey",
        Wanted::Password => "password",
        Wanted::KeyboardInteractive => "keyboard-interactive",
    }
}
