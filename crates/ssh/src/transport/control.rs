//! Messages of the transport layer itself (RFC 4253 section 11, RFC 8308, OpenSSH's PROTOCOL section 1.8).

use std::time::Instant;

use super::exchange::Progress;
use super::{Event, Farewell, Transport};
use crate::message;
use crate::negotiate::Role;
use crate::wire::{Reader, Write};
use crate::{Error, SignatureAlgorithm};

/// With so many bytes unread by the peer, we do not answer its pings. Those who relay stop reading before that.
const MOST_UNREAD: usize = 8 << 20;

/// After so many packets, only those of the exchange itself come before the first keys.
const EARLY_PACKETS: u32 = 100;

impl Transport {
    /// Nothing of the layers above comes before the first keys, or between a peer's announcement of an exchange and
    /// its new keys (RFC 4253 section 7.1).
    pub(super) fn allows_message(&self, number: u8) -> Result<(), Error> {
        let is_too_early = self.session_id.is_none() || self.peer_is_in_exchange();
        if is_too_early { Err(Error::Unexpected { number }) } else { Ok(()) }
    }

    fn peer_is_in_exchange(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.peer_is_in_it())
    }

    pub(super) fn control(
        &mut self,
        number: u8,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<'static>>, Error> {
        let is_first = self.exchanged_at.is_none();
        let is_of_exchange = (20..=49).contains(&number);
        match number {
            message::DISCONNECT => return self.farewell(payload).map(Some),
            // Strict key exchange: in the first one nothing but the exchange itself (OpenSSH's PROTOCOL section 1.9).
            _ if is_first && self.strict && !is_of_exchange => return Err(Error::Unexpected { number }),
            // Without keys nobody has anything to hide behind so many of them.
            _ if is_first && !is_of_exchange && self.received > EARLY_PACKETS => {
                return Err(Error::Unexpected { number });
            }
            // RFC 4253 section 7.1.
            0 | 192.. if is_first || self.peer_is_in_exchange() => return Err(Error::Unexpected { number }),
            message::IGNORE | message::DEBUG | message::UNIMPLEMENTED | message::PONG => {}
            message::EXT_INFO if !is_first => self.extensions(payload)?,
            message::PING => self.pong(payload)?,
            20..=49 => {
                if number == message::KEXINIT && !self.peer_is_in_exchange() {
                    self.allowance.spend(now, self.moved)?;
                }
                if self.exchange_message(number, payload)? == Progress::Done {
                    return Ok(self.finish_exchange(now));
                }
            }
            _ => self.unimplemented()?,
        }
        Ok(None)
    }

    fn farewell(&mut self, payload: &[u8]) -> Result<Event<'static>, Error> {
        const LONGEST: usize = 300;
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let reason = reader.u32()?;
        let text = String::from_utf8_lossy(reader.string()?);
        let description = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        self.close();
        Ok(Event::Disconnected(Farewell { reason, description }))
    }

    /// `SSH_MSG_EXT_INFO` (RFC 8308 section 2.3).
    fn extensions(&mut self, payload: &[u8]) -> Result<(), Error> {
        const MOST: u32 = 64;
        let mut reader = Reader::new(payload);
        reader.u8()?;
        for _ in 0..reader.u32()?.min(MOST) {
            let (name, value) = (reader.string()?, reader.string()?);
            if name == b"server-sig-algs" && self.config.role == Role::Client {
                let names = String::from_utf8_lossy(value);
                let known = names.split(',').filter_map(SignatureAlgorithm::from_name);
                self.peer_signatures = Some(known.collect());
            }
        }
        Ok(())
    }

    /// Answers a ping, after the exchange if we have begun one.
    fn pong(&mut self, ping: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(ping);
        reader.u8()?;
        let mut pong = vec![message::PONG];
        pong.put_string(reader.string()?);
        self.bound_answers()?;
        self.send(&pong)
    }

    /// RFC 4253 section 11.4. An exchange does not keep it back.
    fn unimplemented(&mut self) -> Result<(), Error> {
        let mut answer = vec![message::UNIMPLEMENTED];
        answer.put_number(self.received.wrapping_sub(1));
        self.bound_answers()?;
        self.seal(&[&answer])
    }

    /// A peer that asks, and does not read the answers, could fill our memory with them.
    fn bound_answers(&self) -> Result<(), Error> {
        if self.backlog() > MOST_UNREAD { Err(Error::AnswerFlood) } else { Ok(()) }
    }
}
