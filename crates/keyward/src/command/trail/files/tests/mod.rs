//! Files out of channels that break off, and out of channels whose two sides lie.

#[path = "../../../../../../trail/samples/header.rs"]
mod sample;
mod scp;
mod sftp;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{ChannelId, Direction, Event, Protection, Reader, SigningKey, Stream, Writer};
use serde_json::Value;

use super::export;

/// What one side says.
type Said = (Direction, Vec<u8>);

/// A file of the index, and what is in the folder of it.
#[derive(Debug, PartialEq)]
struct Found {
    name: String,
    lacks: Option<String>,
    bytes: Vec<u8>,
}

impl Found {
    fn whole(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), lacks: None, bytes: bytes.to_vec() }
    }

    fn partial(name: &str, bytes: &[u8], lacks: &str) -> Self {
        Self { name: format!("{name}.partial"), lacks: Some(lacks.to_owned()), bytes: bytes.to_vec() }
    }
}

/// What is found in a recording that breaks off behind `talk`, of one channel with an `sftp` or an `scp` command.
#[track_caller]
fn exported(command: &str, talk: &[Said]) -> Vec<Found> {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("files");
    let mut reader = Reader::new(Cursor::new(trail(command, talk)), &[]).unwrap();
    export(&mut reader, None, &folder).unwrap();
    let index: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("files.json")).unwrap()).unwrap();
    let found: Vec<Found> = index
        .iter()
        .map(|entry| {
            let name = entry["name"].as_str().unwrap().to_owned();
            let lacks = entry["lacks"].as_str().map(str::to_owned);
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            assert_eq!(entry["complete"], lacks.is_none(), "{entry}");
            assert_eq!(name.ends_with(".partial"), lacks.is_some(), "{entry}");
            assert_eq!(entry["size"], bytes.len(), "{entry}");
            Found { name, lacks, bytes }
        })
        .collect();
    let there = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(there, found.len() + 1, "the index has every file");
    found
}

fn trail(command: &str, talk: &[Said]) -> Vec<u8> {
    let protection = Protection::signed(Arc::new(SigningKey::generate().unwrap()));
    let mut writer = Writer::new(Vec::new(), &sample::header().unwrap(), &protection).unwrap();
    let (channel, stream) = (ChannelId(0), Stream::Main);
    let kind = command.split(' ').next().unwrap_or_default().into();
    let open = Event::Open { channel, kind, command: Some(command.as_bytes().into()), terminal: None };
    writer.write(Duration::ZERO, &open).unwrap();
    for (direction, bytes) in talk {
        let event = Event::Data { channel, direction: *direction, stream, bytes: bytes.into() };
        writer.write(Duration::from_secs(1), &event).unwrap();
    }
    // Without an end: the gateway was killed.
    writer.flush().unwrap();
    writer.output().clone()
}

/// The beginnings of a talk, each longer than the one before by one byte.
fn beginnings(talk: &[Said]) -> impl Iterator<Item = Vec<Said>> {
    let cut = |n: usize, at: usize| {
        let (direction, bytes) = &talk[n];
        [&talk[..n], &[(*direction, bytes[..at].to_vec())]].concat()
    };
    (0..talk.len()).flat_map(move |n| (0..talk[n].1.len()).map(move |at| cut(n, at)))
}

fn client(bytes: impl Into<Vec<u8>>) -> Said {
    (Direction::FromClient, bytes.into())
}

fn target(bytes: impl Into<Vec<u8>>) -> Said {
    (Direction::ToClient, bytes.into())
}
