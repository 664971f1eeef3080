//! A trail that is whole reads as it was written.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keyward_trail::{
    ChannelId, Direction, Ending, Event, ExitStatus, FileDigest, FileEvent, FileOutcome, HiddenInput, Reader,
    Stream, Terminal, TrailError, Writer,
};
use proptest::prelude::*;

use crate::{Timed, end, end_time, header, read, session, signed, written};

#[test]
fn what_is_written_is_read_again() {
    let (events, ending) = read(&written(&session(), &[1, 4])).unwrap();
    assert_eq!(events, session());
    assert_eq!(ending, Ending::Finished { at: end_time(&session()), end: end() });
    assert_eq!(Reader::new(written(&[], &[]).as_slice(), &[]).unwrap().header(), &header());
}

#[test]
fn a_full_disk_is_an_error_of_the_flush_and_of_the_end() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(matches!(Writer::new(full(), &header(), &signed()), Err(TrailError::Write(_))));

    /// A disk with room for so many bytes.
    struct Disk(usize);
    impl std::io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl keyward_trail::Output for Disk {}
    let room = Writer::new(Vec::new(), &header(), &signed()).unwrap().written() as usize + 10;
    let mut writer = Writer::new(Disk(room), &header(), &signed()).unwrap();
    writer.write(Duration::ZERO, &session()[0].1).unwrap();
    let error = writer.flush().unwrap_err();
    assert!(matches!(&error, TrailError::Write(io) if io.kind() == std::io::ErrorKind::StorageFull));
    assert!(matches!(writer.finish(Duration::ZERO, &end()), Err(TrailError::Stopped)));

    let writer = Writer::new(Disk(room), &header(), &signed()).unwrap();
    assert!(matches!(writer.finish(Duration::ZERO, &end()), Err(TrailError::Write(_))));
}

#[test]
fn a_trail_is_its_owners_alone_and_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.trail");
    let writer = Writer::create(&path, &header(), &signed()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Writer::create(&path, &header(), &signed()), Err(TrailError::Create { .. })));
    writer.finish(Duration::ZERO, &end()).unwrap();
    assert_eq!(Reader::open(&path, &[]).unwrap().count(), 0);
    assert!(matches!(Reader::open(&folder.path().join("y"), &[]), Err(TrailError::Open { .. })));
}

#[test]
fn a_time_that_goes_back_counts_as_the_one_before() {
    let close = Event::Close { channel: ChannelId(0) };
    let at = Duration::from_secs(5);
    let trail = written(&[(at, close.clone()), (Duration::ZERO, close.clone())], &[]);
    assert_eq!(read(&trail).unwrap().0, [(at, close.clone()), (at, close)]);
}

#[test]
fn long_data_is_given_in_pieces() {
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n / 7) as u8).collect();
    let (channel, direction, stream) = (ChannelId(0), Direction::ToClient, Stream::Main);
    let event = Event::Data { channel, direction, stream, bytes: bytes.clone().into() };
    let (events, _) = read(&written(&[(Duration::ZERO, event)], &[])).unwrap();
    assert!(events.len() > 1);
    let pieces = events.into_iter().map(|(_, event)| match event {
        Event::Data { bytes, .. } => bytes.into_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(pieces.collect::<Vec<_>>().concat(), bytes);
}

fn any_event() -> impl Strategy<Value = Event<'static>> {
    let id = || any::<u32>().prop_map(ChannelId);
    let text = || any::<String>().prop_map(Into::into);
    let direction = || prop_oneof![Just(Direction::FromClient), Just(Direction::ToClient)];
    let terminal = || {
        (text(), any::<u32>(), any::<u32>()).prop_map(|(term, columns, rows)| Terminal {
            term,
            columns,
            rows,
        })
    };
    let bytes = || prop::collection::vec(any::<u8>(), 1..300);
    let status = prop_oneof![
        any::<u32>().prop_map(ExitStatus::Code),
        (text(), any::<bool>(), text()).prop_map(|(name, core_dumped, message)| ExitStatus::Signal {
            name,
            core_dumped,
            message
        }),
    ];
    let input = prop_oneof![
        Just(HiddenInput::LeftOut),
        any::<u32>().prop_map(HiddenInput::Follows),
        (any::<u64>(), bytes()).prop_map(|(number, text)| HiddenInput::Sealed { number, text: text.into() }),
    ];
    prop_oneof![
        (id(), input).prop_map(|(channel, input)| Event::Hidden { channel, input }),
        (id(), text(), prop::option::of(bytes()), prop::option::of(terminal())).prop_map(
            |(channel, kind, command, terminal)| Event::Open {
                channel,
                kind,
                command: command.map(Into::into),
                terminal
            }
        ),
        (id(), direction(), any::<bool>(), bytes(), 1usize..50).prop_map(
            |(channel, direction, err, bytes, n)| {
                let stream = if err { Stream::Stderr } else { Stream::Main };
                Event::Data { channel, direction, stream, bytes: bytes.repeat(n).into() }
            }
        ),
        (id(), any::<u32>(), any::<u32>()).prop_map(|(channel, columns, rows)| Event::Window {
            channel,
            columns,
            rows
        }),
        (id(), text(), text()).prop_map(|(channel, name, value)| Event::Env { channel, name, value }),
        (id(), text()).prop_map(|(channel, name)| Event::Signal { channel, name }),
        (id(), direction()).prop_map(|(channel, direction)| Event::Eof { channel, direction }),
        (id(), status).prop_map(|(channel, status)| Event::Exit { channel, status }),
        id().prop_map(|channel| Event::Close { channel }),
        (id(), file()).prop_map(|(channel, file)| Event::File { channel, file }),
    ]
}

fn file() -> impl Strategy<Value = FileEvent<'static>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..50);
    let outcome = prop_oneof![
        Just(FileOutcome::Done),
        Just(FileOutcome::Refused),
        Just(FileOutcome::Unfinished),
        "\\PC{0,9}".prop_map(|why| FileOutcome::Failed(why.into())),
    ];
    let digest = prop_oneof![
        any::<[u8; 32]>().prop_map(FileDigest::Sha256),
        "\\PC{0,9}".prop_map(|why| FileDigest::Without(why.into())),
    ];
    let sums = (prop::option::of(any::<u64>()), outcome, prop::option::of(digest));
    ("[a-z]{1,9}", bytes(), prop::option::of(bytes()), any::<u32>(), sums).prop_map(
        |(operation, path, other, flags, (size, outcome, digest))| FileEvent {
            operation: operation.into(),
            path: path.into(),
            other: other.map(Into::into),
            flags,
            size,
            outcome,
            digest,
        },
    )
}

pub(crate) fn any_session() -> impl Strategy<Value = Vec<Timed>> {
    prop::collection::vec((0u64..1 << 40, any_event()), 0..40).prop_map(|events| {
        let mut at = Duration::ZERO;
        let add = |(delta, event)| {
            at += Duration::from_micros(delta);
            (at, event)
        };
        events.into_iter().map(add).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_session_reads_as_it_was_written(events in any_session(), flushes: Vec<prop::sample::Index>) {
        let flushes: Vec<usize> = flushes.iter().map(|index| index.index(40)).collect();
        let (again, ending) = read(&written(&events, &flushes)).unwrap();
        prop_assert!(again == events);
        let finished = matches!(ending, Ending::Finished { .. });
        prop_assert!(finished);
    }

    #[test]
    fn any_cut_leaves_a_beginning_of_the_session(events in any_session(), cut: prop::sample::Index) {
        let trail = written(&events, &[3, 10]);
        if let Ok((again, ending)) = read(&trail[..cut.index(trail.len())]) {
            prop_assert!(again[..] == events[..again.len()]);
            prop_assert_eq!(ending, Ending::Unfinished);
        }
    }
}
