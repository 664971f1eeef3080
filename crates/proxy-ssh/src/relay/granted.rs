//! What the target may open, because the client asked for it and the policy allowed it.

use crate::SshError;

/// Where the target listens for the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// As the client wrote it; port 0 is the target's choice.
    Port {
        host: String,
        port: u16,
    },
    Socket(String),
}

#[derive(Debug, Default)]
pub(super) struct Granted {
    listening: Vec<Listening>,
    asked: u64,
    pub(super) x11: bool,
    pub(super) agent: bool,
}

#[derive(Debug)]
struct Listening {
    number: u64,
    place: Place,
    /// The port that the target chose.
    chosen: Option<u16>,
    /// Whether the target has said that it listens.
    is_up: bool,
}

/// Places where the target listens for one client.
const MOST_LISTENING: usize = 256;

impl Granted {
    /// The target is asked to listen. Whether it does is told by [`is_up`](Self::is_up).
    pub(super) fn ask(&mut self, place: Place) -> Result<u64, SshError> {
        if self.listening.len() >= MOST_LISTENING {
            return Err(SshError::TooManyRequests);
        }
        self.asked += 1;
        self.listening.push(Listening { number: self.asked, place, chosen: None, is_up: false });
        Ok(self.asked)
    }

    /// The target listens; where the port was its choice, on this one.
    pub(super) fn is_up(&mut self, number: u64, chosen: Option<u16>) {
        if let Some(listening) = self.listening.iter_mut().find(|listening| listening.number == number) {
            (listening.is_up, listening.chosen) = (true, chosen);
        }
    }

    /// The target does not listen.
    pub(super) fn is_refused(&mut self, number: u64) {
        self.listening.retain(|listening| listening.number != number);
    }

    /// The client wants no more of it. Whether there was any.
    pub(super) fn cancel(&mut self, place: &Place) -> bool {
        let found = self.listening.iter().position(|listening| listening.is(place));
        found.map(|at| self.listening.remove(at)).is_some()
    }

    /// What the client asked for, where the target opens a channel for something that arrived at `place`. Servers write
    /// the host in their own way, so the port alone counts.
    pub(super) fn behind(&self, place: &Place) -> Option<&Place> {
        let is_it = |listening: &&Listening| match (place, &listening.place) {
            (Place::Port { port, .. }, Place::Port { .. }) => listening.port() == Some(*port),
            (Place::Socket(path), Place::Socket(asked)) => path == asked,
            (Place::Port { .. }, Place::Socket(_)) | (Place::Socket(_), Place::Port { .. }) => false,
        };
        self.listening
            .iter()
            .filter(|listening| listening.is_up)
            .find(is_it)
            .map(|listening| &listening.place)
    }
}

impl Listening {
    fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Port { port: 0, .. } => self.chosen,
            Place::Port { port, .. } => Some(*port),
            Place::Socket(_) => None,
        }
    }

    /// A client cancels a chosen port by its number.
    fn is(&self, place: &Place) -> bool {
        match (place, &self.place) {
            (Place::Port { host, port }, Place::Port { host: asked, .. }) => {
                host == asked && self.port() == Some(*port)
            }
            (place, own) => place == own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host: &str, port: u16) -> Place {
        Place::Port { host: host.to_owned(), port }
    }

    #[test]
    fn the_target_opens_only_what_was_asked_for_and_is_up() {
        let mut granted = Granted::default();
        let number = granted.ask(port("localhost", 80)).unwrap();
        assert_eq!(granted.behind(&port("127.0.0.1", 80)), None);
        granted.is_up(number, None);
        assert_eq!(granted.behind(&port("127.0.0.1", 80)), Some(&port("localhost", 80)));
        assert_eq!(granted.behind(&port("127.0.0.1", 81)), None);
        assert_eq!(granted.behind(&Place::Socket("80".into())), None);
        assert!(granted.cancel(&port("localhost", 80)) && !granted.cancel(&port("localhost", 80)));
        assert_eq!(granted.behind(&port("127.0.0.1", 80)), None);
    }

    #[test]
    fn a_port_of_the_targets_choice_is_known_by_its_number() {
        let mut granted = Granted::default();
        let number = granted.ask(port("", 0)).unwrap();
        granted.is_up(number, Some(4711));
        assert_eq!(granted.behind(&port("", 4711)), Some(&port("", 0)));
        assert_eq!(granted.behind(&port("", 0)), None);
        assert!(granted.cancel(&port("", 4711)));
    }

    #[test]
    fn what_the_target_refuses_is_not_granted() {
        let mut granted = Granted::default();
        let number = granted.ask(Place::Socket("/run/x".into())).unwrap();
        granted.is_refused(number);
        granted.is_up(number, None);
        assert_eq!(granted.behind(&Place::Socket("/run/x".into())), None);
    }

    #[test]
    fn places_are_bounded() {
        let mut granted = Granted::default();
        for n in 0..MOST_LISTENING {
            granted.ask(Place::Socket(n.to_string())).unwrap();
        }
        assert!(granted.ask(Place::Socket("one more".into())).is_err());
    }
}
