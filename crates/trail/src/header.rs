//! The beginning of a trail: which format it has, and the facts known when the session began.

use std::io::Read;

use keyward_model::{ClientAddr, ConnectionName, Protocol, SessionId, TargetAddr, UnixMillis};

use crate::chain::Link;
use crate::error::{Damage, TrailError};
use crate::protection::{FileKeys, Protected, Protection};
use crate::wire::{Cursor, put_bytes, put_text, put_varint};

/// What is known of a session when its recording begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    pub session: SessionId,
    pub protocol: Protocol,
    pub connection: ConnectionName,
    pub client: ClientAddr,
    /// The moment from which the times of all events count.
    pub started: UnixMillis,
    /// `None` when nobody asked who the person is.
    pub gateway_user: Option<String>,
    pub remote_user: String,
    pub target: TargetAddr,
}

/// As with PNG: a byte over 127, a name, and the bytes that careless copying changes.
pub(crate) const MAGIC: [u8; 8] = *b"\x89KWT\r\n\x1a\n";
pub(crate) const VERSION: u16 = 2;
/// Magic, version, features, two lengths, checksum.
const PRELUDE_LEN: usize = 24;
/// INVARIANT: no more is read into memory on the word of a file.
const MAX_FACTS: usize = 64 * 1024;
const MAX_PROTECTION: usize = 64 * 1024;

mod tag {
    pub(super) const SESSION: u64 = 1;
    pub(super) const PROTOCOL: u64 = 2;
    pub(super) const CONNECTION: u64 = 3;
    pub(super) const CLIENT: u64 = 4;
    pub(super) const STARTED: u64 = 5;
    pub(super) const GATEWAY_USER: u64 = 6;
    pub(super) const REMOTE_USER: u64 = 7;
    pub(super) const TARGET: u64 = 8;
    pub(super) const TARGET_NAME: u64 = 9;
}

impl Header {
    /// The file's first bytes, up to the first block, and the keys that were made for it.
    pub(crate) fn encode(&self, protection: &Protection) -> Result<(Vec<u8>, FileKeys), TrailError> {
        let facts = self.facts();
        let (keys, locks) = protection.begin(&facts).map_err(TrailError::Key)?;
        let length = facts.len().max(locks.len());
        if facts.len() > MAX_FACTS || locks.len() > MAX_PROTECTION {
            return Err(TrailError::HeaderTooLong(length));
        }
        let no_features = 0u16;
        let mut out = Vec::with_capacity(PRELUDE_LEN + facts.len() + locks.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&no_features.to_le_bytes());
        out.extend_from_slice(&(facts.len() as u32).to_le_bytes());
        out.extend_from_slice(&(locks.len() as u32).to_le_bytes());
        let checksum = checksum(&[&out, &facts, &locks]);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&facts);
        out.extend_from_slice(&locks);
        Ok((out, keys))
    }

    fn facts(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut text = |tag, text: &str| {
            put_varint(&mut out, tag);
            put_text(&mut out, text);
        };
        text(tag::SESSION, self.session.as_str());
        text(tag::PROTOCOL, self.protocol.as_str());
        text(tag::CONNECTION, self.connection.as_str());
        text(tag::CLIENT, &self.client.to_string());
        text(tag::REMOTE_USER, &self.remote_user);
        text(tag::TARGET, &self.target.addr.to_string());
        if let Some(user) = &self.gateway_user {
            text(tag::GATEWAY_USER, user);
        }
        if let Some(name) = &self.target.hostname {
            text(tag::TARGET_NAME, name);
        }
        put_varint(&mut out, tag::STARTED);
        put_bytes(&mut out, &self.started.0.to_le_bytes());
        out
    }

    /// Reads up to the first block.
    pub(crate) fn read(source: &mut impl Read) -> Result<Begun, TrailError> {
        let mut bytes = Vec::with_capacity(PRELUDE_LEN);
        source.by_ref().take(PRELUDE_LEN as u64).read_to_end(&mut bytes).map_err(TrailError::Read)?;
        if !bytes.iter().zip(&MAGIC).all(|(found, expected)| found == expected) {
            return Err(TrailError::NotATrail);
        }
        if bytes.len() < PRELUDE_LEN {
            return Err(TrailError::HeaderCut);
        }
        let (facts, protection) = check_prelude(&bytes)?;
        bytes.resize(PRELUDE_LEN + facts + protection, 0);
        let (prelude, rest) = bytes.split_at_mut(PRELUDE_LEN);
        read_exact(source, rest)?;
        let (facts, protection) = rest.split_at(facts);
        let [head @ .., a, b, c, d] = &*prelude else { return Err(TrailError::HeaderCut) };
        if checksum(&[head, facts, protection]) != u32::from_le_bytes([*a, *b, *c, *d]) {
            return Err(TrailError::Header(Damage::HeaderChecksum));
        }
        let header = Facts::decode(facts).and_then(Self::try_from).map_err(TrailError::Header)?;
        let protected = Protected::decode(protection, facts).map_err(TrailError::Header)?;
        Ok(Begun { header, protected, root: Link::root(&bytes), length: bytes.len() as u64 })
    }
}

/// The beginning of a file, as it was read.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) header: Header,
    pub(crate) protected: Protected,
    pub(crate) root: Link,
    /// Bytes up to the first block.
    pub(crate) length: u64,
}

/// Gives the lengths of the facts and of the protection.
fn check_prelude(prelude: &[u8]) -> Result<(usize, usize), TrailError> {
    let mut fields = Cursor::new(prelude);
    if fields.array() != Ok(MAGIC) {
        return Err(TrailError::NotATrail);
    }
    let mut read = || {
        let version = u16::from_le_bytes(fields.array()?);
        let features = u16::from_le_bytes(fields.array()?);
        let facts = u32::from_le_bytes(fields.array()?);
        let protection = u32::from_le_bytes(fields.array()?);
        Ok((version, features, facts, protection))
    };
    let (version, features, facts, protection) = read().map_err(TrailError::Header)?;
    if version != VERSION {
        return Err(TrailError::Version(version));
    }
    if features != 0 {
        return Err(TrailError::Features(features));
    }
    Ok((within(facts, MAX_FACTS)?, within(protection, MAX_PROTECTION)?))
}

fn within(found: u32, most: usize) -> Result<usize, TrailError> {
    match usize::try_from(found) {
        Ok(length) if length <= most => Ok(length),
        Ok(_) | Err(_) => {
            let (found, most) = (found.into(), most as u64);
            Err(TrailError::Header(Damage::TooLong { what: "length", found, most }))
        }
    }
}

fn read_exact(source: &mut impl Read, into: &mut [u8]) -> Result<(), TrailError> {
    source.read_exact(into).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => TrailError::HeaderCut,
        _ => TrailError::Read(error),
    })
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| checksum.update(part));
    checksum.finalize()
}

/// The facts as written, before anything is made of them.
#[derive(Default)]
struct Facts<'a> {
    session: Option<&'a str>,
    protocol: Option<&'a str>,
    connection: Option<&'a str>,
    client: Option<&'a str>,
    started: Option<[u8; 8]>,
    gateway_user: Option<&'a str>,
    remote_user: Option<&'a str>,
    target: Option<&'a str>,
    target_name: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut facts = Self::default();
        let mut fields = Cursor::new(bytes);
        while !fields.is_empty() {
            let tag = fields.varint()?;
            let (slot, what) = match tag {
                tag::SESSION => (&mut facts.session, "session"),
                tag::PROTOCOL => (&mut facts.protocol, "protocol"),
                tag::CONNECTION => (&mut facts.connection, "connection"),
                tag::CLIENT => (&mut facts.client, "client"),
                tag::GATEWAY_USER => (&mut facts.gateway_user, "gateway user"),
                tag::REMOTE_USER => (&mut facts.remote_user, "remote user"),
                tag::TARGET => (&mut facts.target, "target"),
                tag::TARGET_NAME => (&mut facts.target_name, "name of the target"),
                tag::STARTED => {
                    let time = fields.prefixed()?.try_into().map_err(|_| Damage::Value("start"))?;
                    set(&mut facts.started, time, "start")?;
                    continue;
                }
                _newer => {
                    fields.prefixed()?;
                    continue;
                }
            };
            set(slot, fields.text()?, what)?;
        }
        Ok(facts)
    }
}

fn set<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), Damage> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Damage::Twice(what)),
    }
}

impl TryFrom<Facts<'_>> for Header {
    type Error = Damage;

    fn try_from(facts: Facts<'_>) -> Result<Self, Damage> {
        let session = facts.session.ok_or(Damage::Missing("session"))?.to_owned();
        let connection = facts.connection.ok_or(Damage::Missing("connection"))?;
        Ok(Self {
            session: SessionId::try_from(session).map_err(|_| Damage::Value("session"))?,
            protocol: parse(facts.protocol, "protocol")?,
            connection: ConnectionName::try_from(connection).map_err(|_| Damage::Value("connection"))?,
            client: ClientAddr(parse(facts.client, "client")?),
            started: UnixMillis(i64::from_le_bytes(facts.started.ok_or(Damage::Missing("start"))?)),
            gateway_user: facts.gateway_user.map(str::to_owned),
            remote_user: facts.remote_user.ok_or(Damage::Missing("remote user"))?.to_owned(),
            target: TargetAddr {
                addr: parse(facts.target, "target")?,
                hostname: facts.target_name.map(str::to_owned),
            },
        })
    }
}

fn parse<T: std::str::FromStr>(text: Option<&str>, what: &'static str) -> Result<T, Damage> {
    text.ok_or(Damage::Missing(what))?.parse().map_err(|_| Damage::Value(what))
}
