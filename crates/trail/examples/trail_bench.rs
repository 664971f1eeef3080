//! What recording costs, with everything on: compressed, encrypted to an auditor, chained, signed. Speed and processor time
//! for some kinds of data, and the size of a session on a terminal beside what others make of it.
//!
//! `cargo xtask bench trail [FILE...]`: the files are measured as kinds of data too.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "gzip is what asciicasts are measured with")]

#[path = "../samples/header.rs"]
mod sample;

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_model::Verdict;
use keyward_trail::{
    Asciicast, AuditorKey, ChannelId, Direction, End, Event, Output, Protection, Reader, Recipients, Replay,
    SigningKey, Stream, Terminal, Writer, export_asciicast,
};

/// As a bulk transfer over SSH delivers it, and as a program on a terminal does.
const BULK: usize = 32 * 1024;
const TERMINAL: usize = 1024;
const GIB: usize = 1 << 30;
/// The least for data of terminals.
const AIM: f64 = 400.0;
/// The most for opening and seeking a recording of a day.
const SEEK_AIM: Duration = Duration::from_millis(200);

/// Bytes before the facts, before each payload, and behind one that is encrypted.
const PRELUDE: usize = 24;
const BLOCK_HEADER: usize = 72;
const TAG: usize = 16;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let auditor = AuditorKey::generate()?;
    let signed = Protection::signed(Arc::new(SigningKey::generate()?));
    let recipients = Recipients::any(vec![auditor.recipient().clone()]);
    let encrypted = Protection { shown: recipients.clone(), typed: recipients, ..signed.clone() };
    speed(&signed, &encrypted)?;
    let keys = [auditor];
    size(&encrypted, &keys)?;
    seek(&encrypted, &keys)
}

fn speed(signed: &Protection, encrypted: &Protection) -> Result<(), Failure> {
    let mut kinds = vec![
        ("terminal: log lines".to_owned(), log_lines(""), TERMINAL),
        ("terminal: in colours".to_owned(), log_lines("\x1b[1;32m"), TERMINAL),
        ("bulk: log lines".to_owned(), log_lines(""), BULK),
        ("bulk: zeros".to_owned(), vec![0; 1 << 20], BULK),
        ("bulk: random".to_owned(), random()?, BULK),
    ];
    for path in std::env::args().skip(1) {
        let data = fs::read(&path)?;
        if data.is_empty() {
            return Err(format!("{path} is empty: give a file with something to measure").into());
        }
        kinds.push((path, data, BULK));
    }
    let path = std::env::temp_dir().join(format!("trail-bench-{}", std::process::id()));
    println!(
        "Processor seconds for a GiB, on one core, and MB/s of the last (terminals: {AIM} MB/s at least)\n"
    );
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>7} {:>8}",
        "data", "signed", "encrypted", "to a file", "MB/s", "ratio"
    );
    for (name, data, chunk) in kinds {
        let (plain, _) = record(&data, chunk, Writer::new(io::sink(), &sample::header()?, signed)?)?;
        let (sealed, size) = record(&data, chunk, Writer::new(io::sink(), &sample::header()?, encrypted)?)?;
        let (file, _) = record(&data, chunk, Writer::create(&path, &sample::header()?, encrypted)?)?;
        fs::remove_file(&path)?;
        let (speed, ratio) = (GIB as f64 / 1e6 / file, GIB as f64 / size as f64);
        println!("{name:<24} {plain:>9.3} {sealed:>9.3} {file:>9.3} {speed:>7.0} {ratio:>8.1}");
    }
    Ok(())
}

/// CPU seconds for one GiB, and the size of its trail.
fn record<W: Output>(data: &[u8], chunk: usize, mut writer: Writer<W>) -> Result<(f64, u64), Failure> {
    let (channel, before) = (ChannelId(0), cpu()?);
    let terminal = Some(Terminal { term: "xterm-256color".into(), columns: 120, rows: 40 });
    let terminal = terminal.filter(|_| chunk == TERMINAL);
    writer.write(Duration::ZERO, &Event::Open { channel, kind: "shell".into(), command: None, terminal })?;
    let mut done = 0;
    for chunk in data.chunks(chunk).cycle() {
        if done >= GIB {
            break;
        }
        writer.write(Duration::from_nanos(done as u64), &data_event(Direction::ToClient, chunk))?;
        done += chunk.len();
    }
    writer.seal()?;
    let (spent, size) = (cpu()? - before, writer.written());
    writer.finish(Duration::from_secs(1), &End { verdict: Verdict::Accept, reason: None })?;
    Ok((spent, size))
}

/// A day at a terminal, on the disk: how long it takes until a moment of it can be drawn, the file opened anew each time.
fn seek(protection: &Protection, keys: &[AuditorKey]) -> Result<(), Failure> {
    let path = std::env::temp_dir().join(format!("trail-bench-day-{}", std::process::id()));
    let hour = an_hour();
    let mut writer = Writer::create(&path, &sample::header()?, protection)?;
    let (channel, mut last) = (ChannelId(0), Duration::ZERO);
    let terminal = Some(Terminal { term: "xterm-256color".into(), columns: 120, rows: 40 });
    writer.write(Duration::ZERO, &Event::Open { channel, kind: "shell".into(), command: None, terminal })?;
    let (mut flushed, mut sealed) = (Duration::ZERO, Duration::ZERO);
    for n in 0..24 {
        for (at, direction, bytes) in &hour {
            last = Duration::from_secs(3600 * n) + *at;
            keep_up(&mut writer, last, &mut flushed, &mut sealed)?;
            writer.write(last, &data_event(*direction, bytes))?;
        }
    }
    writer.finish(last, &End { verdict: Verdict::Accept, reason: None })?;
    println!(
        "\nA day at a terminal, {} bytes: milliseconds to open it and show a moment\n",
        fs::metadata(&path)?.len()
    );
    println!("{:<12} {:>10} {:>10}", "moment", "seek", "from start");
    let mut worst = Duration::ZERO;
    for hour in [1, 6, 12, 18, 23] {
        let to = Duration::from_secs(3600 * hour + 1234);
        let mut took = [Duration::ZERO; 2];
        let mut shown = Vec::new();
        for (took, is_linear) in took.iter_mut().zip([false, true]) {
            drop_cache(&path)?;
            let began = Instant::now();
            let mut replay = Replay::new(Reader::open(&path, keys)?, None).ok_or("nothing to look at")?;
            if is_linear {
                replay.ignore_key_frames();
            }
            replay.seek(to)?;
            shown.push(replay.draw((120, 41), ""));
            *took = began.elapsed();
        }
        if shown.first() != shown.last() {
            return Err("a key frame shows something else than what was recorded".into());
        }
        let [seek, linear] = took;
        worst = worst.max(seek);
        println!("{:<12} {:>10.1} {:>10.1}", format!("{hour} h"), millis(seek), millis(linear));
    }
    fs::remove_file(&path)?;
    let verdict = if worst <= SEEK_AIM { "reached" } else { "MISSED" };
    println!("\nseek of {:.1} ms at most, the aim is {:.0}: {verdict}", millis(worst), millis(SEEK_AIM));
    Ok(())
}

/// The disk has it, and nothing else: as after a day.
fn drop_cache(path: &Path) -> Result<(), Failure> {
    let file = fs::File::open(path)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// As the recorder does: written every second, signed every ten, while something happens.
fn keep_up<W: Output>(
    writer: &mut Writer<W>,
    at: Duration,
    flushed: &mut Duration,
    sealed: &mut Duration,
) -> Result<(), Failure> {
    if at > *sealed + Duration::from_secs(10) {
        writer.seal()?;
        (*sealed, *flushed) = (at, at);
    } else if at > *flushed + Duration::from_secs(1) {
        writer.flush()?;
        *flushed = at;
    }
    Ok(())
}

/// An hour at a terminal: the same events as a trail, as an asciicast, and as `script` keeps them with their times.
fn size(protection: &Protection, keys: &[AuditorKey]) -> Result<(), Failure> {
    let (channel, hour) = (ChannelId(0), an_hour());
    let terminal = Some(Terminal { term: "xterm-256color".into(), columns: 120, rows: 40 });
    let mut writer = Writer::new(Vec::new(), &sample::header()?, protection)?;
    writer.write(Duration::ZERO, &Event::Open { channel, kind: "shell".into(), command: None, terminal })?;
    let (mut flushed, mut sealed, mut script) = (Duration::ZERO, Duration::ZERO, 0);
    let mut last = Duration::ZERO;
    for (at, direction, bytes) in &hour {
        keep_up(&mut writer, *at, &mut flushed, &mut sealed)?;
        writer.write(*at, &data_event(*direction, bytes))?;
        let way = if *direction == Direction::ToClient { 'O' } else { 'I' };
        let timing = format!("{way} {:.6} {}\n", (*at - last).as_secs_f64(), bytes.len());
        script += bytes.len() + timing.len();
        last = *at;
    }
    let trail = writer.finish(last, &End { verdict: Verdict::Accept, reason: None })?;
    let mut cast = Vec::new();
    export_asciicast(&mut Reader::new(trail.as_slice(), keys)?, &mut cast, None, Asciicast::V2, true)?;
    let zipped = gzip(cast.clone())?;
    println!(
        "\nAn hour at a terminal, {} events, in bytes (smaller than gzip'ed asciicast and `script`)\n",
        hour.len()
    );
    let all = [
        ("trail, all on", trail.len()),
        ("asciicast, gzip", zipped),
        ("script -B -m advanced", script),
        ("asciicast", cast.len()),
    ];
    for (name, size) in all {
        println!("{name:<24} {size:>10}");
    }
    let verdict = |smaller: bool| if smaller { "reached" } else { "MISSED" };
    println!(
        "\nsmaller than gzip'ed asciicast: {}; than `script`: {}",
        verdict(trail.len() < zipped),
        verdict(trail.len() < script)
    );
    parts(&trail)
}

/// Where the bytes go, by the places that docs/trail-format.md gives.
fn parts(trail: &[u8]) -> Result<(), Failure> {
    let number = |at: usize, width: usize| -> Result<usize, Failure> {
        let bytes = trail.get(at..at + width).ok_or("the trail is cut")?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let mut at = PRELUDE + number(12, 4)? + number(16, 4)?;
    let (mut blocks, mut tags, mut seals, mut events, mut frames) = (0, 0, 0, 0, 0);
    while at < trail.len() {
        let (kind, flags, length) = (number(at, 2)?, number(at + 2, 2)?, number(at + 4, 4)?);
        let tag = if flags & 2 == 0 { 0 } else { TAG };
        *(match kind {
            1 => &mut events,
            4 => &mut frames,
            _ => &mut seals,
        }) += length - tag;
        (blocks, tags, at) = (blocks + 1, tags + tag, at + BLOCK_HEADER + length);
    }
    let headers = blocks * BLOCK_HEADER;
    println!(
        "of the trail: headers of {blocks} blocks {headers}, tags of their encryption {tags}, seals {seals}, key frames {frames}, events {events}"
    );
    Ok(())
}

/// Commands as a person types them, letter by letter with their echo, and what they show.
fn an_hour() -> Vec<(Duration, Direction, Vec<u8>)> {
    let (text, mut line) = (log_lines(""), 0);
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let (mut at, mut events) = (Duration::ZERO, Vec::new());
    for round in 0usize.. {
        let command = format!("grep -n 192.0.2.{} /var/log/auth.log\r", round % 250);
        for letter in command.bytes() {
            at += Duration::from_millis(120 + (round as u64 * 37 + u64::from(letter)) % 90);
            events.push((at, Direction::FromClient, vec![letter]));
            events.push((at + Duration::from_micros(900), Direction::ToClient, vec![letter]));
        }
        let shown =
            lines.iter().cycle().skip(line).take(5 + round * 7 % 40).copied().collect::<Vec<_>>().concat();
        line = (line + 41) % lines.len();
        for piece in shown.chunks(1024) {
            at += Duration::from_millis(3);
            events.push((at, Direction::ToClient, piece.to_vec()));
        }
        events.push((
            at,
            Direction::ToClient,
            b"\x1b[01;32malice@db1\x1b[00m:\x1b[01;34m~\x1b[00m$ ".to_vec(),
        ));
        at += Duration::from_millis(4000 + round as u64 % 7 * 900);
        if at > Duration::from_secs(3600) {
            break;
        }
    }
    events
}

fn data_event(direction: Direction, bytes: &[u8]) -> Event<'_> {
    Event::Data { channel: ChannelId(0), direction, stream: Stream::Main, bytes: bytes.into() }
}

/// How long it is behind `gzip -6`.
fn gzip(bytes: Vec<u8>) -> Result<usize, Failure> {
    let mut child = Command::new("gzip").arg("-6").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("gzip reads nothing")?;
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    writing.join().map_err(|_| "gzip was not fed")??;
    if output.status.success() { Ok(output.stdout.len()) } else { Err("gzip has failed".into()) }
}

/// Seconds that this thread was on a CPU.
fn cpu() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = stat.split(' ').next().ok_or("no CPU time")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

fn random() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1 << 20];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}

/// The names of users in a colour.
fn log_lines(colour: &str) -> Vec<u8> {
    let (mut text, reset) = (String::new(), if colour.is_empty() { "" } else { "\x1b[0m" });
    for n in 0u32..20_000 {
        let id = n.wrapping_mul(2_654_435_761);
        text += &format!(
            "Mar 14 {:02}:{:02}:{:02} db1 sshd[{}]: Accepted publickey for {colour}alice{reset} from 192.0.2.{} port {} ssh2\r\n",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            id >> 18,
            id >> 8 & 0xff,
            id & 0xffff
        );
    }
    text.into_bytes()
}
