//! What a block of the index says: where key frames are, and what the screen showed there.

use crate::chain::Link;
use crate::chained::{Joint, Place};
use crate::error::Damage;
use crate::event::ChannelId;
use crate::shown::Shown;
use crate::wire::{Cursor, put_bytes, put_varint};

/// INVARIANT: the most bytes of what draws a screen. A larger one, which only a hostile program makes, gets no key frame.
pub(crate) const MOST_DUMP: usize = 256 * 1024;
/// The most places that one block names: each is at twice the distance of the one before.
const MOST_EARLIER: usize = 48;

mod tag {
    pub(super) const FIRST: u64 = 1;
    pub(super) const PLACE: u64 = 2;
    pub(super) const EARLIER: u64 = 3;
    pub(super) const CHANNELS: u64 = 4;
    pub(super) const SCREEN: u64 = 5;
    pub(super) const SOLE: u64 = 6;
}

/// A block of the index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// The link of block 0: so it stands for this header.
    pub(crate) first: Link,
    /// Where the block itself stands: a copy of it somewhere else is none.
    pub(crate) place: Joint,
    /// Key frames before it, the nearest first.
    pub(crate) earlier: Vec<Pointer>,
    /// `None`: it only leads to key frames.
    pub(crate) screen: Option<KeyScreen>,
}

/// Where a key frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pointer {
    /// Microseconds since the start.
    pub(crate) time: u64,
    pub(crate) joint: Joint,
}

/// What all that came before has drawn.
#[derive(Clone, Debug)]
pub(crate) struct KeyScreen {
    pub(crate) shown: Shown,
    /// Columns and rows.
    pub(crate) size: (usize, usize),
    /// What draws it on an empty screen of that size.
    pub(crate) dump: String,
    /// The one channel that there was so far: its screen is this one too.
    pub(crate) sole: Option<ChannelId>,
}

impl Index {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, tag::FIRST);
        put_bytes(out, &self.first.0);
        let mut field = Vec::new();
        put_joint(&mut field, &self.place);
        put_varint(out, tag::PLACE);
        put_bytes(out, &field);
        field.clear();
        for pointer in &self.earlier {
            put_varint(&mut field, pointer.time);
            put_joint(&mut field, &pointer.joint);
        }
        put_varint(out, tag::EARLIER);
        put_bytes(out, &field);
        let Some(screen) = &self.screen else { return };
        put_varint(out, tag::CHANNELS);
        put_bytes(out, &screen.shown.encode());
        field.clear();
        put_varint(&mut field, screen.size.0 as u64);
        put_varint(&mut field, screen.size.1 as u64);
        put_bytes(&mut field, screen.dump.as_bytes());
        put_varint(out, tag::SCREEN);
        put_bytes(out, &field);
        if let Some(ChannelId(sole)) = screen.sole {
            field.clear();
            put_varint(&mut field, sole.into());
            put_varint(out, tag::SOLE);
            put_bytes(out, &field);
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let (mut first, mut place, mut earlier) = (None, None, Vec::new());
        let (mut shown, mut screen, mut sole) = (None, None, None);
        let mut fields = Cursor::new(bytes);
        while !fields.is_empty() {
            let tag = fields.varint()?;
            let mut value = Cursor::new(fields.prefixed()?);
            match tag {
                tag::FIRST => first = Some(Link(value.array()?)),
                tag::PLACE => place = Some(take_joint(&mut value)?),
                tag::EARLIER => {
                    earlier.clear();
                    while !value.is_empty() {
                        if earlier.len() >= MOST_EARLIER {
                            return Err(Damage::Value("number of key frames"));
                        }
                        earlier.push(Pointer { time: value.varint()?, joint: take_joint(&mut value)? });
                    }
                }
                tag::CHANNELS => shown = Some(Shown::decode(&mut value)?),
                tag::SCREEN => {
                    let size = (value.varint_u32()? as usize, value.varint_u32()? as usize);
                    let dump = value.text()?;
                    if dump.len() > MOST_DUMP {
                        return Err(Damage::Value("length of a key frame"));
                    }
                    screen = Some((size, dump.to_owned()));
                }
                tag::SOLE => sole = Some(ChannelId(value.varint_u32()?)),
                _newer => {}
            }
        }
        let (Some(first), Some(place)) = (first, place) else {
            return Err(Damage::Value("block of the index"));
        };
        let screen = screen.zip(shown);
        let screen = screen.map(|((size, dump), shown)| KeyScreen { shown, size, dump, sole });
        Ok(Self { first, place, earlier, screen })
    }
}

fn put_joint(out: &mut Vec<u8>, joint: &Joint) {
    put_varint(out, joint.place.number);
    put_varint(out, joint.place.offset);
    out.extend_from_slice(&joint.link.0);
}

fn take_joint(from: &mut Cursor<'_>) -> Result<Joint, Damage> {
    let place = Place { number: from.varint()?, offset: from.varint()? };
    Ok(Joint { place, link: Link(from.array()?) })
}
