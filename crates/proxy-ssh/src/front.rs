//! What the SSH library calls for each thing that a client does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keyward_model::Secret;
use russh::keys::Certificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};

use crate::SshError;
use crate::auth::Authentication;
use crate::backlog::Backlog;
use crate::gate::{Answers, Gate, Turn};
use crate::relay::{Lane, carry};
use crate::server::WINDOW;

/// One client.
#[derive(Debug)]
pub(crate) struct Front {
    auth: Authentication,
    gate: Arc<Gate>,
    desks: HashMap<ChannelId, Desk>,
    /// What was refused and noted already: one note for each kind is enough.
    noted: HashSet<&'static str>,
    channels: u32,
}

/// What the handler shares with the relay of a channel.
#[derive(Debug)]
struct Desk {
    turn: Arc<Turn>,
    backlog: Arc<Backlog>,
}

/// The smallest window that the library can be told to keep. A client that has used up its window gets this
/// much at a time while there is a backlog, and so comes back to be told of a wider one.
const TRICKLE: u32 = 2;

/// Channels in the life of one connection: the library keeps a little of each closed one.
const MOST_CHANNELS_EVER: u32 = 10_000;

impl Front {
    pub(crate) fn new(auth: Authentication, gate: Arc<Gate>) -> Self {
        Self { auth, gate, desks: HashMap::new(), noted: HashSet::new(), channels: 0 }
    }

    /// The next packet waits until the channel's relay has answered this request.
    fn hold(&self, channel: ChannelId) {
        if let Some(desk) = self.desks.get(&channel) {
            self.gate.hold(&desk.turn);
        }
    }

    async fn refuse(&mut self, what: &'static str) {
        if let Some(opened) = self.auth.opened()
            && self.noted.insert(what)
        {
            Box::pin(opened.channels.refuse(what)).await;
        }
    }

    /// Starts the relay of a session channel on a task of its own, which confirms the channel when the
    /// target's is open.
    async fn open(&mut self, channel: Channel<Msg>, reply: ChannelOpenHandle, front: russh::server::Handle) {
        self.desks.retain(|_, desk| !desk.turn.is_over());
        self.channels += 1;
        let opened = self.auth.opened().map(Arc::clone);
        let Some((opened, place)) = opened.and_then(|opened| {
            let place = Arc::clone(&opened.places).try_acquire_owned().ok()?;
            (self.channels <= MOST_CHANNELS_EVER).then_some((opened, place))
        }) else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        let (answers, turn) = Answers::new(&self.gate);
        let backlog = Arc::new(Backlog::default());
        self.desks.insert(channel.id(), Desk { turn, backlog: Arc::clone(&backlog) });
        let lane = Lane { id: channel.id(), front, opened: Arc::clone(&opened), answers, backlog };
        opened.relays.spawn(async move {
            let cut = lane.opened.cut.clone();
            // Boxed: what waits for the token keeps three copies of its future's room.
            cut.run_until_cancelled_owned(Box::pin(carry(lane, channel, reply))).await;
            drop(place);
        });
    }
}

const NO_FORWARDS: ChannelOpenFailure = ChannelOpenFailure::AdministrativelyProhibited;

impl Handler for Front {
    type Error = SshError;

    async fn authentication_banner(&mut self) -> Result<Option<String>, SshError> {
        Ok(self.auth.banner())
    }

    async fn auth_none(&mut self, user: &str) -> Result<Auth, SshError> {
        self.auth.none(user).await
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, SshError> {
        self.auth.password(user, Secret::new(password.to_owned())).await
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, SshError> {
        self.auth.key_offered(user, offer.public_key, offer.algorithm).await
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, SshError> {
        self.auth.key_verified(user, key.public_key, key.algorithm).await
    }

    /// Certificates prove nothing here: the policy knows keys, not authorities.
    async fn auth_openssh_certificate(&mut self, user: &str, _: &Certificate) -> Result<Auth, SshError> {
        self.auth.none(user).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, SshError> {
        let answers = response.map(|answers| answers.take(1).collect());
        self.auth.interactive(user, answers).await
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), SshError> {
        let front = session.handle();
        self.open(channel, reply, front).await;
        Ok(())
    }

    /// Called when a window has been widened: how wide are windows to be from now on? The library has one width
    /// for all channels, so one backlog holds up the uploads of all.
    fn adjust_window(&mut self, _channel: ChannelId, _current: u32) -> u32 {
        let is_full = |desk: &Desk| !desk.turn.is_over() && desk.backlog.is_full();
        if self.desks.values().any(is_full) { TRICKLE } else { WINDOW }
    }

    /// The relay has the data already. A client in a trickle is slowed down, lest it spins.
    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), SshError> {
        if data.len() <= TRICKLE as usize
            && let Some(desk) = self.desks.get(&channel)
        {
            desk.backlog.wait_a_little().await;
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        _session: &mut Session,
    ) -> Result<(), SshError> {
        self.hold(channel);
        Ok(())
    }

    /// Answered at once: servers accept a few names only, clients do not care, and a round trip for each
    /// variable would make every session slower.
    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(session.channel_success(channel)?)
    }

    async fn shell_request(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), SshError> {
        self.hold(channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        _session: &mut Session,
    ) -> Result<(), SshError> {
        self.hold(channel);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        self.hold(channel);
        Ok(())
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), SshError> {
        self.refuse("x11 forwarding").await;
        Ok(session.channel_failure(channel)?)
    }

    async fn agent_request(&mut self, _channel: ChannelId, _session: &mut Session) -> Result<bool, SshError> {
        self.refuse("agent forwarding").await;
        Ok(false)
    }

    async fn channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        reply.reject(NO_FORWARDS).await;
        self.refuse("x11 channel").await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        reply.reject(NO_FORWARDS).await;
        self.refuse("forwarding to a port").await;
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        reply.reject(NO_FORWARDS).await;
        self.refuse("forwarded port channel").await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        reply.reject(NO_FORWARDS).await;
        self.refuse("forwarding to a socket").await;
        Ok(())
    }

    async fn tcpip_forward(&mut self, _: &str, _: &mut u32, _: &mut Session) -> Result<bool, SshError> {
        self.refuse("forwarding from a port").await;
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, _: &str, _: &mut Session) -> Result<bool, SshError> {
        self.refuse("forwarding from a socket").await;
        Ok(false)
    }
}
