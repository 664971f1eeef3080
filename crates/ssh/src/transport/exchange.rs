//! Key exchange (RFC 4253 sections 7 and 8, RFC 4419, RFC 5656) as a part of the transport.

#[cfg(test)]
mod tests;

use std::time::Instant;

use aws_lc_rs::constant_time;

use super::{Event, HostKey, Transport};
use crate::Error;
use crate::cipher::{Keys, Opener, Sealer};
use crate::kex::{self, DhGroup, Initiator, SharedSecret, derive};
use crate::key::{PublicKey, SignatureAlgorithm, SigningKey};
use crate::message;
use crate::negotiate::{Agreed, KexInit, Protection, Role, negotiate};
use crate::wire::{Malformed, Reader, Write};

/// An exchange that has begun: our announcement is sent.
#[derive(Debug)]
pub(super) struct Exchange {
    announced: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer's announcement has not come.
    Announced,
    /// A client waits for a group to compute in.
    Grouping(Terms),
    /// A client has sent its public value.
    Initiated { terms: Terms, initiator: Initiator, public: Vec<u8> },
    /// A server waits for the client's public value.
    Serving(Terms),
    /// The host key waits to be judged.
    Judging { key: HostKey, is_shown: bool, outcome: Outcome },
    /// Our new keys are in use, the peer's are ready.
    Switching { opener: Opener, outcome: Outcome },
    /// It broke off. What comes next is refused.
    Broken,
}

/// What both sides said and agreed on.
#[derive(Debug)]
struct Terms {
    agreed: Agreed,
    theirs: Vec<u8>,
    skips_guess: bool,
    takes_ext_info: bool,
    /// Of a group exchange: what goes into the hash between host key and public values.
    group: Vec<u8>,
}

/// What the new keys are made from.
#[derive(Debug)]
struct Outcome {
    agreed: Agreed,
    secret: SharedSecret,
    hash: Vec<u8>,
    takes_ext_info: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    GoingOn,
    /// Both sides use the new keys.
    Done,
}

/// Sizes of a group that is asked for, in bits: least, wanted, most (RFC 4419 section 3).
const GROUP_BITS: [u32; 3] = [2048, 3072, 8192];

impl Exchange {
    /// Whether our messages of the layers above have to wait.
    pub(super) fn holds_messages(&self) -> bool {
        !matches!(self.state, State::Switching { .. })
    }

    /// Whether the peer has announced it and does not use its new keys yet.
    pub(super) fn peer_is_in_it(&self) -> bool {
        !matches!(self.state, State::Announced)
    }

    /// The host key, once.
    pub(super) fn host_key_to_judge(&mut self) -> Option<HostKey> {
        match &mut self.state {
            State::Judging { key, is_shown: is_shown @ false, .. } => {
                *is_shown = true;
                Some(key.clone())
            }
            _ => None,
        }
    }

    pub(super) fn waits_for_judgement(&self) -> bool {
        matches!(self.state, State::Judging { .. })
    }

    /// The host key that was shown to be judged.
    pub(super) fn judged_host_key(&self) -> Option<PublicKey> {
        match &self.state {
            State::Judging { key, is_shown: true, .. } => Some(key.key.clone()),
            _ => None,
        }
    }

    /// Whether the message that came was a wrong guess (RFC 4253 section 7). Asked once for each.
    fn skips_guess(&mut self) -> bool {
        match &mut self.state {
            State::Grouping(terms) | State::Serving(terms) | State::Initiated { terms, .. } => {
                std::mem::take(&mut terms.skips_guess)
            }
            State::Announced | State::Judging { .. } | State::Switching { .. } | State::Broken => false,
        }
    }
}

impl Transport {
    pub(super) fn begin_exchange(&mut self) -> Result<(), Error> {
        self.announce(self.config.preferences.kexinit(self.config.role)?)
    }

    pub(super) fn announce(&mut self, announced: Vec<u8>) -> Result<(), Error> {
        self.seal(&[&announced])?;
        self.exchange = Some(Box::new(Exchange { announced, state: State::Announced }));
        Ok(())
    }

    /// A message of numbers 20 to 49.
    pub(super) fn exchange_message(&mut self, number: u8, payload: &[u8]) -> Result<Progress, Error> {
        if self.exchange.is_none() && number == message::KEXINIT {
            self.begin_exchange()?;
        }
        let Some(exchange) = &mut self.exchange else { return Err(Error::Unexpected { number }) };
        if (30..=49).contains(&number) && exchange.skips_guess() {
            return Ok(Progress::GoingOn);
        }
        match (std::mem::replace(&mut exchange.state, State::Broken), number) {
            (State::Announced, message::KEXINIT) => self.agree(payload)?,
            (State::Serving(terms), message::KEX_INIT) => self.serve(terms, payload)?,
            (State::Grouping(terms), message::KEX_GEX_GROUP) => self.initiate_in_group(terms, payload)?,
            (State::Initiated { terms, initiator, public }, number)
                if number == reply_number(&terms.agreed) =>
            {
                self.conclude(terms, initiator, &public, payload)?;
            }
            (State::Switching { opener, outcome }, message::NEWKEYS) => {
                Reader::new(payload.get(1..).unwrap_or_default()).end()?;
                self.opener = opener;
                if self.strict {
                    self.received = 0;
                }
                self.protection = Some([outcome.agreed.to_server, outcome.agreed.to_client]);
                return Ok(Progress::Done);
            }
            (_, number) => return Err(Error::Unexpected { number }),
        }
        Ok(Progress::GoingOn)
    }

    pub(super) fn finish_exchange(&mut self, now: Instant) -> Option<Event<'static>> {
        self.exchange = None;
        self.moved = 0;
        match self.exchanged_at.replace(now) {
            None => Some(Event::Ready),
            Some(_) => None,
        }
    }

    fn set(&mut self, state: State) {
        if let Some(exchange) = &mut self.exchange {
            exchange.state = state;
        }
    }

    /// The peer's announcement: agrees on the algorithms, and as a client begins.
    fn agree(&mut self, payload: &[u8]) -> Result<(), Error> {
        let theirs = KexInit::parse(payload)?;
        let role = self.config.role;
        let peer = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        if self.exchanged_at.is_none() && theirs.is_strict(peer) {
            // Nothing may have come before it, or a man in the middle could have put it there.
            if self.received != 1 {
                return Err(Error::Unexpected { number: message::KEXINIT });
            }
            self.strict = true;
        }
        let agreed = negotiate(&self.config.preferences, role, &theirs)?;
        let terms = Terms {
            agreed,
            skips_guess: agreed.skip_guess,
            takes_ext_info: theirs.takes_ext_info(),
            theirs: payload.to_vec(),
            group: Vec::new(),
        };
        match role {
            Role::Server => self.set(State::Serving(terms)),
            Role::Client if agreed.kex.is_group_exchange() => {
                let mut request = vec![message::KEX_GEX_REQUEST];
                GROUP_BITS.into_iter().for_each(|bits| request.put_number(bits));
                self.seal(&[&request])?;
                self.set(State::Grouping(terms));
            }
            Role::Client => {
                let (initiator, public) = Initiator::start(agreed.kex)?;
                self.initiate(terms, message::KEX_INIT, initiator, public)?;
            }
        }
        Ok(())
    }

    fn initiate_in_group(&mut self, mut terms: Terms, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let (p, g) = (reader.string()?, reader.string()?);
        reader.end()?;
        let group = DhGroup::new(p, g)?;
        GROUP_BITS.into_iter().for_each(|bits| terms.group.put_number(bits));
        terms.group.put_string(p);
        terms.group.put_string(g);
        let (initiator, public) = Initiator::start_in_group(group)?;
        self.initiate(terms, message::KEX_GEX_INIT, initiator, public)
    }

    fn initiate(
        &mut self,
        terms: Terms,
        number: u8,
        initiator: Initiator,
        public: Vec<u8>,
    ) -> Result<(), Error> {
        let mut init = vec![number];
        init.put_string(&public);
        self.seal(&[&init])?;
        self.set(State::Initiated { terms, initiator, public });
        Ok(())
    }

    /// The server's answer: its signature is checked here, whose key it is by whoever is asked next.
    fn conclude(
        &mut self,
        terms: Terms,
        initiator: Initiator,
        public: &[u8],
        payload: &[u8],
    ) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let (blob, reply, signature) = (reader.string()?, reader.string()?, reader.string()?);
        reader.end()?;
        let key = HostKey::from_blob(blob, terms.agreed.host_key).map_err(Error::HostKeySignature)?;
        let secret = initiator.finish(reply)?;
        let hash = self.exchange_hash(&terms, blob, public, reply, &secret)?;
        let algorithm = terms.agreed.host_key.signature();
        key.key.verify(algorithm, signature, &hash).map_err(Error::HostKeySignature)?;
        self.session_id.get_or_insert_with(|| hash.clone().into_boxed_slice());
        let outcome = Outcome { agreed: terms.agreed, secret, hash, takes_ext_info: terms.takes_ext_info };
        match &self.host_key {
            None => {
                self.set(State::Judging { key, is_shown: false, outcome });
                Ok(())
            }
            // Of a certificate too it is the key that has to stay.
            Some(known) if constant_time::verify_slices_are_equal(known.blob(), key.key.blob()).is_ok() => {
                self.switch(outcome)
            }
            Some(_) => Err(Error::HostKeyChanged),
        }
    }

    fn serve(&mut self, terms: Terms, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let init = reader.string()?;
        reader.end()?;
        let (public, secret) = kex::respond(terms.agreed.kex, init)?;
        let algorithm = terms.agreed.host_key.signature();
        let key = self.signing_key(algorithm)?.clone();
        let hash = self.exchange_hash(&terms, key.public().blob(), init, &public, &secret)?;
        self.session_id.get_or_insert_with(|| hash.clone().into_boxed_slice());
        let signature = key.sign(algorithm, &hash).map_err(Error::Sign)?;
        let mut reply = vec![message::KEX_REPLY];
        reply.put_string(key.public().blob());
        reply.put_string(&public);
        reply.put_string(&signature);
        self.seal(&[&reply])?;
        self.switch(Outcome { agreed: terms.agreed, secret, hash, takes_ext_info: terms.takes_ext_info })
    }

    fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<&SigningKey, Error> {
        let signs = |key: &&SigningKey| key.algorithms().contains(&algorithm);
        self.config
            .host_keys
            .iter()
            .find(signs)
            .ok_or(Error::NothingInCommon { what: "host key", theirs: algorithm.name().to_owned() })
    }

    /// The host key was judged well.
    pub(super) fn send_new_keys(&mut self) -> Result<(), Error> {
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        match std::mem::replace(&mut exchange.state, State::Broken) {
            State::Judging { outcome, .. } => self.switch(outcome),
            other => {
                exchange.state = other;
                Ok(())
            }
        }
    }

    /// Sends our `SSH_MSG_NEWKEYS` and uses ours from then on; the peer's wait for its own.
    fn switch(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.seal(&[&[message::NEWKEYS]])?;
        let (out, back) = match self.config.role {
            Role::Client => ((outcome.agreed.to_server, *b"ACE"), (outcome.agreed.to_client, *b"BDF")),
            Role::Server => ((outcome.agreed.to_client, *b"BDF"), (outcome.agreed.to_server, *b"ACE")),
        };
        self.sealer = self.with_keys(&outcome, out, |protection, keys| {
            Ok(Sealer::new(protection.cipher, protection.mac, keys)?)
        })?;
        let opener = self.with_keys(&outcome, back, |protection, keys| {
            Ok(Opener::new(protection.cipher, protection.mac, keys)?)
        })?;
        if self.strict {
            self.sent = 0;
        }
        let says_extensions =
            self.config.role == Role::Server && self.exchanged_at.is_none() && outcome.takes_ext_info;
        self.set(State::Switching { opener, outcome });
        if says_extensions {
            self.say_extensions()?;
        }
        self.release_held()
    }

    fn with_keys<T>(
        &self,
        outcome: &Outcome,
        (protection, letters): (Protection, [u8; 3]),
        make: impl FnOnce(Protection, &Keys<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let hash = outcome.agreed.kex.hash();
        let key =
            |letter, length| derive(hash, &outcome.secret, &outcome.hash, letter, self.session_id(), length);
        let [iv, cipher, mac] = letters;
        let iv = key(iv, protection.cipher.iv_len());
        let cipher = key(cipher, protection.cipher.key_len());
        let mac = key(mac, protection.mac.map_or(0, |mac| mac.key_len()));
        make(protection, &Keys { iv: &iv, key: &cipher, mac: &mac })
    }

    /// `SSH_MSG_EXT_INFO` of a server (RFC 8308 section 2.3).
    fn say_extensions(&mut self) -> Result<(), Error> {
        let mut extensions = vec![message::EXT_INFO];
        extensions.put_number(2);
        extensions.put_string(b"server-sig-algs");
        extensions.put_names(self.config.user_signatures.iter().map(|algorithm| algorithm.name()));
        // OpenSSH hides the rhythm of typing behind such pings.
        extensions.put_string(b"ping@openssh.com");
        extensions.put_string(b"0");
        self.seal(&[&extensions])
    }

    fn exchange_hash(
        &self,
        terms: &Terms,
        host_key: &[u8],
        init: &[u8],
        reply: &[u8],
        secret: &SharedSecret,
    ) -> Result<Vec<u8>, Error> {
        let ours = self.config.identification.as_bytes();
        let theirs = self.peer_identification();
        let announced = self.exchange.as_ref().map(|exchange| exchange.announced.as_slice());
        let announced = announced.ok_or(Error::Malformed(Malformed::Truncated))?;
        let of_client_then_server = match self.config.role {
            Role::Client => [ours, theirs, announced, &terms.theirs],
            Role::Server => [theirs, ours, &terms.theirs, announced],
        };
        let mut hashed = Vec::new();
        of_client_then_server.into_iter().for_each(|part| hashed.put_string(part));
        hashed.put_string(host_key);
        hashed.put_bytes(&terms.group);
        hashed.put_string(init);
        hashed.put_string(reply);
        Ok(terms.agreed.kex.hash().digest(&[&hashed, secret.encoded()]))
    }
}

/// The number of the server's answer; group exchange uses that of others for its group.
fn reply_number(agreed: &Agreed) -> u8 {
    if agreed.kex.is_group_exchange() { message::KEX_GEX_REPLY } else { message::KEX_REPLY }
}
