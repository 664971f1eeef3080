//! What recording costs: CPU seconds per GiB and the size on disk, for some kinds of data, to nowhere and to a file.
//!
//! `cargo run --release -p keyward-trail --example cost [FILE...]`: the files are measured as kinds of data too.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{ClientAddr, ConnectionName, Protocol, SessionId, TargetAddr, UnixMillis, Verdict};
use keyward_trail::{
    AuditorKey, ChannelId, Direction, End, Event, Header, Protection, Recipients, SigningKey, Stream, Writer,
};

/// As a bulk transfer over SSH delivers it.
const CHUNK: usize = 32 * 1024;
const GIB: usize = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let mut kinds = vec![
        ("zeros".to_owned(), vec![0; 1 << 20]),
        ("random".to_owned(), random()?),
        ("log lines".to_owned(), log_lines()),
    ];
    for path in std::env::args().skip(1) {
        let data = fs::read(&path)?;
        if data.is_empty() {
            return Err(format!("{path} is empty: give a file with something to measure").into());
        }
        kinds.push((path, data));
    }
    let path = std::env::temp_dir().join(format!("trail-cost-{}", std::process::id()));
    let signer = Arc::new(SigningKey::generate()?);
    let auditor = AuditorKey::generate()?;
    let signed = Protection::signed(signer);
    let shown = Recipients::any(vec![auditor.recipient().clone()]);
    let encrypted = Protection { shown, ..signed.clone() };
    println!("{:<24} {:>14} {:>14} {:>14} {:>8}", "data", "signed", "encrypted", "to a file", "ratio");
    for (name, data) in kinds {
        let (nowhere, _) = record(&data, io::sink(), &signed)?;
        let (sealed, size) = record(&data, io::sink(), &encrypted)?;
        let (file, _) = record(&data, fs::File::create(&path)?, &encrypted)?;
        fs::remove_file(&path)?;
        let ratio = GIB as f64 / size as f64;
        println!("{name:<24} {nowhere:>8.3} s/GiB {sealed:>8.3} s/GiB {file:>8.3} s/GiB {ratio:>8.1}");
    }
    Ok(())
}

/// CPU seconds for one GiB, and the size of its trail.
fn record(data: &[u8], out: impl Write, protection: &Protection) -> Result<(f64, u64), Box<dyn Error>> {
    let mut writer = Writer::new(out, &header()?, protection)?;
    let before = cpu()?;
    let mut done = 0;
    for chunk in data.chunks(CHUNK).cycle() {
        if done >= GIB {
            break;
        }
        let (channel, direction, stream) = (ChannelId(0), Direction::ToClient, Stream::Main);
        writer.write(
            Duration::from_nanos(done as u64),
            &Event::Data { channel, direction, stream, bytes: chunk.into() },
        )?;
        done += chunk.len();
    }
    writer.flush()?;
    let (spent, size) = (cpu()? - before, writer.written());
    writer.finish(Duration::from_secs(1), &End { verdict: Verdict::Accept, reason: None })?;
    Ok((spent, size))
}

/// Seconds that this thread was on a CPU.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = stat.split(' ').next().ok_or("no CPU time")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

fn random() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1 << 20];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}

fn log_lines() -> Vec<u8> {
    let mut text = String::new();
    for n in 0u32..20_000 {
        let id = n.wrapping_mul(2_654_435_761);
        text += &format!(
            "Mar 14 {:02}:{:02}:{:02} db1 sshd[{}]: Accepted publickey for alice from 192.0.2.{} port {} ssh2\r\n",
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

fn header() -> Result<Header, Box<dyn Error>> {
    let connection = ConnectionName::try_from("cost")?;
    Ok(Header {
        session: SessionId::new([0; 16], &connection, 1),
        protocol: Protocol::Ssh,
        connection,
        client: ClientAddr("192.0.2.1:50000".parse()?),
        started: UnixMillis(0),
        gateway_user: None,
        remote_user: "root".into(),
        target: TargetAddr { addr: "192.0.2.2:22".parse()?, hostname: None },
    })
}
