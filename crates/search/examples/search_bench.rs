//! How fast recordings are indexed, and how long somebody waits for what is looked for in 10,000 of them.
//!
//! `cargo xtask bench search [SESSIONS]`

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

#[path = "../../trail/samples/header.rs"]
mod sample;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_model::Verdict;
use keyward_search::{
    Coverage, EncryptedDirectory, Filter, IndexKey, IndexReader, Indexer, Line, LineKind, Query, SessionFacts,
};
use keyward_trail::{
    AuditorKey, ChannelId, Direction, End, Event, Finder, FoundKind, Protection, Reader, Recipients,
    SigningKey, Stream, Terminal, Writer,
};

/// The least, of what terminals showed, on one core; MB/s.
const SPEED_AIM: f64 = 20.0;
/// The most for a query.
const QUERY_AIM: Duration = Duration::from_millis(100);
const SESSIONS: u64 = 10_000;
/// Of them, between two commits.
const BATCH: usize = 500;
/// How often each query is asked, the index opened anew each time.
const TIMES: usize = 20;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let sessions = std::env::args().nth(1).map_or(Ok(SESSIONS), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("search-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = measure(&folder, sessions);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, sessions: u64) -> Result<(), Failure> {
    let auditor = AuditorKey::generate()?;
    let recipients = Recipients::any(vec![auditor.recipient().clone()]);
    let signed = Protection::signed(Arc::new(SigningKey::generate()?));
    let protection = Protection { shown: recipients.clone(), typed: recipients, ..signed };
    let keys = [auditor];

    let mut indexer = Indexer::open(directory(folder)?)?;
    let mut vocabulary = Vocabulary::new();
    let (mut bytes, mut spent, mut reading) = (0, 0.0, 0.0);
    for first in (0..sessions).step_by(BATCH) {
        let mut batch = Vec::new();
        for number in first..sessions.min(first + BATCH as u64) {
            let (trail, shown) = session(number, &mut vocabulary, &protection)?;
            bytes += shown;
            batch.push((number, trail));
        }
        let before = cpu()?;
        batch.iter().try_for_each(|(_, trail)| find(trail, &keys, |_| Ok(())))?;
        let read = cpu()?;
        batch.iter().try_for_each(|(number, trail)| index(&mut indexer, *number, trail, &keys))?;
        indexer.commit()?;
        (reading, spent) = (reading + read - before, spent + cpu()? - read);
    }
    let before = cpu()?;
    indexer.finish()?;
    spent += cpu()? - before;
    let speed = bytes as f64 / 1e6 / spent;
    println!("{sessions} sessions, {:.0} MB that terminals showed\n", bytes as f64 / 1e6);
    println!(
        "indexing, from encrypted recordings: {speed:.1} MB/s on one core (the aim is {SPEED_AIM}: {}); reading them and drawing \
         their terminals alone {:.1} MB/s",
        verdict(speed >= SPEED_AIM),
        bytes as f64 / 1e6 / reading,
    );
    println!("the index: {:.0} MB\n", size(&folder.join("index"))? as f64 / 1e6);
    queries(folder, &vocabulary)
}

fn queries(folder: &Path, vocabulary: &Vocabulary) -> Result<(), Failure> {
    let (common, rare) = (vocabulary.word(3), vocabulary.word(40_000));
    let phrase = format!("\"{} {}\"", vocabulary.word(5), vocabulary.word(8));
    let apart = format!("{} {} {}", vocabulary.word(2), vocabulary.word(11), vocabulary.word(400));
    let beginning = format!("{}*", vocabulary.word(40_000).get(..3).unwrap_or_default());
    let user = Filter { user: Some("user7".into()), ..Filter::default() };
    let none = Filter::default();
    println!("{:<40} {:>8} {:>9} {:>9}", "query, opened anew", "lines", "p50 ms", "p99 ms");
    let mut worst = Duration::ZERO;
    for (name, query, filter) in [
        ("a rare word", rare.as_str(), &none),
        ("a common word", &common, &none),
        ("a command", "systemctl restart", &none),
        ("a path", "/var/log/auth.log", &none),
        ("words that follow each other", &phrase, &none),
        ("words of one line", &apart, &none),
        ("a beginning of three letters", &beginning, &none),
        ("a beginning of two letters", "se*", &none),
        ("a common word of a user", &common, &user),
        ("nothing has it", "zzyzx quuxly", &none),
    ] {
        let query = Query::parse(query)?;
        let (mut times, mut lines) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            let reader = IndexReader::open(directory(folder)?)?;
            lines = reader.query(&query, filter, 20, |_| true)?.lines.len();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let (half, most) = (times[TIMES / 2], times[TIMES - 1]);
        worst = worst.max(most);
        println!("{name:<40} {lines:>8} {:>9.1} {:>9.1}", millis(half), millis(most));
    }
    println!(
        "\n{:.1} ms at most, the aim is {:.0}: {}",
        millis(worst),
        millis(QUERY_AIM),
        verdict(worst <= QUERY_AIM)
    );
    Ok(())
}

fn index(indexer: &mut Indexer, number: u64, trail: &[u8], keys: &[AuditorKey]) -> Result<(), Failure> {
    let facts = SessionFacts {
        id: format!("session-{number}"),
        start: 1_700_000_000_000 + number * 60_000,
        users: vec![format!("user{}", number % 200), "root".into()],
        targets: vec![format!("10.0.{}.{}", number / 250 % 250, number % 250)],
    };
    let mut lines = indexer.session(facts);
    find(trail, keys, |line| Ok(lines.add(line)?))?;
    lines.end(Coverage::Whole)?;
    Ok(())
}

fn find(
    trail: &[u8],
    keys: &[AuditorKey],
    mut add: impl FnMut(Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut finder, mut failed) = (Finder::default(), Ok(()));
    let mut tell = |found: keyward_trail::Found| {
        let kind = match found.kind {
            FoundKind::Command => LineKind::Command,
            FoundKind::Screen => LineKind::Screen,
            FoundKind::File => LineKind::File,
        };
        if failed.is_ok() {
            failed = add(Line { at: found.at, channel: found.channel.0, kind, text: found.text });
        }
    };
    for event in Reader::new(trail, keys)? {
        let (at, event) = event?;
        finder.take(at, &event, &mut tell);
    }
    finder.end(&mut tell);
    failed
}

/// A session of twenty commands with what they show: its recording, and how many bytes the terminal got.
fn session(
    number: u64,
    words: &mut Vocabulary,
    protection: &Protection,
) -> Result<(Vec<u8>, usize), Failure> {
    let mut writer = Writer::new(Vec::new(), &sample::header()?, protection)?;
    let (channel, mut at, mut shown) = (ChannelId(0), Duration::ZERO, 0);
    let terminal = Some(Terminal { term: "xterm-256color".into(), columns: 120, rows: 40 });
    writer.write(at, &Event::Open { channel, kind: "shell".into(), command: None, terminal })?;
    for n in 0..20 {
        let command = match n % 4 {
            0 => format!("tail -n 300 /var/log/{}.log", words.draw()),
            1 => format!("systemctl restart {}-{}", words.draw(), number % 17),
            2 => format!("grep -rn {} /etc/{}/", words.draw(), words.draw()),
            _ => format!("less /srv/{}/{}.conf", words.draw(), words.draw()),
        };
        let prompt = format!("\x1b[01;32muser{}@host{number}\x1b[00m:\x1b[01;34m~\x1b[00m$ ", number % 200);
        let mut show = |at, bytes: &[u8]| {
            shown += bytes.len();
            writer.write(at, &data(Direction::ToClient, bytes))
        };
        show(at, prompt.as_bytes())?;
        for letter in command.bytes() {
            at += Duration::from_millis(130);
            show(at + Duration::from_millis(1), &[letter])?;
        }
        let lines = words.number() % 60;
        let mut text = "\r\n".to_owned();
        for _ in 0..lines {
            text += &words.line();
            text += "\r\n";
        }
        for piece in text.as_bytes().chunks(1024) {
            at += Duration::from_millis(2);
            show(at, piece)?;
        }
        for letter in command.bytes().chain([b'\r']) {
            writer.write(at, &data(Direction::FromClient, &[letter]))?;
        }
        at += Duration::from_secs(4);
        writer.flush()?;
    }
    let trail = writer.finish(at, &End { verdict: Verdict::Accept, reason: None })?;
    Ok((trail, shown))
}

/// Words, some of which are drawn far more often than others, as in what programs print.
struct Vocabulary {
    state: u64,
    words: Vec<String>,
}

impl Vocabulary {
    const WORDS: u64 = 60_000;

    fn new() -> Self {
        let mut all = Self { state: 0x9e37_79b9_7f4a_7c15, words: Vec::new() };
        let syllables = [
            "se", "rv", "ice", "no", "de", "con", "fig", "up", "mem", "or", "tal", "k", "in", "it", "ba",
            "ck", "ru", "n",
        ];
        for n in 0..Self::WORDS {
            let parts = 2 + all.number() % 3;
            let drawn = (0..parts).map(|_| syllables[all.number() as usize % syllables.len()]);
            let word = drawn.collect::<String>();
            all.words.push(if n < 2000 { word } else { format!("{word}{:x}", n) });
        }
        all
    }

    fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 11
    }

    fn word(&self, rank: usize) -> String {
        self.words[rank % self.words.len()].clone()
    }

    /// By Zipf's law, about.
    fn draw(&mut self) -> String {
        let uniform = (self.number() % 1_000_000) as f64 / 1e6;
        let rank = (Self::WORDS as f64).powf(uniform) as usize - 1;
        self.word(rank)
    }

    fn line(&mut self) -> String {
        let n = self.number();
        let mut line = match n % 5 {
            0 => format!(
                "Mar {:02} {:02}:{:02}:{:02} db1 sshd[{}]:",
                n % 28,
                n % 24,
                n % 60,
                n % 59,
                n % 65_000
            ),
            1 => format!("-rw-r--r-- 1 root root {:>9} Nov 14 22:13 /var/{}/", n % 900_000_000, self.draw()),
            2 => format!("{}:{}:", self.draw(), n % 3000),
            3 => format!(
                "[{}.{:06}] 10.{}.{}.{} ->",
                n % 90_000,
                n % 1_000_000,
                n % 250,
                n / 7 % 250,
                n / 99 % 250
            ),
            _ => String::new(),
        };
        for _ in 0..4 + n % 9 {
            line += " ";
            line += &self.draw();
        }
        line
    }
}

fn data(direction: Direction, bytes: &[u8]) -> Event<'_> {
    Event::Data { channel: ChannelId(0), direction, stream: Stream::Main, bytes: bytes.into() }
}

fn directory(folder: &Path) -> Result<EncryptedDirectory, Failure> {
    let key = IndexKey::new([7; IndexKey::BYTES].into());
    Ok(EncryptedDirectory::open(folder.join("index"), key)?)
}

fn size(folder: &PathBuf) -> Result<u64, Failure> {
    let sizes = fs::read_dir(folder)?.map(|file| Ok(file?.metadata()?.len()));
    Ok(sizes.collect::<Result<Vec<_>, std::io::Error>>()?.iter().sum())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// Seconds that this process was on a CPU, all its threads; in steps of a tick.
fn cpu() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let times = stat.rsplit_once(')').ok_or("no CPU time")?.1.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
