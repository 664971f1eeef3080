//! How a file key is kept for auditors in the header of a trail: ways to it, each of one or more shares.

use aws_lc_rs::error::Unspecified;

use crate::auditor_key::AuditorKey;
use crate::cipher::{FileKey, KEY_LEN};
use crate::error::{Damage, TrailError};
use crate::recipient::{KeyError, Recipient};
use crate::wire::{Cursor, put_bytes, put_text, put_varint};

/// The most ways of a lock, and the most shares of a way.
pub(crate) const MOST: usize = 64;

/// Who may read: any way will do, and a way takes all of its recipients together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipients(Vec<Vec<Recipient>>);

impl Recipients {
    /// The most recipients of a stream.
    pub const MOST: usize = 32;

    /// Each of them alone. `None` without any, and with more than [`Self::MOST`].
    pub fn any(recipients: Vec<Recipient>) -> Option<Self> {
        Self::within(recipients, |all| all.into_iter().map(|one| vec![one]).collect())
    }

    /// All of them jointly. `None` without any, and with more than [`Self::MOST`].
    pub fn all(recipients: Vec<Recipient>) -> Option<Self> {
        Self::within(recipients, |all| vec![all])
    }

    fn within(all: Vec<Recipient>, ways: impl FnOnce(Vec<Recipient>) -> Vec<Vec<Recipient>>) -> Option<Self> {
        (1..=Self::MOST).contains(&all.len()).then(|| Self(ways(all)))
    }

    /// Makes a lock for a key. `about`: what the lock belongs to.
    pub(crate) fn lock(&self, key: &FileKey, about: &[u8]) -> Result<Vec<u8>, KeyError> {
        let library = |Unspecified| KeyError::Library;
        let mut out = key.commitment().map_err(library)?.to_vec();
        put_varint(&mut out, self.0.len() as u64);
        for way in &self.0 {
            put_varint(&mut out, way.len() as u64);
            for (recipient, share) in way.iter().zip(key.shares(way.len()).map_err(library)?) {
                out.push(recipient.kind() as u8);
                put_text(&mut out, recipient.name());
                put_bytes(&mut out, &recipient.wrap(&*share, about)?);
            }
        }
        Ok(out)
    }
}

/// A lock as a file has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lock {
    commitment: [u8; KEY_LEN],
    ways: Vec<Vec<Share>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Share {
    kind: u8,
    name: String,
    wrapped: Vec<u8>,
}

impl Lock {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Cursor::new(bytes);
        let commitment = fields.array()?;
        let ways = many(&mut fields, |fields| many(fields, Share::decode))?;
        if fields.is_empty() { Ok(Self { commitment, ways }) } else { Err(Damage::Value("lock")) }
    }

    /// Gives the file key, by the first way that these keys can go and that leads to it. `what`: the name of the stream, for
    /// errors.
    pub(crate) fn open(
        &self,
        keys: &[AuditorKey],
        about: &[u8],
        what: &'static str,
    ) -> Result<FileKey, TrailError> {
        let can_be_gone = |way: &&Vec<Share>| way.iter().all(|share| share.key(keys).is_some());
        let mut failed = None;
        for way in self.ways.iter().filter(can_be_gone) {
            match self.go(way, keys, about) {
                Ok(key) => return Ok(key),
                Err(names) => _ = failed.get_or_insert(names),
            }
        }
        match failed {
            Some(names) => Err(TrailError::Share { what, names }),
            None => Err(self.refusal(keys, what)),
        }
    }

    /// Where it does not lead to the key: whose share is not what was locked, or of all of them if together they are not.
    fn go(&self, way: &[Share], keys: &[AuditorKey], about: &[u8]) -> Result<FileKey, String> {
        let mut shares = Vec::with_capacity(way.len());
        for share in way {
            let opened = share.key(keys).and_then(|key| key.unwrap(&share.wrapped, about));
            shares.push(opened.ok_or_else(|| share.name.clone())?);
        }
        let key = FileKey::of_shares(&shares);
        let meant = key.commitment().is_ok_and(|commitment| commitment == self.commitment);
        if meant { Ok(key) } else { Err(names(way.iter(), ", ")) }
    }

    /// Why these keys do not open it.
    fn refusal(&self, keys: &[AuditorKey], what: &'static str) -> TrailError {
        let missing = |way: &Vec<Share>| {
            let (there, missing): (Vec<_>, Vec<_>) =
                way.iter().partition(|share| keys.iter().any(|key| share.is_for(key)));
            let names = missing.iter().map(|share| share.name.clone()).collect::<Vec<_>>().join(", ");
            (!there.is_empty()).then_some(names)
        };
        if let Some(missing) = self.ways.iter().find_map(missing) {
            return TrailError::MoreKeys { what, missing };
        }
        let way = |way: &Vec<Share>| {
            way.iter().map(|share| share.name.as_str()).collect::<Vec<_>>().join(" together with ")
        };
        let recipients = self.ways.iter().map(way).collect::<Vec<_>>().join("; or ");
        match keys {
            [] => TrailError::NoKey { what, recipients },
            keys => {
                let given = keys.iter().map(|key| key.recipient().name()).collect::<Vec<_>>().join(", ");
                TrailError::WrongKey { what, recipients, given }
            }
        }
    }
}

fn names<'a>(shares: impl Iterator<Item = &'a Share>, between: &str) -> String {
    shares.map(|share| share.name.as_str()).collect::<Vec<_>>().join(between)
}

impl Share {
    /// The one of these keys that it is wrapped for.
    fn key<'a>(&self, keys: &'a [AuditorKey]) -> Option<&'a AuditorKey> {
        keys.iter().find(|key| self.is_for(key))
    }

    fn decode(fields: &mut Cursor<'_>) -> Result<Self, Damage> {
        let kind = fields.byte()?;
        let name = fields.text()?.to_owned();
        // It is shown to people.
        if name.chars().any(char::is_control) {
            return Err(Damage::Value("name of a recipient"));
        }
        Ok(Self { kind, name, wrapped: fields.prefixed()?.to_vec() })
    }

    fn is_for(&self, key: &AuditorKey) -> bool {
        self.kind == key.recipient().kind() as u8 && self.name == key.recipient().name()
    }
}

/// So many things as a number in front says: 1 to [`MOST`].
fn many<T>(
    fields: &mut Cursor<'_>,
    one: impl Fn(&mut Cursor<'_>) -> Result<T, Damage>,
) -> Result<Vec<T>, Damage> {
    let found = fields.varint()?;
    let most = MOST as u64;
    if !(1..=most).contains(&found) {
        return Err(Damage::TooLong { what: "number of keys", found, most });
    }
    (0..found).map(|_| one(fields)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<AuditorKey> {
        (0..count).map(|_| AuditorKey::generate().unwrap()).collect()
    }

    fn lock(recipients: Option<Recipients>, key: &FileKey) -> Lock {
        Lock::decode(&recipients.unwrap().lock(key, b"session").unwrap()).unwrap()
    }

    fn public(keys: &[AuditorKey]) -> Vec<Recipient> {
        keys.iter().map(|key| key.recipient().clone()).collect()
    }

    #[test]
    fn any_recipient_opens_what_any_may_open() {
        let (keys, file_key) = (keys(3), FileKey::random().unwrap());
        let lock = lock(Recipients::any(public(&keys)), &file_key);
        for key in keys {
            let opened = lock.open(&[key], b"session", "x").unwrap();
            assert_eq!(opened.commitment(), file_key.commitment());
        }
    }

    #[test]
    fn what_needs_all_opens_with_all_and_says_who_is_missing() {
        let (mut keys, file_key) = (keys(3), FileKey::random().unwrap());
        let lock = lock(Recipients::all(public(&keys)), &file_key);
        assert_eq!(lock.open(&keys, b"session", "x").unwrap().commitment(), file_key.commitment());
        let gone = keys.remove(1).recipient().name().to_owned();
        match lock.open(&keys, b"session", "x") {
            Err(TrailError::MoreKeys { missing, .. }) => assert_eq!(missing, gone),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_way_that_leads_nowhere_does_not_close_the_others_and_its_key_is_named() {
        let (keys, file_key) = (keys(2), FileKey::random().unwrap());
        let mut lock = lock(Recipients::any(public(&keys)), &file_key);
        lock.ways[0][0].wrapped[40] ^= 1;
        let opened = lock.open(&keys, b"session", "x").unwrap();
        assert_eq!(opened.commitment(), file_key.commitment());
        match lock.open(&keys[..1], b"session", "x") {
            Err(TrailError::Share { names, .. }) => assert_eq!(names, keys[0].recipient().name()),
            other => panic!("{other:?}"),
        }
        let another = FileKey::random().unwrap();
        lock.ways = self::lock(Recipients::all(public(&keys)), &another).ways;
        let both = format!("{}, {}", keys[0].recipient().name(), keys[1].recipient().name());
        let opened = lock.open(&keys, b"session", "x");
        assert!(matches!(opened, Err(TrailError::Share { names, .. }) if names == both));
    }

    #[test]
    fn a_stranger_and_nobody_are_told_whose_key_is_needed() {
        let (keys, strangers) = (keys(1), keys(1));
        let lock = lock(Recipients::any(public(&keys)), &FileKey::random().unwrap());
        let name = keys[0].recipient().name();
        let nobody = lock.open(&[], b"session", "x");
        assert!(matches!(nobody, Err(TrailError::NoKey { recipients, .. }) if recipients == name));
        let stranger = lock.open(&strangers, b"session", "x");
        assert!(matches!(stranger, Err(TrailError::WrongKey { recipients, .. }) if recipients == name));
    }

    #[test]
    fn a_lock_of_another_session_or_with_changed_bytes_does_not_open() {
        let (keys, file_key) = (keys(1), FileKey::random().unwrap());
        let bytes = Recipients::any(public(&keys)).unwrap().lock(&file_key, b"session").unwrap();
        assert!(Lock::decode(&bytes).unwrap().open(&keys, b"another", "x").is_err());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let opened = Lock::decode(&changed).map(|lock| lock.open(&keys, b"session", "x").is_ok());
            assert_ne!(opened, Ok(true), "byte {place}");
            assert!(Lock::decode(&bytes[..place]).is_err());
        }
    }

    #[test]
    fn nobody_and_too_many_are_no_recipients() {
        assert_eq!(Recipients::any(vec![]), None);
        assert_eq!(Recipients::all(public(&keys(Recipients::MOST + 1))), None);
    }
}
