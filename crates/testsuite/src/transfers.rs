//! Transfers of all sizes, one after the other.

use std::fmt::Write;
use std::fs;

use crate::{Link, Run, SshClient, shell};

/// The same sizes each time.
const SEED: u64 = 20_220_222;
/// One shell runs so many, within its time.
const AT_ONCE: usize = 10;

/// Sends and fetches files of 1 to `largest` MB over the link, and compares what arrived. Panics when one hangs or differs.
#[track_caller]
pub fn transfers_in_a_row(link: &Link, count: u64, largest: u64) {
    let ssh = link.ssh();
    let largest = largest * 1_000_000;
    let noise = link.sshd.folder().join("transfers");
    let noise = noise.to_str().unwrap();
    shell(r#"head -c "$1" /dev/urandom > "$2""#, &[&largest.to_string(), noise]).must_succeed();
    let mut dice = Dice(SEED);
    let transfers: Vec<(u64, bool)> = (0..count).map(|_| (dice.size(largest), dice.below(2) == 0)).collect();
    for some in transfers.chunks(AT_ONCE) {
        in_a_row(&ssh, noise, some).must_succeed();
    }
    fs::remove_file(noise).unwrap();
}

/// Each is a piece of the file's beginning, up (`true`) or down.
#[track_caller]
fn in_a_row(ssh: &SshClient, noise: &str, transfers: &[(u64, bool)]) -> Run {
    let mut script = String::from("ssh=$1 to=$2 noise=$3\n");
    for (size, is_up) in transfers {
        let through = match is_up {
            true => format!(r#"head -c {size} "$noise" | timeout 60 "$ssh" "$to" sha256sum"#),
            false => format!(r#"timeout 60 "$ssh" "$to" "head -c {size} '$noise'" < /dev/null | sha256sum"#),
        };
        writeln!(script, r#"found=$({through})"#).unwrap();
        writeln!(script, r#"[ "$found" = "$(head -c {size} "$noise" | sha256sum)" ] || exit 9"#).unwrap();
    }
    shell(&script, &[ssh.program().to_str().unwrap(), &ssh.destination(), noise])
}

/// Knuth's generator of the MMIX: enough for sizes.
struct Dice(u64);

impl Dice {
    /// From 1 MB to `largest`; each order of magnitude is as likely as the next.
    fn size(&mut self, largest: u64) -> u64 {
        let doublings = u64::from((largest / 1_000_000).ilog2());
        let limit = (2_000_000 << self.below(doublings)).min(largest);
        limit / 2 + self.below(limit / 2 + 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
