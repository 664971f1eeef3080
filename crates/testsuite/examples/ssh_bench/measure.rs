use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyward_testsuite::SshClient;

use crate::process::resident_kib;

const MIB: usize = 1024 * 1024;
/// So much is kept in memory; a transfer repeats it.
const PIECE: usize = 64 * MIB;

pub(crate) type Transfer = fn(&Way, &Data, usize) -> Speed;

/// A client and its way to the server.
pub(crate) struct Way {
    client: SshClient,
    options: Vec<String>,
    /// Lives as long as the way that leads over it.
    _hop: Option<SshClient>,
}

/// What is sent: the bytes here, and where the server has the same.
pub(crate) struct Data {
    piece: Vec<u8>,
    remote: PathBuf,
}

pub(crate) struct Speed {
    bytes: usize,
    time: Duration,
}

impl Speed {
    pub(crate) fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / MIB as f64 / self.time.as_secs_f64()
    }

    pub(crate) fn gib(&self) -> f64 {
        self.bytes as f64 / MIB as f64 / 1024.0
    }
}

impl Data {
    pub(crate) fn zeros() -> Self {
        Self { piece: vec![0; PIECE], remote: "/dev/zero".into() }
    }

    /// What no one can compress.
    pub(crate) fn noise(folder: &Path) -> Self {
        let mut piece = Vec::with_capacity(PIECE);
        fs::File::open("/dev/urandom").unwrap().take(PIECE as u64).read_to_end(&mut piece).unwrap();
        let remote = folder.join("noise");
        fs::write(&remote, &piece).unwrap();
        Self { piece, remote }
    }

    /// As programs write them: text that is easily compressed.
    pub(crate) fn log_lines(folder: &Path) -> Self {
        let mut piece = Vec::with_capacity(PIECE + 100);
        for n in 0u32.. {
            let id = n.wrapping_mul(2_654_435_761);
            let (process, host, port) = (id >> 18, id >> 8 & 0xff, id & 0xffff);
            writeln!(
                piece,
                "{n} db1 sshd[{process}]: Accepted publickey for alice from 192.0.2.{host} port {port} ssh2"
            )
            .unwrap();
            if piece.len() >= PIECE {
                break;
            }
        }
        piece.truncate(PIECE);
        let remote = folder.join("lines");
        fs::write(&remote, &piece).unwrap();
        Self { piece, remote }
    }

    /// The command that gives `mib` MiB of it on the server.
    fn pour(&self, mib: usize) -> String {
        let (remote, whole, rest) = (self.remote.display(), mib * MIB / PIECE, mib * MIB % PIECE);
        if self.remote == Path::new("/dev/zero") {
            return format!("exec head -c {mib}M {remote}");
        }
        format!("for n in $(seq {whole}); do cat {remote}; done; exec head -c {rest} {remote}")
    }
}

impl Way {
    pub(crate) fn new(client: SshClient, options: Vec<String>, hop: Option<SshClient>) -> Self {
        Self { client, options, _hop: hop }
    }

    /// Milliseconds of `ssh ... true`.
    pub(crate) fn login(&self) -> f64 {
        let started = Instant::now();
        self.start("true").end();
        started.elapsed().as_secs_f64() * 1000.0
    }

    /// Milliseconds for a byte to come back, so many times on one session.
    pub(crate) fn echoes(&self, times: usize) -> Vec<f64> {
        let mut session = self.start("cat");
        let mut byte = [b'x'];
        let mut echo = || {
            let started = Instant::now();
            session.stdin.write_all(&byte).unwrap();
            session.stdout.read_exact(&mut byte).unwrap();
            started.elapsed().as_secs_f64() * 1000.0
        };
        // The first ones are slower everywhere: the session is still being set up.
        let skipped = 50;
        let measured = (0..times + skipped).map(|_| echo()).skip(skipped).collect();
        session.end();
        measured
    }

    /// From the first byte to the last.
    pub(crate) fn download(&self, data: &Data, mib: usize) -> Speed {
        let mut session = self.start(&data.pour(mib));
        let mut buffer = vec![0; MIB];
        let mut bytes = session.stdout.read(&mut buffer).unwrap();
        let started = Instant::now();
        loop {
            match session.stdout.read(&mut buffer).unwrap() {
                0 => break,
                read => bytes += read,
            }
        }
        let time = started.elapsed();
        assert_eq!(bytes, mib * MIB, "the download was cut");
        session.end();
        Speed { bytes, time }
    }

    /// From the first byte written to the server's word that it has the last.
    pub(crate) fn upload(&self, data: &Data, mib: usize) -> Speed {
        let mut session = self.start("echo go; wc -c");
        let mut line = String::new();
        session.stdout.read_line(&mut line).unwrap();
        let started = Instant::now();
        let bytes = mib * MIB;
        let mut left = bytes;
        while left > 0 {
            let piece = data.piece.get(..left).unwrap_or(&data.piece);
            session.stdin.write_all(piece).unwrap();
            left -= piece.len();
        }
        let Session { child, stdin, mut stdout } = session;
        drop(stdin);
        line.clear();
        stdout.read_line(&mut line).unwrap();
        let time = started.elapsed();
        assert_eq!(line.trim(), bytes.to_string(), "the upload was cut");
        ended(child);
        Speed { bytes, time }
    }

    /// KiB by which the process grows for each session that has nothing to do.
    pub(crate) fn memory_per_idle_session(&self, process: i32, sessions: usize) -> f64 {
        let before = resident_kib(process);
        let open: Vec<Session> = (0..sessions)
            .map(|_| {
                let mut session = self.start("echo ready; cat");
                session.stdout.read_line(&mut String::new()).unwrap();
                session
            })
            .collect();
        // Idle is what is left when the recordings have been written out, once a second.
        thread::sleep(Duration::from_secs(3));
        let after = resident_kib(process);
        open.into_iter().for_each(Session::end);
        (after - before) / sessions as f64
    }

    /// MiB/s of each of so many sessions that fetch all they can at the same time, for a while.
    pub(crate) fn side_by_side(&self, sessions: usize, data: &Data, time: Duration) -> Vec<f64> {
        let pour = format!("echo ready; read go; while cat {}; do :; done", data.remote.display());
        let mut open: Vec<Session> = (0..sessions)
            .map(|_| {
                let mut session = self.start(&pour);
                session.stdout.read_line(&mut String::new()).unwrap();
                session
            })
            .collect();
        for session in &mut open {
            session.stdin.write_all(b"go\n").unwrap();
        }
        let (mut children, mut counts, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        for Session { child, stdin, mut stdout } in open {
            let count = Arc::new(AtomicUsize::new(0));
            counts.push(Arc::clone(&count));
            children.push((child, stdin));
            readers.push(thread::spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                // The end comes when its `ssh` is killed.
                while let Ok(read @ 1..) = stdout.get_mut().read(&mut buffer) {
                    count.fetch_add(read, Ordering::Relaxed);
                }
            }));
        }
        let seen = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        // All of them have begun, and windows are as large as they get.
        thread::sleep(Duration::from_secs(2));
        let (started, before) = (Instant::now(), seen());
        thread::sleep(time);
        let (seconds, after) = (started.elapsed().as_secs_f64(), seen());
        for (mut child, stdin) in children {
            drop(stdin);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        before.iter().zip(&after).map(|(from, to)| (to - from) as f64 / MIB as f64 / seconds).collect()
    }

    fn start(&self, remote: &str) -> Session {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let mut command = self.client.command(&options, &[remote]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Session { child, stdin, stdout }
    }
}

struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    fn end(self) {
        drop(self.stdin);
        ended(self.child);
    }
}

fn ended(mut child: Child) {
    let status = child.wait().unwrap();
    assert!(status.success(), "ssh ended with {status}");
}
