//! `keyward trail play`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use keyward_trail::{PlayOptions, Reader, Replay, is_being_written};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::player::Player;
use super::tty::Tty;
use super::{Recording, read_by_someone};

/// Blocks that are read behind what was shown, to learn whether that is signed: more than a node leaves unsigned.
pub(super) const MOST_BEHIND: usize = 1 << 20;
/// A signal is noticed this soon.
const TICK: Duration = Duration::from_millis(200);

/// Between two looks whether more was written.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Between two looks whether somebody still writes, and how long what was written before is read on after nobody does.
const LOOK_FOR_WRITER: Duration = Duration::from_millis(500);
const AFTER_WRITER: Duration = Duration::from_secs(1);

/// Whether more of a recording is waited for than there is.
#[derive(Debug)]
pub(super) enum Growth {
    AsItIs,
    Followed(Writing),
}

/// Whether a recording without an end may still get one.
#[derive(Debug)]
pub(super) struct Writing {
    file: PathBuf,
    looked: Option<Instant>,
    /// Since when nobody writes it.
    left: Option<Instant>,
}

impl Writing {
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file, looked: None, left: None }
    }

    /// `false`: nobody writes it any more, for long enough to have read what was written before.
    pub(super) fn goes_on(&mut self) -> bool {
        if self.looked.is_none_or(|looked| looked.elapsed() > LOOK_FOR_WRITER) {
            self.looked = Some(Instant::now());
            match is_being_written(&self.file) {
                // A file that is gone gets nothing more either.
                Ok(false) | Err(_) => self.left = self.left.or(self.looked),
                Ok(true) => self.left = None,
            }
        }
        self.left.is_none_or(|left| left.elapsed() < AFTER_WRITER)
    }
}

/// Plays it, with keys where a person sits at a terminal. A signal ends it as a key does: the terminal is given back first.
pub(super) async fn play(recording: Recording, options: PlayOptions, growth: Growth) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    if !io::stdout().is_terminal() {
        return straight(recording, options, growth, &stop);
    }
    let mut signals = Signals::new()?;
    let before = Tty::now();
    let told = Arc::clone(&stop);
    let mut playing = tokio::task::spawn_blocking(move || {
        if Tty::is_there() {
            steered(recording, options, growth, &told)
        } else {
            straight(recording, options, growth, &told)
        }
    });
    tokio::select! {
        played = &mut playing => return played.context("playing failed")?,
        () = signals.next() => stop.store(true, Ordering::Relaxed),
    }
    tokio::select! {
        played = playing => played.context("playing failed")?,
        () = signals.next() => {
            // Told twice, it does not wait for what it is busy with.
            before.as_ref().inspect(|before| Tty::restore(before));
            std::process::exit(130)
        }
    }
}

fn steered(
    recording: Recording,
    options: PlayOptions,
    growth: Growth,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let (Recording { mut reader, known_signer }, channel) = (recording, options.channel);
    if matches!(growth, Growth::Followed(_)) {
        reader.expect_more();
    }
    let mut replay = Replay::new(reader, options.channel).context("the recording is being read")?;
    if options.read_all {
        replay.ignore_key_frames();
    }
    let mut player = Player::new(replay, options, growth, stop);
    let played = player.run();
    let replay = player.into_replay();
    let (is_partial, false_frame) = (replay.is_partial(), replay.false_frame());
    // A signature stands behind what it covers.
    let reader = replay.into_reader(MOST_BEHIND);
    let recording = Recording { reader, known_signer };
    recording.report();
    if is_partial {
        eprintln!(
            "keyward: not all of the recording was read, and so checked: a part of what came before the moments \
             that were looked for was passed over (`keyward trail verify` checks all of it, --read-all reads it)"
        );
    }
    if let Some(at) = false_frame {
        let at = super::verify::time(at);
        eprintln!(
            "keyward: the index of the recording is wrong: its screen at {at} is not what was recorded until \
             then. Believe what is played from the beginning (without --from), and ask how it was written"
        );
    }
    played?;
    recording.has_channel(channel)
}

fn straight(
    mut recording: Recording,
    options: PlayOptions,
    growth: Growth,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut out = Stoppable { out: io::stdout().lock(), stop, has_refused: false };
    let sleep = |pause| sleep(pause, stop);
    let channel = options.channel;
    let played = match growth {
        Growth::AsItIs => keyward_trail::play(&mut recording.reader, &mut out, options, sleep),
        Growth::Followed(mut writing) => {
            recording.reader.expect_more();
            let more = |reader: &mut Reader<_>| {
                sleep(LOOK);
                let goes_on = !stop.load(Ordering::Relaxed) && writing.goes_on();
                if goes_on { reader.resume() } else { Ok(false) }
            };
            keyward_trail::follow(&mut recording.reader, &mut out, options, sleep, more)
        }
    };
    // What was shown before an error may be as unsigned as what follows it.
    recording.reader.settle(MOST_BEHIND);
    recording.report();
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    read_by_someone(played)?;
    recording.has_channel(channel)
}

/// Sleeps, and no longer than until the program is told to end.
fn sleep(pause: Duration, stop: &AtomicBool) {
    let began = Instant::now();
    while let Some(left) = pause.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// Refuses once when the program is told to end: what is written after that gives the terminal back.
struct Stoppable<'a, W> {
    out: W,
    stop: &'a AtomicBool,
    has_refused: bool,
}

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) && !std::mem::replace(&mut self.has_refused, true) {
            return Err(io::Error::other("a signal has ended it"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What tells a program at a terminal to end.
struct Signals([Signal; 4]);

impl Signals {
    fn new() -> io::Result<Self> {
        let [hangup, interrupt, quit, end] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()]
                .map(signal);
        Ok(Self([hangup?, interrupt?, quit?, end?]))
    }

    async fn next(&mut self) {
        let Self([hangup, interrupt, quit, end]) = self;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = end.recv() => {}
        }
    }
}
