//! Gateway authentication: who is it that connects, by the policy's means (RFC 4252, RFC 4256)?

use keyward_model::Secret;
use keyward_policy::Method as Wanted;
use keyward_session::{Accepted, Ended, Factor, Named, Proof, Standing, Unjudged};
use keyward_ssh::Presence;
use keyward_ssh::auth::{self, Method, Offer, Prompt, Request};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::SshError;
use crate::shown_key::{ShownKey, Welcome};
use crate::talk::{Pending, Talk, Tried, Turn};

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The request that it was proven with waits for its answer.
    Proven(Box<(Named, Proof)>),
    Refused(Ended),
}

/// Wrong passwords in one connection.
const MOST_ATTEMPTS: u32 = 6;
/// Public keys that are offered in one connection: agents offer all they have.
const MOST_OFFERS: u32 = 20;

/// Takes the client's requests until it has proven who it is, or has tried enough.
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

async fn first_request(talk: &mut Talk<'_>) -> Result<(Zeroizing<Vec<u8>>, String), SshError> {
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
    Unjudged(Unjudged),
}

impl Proving<'_, '_> {
    async fn run(mut self, first: Zeroizing<Vec<u8>>) -> Result<Outcome, SshError> {
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
                    self.password(Wanted::KeyboardInteractive, &password, since).await?
                }
            };
            match step {
                Step::Again => {}
                Step::Proven(proof) => return Ok(Outcome::Proven(Box::new((self.named, proof)))),
                Step::Enough(why) => return Ok(Outcome::Refused(self.named.fail(why))),
                Step::Unjudged(unjudged) => return Ok(Outcome::Refused(self.named.unjudged(unjudged))),
            }
            turn = self.talk.turn().await?;
        }
    }

    async fn request(&mut self, method: Method<'_>, since: Instant) -> Result<Step, SshError> {
        let tried = tried(&method);
        match method {
            Method::PublicKey(offer) => return self.public_key(&offer, since).await,
            Method::Password(password) if self.takes(Wanted::Password) => {
                return self.password(Wanted::Password, &password, since).await;
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

    async fn password(
        &mut self,
        method: Wanted,
        password: &Secret,
        since: Instant,
    ) -> Result<Step, SshError> {
        match Box::pin(self.named.check_password(method, password)).await {
            Ok(Some(factor)) => self.credit(factor, "").await,
            Ok(None) => self.wrong(tried_by(method), since).await,
            Err(unjudged) => Ok(Step::Unjudged(unjudged)),
        }
    }

    async fn public_key(&mut self, offer: &Offer<'_>, since: Instant) -> Result<Step, SshError> {
        let shown = ShownKey::read(offer, self.talk.client.transport.user_signatures());
        let welcome = match &shown {
            Some(shown) => match Box::pin(shown.welcome(&mut self.named)).await {
                Ok(welcome) => welcome,
                Err(unjudged) => return Ok(Step::Unjudged(unjudged)),
            },
            None => None,
        };
        let Some(signature) = offer.signature else {
            // Where no proof is asked for, any key will do.
            let is_welcome = welcome.is_some() || self.named.unauthenticated().is_some();
            return self.offered(offer, is_welcome, since).await;
        };
        let Some(shown) = shown else { return self.go_on(Tried::PublicKey, since).await };
        let presence = welcome.as_ref().map_or(Presence::Touched, |welcome| welcome.presence);
        let signed = offer.signed_data(self.talk.client.transport.session_id());
        if !shown.has_signed(signature, &signed, presence) {
            return self.wrong(Tried::PublicKey, since).await;
        }
        match welcome {
            Some(Welcome { key, how, .. }) => self.credit(key.signed(), &how).await,
            None if self.takes(Wanted::PublicKey) => self.wrong(Tried::PublicKey, since).await,
            None => self.go_on(Tried::PublicKey, since).await,
        }
    }

    /// A key without signature: is it worth signing with?
    async fn offered(
        &mut self,
        offer: &Offer<'_>,
        is_welcome: bool,
        since: Instant,
    ) -> Result<Step, SshError> {
        // Of welcome keys as well: looking at a certificate costs a signature's check.
        self.offers += 1;
        if self.offers > MOST_OFFERS {
            return Ok(Step::Enough("too many public keys"));
        }
        if is_welcome {
            self.talk.pending = Pending::Nothing;
            self.talk.client.send(&auth::key_is_welcome(offer))?;
            return Ok(Step::Again);
        }
        // Nothing was tried yet: an agent's keys are offered without delay.
        self.try_again(Tried::None, since).await
    }

    /// A method has succeeded: that may be enough, or the next one is asked for (RFC 4252 section 5.1).
    async fn credit(&mut self, factor: Factor, how: &str) -> Result<Step, SshError> {
        match Box::pin(self.named.credit(factor, how)).await {
            Ok(Standing::Proven(proof)) => Ok(Step::Proven(proof)),
            Ok(Standing::More) => {
                let methods = self.methods();
                self.talk.ask_for_more(&methods)?;
                Ok(Step::Again)
            }
            Err(unjudged) => Ok(Step::Unjudged(unjudged)),
        }
    }

    /// After a wrong proof the client may try again, a few times.
    async fn wrong(&mut self, tried: Tried, since: Instant) -> Result<Step, SshError> {
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
        let methods = self.methods();
        self.talk.reject(&methods, tried, since).await?;
        Ok(Step::Again)
    }

    fn methods(&self) -> Vec<&'static str> {
        self.named.methods().iter().map(name).collect()
    }

    fn takes(&self, method: Wanted) -> bool {
        self.named.methods().contains(&method)
    }
}

fn tried(method: &Method<'_>) -> Tried {
    match method {
        Method::Password(_) | Method::NewPassword => Tried::Password,
        Method::PublicKey(_) => Tried::PublicKey,
        Method::KeyboardInteractive => Tried::Interactive,
        Method::None | Method::Other(_) => Tried::None,
    }
}

fn tried_by(method: Wanted) -> Tried {
    match method {
        Wanted::PublicKey => Tried::PublicKey,
        Wanted::Password => Tried::Password,
        Wanted::KeyboardInteractive => Tried::Interactive,
    }
}

fn name(method: &Wanted) -> &'static str {
    match method {
        Wanted::PublicKey => "publickey",
        Wanted::Password => "password",
        Wanted::KeyboardInteractive => "keyboard-interactive",
    }
}
