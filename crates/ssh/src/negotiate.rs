//! Which algorithms two sides agree on (RFC 4253 section 7.1).

use std::fmt;

use aws_lc_rs::rand;

use crate::Error;
use crate::cipher::{Cipher, Mac};
use crate::kex::Method;
use crate::key::SignatureAlgorithm;
use crate::message::KEXINIT;
use crate::wire::{Malformed, Reader, Write};

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Client,
    Server,
}

/// What one side is ready to speak, best first.
#[derive(Clone, Debug)]
pub struct Preferences {
    pub kex: Vec<Method>,
    /// Before all plain keys: certificates of host keys that sign so. A server has none.
    pub host_certificates: Vec<SignatureAlgorithm>,
    pub host_keys: Vec<SignatureAlgorithm>,
    pub ciphers: Vec<Cipher>,
    pub macs: Vec<Mac>,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) kex: Method,
    pub(crate) host_key: HostKeyAlgorithm,
    pub(crate) to_server: Protection,
    pub(crate) to_client: Protection,
    /// The peer has guessed wrong, and its next message is for nothing.
    pub(crate) skip_guess: bool,
}

/// How a server proves who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HostKeyAlgorithm {
    /// By a key that its client knows.
    Key(SignatureAlgorithm),
    /// By a key that an authority has certified (PROTOCOL.certkeys).
    Certificate(SignatureAlgorithm),
}

impl HostKeyAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Key(signature) => signature.name(),
            Self::Certificate(signature) => signature.certificate_name(),
        }
    }

    /// What the key signs the exchange with.
    pub(crate) fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::Key(signature) | Self::Certificate(signature) => signature,
        }
    }
}

/// How the packets of one direction are protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protection {
    pub cipher: Cipher,
    /// None where the cipher authenticates by itself.
    pub mac: Option<Mac>,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mac {
            None => f.write_str(self.cipher.name()),
            Some(mac) => write!(f, "{} with {}", self.cipher.name(), mac.name()),
        }
    }
}

/// Names in the list of key exchange methods that are none: RFC 8308 section 2.1, OpenSSH's PROTOCOL section 1.9.
const EXT_INFO_CLIENT: &str = "ext-info-c";
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";

impl Preferences {
    fn host_key_algorithms(&self) -> Vec<HostKeyAlgorithm> {
        let certificates = self.host_certificates.iter().copied().map(HostKeyAlgorithm::Certificate);
        certificates.chain(self.host_keys.iter().copied().map(HostKeyAlgorithm::Key)).collect()
    }

    /// `SSH_MSG_KEXINIT`. The markers count in the first exchange only, and are sent in each, as OpenSSH does.
    pub(crate) fn kexinit(&self, role: Role) -> Result<Vec<u8>, Error> {
        let mut cookie = [0; 16];
        rand::fill(&mut cookie).map_err(|_| Error::Random)?;
        let markers: &[&str] = match role {
            Role::Client => &[EXT_INFO_CLIENT, STRICT_CLIENT],
            Role::Server => &[STRICT_SERVER],
        };
        let ciphers = || self.ciphers.iter().map(|cipher| cipher.name());
        let macs = || self.macs.iter().map(|mac| mac.name());
        let mut message = vec![KEXINIT];
        message.put_bytes(&cookie);
        message.put_names(self.kex.iter().map(|kex| kex.name()).chain(markers.iter().copied()));
        message.put_names(self.host_key_algorithms().into_iter().map(HostKeyAlgorithm::name));
        message.put_names(ciphers());
        message.put_names(ciphers());
        message.put_names(macs());
        message.put_names(macs());
        // Compressing before encryption leaks what is sent, and a bomb needs a decompressor.
        message.put_names(["none"]);
        message.put_names(["none"]);
        message.put_names([]);
        message.put_names([]);
        message.put_bool(false);
        message.put_number(0);
        Ok(message)
    }
}

/// `SSH_MSG_KEXINIT` of the peer.
#[derive(Debug)]
pub(crate) struct KexInit<'a> {
    kex: Vec<&'a str>,
    host_keys: Vec<&'a str>,
    ciphers: [Vec<&'a str>; 2],
    macs: [Vec<&'a str>; 2],
    compressions: [Vec<&'a str>; 2],
    guesses: bool,
}

impl<'a> KexInit<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(message);
        // Its number and the cookie.
        reader.take(17)?;
        let (kex, host_keys) = (reader.names()?, reader.names()?);
        let ciphers = [reader.names()?, reader.names()?];
        let macs = [reader.names()?, reader.names()?];
        let compressions = [reader.names()?, reader.names()?];
        // Languages: nobody uses them.
        reader.string()?;
        reader.string()?;
        let guesses = reader.bool()?;
        // Reserved; some implementations leave it out.
        if !reader.rest().is_empty() {
            reader.u32()?;
        }
        reader.end()?;
        Ok(Self { kex, host_keys, ciphers, macs, compressions, guesses })
    }

    /// Whether the peer, in this role, wants sequence numbers to begin anew with each set of keys.
    pub(crate) fn is_strict(&self, role: Role) -> bool {
        let marker = match role {
            Role::Client => STRICT_CLIENT,
            Role::Server => STRICT_SERVER,
        };
        self.kex.contains(&marker)
    }

    pub(crate) fn takes_ext_info(&self) -> bool {
        self.kex.contains(&EXT_INFO_CLIENT)
    }
}

/// The first of the client's names that the server has too, in each list. `ours` plays `role`.
pub(crate) fn negotiate(ours: &Preferences, role: Role, theirs: &KexInit<'_>) -> Result<Agreed, Error> {
    let kex = choose("key exchange", role, &ours.kex, |kex| kex.name(), &theirs.kex)?;
    let host_keys = ours.host_key_algorithms();
    let host_key = choose("host key", role, &host_keys, |key| key.name(), &theirs.host_keys)?;
    let direction = |index: usize| -> Result<Protection, Error> {
        let (Some(ciphers), Some(macs), Some(compressions)) =
            (theirs.ciphers.get(index), theirs.macs.get(index), theirs.compressions.get(index))
        else {
            return Err(Error::Malformed(Malformed::Truncated));
        };
        let cipher = choose("cipher", role, &ours.ciphers, |cipher| cipher.name(), ciphers)?;
        let mac = if cipher.is_aead() {
            None
        } else {
            Some(choose("MAC", role, &ours.macs, |mac| mac.name(), macs)?)
        };
        choose("compression", role, &["none"], |name| *name, compressions)?;
        Ok(Protection { cipher, mac })
    };
    let (to_server, to_client) = (direction(0)?, direction(1)?);
    let first_of_both = |ours: Option<&str>, theirs: Option<&&str>| ours == theirs.copied();
    let guessed_right = first_of_both(ours.kex.first().map(|kex| kex.name()), theirs.kex.first())
        && first_of_both(host_keys.first().map(|key| key.name()), theirs.host_keys.first());
    let skip_guess = theirs.guesses && !guessed_right;
    Ok(Agreed { kex, host_key, to_server, to_client, skip_guess })
}

fn choose<T: Copy>(
    what: &'static str,
    role: Role,
    ours: &[T],
    name: impl Fn(&T) -> &str,
    theirs: &[&str],
) -> Result<T, Error> {
    let find_ours = |wanted: &str| ours.iter().find(|candidate| name(candidate) == wanted);
    let chosen = match role {
        Role::Client => ours.iter().find(|candidate| theirs.contains(&name(candidate))),
        Role::Server => theirs.iter().find_map(|wanted| find_ours(wanted)),
    };
    chosen.copied().ok_or_else(|| Error::NothingInCommon { what, theirs: shown(theirs) })
}

/// A peer's list for a log: it may be long, and say anything.
fn shown(names: &[&str]) -> String {
    const LONGEST: usize = 300;
    let mut list = names.join(",");
    if list.len() > LONGEST {
        // Names are ASCII, so every byte is a character.
        list.truncate(LONGEST);
        list.push_str("...");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferences(kex: &[Method], ciphers: &[Cipher]) -> Preferences {
        Preferences {
            kex: kex.to_vec(),
            host_certificates: Vec::new(),
            host_keys: vec![SignatureAlgorithm::Ed25519],
            ciphers: ciphers.to_vec(),
            macs: vec![Mac::HmacSha256Etm],
        }
    }

    #[test]
    fn the_clients_order_decides() {
        use Cipher::{Aes128Gcm, ChaCha20Poly1305};
        let client = preferences(&[Method::Curve25519, Method::EcdhP256], &[ChaCha20Poly1305, Aes128Gcm]);
        let server = preferences(&[Method::EcdhP256, Method::Curve25519], &[Aes128Gcm, ChaCha20Poly1305]);
        let (from_client, from_server) =
            (client.kexinit(Role::Client).unwrap(), server.kexinit(Role::Server).unwrap());
        let at_client = negotiate(&client, Role::Client, &KexInit::parse(&from_server).unwrap()).unwrap();
        let at_server = negotiate(&server, Role::Server, &KexInit::parse(&from_client).unwrap()).unwrap();
        assert_eq!((at_client.kex, at_server.kex), (Method::Curve25519, Method::Curve25519));
        assert_eq!(at_client.to_server.cipher, ChaCha20Poly1305);
        assert_eq!(at_server.to_server, at_client.to_server);
        assert_eq!(at_client.to_server.mac, None);
    }

    #[test]
    fn a_certificate_comes_before_a_key_where_the_server_has_one() {
        let mut client = preferences(&[Method::Curve25519], &[Cipher::Aes128Gcm]);
        client.host_certificates = vec![SignatureAlgorithm::Ed25519];
        let mut server = preferences(&[Method::Curve25519], &[Cipher::Aes128Gcm]);
        let agreed = |server: &Preferences| {
            let message = server.kexinit(Role::Server).unwrap();
            negotiate(&client, Role::Client, &KexInit::parse(&message).unwrap()).unwrap().host_key
        };
        assert_eq!(agreed(&server), HostKeyAlgorithm::Key(SignatureAlgorithm::Ed25519));
        server.host_certificates = vec![SignatureAlgorithm::Ed25519];
        assert_eq!(agreed(&server), HostKeyAlgorithm::Certificate(SignatureAlgorithm::Ed25519));
    }

    #[test]
    fn sides_with_nothing_in_common_say_what_is_missing() {
        let client = preferences(&[Method::Curve25519], &[Cipher::Aes128Gcm]);
        let server = preferences(&[Method::Curve25519], &[Cipher::Aes256Ctr]);
        let message = server.kexinit(Role::Server).unwrap();
        let error = negotiate(&client, Role::Client, &KexInit::parse(&message).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "no cipher in common: the peer has aes256-ctr");
    }

    #[test]
    fn an_announcement_that_is_cut_is_refused_at_every_byte() {
        let message = preferences(&[Method::Curve25519], &[Cipher::Aes128Gcm]).kexinit(Role::Client).unwrap();
        // The last four bytes are reserved, and some implementations leave them out.
        for cut in 0..message.len() - 4 {
            assert!(KexInit::parse(&message[..cut]).is_err(), "{cut}");
        }
        let parsed = KexInit::parse(&message).unwrap();
        assert!(parsed.is_strict(Role::Client) && parsed.takes_ext_info());
        assert!(!parsed.is_strict(Role::Server));
    }

    #[test]
    fn a_wrong_guess_is_skipped_and_a_right_one_is_not() {
        let server = preferences(&[Method::Curve25519], &[Cipher::Aes128Gcm]);
        for (kex, skip) in
            [(&[Method::EcdhP256, Method::Curve25519][..], true), (&[Method::Curve25519], false)]
        {
            let mut message = preferences(kex, &[Cipher::Aes128Gcm]).kexinit(Role::Client).unwrap();
            let guesses = message.len() - 5;
            message[guesses] = 1;
            let agreed = negotiate(&server, Role::Server, &KexInit::parse(&message).unwrap()).unwrap();
            assert_eq!(agreed.skip_guess, skip);
        }
    }
}
